//! The map phase: splits to runs.

use std::iter;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::Grouping;
use super::job::{Job, Kept};
use super::pool::{Deal, Place};
use super::read::{Read, mapper, read};
use crate::error::{Error, Result};
use crate::input::Source;
use crate::input::edges::{self, Edges};
use crate::input::feed::{self, Feed, Numbering, Work};
use crate::map::Mapper;
use crate::map::emit::{Emitter, MapTable};
use crate::map::growth::Growth;
use crate::report::{Counters, Task};
use crate::shuffle::{PartitionBuffers, Run, RunSize, RunWriter};
use crate::table::slot_words;

/// Runs a map attempt over every split and stream block, for as long as `wanted`. Gives what they made, by number.
pub fn tasks<T: Send>(
    job: &Job<'_>,
    numbering: Numbering,
    edges: Edges,
    wanted: impl Fn() -> bool,
    attempt: impl Fn(Attempt, Work) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let sources = &job.plan.sources;
    let are_known = sources.iter().all(Source::is_file);
    let total: u64 = sources.iter().map(Source::bytes).sum();
    job.control.progress.map.begin(if are_known { total } else { 0 });
    let cut = feed::Cut {
        numbering,
        end_of: job.record_end(),
        edges,
        split: job.sizes.split,
        block: job.sizes.block,
        threads: job.pool.threads(),
        counts_lines: job.plan.may_have_bad_records(),
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
    job.pool
        .run(seed, deal, late, "map", |number, work, place| attempt(Attempt::begin(job, number, place, edges), work))
}

/// An attempt at a task, to be recorded when it succeeds.
#[derive(Debug)]
pub struct Attempt {
    /// Its task's: tasks are in the order of the input.
    pub number: usize,
    id: String,
    place: Place,
    /// How it is known where its records begin.
    pub edges: Edges,
    start_s: f64,
}

impl Attempt {
    fn begin(job: &Job<'_>, number: usize, place: Place, edges: Edges) -> Self {
        Attempt { number, id: format!("map-{number:05}"), place, edges, start_s: job.seconds() }
    }

    /// The path of a run that it writes.
    pub fn run_path(&self, job: &Job<'_>, run: usize) -> PathBuf {
        job.spill_path(&format!("{}-0.{run}.run", self.id))
    }

    /// The path of the file that its bad records are kept in.
    pub fn bad_path(&self, job: &Job<'_>) -> PathBuf {
        job.spill_path(&format!("{}-0.bad", self.id))
    }

    /// Counts what it read and wrote. Dropping `work` frees its memory.
    pub fn succeed(
        self,
        job: &Job<'_>,
        work: Work,
        read: Read,
        written: RunSize,
        mut counters: Counters,
    ) -> Result<()> {
        counters.bad_records = read.bad.records;
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
        read.bad.succeed(job, self.number)
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
    if edges::may_be_assumed(&job.plan.sources, job.sizes.split, job.record_end().framing) {
        let made = attempts(job, grouping, Edges::Assumed);
        // A wrong edge can make good records look bad. Of several errors this is the first in the input.
        let may_be_wrong = made.as_ref().err().is_none_or(Error::is_of_a_record);
        if !may_be_wrong || edges::hold(&job.pieces_read()) {
            return made;
        }
        drop(made);
        job.forget()?;
    }
    attempts(job, grouping, Edges::Found)
}

/// Runs an attempt at every task.
fn attempts(job: &Job<'_>, grouping: &Grouping<'_>, edges: Edges) -> Result<Vec<Run>> {
    let memories = Kept::default();
    let one = |begun, work| attempt(job, grouping, begun, work, &memories);
    tasks(job, Numbering::FilesFirst, edges, || true, one)
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
    let read = read(job, &attempt, &work, &mut memory.mapper, &mut out)?;
    let (run, mut counters) = out.finish()?;
    let (path, size, buffers) = run.finish()?;
    memory.buffers = buffers;
    memories.keep(memory);
    counters.reduce_shuffle_bytes = size.row_bytes;
    attempt.succeed(job, work, read, size, counters)?;
    Run::open(path, job.may_keep_open())
}

fn memory(job: &Job<'_>, grouping: &Grouping<'_>) -> Memory {
    let read: Vec<_> = grouping.fields.key.fields().chain(grouping.fields.observed.iter().copied()).collect();
    let (settings, shape) = (&job.plan.settings, &grouping.aggregation.shape);
    let growth = match settings.table_slots {
        None => Growth::new(size_of::<u64>() * slot_words(shape.identity.len()), job.sizes.table),
        Some(slots) => Growth::fixed(slots),
    };
    Memory {
        mapper: mapper(job, &read),
        table: MapTable::new(growth, job.sizes.groups, shape, settings.combiner),
        buffers: PartitionBuffers::limited(job.sizes.longest_row),
    }
}
