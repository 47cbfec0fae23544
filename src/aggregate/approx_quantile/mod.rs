//! `approx_quantile`: about the value that a share `q` of a group's values lies below, from a sketch like DDSketch
//! (Masson, Rim, Lee 2019, arXiv 1908.10693). Of n values in order, the exact answer is the one at place
//! `floor(q · (n - 1))`, counted from 0. The result is off from this value by no more than 0.4 % of its size. q = 0
//! gives the least value and q = 1 the greatest, both exactly. The result is a double; decimals count as the nearest
//! double. NaN is greater than all numbers. The result is null if there are no values.
//!
//! ```text
//! word 0       where the tail lies, or 0
//! word 1       number of buckets that aren't empty
//! word 2, 3    the least and the greatest value, as integers that have the values' order
//! tail         a table of buckets with their counts, see `buckets`
//! ```
//!
//! How many values a bucket holds depends on the values alone, not on the order in which values came or states were
//! merged. So does the answer. A group takes 11 to 22 bytes for each bucket that isn't empty. There are 128 buckets
//! from each power of two to the next. Buckets are never joined to make room.

mod buckets;
#[cfg(test)]
mod tests;

use super::{AS, Aggregate, FIELD, Made, Observes, Op, Overflow, TailGrowth, WHERE, op_key};
use crate::data::{Column, Decimal, Kind, Numbers, Value};
use crate::schema::{Key, Shape};
use crate::table::{StateColumn, States, TailPlace};
use buckets::{Bucket, Buckets, Entry, Ordered};

pub const OP: Op = Op {
    name: "approx_quantile",
    keys: &[
        op_key("Approximately the value that a share q of all values doesn't exceed"),
        FIELD,
        Key::required("q", Shape::Share).about("Which quantile: 0.5 is the median"),
        AS,
        WHERE,
    ],
    observes: Observes::Number,
    make: |observed, options| {
        let (column, _) = observed.column();
        Made::Quantile { column, q: options.q.expect("its keys ask for it") }
    },
};

/// Quantiles of one observed column. Value number `i` is that of `quantiles[i]`.
#[derive(Debug)]
pub struct Quantiles {
    pub column: usize,
    pub quantiles: Vec<f64>,
}

const PLACE: TailPlace = TailPlace::in_word(0);
const USED: usize = 1;
const LEAST: usize = 2;
const GREATEST: usize = 3;
const WORDS: usize = 4;

/// Adds what `number` returns for record `i` to the state of group `slots[i]`.
#[inline(always)]
fn add_numbers(states: &mut States<'_>, slots: &[u32], number: impl Fn(usize) -> Option<f64>) {
    let mut at = 0;
    // Successive records of the same group are added together. If the job has only one group, all records are.
    for run in slots.chunk_by(|a, b| a == b) {
        let end = at + run.len();
        let (mut least, mut greatest) = (u64::MAX, 0);
        while at < end {
            let mut buckets = Buckets::of(states.tail_mut(run[0], PLACE.word));
            let mut unknown = None;
            while at < end && unknown.is_none() {
                if let Some(number) = number(at).map(Ordered::of) {
                    (least, greatest) = (least.min(number.0), greatest.max(number.0));
                    unknown = (!buckets.raise(number.bucket())).then(|| number.bucket());
                }
                at += 1;
            }
            if let Some(bucket) = unknown {
                add(states, run[0], Entry::new(bucket, 1));
            }
        }
        reach(states, run[0], least, greatest);
    }
}

/// Extends the state's least and greatest value to these.
#[inline]
fn reach(states: &mut States<'_>, slot: u32, least: u64, greatest: u64) {
    let state = states.array::<WORDS>(slot);
    state[LEAST] = state[LEAST].min(least);
    state[GREATEST] = state[GREATEST].max(greatest);
}

/// Adds an entry's count to its bucket.
fn add(states: &mut States<'_>, slot: u32, entry: Entry) {
    let used = states.array::<WORDS>(slot)[USED] as usize;
    let mut buckets = Buckets::of(states.tail_mut(slot, PLACE.word));
    if buckets.has_room(used) {
        let is_new = buckets.add(entry);
        states.array::<WORDS>(slot)[USED] += u64::from(is_new);
        return;
    }
    if buckets.add_to_known(entry) {
        return;
    }
    let len = buckets.next_len();
    let (old, new) = states.renew_tail(slot, PLACE.word, len);
    let mut buckets = Buckets::of(new);
    for entry in buckets::entries(old).chain([entry]) {
        buckets.add(entry);
    }
    states.array::<WORDS>(slot)[USED] += 1;
}

impl Aggregate for Quantiles {
    fn kind(&self, _: usize) -> Kind {
        Kind::Float
    }

    fn words(&self) -> usize {
        WORDS
    }

    fn tail(&self) -> Option<TailPlace> {
        Some(PLACE)
    }

    fn tail_growth(&self) -> TailGrowth {
        // A full table is copied to one of twice its length, perhaps several times. The last copy has less than twice
        // the bytes of the two tails that were merged, and all copies before it together have no more than the last
        // one. A single value takes 16 bytes at first, and less than 64 with all copies.
        TailGrowth { each: 64, copies: 4 }
    }

    fn identity(&self, words: &mut [u64]) {
        words.copy_from_slice(&[0, 0, u64::MAX, 0]);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        match observed[self.column] {
            Column::Bytes(_) | Column::Json(_) => unreachable!("a column of numbers"),
            Column::Float(column) => add_numbers(states, slots, |i| column.value(i)),
            Column::Decimal(column) => match column.numbers {
                Numbers::Narrow { mantissas, scale } => add_numbers(states, slots, |i| {
                    let number = || Decimal { mantissa: mantissas[i].into(), scale }.to_f64();
                    (!column.is_null(i)).then(number)
                }),
                Numbers::Wide(_) => add_numbers(states, slots, |i| column.value(i).map(Decimal::to_f64)),
            },
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            let (other, tail): ([u64; WORDS], _) = (others.words(i), others.tail(i));
            if states.tail(slot, PLACE.word).is_empty() {
                states.set_tail(slot, PLACE.word, tail);
                states.array::<WORDS>(slot)[USED] = other[USED];
            } else {
                buckets::entries(tail).for_each(|entry| add(states, slot, entry));
            }
            reach(states, slot, other[LEAST], other[GREATEST]);
        }
    }

    fn finish<'a>(&self, number: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        let found = quantile(self.quantiles[number], words[LEAST], words[GREATEST], tail);
        Ok(found.map_or(Value::Null, Value::Float))
    }
}

fn quantile(q: f64, least: u64, greatest: u64, tail: &[u8]) -> Option<f64> {
    let count: u64 = buckets::entries(tail).map(Entry::count).sum();
    let last = count.checked_sub(1)?;
    let place = (q * last as f64) as u64;
    if place == 0 {
        return Some(Ordered(least).value());
    }
    if place >= last {
        return Some(Ordered(greatest).value());
    }
    let mut entries: Vec<_> = buckets::entries(tail).collect();
    entries.sort_unstable_by_key(|entry| entry.bucket());
    let mut below = 0;
    let holds_it = |entry: &&Entry| {
        below += entry.count();
        below > place
    };
    let bucket: Bucket = entries.iter().find(holds_it).expect("there are more").bucket();
    Some(Ordered(bucket.middle().0.clamp(least, greatest)).value())
}
