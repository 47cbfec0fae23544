//! The shared implementation of `first`, `last`, `argmin` and `argmax`. Each of them chooses one record of a group, by
//! the record's position in the input, by the field `by`, or by both. The result is the chosen record's value.
//!
//! ```text
//! word 0      0 if no record is chosen, else 1
//! word 1, 2   the record's position in the input, 128 bits, low word first
//! word 3      where the tail lies, or 0
//! tail        if there is a field `by`: the length of that field's value, 4 bytes little-endian, and the value itself,
//!             in a form that sorts as the values do; then the record's value
//! ```
//!
//! No two records have the same position, so the choice doesn't depend on the order of records. A record isn't a
//! candidate if its value or its field `by` is null.

use std::cmp::Ordering;

use super::{Aggregate, Made, Observed, Overflow, TailGrowth};
use crate::data::buffer::Buffer;
use crate::data::ordered::{put_decimal, put_float};
use crate::data::{Column, Decimal, Kind, Value};
use crate::table::{StateColumn, States, TailPlace};

/// Which record of a group is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Whether the record with the greatest value of the field `by` is chosen, not the least.
    pub greatest: bool,
    /// Whether the last of several records with equal values of `by` is chosen, not the first. Without a `by`, all are
    /// equal.
    pub last: bool,
}

impl Rule {
    pub fn of(self, observed: &Observed) -> Made {
        let (value, kind) = observed.column();
        let position = observed.position.expect("its place is observed");
        Made::Own(Box::new(Chosen { rule: self, value, kind, by: observed.by, position }))
    }
}

#[derive(Debug)]
struct Chosen {
    rule: Rule,
    value: usize,
    /// Kind of the value.
    kind: Kind,
    by: Option<usize>,
    position: usize,
}

const WORDS: usize = 4;
const PLACE: TailPlace = TailPlace::in_word(3);

impl Chosen {
    /// Splits a tail into the value of the field `by`, which is empty if there is no such field, and the record's
    /// value.
    fn parts<'a>(&self, tail: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        match (self.by, tail.split_first_chunk()) {
            (Some(_), Some((len, rest))) => rest.split_at(u32::from_le_bytes(*len) as usize),
            _ => (&[], tail),
        }
    }

    /// Whether the record at this position should replace the one in the slot's state.
    fn is_better(&self, states: &mut States<'_>, slot: u32, position: u128, by: &[u8]) -> bool {
        let [is_there, low, high, _] = *states.array::<WORDS>(slot);
        if is_there == 0 {
            return true;
        }
        let by = match self.by {
            None => Ordering::Equal,
            Some(_) => by.cmp(self.parts(states.tail(slot, PLACE.word)).0),
        };
        match by {
            Ordering::Equal => (position > join(low, high)) == self.rule.last,
            by => by.is_gt() == self.rule.greatest,
        }
    }
}

fn join(low: u64, high: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

fn take(states: &mut States<'_>, slot: u32, position: u128, tail: &[u8]) {
    states.set_tail(slot, PLACE.word, tail);
    let words = states.array::<WORDS>(slot);
    (words[0], words[1], words[2]) = (1, position as u64, (position >> 64) as u64);
}

/// Appends a value in a form that sorts as the value does among those of its column.
fn put_by(out: &mut Buffer, value: Value<'_>) {
    match value {
        Value::Bytes(bytes) | Value::Json(bytes) => out.extend(bytes),
        Value::Decimal(number) => put_decimal(out, number),
        Value::Float(number) => put_float(out, number),
        Value::Null => {}
    }
}

/// Appends the value of record `i` unchanged.
fn put_value(out: &mut Buffer, column: &Column<'_>, i: usize) {
    match column {
        Column::Bytes(column) | Column::Json(column) => out.extend(column.get(i)),
        Column::Decimal(column) => {
            let Decimal { mantissa, scale } = column.numbers.get(i);
            out.push(scale);
            out.extend(&mantissa.to_le_bytes());
        }
        Column::Float(column) => out.extend(&column.values[i].to_le_bytes()),
    }
}

/// Reads what [`put_value`] appended.
fn value(bytes: &[u8], kind: Kind) -> Value<'_> {
    const SHORT: &str = "a value has all its bytes";
    match kind {
        Kind::Bytes => Value::Bytes(bytes),
        Kind::Json => Value::of_json(bytes),
        Kind::Decimal | Kind::Timestamp(_) => {
            let (scale, mantissa) = bytes.split_first().expect(SHORT);
            Value::Decimal(Decimal { mantissa: i128::from_le_bytes(mantissa.try_into().expect(SHORT)), scale: *scale })
        }
        Kind::Float => Value::Float(f64::from_le_bytes(bytes.try_into().expect(SHORT))),
    }
}

