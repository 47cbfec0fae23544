//! Buckets of doubles, and the table of them that a sketch is.
//!
//! ```text
//! double    [ sign ][ exponent, 11 bits ][ 7 bits │ 45 bits ]      its bits so changed that they have the order of values
//! bucket     ───────────── 19 bits ──────────────┘
//! entry     [ bucket, 19 bits ][ count, 45 bits ]                  0 where there is none
//! ```
//!
//! A bucket holds the doubles from one to the next of 128 equal parts of what lies between two powers of two: its middle is
//! off by at most half a part from any of them, which is 1/256 of the lower power, and so of their size: 0.39 %. No logarithm
//! is taken. Each infinity, and NaN, is alone in its bucket. The numbers below 2^-1022 in size have buckets of one width,
//! 2^-1029; the one around 0 counts as 0.
//!
//! A table has as many entries as a power of two says, a quarter of them at least unused. A bucket is found where its number,
//! multiplied, says, or behind.

use crate::data::float::canonical;

/// Bits of a double that its bucket doesn't say.
const UNTOLD: u32 = 45;

/// Most that a bucket counts. It counts no further: reading so many records would take days.
const MOST: u64 = (1 << UNTOLD) - 1;

const SIGN: u64 = 1 << 63;
const INFINITY: u64 = 0x7ff << 52;

/// A double as a number that has its order. -0 is 0, and NaN is one, the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered(pub u64);

impl Ordered {
    #[inline]
    pub fn of(value: f64) -> Self {
        let bits = canonical(value).to_bits();
        // All bits of what is negative, only the sign of what isn't.
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

/// What a double's sign and its bits say, but for the last 45: in the order of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u32);

impl Bucket {
    /// What stands for all values in it.
    pub fn middle(self) -> Ordered {
        const SIGN: u32 = 1 << (63 - UNTOLD);
        let is_negative = self.0 & SIGN == 0;
        // Of the size of its values.
        let told = u64::from(if is_negative { !self.0 & (SIGN - 1) } else { self.0 ^ SIGN }) << UNTOLD;
        let size = f64::from_bits(match told {
            // Alone in their buckets, or nearly so.
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

/// A table, which a tail is.
pub struct Buckets<'a>(&'a mut [[u8; 8]]);

impl<'a> Buckets<'a> {
    #[inline]
    pub fn of(tail: &'a mut [u8]) -> Self {
        Buckets(tail.as_chunks_mut().0)
    }

    /// Whether another bucket finds room beside so many.
    pub fn has_room(&self, used: usize) -> bool {
        4 * (used + 1) <= 3 * self.0.len()
    }

    /// Bytes of the table to go on with if this one has no room.
    pub fn next_len(&self) -> usize {
        size_of::<Entry>() * (2 * self.0.len()).max(2)
    }

    /// Where a bucket is, or would be. A table without entries has no place.
    #[inline]
    fn place(&self, bucket: Bucket) -> Option<usize> {
        // By golden section: neighbours come to lie far apart, and evenly.
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

    /// Counts a value more in its bucket, if that is in the table.
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

    /// Adds what an entry counts, if its bucket is in the table.
    pub fn add_to_known(&mut self, entry: Entry) -> bool {
        let known = self.place(entry.bucket()).filter(|&at| self.0[at] != [0; 8]);
        known.is_some_and(|at| !self.put(at, entry))
    }

    /// Adds what an entry counts; the table has room. Returns whether its bucket is new.
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

/// What is in a table, in no order.
pub fn entries(tail: &[u8]) -> impl Iterator<Item = Entry> {
    let numbers = tail.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    numbers.filter(|number| *number != 0).map(Entry)
}
