//! Folds partitions into groups and hands their rows on: the part that all reduce attempts share.
//!
//! ```text
//! pages of a partition ─► table ─► rows                                       if all groups fit the memory
//!          │                │ full
//!          │                └─► groups sorted by key, in a run ─┐
//!          │                └─► groups sorted by key, in a run ─┼─► merged ─► table ─► rows      otherwise
//!          │                      …                             ┘
//!          └─► piece 0, piece 1, … and each as above         if all groups don't fit the cache
//! ```
//!
//! The merge brings all rows of a key together, so the table needs to hold few groups at a time. However many groups a
//! partition has, and whatever their hashes are, the memory is bounded.

use std::ops::Range;
use std::sync::Arc;

use super::Grouping;
use super::job::Job;
use super::overflow::Overflow;
use super::runs::Runs;
use crate::data::Sink;
use crate::data::buffer::Buffer;
use crate::error::{Error, Result};
use crate::reduce::{Division, FinishedBatch, Finisher, Fold, Pieces};
use crate::report::Counters;
use crate::run::Attempt;
use crate::shuffle::format::Page;
use crate::shuffle::merge::{Merge, Sorting};
use crate::shuffle::row::find_key;
use crate::shuffle::{PageReader, Run};
use crate::table::{KeyOrder, SortMemory};

/// Bytes of the largest page whose memory is kept for the next page. A longer page holds a single row.
const LONG_PAGE: usize = 32 << 20;

/// Initial slots of a reduce task's table.
const SLOTS: usize = 1 << 12;

/// Bytes of merged rows that are folded at once.
const MERGED: usize = 64 << 10;

/// Bytes of groups that fit a second-level cache of 512 KiB, beside the rows that are read and written.
const CACHE: f64 = (256 << 10) as f64;

/// The least pieces for which dividing costs less than it saves. Reducing the words of the Linux source, with groups of
/// 850 KB in a partition, took 1.2 times as long if they were divided.
const LEAST_PIECES: f64 = 4.0;

/// The most pieces of a partition.
const MOST_PIECES: f64 = 64.0;

/// One worker's memory for folding.
#[derive(Debug)]
pub struct FoldMemory {
    fold: Fold,
    page: Vec<u8>,
    batch: FinishedBatch,
    sorted: SortMemory,
    /// Rows that were merged.
    merged: Buffer,
    pieces: Pieces,
    /// Bytes that the groups took for each byte of rows, when rows were last folded.
    density: f64,
}

impl FoldMemory {
    pub fn new(job: &Job<'_>, grouping: &Grouping<'_>, finisher: &Finisher<'_>) -> Self {
        let hash_mask = job.plan.settings.hash_mask;
        FoldMemory {
            fold: Fold::new(slots(job), hash_mask, job.sizes.fold_memory, &grouping.aggregation),
            page: Vec::new(),
            batch: finisher.batch(),
            sorted: SortMemory::default(),
            merged: Buffer::default(),
            pieces: Pieces::default(),
            density: 0.0,
        }
    }

    /// Folds some pages of a run, at most `most` bytes of rows. Returns the bytes of the rows.
    pub fn look(&mut self, grouping: &Grouping<'_>, run: &Run, pages: &[Page], most: u64) -> Result<u64> {
        let reader = run.reader()?;
        let mut bytes = 0;
        for page in pages {
            let payload = reader.read(page, &mut self.page)?;
            if bytes >= most || !self.fold.fits(payload.len(), page.rows) {
                break;
            }
            absorb(grouping, &reader, page, payload, &mut self.fold)?;
            bytes += u64::from(page.len);
        }
        Ok(bytes)
    }

    /// Hands the rows of the groups to `out`, in this order of keys or in any order.
    pub fn finish(&mut self, finisher: &Finisher<'_>, order: Option<KeyOrder>, out: &mut dyn Sink) -> Result<()> {
        let order = order.map(|order| (order, 0));
        finisher.finish(&mut self.fold.table, order, &mut self.sorted, &mut self.batch, out)
    }
}

/// What the folds of an attempt have in common.
pub struct Folding<'a> {
    pub job: &'a Job<'a>,
    pub grouping: &'a Grouping<'a>,
    pub runs: &'a Runs<'a>,
    /// Row bytes of each partition in all runs.
    pub bytes: &'a [u64],
    pub finisher: &'a Finisher<'a>,
    pub attempt: &'a Attempt<'a>,
    /// The order of keys that rows are wanted in. `None`: any order.
    pub order: Option<KeyOrder>,
}

/// Where the rows of an attempt go.
struct Folded<'a> {
    memory: &'a mut FoldMemory,
    overflow: Overflow<'a>,
    out: &'a mut dyn Sink,
}

