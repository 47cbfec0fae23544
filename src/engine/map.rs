//! The map phase: splits to runs.

use std::collections::VecDeque;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::Grouping;
use super::job::{Job, Kept};
use super::pool::{Deal, Place};
use crate::data::Sink;
use crate::error::{Error, Result};
use crate::input::block::FileBlock;
use crate::input::splits::{self, Split};
use crate::input::stream::{self, Blocks, StreamBlock};
use crate::input::{RecordEnd, Source};
use crate::map::emit::{Emitter, MapTable};
use crate::map::{Mapper, Window};
use crate::record::{self, TERMINATOR};
use crate::report::{Counters, Task};
use crate::shuffle::{PartitionBuffers, Run, RunSize, RunWriter};

/// What one map task reads.
#[derive(Debug)]
pub enum Work {
    Split(Split),
    Block(StreamBlock, #[expect(dead_code, reason = "held")] Permit),
}

/// What a stream block takes of a bounded number in memory: a long record counts for many. Dropped with its block,
/// mapped or not.
#[derive(Debug)]
pub struct Permit {
    blocks: usize,
    taken: Receiver<()>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.taken.try_iter().take(self.blocks).for_each(drop);
    }
}

/// In which order tasks are numbered, and wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// Files first: a slow stream keeps no worker waiting.
    FilesFirst,
    /// As the input is, and done in about that order.
    Input,
    /// Likewise, and whoever waits for the output has each record as soon as it is there.
    Streaming,
}

/// How often a wait for a stream looks whether the job is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Records handed to the mapper at once: so that progress moves and Ctrl-C is heard.
const WINDOW: usize = 1 << 20;

/// Runs a map attempt over every split and stream block, for as long as `wanted`. Gives what they made, by number.
pub fn tasks<T: Send>(
    job: &Job<'_>,
    numbering: Numbering,
    wanted: impl Fn() -> bool,
    attempt: impl Fn(usize, Work, Place) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let sources = &job.plan.sources;
    let total: u64 = sources.iter().map(Source::bytes).sum();
    let first_stream = sources.iter().position(Source::is_stream);
    job.control.progress.map.begin(if first_stream.is_some() { 0 } else { total });
    let mut splits: VecDeque<_> = splits::cut(sources, job.sizes.split).into();
    let blocks = Blocks { bytes: job.sizes.block, end_of: record_end(job), eager: numbering == Numbering::Streaming };
    let streams = stream::read(sources, blocks)?;
    let seeded = match (numbering, first_stream) {
        (Numbering::Input | Numbering::Streaming, Some(_)) => Vec::new(),
        _ => splits.drain(..).map(Work::Split).collect(),
    };
    let most = 2 * job.pool.threads();
    let (permits, taken) = bounded(most);
    // Splits of files before this source are due.
    let mut reached = first_stream.unwrap_or(usize::MAX);
    let mut held: Option<StreamBlock> = None;
    let late = iter::from_fn(|| {
        if let Err(interrupted) = job.check() {
            return Some(Err(interrupted));
        }
        if !wanted() {
            return None;
        }
        if splits.front().is_some_and(|split| split.source() < reached) {
            return Some(Ok(splits.pop_front().map(Work::Split)));
        }
        if let Some(block) = held.take() {
            let blocks = block.bytes.len().div_ceil(job.sizes.block).min(most);
            (0..blocks).for_each(|_| permits.send(()).expect("its other end is here"));
            return Some(Ok(Some(Work::Block(block, Permit { blocks, taken: taken.clone() }))));
        }
        if reached == usize::MAX {
            return None;
        }
        match streams.recv_timeout(LOOK) {
            Ok(Ok(block)) => {
                reached = block.source;
                held = Some(block);
            }
            Ok(Err(error)) => return Some(Err(error)),
            Err(RecvTimeoutError::Disconnected) => reached = usize::MAX,
            Err(RecvTimeoutError::Timeout) => {}
        }
        Some(Ok(None))
    });
    let deal = match numbering {
        Numbering::FilesFirst => Deal::Split,
        Numbering::Input | Numbering::Streaming => Deal::Round,
    };
    job.pool.run(seeded, deal, late, "map", attempt)
}

/// What an attempt has read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read {
    pub bytes: u64,
    pub records: u64,
}

/// Hands a task's records to `mapper` and what it makes of them to `out`.
pub fn read(job: &Job<'_>, work: &Work, mapper: &mut Mapper, out: &mut dyn Sink) -> Result<Read> {
    let mut read = Read::default();
    match work {
        Work::Split(split) => {
            let mut pieces = &split.pieces[..];
            let mut memory = job.small_files.take(Vec::new);
            while !pieces.is_empty() {
                let block = FileBlock::open(&job.plan.sources, &mut pieces, record_end(job), &mut memory)?;
                let mapped = windows(job, block.path(), block.offset(), block.bytes(), mapper, out, &mut read);
                // First: what was made of bytes that weren't the file's says nothing.
                block.verify()?;
                mapped?;
            }
            job.small_files.keep(memory);
        }
        Work::Block(block, _) => {
            let path = job.plan.sources[block.source].path();
            windows(job, path, block.offset, &block.bytes, mapper, out, &mut read)?;
        }
    }
    Ok(read)
}

