//! Rows that are sorted after they were made: records of a job without groups, or groups in an order that doesn't begin
//! with their keys. Attempts write them to runs that are partitioned by ranges of sort keys. The output phase sorts each
//! range in memory and writes it.
//!
//! If only the first rows of each group are wanted, sort keys begin with the group, and no group is in two ranges. The
//! others are dropped where rows are in their order: in an attempt that holds rows back for that, and when a range is
//! written.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::in_order::InOrder;
use super::job::{Job, Kept};
use super::overflow::Overflow;
use super::reduce::gather;
use crate::error::{Error, Result};
use crate::output::sequence::{self, Sequencer};
use crate::output::{HeldLines, RowLayout, SortKeys, Sorted, SortedMemory, Writer};
use crate::report::Counters;
use crate::report::event::{Extent, PhaseName, What};
use crate::run::{Attempt, Deal, Done, Work};
use crate::shuffle::first::{FirstOfGroups, FirstRows, Wanted};
use crate::shuffle::merge::{self, Merge};
use crate::shuffle::sort::{KeyedRows, find_key, payload};
use crate::shuffle::{PartitionBuffers, Partitioner, Run, RunPlace, RunWriter};
use crate::table::KeyOrder;

/// Runs of rows with sort keys, partitioned by ranges of these.
#[derive(Debug)]
pub struct SortedRuns {
    /// Rows of equal keys stay in the order of the runs.
    runs: Vec<Run>,
    partitioner: Partitioner,
    /// The most rows of each group that are wanted, if rows have groups.
    per_group: Option<u64>,
}

impl SortedRuns {
    pub fn new(runs: Vec<Run>, partitioner: Partitioner, order: &SortKeys) -> Self {
        SortedRuns { runs, partitioner, per_group: order.per_group.map(|group| group.limit) }
    }
}

/// The most rows that each attempt keeps of the first rows, instead of writing all rows.
const MOST_FIRST: u64 = 1 << 16;

/// The most first rows, if only a few first rows of the result are wanted.
fn few(job: &Job<'_>) -> Option<usize> {
    // Whether the last row's rank is certain depends on the row after it, so one more row is kept.
    let limit = job.plan.limit?.saturating_add(u64::from(job.certainty.is_some()));
    (limit <= MOST_FIRST).then_some(limit as usize)
}

/// Returns the number of ranges that rows are divided into, if `all` ranges suit all of them. A few first rows need one.
pub fn ranges(job: &Job<'_>, all: usize) -> usize {
    if few(job).is_some() { 1 } else { all }
}

/// Returns a sink that writes rows to a run at `place` by their sort keys.
pub fn sink<'a>(
    job: &Job<'_>,
    layout: &'a RowLayout,
    (order, partitioner): (&'a SortKeys, &'a Partitioner),
    place: &RunPlace,
    (memory, buffers): (&'a mut SortedMemory, &mut PartitionBuffers),
) -> Result<Sorted<'a>> {
    let partitions = partitioner.partitions();
    let run = RunWriter::create(place, partitions, job.sizes.row_page(partitions), std::mem::take(buffers))?;
    let wanted = Wanted { of_all: few(job), of_each_group: order.per_group.map(|group| group.limit) };
    let is_all = wanted.of_all.is_none() && wanted.of_each_group.is_none();
    let first = (!is_all).then(|| (FirstRows::new(wanted), job.sizes.first));
    Ok(Sorted { layout, order, partitioner, first, rows: 0, large: job.sizes.batch, memory, run })
}

/// Neighbouring ranges of the output.
#[derive(Debug)]
struct OutputRange {
    number: usize,
    partitions: Range<usize>,
}

impl Work for OutputRange {
    fn extent(&self) -> Extent {
        Extent::default()
    }
}

/// Sorts and writes all rows.
pub fn write(job: &Job<'_>, SortedRuns { runs, partitioner, per_group }: &SortedRuns) -> Result<Writer> {
    let mut bytes = vec![0; partitioner.partitions()];
    runs.iter().try_for_each(|run| run.add_bytes(&mut bytes))?;
    job.control.progress.output.begin(bytes.iter().sum());
    let works = gather(&bytes, 0..bytes.len(), job.sizes.fold).into_iter().enumerate();
    let works = works.map(|(number, partitions)| OutputRange { number, partitions }).collect();
    let sequencer = Sequencer::new(job.writer(job.header())?, job.plan.limit);
    let workspaces = Kept::default();
    let attempt = |attempt: &Attempt<'_>, OutputRange { number, partitions }: &OutputRange| {
        if sequencer.is_complete() {
            return Err(Error::Cancelled);
        }
        let mut memory = workspaces.take(SortMemory::default);
        let common = partitioner.common(partitions.clone());
        let order = merge::Sorting { find_key, order: KeyOrder::Ascending };
        let overflow = Overflow::new(job, attempt, order);
        let mut sorting = Sorting { job, attempt, common, per_group: *per_group, overflow };
        let wanted = bytes[partitions.clone()].iter().sum();
        let read = sorting.read(runs, partitions, wanted, &mut memory)?;
        let begin_run = || job.lines_run(attempt);
        let mut out = Out {
            lines: HeldLines::new(sequencer.chunk(), job.sizes.held_lines, &begin_run),
            groups: per_group.map(FirstOfGroups::new),
            left: job.plan.limit.unwrap_or(u64::MAX),
            keys: job.certainty.is_some().then(Vec::new),
            is_behind: false,
        };
        match sorting.overflow.is_empty() {
            true => {
                let mut rows = memory.rows.iter();
                while out.wants_more()
                    && let Some((key, line)) = rows.next()
                {
                    out.push(key, line)?;
                }
            }
            false => sorting.merge(&mut out)?,
        }
        let counters = Counters { reduce_spills: sorting.overflow.written, ..Counters::default() };
        if let (Some(certainty), Some(keys)) = (&job.certainty, &out.keys) {
            certainty.note(*number, keys.iter().map(|key| &**key));
        }
        memory.rows.clear();
        workspaces.keep(memory);
        Ok(Done { made: (out.lines.finish()?.lines, read), records: 0, counters })
    };
    let all_read = AtomicU64::new(0);
    let place = |number, (lines, read): (sequence::Lines, u64)| {
        all_read.fetch_add(read, Ordering::Relaxed);
        sequencer.place(number, lines.into())
    };
    job.pool.run(
        &job.phase(PhaseName::Output, Deal::Round),
        Vec::new(),
        InOrder::new(job, works, &sequencer),
        attempt,
        place,
    )?;
    // With a limit, some ranges may be unread, so the rows aren't checked.
    let is_all = !sequencer.is_complete();
    let (writer, rows) = sequencer.finish();
    if is_all {
        job.check_rows(all_read.into_inner(), runs.iter().map(|run| run.rows).sum())?;
    }
    job.note(What::Written { rows });
    Ok(writer)
}

