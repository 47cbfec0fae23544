//! Folds partitions into groups and hands their rows on: the part that all reduce attempts share.
//!
//! ```text
//! pages of a partition ─► table ─► rows                                       if all groups fit the memory
//!          │                │ full
//!          │                └─► groups sorted by key, in a run ─┐
//!          │                └─► groups sorted by key, in a run ─┼─► merged ─► table ─► rows      otherwise
//!          │                      …                             ┘
//!          └─► portion 0, portion 1, … and each as above    if the groups are several times as large as a cache
//! ```
//!
//! The merge brings all rows of a key together, so the table needs to hold few groups at a time. However many groups a
//! partition has, and whatever their hashes are, the memory is bounded.

use std::ops::Range;
use std::path::Path;

use super::Grouping;
use super::job::Job;
use super::overflow::Overflow;
use super::runs::{Runs, Source};
use crate::data::Sink;
use crate::data::buffer::Buffer;
use crate::error::{Error, Result};
use crate::reduce::{Density, Division, FinishedBatch, Finisher, Fold, Portions};
use crate::report::Counters;
use crate::run::Attempt;
use crate::shuffle::format::Page;
use crate::shuffle::merge::{Merge, Sorting};
use crate::shuffle::row::find_key;
use crate::shuffle::{PageReader, Run};
use crate::table::{KeyOrder, SortMemory};

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
    portions: Portions,
    density: Density,
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
            portions: Portions::default(),
            density: Density::default(),
        }
    }

    /// Folds some pages of a run, at most `most` bytes of rows. Returns the bytes of the rows, and their number.
    pub fn look(&mut self, grouping: &Grouping<'_>, run: &Run, pages: &[Page], most: u64) -> Result<(u64, u64)> {
        let reader = run.reader()?;
        let (mut bytes, mut rows) = (0, 0);
        for page in pages {
            let payload = reader.read(page, &mut self.page)?;
            if bytes >= most || !self.fold.fits(payload.len(), page.rows) {
                break;
            }
            check_rows(&reader, page, self.fold.absorb(payload, &grouping.aggregation))?;
            bytes += u64::from(page.len);
            rows += u64::from(page.rows);
        }
        Ok((bytes, rows))
    }

    /// The number of groups of the rows that were looked at.
    pub fn groups(&self) -> usize {
        self.fold.table.len()
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

/// What an attempt's folds change.
struct FoldState<'a> {
    memory: &'a mut FoldMemory,
    overflow: Overflow<'a>,
}