impl Aggregate for Chosen {
    fn kind(&self, _: usize) -> Kind {
        self.kind
    }

    fn words(&self) -> usize {
        WORDS
    }

    fn tail(&self) -> Option<TailPlace> {
        Some(PLACE)
    }

    fn tail_growth(&self) -> TailGrowth {
        // 64 bytes are enough for two numbers and a length. A text is in the tail twice if it is also the value of
        // `by`.
        TailGrowth { each: 64, copies: usize::from(self.by.is_some()) }
    }

    fn identity(&self, words: &mut [u64]) {
        words.fill(0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let (values, by) = (&observed[self.value], self.by.map(|by| &observed[by]));
        let Column::Decimal(positions) = observed[self.position] else { unreachable!("a position is a number") };
        let (mut tail, mut key) = (Buffer::default(), Buffer::default());
        let mut offer = |i: usize| {
            let (slot, position) = (slots[i], positions.numbers.get(i).mantissa.cast_unsigned());
            key.clear();
            match by.map(|by| by.value(i)) {
                Some(Value::Null) => return,
                Some(by) => put_by(&mut key, by),
                None => {}
            }
            if values.is_null(i) || !self.is_better(states, slot, position, key.as_slice()) {
                return;
            }
            tail.clear();
            if by.is_some() {
                tail.extend(&(key.len() as u32).to_le_bytes());
                tail.extend(key.as_slice());
            }
            put_value(&mut tail, values, i);
            take(states, slot, position, tail.as_slice());
        };
        // If the last record is chosen, the records are offered from the end: the first one offered is mostly the one
        // chosen.
        match self.rule.last {
            true => (0..slots.len()).rev().for_each(&mut offer),
            false => (0..slots.len()).for_each(&mut offer),
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            let [is_there, low, high, _] = others.words::<WORDS>(i);
            let (position, tail) = (join(low, high), others.tail(i));
            if is_there != 0 && self.is_better(states, slot, position, self.parts(tail).0) {
                take(states, slot, position, tail);
            }
        }
    }

    fn finish<'a>(&self, _: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        Ok(if words[0] == 0 { Value::Null } else { value(self.parts(tail).1, self.kind) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cell};
    use proptest::prelude::*;

    fn cell(kind: Kind, number: Option<u8>) -> Cell {
        match (kind, number) {
            (_, None) => Cell::Null,
            (Kind::Float, Some(number)) => Cell::Float(f64::from(number) - 1.5),
            (Kind::Decimal, Some(number)) => Cell::Decimal(Decimal { mantissa: i128::from(number) - 2, scale: 1 }),
            (_, Some(number)) => Cell::Bytes(b"ab\0cd"[..number.into()].to_vec()),
        }
    }

    proptest! {
        #[test]
        fn obeys_the_laws(
            records in prop::collection::vec((prop::option::of(0u8..5), prop::option::of(0u8..3)), 0..12),
            places in Just((0..12).collect::<Vec<_>>()).prop_shuffle(),
            deal in prop::collection::vec(0usize..3, 12),
            kinds in prop::array::uniform2(prop::sample::select(vec![Kind::Bytes, Kind::Decimal, Kind::Float])),
        ) {
            let position = |place: i128| Decimal { mantissa: place << 90, scale: 0 };
            let cells: Vec<_> = records
                .iter()
                .zip(&places)
                .map(|((value, by), &place)| {
                    vec![cell(kinds[0], *value), cell(kinds[1], *by), Cell::Decimal(position(place))]
                })
                .collect();
            for (by, greatest, last) in
                [(None, false, false), (None, false, true), (Some(1), false, false), (Some(1), true, false)]
            {
                let chosen = Chosen { rule: Rule { greatest, last }, value: 0, kind: kinds[0], by, position: 2 };
                let found = laws::hold(&chosen, 0, &[kinds[0], kinds[1], Kind::Decimal], &cells, &deal);
                let candidates = records.iter().zip(&places).filter(|((value, key), _)| {
                    value.is_some() && (by.is_none() || key.is_some())
                });
                // Of equal records, the first or the last one.
                let rank = |((_, key), place): &(&(Option<u8>, Option<u8>), &i128)| {
                    let key = by.map_or(0, |_| i16::from(key.unwrap_or_default()));
                    (if greatest { -key } else { key }, if last { -**place } else { **place })
                };
                let best = candidates.min_by_key(rank).and_then(|((value, _), _)| *value);
                let best = cell(kinds[0], best);
                let expected = match &best {
                    Cell::Null => Value::Null,
                    Cell::Bytes(bytes) => Value::Bytes(bytes),
                    Cell::Decimal(number) => Value::Decimal(*number),
                    Cell::Float(number) => Value::Float(*number),
                };
                prop_assert_eq!(found, format!("{:?}", Ok::<_, Overflow>(expected)));
            }
        }
    }
}
