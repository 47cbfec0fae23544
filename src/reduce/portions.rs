//! Divides the rows of some partitions into portions whose groups fit a cache, before they are folded.
//!
//! ```text
//! pages ─► rows of the partitions ─┬─► portion 0 ─► table ─► rows
//!                                  ├─► portion 1 ─► table ─► rows
//!                                  └─►   …
//! ```
//!
//! Rows meet the groups of a table at random places. If the table is larger than the cache, each row costs a miss, and
//! dividing the rows first costs less. If partitions were as small, the map phase would need more buffers than fit its
//! cache.

use super::Fold;
use crate::data::buffer::{Buffer, SHORT, SLACK, copy_short};
use crate::data::{BATCH, Bytes, Span};
use crate::shuffle::ranges::KEYS_A_RANGE;
use crate::shuffle::row::get_row;
use crate::shuffle::{Partitioner, Ranges};
use crate::table::{KeyBatch, SlotKey, hash};

/// The rows of some partitions, and how they are divided.
#[derive(Debug)]
pub struct Portions {
    rows: Buffer,
    /// The key of each row.
    keys: Vec<Span>,
    /// Where each row ends.
    ends: Vec<u32>,
    /// The portion of each row.
    numbers: Vec<u8>,
    batch: Box<KeyBatch>,
    of_batch: Box<[u32; BATCH]>,
    /// The rows of portion 0, then those of portion 1, and so on.
    divided: Vec<u8>,
    portions: Vec<Portion>,
}

/// Where the rows of a portion are, in pages.
#[derive(Debug, Default)]
struct Portion {
    begin: usize,
    /// Where the rows that were copied so far end.
    end: usize,
    /// Where each page but the last one ends, and the number of its rows.
    pages: Vec<(usize, u32)>,
    /// Where the last page begins, and the number of its rows.
    last: usize,
    count: u32,
}

/// How rows are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// By hashes, which are ANDed with this mask.
    Hash(u64),
    /// By ranges of keys.
    Ranges,
}

/// The most portions.
const MOST_PORTIONS: usize = 64;
const _: () = assert!(MOST_PORTIONS <= u8::MAX as usize);

/// The least portions for which dividing costs less than it saves. Reducing the words of the Linux source, with groups of
/// 850 KB in a partition, took 1.2 times as long if they were divided.
const LEAST_PORTIONS: usize = 4;

/// Bytes of rows in a page of a portion, unless a row is longer.
const PAGE: usize = 16 << 10;

/// How many bytes groups took beside the bytes of the rows that were folded into them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Density {
    groups: usize,
    rows: usize,
}

impl Density {
    /// Adds the groups that a fold holds.
    pub fn add(&mut self, fold: &Fold) {
        self.groups += fold.table.bytes_of_groups();
        self.rows += fold.bytes_of_rows();
    }

    /// Returns this density, or the other if there were no rows.
    pub fn or(self, other: Density) -> Density {
        if self.rows > 0 { self } else { other }
    }

    /// Returns how many portions so many bytes of rows are best divided into, so that the groups of each take `cache`
    /// bytes. `None` if it is best not to divide them.
    pub fn portions(self, bytes: u64, cache: usize) -> Option<usize> {
        let groups = u128::from(bytes) * self.groups as u128 / (self.rows as u128).max(1);
        let portions = usize::try_from(groups / cache as u128).unwrap_or(usize::MAX);
        (portions >= LEAST_PORTIONS).then_some(portions.min(MOST_PORTIONS))
    }
}

impl Default for Portions {
    fn default() -> Self {
        Portions {
            rows: Buffer::default(),
            keys: Vec::new(),
            ends: Vec::new(),
            numbers: Vec::new(),
            batch: Box::default(),
            of_batch: Box::new([0; BATCH]),
            divided: Vec::new(),
            portions: Vec::new(),
        }
    }
}

impl Portions {
    /// Returns the bytes of memory that so many rows, of so many bytes, take while they are divided.
    pub fn memory(bytes: u64, rows: u64) -> u64 {
        2 * bytes + rows * (size_of::<Span>() + size_of::<u32>() + size_of::<u8>()) as u64
    }

    /// Makes room for so many rows of so many bytes, fewer than 2^32, in place of those that were there.
    pub fn begin(&mut self, bytes: usize, rows: usize) {
        self.rows.clear();
        self.rows.make_room(bytes + SLACK);
        self.keys.clear();
        self.keys.reserve_exact(rows);
        self.ends.clear();
        self.ends.reserve_exact(rows);
        self.numbers.clear();
        self.numbers.reserve_exact(rows);
    }

