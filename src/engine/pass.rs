//! The map phase of a job without groups: records pass through to lines of output.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Parts;
use super::bad;
use super::job::{Job, Kept};
use super::map::{Attempt, tasks};
use super::pool::lock;
use super::read::{mapper, read};
use crate::data::buffer::Buffer;
use crate::error::{Error, Result};
use crate::input::edges::Edges;
use crate::input::feed::{Numbering, Work};
use crate::map::Mapper;
use crate::map::pass::{Lines, Sorting, read_lines};
use crate::output::order::{Merge, SortedRun, Sorter};
use crate::output::{Chunk, Layout, SortKey, Writer};
use crate::report::Counters;
use crate::shuffle::{PartitionBuffers, Run, RunSize, RunWriter};

/// Payload of a page of lines.
const PAGE: u64 = 256 << 10;

/// One worker's memory.
#[derive(Debug)]
struct Memory {
    mapper: Mapper,
    sorter: Sorter,
    buffers: PartitionBuffers,
}

pub fn pass(job: &Job<'_>, sort: Option<&[SortKey]>) -> Result<Parts> {
    let layout = job.layout();
    let memories = Kept::default();
    let memory = || {
        memories.take(|| Memory {
            mapper: mapper(job, &layout.columns),
            sorter: Sorter::default(),
            buffers: PartitionBuffers::limited(job.sizes.longest_row),
        })
    };
    let Some(order) = sort else {
        let written = Written::new(job)?;
        tasks(
            job,
            Numbering::Streaming,
            Edges::Found,
            || !written.is_complete(),
            |attempt, work| {
                if written.is_complete() {
                    return Ok(());
                }
                let (number, mut memory) = (attempt.number, memory());
                let made = in_order(job, &layout, attempt, work, &mut memory)?;
                memories.keep(memory);
                written.put(number, made)
            },
        )?;
        bad::judge(job, !written.is_complete())?;
        return Ok(Parts::Written(written.finish(job)));
    };
    let runs = tasks(
        job,
        Numbering::Input,
        Edges::Found,
        || true,
        |attempt, work| {
            let mut memory = memory();
            let runs = sorted(job, &layout, order, attempt, work, &mut memory)?;
            memories.keep(memory);
            Ok(runs)
        },
    )?;
    bad::judge(job, true)?;
    Ok(Parts::Sorted(Merge::new(runs.into_iter().flatten().collect(), job.sizes.range)))
}

/// What a task made: its lines, and the bad record that ends the job behind them.
#[derive(Debug)]
struct Made {
    run: Run,
    bad: Option<Error>,
}

/// One attempt whose lines stay in the order of its records.
fn in_order(job: &Job<'_>, layout: &Layout, attempt: Attempt, work: Work, memory: &mut Memory) -> Result<Made> {
    let (path, buffers) = (attempt.run_path(job, 0), std::mem::take(&mut memory.buffers));
    let run = RunWriter::create(path, 1, job.sizes.range.min(PAGE) as usize, buffers)?;
    let mut out = Lines { layout, run, limit: job.plan.limit.unwrap_or(u64::MAX), rows: 0, line: Buffer::default() };
    let read = match read(job, &attempt, &work, &mut memory.mapper, &mut out) {
        Err(bad @ Error::BadRecord { .. }) => Err(bad),
        read => Ok(read?),
    };
    let (path, size, buffers) = out.run.finish()?;
    memory.buffers = buffers;
    let bad = match read {
        Ok(read) => {
            let counters = Counters { map_output_records: size.rows, ..Counters::default() };
            attempt.succeed(job, work, read, size, counters)?;
            None
        }
        Err(bad) => Some(bad),
    };
    Ok(Made { run: Run::open(path, false)?, bad })
}

/// One attempt whose lines are sorted.
fn sorted(
    job: &Job<'_>,
    layout: &Layout,
    order: &[SortKey],
    attempt: Attempt,
    work: Work,
    memory: &mut Memory,
) -> Result<Vec<SortedRun>> {
    let mut out = Sorting {
        layout,
        order,
        sorter: &mut memory.sorter,
        task: attempt.number as u64,
        rows: 0,
        limit: job.plan.limit,
        run_bytes: job.sizes.sort as usize,
        name: &|run| (attempt.run_path(job, run), job.may_keep_open()),
        buffers: std::mem::take(&mut memory.buffers),
        runs: Vec::new(),
    };
    let read = read(job, &attempt, &work, &mut memory.mapper, &mut out)?;
    let records = out.rows;
    let (runs, buffers) = out.finish()?;
    memory.buffers = buffers;
    let size = runs.iter().map(|run| run.size).fold(RunSize::default(), RunSize::plus);
    job.control.progress.output.foresee(size.row_bytes);
    attempt.succeed(job, work, read, size, Counters { map_output_records: records, ..Counters::default() })?;
    Ok(runs)
}

/// The output of tasks, written in the order of their numbers as they succeed.
#[derive(Debug)]
struct Written {
    state: Mutex<State>,
    /// Nothing more is wanted. Beside the state, which is locked while somebody writes.
    complete: AtomicBool,
}

#[derive(Debug)]
struct State {
    writer: Writer,
    /// The task whose lines come next.
    next: usize,
    /// Lines of later tasks.
    early: BTreeMap<usize, Made>,
    /// Rows still wanted.
    rows_left: u64,
    rows: u64,
    page: Vec<u8>,
    chunk: Chunk,
}

impl Written {
    fn new(job: &Job<'_>) -> Result<Self> {
        let rows_left = job.plan.limit.unwrap_or(u64::MAX);
        let state = State {
            writer: job.writer(job.header())?,
            next: 0,
            early: BTreeMap::new(),
            rows_left,
            rows: 0,
            page: Vec::new(),
            chunk: Chunk::default(),
        };
        Ok(Written { state: Mutex::new(state), complete: AtomicBool::new(rows_left == 0) })
    }

    fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    fn put(&self, number: usize, made: Made) -> Result<()> {
        let mut state = lock(&self.state);
        state.early.insert(number, made);
        while let Some(Made { run, bad }) = {
            let next = state.next;
            state.early.remove(&next)
        } {
            state.next += 1;
            state.write(run)?;
            self.complete.store(state.rows_left == 0, Ordering::Relaxed);
            // Of rows that nobody wants it doesn't matter that some can't be had.
            bad.filter(|_| state.rows_left > 0).map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// The writer back. Counts the rows.
    fn finish(self, job: &Job<'_>) -> Writer {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        job.count(|all| all.reduce_output_records += state.rows);
        state.writer
    }
}

impl State {
    fn write(&mut self, run: Run) -> Result<()> {
        let State { writer, rows_left, rows, page: buffer, chunk, .. } = self;
        let reader = run.reader()?;
        for page in run.pages(0..1) {
            if *rows_left == 0 {
                break;
            }
            chunk.clear();
            let payload = reader.read(page, buffer)?;
            let lines = read_lines(payload, *rows_left, chunk);
            let lines = lines.ok_or_else(|| reader.corrupt(page, "a page holds what is no line"))?;
            writer.write(chunk)?;
            *rows_left -= lines;
            *rows += lines;
        }
        drop(reader);
        run.remove()
    }
}
