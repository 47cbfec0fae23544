//! The map phase: splits to runs.

use std::iter;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::Grouping;
use super::job::{Job, Kept};
use super::pool::{Deal, Place};
use crate::data::Sink;
use crate::error::{Error, Result};
use crate::input::block::{self, FileBlock};
use crate::input::feed::{self, Feed, Numbering, Work};
use crate::input::{RecordEnd, Source, Stretch};
use crate::map::emit::{Emitter, MapTable};
use crate::map::{Mapper, Window};
use crate::record::{self, Framing, TERMINATOR};
use crate::report::{Counters, Task};
use crate::shuffle::{PartitionBuffers, Run, RunSize, RunWriter};

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
    let are_known = sources.iter().all(Source::is_file);
    let total: u64 = sources.iter().map(Source::bytes).sum();
    job.control.progress.map.begin(if are_known { total } else { 0 });
    let cut = feed::Cut {
        numbering,
        end_of: record_end(job),
        split: job.sizes.split,
        block: job.sizes.block,
        threads: job.pool.threads(),
        counts_lines: false,
    };
    let mut feed = Feed::new(sources, cut, &|| job.check())?;
    let seed = feed.seed();
    let late = iter::from_fn(|| match job.check() {
        Err(interrupted) => Some(Err(interrupted)),
        Ok(()) if wanted() => feed.next(),
        Ok(()) => None,
    });
    let deal = match numbering {
        Numbering::FilesFirst => Deal::Split,
        Numbering::Input | Numbering::Streaming => Deal::Round,
    };
    job.pool.run(seed, deal, late, "map", attempt)
}

/// What an attempt has read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read {
    pub bytes: u64,
    pub records: u64,
    /// As many bytes as that was of the input, packed as it is.
    pub packed: u64,
}

/// Hands a task's records to `mapper` and what it makes of them to `out`.
pub fn read(job: &Job<'_>, work: &Work, mapper: &mut Mapper, out: &mut dyn Sink) -> Result<Read> {
    let mut read = Read::default();
    match work {
        Work::Split(split) => {
            let mut pieces = &split.pieces[..];
            let mut memory = job.small_files.take(block::Memory::default);
            let cut = block::Cut { end_of: record_end(job), joins: true };
            while !pieces.is_empty() {
                let block = FileBlock::open(&job.plan.sources, &mut pieces, cut, &mut memory)?;
                let mapped = windows(job, block.stretch(), mapper, out, &mut read);
                // First: what was made of bytes that weren't the file's says nothing.
                block.verify()?;
                mapped?;
            }
            job.small_files.keep(memory);
        }
        Work::Block(block, _) => windows(job, block.stretch(), mapper, out, &mut read)?,
    }
    Ok(read)
}

/// Maps the records of `stretch`.
fn windows(
    job: &Job<'_>,
    stretch: Stretch<'_>,
    mapper: &mut Mapper,
    out: &mut dyn Sink,
    read: &mut Read,
) -> Result<()> {
    let RecordEnd { framing, longest } = record_end(job);
    let longest = usize::try_from(longest).unwrap_or(usize::MAX);
    let (len, mut at, mut packed) = (stretch.bytes.len(), 0, 0);
    while at < len && out.wants_more() {
        job.check()?;
        let end = at + framing.window(&stretch.bytes[at..], WINDOW, longest);
        check(job, stretch, at..end)?;
        read.records += mapper.map(Window { bytes: &stretch.bytes[at..end] }, out)?;
        read.bytes += (end - at) as u64;
        // Of packed bytes each window has its share.
        let done = (u128::from(stretch.packed_len) * end as u128 / len as u128) as u64;
        job.control.progress.map.add(done - packed);
        read.packed += done - packed;
        (at, packed) = (end, done);
    }
    Ok(())
}

/// That no record of the window is longer than one may be, and than this worker's part of the memory.
fn check(job: &Job<'_>, stretch: Stretch<'_>, window: Range<usize>) -> Result<()> {
    let most = job.plan.max_record;
    let place = |at| {
        let place = stretch.place(window.start + at);
        (job.plan.sources[place.source].path().to_owned(), place.offset)
    };
    if let Some(at) = record_end(job).framing.too_long(&stretch.bytes[window.clone()], most) {
        let (path, at) = place(at);
        return Err(Error::RecordTooLong { path, at, most });
    }
    let (bytes, threads) = (window.len() as u64, job.pool.threads() as u64);
    // Only a window that is one record is longer than a window should be.
    if bytes > (job.plan.settings.memory / threads).max(WINDOW as u64) {
        let (path, at) = place(0);
        return Err(Error::RecordTooLarge { path, at, bytes, needs: bytes * threads });
    }
    Ok(())
}

fn record_end(job: &Job<'_>) -> RecordEnd {
    RecordEnd { framing: Framing::Terminator(TERMINATOR), longest: record::longest(job.plan.max_record) }
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
        job.control.progress.in_runs.fetch_add(read.packed, Ordering::Release);
        job.count(|all| all.add(&counters));
        let (source, offset, bytes) = match &work {
            Work::Split(split) => (split.source(), split.pieces[0].offset, split.bytes()),
            Work::Block(block, _) => (block.place().source, block.place().offset, block.stretch().bytes.len() as u64),
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
