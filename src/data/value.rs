//! One value: a cell of a record or of an output row.

use std::cmp::Ordering;

use super::{Decimal, float};

/// A value. Values are ordered as the output is: null first, then texts by their bytes, then numbers by value whatever
/// their type and form, with NaN after all other numbers, and last the other values of JSON by their bytes. -0 equals
/// 0, and NaN equals NaN.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Null,
    Bytes(&'a [u8]),
    /// A number or a count.
    Decimal(Decimal),
    Float(f64),
    /// A value of JSON that isn't a string, as it was written. A number may have any length. An array or an object
    /// keeps its white space.
    Json(&'a [u8]),
}

/// The first byte of a cell of [`Column::Json`](super::Column::Json) that is a string. The text follows, without a
/// closing quote.
pub const QUOTE: u8 = b'"';

impl<'a> Value<'a> {
    /// Returns the value of a cell of [`Column::Json`](super::Column::Json).
    #[inline]
    pub fn of_json(cell: &'a [u8]) -> Self {
        match cell.split_first() {
            Some((&QUOTE, text)) => Value::Bytes(text),
            _ => Value::Json(cell),
        }
    }

    /// Turns a number of JSON into a decimal if a decimal can hold it. Returns any other value unchanged.
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

    /// Does what [`cmp`](Ord::cmp) does when at least one of the two values is [`Value::Json`].
    fn compare_json(&self, other: &Self) -> Ordering {
        match (self.resolved(), other.resolved()) {
            (Value::Json(a), Value::Json(b)) => a.cmp(b),
            (a @ Value::Json(_), b) | (a, b @ Value::Json(_)) => a.rank().cmp(&b.rank()),
            (a, b) => a.cmp(&b),
        }
    }

    /// The place of a value's type in the order. Ranks are needed for nulls and for columns of JSON; any other column
    /// holds one type.
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
            // This double is a little more than a tenth.
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
