//! Sort keys: encode the cells that rows are ordered by as bytes, so that comparing bytes orders the rows.

use crate::data::buffer::Buffer;
use crate::data::escaped::{escape_from, put_escaped, take_escaped};
use crate::data::ordered::{get_decimal, get_float, put_decimal, put_float};
use crate::data::{Decimal, Kind, Value};

/// The order of output rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Any order: rows are written as they come.
    Free,
    /// By these columns. The list ends where it determines the order: once it holds every `group_by` column, no two
    /// rows are equal.
    By(SortKeys),
}

/// The columns that rows are sorted by.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKeys {
    pub keys: Vec<SortKey>,
    /// Set if only some rows of each group are wanted.
    pub per_group: Option<PerGroup>,
}

impl From<Vec<SortKey>> for SortKeys {
    fn from(keys: Vec<SortKey>) -> Self {
        SortKeys { keys, per_group: None }
    }
}

/// Says that of the rows that agree in the first columns they are sorted by, only the first are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerGroup {
    /// How many of the columns make a group; at least one.
    pub columns: usize,
    pub limit: u64,
}

/// A column that rows are sorted by, and its direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SortKey {
    /// Index of a group's cell, or of a record's field.
    pub index: usize,
    pub descending: bool,
}

const TEXT: u8 = 1;
const JSON: u8 = 0xf0;

/// Appends one column of a sort key. Its bytes sort as the values do, null first. No column's bytes begin another's,
/// unless it is the `last` column.
///
/// ```text
/// null      00
/// text      01 · bytes, with 00 written 00 FF · 00 00
/// decimal   as drawn in ordered.rs; begins with 6F to 90
/// float     01 · as drawn in ordered.rs
/// JSON      strings and numbers as above; else F0 · as text
/// ```
///
/// The end mark of a text, or of a decimal that isn't negative, is left out in the last column if it is ascending. A
/// negative decimal keeps its end mark, which sorts -1 after -1.5. In a descending column all bytes are complemented.
#[inline]
pub fn put_sort_key(out: &mut Buffer, value: &Value<'_>, descending: bool, last: bool) {
    let start = out.len();
    let needs_end = descending || !last;
    match *value {
        Value::Null => out.push(0),
        Value::Bytes(bytes) => put_text(out, TEXT, bytes, needs_end),
        Value::Decimal(number) => put_number(out, number, needs_end),
        Value::Json(json) => put_json(out, json, needs_end),
        Value::Float(number) => {
            out.push(1);
            put_float(out, number);
        }
    }
    if descending {
        out.as_mut_slice()[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Out of line, so that the code for the kinds that nearly all rows consist of stays together.
#[inline(never)]
fn put_json(out: &mut Buffer, json: &[u8], needs_end: bool) {
    match Value::Json(json).resolved() {
        Value::Decimal(number) => put_number(out, number, needs_end),
        _ => put_text(out, JSON, json, needs_end),
    }
}

#[inline(always)]
fn put_text(out: &mut Buffer, mark: u8, bytes: &[u8], needs_end: bool) {
    out.push(mark);
    match needs_end {
        true => put_escaped(out, bytes),
        false => out.extend(bytes),
    }
}

#[inline]
fn put_number(out: &mut Buffer, number: Decimal, needs_end: bool) {
    put_decimal(out, number);
    if !needs_end && number.mantissa >= 0 {
        out.truncate(out.len() - 1);
    }
}

impl SortKeys {
    /// Splits the columns into those that make a group, and the others. Without a limit for each group no column makes
    /// one.
    fn parts(&self) -> (&[SortKey], &[SortKey]) {
        self.keys.split_at(self.per_group.map_or(0, |group| group.columns))
    }

    /// Appends the sort key of a row. `cell` returns a cell by its index.
    ///
    /// If rows have groups, the key begins with that of the group, which [`escaped`](crate::data::escaped) gives an end
    /// of its own. So the group's bytes are known to whoever handles keys without their columns.
    #[inline]
    pub fn put<'a>(&self, out: &mut Buffer, cell: impl Fn(usize) -> Value<'a>) {
        if self.per_group.is_some() {
            self.put_group(out, &cell);
        }
        put_all(out, self.parts().1, cell);
    }

    fn put_group<'a>(&self, out: &mut Buffer, cell: impl Fn(usize) -> Value<'a>) {
        let start = out.len();
        put_all(out, self.parts().0, cell);
        escape_from(out, start);
    }

    /// The columns that rows are divided by: those of the group if rows have groups, so that no group is in two ranges.
    pub fn dividing(&self) -> &[SortKey] {
        if self.per_group.is_some() { self.parts().0 } else { &self.keys }
    }

    /// Appends what a row's sort key begins with: the bytes of the columns that rows are divided by.
    pub fn put_dividing<'a>(&self, out: &mut Buffer, cell: impl Fn(usize) -> Value<'a>) {
        match self.per_group {
            Some(_) => self.put_group(out, cell),
            None => put_all(out, &self.keys, cell),
        }
    }
}

#[inline]
fn put_all<'a>(out: &mut Buffer, keys: &[SortKey], cell: impl Fn(usize) -> Value<'a>) {
    for (i, key) in keys.iter().enumerate() {
        put_sort_key(out, &cell(key.index), key.descending, i + 1 == keys.len());
    }
}

