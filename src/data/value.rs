//! One value: a cell of a record or of a row of the output.

use super::Decimal;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Unsigned(u64),
    Bytes(&'a [u8]),
    Decimal(Decimal),
    Float(f64),
}

impl Value<'_> {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}
