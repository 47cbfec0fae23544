//! The map phase of a job without groups: it turns records into lines of output. The lines stay in the order of the
//! input, or go to sorted runs that the output phase merges.

use std::sync::atomic::Ordering;

use super::FinishedRows;
use super::bad;
use super::job::{Job, Kept};
use super::map::{Mapped, tasks};
use super::panicking;
use super::read::{AttemptRead, MapTask, Portion, mapper, read};
use crate::error::{Error, Result};
use crate::input::Place;
use crate::input::feed::{MapWork, Numbering};
use crate::map::Mapper;
use crate::output::sequence::{self, Sequencer, TaskPart};
use crate::output::{Chunk, Lines, RowLayout, SortKey, Sorted};
use crate::report::Counters;
use crate::run::{Attempt, Done};
use crate::shuffle::sort::{MergePlan, SortedRun, Sorter};
use crate::shuffle::{PartitionBuffers, Run, RunSize, RunWriter};

/// Largest payload of a page of lines in bytes.
const LINES_PAGE: u64 = 256 << 10;

/// One worker's memory for map attempts.
#[derive(Debug)]
struct Workspace {
    mapper: Mapper,
    /// The lines of a batch.
    lines: Chunk,
    sorter: Sorter,
    buffers: PartitionBuffers,
}

pub fn map(job: &Job<'_>, sort: Option<&[SortKey]>) -> Result<FinishedRows> {
    let layout = job.layout();
    let workspaces = Kept::default();
    let workspace = || {
        workspaces.take(|| Workspace {
            mapper: mapper(job, &layout.columns),
            lines: Chunk::default(),
            sorter: Sorter::default(),
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
    let attempt = |attempt: &Attempt<'_>, work: &MapWork| {
        panicking::attempt(job, attempt, MapTask { work, edges: job.edges() }, |records| {
            let mut workspace = workspace();
            let tie = if as_they_come { at(work) } else { attempt.number() as u64 };
            let done = sorted(job, &layout, (order, tie), attempt, records, &mut workspace)?;
            workspaces.keep(workspace);
            Ok(done)
        })
    };
    let runs = tasks(
        job,
        if as_they_come { Numbering::FilesFirst } else { Numbering::Input },
        job.edges(),
        || true,
        attempt,
        |_, runs: Vec<_>| {
            let row_bytes = runs.iter().map(|run: &SortedRun| run.size.row_bytes).sum();
            job.control.progress.output.expect_more(row_bytes);
            Ok(runs)
        },
    )?;
    bad::judge(job, true)?;
    Ok(FinishedRows::Sorted(MergePlan::new(runs.into_iter().flatten().collect(), job.sizes.range)))
}

/// Makes one attempt whose lines stay in the order of its records.
fn in_order(
    job: &Job<'_>,
    layout: &RowLayout,
    attempt: &Attempt<'_>,
    records: &Portion<'_>,
    workspace: &mut Workspace,
) -> Result<Done<Mapped<TaskPart>>> {
    let (path, buffers) = (job.attempt_path(attempt, "run"), std::mem::take(&mut workspace.buffers));
    let run = RunWriter::create(path, 1, job.sizes.range.min(LINES_PAGE) as usize, buffers)?;
    let limit = job.plan.limit.unwrap_or(u64::MAX);
    let mut out = Lines { layout, limit, rows: 0, lines: &mut workspace.lines, run: Some(run) };
    let read = read(job, attempt, records, &mut workspace.mapper, &mut out);
    // The lines before a bad record are written before the record ends the job.
    let (read, bad) = match read {
        Err(bad @ Error::BadRecord { .. }) => (AttemptRead::default(), Some(bad)),
        read => (read?, None),
    };
    let (run, buffers) = out.run.expect("lines go to it").finish()?;
    workspace.buffers = buffers;
    let size = run.size;
    let part = TaskPart { lines: sequence::Lines::Run(Run::open(run, false)?), bad };
    Ok(Mapped::done(part, read, size, Counters { map_output_records: size.rows, ..Counters::default() }))
}

/// Bits of the source's index in the number that [`at`] makes of a place in the input.
const SOURCE_BITS: u32 = 16;

/// Returns a number that orders tasks by where their records begin in the input: first by source, then by offset.
fn at(work: &MapWork) -> u64 {
    let (Place { source, offset }, _) = work.place();
    (source as u64) << (u64::BITS - SOURCE_BITS) | offset
}

/// Makes one attempt whose lines are sorted. Lines with equal sort keys stay in the order of `task`, and within a task
/// in the order of its records.
fn sorted(
    job: &Job<'_>,
    layout: &RowLayout,
    (order, task): (&[SortKey], u64),
    attempt: &Attempt<'_>,
    records: &Portion<'_>,
    workspace: &mut Workspace,
) -> Result<Done<Mapped<Vec<SortedRun>>>> {
    let mut out = Sorted {
        layout,
        order,
        tie: Some(task),
        sorter: &mut workspace.sorter,
        rows: 0,
        limit: job.plan.limit,
        run_bytes: job.sizes.sort as usize,
        name: &|run| (job.attempt_path(attempt, &format!("{run}.run")), !records.is_trial() && job.may_keep_open()),
        buffers: std::mem::take(&mut workspace.buffers),
        runs: Vec::new(),
    };
    let read = read(job, attempt, records, &mut workspace.mapper, &mut out)?;
    let rows = out.rows;
    let (runs, buffers) = out.finish()?;
    workspace.buffers = buffers;
    let size = runs.iter().map(|run| run.size).fold(RunSize::default(), RunSize::plus);
    Ok(Mapped::done(runs, read, size, Counters { map_output_records: rows, ..Counters::default() }))
}
