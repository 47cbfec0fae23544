//! The registers of a HyperLogLog sketch. A hash says which register it belongs to and which value it gives the
//! register, in two precisions. While few registers aren't 0, a state lists only those: the sparse form.
//!
//! ```text
//! hash      [ 59 bits ][ 5 bits, always 0 ]
//! dense     [ register, 14 ][ looked through, 45       ]
//! sparse    [ register, 26             ][ looked through, 33 ]
//! ```
//!
//! The bits behind the register's number are looked through from the left for the first 1. Its place counts from 1. If
//! there is no 1, the place is one more than the number of bits. A register holds the greatest place that any of its
//! hashes gave. The dense registers can be computed from the sparse ones.

use crate::table::hash::CODE_BITS;

/// Bits of a hash that say which of the 2^14 dense registers it belongs to.
const DENSE: u32 = 14;
pub const REGISTERS: usize = 1 << DENSE;

/// Bits of a hash that say which sparse register it belongs to. There are so many that hardly any two values share one.
const SPARSE: u32 = 26;
const SPARSE_REGISTERS: u32 = 1 << SPARSE;

/// Number of bits of a hash that are looked through.
const fn looked_through(precision: u32) -> u32 {
    u64::BITS - CODE_BITS - precision
}

pub type Dense = [u8; REGISTERS];

/// Most entries of a sparse state, which then takes a quarter of what a dense state does.
pub const MOST_SPARSE: usize = REGISTERS / 16;

/// Returns the place of the first 1 behind the register's number.
#[inline]
fn place(hash: u64, precision: u32) -> u32 {
    // A 1 is added behind the bits that are looked through, so that a 1 is found there at the latest.
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
    // Registers are hardly ever raised, so the processor predicts the branch. An unconditional store of the greater
    // value would wait for the store before it.
    if *register < value {
        *register = value;
    }
}

/// A register of a sparse state, and its value, which isn't 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u32);

/// Bits of an entry that hold the register's value.
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

    /// Adds the entry to dense registers.
    pub fn put(self, registers: &mut Dense) {
        // The bits that belong to the register's number in the sparse form, but are looked through in the dense form.
        let between = (self.0 & !VALUE) << DENSE;
        let value = match between {
            0 => SPARSE - DENSE + self.value(),
            _ => between.leading_zeros() + 1,
        };
        raise(registers, (self.0 >> (u32::BITS - DENSE)) as usize, value as u8);
    }
}

/// The entries of a sparse state in ascending order, behind the unused ones, which are 0.
pub struct Sparse<'a>(pub &'a mut [[u8; 4]]);

impl Sparse<'_> {
    /// Adds an entry. Returns false, with nothing changed, if there is no room for another register.
    pub fn add(&mut self, entry: Entry) -> bool {
        // The least entry that the register can have, which is more than an unused one.
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

/// Returns the entries of a sparse state.
pub fn entries(tail: &[u8]) -> impl Iterator<Item = Entry> {
    let numbers = tail.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    numbers.skip_while(|number| *number == 0).map(Entry)
}

/// How many registers hold each value, indexed by value.
pub struct Histogram<'a> {
    pub registers: u32,
    pub counts: &'a [u32],
}

/// Calls `with` with the histogram of a state's registers.
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
