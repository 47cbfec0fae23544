//! The reduce phase: runs to finished rows, one reduce task for a few partitions of every run.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::job::{Job, Kept};
use super::pool::{Deal, Place, lock};
use super::{Grouping, Parts};
use crate::error::{Error, Result};
use crate::output::order::{Merge, SortedRun, Sorter};
use crate::output::{Chunk, Order, SortKey, Target, Writer};
use crate::plan::Groups;
use crate::reduce::{Finisher, Fold};
use crate::report::Task;
use crate::shuffle::{PartitionBuffers, Run};

/// One worker's memory for reduce attempts.
#[derive(Debug)]
struct Memory {
    fold: Fold,
    page: Vec<u8>,
    chunk: Chunk,
    sorter: Sorter,
    buffers: PartitionBuffers,
}

#[derive(Clone, Debug)]
struct Work {
    partitions: Range<usize>,
    bytes: u64,
}

/// The memory of a longer page, which is one row, isn't kept for the next.
const LONG_PAGE: usize = 32 << 20;

/// Slots with which a reduce task's table begins.
const SLOTS: usize = 1 << 12;

pub fn reduce(job: &Job<'_>, grouping: &Grouping<'_>, runs: &[Run]) -> Result<Parts> {
    let mut bytes = vec![0; job.sizes.partitions];
    runs.iter().for_each(|run| run.add_bytes(&mut bytes));
    let works = plan_tasks(job, grouping, &bytes);
    job.control.progress.reduce.begin(works.iter().map(|work| work.bytes).sum());
    let Groups { key, results, having, .. } = grouping.groups;
    let finisher = Finisher::new(&grouping.aggregation, key, results, having.as_ref(), job.layout());
    let to = match &grouping.groups.order {
        Order::Free => To::Lines(Mutex::new(stage(job)?)),
        Order::By(keys) => To::Sorted(keys),
    };
    let phase = Phase { job, grouping, runs, bytes: &bytes, finisher, to, memories: Kept::default() };
    let attempt = |number, work, place| phase.attempt(number, work, place);
    let sorted = job.pool.run(works, Deal::Round, std::iter::empty(), "reduce", attempt)?;
    Ok(match phase.to {
        To::Lines(writer) => Parts::Lines(writer.into_inner().unwrap_or_else(PoisonError::into_inner)),
        To::Sorted(_) => Parts::Sorted(Merge::new(sorted.into_iter().flatten().collect(), job.sizes.range)),
    })
}

/// Neighbouring partitions go to a task until they hold enough bytes for one. Largest tasks first.
fn plan_tasks(job: &Job<'_>, grouping: &Grouping<'_>, bytes: &[u64]) -> Vec<Work> {
    let total: u64 = bytes.iter().sum();
    if grouping.is_one_group() {
        // The one group is in some partition, or, where there was no record, in none: its task has to know.
        return vec![Work { partitions: 0..bytes.len(), bytes: total }];
    }
    // Several tasks a worker, so that there is something to steal.
    let even = total / (8 * job.pool.threads() as u64);
    let works = gather(bytes, 0..bytes.len(), job.sizes.reduce.min(even.max(job.sizes.fold))).into_iter();
    let work = |partitions: Range<usize>| Work { bytes: bytes[partitions.clone()].iter().sum(), partitions };
    let mut works: Vec<_> = works.map(work).collect();
    works.sort_by_key(|work| std::cmp::Reverse(work.bytes));
    works
}

/// Gathers neighbouring partitions until they hold `most` bytes; a larger one stays alone.
fn gather(bytes: &[u64], partitions: Range<usize>, most: u64) -> Vec<Range<usize>> {
    let mut gathered: Vec<Range<usize>> = Vec::new();
    let mut held = 0;
    for partition in partitions {
        match gathered.last_mut() {
            Some(last) if held + bytes[partition] <= most => {
                last.end = partition + 1;
                held += bytes[partition];
            }
            _ => {
                gathered.push(partition..partition + 1);
                held = bytes[partition];
            }
        }
    }
    gathered
}

