//! The laws of a commutative monoid, for the tests of every aggregate; and an aggregate with a tail to test the
//! machinery with, while no built-in one has any.
//!
//! A state is made by observing records one by one into a slot. Whatever way the records are split among slots and
//! the slots merged, the finished value must be the same, and a state must survive its row.

use super::{Aggregate, Input};
use crate::data::buffer::Buffer;
use crate::data::{Bytes, Span, Value};
use crate::shuffle::Shape;
use crate::shuffle::row::get_row;
use crate::table::{Arena, Group, Key, StateColumn, States, Tail};

/// The longest of the observed strings; of equally long ones the greatest by bytes. All in its tail: the empty string,
/// which is never longer than another, is the identity.
#[derive(Debug)]
pub struct Longest;

impl Longest {
    fn take(states: &mut States<'_>, slot: u32, other: &[u8]) {
        let own = states.tail(slot);
        if (other.len(), other) > (own.len(), own) {
            states.set_tail(slot, other);
        }
    }
}

impl Aggregate for Longest {
    fn input(&self) -> Input {
        Input::Bytes
    }

    fn words(&self) -> usize {
        0
    }

    fn has_tail(&self) -> bool {
        true
    }

    fn identity(&self, _: &mut [u64]) {}

    fn observe(&self, states: &mut States<'_>, slots: &[u32], values: Bytes<'_>) {
        slots.iter().enumerate().for_each(|(i, &slot)| Self::take(states, slot, values.get(i)));
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        slots.iter().enumerate().for_each(|(i, &slot)| Self::take(states, slot, others.tail(i)));
    }

    fn finish<'a>(&self, _: &[u64], tail: &'a [u8]) -> Value<'a> {
        Value::Bytes(tail)
    }
}

/// One aggregate's states in slots without keys.
struct Slots<'a> {
    aggregate: &'a dyn Aggregate,
    shape: Shape,
    words: Vec<u64>,
    arena: Arena,
}

impl<'a> Slots<'a> {
    fn new(aggregate: &'a dyn Aggregate, slots: usize) -> Self {
        let shape = Shape::new([aggregate].into_iter());
        Slots { aggregate, words: shape.identity.repeat(slots), shape, arena: Arena::default() }
    }

    fn states(&mut self) -> States<'_> {
        let words = self.aggregate.words();
        let stride = self.shape.identity.len();
        States { slots: &mut self.words, stride, first: 0, words, arena: &mut self.arena }
    }

    fn observe(&mut self, slot: u32, value: &[u8]) {
        let spans = match self.aggregate.input() {
            Input::Nothing => &[][..],
            Input::Bytes => &[Span { start: 0, end: value.len() as u32 }],
        };
        let aggregate = self.aggregate;
        aggregate.observe(&mut self.states(), &[slot], Bytes { data: value, spans });
    }

    /// Merges slot `from` into slot `to`, through the row that would carry it.
    fn merge(&mut self, to: u32, from: u32) {
        let stride = self.shape.identity.len();
        let states = self.words[from as usize * stride..][..stride].to_vec();
        let mut out = Buffer::default();
        let group = Group { hash: 0, key: Key::Inline([0; 2], 0), states: &states };
        self.shape.put_group(&mut out, &group, &self.arena);
        let data = out.as_slice();
        let row = get_row(data, &mut 0).expect("the row just written");
        let mut tails = Vec::new();
        self.shape.tails(data, &row, |tail| tails.push(tail)).expect("a row of this shape");
        let aggregate = self.aggregate;
        if row.is_state {
            let words_at = [self.shape.aggregates[0].words_at(row.payload)];
            aggregate.merge(&mut self.states(), &[to], &StateColumn { data, words_at: &words_at, tails: &tails });
        } else {
            aggregate.observe(&mut self.states(), &[to], Bytes { data, spans: &tails });
        }
    }

    fn finish(&self, slot: u32) -> String {
        let stride = self.shape.identity.len();
        let states = &self.words[slot as usize * stride..][..stride];
        let tail = match self.aggregate.has_tail() {
            true => self.arena.get(Tail(states[self.aggregate.words()])),
            false => &[],
        };
        format!("{:?}", self.aggregate.finish(&states[..self.aggregate.words()], tail))
    }
}

/// Checks the laws on `values`, dealt to three states by `deal` (numbers below 3, as many as values).
pub fn hold(aggregate: &dyn Aggregate, values: &[Vec<u8>], deal: &[usize]) {
    let all = |order: &mut dyn Iterator<Item = &Vec<u8>>| {
        let mut slots = Slots::new(aggregate, 1);
        order.for_each(|value| slots.observe(0, value));
        slots.finish(0)
    };
    let expected = all(&mut values.iter());
    assert_eq!(all(&mut values.iter().rev()), expected, "in any order");

    // Slots 0, 1, 2 hold a part each, 3 and 4 nothing.
    let dealt = || {
        let mut slots = Slots::new(aggregate, 5);
        values.iter().zip(deal).for_each(|(value, &slot)| slots.observe(slot as u32, value));
        slots
    };
    for (result, merges) in [
        (0, &[(0, 1), (0, 2)][..]),                     // (a b) c
        (0, &[(1, 2), (0, 1)]),                         // a (b c)
        (2, &[(2, 1), (2, 0)]),                         // c b a
        (3, &[(3, 0), (3, 1), (3, 2)]),                 // the identity on the left
        (0, &[(0, 3), (0, 1), (3, 4), (0, 2), (0, 3)]), // and on the right
    ] {
        let mut slots = dealt();
        merges.iter().for_each(|&(to, from)| slots.merge(to, from));
        assert_eq!(slots.finish(result), expected, "merged as {merges:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn longest(
            values in prop::collection::vec("[ab]{0,4}".prop_map(String::into_bytes), 0..12),
            deal in prop::collection::vec(0usize..3, 12),
        ) {
            hold(&Longest, &values, &deal);
        }
    }
}
