//! Divides the rows of some partitions into pieces whose groups fit a cache, before they are folded.
//!
//! ```text
//! pages ─► rows of the partitions ─┬─► piece 0 ─► table ─► rows
//!                                  ├─► piece 1 ─► table ─► rows
//!                                  └─►   …
//! ```
//!
//! Rows meet the groups of a table at random places. Where the table is larger than the cache, each row costs a miss,
//! and dividing the rows first costs less. Were the partitions of runs as small instead, the map phase would have too
//! many buffers for its cache.

use std::ops::Range;

use crate::data::buffer::Buffer;
use crate::data::{BATCH, Bytes, Span};
use crate::shuffle::row::get_row;
use crate::shuffle::{Partitioner, Ranges};
use crate::table::keys::{LONG, code};
use crate::table::{KeyBatch, SlotKey};

/// The rows of some partitions, and the pieces that they are divided into.
#[derive(Debug)]
pub struct Pieces {
    rows: Buffer,
    /// The key of each row.
    keys: Vec<Span>,
    /// Where each row ends.
    ends: Vec<u32>,
    batch: Box<KeyBatch>,
    numbers: Box<[u32; BATCH]>,
    pieces: Vec<Piece>,
}

/// Some of the rows, in pages.
#[derive(Debug, Default)]
struct Piece {
    rows: Buffer,
    /// Where each page but the last one ends, and the number of its rows.
    pages: Vec<(usize, u32)>,
    /// Where the last page begins, and the number of its rows.
    begin: usize,
    last: u32,
}

/// How rows are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// By hashes, which are ANDed with this mask.
    Hash(u64),
    /// By ranges of keys.
    Ranges,
}

/// Keys that are looked at for each range. With 32, the largest of a few ranges has about half as many keys again as an
/// average one.
const KEYS_A_RANGE: usize = 32;

/// Bytes of rows in a page of a piece, unless a row is longer.
const PAGE: usize = 16 << 10;

/// Bits of a hash that tell partitions apart. Pieces are told apart by the bits below.
const PARTITION_BITS: u32 = 24;

impl Default for Pieces {
    fn default() -> Self {
        Pieces {
            rows: Buffer::default(),
            keys: Vec::new(),
            ends: Vec::new(),
            batch: Box::default(),
            numbers: Box::new([0; BATCH]),
            pieces: Vec::new(),
        }
    }
}

impl Pieces {
    /// Removes all rows.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.keys.clear();
        self.ends.clear();
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

    /// Divides the rows into pieces: `wanted` of them, or fewer. All rows of a key are in the same piece, and ranges of
    /// keys are in the order of the keys. Returns how rows were divided.
    pub fn divide(&mut self, division: Division, wanted: usize) -> Partitioner {
        let (partitioner, mask) = match division {
            Division::Hash(mask) => (Partitioner::Hash(wanted), mask),
            Division::Ranges => (Partitioner::Ranges(self.ranges(wanted)), u64::MAX),
        };
        self.pieces.resize_with(partitioner.partitions().max(self.pieces.len()), Piece::default);
        self.pieces.iter_mut().for_each(Piece::clear);
        let Pieces { rows, keys, ends, batch, numbers, pieces } = self;
        let rows = rows.as_slice();
        let mut start = 0;
        for (spans, ends) in keys.chunks(BATCH).zip(ends.chunks(BATCH)) {
            batch.hash(Bytes { data: rows, spans }, mask);
            let key = |i: usize| match code(batch.meta[i]) {
                LONG => SlotKey::Long(&rows[spans[i].start as usize..spans[i].end as usize]),
                code => SlotKey::Inline(batch.words[i], code as usize - 1),
            };
            partitioner.divide(batch.len, |i| ((batch.meta[i] & !LONG) << PARTITION_BITS, key(i)), numbers);
            for (&end, &number) in ends.iter().zip(&**numbers) {
                pieces[number as usize].add(&rows[start..end as usize]);
                start = end as usize;
            }
        }
        partitioner
    }

    /// Returns the pages of a piece, each with the number of its rows.
    pub fn pages(&self, piece: usize) -> impl Iterator<Item = (&[u8], u32)> {
        self.pieces[piece].pages()
    }

