//! The registers of a HyperLogLog sketch: what a hash says of them, and the form that they have while few are not 0.
//!
//! ```text
//! hash    [ register, 14 bits ][ 45 bits, looked through from the left ][ 5 bits, always 0 ]
//! ```
//!
//! A register holds the greatest place at which the first 1 was found in any hash of its own: 1 to 45, and 46 where there is
//! none.

use crate::table::hash::CODE_BITS;

/// Bits of a hash that say the register.
const PRECISION: u32 = 14;
pub const REGISTERS: usize = 1 << PRECISION;

/// Bits of a hash that are looked through.
pub const LOOKED_THROUGH: usize = (u64::BITS - CODE_BITS - PRECISION) as usize;

pub type Dense = [u8; REGISTERS];

/// How many registers hold each of the values that one can.
pub type Histogram = [u32; LOOKED_THROUGH + 2];

/// Registers of a sparse state that are not 0, at most: it takes a quarter of what a dense one does.
pub const MOST_SPARSE: usize = REGISTERS / 16;

/// Bits of an entry that say what is in the register.
const VALUE_BITS: u32 = 6;
const _: () = assert!(LOOKED_THROUGH + 1 < 1 << VALUE_BITS);

/// A register and what is in it, which isn't 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u32);

impl Entry {
    #[inline]
    pub fn of(hash: u64) -> Self {
        // A 1 behind those that are looked through: it is found there at the latest.
        let bits = hash << PRECISION | 1 << (u64::BITS - 1 - LOOKED_THROUGH as u32);
        Entry(((hash >> (u64::BITS - PRECISION)) as u32) << VALUE_BITS | (bits.leading_zeros() + 1))
    }

    #[inline]
    fn register(self) -> usize {
        (self.0 >> VALUE_BITS) as usize
    }

    #[inline]
    fn value(self) -> u8 {
        (self.0 & ((1 << VALUE_BITS) - 1)) as u8
    }

    /// Adds it to dense registers.
    #[inline]
    pub fn put(self, registers: &mut Dense) {
        let register = &mut registers[self.register() % REGISTERS];
        // Hardly any does: foretold, where storing the greater one would wait for the store before it.
        if *register < self.value() {
            *register = self.value();
        }
    }
}

/// Entries in order, behind those that are unused, which are 0.
pub struct Sparse<'a>(pub &'a mut [[u8; 4]]);

impl Sparse<'_> {
    /// Adds an entry. False if there is no room for another register, and nothing has changed.
    pub fn add(&mut self, entry: Entry) -> bool {
        let number = |bytes: [u8; 4]| Entry(u32::from_le_bytes(bytes));
        // Less than all entries of its register, and more than what is unused.
        let least = entry.0 & !((1 << VALUE_BITS) - 1) | 1;
        let at = self.0.partition_point(|bytes| number(*bytes).0 < least);
        if let Some(there) = self.0.get_mut(at).filter(|there| number(**there).register() == entry.register()) {
            *there = number(*there).0.max(entry.0).to_le_bytes();
            return true;
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

/// What the registers of a state hold.
pub fn histogram(tail: &[u8]) -> Histogram {
    let mut histogram = [0; _];
    match <&Dense>::try_from(tail) {
        Ok(registers) => registers.iter().for_each(|value| histogram[usize::from(*value)] += 1),
        Err(_) => {
            entries(tail).for_each(|entry| histogram[usize::from(entry.value())] += 1);
            histogram[0] = REGISTERS as u32 - histogram.iter().sum::<u32>();
        }
    }
    histogram
}
