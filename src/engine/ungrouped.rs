//! The map phase of a job without groups: it turns records into lines of output. The lines stay in the order of the
//! input, or go to ranges of their sort keys that the output phase sorts.

use std::sync::atomic::Ordering;

use super::bad;
use super::job::{Job, Kept};
use super::map::{Mapped, tasks};
use super::panicking;
use super::ranges::{Decided, Keys};
use super::read::{AttemptRead, MapTask, Portion, mapper, read};
use super::sorted::SortedRuns;
use super::{FinishedRows, sorted};
use crate::error::{Error, Result};
use crate::input::Place;
use crate::input::feed::{MapWork, Numbering};
use crate::map::Mapper;
use crate::output::sequence::{Sequencer, TaskPart};
use crate::output::{Chunk, HeldLines, Lines, MadeLines, RowLayout, SortKeys, SortedMemory};
use crate::report::Counters;
use crate::run::{Attempt, Done};
use crate::shuffle::{PartitionBuffers, Partitioner, Run, RunWriter};

/// One worker's memory for map attempts.
#[derive(Debug)]
struct Workspace {
    mapper: Mapper,
    /// The lines of a batch.
    lines: Chunk,
    memory: SortedMemory,
    buffers: PartitionBuffers,
}

pub fn map(job: &Job<'_>, sort: Option<&SortKeys>) -> Result<FinishedRows> {
    let layout = job.layout();
    let sorted_by = sort.iter().flat_map(|order| order.keys.iter().map(|key| key.index));
    let wanted: Vec<_> = layout.columns.iter().copied().chain(sorted_by).collect();
    let workspaces = Kept::default();
    let workspace = || {
        workspaces.take(|| Workspace {
            mapper: mapper(job, &wanted),
            lines: Chunk::default(),
            memory: SortedMemory::default(),
            buffers: PartitionBuffers::limited(job.sizes.longest_row),
        })
    };
    // With a deadline, no source waits for its turn. The parts are put in the order of the input when all are read.
    let as_they_come = job.deadline().is_some() && job.plan.sources.len() < 1 << SOURCE_BITS;
    let Some(order) = sort else {
        let sequencer = Sequencer::new(job.writer(job.header())?, job.plan.limit);
        let attempt = |attempt: &Attempt<'_>, work: &MapWork| {
            if sequencer.is_complete() {
                return Err(Error::Cancelled);
            }
            panicking::attempt(job, attempt, MapTask { work, edges: job.edges() }, |records| {
                let mut workspace = workspace();
                let done = in_order(job, &layout, attempt, records, &mut workspace)?;
                workspaces.keep(workspace);
                Ok(done)
            })
        };
        // With a limit, lines are written while the input is read instead: enough of them may arrive long before its
        // end.
        if as_they_come && job.plan.limit.is_none() {
            let attempt =
                |of: &Attempt<'_>, work: &MapWork| Ok(attempt(of, work)?.map(|made| made.map(|part| (at(work), part))));
            let place = |_, (at, part): (u64, TaskPart)| {
                job.control.progress.output.expect_more(part.bytes());
                Ok((at, part))
            };
            let mut parts = tasks(job, Numbering::FilesFirst, job.edges(), || true, attempt, place)?;
            bad::judge(job, true)?;
            parts.sort_by_key(|(at, _)| *at);
            for (number, (_, part)) in parts.into_iter().enumerate() {
                job.check()?;
                sequencer.place(number, part)?;
            }
            return Ok(FinishedRows::Sequenced(sequencer));
        }
        let place = |number, part| {
            sequencer.place(number, part)?;
            if sequencer.is_complete() && !job.is_cut.load(Ordering::Relaxed) {
                job.covering.note_complete();
            }
            Ok(())
        };
        tasks(job, Numbering::Streaming, job.edges(), || !sequencer.is_complete(), attempt, place)?;
        // Tasks that the deadline left unread are gaps in the sequence.
        if job.plan.may_be_partial() {
            sequencer.close_gaps()?;
        }
        bad::judge(job, !sequencer.is_complete())?;
        return Ok(FinishedRows::Sequenced(sequencer));
    };
    let decided = Decided::by_keys(job, Keys::OfSort(order), sorted::ranges(job, job.sizes.partitions))?;
    let attempt = |attempt: &Attempt<'_>, work: &MapWork| {
        let made = panicking::attempt(job, attempt, MapTask { work, edges: job.edges() }, |records| {
            let mut workspace = workspace();
            let by = (order, decided.partitioner(job, work));
            let done = in_ranges(job, &layout, by, attempt, records, &mut workspace)?;
            workspaces.keep(workspace);
            Ok(done)
        })?;
        Ok(made.map(|made| made.map(|run| (at(work), run))))
    };
    let place = |_, (at, run): (u64, Run)| {
        job.control.progress.output.expect_more(run.row_bytes());
        Ok((at, run))
    };
    let numbering = if as_they_come { Numbering::FilesFirst } else { Numbering::Input };
    let mut runs = tasks(job, numbering, job.edges(), || true, attempt, place)?;
    bad::judge(job, true)?;
    if as_they_come {
        runs.sort_by_key(|(at, _)| *at);
    }
    let runs = runs.into_iter().map(|(_, run)| run).collect();
    Ok(FinishedRows::Sorted(SortedRuns::new(runs, decided.into_partitioner(), order)))
}

