//! Folds partitions into groups and hands their rows on: the part that all reduce attempts share.
//!
//! ```text
//! pages of a partition ─► table ─► rows                                       if all groups fit the memory
//!                           │ full
//!                           └─► groups sorted by key, in a run ─┐
//!                           └─► groups sorted by key, in a run ─┼─► merged ─► table ─► rows      otherwise
//!                                 …                             ┘
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
use crate::reduce::{FinishedBatch, Finisher, Fold};
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

/// One worker's memory for folding.
#[derive(Debug)]
pub struct FoldMemory {
    fold: Fold,
    page: Vec<u8>,
    batch: FinishedBatch,
    sorted: SortMemory,
    /// Rows that were merged.
    merged: Buffer,
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
    pub finisher: &'a Finisher<'a>,
    pub attempt: &'a Attempt<'a>,
    /// The order of keys that rows are wanted in. `None`: any order.
    pub order: Option<KeyOrder>,
}

impl Folding<'_> {
    /// Folds each of these ranges of partitions, and hands the rows of one after the other to `out`.
    pub fn fold(&self, folds: Vec<Range<usize>>, memory: &mut FoldMemory, out: &mut dyn Sink) -> Result<Counters> {
        let mut counters = Counters::default();
        let runs = self.runs.current(self.attempt)?;
        let sorting = Sorting { find_key, order: self.order.unwrap_or(KeyOrder::Ascending) };
        let mut overflow = Overflow::new(self.job, self.attempt, sorting);
        for partitions in folds {
            let common = self.runs.partitioner().common(partitions.clone());
            for (task, run) in runs.iter().enumerate() {
                let absorbed = self.absorb(run, partitions.clone(), common, memory, &mut overflow);
                counters.reduce_input_records += absorbed.inspect_err(|error| {
                    // If another attempt has won meanwhile, it may have released the pages that this one reads.
                    if error.is_damage() && self.attempt.check().is_ok() {
                        self.runs.note_damage(task, run);
                    }
                })?;
            }
            if self.grouping.is_one_group() {
                memory.fold.ensure_empty_key();
            }
            counters.reduce_input_groups += match overflow.is_empty() {
                true => self.finish(memory, common, out)?,
                false => {
                    self.spill(memory, common, &mut overflow)?;
                    self.merge(memory, common, &mut overflow, out)?
                }
            };
        }
        counters.reduce_spills = overflow.written;
        Ok(counters)
    }

    /// Folds one run's pages of some partitions, whose keys begin with `common` bytes. Returns the number of rows.
    fn absorb(
        &self,
        run: &Arc<Run>,
        partitions: Range<usize>,
        common: usize,
        memory: &mut FoldMemory,
        overflow: &mut Overflow<'_>,
    ) -> Result<u64> {
        let pages = run.pages(partitions)?;
        if pages.is_empty() {
            return Ok(0);
        }
        self.attempt.check()?;
        let reader = run.reader()?;
        let mut records = 0;
        for page in &*pages {
            if !memory.fold.fits(page.len as usize, page.rows) && !memory.fold.table.is_empty() {
                self.spill(memory, common, overflow)?;
                // What a table has grown to may leave no room for a page, even if it is empty.
                if !memory.fold.fits(page.len as usize, page.rows) {
                    memory.fold.table.restart(slots(self.job));
                }
            }
            let payload = reader.read(page, &mut memory.page)?;
            if !memory.fold.has_room(payload.len(), page.rows) {
                return Err(Error::RowTooLong { bytes: u64::from(page.len) });
            }
            absorb(self.grouping, &reader, page, payload, &mut memory.fold)?;
            records += u64::from(page.rows);
            self.attempt.advance(u64::from(page.len));
            if memory.page.len() > LONG_PAGE {
                memory.page = Vec::new();
            }
        }
        Ok(records)
    }

    /// Writes the groups to a sorted run.
    fn spill(&self, memory: &mut FoldMemory, common: usize, overflow: &mut Overflow<'_>) -> Result<()> {
        let (shape, order) = (&self.grouping.aggregation.shape, overflow.sorting.order);
        overflow.add(|run| {
            memory.fold.table.drain_in_order(order, common, &mut memory.sorted, |table, slots| {
                slots.iter().try_for_each(|slot| {
                    run.add(0, |out| {
                        shape.put_group(out, &table.group(*slot), table.arena());
                    })
                })
            })
        })
    }

    /// Hands the rows of all groups in the table to `out`. Returns the number of groups.
    fn finish(&self, memory: &mut FoldMemory, common: usize, out: &mut dyn Sink) -> Result<u64> {
        let groups = memory.fold.table.len() as u64;
        let order = self.order.map(|order| (order, common));
        self.finisher.finish(&mut memory.fold.table, order, &mut memory.sorted, &mut memory.batch, out)?;
        Ok(groups)
    }

    /// Merges the sorted runs, folds the rows of each key, and hands the groups' rows to `out`. Returns the number of
    /// groups.
    fn merge(
        &self,
        memory: &mut FoldMemory,
        common: usize,
        overflow: &mut Overflow<'_>,
        out: &mut dyn Sink,
    ) -> Result<u64> {
        let (runs, sorting) = (overflow.take()?, overflow.sorting);
        let mut merge = Merge::new(&runs, sorting)?;
        let (mut groups, mut last) = (0, Vec::new());
        // Whether enough rows were folded for the groups to be handed on. They are whole where the next key begins.
        let mut is_due = false;
        while let Some((key, row)) = merge.next_row()? {
            if *key != *last {
                if is_due {
                    self.attempt.check()?;
                    self.fold_merged(memory);
                    groups += self.finish(memory, common, out)?;
                    is_due = false;
                }
                last.clear();
                last.extend_from_slice(key);
            }
            memory.merged.extend(row);
            if memory.merged.len() >= MERGED {
                self.fold_merged(memory);
                is_due = true;
            }
        }
        self.fold_merged(memory);
        groups += self.finish(memory, common, out)?;
        Ok(groups)
    }

    /// Folds the rows that were merged.
    fn fold_merged(&self, memory: &mut FoldMemory) {
        let folded = memory.fold.absorb(memory.merged.as_slice(), &self.grouping.aggregation);
        assert!(folded.is_some(), "they were written as rows of this job");
        memory.merged.clear();
    }
}

/// Returns how many slots a table begins with.
fn slots(job: &Job<'_>) -> usize {
    job.plan.settings.table_slots.unwrap_or(SLOTS)
}

/// Folds one page.
fn absorb(grouping: &Grouping<'_>, reader: &PageReader<'_>, page: &Page, rows: &[u8], fold: &mut Fold) -> Result<()> {
    match fold.absorb(rows, &grouping.aggregation) {
        Some(found) if found == page.rows => Ok(()),
        _ => Err(reader.corrupt(page, "the rows of a page don't match its header")),
    }
}
