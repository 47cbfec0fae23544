//! `count`: how many records a group has. State: one word. Overflow would take 2^64 records.

use super::{Aggregate, Input};
use crate::data::{Bytes, Value};
use crate::table::{StateColumn, States};

#[derive(Clone, Copy, Debug)]
pub struct Count;

impl Aggregate for Count {
    fn input(&self) -> Input {
        Input::Nothing
    }

    fn words(&self) -> usize {
        1
    }

    fn identity(&self, words: &mut [u64]) {
        words[0] = 0;
    }

    fn unit(&self) -> Option<&[u64]> {
        Some(&[1])
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], _: Bytes<'_>) {
        for &slot in slots {
            *states.word(slot) += 1;
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            *states.word(slot) += others.word(i, 0);
        }
    }

    fn finish<'a>(&self, words: &[u64], _: &'a [u8]) -> Value<'a> {
        Value::Decimal(words[0].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn obeys_the_laws(deal in prop::collection::vec(0usize..3, 0..12)) {
            laws::hold(&Count, &vec![Vec::new(); deal.len()], &deal);
        }
    }

    #[test]
    fn counts() {
        assert_eq!(Count.finish(&[3], b""), Value::Decimal(3u64.into()));
    }
}
