//! TSV: columns joined by TAB, with `\t \n \r \\` for those four bytes, and null as `\N`. Quotes are ordinary.
//!
//! TSV reads back as it was written. With one column, a reader must therefore read an empty line as an empty text. A
//! cell that is `\N` is written `\\N`. No escape protects a byte order mark at the beginning of the first cell of a
//! file without a header: a reader takes it for the file's own.

use super::special::{equal, holds};
use super::{RowFormat, separate};
use crate::data::buffer::Buffer;
use crate::data::{Value, float};

pub struct Tsv;

impl RowFormat for Tsv {
    #[inline(always)]
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>) {
        separate(out, column, b'\t');
        match value {
            Value::Null => out.extend(b"\\N"),
            Value::Bytes(bytes) | Value::Json(bytes) => match holds(bytes, special) {
                false => out.extend(bytes),
                true => put_escaped(out, bytes),
            },
            Value::Decimal(number) => number.write(out),
            Value::Float(number) => float::write(number, out),
        }
    }

    #[inline]
    fn end(&mut self, out: &mut Buffer) {
        out.push(b'\n');
    }
}

#[inline]
fn special(word: u64) -> u64 {
    equal(word, b'\t') | equal(word, b'\n') | equal(word, b'\r') | equal(word, b'\\')
}

/// Returns the letter after the backslash.
fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\\' => Some(b'\\'),
        _ => None,
    }
}

#[cold]
fn put_escaped(out: &mut Buffer, bytes: &[u8]) {
    for piece in bytes.split_inclusive(|&byte| escape(byte).is_some()) {
        match piece.split_last().and_then(|(last, rest)| Some((rest, escape(*last)?))) {
            Some((rest, letter)) => {
                out.extend(rest);
                out.extend(&[b'\\', letter]);
            }
            None => out.extend(piece),
        }
    }
}
