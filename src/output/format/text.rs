//! Text: raw bytes, columns joined by TAB, null empty. Nothing is escaped, so a cell that is empty or has a TAB or a
//! newline in it doesn't read back as it was. [`Tsv`](super::Tsv) does.

use super::{RowFormat, separate};
use crate::data::buffer::Buffer;
use crate::data::{Value, float};

pub struct Text;

impl RowFormat for Text {
    #[inline(always)]
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>) {
        separate(out, column, b'\t');
        match value {
            Value::Null => {}
            Value::Bytes(bytes) | Value::Json(bytes) => out.extend(bytes),
            Value::Decimal(number) => number.write(out),
            Value::Float(number) => float::write(number, out),
        }
    }

    #[inline]
    fn end(&mut self, out: &mut Buffer) {
        out.push(b'\n');
    }
}
