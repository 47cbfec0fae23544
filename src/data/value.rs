//! One value: a cell of a record or of a row of the output.

use std::cmp::Ordering;

use super::{Decimal, float};

/// Values are ordered as the output is: null first, texts by their bytes, numbers by value whatever their type and form, NaN
/// after all others, and then what else JSON has, by its bytes. -0 is 0, and NaN is NaN.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Null,
    Bytes(&'a [u8]),
    /// Counts too.
    Decimal(Decimal),
    Float(f64),
    /// Of JSON, and no string, as it is written: a number is of any length, an array or an object has the white space that it
    /// came with.
    Json(&'a [u8]),
}

/// What a cell of [`Column::Json`](super::Column::Json) that is a string begins with. Its text follows, without a closing quote.
pub const QUOTE: u8 = b'"';

impl<'a> Value<'a> {
    /// The value of a cell of [`Column::Json`](super::Column::Json).
    #[inline]
    pub fn of_json(cell: &'a [u8]) -> Self {
        match cell.split_first() {
            Some((&QUOTE, text)) => Value::Bytes(text),
            _ => Value::Json(cell),
        }
    }

    /// A number of JSON as a decimal, where one holds it; any other value as it is.
    #[inline]
    pub fn resolved(self) -> Self {
        match self {
            Value::Json(json @ [b'-' | b'0'..=b'9', ..]) => Decimal::parse(json).map_or(self, Value::Decimal),
            value => value,
        }
    }
}

impl Value<'_> {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// As [`cmp`](Ord::cmp), where one of them is of JSON.
    fn compare_json(&self, other: &Self) -> Ordering {
        match (self.resolved(), other.resolved()) {
            (Value::Json(a), Value::Json(b)) => a.cmp(b),
            (a @ Value::Json(_), b) | (a, b @ Value::Json(_)) => a.rank().cmp(&b.rank()),
            (a, b) => a.cmp(&b),
        }
    }

    /// Columns hold one type, but for null and those of JSON.
    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bytes(_) => 1,
            Value::Decimal(_) | Value::Float(_) => 2,
            Value::Json(_) => 3,
        }
    }
}

impl Ord for Value<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (*self, *other) {
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => a.cmp(&b),
            (Value::Float(a), Value::Float(b)) => float::compare(a, b),
            (Value::Decimal(a), Value::Float(b)) => a.compare_f64(b),
            (Value::Float(a), Value::Decimal(b)) => b.compare_f64(a).reverse(),
            (Value::Json(_), _) | (_, Value::Json(_)) => self.compare_json(other),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl PartialOrd for Value<'_> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(mantissa: i128, scale: u8) -> Value<'static> {
        Value::Decimal(Decimal { mantissa, scale })
    }

    #[test]
    fn values_have_one_order() {
        let values = [
            Value::Null,
            Value::Bytes(b""),
            Value::Bytes(b"\xff"),
            Value::Float(f64::NEG_INFINITY),
            decimal(-1, 0),
            Value::Float(-0.5),
            decimal(0, 3),
            decimal(1, 1),
            // A little more than a tenth.
            Value::Float(0.1),
            decimal(2, 0),
            Value::Float(f64::INFINITY),
            Value::Float(f64::NAN),
            Value::Json(b"1e999"),
            Value::Json(b"2e999"),
            Value::Json(b"[1]"),
            Value::Json(b"false"),
        ];
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn one_number_has_many_forms() {
        assert_eq!(decimal(10, 1), decimal(100, 2));
        assert_eq!(decimal(5, 1), Value::Float(0.5));
        assert_eq!(Value::Float(-0.0), Value::Float(0.0));
        assert_eq!(Value::Float(-0.0), decimal(0, 0));
        assert_eq!(Value::Float(f64::NAN), Value::Float(-f64::NAN));
        assert_eq!(Value::Json(b"1.50e1"), decimal(15, 0));
        assert_eq!(Value::Json(b"1.5e1"), Value::Json(b"15"));
    }
}
