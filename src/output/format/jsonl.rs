//! JSON lines: one object per line, with the names of the columns as keys, in their order.
//!
//! JSON values are written as they were read. Decimals are numbers with all their digits, which a reader that turns
//! numbers into floats rounds. JSON has no NaN and no infinities: they are `null`, as in JavaScript, jq's NaN, polars
//! and ClickHouse. Bytes that are not UTF-8 become U+FFFD, one for each maximal subpart of an ill-formed sequence (the
//! Unicode Standard's "substitution of maximal subparts").

use super::RowFormat;
use super::special::{below, equal, holds};
use crate::data::buffer::Buffer;
use crate::data::{Value, float};

pub struct Jsonl {
    /// Each column's `{"name":` or `,"name":`.
    keys: Vec<Buffer>,
}

impl Jsonl {
    pub fn new(names: &[String]) -> Self {
        let key = |(i, name): (usize, &String)| {
            let mut key = Buffer::default();
            key.push(if i == 0 { b'{' } else { b',' });
            put_string(&mut key, name.as_bytes());
            key.push(b':');
            key
        };
        Jsonl { keys: names.iter().enumerate().map(key).collect() }
    }
}

impl RowFormat for Jsonl {
    #[inline(always)]
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>) {
        out.extend(self.keys[column].as_slice());
        match value {
            Value::Bytes(bytes) => put_string(out, bytes),
            Value::Decimal(number) => number.write(out),
            Value::Float(number) if number.is_finite() => float::write(number, out),
            Value::Json(json) => put_json(out, json),
            Value::Null | Value::Float(_) => out.extend(b"null"),
        }
    }

    #[inline]
    fn end(&mut self, out: &mut Buffer) {
        out.extend(b"}\n");
    }

    fn header(&mut self, _: &mut Buffer, _: &[String]) {}
}

#[inline]
fn put_string(out: &mut Buffer, bytes: &[u8]) {
    let special = |word| word | below(word, b' ') | equal(word, b'"') | equal(word, b'\\');
    if holds(bytes, special) {
        return put_escaped(out, bytes);
    }
    out.push(b'"');
    out.extend(bytes);
    out.push(b'"');
}

/// Writes JSON as it was read, on one line: a line end in it is white space and becomes a space.
fn put_json(out: &mut Buffer, json: &[u8]) {
    if json.iter().all(|&byte| (b' '..=b'~').contains(&byte)) {
        return out.extend(json);
    }
    out.extend(String::from_utf8_lossy(json).replace(['\n', '\r'], " ").as_bytes());
}

fn put_escaped(out: &mut Buffer, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    serde_json::to_writer(&mut *out, text.as_ref()).expect("writing a string to memory can't fail");
}