/// Takes one column of this kind off the front of a sort key. The bytes of a text go to `text`. Returns `None` if there
/// is no such column.
pub fn take_sort_key<'t>(
    key: &mut &[u8],
    kind: Kind,
    descending: bool,
    last: bool,
    text: &'t mut Vec<u8>,
) -> Option<Value<'t>> {
    let needs_end = descending || !last;
    let mut plain: Vec<u8> = key.iter().map(|byte| if descending { !byte } else { *byte }).collect();
    text.clear();
    let (value, taken) = match (*plain.first()?, kind) {
        (0, _) => (Value::Null, 1),
        (mark @ TEXT, Kind::Bytes | Kind::Json) | (mark @ JSON, Kind::Json) => {
            let rest = match needs_end {
                true => take_escaped(&plain[1..], text)?.len(),
                false => {
                    text.extend(&plain[1..]);
                    0
                }
            };
            (if mark == JSON { Value::Json(text) } else { Value::Bytes(text) }, plain.len() - rest)
        }
        (_, Kind::Decimal | Kind::Timestamp(_) | Kind::Json) => {
            plain.extend((!needs_end).then_some(0));
            let (number, rest) = get_decimal(&plain)?;
            (Value::Decimal(number), plain.len() - rest.len())
        }
        (_, Kind::Bytes) => return None,
        (_, Kind::Float) => (Value::Float(get_float(&plain[1..])?.0), 9),
    };
    *key = &key[taken.min(key.len())..];
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(value: Value<'_>, descending: bool, last: bool) -> Vec<u8> {
        let mut out = Buffer::default();
        put_sort_key(&mut out, &value, descending, last);
        out.as_slice().to_vec()
    }

    fn number(text: &str) -> Value<'static> {
        Value::Decimal(Decimal::parse(text.as_bytes()).unwrap())
    }

    /// Values of each kind, least first.
    fn columns() -> [Vec<Value<'static>>; 4] {
        let texts = [&b""[..], b"\0", b"\0\0", b"\0a", b"a", b"a\0", b"a\0b", b"ab", b"\xff"].map(Value::Bytes);
        let decimals = ["-70000", "-1.5", "-1", "-0.5", "0", "0.5", "1", "1.05", "2", "255", "256", "65536", "1e30"];
        let floats = [f64::NEG_INFINITY, -1e300, -0.5, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN].map(Value::Float);
        let json = [&b"1e999"[..], b"2e999", b"[1]", b"true"].map(Value::Json);
        let json =
            [Value::Bytes(b""), Value::Bytes(b"1"), Value::Json(b"-1.50"), Value::Json(b"1")].into_iter().chain(json);
        [texts.into(), decimals.map(number).into(), floats.into(), json.collect()]
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

    /// Two columns of a row come back one after the other, for all pairs of values of each kind.
    #[test]
    fn what_is_taken_off_is_what_was_put() {
        let kinds = [Kind::Bytes, Kind::Decimal, Kind::Float, Kind::Json];
        for (values, kind) in columns().into_iter().zip(kinds) {
            for (value, next) in values.iter().flat_map(|value| values.iter().map(move |next| (*value, *next))) {
                for descending in [[false, false], [false, true], [true, false], [true, true]] {
                    let mut key = Buffer::default();
                    put_sort_key(&mut key, &value, descending[0], false);
                    put_sort_key(&mut key, &next, descending[1], true);
                    let (mut rest, mut text) = (key.as_slice(), Vec::new());
                    assert_eq!(take_sort_key(&mut rest, kind, descending[0], false, &mut text), Some(value));
                    assert_eq!(take_sort_key(&mut rest, kind, descending[1], true, &mut text), Some(next));
                    assert_eq!(rest, b"");
                    assert_eq!(take_sort_key(&mut rest, kind, false, true, &mut text), None);
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

    /// A sort key begins with the bytes that rows are divided by: those of its group, which end by themselves.
    #[test]
    fn groups_are_what_sort_keys_begin_with() {
        use crate::data::escaped::escaped_len;
        let values = columns().concat();
        for (group, other) in values.iter().flat_map(|group| values.iter().map(move |other| (*group, *other))) {
            for (index, descending) in [(0, false), (0, true), (1, false), (1, true)] {
                let key = |index| SortKey { index, descending };
                let per_group = Some(PerGroup { columns: 1, limit: 1 });
                let order = SortKeys { keys: vec![key(index), key(1 - index)], per_group };
                let (mut whole, mut dividing) = (Buffer::default(), Buffer::default());
                order.put(&mut whole, |index| [group, other][index]);
                order.put_dividing(&mut dividing, |index| [group, other][index]);
                let end = escaped_len(whole.as_slice()).unwrap();
                assert_eq!(&whole.as_slice()[..end], dividing.as_slice());
                assert_eq!(&whole.as_slice()[end..], encode([other, group][index], descending, true));
            }
        }
    }

    proptest! {
        /// A count takes one byte more than its digits need, and one more to end it.
        #[test]
        fn counts_are_short(count in any::<u64>(), shift in 0u32..64) {
            let count = count >> shift;
            let len = (64 - count.leading_zeros() as usize).div_ceil(8);
            prop_assert_eq!(encode(Value::Decimal(count.into()), true, false).len(), len + 2);
            prop_assert_eq!(encode(Value::Decimal(count.into()), false, true).len(), len + 1);
        }
    }
}
