//! CSV as in RFC 4180, except that a row ends with a newline alone.
//!
//! CSV reads back as it was written. Null is an empty cell, and the empty text is `""`. A text is quoted only if it
//! needs quotes: if it holds a comma, a quote or a line end, or if it begins the first column with a byte order mark,
//! which a reader would take for the file's own. White space is part of a cell, with or without quotes. With one
//! column, a null row is an empty line, as PostgreSQL's COPY writes and reads it; a reader must not skip that line.

use super::special::{equal, holds};
use super::{RowFormat, separate};
use crate::data::buffer::Buffer;
use crate::data::{Value, float};

pub struct Csv;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl RowFormat for Csv {
    #[inline(always)]
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>) {
        separate(out, column, b',');
        match value {
            Value::Null => {}
            Value::Bytes(bytes) | Value::Json(bytes) => match needs_quotes(bytes, column) {
                false => out.extend(bytes),
                true => put_quoted(out, bytes),
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
fn needs_quotes(bytes: &[u8], column: usize) -> bool {
    let special = |word| equal(word, b',') | equal(word, b'"') | equal(word, b'\r') | equal(word, b'\n');
    bytes.is_empty() || holds(bytes, special) || column == 0 && bytes.starts_with(BYTE_ORDER_MARK)
}

#[cold]
fn put_quoted(out: &mut Buffer, mut bytes: &[u8]) {
    out.push(b'"');
    while let Some(at) = memchr::memchr(b'"', bytes) {
        out.extend(&bytes[..=at]);
        out.push(b'"');
        bytes = &bytes[at + 1..];
    }
    out.extend(bytes);
    out.push(b'"');
}
