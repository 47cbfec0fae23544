//! The laws of a commutative monoid, as a check for the tests of every aggregate. [`Longest`] is an aggregate with a
//! tail: tests of the machinery use it, so that they don't depend on what the built-in aggregates need.
//!
//! A state is made by observing records one by one into a slot. However the records are split among slots and the slots
//! are merged, the finished value must be the same. A state must also survive being written to a row and read back.

use super::{Aggregate, Overflow};
use crate::data::buffer::Buffer;
use crate::data::columns::Growing;
use crate::data::{Column, Decimal, Kind, Span, Value};
use crate::shuffle::RowShape;
use crate::shuffle::row::{Values, get_row};
use crate::table::{Arena, Group, SlotKey, StateColumn, States, Tail, TailPlace};

/// The longest of the observed strings; of equally long strings the greatest by bytes. The state is all in the tail.
/// The empty string is the identity, because it is never longer than another.
#[derive(Debug)]
pub struct Longest {
    pub column: usize,
}

const PLACE: TailPlace = TailPlace::in_word(0);

impl Longest {
    fn take(states: &mut States<'_>, slot: u32, other: &[u8]) {
        let own = states.tail(slot, PLACE.word);
        if (other.len(), other) > (own.len(), own) {
            states.set_tail(slot, PLACE.word, other);
        }
    }
}

impl Aggregate for Longest {
    fn kind(&self, _: usize) -> Kind {
        Kind::Bytes
    }

    fn words(&self) -> usize {
        1
    }

    fn tail(&self) -> Option<TailPlace> {
        Some(PLACE)
    }

    fn identity(&self, words: &mut [u64]) {
        words[0] = 0;
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        for (i, &slot) in slots.iter().enumerate() {
            if let Value::Bytes(bytes) = observed[self.column].value(i) {
                Self::take(states, slot, bytes);
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        slots.iter().enumerate().for_each(|(i, &slot)| Self::take(states, slot, others.tail(i)));
    }

    fn finish<'a>(&self, _: usize, _: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        Ok(Value::Bytes(tail))
    }
}

/// A cell of an observed column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Bytes(Vec<u8>),
    Decimal(Decimal),
    Float(f64),
}

impl Cell {
    fn bytes(&self) -> &[u8] {
        if let Cell::Bytes(bytes) = self { bytes } else { &[] }
    }
}

