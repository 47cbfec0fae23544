//! How rows are divided among the partitions of a run: by the hash of their keys, or by ranges of keys.
//!
//! ```text
//! by hash      partition = top bits of the hash             even, whatever the keys are
//! by ranges    bound 0 ≤ keys of partition 1 < bound 1 …    all keys of a partition come before those of the next
//! ```
//!
//! The bounds of ranges are keys of a sample. A poor sample makes uneven partitions, never a wrong answer: every row of
//! a key is in the one partition that the key's bytes choose.

use std::cmp::Ordering;
use std::hint::select_unpredictable;
use std::ops::Range;

use crate::data::BATCH;
use crate::table::{SlotKey, hash};

/// How rows are divided among partitions.
#[derive(Debug)]
pub enum Partitioner {
    /// By the hash, among so many partitions.
    Hash(usize),
    Ranges(Ranges),
}

impl Partitioner {
    /// Number of partitions.
    pub fn partitions(&self) -> usize {
        match self {
            Partitioner::Hash(partitions) => *partitions,
            Partitioner::Ranges(ranges) => ranges.len(),
        }
    }

    /// Returns how many bytes all keys of these neighbouring partitions begin with, if that is known.
    pub fn common(&self, partitions: Range<usize>) -> usize {
        match self {
            Partitioner::Hash(_) => 0,
            Partitioner::Ranges(ranges) => ranges.common(partitions),
        }
    }

    /// Whether a key's partition is found by its hash.
    pub fn needs_hashes(&self) -> bool {
        matches!(self, Partitioner::Hash(_))
    }

    /// Writes the partitions of `n` keys to `out`. `hash` returns the hash of a key, and is called only if that is
    /// [needed](Self::needs_hashes).
    #[inline]
    pub fn divide<'k>(
        &self,
        n: usize,
        hash: impl Fn(usize) -> u64,
        key: impl Fn(usize) -> SlotKey<'k>,
        out: &mut [u32; BATCH],
    ) {
        match self {
            Partitioner::Hash(partitions) => {
                out[..n].iter_mut().enumerate().for_each(|(i, out)| *out = by_hash(hash(i), *partitions) as u32);
            }
            Partitioner::Ranges(ranges) => ranges.divide(n, key, out),
        }
    }
}

/// Returns the partition of a hash among `partitions`, by the hash's top 32 bits.
#[inline]
pub fn by_hash(hash: u64, partitions: usize) -> usize {
    (((hash >> 32) * partitions as u64) >> 32) as usize
}

/// Ranges of keys. Keys are compared by their bytes.
#[derive(Debug)]
pub struct Ranges {
    /// The first keys of all ranges but the first, in order.
    bounds: Vec<Box<[u8]>>,
    /// How many bytes all bounds begin with.
    common: usize,
    /// The next eight bytes of each bound as a number, zero padded. Filled up with the greatest number, so that there
    /// are a power of two.
    prefixes: Vec<u64>,
}

/// Keys of a sample for each range. With 32, the largest of a thousand ranges has about twice the keys of an average one,
/// and the largest of a few has half as many again.
pub const KEYS_A_RANGE: usize = 32;

/// The most bytes of a bound: few beside a page, and enough to tell keys with a common beginning apart.
pub const LONGEST_BOUND: usize = 1 << 10;

/// One range, which has all keys.
impl Default for Partitioner {
    fn default() -> Self {
        Partitioner::Ranges(Ranges::new(Vec::new()))
    }
}

impl Ranges {
    /// Cuts the keys of a sample into at most `wanted` ranges that hold about equally many keys of the sample each.
    pub fn of_sample(mut sample: Vec<&[u8]>, wanted: usize) -> Ranges {
        sample.sort_unstable();
        let wanted = wanted.clamp(1, sample.len().max(1));
        let bound = |i: usize| sample[i * sample.len() / wanted];
        Ranges::new((1..wanted).map(|i| bound(i)[..bound(i).len().min(LONGEST_BOUND)].into()).collect())
    }

    /// Makes ranges with these bounds, which must be in order.
    fn new(mut bounds: Vec<Box<[u8]>>) -> Ranges {
        bounds.dedup();
        let common = match (bounds.first(), bounds.last()) {
            (Some(first), Some(last)) => common(first, last),
            _ => 0,
        };
        let mut prefixes: Vec<u64> = bounds.iter().map(|bound| prefix(&bound[common..])).collect();
        prefixes.resize((bounds.len() + 1).next_power_of_two(), u64::MAX);
        Ranges { bounds, common, prefixes }
    }

    /// Number of ranges.
    pub fn len(&self) -> usize {
        self.bounds.len() + 1
    }

    pub fn is_empty(&self) -> bool {
        false
    }

    /// Returns how many bytes all keys of these neighbouring ranges begin with.
    pub fn common(&self, ranges: Range<usize>) -> usize {
        match (ranges.start.checked_sub(1).map(|low| &self.bounds[low]), self.bounds.get(ranges.end.wrapping_sub(1))) {
            // A bound that was cut short says nothing about what follows its bytes.
            (Some(low), Some(high)) => common(low, high),
            _ => 0,
        }
    }