impl Folding<'_> {
    /// Folds each of these ranges of partitions, and hands the rows of one after the other to `out`.
    pub fn fold(&self, folds: Vec<Range<usize>>, memory: &mut FoldMemory, out: &mut dyn Sink) -> Result<Counters> {
        let mut counters = Counters::default();
        let runs = self.runs.current(self.attempt)?;
        let sorting = Sorting { find_key, order: self.order.unwrap_or(KeyOrder::Ascending) };
        let overflow = Overflow::new(self.job, self.attempt, sorting);
        let mut to = Folded { memory, overflow, out };
        for partitions in folds {
            let common = self.runs.partitioner().common(partitions.clone());
            let pieces = self.pieces(self.bytes[partitions.clone()].iter().sum(), to.memory.density);
            if pieces == 1 {
                counters.reduce_input_records +=
                    self.read(&runs, &partitions, &mut to, |to, rows, count| self.absorb(rows, count, common, to))?;
                if self.grouping.is_one_group() {
                    to.memory.fold.ensure_empty_key();
                }
                counters.reduce_input_groups += self.hand_on(common, &mut to)?;
            } else {
                to.memory.pieces.clear();
                counters.reduce_input_records +=
                    self.read(&runs, &partitions, &mut to, |to, rows, _| Ok(to.memory.pieces.add(rows)))?;
                counters.reduce_input_groups += self.divide(pieces, common, &mut to)?;
            }
        }
        counters.reduce_spills = to.overflow.written;
        Ok(counters)
    }

    /// Returns how many pieces so many bytes of rows are divided into before they are folded.
    fn pieces(&self, bytes: u64, density: f64) -> usize {
        match self.grouping.is_one_group() || bytes > self.job.sizes.divided {
            true => 1,
            false => pieces(bytes, density),
        }
    }

    /// Divides the rows that were read into pieces, and folds one after the other. Returns the number of groups.
    fn divide(&self, wanted: usize, common: usize, to: &mut Folded<'_>) -> Result<u64> {
        let mut pieces = std::mem::take(&mut to.memory.pieces);
        let division = match self.order {
            None => Division::Hash(self.job.plan.settings.hash_mask),
            Some(_) => Division::Ranges,
        };
        let partitioner = pieces.divide(division, wanted);
        let mut groups = 0;
        for i in 0..partitioner.partitions() {
            self.attempt.check()?;
            let number = if self.order == Some(KeyOrder::Descending) { partitioner.partitions() - 1 - i } else { i };
            let common = common.max(partitioner.common(number..number + 1));
            for (rows, count) in pieces.pages(number) {
                self.absorb(rows, count, common, to)?.expect("they were read as rows");
            }
            groups += self.hand_on(common, to)?;
        }
        to.memory.pieces = pieces;
        Ok(groups)
    }

    /// Reads these partitions of all runs, and hands the rows of each page to `each`, which returns their number. Returns
    /// the number of all rows.
    fn read(
        &self,
        runs: &[Arc<Run>],
        partitions: &Range<usize>,
        to: &mut Folded<'_>,
        mut each: impl FnMut(&mut Folded<'_>, &[u8], u32) -> Result<Option<u32>>,
    ) -> Result<u64> {
        let mut buffer = std::mem::take(&mut to.memory.page);
        let mut records = 0;
        for (task, run) in runs.iter().enumerate() {
            let read = self.read_run(run, partitions.clone(), &mut buffer, |rows, count| each(to, rows, count));
            records += read.inspect_err(|error| {
                // If another attempt has won meanwhile, it may have released the pages that this one reads.
                if error.is_damage() && self.attempt.check().is_ok() {
                    self.runs.note_damage(task, run);
                }
            })?;
        }
        to.memory.page = buffer;
        Ok(records)
    }

    fn read_run(
        &self,
        run: &Run,
        partitions: Range<usize>,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(&[u8], u32) -> Result<Option<u32>>,
    ) -> Result<u64> {
        let pages = run.pages(partitions)?;
        if pages.is_empty() {
            return Ok(0);
        }
        self.attempt.check()?;
        let reader = run.reader()?;
        let mut records = 0;
        for page in &*pages {
            let rows = reader.read(page, buffer)?;
            if each(rows, page.rows)? != Some(page.rows) {
                return Err(other_rows(&reader, page));
            }
            records += u64::from(page.rows);
            self.attempt.advance(u64::from(page.len));
            if buffer.len() > LONG_PAGE {
                *buffer = Vec::new();
            }
        }
        Ok(records)
    }

    /// Folds a page of `count` rows, whose keys begin with `common` bytes. Returns how many rows there are, or `None` if
    /// the bytes aren't rows of this job.
    fn absorb(&self, rows: &[u8], count: u32, common: usize, to: &mut Folded<'_>) -> Result<Option<u32>> {
        if !to.memory.fold.fits(rows.len(), count) && !to.memory.fold.table.is_empty() {
            self.spill(common, to)?;
            // What a table has grown to may leave no room for a page, even if it is empty.
            if !to.memory.fold.fits(rows.len(), count) {
                to.memory.fold.table.restart(slots(self.job));
            }
        }
        let fold = &mut to.memory.fold;
        if !fold.has_room(rows.len(), count) {
            return Err(Error::RowTooLong { bytes: rows.len() as u64 });
        }
        Ok(fold.absorb(rows, &self.grouping.aggregation))
    }

    /// Hands the rows of all groups on, those of groups that were spilled included. Returns the number of groups.
    fn hand_on(&self, common: usize, to: &mut Folded<'_>) -> Result<u64> {
        let fold = &mut to.memory.fold;
        if let Some(density) = fold.density() {
            to.memory.density = density;
        }
        let held = fold.table.len();
        let groups = match to.overflow.is_empty() {
            true => self.finish(common, to)?,
            false => {
                self.spill(common, to)?;
                self.merge(common, to)?
            }
        };
        to.memory.fold.table.shrink(slots(self.job), held);
        Ok(groups)
    }

    /// Writes the groups to a sorted run.
    fn spill(&self, common: usize, to: &mut Folded<'_>) -> Result<()> {
        let (shape, order) = (&self.grouping.aggregation.shape, to.overflow.sorting.order);
        let FoldMemory { fold, sorted, .. } = &mut *to.memory;
        to.overflow.add(|run| {
            fold.table.drain_in_order(order, common, sorted, |table, slots| {
                slots.iter().try_for_each(|slot| {
                    run.add(0, |out| {
                        shape.put_group(out, &table.group(*slot), table.arena());
                    })
                })
            })
        })
    }

    /// Hands the rows of all groups in the table on. Returns the number of groups.
    fn finish(&self, common: usize, to: &mut Folded<'_>) -> Result<u64> {
        let FoldMemory { fold, sorted, batch, .. } = &mut *to.memory;
        let groups = fold.table.len() as u64;
        let order = self.order.map(|order| (order, common));
        self.finisher.finish(&mut fold.table, order, sorted, batch, to.out)?;
        Ok(groups)
    }

    /// Merges the sorted runs, folds the rows of each key, and hands the groups' rows on. Returns the number of groups.
    fn merge(&self, common: usize, to: &mut Folded<'_>) -> Result<u64> {
        let (runs, sorting) = (to.overflow.take()?, to.overflow.sorting);
        let mut merge = Merge::new(&runs, sorting)?;
        let (mut groups, mut last) = (0, Vec::new());
        // Whether enough rows were folded for the groups to be handed on. They are whole where the next key begins.
        let mut is_due = false;
        while let Some((key, row)) = merge.next_row()? {
            if *key != *last {
                if is_due {
                    self.attempt.check()?;
                    self.fold_merged(to.memory);
                    groups += self.finish(common, to)?;
                    is_due = false;
                }
                last.clear();
                last.extend_from_slice(key);
            }
            to.memory.merged.extend(row);
            if to.memory.merged.len() >= MERGED {
                self.fold_merged(to.memory);
                is_due = true;
            }
        }
        self.fold_merged(to.memory);
        groups += self.finish(common, to)?;
        Ok(groups)
    }

    /// Folds the rows that were merged.
    fn fold_merged(&self, memory: &mut FoldMemory) {
        let folded = memory.fold.absorb(memory.merged.as_slice(), &self.grouping.aggregation);
        assert!(folded.is_some(), "they were written as rows of this job");
        memory.merged.clear();
    }
}