/// Calls `with` with the columns of one record.
pub fn with_columns<T>(kinds: &[Kind], record: &[Cell], with: impl FnOnce(&[Column<'_>]) -> T) -> T {
    let data = record.iter().map(Cell::bytes).collect::<Vec<_>>().concat();
    let mut at = 0;
    let growing: Vec<_> = kinds
        .iter()
        .zip(record)
        .map(|(kind, cell)| {
            let mut growing = Growing::new(*kind);
            match (&mut growing, cell) {
                (growing, Cell::Null) => growing.push_null(),
                (Growing::Bytes(spans), Cell::Bytes(bytes)) => {
                    at += bytes.len();
                    spans.push(Span::of(at - bytes.len()..at));
                }
                (Growing::Decimal(decimals), Cell::Decimal(number)) => decimals.push(Some(*number)),
                (Growing::Float(floats), Cell::Float(number)) => floats.push(Some(*number)),
                (_, cell) => panic!("{cell:?} is not {kind:?}"),
            }
            growing
        })
        .collect();
    with(&growing.iter().map(|growing| growing.column(&data)).collect::<Vec<_>>())
}

/// One aggregate's states in slots without keys.
struct Slots<'a> {
    aggregate: &'a dyn Aggregate,
    kinds: &'a [Kind],
    shape: RowShape,
    words: Vec<u64>,
    arena: Arena,
}

impl<'a> Slots<'a> {
    fn new(aggregate: &'a dyn Aggregate, kinds: &'a [Kind], slots: usize) -> Self {
        let shape = RowShape::new([aggregate].into_iter(), kinds);
        Slots { aggregate, kinds, words: shape.identity.repeat(slots), shape, arena: Arena::default() }
    }

    fn states(&mut self) -> States<'_> {
        let words = self.aggregate.words();
        let stride = self.shape.identity.len();
        States { slots: &mut self.words, stride, first: 0, words, arena: &mut self.arena }
    }

    fn observe(&mut self, slot: u32, record: &[Cell]) {
        let aggregate = self.aggregate;
        let (before, bytes) = (self.arena.len(), record.iter().map(|cell| cell.bytes().len()).sum());
        with_columns(self.kinds, record, |columns| aggregate.observe(&mut self.states(), &[slot], columns));
        self.no_more_than(before, bytes);
    }

    /// Merges slot `from` into slot `to`, through the row that would carry the state.
    fn merge(&mut self, to: u32, from: u32) {
        let stride = self.shape.identity.len();
        let states = self.words[from as usize * stride..][..stride].to_vec();
        let mut out = Buffer::default();
        let group = Group { hash: 0, key: SlotKey::Inline([0; 2], 0), states: &states };
        self.shape.put_group(&mut out, &group, &self.arena);
        let data = out.as_slice();
        let (before, bytes) = (self.arena.len(), data.len());
        let row = get_row(data, &mut 0).expect("the row just written");
        let aggregate = self.aggregate;
        if row.is_state {
            let mut tails = Vec::new();
            self.shape.tails(data, &row, |tail| tails.push(tail)).expect("a row of this shape");
            let words_at = [self.shape.aggregates[0].words_at(row.payload)];
            aggregate.merge(&mut self.states(), &[to], &StateColumn { data, words_at: &words_at, tails: &tails });
        } else {
            let mut values = Values::new(self.kinds);
            values.push(data, &row).expect("a row of this shape");
            aggregate.observe(&mut self.states(), &[to], &values.columns(data));
        }
        self.no_more_than(before, bytes);
    }

    /// Checks that a state took no more of the arena than its aggregate says. The code that limits arenas relies on
    /// this.
    fn no_more_than(&self, before: usize, bytes: usize) {
        assert!(self.arena.len() - before <= self.aggregate.tail_growth().most(before, bytes, 1));
    }

    /// Returns the slot's value with this number, as `Debug` shows it.
    fn finish(&self, slot: u32, number: usize) -> String {
        let stride = self.shape.identity.len();
        let words = &self.words[slot as usize * stride..][..stride];
        let tail = self.aggregate.tail().map_or(Tail::default(), |place| place.of(words));
        format!("{:?}", self.aggregate.finish(number, words, self.arena.get(tail)))
    }
}

/// Checks the laws on `records`. Each record has a cell for each observed column, of these kinds. `deal` assigns each
/// record to one of three states (a number below 3 for each record). Returns the finished value with this number, as
/// `Debug` shows it.
pub fn hold(aggregate: &dyn Aggregate, number: usize, kinds: &[Kind], records: &[Vec<Cell>], deal: &[usize]) -> String {
    let all = |order: &mut dyn Iterator<Item = &Vec<Cell>>| {
        let mut slots = Slots::new(aggregate, kinds, 1);
        order.for_each(|record| slots.observe(0, record));
        slots.finish(0, number)
    };
    let expected = all(&mut records.iter());
    assert_eq!(all(&mut records.iter().rev()), expected, "in any order");

    // Slots 0, 1 and 2 hold a part each; slots 3 and 4 hold nothing.
    let dealt = || {
        let mut slots = Slots::new(aggregate, kinds, 5);
        records.iter().zip(deal).for_each(|(record, &slot)| slots.observe(slot as u32, record));
        slots
    };
    for (result, merges) in [
        (0, &[(0, 1), (0, 2)][..]),                     // (a b) c
        (0, &[(1, 2), (0, 1)]),                         // a (b c)
        (2, &[(2, 1), (2, 0)]),                         // c b a
        (3, &[(3, 0), (3, 1), (3, 2)]),                 // the identity on the left
        (0, &[(0, 3), (0, 1), (3, 4), (0, 2), (0, 3)]), // the identity on the right
    ] {
        let mut slots = dealt();
        merges.iter().for_each(|&(to, from)| slots.merge(to, from));
        assert_eq!(slots.finish(result, number), expected, "merged as {merges:?}");
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn longest(
            values in prop::collection::vec("[ab]{0,4}".prop_map(|text| vec![Cell::Bytes(text.into_bytes())]), 0..12),
            deal in prop::collection::vec(0usize..3, 12),
        ) {
            hold(&Longest { column: 0 }, 0, &[Kind::Bytes], &values, &deal);
        }
    }
}