    /// Adds the rows of a page. Returns their number, or `None` if the bytes aren't rows.
    pub fn add(&mut self, page: &[u8]) -> Option<u32> {
        let (before, first) = (self.ends.len(), self.rows.len() as u32);
        let mut at = 0;
        while at < page.len() {
            let row = get_row(page, &mut at)?;
            self.keys.push(row.key.shifted(first));
            self.ends.push(first + at as u32);
        }
        self.rows.extend(page);
        Some((self.ends.len() - before) as u32)
    }

    /// Divides the rows into portions: `wanted` of them, or fewer. All rows of a key are in the same portion, and ranges
    /// of keys are in the order of the keys. Returns how rows were divided.
    pub fn divide(&mut self, division: Division, wanted: usize) -> Partitioner {
        let wanted = wanted.min(MOST_PORTIONS);
        let partitioner = match division {
            Division::Hash(_) => Partitioner::Hash(wanted),
            Division::Ranges => Partitioner::Ranges(self.ranges(wanted)),
        };
        let mut lens = vec![0; partitioner.partitions()];
        self.choose(&partitioner, division, &mut lens);
        self.portions.resize_with(lens.len(), Portion::default);
        let mut begin = 0;
        for (portion, len) in self.portions.iter_mut().zip(lens) {
            portion.begin(begin);
            begin += len;
        }
        self.copy();
        partitioner
    }

    /// Chooses the portion of each row. Adds the bytes of the rows of each portion to `lens`.
    fn choose(&mut self, partitioner: &Partitioner, division: Division, lens: &mut [usize]) {
        let Portions { rows, keys, ends, numbers, batch, of_batch, .. } = self;
        let data = rows.as_slice();
        let mut start = 0;
        for (spans, ends) in keys.chunks(BATCH).zip(ends.chunks(BATCH)) {
            let keys = Bytes { data, spans };
            if let Division::Hash(mask) = division {
                batch.hash(keys, mask);
            }
            let hash = |i: usize| hash::of_portion(batch.get(i, keys).0);
            partitioner.divide(spans.len(), hash, |i| SlotKey::Long(keys.get(i)), of_batch);
            for (&end, &number) in ends.iter().zip(&**of_batch) {
                lens[number as usize] += (end - start) as usize;
                numbers.push(number as u8);
                start = end;
            }
        }
    }

    /// Copies each row to its portion.
    fn copy(&mut self) {
        let Portions { rows, ends, numbers, divided, portions, .. } = self;
        let rows = rows.as_slice();
        if divided.len() < rows.len() {
            divided.reserve_exact(rows.len() - divided.len());
            divided.resize(rows.len(), 0);
        }
        let mut start = 0;
        for (&end, &number) in ends.iter().zip(&*numbers) {
            portions[usize::from(number)].add(&rows[start..end as usize], divided);
            start = end as usize;
        }
    }

    /// Returns the pages of a portion, each with the number of its rows.
    pub fn pages(&self, portion: usize) -> impl Iterator<Item = (&[u8], u32)> {
        let Portion { begin, end, pages, count, .. } = &self.portions[portion];
        let mut start = *begin;
        let all = pages.iter().copied().chain([(*end, *count)]).filter(|(_, count)| *count > 0);
        all.map(move |(end, count)| (&self.divided[std::mem::replace(&mut start, end)..end], count))
    }

    /// Cuts a sample of the keys into ranges.
    fn ranges(&self, wanted: usize) -> Ranges {
        let step = (self.keys.len() / (wanted * KEYS_A_RANGE)).max(1);
        let key = |span: &Span| &self.rows.as_slice()[span.start as usize..span.end as usize];
        Ranges::of_sample(self.keys.iter().step_by(step).map(key).collect(), wanted)
    }
}

impl Portion {
    fn begin(&mut self, begin: usize) {
        self.pages.clear();
        (self.begin, self.end, self.last, self.count) = (begin, begin, begin, 0);
    }

