//! The map phase: splits to runs.

use std::iter;
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::job::{Job, Kept};
use super::pool::{Deal, Place};
use crate::aggregate::Input;
use crate::error::{Error, LONGEST_RECORD, Result};
use crate::input::Source;
use crate::input::block::Mapped;
use crate::input::splits::{self, Split};
use crate::input::stream::{self, StreamBlock};
use crate::map::emit::{Emitter, MapTable};
use crate::map::{Fields, Mapper};
use crate::record::{self, TERMINATOR};
use crate::report::{Counters, Task};
use crate::shuffle::{PartitionBuffers, Run, RunWriter};

/// What one map task reads.
#[derive(Debug)]
enum Work {
    Split(Split),
    Block(StreamBlock, Permit),
}

/// One of a bounded number of stream blocks in memory. Dropped with its block, mapped or not.
#[derive(Debug)]
struct Permit(Receiver<()>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.try_recv().ok();
    }
}

/// How often a wait for a stream looks whether the job is to end.
const LOOK: Duration = Duration::from_millis(50);

/// One worker's memory for map attempts.
#[derive(Debug)]
struct Memory {
    mapper: Mapper,
    table: MapTable,
    buffers: PartitionBuffers,
}

/// Records handed to the mapper at once: so that progress moves and Ctrl-C is heard.
const WINDOW: usize = 1 << 20;

/// Maps every source. One run a task, in the order of the input.
pub fn map(job: &Job<'_>) -> Result<Vec<Run>> {
    let sources = &job.plan.sources;
    let total: u64 = sources.iter().map(Source::bytes).sum();
    job.control.progress.map.expect(if sources.iter().any(Source::is_stream) { 0 } else { total });
    let splits = splits::cut(sources, job.sizes.split).into_iter().map(Work::Split).collect();
    let streams = stream::read(sources, job.sizes.block, TERMINATOR)?;
    let (permits, permit) = bounded(2 * job.pool.threads());
    let blocks = iter::from_fn(|| {
        if let Err(interrupted) = job.check() {
            return Some(Err(interrupted));
        }
        match streams.recv_timeout(LOOK) {
            Ok(Ok(block)) => {
                permits.send(()).ok()?;
                Some(Ok(Some(Work::Block(block, Permit(permit.clone())))))
            }
            Ok(Err(error)) => Some(Err(error)),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => Some(Ok(None)),
        }
    });
    let memories = Kept::default();
    job.pool.run(splits, Deal::Split, blocks, "map", |number, work, place| attempt(job, number, work, place, &memories))
}

/// One attempt at one task: owns its memory, writes its own run.
fn attempt(job: &Job<'_>, number: usize, work: Work, place: Place, memories: &Kept<Memory>) -> Result<Run> {
    let start = job.seconds();
    let id = format!("map-{number:05}");
    let mut memory = memories.take(|| memory(job));
    let run = RunWriter::create(
        job.spill_path(&format!("{id}-0.run")),
        job.sizes.partitions,
        job.sizes.page,
        std::mem::take(&mut memory.buffers),
    )?;
    memory.table.begin();
    let mut out = Emitter {
        aggregation: &job.aggregation,
        hash_mask: job.plan.settings.hash_mask,
        table: &mut memory.table,
        run,
        counters: Counters::default(),
    };
    let (input, offset, bytes) = match work {
        Work::Split(split) => {
            for &piece in &split.pieces {
                let Source::File { path, len } = &job.plan.sources[piece.source] else {
                    unreachable!("only files are cut in pieces");
                };
                let block = Mapped::open(path, piece, *len, TERMINATOR)?;
                let mapped = windows(job, path, block.offset(), block.bytes(), &mut memory.mapper, &mut out);
                // First: what was made of bytes that weren't the file's says nothing.
                block.verify(path)?;
                mapped?;
            }
            (split.pieces[0].source, split.pieces[0].offset, split.bytes())
        }
        Work::Block(block, _permit) => {
            let path = job.plan.sources[block.source].path();
            windows(job, path, block.offset, &block.bytes, &mut memory.mapper, &mut out)?;
            (block.source, block.offset, block.bytes.len() as u64)
        }
    };
    let (run, mut counters) = out.finish()?;
    let (path, size, buffers) = run.finish()?;
    memory.buffers = buffers;
    memories.keep(memory);
    counters.reduce_shuffle_bytes = size.row_bytes;
    counters.map_output_materialized_bytes = size.file_bytes;
    counters.spilled_records = size.rows;
    counters.spilled_bytes = size.file_bytes;
    let records = counters.map_input_records;
    job.count(|all| all.add(&counters));
    let input = Some(job.plan.sources[input].name().into_owned());
    job.record(place, start, Task { id, input, offset: Some(offset), bytes, records, ..Task::default() });
    Run::open(path, job.may_keep_open())
}

/// Maps the records of `block`, which begins at `offset` of `path`.
fn windows(
    job: &Job<'_>,
    path: &Path,
    mut offset: u64,
    mut block: &[u8],
    mapper: &mut Mapper,
    out: &mut Emitter<'_>,
) -> Result<()> {
    while !block.is_empty() {
        job.check()?;
        let (window, rest) = block.split_at(record::window(block, WINDOW));
        // A window is much shorter unless it is one record; a record's end is no part of it.
        if window.len() > LONGEST_RECORD + 2 {
            return Err(Error::RecordTooLong { path: path.into(), at: offset });
        }
        mapper.map(window, out)?;
        out.counters.map_input_bytes += window.len() as u64;
        job.control.progress.map.add(window.len() as u64);
        offset += window.len() as u64;
        block = rest;
    }
    Ok(())
}

fn memory(job: &Job<'_>) -> Memory {
    let plan = job.plan;
    let observed = plan.aggregates.iter().filter(|column| column.aggregate.input() == Input::Bytes);
    let values = observed.map(|column| column.field.expect("an aggregate of bytes has a field")).collect();
    let fields = Fields { group_by: plan.group_by.clone(), values };
    Memory {
        mapper: Mapper::new(&plan.steps, fields),
        table: MapTable::new(job.sizes.map_slots, &job.aggregation.shape, plan.settings.combiner),
        buffers: PartitionBuffers::default(),
    }
}
