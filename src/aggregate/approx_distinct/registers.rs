//! The registers of a HyperLogLog sketch: what a hash says of them, in two precisions, and the form that they have while few are
//! not 0.
//!
//! ```text
//! hash      [ 59 bits ][ 5 bits, always 0 ]
//! dense     [ register, 14 ][ looked through, 45       ]
//! sparse    [ register, 26             ][ looked through, 33 ]
//! ```
//!
//! A register holds the greatest place at which the first 1 was found, from the left, in any hash of its own: from 1 on, and
//! one more than the bits that are looked through where there is none. The dense registers follow from the sparse ones.

use crate::table::hash::CODE_BITS;

/// Bits of a hash that say the register, of 2^14.
const DENSE: u32 = 14;
pub const REGISTERS: usize = 1 << DENSE;

/// The same while few registers hold anything: hardly any two values share one.
const SPARSE: u32 = 26;
const SPARSE_REGISTERS: u32 = 1 << SPARSE;

/// Bits of a hash that are looked through.
const fn looked_through(precision: u32) -> u32 {
    u64::BITS - CODE_BITS - precision
}

pub type Dense = [u8; REGISTERS];

/// Registers of a sparse state that are not 0, at most: it takes a quarter of what a dense one does.
pub const MOST_SPARSE: usize = REGISTERS / 16;

/// The place of the first 1 in what is behind the register.
#[inline]
fn place(hash: u64, precision: u32) -> u32 {
    // A 1 behind the bits that are looked through: it is found there at the latest.
    let bits = hash << precision | 1 << (u64::BITS - 1 - looked_through(precision));
    bits.leading_zeros() + 1
}

/// Adds a hash to dense registers.
#[inline]
pub fn add(registers: &mut Dense, hash: u64) {
    raise(registers, (hash >> (u64::BITS - DENSE)) as usize, place(hash, DENSE) as u8);
}

#[inline]
fn raise(registers: &mut Dense, register: usize, value: u8) {
    let register = &mut registers[register];
    // Hardly any is raised: that is foretold, where storing the greater one would wait for the store before it.
    if *register < value {
        *register = value;
    }
}

/// A register of a sparse state and what is in it, which isn't 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u32);

/// Bits of an entry that say what is in the register.
const VALUE_BITS: u32 = u32::BITS - SPARSE;
const VALUE: u32 = (1 << VALUE_BITS) - 1;
const _: () = assert!(looked_through(SPARSE) < VALUE);

impl Entry {
    #[inline]
    pub fn of(hash: u64) -> Self {
        Entry((((hash >> (u64::BITS - SPARSE)) as u32) << VALUE_BITS) | place(hash, SPARSE))
    }

    fn value(self) -> u32 {
        self.0 & VALUE
    }

    /// Adds it to dense registers.
    pub fn put(self, registers: &mut Dense) {
        // The sparse register's bits that are looked through where registers are dense.
        let between = (self.0 & !VALUE) << DENSE;
        let value = match between {
            0 => SPARSE - DENSE + self.value(),
            _ => between.leading_zeros() + 1,
        };
        raise(registers, (self.0 >> (u32::BITS - DENSE)) as usize, value as u8);
    }
}

/// Entries in order, behind those that are unused, which are 0.
pub struct Sparse<'a>(pub &'a mut [[u8; 4]]);

impl Sparse<'_> {
    /// Adds an entry. False if there is no room for another register, and nothing has changed.
    pub fn add(&mut self, entry: Entry) -> bool {
        // Less than all entries of its register, and more than what is unused.
        let least = entry.0 & !VALUE | 1;
        let at = self.0.partition_point(|bytes| u32::from_le_bytes(*bytes) < least);
        if let Some(bytes) = self.0.get_mut(at) {
            let there = u32::from_le_bytes(*bytes);
            if there | VALUE == entry.0 | VALUE {
                *bytes = there.max(entry.0).to_le_bytes();
                return true;
            }
        }
        if self.0.first().is_none_or(|first| *first != [0; 4]) {
            return false;
        }
        self.0.copy_within(1..at, 0);
        self.0[at - 1] = entry.0.to_le_bytes();
        true
    }
}

/// The entries of a sparse state.
pub fn entries(tail: &[u8]) -> impl Iterator<Item = Entry> {
    let numbers = tail.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    numbers.skip_while(|number| *number == 0).map(Entry)
}

/// How many registers hold each of the values that one can.
pub struct Histogram<'a> {
    pub registers: u32,
    pub counts: &'a [u32],
}

/// Calls `with` with what the registers of a state hold.
pub fn with_histogram<T>(tail: &[u8], with: impl FnOnce(&Histogram<'_>) -> T) -> T {
    match <&Dense>::try_from(tail) {
        Ok(registers) => {
            let mut counts = [0; looked_through(DENSE) as usize + 2];
            registers.iter().for_each(|value| counts[usize::from(*value)] += 1);
            with(&Histogram { registers: REGISTERS as u32, counts: &counts })
        }
        Err(_) => {
            let mut counts = [0; looked_through(SPARSE) as usize + 2];
            entries(tail).for_each(|entry| counts[entry.value() as usize] += 1);
            counts[0] = SPARSE_REGISTERS - counts.iter().sum::<u32>();
            with(&Histogram { registers: SPARSE_REGISTERS, counts: &counts })
        }
    }
}