/// One worker's memory for sorting.
#[derive(Debug, Default)]
struct SortMemory {
    rows: KeyedRows,
    page: Vec<u8>,
}

/// Where sorted rows go.
struct Out<'a> {
    lines: HeldLines<'a>,
    /// Chooses the rows that are wanted, if not all rows of a group are.
    groups: Option<FirstOfGroups>,
    /// Lines that are still wanted.
    left: u64,
    /// The keys of the lines, and of the row behind them, if they are wanted.
    keys: Option<Vec<Box<[u8]>>>,
    is_behind: bool,
}

impl Out<'_> {
    fn wants_more(&self) -> bool {
        self.left > 0 || self.keys.is_some() && !self.is_behind
    }

    fn push(&mut self, key: &[u8], line: &[u8]) -> Result<()> {
        if self.groups.as_mut().is_some_and(|groups| !groups.takes(key)) {
            return Ok(());
        }
        if let Some(keys) = self.keys.as_mut().filter(|keys| keys.len() < MOST_FIRST as usize) {
            keys.push(key.into());
        }
        if self.left == 0 {
            self.is_behind = true;
            return Ok(());
        }
        self.left -= 1;
        self.lines.push(line)
    }
}

/// Sorts the rows of some partitions, whose keys begin with `common` bytes.
struct Sorting<'a> {
    job: &'a Job<'a>,
    attempt: &'a Attempt<'a>,
    common: usize,
    per_group: Option<u64>,
    /// If not all rows fit the memory: all rows that are wanted.
    overflow: Overflow<'a>,
}

impl Sorting<'_> {
    /// Reads and sorts the rows, which have so many `bytes`. Returns how many there are.
    fn read(&mut self, runs: &[Run], partitions: &Range<usize>, bytes: u64, memory: &mut SortMemory) -> Result<u64> {
        let SortMemory { rows, page: buffer } = memory;
        let most = self.job.sizes.sort_memory;
        rows.reserve(most.min(usize::try_from(bytes).unwrap_or(most)));
        let mut read = 0;
        for run in runs {
            let pages = run.pages(partitions.clone())?;
            if pages.is_empty() {
                continue;
            }
            self.attempt.check()?;
            let reader = run.reader()?;
            for page in &*pages {
                if rows.bytes_with(page.len as usize, page.rows) > most && !rows.is_empty() {
                    self.spill(rows)?;
                }
                let payload = reader.read(page, buffer)?;
                if rows.gather(payload, self.common)? != Some(page.rows) {
                    return Err(reader.corrupt(page, "the rows of a page don't match its header"));
                }
                read += u64::from(page.rows);
                self.attempt.advance(u64::from(page.len));
            }
        }
        match self.overflow.is_empty() {
            true => rows.sort(self.common),
            false => {
                self.spill(rows)?;
                // The memory is for the merge now.
                *rows = KeyedRows::default();
            }
        }
        Ok(read)
    }

    /// Writes the rows to a sorted run.
    fn spill(&mut self, rows: &mut KeyedRows) -> Result<()> {
        rows.sort(self.common);
        let mut groups = self.per_group.map(FirstOfGroups::new);
        let is_wanted = |key: &[u8]| groups.as_mut().is_none_or(|groups| groups.takes(key));
        self.overflow.add(|run| rows.write(run, is_wanted))?;
        rows.clear();
        Ok(())
    }

    /// Merges the sorted runs.
    fn merge(&mut self, out: &mut Out<'_>) -> Result<()> {
        let (runs, order) = (self.overflow.take()?, self.overflow.sorting);
        let mut merge = Merge::new(&runs, order)?;
        let mut rows = 0u64;
        while out.wants_more()
            && let Some((key, row)) = merge.next_row()?
        {
            out.push(key, payload(row))?;
            rows += 1;
            if rows.is_multiple_of(1 << 14) {
                self.attempt.check()?;
            }
        }
        Ok(())
    }
}
