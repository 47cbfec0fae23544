//! The summary of a column of doubles. Its states have these words:
//!
//! ```text
//! with a sum    the words of an exact sum, see `exact`, the number of values last · where its tail lies, or 0
//! without       the number of values
//! behind that   one word for each of least and greatest that the job asks for: bits of a double
//! ```

use super::super::exact;
use super::super::{Aggregate, Overflow};
use super::Statistic;
use crate::data::{Column, Kind, Value, float};
use crate::table::{StateColumn, States, TailPlace};

/// The summary of a column. States have `WORDS` words, with the parts that the flags name.
#[derive(Debug)]
pub struct Floats<const WORDS: usize, const SUM: bool, const LEAST: bool, const GREATEST: bool> {
    pub column: usize,
    pub kind: Kind,
}

/// Number of words of an exact sum.
const EXACT: usize = size_of::<exact::State>() / size_of::<u64>();

const PLACE: TailPlace = TailPlace::in_word(EXACT);

/// Calls `change` with a state's exact sum and its tail, and stores the tail.
#[cold]
fn outside<const WORDS: usize>(
    states: &mut States<'_>,
    slot: u32,
    change: impl FnOnce(&mut exact::State, &mut Vec<u8>),
) {
    let mut tail = states.tail(slot, PLACE.word).to_vec();
    change(states.array::<WORDS>(slot).first_chunk_mut().expect("an exact sum"), &mut tail);
    states.set_tail(slot, PLACE.word, &tail);
}

impl<const WORDS: usize, const SUM: bool, const LEAST: bool, const GREATEST: bool> Floats<WORDS, SUM, LEAST, GREATEST> {
    const COUNT_AT: usize = if SUM { EXACT - 1 } else { 0 };
    const LEAST_AT: usize = if SUM { EXACT + 1 } else { 1 };
    const GREATEST_AT: usize = Self::LEAST_AT + LEAST as usize;
    const FIT: () = assert!(Self::GREATEST_AT + GREATEST as usize == WORDS);

    /// Extends the state's least and greatest value to these. Must be called before the values are counted.
    #[inline(always)]
    fn offer(state: &mut [u64; WORDS], least: f64, greatest: f64) {
        let is_first = state[Self::COUNT_AT] == 0;
        if LEAST && (is_first || float::compare(least, f64::from_bits(state[Self::LEAST_AT])).is_lt()) {
            state[Self::LEAST_AT] = least.to_bits();
        }
        if GREATEST && (is_first || float::compare(greatest, f64::from_bits(state[Self::GREATEST_AT])).is_gt()) {
            state[Self::GREATEST_AT] = greatest.to_bits();
        }
    }
}

impl<const WORDS: usize, const SUM: bool, const LEAST: bool, const GREATEST: bool> Aggregate
    for Floats<WORDS, SUM, LEAST, GREATEST>
{
    fn kind(&self, _: usize) -> Kind {
        self.kind
    }

    fn words(&self) -> usize {
        const { Self::FIT };
        WORDS
    }

    fn tail(&self) -> Option<TailPlace> {
        SUM.then_some(PLACE)
    }

    fn identity(&self, words: &mut [u64]) {
        words.fill(0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Float(column) = observed[self.column] else { unreachable!("a column of floats") };
        for (i, (&slot, &number)) in slots.iter().zip(column.values).enumerate() {
            if column.is_null(i) {
                continue;
            }
            let state = states.array::<WORDS>(slot);
            Self::offer(state, number, number);
            if !SUM {
                state[Self::COUNT_AT] += 1;
            } else if !exact::add(state.first_chunk_mut().expect("an exact sum"), number) {
                outside::<WORDS>(states, slot, |sum, tail| exact::add_outside(sum, tail, number));
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            let other: [u64; WORDS] = others.words(i);
            if other[Self::COUNT_AT] == 0 {
                continue;
            }
            let end = |there: bool, at: usize| if there { f64::from_bits(other[at]) } else { 0.0 };
            let state = states.array::<WORDS>(slot);
            Self::offer(state, end(LEAST, Self::LEAST_AT), end(GREATEST, Self::GREATEST_AT));
            if !SUM {
                state[Self::COUNT_AT] += other[Self::COUNT_AT];
                continue;
            }
            let (sum, tail) = (other.first_chunk().expect("an exact sum"), others.tail(i));
            if !exact::merge(state.first_chunk_mut().expect("an exact sum"), sum, tail) {
                outside::<WORDS>(states, slot, |own, own_tail| exact::merge_outside(own, own_tail, sum, tail));
            }
        }
    }

    fn finish<'a>(&self, number: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        if words[Self::COUNT_AT] == 0 {
            return Ok(Value::Null);
        }
        let statistic = Statistic::numbered(number);
        debug_assert!(statistic.is_of(SUM, LEAST, GREATEST));
        let sum = || words.first_chunk().expect("an exact sum");
        Ok(Value::Float(match statistic {
            Statistic::Sum => exact::sum(sum(), tail),
            Statistic::Mean => exact::mean(sum(), tail),
            Statistic::Least => f64::from_bits(words[Self::LEAST_AT]),
            Statistic::Greatest => f64::from_bits(words[Self::GREATEST_AT]),
        }))
    }
}