/// Maps the records of `block`, which begins at `offset` of `path`.
fn windows(
    job: &Job<'_>,
    path: &Path,
    mut offset: u64,
    mut block: &[u8],
    mapper: &mut Mapper,
    out: &mut dyn Sink,
    read: &mut Read,
) -> Result<()> {
    while !block.is_empty() && out.wants_more() {
        job.check()?;
        let longest = usize::try_from(record_end(job).longest).unwrap_or(usize::MAX);
        let (window, rest) = block.split_at(record::window(block, WINDOW, longest));
        check(job, path, offset, window)?;
        read.records += mapper.map(Window { bytes: window }, out)?;
        let bytes = window.len() as u64;
        read.bytes += bytes;
        job.control.progress.map.add(bytes);
        offset += bytes;
        block = rest;
    }
    Ok(())
}

/// That no record of the window is longer than one may be, and than this worker's part of the memory.
fn check(job: &Job<'_>, path: &Path, offset: u64, window: &[u8]) -> Result<()> {
    let most = job.plan.max_record;
    if let Some(at) = record::too_long(window, most) {
        return Err(Error::RecordTooLong { path: path.into(), at: offset + at as u64, most });
    }
    let (bytes, threads) = (window.len() as u64, job.pool.threads() as u64);
    // Only a window that is one record is longer than a window should be.
    if bytes > (job.plan.settings.memory / threads).max(WINDOW as u64) {
        return Err(Error::RecordTooLarge { path: path.into(), at: offset, bytes, needs: bytes * threads });
    }
    Ok(())
}

fn record_end(job: &Job<'_>) -> RecordEnd {
    RecordEnd { terminator: TERMINATOR, longest: record::longest(job.plan.max_record) }
}

/// An attempt at a task, to be recorded when it succeeds.
#[derive(Debug)]
pub struct Attempt {
    id: String,
    place: Place,
    start_s: f64,
}

impl Attempt {
    pub fn begin(job: &Job<'_>, number: usize, place: Place) -> Self {
        Attempt { id: format!("map-{number:05}"), place, start_s: job.seconds() }
    }

    /// The path of a run that it writes.
    pub fn run_path(&self, job: &Job<'_>, run: usize) -> PathBuf {
        job.spill_path(&format!("{}-0.{run}.run", self.id))
    }

    /// Counts what it read and wrote. Dropping `work` frees its memory.
    pub fn succeed(self, job: &Job<'_>, work: Work, read: Read, written: RunSize, mut counters: Counters) {
        counters.map_input_bytes = read.bytes;
        counters.map_input_records = read.records;
        counters.map_output_materialized_bytes = written.file_bytes;
        counters.spilled_records = written.rows;
        counters.spilled_bytes = written.file_bytes;
        job.control.progress.reduce.foresee(counters.reduce_shuffle_bytes);
        job.control.progress.in_runs.fetch_add(read.bytes, Ordering::Release);
        job.count(|all| all.add(&counters));
        let (source, offset, bytes) = match &work {
            Work::Split(split) => (split.source(), split.pieces[0].offset, split.bytes()),
            Work::Block(block, _) => (block.source, block.offset, block.bytes.len() as u64),
        };
        let input = Some(job.plan.sources[source].name().into_owned());
        let task = Task { id: self.id, input, offset: Some(offset), bytes, records: read.records, ..Task::default() };
        job.record(self.place, self.start_s, task);
    }
}

/// One worker's memory for map attempts.
#[derive(Debug)]
struct Memory {
    mapper: Mapper,
    table: MapTable,
    buffers: PartitionBuffers,
}

/// Maps every source. One run a task, in the order of the input.
pub fn map(job: &Job<'_>, grouping: &Grouping<'_>) -> Result<Vec<Run>> {
    let memories = Kept::default();
    tasks(
        job,
        Numbering::FilesFirst,
        || true,
        |number, work, place| attempt(job, grouping, Attempt::begin(job, number, place), work, &memories),
    )
}

/// One attempt at one task: owns its memory, writes its own run.
fn attempt(
    job: &Job<'_>,
    grouping: &Grouping<'_>,
    attempt: Attempt,
    work: Work,
    memories: &Kept<Memory>,
) -> Result<Run> {
    let mut memory = memories.take(|| memory(job, grouping));
    let (path, buffers) = (attempt.run_path(job, 0), std::mem::take(&mut memory.buffers));
    let run = RunWriter::create(path, job.sizes.partitions, job.sizes.page, buffers)?;
    let hash_mask = job.plan.settings.hash_mask;
    let mut out = Emitter::new(&grouping.aggregation, &grouping.fields, hash_mask, &mut memory.table, run);
    let read = read(job, &work, &mut memory.mapper, &mut out)?;
    let (run, mut counters) = out.finish()?;
    let (path, size, buffers) = run.finish()?;
    memory.buffers = buffers;
    memories.keep(memory);
    counters.reduce_shuffle_bytes = size.row_bytes;
    attempt.succeed(job, work, read, size, counters);
    Run::open(path, job.may_keep_open())
}

fn memory(job: &Job<'_>, grouping: &Grouping<'_>) -> Memory {
    let read: Vec<_> = grouping.fields.key.fields().chain(grouping.fields.observed.iter().copied()).collect();
    Memory {
        mapper: Mapper::of_lines(&job.plan.steps, &read),
        table: MapTable::new(job.sizes.map_slots, &grouping.aggregation.shape, job.plan.settings.combiner),
        buffers: PartitionBuffers::limited(job.sizes.longest_row),
    }
}
