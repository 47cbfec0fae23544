//! `approx_distinct`: about how many different values a group has, by HyperLogLog; 0 if there are none. Texts differ by
//! their bytes, numbers by value: 1.0 equals 1.00, -0 equals 0, and NaN equals NaN. Nulls aren't counted.
//!
//! The standard error is 1.04 / √16384, which is 0.81 %: two of three answers are off by no more, and nearly all by no
//! more than three times as much. Up to 1024 values are told apart by 2^26 registers, and nearly every answer is exact.
//! A group takes 4 to 8 bytes for each of these values, and never more than 16 KiB.
//!
//! ```text
//! word 0    where the tail lies, or 0
//! tail      sparse    4-byte numbers, little-endian; how many is a power of two from 2 to 1024. First the unused ones,
//!                     which are 0, then one for each of the 2^26 registers that isn't 0, in ascending order:
//!                     `register · 64 + its value`
//!           dense     2^14 bytes, one for each register: once more than 1024 of the 2^26 registers aren't 0
//! ```
//!
//! Both forms depend on the set of values alone, not on the order in which values came or states were merged. So does
//! the answer, which is computed from the registers: see `estimate`.

mod estimate;
mod registers;
#[cfg(test)]
mod tests;

use super::{Aggregate, Made, Observes, Op, Overflow, TailGrowth, of_a_field};
use crate::data::{Column, Decimal, Kind, Numbers, Value, float};
use crate::table::hash::hash_inline;
use crate::table::keys::hash_cell;
use crate::table::{StateColumn, States, TailPlace};
use registers::{Dense, Entry, MOST_SPARSE, REGISTERS, Sparse};

pub const OP: Op = Op {
    name: "approx_distinct",
    keys: &of_a_field("Approximately how many different values there are"),
    observes: Observes::Declared,
    make: |observed, _| {
        let (column, _) = observed.column();
        Made::Own(Box::new(ApproxDistinct { column }))
    },
};

#[derive(Debug)]
struct ApproxDistinct {
    column: usize,
}

const PLACE: TailPlace = TailPlace::in_word(0);

/// Value that is XORed to the hash of a number in JSON, so that the number's hash differs from that of a text with the
/// same bytes. Its low bits are 0, as in every hash.
const NUMBER_OF_JSON: u64 = 0x9e37_79b9_7f4a_7c00;

/// Returns the hash of a number. Equal numbers have equal hashes.
#[inline]
fn hash_decimal(number: Decimal) -> u64 {
    let Decimal { mantissa, scale } = number.normalised();
    // The scale takes the place of a key's length.
    hash_inline([mantissa as u64, (mantissa >> 64) as u64], scale.into())
}

#[inline]
fn hash_float(number: f64) -> u64 {
    hash_inline([float::canonical(number).to_bits(), 0], size_of::<f64>())
}

/// Adds what `hash` returns for record `i` to the state of group `slots[i]`.
#[inline(always)]
fn add_hashes(states: &mut States<'_>, slots: &[u32], hash: impl Fn(usize) -> Option<u64>) {
    let mut at = 0;
    // Successive records of the same group are added together. If the job has only one group, all records are.
    for run in slots.chunk_by(|a, b| a == b) {
        let end = at + run.len();
        while at < end {
            match <&mut Dense>::try_from(states.tail_mut(run[0], PLACE.word)) {
                Ok(registers) => {
                    (at..end).filter_map(&hash).for_each(|hash| registers::add(registers, hash));
                    at = end;
                }
                Err(_) => {
                    if let Some(hash) = hash(at) {
                        add(states, run[0], Entry::of(hash));
                    }
                    at += 1;
                }
            }
        }
    }
}

/// Adds an entry to a sparse or dense state.
fn add(states: &mut States<'_>, slot: u32, entry: Entry) {
    let tail = states.tail_mut(slot, PLACE.word);
    if let Ok(registers) = <&mut Dense>::try_from(&mut *tail) {
        entry.put(registers);
        return;
    }
    let mut sparse = Sparse(tail.as_chunks_mut().0);
    if sparse.add(entry) {
        return;
    }
    let room = sparse.0.len();
    if room == MOST_SPARSE {
        entry.put(to_dense(states, slot));
        return;
    }
    let (old, new) = states.renew_tail(slot, PLACE.word, size_of::<u32>() * (2 * room).max(2));
    let free = new.len() - old.len();
    new[free..].copy_from_slice(old);
    let is_in = Sparse(new.as_chunks_mut().0).add(entry);
    debug_assert!(is_in);
}

/// Makes a sparse state dense.
fn to_dense<'a>(states: &'a mut States<'_>, slot: u32) -> &'a mut Dense {
    let (old, new) = states.renew_tail(slot, PLACE.word, REGISTERS);
    let registers: &mut Dense = new.try_into().expect("as long");
    registers::entries(old).for_each(|entry| entry.put(registers));
    registers
}

impl Aggregate for ApproxDistinct {
    fn kind(&self, _: usize) -> Kind {
        Kind::Decimal
    }

    fn words(&self) -> usize {
        1
    }

    fn tail(&self) -> Option<TailPlace> {
        Some(PLACE)
    }

    fn tail_growth(&self) -> TailGrowth {
        // All tails that a state may have before it is dense, and the dense tail.
        TailGrowth { each: 2 * size_of::<u32>() * MOST_SPARSE + REGISTERS, copies: 0 }
    }

    fn identity(&self, words: &mut [u64]) {
        words[0] = 0;
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        match observed[self.column] {
            Column::Bytes(column) => {
                add_hashes(states, slots, |i| (!column.spans[i].is_null()).then(|| hash_cell(column, i)));
            }
            // A number and a text of the same digits are different values.
            Column::Json(column) => add_hashes(states, slots, |i| {
                Some(match Value::of_json(column.value(i)?).resolved() {
                    Value::Decimal(number) => hash_decimal(number) ^ NUMBER_OF_JSON,
                    _ => hash_cell(column, i),
                })
            }),
            Column::Decimal(column) => match column.numbers {
                Numbers::Narrow { mantissas, scale: 0 } => add_hashes(states, slots, |i| {
                    let hash = || hash_decimal(Decimal { mantissa: mantissas[i].into(), scale: 0 });
                    (!column.is_null(i)).then(hash)
                }),
                _ => add_hashes(states, slots, |i| column.value(i).map(hash_decimal)),
            },
            Column::Float(column) => add_hashes(states, slots, |i| column.value(i).map(hash_float)),
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            let other = others.tail(i);
            match <&Dense>::try_from(other) {
                Ok(other) => match <&mut Dense>::try_from(states.tail_mut(slot, PLACE.word)) {
                    Ok(registers) => {
                        registers.iter_mut().zip(other).for_each(|(own, other)| *own = (*own).max(*other));
                    }
                    Err(_) => {
                        let (old, new) = states.renew_tail(slot, PLACE.word, REGISTERS);
                        let registers: &mut Dense = new.try_into().expect("as long");
                        *registers = *other;
                        registers::entries(old).for_each(|entry| entry.put(registers));
                    }
                },
                Err(_) if states.tail(slot, PLACE.word).is_empty() => states.set_tail(slot, PLACE.word, other),
                Err(_) => registers::entries(other).for_each(|entry| add(states, slot, entry)),
            }
        }
    }

    fn finish<'a>(&self, _: usize, _: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        let estimate = registers::with_histogram(tail, estimate::estimate);
        Ok(Value::Decimal(Decimal::from(estimate.round() as u64)))
    }
}
