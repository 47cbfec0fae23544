//! What `first`, `last`, `argmin` and `argmax` have in common: the value of one of a group's records, chosen by another field, by
//! the place in the input, or by both.
//!
//! ```text
//! word 0      0 for none, else 1
//! word 1, 2   the record's position in the input, 128 bits, low word first
//! word 3      where the tail lies, or 0
//! tail        the value; where it is chosen by a field, behind the length of what that has, 4 bytes little-endian, and what it
//!             has, in a form that sorts as it does
//! ```
//!
//! No two records have one position, so there is one record to choose in any order. A record whose value is null, or what it
//! is chosen by, isn't one of them.

use std::cmp::Ordering;

use super::{Aggregate, Made, Observed, Overflow, TailGrowth};
use crate::data::buffer::Buffer;
use crate::data::ordered::{put_decimal, put_float};
use crate::data::{Column, Decimal, Kind, Value};
use crate::table::{StateColumn, States, TailPlace};

/// Which of the records.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The greatest of what it is chosen by, and not the least.
    pub greatest: bool,
    /// The last of several that are alike in it, and not the first.
    pub last: bool,
}

impl Rule {
    pub fn of(self, observed: &Observed) -> Made {
        let (value, kind) = observed.column();
        let position = observed.position.expect("its place is observed");
        Made::Own(Box::new(Chosen { choice: self, value, kind, by: observed.by, position }))
    }
}

#[derive(Debug)]
struct Chosen {
    choice: Rule,
    value: usize,
    /// Of the value.
    kind: Kind,
    by: Option<usize>,
    position: usize,
}

const WORDS: usize = 4;
const PLACE: TailPlace = TailPlace::in_word(3);

impl Chosen {
    /// What a tail says that the record is chosen by, and its value.
    fn parts<'a>(&self, tail: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        match (self.by, tail.split_first_chunk()) {
            (Some(_), Some((len, rest))) => rest.split_at(u32::from_le_bytes(*len) as usize),
            _ => (&[], tail),
        }
    }

    /// Whether the state of the slot is to be that of the record at this position.
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
            Ordering::Equal => (position > join(low, high)) == self.choice.last,
            by => by.is_gt() == self.choice.greatest,
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

/// Appends a value in a form that sorts as it does, among those of its column.
fn put_by(out: &mut Buffer, value: Value<'_>) {
    match value {
        Value::Bytes(bytes) | Value::Json(bytes) => out.extend(bytes),
        Value::Decimal(number) => put_decimal(out, number),
        Value::Float(number) => put_float(out, number),
        Value::Null => {}
    }
}

/// Appends the value of record `i` as it is.
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

/// What [`put_value`] put.
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
        // Two numbers and a length. A text may be there twice, where it is what it is chosen by.
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
        // Of those that the input has later, the first to be offered is mostly the one.
        match self.choice.last {
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
                let chosen = Chosen { choice: Rule { greatest, last }, value: 0, kind: kinds[0], by, position: 2 };
                let found = laws::hold(&chosen, 0, &[kinds[0], kinds[1], Kind::Decimal], &cells, &deal);
                let candidates = records.iter().zip(&places).filter(|((value, key), _)| {
                    value.is_some() && (by.is_none() || key.is_some())
                });
                // Of what is alike the first, or the last.
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