    #[inline]
    fn add(&mut self, row: &[u8], to: &mut [u8]) {
        let place = &mut to[self.end..self.end + row.len()];
        if row.len() <= SHORT {
            copy_short(place, row)
        } else {
            place.copy_from_slice(row)
        }
        self.end += row.len();
        self.count += 1;
        if self.end - self.last >= PAGE {
            self.pages.push((self.end, self.count));
            (self.last, self.count) = (self.end, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Aggregate, Count};
    use crate::shuffle::Aggregation;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Returns the keys of rows.
    fn keys(rows: &[u8]) -> Vec<Vec<u8>> {
        let mut at = 0;
        let mut keys = Vec::new();
        while at < rows.len() {
            let key = get_row(rows, &mut at).unwrap().key;
            keys.push(rows[key.start as usize..key.end as usize].to_vec());
        }
        keys
    }

    /// Returns a page with a row for each of these keys.
    fn page(keys: &[Vec<u8>]) -> Buffer {
        let aggregation = Aggregation::new(vec![&Count { column: None } as &dyn Aggregate], &[]);
        let mut page = Buffer::default();
        keys.iter().for_each(|key| aggregation.shape.put_value(&mut page, key, &[], 0));
        page
    }

    proptest! {
        /// Every row is in one portion, those of a key in the same one. Ranges are in order.
        #[test]
        fn every_row_is_in_one_portion(
            pages in prop::collection::vec(prop::collection::vec("a{0,20}[abc]{0,3}|[a-z]{0,70}", 1..200), 1..4),
            division in prop::sample::select(&[Division::Ranges, Division::Hash(u64::MAX), Division::Hash(0)][..]),
            wanted in 1usize..9,
        ) {
            let mut portions = Portions::default();
            for _ in 0..2 {
                portions.begin(0, 0);
                let mut expected = BTreeMap::new();
                for some in &pages {
                    let some: Vec<_> = some.iter().map(|key| key.clone().into_bytes()).collect();
                    prop_assert_eq!(portions.add(page(&some).as_slice()), Some(some.len() as u32));
                    some.into_iter().for_each(|key| *expected.entry(key).or_insert(0) += 1);
                }
                let count = portions.divide(division, wanted).partitions();
                prop_assert!((1..=wanted).contains(&count));
                let mut found = BTreeMap::new();
                let mut last = None;
                for portion in 0..count {
                    let mut of_portion = BTreeSet::new();
                    for (rows, number) in portions.pages(portion) {
                        let keys = keys(rows);
                        prop_assert_eq!(keys.len(), number as usize);
                        prop_assert!(rows.len() < PAGE + 100);
                        for key in keys {
                            *found.entry(key.clone()).or_insert(0) += 1;
                            of_portion.insert(key);
                        }
                    }
                    if division == Division::Ranges && !of_portion.is_empty() {
                        prop_assert!(last < of_portion.first().cloned());
                        last = of_portion.pop_last();
                    } else if division == Division::Hash(0) {
                        prop_assert!(portion == 0 || of_portion.is_empty());
                    }
                }
                prop_assert_eq!(found, expected);
            }
        }
    }

    /// Keys of one partition, which have the first bits of their hashes in common, are divided evenly.
    #[test]
    fn portions_are_even() {
        let partition = Partitioner::Hash(1024);
        let mut batch = Box::<KeyBatch>::default();
        let mut keys: Vec<_> = (0..2_000_000).map(|i| format!("{i:020}").into_bytes()).collect();
        let mut numbers = [0; BATCH];
        keys.retain(|key| {
            let one = Bytes { data: key, spans: &[Span::of(0..key.len())] };
            batch.hash(one, u64::MAX);
            partition.divide(1, |i| batch.get(i, one).0, |i| batch.get(i, one).1, &mut numbers);
            numbers[0] == 17
        });
        for division in [Division::Hash(u64::MAX), Division::Ranges] {
            let mut portions = Portions::default();
            assert_eq!(portions.add(page(&keys).as_slice()), Some(keys.len() as u32));
            assert_eq!(portions.divide(division, 8).partitions(), 8);
            for portion in 0..8 {
                let rows: u32 = portions.pages(portion).map(|(_, rows)| rows).sum();
                let even = keys.len() as u32 / 8;
                assert!((even / 2..2 * even).contains(&rows), "{rows} of {}, {division:?}", keys.len());
            }
        }
    }

    /// Rows are divided only if their groups are several times as large as the cache.
    #[test]
    fn when_rows_are_divided() {
        let aggregation = Aggregation::new(vec![&Count { column: None } as &dyn Aggregate], &[]);
        let density = |keys: usize| {
            let mut fold = Fold::new(8, u64::MAX, usize::MAX, &aggregation);
            let mut rows = Buffer::default();
            (0..20_000).for_each(|i| {
                aggregation.shape.put_value(&mut rows, format!("{:020}", i % keys).as_bytes(), &[], 0);
            });
            fold.absorb(rows.as_slice(), &aggregation).unwrap();
            assert_eq!(fold.bytes_of_rows(), rows.len());
            let mut density = Density::default();
            density.add(&fold);
            density
        };
        let (few, distinct) = (density(1000), density(20_000));
        assert_eq!(few.portions(1 << 20, 256 << 10), None);
        let portions = distinct.portions(1 << 20, 256 << 10).unwrap();
        assert!((8..=20).contains(&portions), "{portions}");
        assert_eq!(distinct.portions(64 << 10, 256 << 10), None);
        assert_eq!(distinct.portions(1 << 40, 256 << 10), Some(MOST_PORTIONS));
        assert_eq!(Density::default().portions(1 << 40, 1), None);
    }

    #[test]
    fn bytes_that_are_no_rows() {
        assert_eq!(Portions::default().add(&[9, 2, b'a']), None);
    }
}