/// Where lines in no order go while reduce tasks may still fail.
fn stage(job: &Job<'_>) -> Result<Writer> {
    let (output, header) = (&job.plan.output, job.header());
    match output.target.is_staged() {
        true => job.writer(header),
        false => Writer::open(&Target::Scratch(job.spill_path("output")), header, false, output.part_size),
    }
}

/// What the attempts of the phase share.
struct Phase<'a> {
    job: &'a Job<'a>,
    grouping: &'a Grouping<'a>,
    runs: &'a [Run],
    /// Row bytes of each partition in all runs.
    bytes: &'a [u64],
    finisher: Finisher<'a>,
    to: To<'a>,
    memories: Kept<Memory>,
}

/// Where finished rows go.
enum To<'a> {
    Lines(Mutex<Writer>),
    /// Into a sorted run a task, by these keys.
    Sorted(&'a [SortKey]),
}

impl Phase<'_> {
    fn attempt(&self, number: usize, work: Work, place: Place) -> Result<Option<SortedRun>> {
        let job = self.job;
        let start = job.seconds();
        let id = format!("reduce-{number:05}");
        let mut memory = self.memories.take(|| memory(job, self.grouping));
        let Memory { fold, page, chunk, sorter, buffers } = &mut memory;
        let (mut records, mut groups, mut lines) = (0, 0, 0);
        let folds = match self.grouping.is_one_group() {
            true => vec![work.partitions],
            false => gather(self.bytes, work.partitions, job.sizes.fold),
        };
        for partitions in folds {
            for run in self.runs {
                records += self.absorb(run, partitions.clone(), fold, page)?;
            }
            if self.grouping.is_one_group() {
                fold.ensure_empty_key();
            }
            groups += fold.table.len() as u64;
            match &self.to {
                To::Sorted(keys) => self.finisher.sorted(&mut fold.table, keys, sorter)?,
                To::Lines(writer) => {
                    chunk.clear();
                    self.finisher.lines(&mut fold.table, chunk)?;
                    lines += chunk.ends.len() as u64;
                    lock(writer).write(chunk)?;
                }
            }
        }
        let sorted = match &self.to {
            To::Lines(_) => None,
            To::Sorted(_) => {
                let path = job.spill_path(&format!("{id}-0.run"));
                let (limit, keep_open) = (job.plan.limit, job.may_keep_open());
                let (run, back) = sorter.write(path, limit, keep_open, std::mem::take(buffers))?;
                *buffers = back;
                Some(run)
            }
        };
        job.count(|all| {
            all.reduce_input_records += records;
            all.reduce_input_groups += groups;
            all.reduce_output_records += lines;
        });
        self.memories.keep(memory);
        job.record(place, start, Task { id, bytes: work.bytes, records, ..Task::default() });
        Ok(sorted)
    }

    /// Folds one run's pages of some partitions. Returns how many rows they had.
    fn absorb(&self, run: &Run, partitions: Range<usize>, fold: &mut Fold, buffer: &mut Vec<u8>) -> Result<u64> {
        let job = self.job;
        let pages = run.pages(partitions);
        if pages.is_empty() {
            return Ok(0);
        }
        job.check()?;
        let reader = run.reader()?;
        let mut records = 0;
        for page in pages {
            let payload = reader.read(page, buffer)?;
            if !fold.has_room(payload.len(), page.rows) {
                return Err(Error::PartitionTooLarge { partitions: job.sizes.partitions });
            }
            let rows = fold.absorb(payload, &self.grouping.aggregation);
            if rows != Some(page.rows) {
                return Err(reader.corrupt(page, "a page holds other rows than its header says"));
            }
            records += u64::from(page.rows);
            job.control.progress.reduce.add(u64::from(page.len));
            if buffer.len() > LONG_PAGE {
                *buffer = Vec::new();
            }
        }
        Ok(records)
    }
}

fn memory(job: &Job<'_>, grouping: &Grouping<'_>) -> Memory {
    let settings = &job.plan.settings;
    Memory {
        fold: Fold::new(settings.table_slots.unwrap_or(SLOTS), settings.hash_mask, &grouping.aggregation),
        page: Vec::new(),
        chunk: Chunk::default(),
        sorter: Sorter::default(),
        buffers: PartitionBuffers::default(),
    }
}
