//! The shared implementation of `min` and `max`. If the values are numbers or timestamps, the column's `summary` has
//! the state. If they are text, the state is:
//!
//! ```text
//! word 0   0 if there are no values, else 1
//! word 1   where the tail lies: the least or the greatest string
//! ```

use std::cmp::Ordering;

use super::summary::Statistic;
use super::{Aggregate, Made, Overflow};
use crate::data::{Column, Kind, Value};
use crate::table::{StateColumn, States, TailPlace};

/// Returns what an op makes to get the least or the greatest value of the observed column with this index and kind.
pub fn of(statistic: Statistic, (column, kind): (usize, Kind)) -> Made {
    match kind {
        Kind::Bytes => Made::Own(Box::new(ExtremeText { statistic, column })),
        Kind::Decimal | Kind::Float | Kind::Timestamp(_) => statistic.of((column, kind)),
        Kind::Json => unreachable!("it is read as a number or as text"),
    }
}

#[derive(Debug)]
struct ExtremeText {
    /// [`Statistic::Least`] or [`Statistic::Greatest`].
    statistic: Statistic,
    column: usize,
}

const PLACE: TailPlace = TailPlace::in_word(1);

impl ExtremeText {
    fn offer(&self, states: &mut States<'_>, slot: u32, text: &[u8]) {
        let beyond = if self.statistic == Statistic::Least { Ordering::Less } else { Ordering::Greater };
        if states.words(slot)[0] == 0 || text.cmp(states.tail(slot, PLACE.word)) == beyond {
            states.words(slot)[0] = 1;
            states.set_tail(slot, PLACE.word, text);
        }
    }
}

impl Aggregate for ExtremeText {
    fn kind(&self, _: usize) -> Kind {
        Kind::Bytes
    }

    fn words(&self) -> usize {
        2
    }

    fn tail(&self) -> Option<TailPlace> {
        Some(PLACE)
    }

    fn identity(&self, words: &mut [u64]) {
        words.fill(0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Bytes(column) = observed[self.column] else { unreachable!("a column of bytes") };
        for (i, &slot) in slots.iter().enumerate() {
            if let Some(text) = column.value(i) {
                self.offer(states, slot, text);
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            if others.word(i, 0) != 0 {
                self.offer(states, slot, others.tail(i));
            }
        }
    }

    fn finish<'a>(&self, _: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        Ok(if words[0] == 0 { Value::Null } else { Value::Bytes(tail) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cell};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn obeys_the_laws(texts in prop::collection::vec(prop::option::of("[ab]{0,3}"), 0..12), deal in prop::collection::vec(0usize..3, 12)) {
            let cell = |text: &Option<String>| text.as_ref().map_or(Cell::Null, |text| Cell::Bytes(text.clone().into()));
            let records: Vec<_> = texts.iter().map(|text| vec![cell(text)]).collect();
            for (statistic, expected) in [(Statistic::Least, texts.iter().flatten().min()), (Statistic::Greatest, texts.iter().flatten().max())] {
                let found = laws::hold(&ExtremeText { statistic, column: 0 }, 0, &[Kind::Bytes], &records, &deal);
                let expected = expected.map_or(Value::Null, |text| Value::Bytes(text.as_bytes()));
                prop_assert_eq!(found, format!("{:?}", Ok::<_, Overflow>(expected)));
            }
        }
    }
}