    /// Writes the ranges of `n` keys to `out`.
    ///
    /// All keys go one step of a binary search at a time. The steps of different keys don't wait for each other, and
    /// there is no branch to mispredict.
    #[inline]
    fn divide<'k>(&self, n: usize, get: impl Fn(usize) -> SlotKey<'k>, out: &mut [u32; BATCH]) {
        let mut wanted = [0; BATCH];
        wanted[..n].iter_mut().enumerate().for_each(|(i, wanted)| *wanted = self.prefix(get(i)));
        let (wanted, out) = (&wanted[..n], &mut out[..n]);
        // How many prefixes are less than the wanted one.
        out.fill(0);
        let mut half = self.prefixes.len() / 2;
        while half > 0 {
            let prefixes = &self.prefixes[half - 1..];
            for (wanted, below) in wanted.iter().zip(&mut *out) {
                let is_less = prefixes[*below as usize] < *wanted;
                *below = select_unpredictable(is_less, *below + half as u32, *below);
            }
            half /= 2;
        }
        for (i, (wanted, below)) in wanted.iter().zip(out).enumerate() {
            if self.prefixes[*below as usize] == *wanted {
                *below = self.of_bytes_from(get(i).bytes(&mut [0; hash::INLINE]), *below as usize) as u32;
            }
        }
    }

    /// Returns the number that is looked for among the prefixes.
    #[inline]
    fn prefix(&self, key: SlotKey<'_>) -> u64 {
        match key {
            SlotKey::Inline(words, _) if self.common == 0 => words[0].swap_bytes(),
            SlotKey::Long(bytes) if self.common == 0 => prefix(bytes),
            key => self.prefix_behind(key.bytes(&mut [0; hash::INLINE])),
        }
    }

    fn prefix_behind(&self, key: &[u8]) -> u64 {
        let len = self.common.min(key.len());
        match key[..len].cmp(&self.bounds[0][..self.common]) {
            Ordering::Equal => prefix(&key[len..]),
            // The key is less than all bounds, or greater than all.
            Ordering::Less => 0,
            Ordering::Greater => u64::MAX,
        }
    }

    /// Returns the range of a key that isn't less than the first `below` bounds.
    #[inline(never)]
    fn of_bytes_from(&self, key: &[u8], below: usize) -> usize {
        below + self.bounds[below..].partition_point(|bound| **bound <= *key)
    }
}

/// Returns how many bytes both begin with.
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Returns the first eight bytes as a number, zero padded.
#[inline]
pub(super) fn prefix(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            u64::from_be_bytes(padded)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(ranges: &Ranges, key: &[u8]) -> usize {
        let mut found = [0; BATCH];
        ranges.divide(3, |_| slot_key(key), &mut found);
        found[1] as usize
    }

    fn slot_key(key: &[u8]) -> SlotKey<'_> {
        match key.len() {
            len @ ..=hash::INLINE => SlotKey::Inline(hash::inline_words(key), len),
            _ => SlotKey::Long(key),
        }
    }

    /// Keys with common beginnings of all lengths, with NULs and greatest bytes.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0u8), Just(b'a'), Just(0xff), any::<u8>()];
        let begin = prop_oneof![Just(&b""[..]), Just(&b"http://"[..]), Just(&b"http://www.example.com/"[..])];
        (begin, prop::collection::vec(byte, 0..12)).prop_map(|(begin, end)| [begin, &end[..]].concat())
    }

    #[test]
    fn one_range_has_all_keys() {
        let one = Partitioner::default();
        let keys = [&b""[..], b"a", &[0xff; 8], &[0xff; 40]];
        let mut found = [7; BATCH];
        one.divide(keys.len(), |_| 0, |i| slot_key(keys[i]), &mut found);
        assert_eq!((one.partitions(), one.common(0..1), &found[..keys.len()]), (1, 0, &[0; 4][..]));
    }

    proptest! {
        #[test]
        fn a_range_is_the_number_of_bounds_up_to_the_key(
            sample in prop::collection::vec(key(), 0..60),
            others in prop::collection::vec(key(), 0..60),
            wanted in 1usize..40,
        ) {
            let ranges = Ranges::of_sample(sample.iter().map(Vec::as_slice).collect(), wanted);
            prop_assert!(ranges.len() <= wanted && ranges.bounds.is_sorted());
            for key in sample.iter().chain(&others) {
                let expected = ranges.bounds.iter().filter(|bound| ***bound <= key[..]).count();
                prop_assert_eq!(range(&ranges, key), expected, "{:?} {:?}", key, ranges);
                for to in expected + 1..=ranges.len() {
                    let common = ranges.common(expected..to);
                    prop_assert!(common == 0 || key[..common] == ranges.bounds[expected - 1][..common]);
                }
            }
        }

        #[test]
        fn ranges_of_keys_that_differ_are_even(count in 1usize..2000, wanted in 1usize..64) {
            let keys: Vec<_> = (0..count).map(|i| format!("{:x}", i * 7919 % 65536)).collect();
            let ranges = Ranges::of_sample(keys.iter().map(String::as_bytes).collect(), wanted);
            let mut held = vec![0usize; ranges.len()];
            keys.iter().for_each(|key| held[range(&ranges, key.as_bytes())] += 1);
            prop_assert_eq!(ranges.len(), wanted.min(count));
            prop_assert!(held.iter().all(|held| held.abs_diff(count / ranges.len()) <= 1), "{:?}", held);
        }
    }
}
