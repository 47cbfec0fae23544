//! Sort keys: the cells that rows are ordered by, as bytes that sort as they do.

use crate::data::Value;
use crate::data::buffer::Buffer;
use crate::data::key::put_escaped;
use crate::data::ordered::{put_decimal, put_float};

/// The sequence of output rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// As they come.
    Free,
    /// By these columns. The list ends where it determines the sequence: once it holds every `group_by` column no two
    /// rows are equal.
    By(Vec<SortKey>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SortKey {
    /// Which cell of a group, or field of a record.
    pub index: usize,
    pub descending: bool,
}

/// Appends one column of a sort key: bytes that sort as the values do, null first, and are prefix-free unless the
/// column is the `last` one.
///
/// ```text
/// null      00
/// text      01 · bytes, with 00 written 00 FF · 00 00
/// decimal   as ordered.rs draws it, which begins with 6F to 90
/// float     01 · as ordered.rs draws it
/// ```
///
/// What ends a text, or a decimal from 0 on, is left out of the last column. Of a negative one the end is what puts -1 after
/// -1.5. Descending, all is complemented.
#[inline]
pub fn put_sort_key(out: &mut Buffer, value: &Value<'_>, descending: bool, last: bool) {
    let start = out.len();
    let needs_end = descending || !last;
    match *value {
        Value::Null => out.push(0),
        Value::Bytes(bytes) => {
            out.push(1);
            match needs_end {
                true => put_escaped(out, bytes),
                false => out.extend(bytes),
            }
        }
        Value::Decimal(number) => {
            put_decimal(out, number);
            if !needs_end && number.mantissa >= 0 {
                out.truncate(out.len() - 1);
            }
        }
        Value::Float(number) => {
            out.push(1);
            put_float(out, number);
        }
    }
    if descending {
        out.as_mut_slice()[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Appends the sort key of a row whose cells `cell` gives by index.
#[inline]
pub fn put_sort_keys<'a>(out: &mut Buffer, keys: &[SortKey], cell: impl Fn(usize) -> Value<'a>) {
    for (i, key) in keys.iter().enumerate() {
        put_sort_key(out, &cell(key.index), key.descending, i + 1 == keys.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Decimal;
    use proptest::prelude::*;

    fn encode(value: Value<'_>, descending: bool, last: bool) -> Vec<u8> {
        let mut out = Buffer::default();
        put_sort_key(&mut out, &value, descending, last);
        out.as_slice().to_vec()
    }

    fn number(text: &str) -> Value<'static> {
        Value::Decimal(Decimal::parse(text.as_bytes()).unwrap())
    }

    /// Least first.
    fn columns() -> [Vec<Value<'static>>; 3] {
        let texts = [&b""[..], b"\0", b"\0\0", b"\0a", b"a", b"a\0", b"a\0b", b"ab", b"\xff"].map(Value::Bytes);
        let decimals = ["-70000", "-1.5", "-1", "-0.5", "0", "0.5", "1", "1.05", "2", "255", "256", "65536", "1e30"];
        let floats = [f64::NEG_INFINITY, -1e300, -0.5, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN].map(Value::Float);
        [texts.into(), decimals.map(number).into(), floats.into()]
            .map(|values: Vec<_>| [vec![Value::Null], values].concat())
    }

    #[test]
    fn sort_keys_sort_as_values() {
        for values in columns() {
            for pair in values.windows(2) {
                assert!(pair[0] < pair[1], "{pair:?}");
                for last in [false, true] {
                    assert!(encode(pair[0], false, last) < encode(pair[1], false, last), "{pair:?}");
                    assert!(encode(pair[0], true, last) > encode(pair[1], true, last), "{pair:?}");
                }
            }
        }
    }

    #[test]
    fn only_the_last_column_can_begin_another() {
        for values in columns() {
            for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b) {
                for descending in [false, true] {
                    assert!(!encode(b, descending, false).starts_with(&encode(a, descending, false)), "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn equal_numbers_have_equal_keys() {
        let forms = [Decimal { mantissa: 20, scale: 1 }, Decimal { mantissa: 2, scale: 0 }].map(Value::Decimal);
        assert_eq!(encode(forms[0], false, true), encode(forms[1], false, true));
        assert_eq!(encode(Value::Float(-0.0), true, false), encode(Value::Float(0.0), true, false));
    }

    proptest! {
        /// A count takes a byte more than its digits need, and one to end it.
        #[test]
        fn counts_are_short(count in any::<u64>(), shift in 0u32..64) {
            let count = count >> shift;
            let len = (64 - count.leading_zeros() as usize).div_ceil(8);
            prop_assert_eq!(encode(Value::Decimal(count.into()), true, false).len(), len + 2);
            prop_assert_eq!(encode(Value::Decimal(count.into()), false, true).len(), len + 1);
        }
    }
}