impl Folding<'_> {
    /// Folds each of these ranges of partitions, and hands the rows of one after the other to `out`.
    pub fn fold(&self, folds: Vec<Range<usize>>, memory: &mut FoldMemory, out: &mut dyn Sink) -> Result<Counters> {
        let mut counters = Counters::default();
        let runs = self.runs.current(self.attempt)?;
        let mut state = FoldState { memory, overflow: self.overflow() };
        for partitions in folds {
            let common = self.runs.partitioner().common(partitions.clone());
            let sources = runs.of(&partitions);
            let divided = self.divided(&sources, &partitions, state.memory);
            let before = std::mem::take(&mut state.memory.density);
            let read = self.read(&sources, &mut state, |state, rows, count| match divided {
                None => self.absorb(rows, count, common, state),
                Some(_) => Ok(state.memory.portions.add(rows)),
            });
            counters.reduce_input_records += read?;
            counters.reduce_input_groups += match divided {
                None => {
                    if self.grouping.is_one_group() {
                        state.memory.fold.ensure_empty_key();
                    }
                    self.hand_on(common, &mut state, out)?
                }
                Some(portions) => {
                    counters.reduce_divisions += 1;
                    self.fold_portions(portions, common, &mut state, out)?
                }
            };
            state.memory.density = state.memory.density.or(before);
        }
        counters.reduce_spills = state.overflow.written;
        Ok(counters)
    }

    /// Folds the rows that these runs of the map phase have in a partition. Returns runs of the groups' states.
    pub fn condense(
        &self,
        partition: usize,
        runs: Range<usize>,
        memory: &mut FoldMemory,
    ) -> Result<(Vec<Run>, Counters)> {
        let (partitions, all) = (partition..partition + 1, self.runs.current(self.attempt)?);
        let common = self.runs.partitioner().common(partitions.clone());
        let mut state = FoldState { memory, overflow: self.overflow() };
        let sources = all.of_map(&partitions, runs);
        let read = self.read(&sources, &mut state, |state, rows, count| self.absorb(rows, count, common, state));
        let counters = Counters {
            reduce_input_records: read?,
            reduce_spills: state.overflow.written,
            reduce_shares: 1,
            ..Counters::default()
        };
        self.spill(common, &mut state)?;
        Ok((state.overflow.into_runs(), counters))
    }

    fn overflow(&self) -> Overflow<'_> {
        let sorting = Sorting { find_key, order: self.order.unwrap_or(KeyOrder::Ascending) };
        Overflow::new(self.job, self.attempt, sorting)
    }

    /// Returns how many portions the rows of some partitions are to be divided into before they are folded, judging by
    /// the partitions that were folded last, and makes room for the rows. `None` if the rows aren't to be divided.
    fn divided(&self, sources: &[Source<'_>], partitions: &Range<usize>, memory: &mut FoldMemory) -> Option<usize> {
        let sizes = &self.job.sizes;
        let density = memory.density;
        let wanted = |bytes| density.portions(bytes, sizes.cache);
        if self.grouping.is_one_group() || wanted(self.bytes[partitions.clone()].iter().sum()).is_none() {
            return None;
        }
        // A run may have been made again since its bytes were added up.
        let (mut bytes, mut rows) = (0, 0);
        for source in sources {
            // An error is met again when the pages are read.
            for page in &*source.pages().ok()? {
                bytes += u64::from(page.len);
                rows += u64::from(page.rows);
            }
        }
        let wanted = wanted(bytes).filter(|_| Portions::memory(bytes, rows) <= sizes.divided)?;
        memory.portions.begin(bytes as usize, rows as usize);
        Some(wanted)
    }

    /// Divides the rows that were read, and folds one portion after the other. Returns the number of groups.
    fn fold_portions(
        &self,
        wanted: usize,
        common: usize,
        state: &mut FoldState<'_>,
        out: &mut dyn Sink,
    ) -> Result<u64> {
        let mut portions = std::mem::take(&mut state.memory.portions);
        let division = match self.order {
            None => Division::Hash(self.job.plan.settings.hash_mask),
            Some(_) => Division::Ranges,
        };
        let partitioner = portions.divide(division, wanted);
        let count = partitioner.partitions();
        let mut groups = 0;
        for i in 0..count {
            self.attempt.check()?;
            let number = if self.order == Some(KeyOrder::Descending) { count - 1 - i } else { i };
            let common = common.max(partitioner.common(number..number + 1));
            for (rows, count) in portions.pages(number) {
                if self.absorb(rows, count, common, state)?.is_none() {
                    let path = self.job.run_directories().next().unwrap_or(Path::new("")).to_owned();
                    return Err(Error::Corrupt { path, at: None, what: "the rows of a page aren't those of this job" });
                }
            }
            groups += self.hand_on(common, state, out)?;
        }
        state.memory.portions = portions;
        Ok(groups)
    }

    /// Reads runs, and hands the rows of each page to `each`, which returns their number. Returns the number of those rows
    /// that the map phase wrote.
    fn read(
        &self,
        sources: &[Source<'_>],
        state: &mut FoldState<'_>,
        mut each: impl FnMut(&mut FoldState<'_>, &[u8], u32) -> Result<Option<u32>>,
    ) -> Result<u64> {
        let mut buffer = std::mem::take(&mut state.memory.page);
        let mut records = 0;
        for source in sources {
            let read = self.read_one(source, &mut buffer, |rows, count| each(state, rows, count));
            let read = read.inspect_err(|error| {
                // If another attempt has won meanwhile, it may have released the pages that this one reads.
                if error.is_damage() && self.attempt.check().is_ok() {
                    self.runs.note_damage(source);
                }
            })?;
            records += if source.is_of_map() { read } else { 0 };
        }
        state.memory.page = buffer;
        Ok(records)
    }

    fn read_one(
        &self,
        source: &Source<'_>,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(&[u8], u32) -> Result<Option<u32>>,
    ) -> Result<u64> {
        let pages = source.pages()?;
        if pages.is_empty() {
            return Ok(0);
        }
        self.attempt.check()?;
        let reader = source.run.reader()?;
        let mut records = 0;
        for page in &*pages {
            let rows = reader.read(page, buffer)?;
            check_rows(&reader, page, each(rows, page.rows)?)?;
            records += u64::from(page.rows);
            self.attempt.advance(u64::from(page.len));
            // A page that is much longer than others holds a single row.
            if buffer.len() > self.job.sizes.kept {
                *buffer = Vec::new();
            }
        }
        Ok(records)
    }

    /// Folds a page of `count` rows, whose keys begin with `common` bytes. Returns how many rows there are, or `None` if
    /// the bytes aren't rows of this job.
    fn absorb(&self, rows: &[u8], count: u32, common: usize, state: &mut FoldState<'_>) -> Result<Option<u32>> {
        if !state.memory.fold.fits(rows.len(), count) && !state.memory.fold.table.is_empty() {
            self.spill(common, state)?;
            // What a table has grown to may leave no room for a page, even if it is empty.
            if !state.memory.fold.fits(rows.len(), count) {
                state.memory.fold.table.restart(slots(self.job));
            }
        }
        let fold = &mut state.memory.fold;
        if !fold.has_room(rows.len(), count) {
            return Err(Error::RowTooLong { bytes: rows.len() as u64 });
        }
        Ok(fold.absorb(rows, &self.grouping.aggregation))
    }

    /// Hands the rows of all groups on, those of groups that were spilled included. Returns the number of groups.
    fn hand_on(&self, common: usize, state: &mut FoldState<'_>, out: &mut dyn Sink) -> Result<u64> {
        let FoldMemory { fold, density, .. } = &mut *state.memory;
        density.add(fold);
        if state.overflow.is_empty() {
            let groups = self.finish(common, state, out)?;
            state.memory.fold.table.shrink(slots(self.job), groups as usize);
            return Ok(groups);
        }
        self.spill(common, state)?;
        self.merge(common, state, out)
    }

    /// Writes the groups to a sorted run.
    fn spill(&self, common: usize, state: &mut FoldState<'_>) -> Result<()> {
        let (shape, order) = (&self.grouping.aggregation.shape, state.overflow.sorting.order);
        let FoldMemory { fold, sorted, .. } = &mut *state.memory;
        state.overflow.add(|run| {
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
    fn finish(&self, common: usize, state: &mut FoldState<'_>, out: &mut dyn Sink) -> Result<u64> {
        let FoldMemory { fold, sorted, batch, .. } = &mut *state.memory;
        let groups = fold.table.len() as u64;
        let order = self.order.map(|order| (order, common));
        self.finisher.finish(&mut fold.table, order, sorted, batch, out)?;
        Ok(groups)
    }

    /// Merges the sorted runs, folds the rows of each key, and hands the groups' rows on. Returns the number of groups.
    fn merge(&self, common: usize, state: &mut FoldState<'_>, out: &mut dyn Sink) -> Result<u64> {
        let (runs, sorting) = (state.overflow.take()?, state.overflow.sorting);
        let mut merge = Merge::new(&runs, sorting)?;
        let (mut groups, mut last) = (0, Vec::new());
        // Whether enough rows were folded for the groups to be handed on. They are whole where the next key begins.
        let mut is_due = false;
        while let Some((key, row)) = merge.next_row()? {
            if *key != *last {
                if is_due {
                    self.attempt.check()?;
                    self.fold_merged(state.memory);
                    groups += self.finish(common, state, out)?;
                    is_due = false;
                }
                last.clear();
                last.extend_from_slice(key);
            }
            state.memory.merged.extend(row);
            if state.memory.merged.len() >= MERGED {
                self.fold_merged(state.memory);
                is_due = true;
            }
        }
        self.fold_merged(state.memory);
        groups += self.finish(common, state, out)?;
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

/// Checks that as many rows were found in a page as its header says. `found` is `None` if the bytes aren't rows.
fn check_rows(reader: &PageReader<'_>, page: &Page, found: Option<u32>) -> Result<()> {
    match found {
        Some(found) if found == page.rows => Ok(()),
        _ => Err(reader.corrupt(page, "the rows of a page don't match its header")),
    }
}
