//! Sort keys: the cells that rows are ordered by, as bytes that sort as they do.

use crate::data::Value;
use crate::data::buffer::Buffer;

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
pub fn put_sort_key(out: &mut Buffer, value: &Value<'_>, descending: bool, last: bool) {
    let start = out.len();
    match *value {
        Value::Null => out.push(0),
        Value::Decimal(number) => crate::data::ordered::put_decimal(out, number),
        Value::Float(number) => crate::data::ordered::put_float(out, number),
        Value::Bytes(bytes) if last && !descending => {
            out.push(1);
            out.extend(bytes);
        }
        Value::Bytes(bytes) => {
            out.push(1);
            crate::data::key::put_escaped(out, bytes);
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

    #[test]
    fn sort_keys_sort_as_values() {
        let encode = |value, descending| {
            let mut out = Buffer::default();
            put_sort_key(&mut out, &value, descending, false);
            out.as_slice().to_vec()
        };
        let numbers =
            [0, 1, 2, 255, 256, 257, 65535, 65536, u64::MAX - 1, u64::MAX].map(|n: u64| Value::Decimal(n.into()));
        let strings = [&b""[..], b"\0", b"\0\0", b"\0a", b"a", b"a\0", b"a\0b", b"ab", b"\xff"].map(Value::Bytes);
        for values in [&numbers[..], &strings] {
            for pair in values.windows(2) {
                assert!(encode(Value::Null, false) < encode(pair[0].clone(), false));
                assert!(encode(pair[0].clone(), false) < encode(pair[1].clone(), false), "{pair:?}");
                assert!(encode(pair[0].clone(), true) > encode(pair[1].clone(), true), "{pair:?}");
            }
        }
    }
}
