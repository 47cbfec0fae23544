//! Rows that are sorted after they were made: records of a job without groups, or groups in an order that doesn't begin
//! with their keys. Attempts write them to runs that are partitioned by ranges of sort keys. The output phase sorts each
//! range in memory and writes it.

use std::ops::Range;

use super::in_order::InOrder;
use super::job::{Job, Kept};
use super::reduce::gather;
use crate::error::{Error, Result};
use crate::output::sequence::Sequencer;
use crate::output::{Chunk, RowLayout, SortKey, Sorted, SortedMemory, Writer};
use crate::report::Counters;
use crate::report::event::{Extent, PhaseName, What};
use crate::run::{Attempt, Deal, Done, Work};
use crate::shuffle::sort::{FirstRows, KeyedRows};
use crate::shuffle::{Partitioner, Run, RunWriter};

/// Runs of rows with sort keys, partitioned by ranges of these.
#[derive(Debug)]
pub struct SortedRuns {
    /// Rows of equal keys stay in the order of the runs.
    pub runs: Vec<Run>,
    pub partitioner: Partitioner,
}

/// The most rows that each attempt keeps of the first rows, instead of writing all rows.
const MOST_FIRST: u64 = 1 << 16;

/// The most first rows, and the bytes that they may take, if only the first rows of the result are wanted.
fn first(job: &Job<'_>) -> Option<(usize, usize)> {
    // Whether the last row's rank is certain depends on the row after it, so one more row is kept.
    let limit = job.plan.limit?.saturating_add(u64::from(job.certainty.is_some()));
    (limit <= MOST_FIRST).then_some((limit as usize, job.sizes.first as usize))
}

/// Returns the number of ranges for rows of about so many bytes.
pub fn ranges_of(job: &Job<'_>, bytes: u64) -> usize {
    /// Bytes of rows that are sorted in a cache.
    const RANGE: u64 = 1 << 20;
    match first(job) {
        Some(_) => 1,
        None => (bytes / RANGE + 1).min(job.sizes.most_partitions as u64) as usize,
    }
}

/// Returns a sink that writes rows to `run` by their sort keys.
pub fn sink<'a>(
    job: &Job<'_>,
    layout: &'a RowLayout,
    order: &'a [SortKey],
    partitioner: &'a Partitioner,
    memory: &'a mut SortedMemory,
    run: RunWriter,
) -> Sorted<'a> {
    let first = first(job).map(|(rows, bytes)| (FirstRows::new(rows), bytes));
    Sorted { layout, order, partitioner, first, rows: 0, memory, run }
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
pub fn write(job: &Job<'_>, SortedRuns { runs, partitioner }: &SortedRuns) -> Result<Writer> {
    let mut bytes = vec![0; partitioner.partitions()];
    runs.iter().for_each(|run| run.add_bytes(&mut bytes));
    job.control.progress.output.begin(bytes.iter().sum());
    let works = gather(&bytes, 0..bytes.len(), job.sizes.fold).into_iter().enumerate();
    let works = works.map(|(number, partitions)| OutputRange { number, partitions }).collect();
    let sequencer = Sequencer::new(job.writer(job.header())?, job.plan.limit);
    let workspaces = Kept::default();
    let attempt = |attempt: &Attempt<'_>, OutputRange { number, partitions }: &OutputRange| {
        if sequencer.is_complete() {
            return Err(Error::Cancelled);
        }
        let (mut rows, mut page): (KeyedRows, Vec<u8>) = workspaces.take(Default::default);
        let common = partitioner.common(partitions.clone());
        for run in runs {
            read(attempt, run, partitions.clone(), common, (&mut rows, &mut page))?;
        }
        rows.sort(common);
        let mut lines = sequencer.chunk();
        let most = job.plan.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        for (_, line) in rows.iter().take(most) {
            lines.bytes.extend(line);
            lines.ends.push(lines.bytes.len());
        }
        if let Some(certainty) = &job.certainty {
            certainty.note(*number, rows.iter().map(|(key, _)| key));
        }
        rows.clear();
        workspaces.keep((rows, page));
        Ok(Done { made: lines, records: 0, counters: Counters::default() })
    };
    let place = |number, lines: Chunk| sequencer.place(number, lines.into());
    job.pool.run(
        &job.phase(PhaseName::Output, Deal::Round),
        Vec::new(),
        InOrder::new(job, works, &sequencer),
        attempt,
        place,
    )?;
    // With a limit, some ranges may be unread, so the rows aren't checked.
    let is_all = !sequencer.is_complete() && first(job).is_none();
    let (writer, rows) = sequencer.finish();
    if is_all {
        job.check_rows(rows, runs.iter().map(|run| run.rows).sum())?;
    }
    job.note(What::Written { rows });
    Ok(writer)
}

/// Adds the rows of some partitions of a run.
fn read(
    attempt: &Attempt<'_>,
    run: &Run,
    partitions: Range<usize>,
    common: usize,
    (rows, buffer): (&mut KeyedRows, &mut Vec<u8>),
) -> Result<()> {
    let pages = run.pages(partitions);
    if pages.is_empty() {
        return Ok(());
    }
    attempt.check()?;
    let reader = run.reader()?;
    for page in pages {
        let payload = reader.read(page, buffer)?;
        if rows.gather(payload, common)? != Some(page.rows) {
            return Err(reader.corrupt(page, "the rows of a page don't match its header"));
        }
        attempt.advance(u64::from(page.len));
    }
    Ok(())
}