/// Returns into how many pieces so many bytes of rows are best divided, if the groups of each byte take `density` bytes.
fn pieces(bytes: u64, density: f64) -> usize {
    let pieces = bytes as f64 * density / CACHE;
    if pieces < LEAST_PIECES { 1 } else { pieces.min(MOST_PIECES) as usize }
}

/// Returns how many slots a table begins with.
fn slots(job: &Job<'_>) -> usize {
    job.plan.settings.table_slots.unwrap_or(SLOTS)
}

/// Folds one page.
fn absorb(grouping: &Grouping<'_>, reader: &PageReader<'_>, page: &Page, rows: &[u8], fold: &mut Fold) -> Result<()> {
    match fold.absorb(rows, &grouping.aggregation) {
        Some(found) if found == page.rows => Ok(()),
        _ => Err(other_rows(reader, page)),
    }
}

fn other_rows(reader: &PageReader<'_>, page: &Page) -> Error {
    reader.corrupt(page, "the rows of a page don't match its header")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Aggregate, Count};
    use crate::shuffle::Aggregation;

    /// Rows are divided only if their groups don't fit the cache.
    #[test]
    fn when_rows_are_divided() {
        let aggregation = Aggregation::new(vec![&Count { column: None } as &dyn Aggregate], &[]);
        let pieces_of = |keys: usize| {
            let mut fold = Fold::new(SLOTS, u64::MAX, usize::MAX, &aggregation);
            assert_eq!(fold.density(), None);
            let mut rows = Buffer::default();
            (0..20_000).for_each(|i| {
                aggregation.shape.put_value(&mut rows, format!("{:020}", i % keys).as_bytes(), &[], 0);
            });
            fold.absorb(rows.as_slice(), &aggregation).unwrap();
            pieces(1 << 20, fold.density().unwrap())
        };
        assert_eq!(pieces_of(1000), 1);
        assert!((8..=20).contains(&pieces_of(20_000)), "{}", pieces_of(20_000));
        assert_eq!(pieces(64 << 10, 3.0), 1);
        assert_eq!(pieces(1 << 40, 3.0), MOST_PIECES as usize);
    }
}