    /// Cuts a sample of the keys into ranges.
    fn ranges(&self, wanted: usize) -> Ranges {
        let step = (self.keys.len() / (wanted * KEYS_A_RANGE)).max(1);
        let key = |span: &Span| &self.rows.as_slice()[span.start as usize..span.end as usize];
        Ranges::of_sample(self.keys.iter().step_by(step).map(key).collect(), wanted)
    }
}

impl Piece {
    fn clear(&mut self) {
        self.rows.clear();
        self.pages.clear();
        (self.begin, self.last) = (0, 0);
    }

    #[inline]
    fn add(&mut self, row: &[u8]) {
        self.rows.extend(row);
        self.last += 1;
        if self.rows.len() - self.begin >= PAGE {
            self.pages.push((self.rows.len(), self.last));
            (self.begin, self.last) = (self.rows.len(), 0);
        }
    }

    fn pages(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let last = (self.rows.len(), self.last);
        let mut begin = 0;
        self.pages.iter().copied().chain([last]).map(move |(end, rows)| {
            let range: Range<usize> = std::mem::replace(&mut begin, end)..end;
            (&self.rows.as_slice()[range], rows)
        })
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
        /// Every row is in one piece, those of a key in the same one. Ranges are in order.
        #[test]
        fn every_row_is_in_one_piece(
            pages in prop::collection::vec(prop::collection::vec("a{0,20}[abc]{0,3}|[a-z]{0,70}", 1..200), 1..4),
            division in prop::sample::select(&[Division::Ranges, Division::Hash(u64::MAX), Division::Hash(0)][..]),
            wanted in 1usize..9,
        ) {
            let mut pieces = Pieces::default();
            for _ in 0..2 {
                pieces.clear();
                let mut expected = BTreeMap::new();
                for some in &pages {
                    let some: Vec<_> = some.iter().map(|key| key.clone().into_bytes()).collect();
                    prop_assert_eq!(pieces.add(page(&some).as_slice()), Some(some.len() as u32));
                    some.into_iter().for_each(|key| *expected.entry(key).or_insert(0) += 1);
                }
                let count = pieces.divide(division, wanted).partitions();
                prop_assert!((1..=wanted).contains(&count));
                let mut found = BTreeMap::new();
                let mut last = None;
                for piece in 0..count {
                    let mut of_piece = BTreeSet::new();
                    for (rows, number) in pieces.pages(piece) {
                        let keys = keys(rows);
                        prop_assert_eq!(keys.len(), number as usize);
                        prop_assert!(rows.len() < PAGE + 100);
                        for key in keys {
                            *found.entry(key.clone()).or_insert(0) += 1;
                            of_piece.insert(key);
                        }
                    }
                    if division == Division::Ranges && !of_piece.is_empty() {
                        prop_assert!(last < of_piece.first().cloned());
                        last = of_piece.pop_last();
                    } else if division == Division::Hash(0) {
                        prop_assert!(piece == 0 || of_piece.is_empty());
                    }
                }
                prop_assert_eq!(found, expected);
            }
        }
    }

    /// Keys of one partition, which have the first bits of their hashes in common, are divided evenly.
    #[test]
    fn pieces_are_even() {
        let partition = Partitioner::Hash(1024);
        let mut batch = Box::<KeyBatch>::default();
        let mut keys: Vec<_> = (0..2_000_000).map(|i| format!("{i:020}").into_bytes()).collect();
        let mut numbers = [0; BATCH];
        keys.retain(|key| {
            batch.hash(Bytes { data: key, spans: &[Span::of(0..key.len())] }, u64::MAX);
            partition.divide(1, |_| (batch.meta[0] & !LONG, SlotKey::Long(key)), &mut numbers);
            numbers[0] == 17
        });
        for division in [Division::Hash(u64::MAX), Division::Ranges] {
            let mut pieces = Pieces::default();
            assert_eq!(pieces.add(page(&keys).as_slice()), Some(keys.len() as u32));
            assert_eq!(pieces.divide(division, 8).partitions(), 8);
            for piece in 0..8 {
                let rows: u32 = pieces.pages(piece).map(|(_, rows)| rows).sum();
                let even = keys.len() as u32 / 8;
                assert!((even / 2..2 * even).contains(&rows), "{rows} of {}, {division:?}", keys.len());
            }
        }
    }

    #[test]
    fn bytes_that_are_no_rows() {
        assert_eq!(Pieces::default().add(&[9, 2, b'a']), None);
    }
}