/// Makes one attempt whose lines stay in the order of its records.
fn in_order(
    job: &Job<'_>,
    layout: &RowLayout,
    attempt: &Attempt<'_>,
    records: &Portion<'_>,
    workspace: &mut Workspace,
) -> Result<Done<Mapped<TaskPart>>> {
    let (place, buffers) = (job.attempt_run(attempt, "run"), std::mem::take(&mut workspace.buffers));
    let run = RunWriter::create(&place, 1, job.sizes.lines, buffers)?;
    let limit = job.plan.limit.unwrap_or(u64::MAX);
    let to = HeldLines::in_run(std::mem::take(&mut workspace.lines), run);
    let mut out = Lines { layout, limit, rows: 0, to };
    let read = read(job, attempt, records, &mut workspace.mapper, &mut out);
    // The lines before a bad record are written before the record ends the job.
    let (read, bad) = match read {
        Err(bad @ Error::BadRecord { .. }) => (AttemptRead::default(), Some(bad)),
        read => (read?, None),
    };
    let MadeLines { lines, size, buffers, spare } = out.to.finish()?;
    (workspace.buffers, workspace.lines) = (buffers, spare);
    let part = TaskPart { lines, bad };
    Ok(Mapped::done(part, read, size, Counters { map_output_records: size.rows, ..Counters::default() }))
}

/// Bits of the source's index in the number that [`at`] makes of a place in the input.
const SOURCE_BITS: u32 = 16;

/// Returns a number that orders tasks by where their records begin in the input: first by source, then by offset.
fn at(work: &MapWork) -> u64 {
    let (Place { source, offset }, _) = work.place();
    (source as u64) << (u64::BITS - SOURCE_BITS) | offset
}

/// Makes one attempt whose lines go to ranges of their sort keys. Lines with equal keys stay in the order of the
/// records.
fn in_ranges(
    job: &Job<'_>,
    layout: &RowLayout,
    (order, partitioner): (&SortKeys, &Partitioner),
    attempt: &Attempt<'_>,
    records: &Portion<'_>,
    workspace: &mut Workspace,
) -> Result<Done<Mapped<Run>>> {
    let Workspace { mapper, memory, buffers, .. } = workspace;
    let place = job.attempt_run(attempt, "run");
    let mut out = sorted::sink(job, layout, (order, partitioner), &place, (memory, buffers))?;
    let read = read(job, attempt, records, mapper, &mut out)?;
    let rows = out.rows;
    let (run, back) = out.finish()?.finish()?;
    *buffers = back;
    let size = run.size;
    let run = if records.is_trial() { Run::open(run, false)? } else { job.open(run)? };
    Ok(Mapped::done(run, read, size, Counters { map_output_records: rows, ..Counters::default() }))
}
