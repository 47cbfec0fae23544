//! Buckets of doubles, and the table of buckets with their counts that makes up a sketch.
//!
//! ```text
//! double    [ sign ][ exponent, 11 bits ][ 7 bits │ 45 bits ]      its bits, changed to sort as the values do
//! bucket     ───────────── 19 bits ──────────────┘
//! entry     [ bucket, 19 bits ][ count, 45 bits ]                  0 if unused
//! ```
//!
//! The doubles between two successive powers of two are cut into 128 buckets of equal width. A bucket's middle is off
//! from any double in the bucket by at most half the width. That is 1/256 of the lower power, and so at most 1/256 of
//! the double: 0.39 %. No logarithm is taken. Each infinity, and NaN, is alone in its bucket. The numbers below 2^-1022
//! in size have buckets of one width, 2^-1029; the numbers in the two buckets beside 0 count as 0.
//!
//! A table's number of entries is a power of two, and at least a quarter of them are unused. The bucket's number,
//! multiplied, says where to look for its entry; if another bucket's entry is there, the search goes on behind it.

use crate::data::float::canonical;

/// Low bits of a double that don't belong to its bucket's number.
const UNTOLD: u32 = 45;

/// Greatest count of a bucket. It counts no further: reading so many records would take days.
const MOST: u64 = (1 << UNTOLD) - 1;

const SIGN: u64 = 1 << 63;
const INFINITY: u64 = 0x7ff << 52;

/// A double as an integer that has the same order. -0 counts as 0. All NaNs are one value, the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered(pub u64);

impl Ordered {
    #[inline]
    pub fn of(value: f64) -> Self {
        let bits = canonical(value).to_bits();
        // If the value is negative, all bits are flipped, else only the sign.
        let flipped = (bits.cast_signed() >> 63).cast_unsigned() | SIGN;
        Ordered(bits ^ flipped)
    }

    pub fn value(self) -> f64 {
        canonical(f64::from_bits(if self.0 & SIGN == 0 { !self.0 } else { self.0 ^ SIGN }))
    }

    #[inline]
    pub fn bucket(self) -> Bucket {
        Bucket((self.0 >> UNTOLD) as u32)
    }
}

/// A double's sign and all its bits but the last 45, as an integer in the order of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u32);

impl Bucket {
    /// Returns the value that stands for all values in the bucket.
    pub fn middle(self) -> Ordered {
        const SIGN: u32 = 1 << (63 - UNTOLD);
        let is_negative = self.0 & SIGN == 0;
        // The bits that the bucket says of its values' size.
        let told = u64::from(if is_negative { !self.0 & (SIGN - 1) } else { self.0 ^ SIGN }) << UNTOLD;
        let size = f64::from_bits(match told {
            // 0, infinities and NaN stand for themselves: they are alone in their buckets, or nearly so.
            0 | INFINITY.. => told,
            _ => told | 1 << (UNTOLD - 1),
        });
        Ordered::of(if is_negative { -size } else { size })
    }
}

/// A bucket and how many values it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u64);

impl Entry {
    pub fn new(bucket: Bucket, count: u64) -> Self {
        Entry(u64::from(bucket.0) << UNTOLD | count.min(MOST))
    }

    pub fn bucket(self) -> Bucket {
        Bucket((self.0 >> UNTOLD) as u32)
    }

    pub fn count(self) -> u64 {
        self.0 & MOST
    }

    #[inline]
    fn raised(self, by: u64) -> Self {
        Entry(self.0 + by.min(MOST - self.count()))
    }
}

/// The table of buckets that a tail holds.
pub struct Buckets<'a>(&'a mut [[u8; 8]]);

impl<'a> Buckets<'a> {
    #[inline]
    pub fn of(tail: &'a mut [u8]) -> Self {
        Buckets(tail.as_chunks_mut().0)
    }

    /// Whether there is room for one more bucket beside `used` others.
    pub fn has_room(&self, used: usize) -> bool {
        4 * (used + 1) <= 3 * self.0.len()
    }

    /// Returns the length in bytes of the table that replaces this one when it has no room.
    pub fn next_len(&self) -> usize {
        size_of::<Entry>() * (2 * self.0.len()).max(2)
    }

    /// Returns the index of the bucket's entry, or of the unused entry where it would go. `None` if the table has no
    /// entries.
    #[inline]
    fn place(&self, bucket: Bucket) -> Option<usize> {
        // Multiplying by the golden section puts neighbouring buckets far apart, and spreads all buckets evenly.
        let spread = u64::from(bucket.0.wrapping_mul(0x9e37_79b1));
        let mut at = ((spread * self.0.len() as u64) >> 32) as usize;
        loop {
            let entry = Entry(u64::from_le_bytes(*self.0.get(at)?));
            if entry.bucket() == bucket || entry.0 == 0 {
                return Some(at);
            }
            at = (at + 1) & (self.0.len() - 1);
        }
    }

    /// Counts one more value in its bucket. Returns false, with nothing changed, if the bucket isn't in the table.
    #[inline]
    pub fn raise(&mut self, bucket: Bucket) -> bool {
        let Some(at) = self.place(bucket) else { return false };
        let entry = Entry(u64::from_le_bytes(self.0[at]));
        if entry.0 == 0 {
            return false;
        }
        self.0[at] = entry.raised(1).0.to_le_bytes();
        true
    }

    /// Adds an entry's count to its bucket. Returns false, with nothing changed, if the bucket isn't in the table.
    pub fn add_to_known(&mut self, entry: Entry) -> bool {
        let known = self.place(entry.bucket()).filter(|&at| self.0[at] != [0; 8]);
        known.is_some_and(|at| !self.put(at, entry))
    }

    /// Adds an entry's count to its bucket. The table must have room. Returns whether the bucket is new.
    pub fn add(&mut self, entry: Entry) -> bool {
        let at = self.place(entry.bucket()).expect("it has room");
        self.put(at, entry)
    }

    fn put(&mut self, at: usize, entry: Entry) -> bool {
        let there = Entry(u64::from_le_bytes(self.0[at]));
        let is_new = there.0 == 0;
        let sum = if is_new { entry } else { there.raised(entry.count()) };
        self.0[at] = sum.0.to_le_bytes();
        is_new
    }
}

/// Returns the used entries of a table, in no particular order.
pub fn entries(tail: &[u8]) -> impl Iterator<Item = Entry> {
    let numbers = tail.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    numbers.filter(|number| *number != 0).map(Entry)
}
