//! The reduce phase: folds the runs of the map phase into groups and finishes the groups as rows. A reduce task takes a
//! few neighbouring partitions of every run. Its rows are lines, in the order of their keys or in any order; or they go
//! to a run by their sort keys, for the output phase to sort.

mod hot;

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::folding::{FoldMemory, Folding};
use super::in_order::InOrder;
use super::job::{Job, Kept};
use super::ranges::{Found, Keys};
use super::runs::Runs;
use super::sorted::{self, SortedRuns};
use super::{FinishedRows, Grouping, RowOrder, space};
use crate::data::Sink;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::output::sequence::{self, Sequencer};
use crate::output::{
    Chunk, HeldLines, Lines, MadeLines, RowLayout, SortKeys, SortedMemory, Target, TerminalGuard, Writer,
};
use crate::plan::Groups;
use crate::reduce::Finisher;
use crate::report::Counters;
use crate::report::event::{Extent, PhaseName};
use crate::run::{self, Attempt, Deal, Done, NoMore, Phase};
use crate::shuffle::{PartitionBuffers, Partitioner, Run, RunWriter};
use crate::table::KeyOrder;

/// One worker's memory for reduce attempts.
#[derive(Debug)]
struct Workspace {
    folds: FoldMemory,
    memory: SortedMemory,
    buffers: PartitionBuffers,
}

#[derive(Clone, Debug)]
struct ReduceWork {
    partitions: Range<usize>,
    bytes: u64,
}

impl run::Work for ReduceWork {
    fn extent(&self) -> Extent {
        Extent { from: None, bytes: self.bytes }
    }
}

/// Bytes of the largest task whose rows are sorted after it. Each such task writes a run, and the pages of many runs
/// are small.
const LARGEST: u64 = 64 << 20;

/// Bytes of the smallest such task. A run of less isn't worth its file.
const SMALLEST: u64 = 64 << 10;

/// The most bytes of a partition's rows that are looked at.
const LOOK: u64 = 4 << 20;

pub fn reduce(job: &Job<'_>, grouping: &Grouping<'_>, runs: &Runs<'_>) -> Result<FinishedRows> {
    space::note_much(job);
    let layout = job.layout();
    let mut phase = ReducePhase {
        job,
        grouping,
        runs,
        bytes: runs.bytes(),
        finisher: finisher(job, grouping, &layout),
        layout: &layout,
        workspaces: Kept::default(),
    };
    let progress = &job.control.progress.reduce;
    progress.begin(phase.bytes.iter().sum());
    let first = hot::condense(&phase)?;
    if first > 0 {
        phase.bytes = runs.bytes();
    }
    let works = plan_tasks(job, grouping, &phase.bytes);
    let tasks = Phase { first, ..job.phase(PhaseName::Reduce, Deal::Round) };
    // A task whose attempt has won doesn't read its partitions again.
    let partitions: Vec<_> = works.iter().map(|work| work.partitions.clone()).collect();
    let release = |task: usize| runs.release(&partitions[task]);
    let reduced = match grouping.order(job) {
        RowOrder::Sorted(keys) => {
            let partitioner = phase.ranges(keys);
            let attempt = |attempt: &Attempt<'_>, work: &ReduceWork| phase.sorted(attempt, work, keys, &partitioner);
            let (begun, total, read) = (job.runs().taken(), phase.bytes.iter().sum(), AtomicU64::new(0));
            let place = |task: usize, run| {
                release(task);
                let bytes: u64 = phase.bytes[partitions[task].clone()].iter().sum();
                let read = read.fetch_add(bytes, Ordering::Relaxed) + bytes;
                job.space.look_at_rows(job, begun, read, total);
                Ok(run)
            };
            let runs = job.pool.run(&tasks, works, NoMore, attempt, place)?;
            FinishedRows::Sorted(SortedRuns::new(runs, partitioner, keys))
        }
        order @ (RowOrder::Free | RowOrder::OfKeys(_)) => {
            let order = order.of_keys();
            let is_staged = !job.plan.output.target.is_staged();
            let writer = if is_staged { stage(job)? } else { job.writer(job.header())? };
            let sequencer = Sequencer::new(writer, job.plan.limit);
            let attempt = |attempt: &Attempt<'_>, work: &ReduceWork| phase.lines(attempt, work, order, &sequencer);
            match order {
                None => {
                    let place = |task, lines: sequence::Lines| {
                        sequencer.append(lines)?;
                        release(task);
                        Ok(())
                    };
                    job.pool.run(&tasks, works, NoMore, attempt, place)?;
                }
                Some(_) => {
                    let works = InOrder::new(job, works, &sequencer);
                    let place = |task, lines: sequence::Lines| {
                        release(task);
                        sequencer.place(task, lines.into())
                    };
                    job.pool.run(&tasks, Vec::new(), works, attempt, place)?;
                }
            }
            if is_staged { FinishedRows::Staged(sequencer) } else { FinishedRows::Sequenced(sequencer) }
        }
    };
    // With a limit, some partitions may be unread, so the rows aren't checked.
    let is_all = match &reduced {
        FinishedRows::Sequenced(sequencer) | FinishedRows::Staged(sequencer) => !sequencer.is_complete(),
        FinishedRows::Sorted(_) => true,
    };
    if is_all {
        let read = job.counters().reduce_input_records;
        job.check_rows(read, runs.rows().unwrap_or(read))?;
    }
    Ok(reduced)
}

/// Reduces some partitions of `runs` and throws the rows away, to measure how long that takes. Returns the time and the
/// bytes of the rows read. Files written meanwhile are called `name`, which no other sample uses.
pub fn sample(
    job: &Job<'_>,
    grouping: &Grouping<'_>,
    (partitions, runs): (usize, &[Arc<Run>]),
    name: &str,
) -> Result<(Duration, u64)> {
    const BYTES: u64 = 256 << 10;
    let layout = job.layout();
    let finisher = finisher(job, grouping, &layout);
    let Workspace { mut folds, mut memory, mut buffers } = workspace(job, grouping, &finisher);
    let mut lines = Chunk::default();
    let mut took = Duration::ZERO;
    let mut bytes = 0;
    // Done twice, and the second time counts: at first the memory is new to the process.
    for _ in 0..2 {
        let begun = Instant::now();
        bytes = 0;
        // Each partition is read whole, from all runs: reduce tasks fold rows of many runs into one group, too.
        for partition in 0..partitions {
            if bytes >= BYTES {
                break;
            }
            for run in runs {
                bytes += folds.look(grouping, run, &run.pages(partition..partition + 1)?, u64::MAX)?.0;
            }
        }
        match grouping.order(job) {
            RowOrder::Sorted(order) => {
                let one = Partitioner::default();
                let to = (&mut memory, &mut buffers);
                let mut out = sorted::sink(job, &layout, (order, &one), &job.run_place(name), to)?;
                folds.finish(&finisher, None, &mut out)?;
                (_, buffers) = out.finish()?.finish()?;
            }
            order @ (RowOrder::Free | RowOrder::OfKeys(_)) => {
                let run = RunWriter::create(&job.run_place(name), 1, job.sizes.lines, buffers)?;
                let to = HeldLines::in_run(lines, run);
                let mut out = Lines { layout: &layout, limit: u64::MAX, rows: 0, to };
                folds.finish(&finisher, order.of_keys(), &mut out)?;
                (MadeLines { buffers, spare: lines, .. }) = out.to.finish()?;
            }
        }
        took = begun.elapsed();
    }
    Ok((took, bytes))
}

fn finisher<'a>(job: &Job<'_>, grouping: &'a Grouping<'_>, layout: &RowLayout) -> Finisher<'a> {
    let Groups { key, results, having, .. } = grouping.groups;
    let sorted_by = match grouping.order(job) {
        RowOrder::Free | RowOrder::OfKeys(_) => &[][..],
        RowOrder::Sorted(order) => &order.keys,
    };
    let wanted = layout.columns.iter().copied().chain(sorted_by.iter().map(|key| key.index));
    Finisher::new(&grouping.aggregation, key, results, having.as_ref(), wanted, job.sizes.batch)
}

/// Plans the reduce tasks: neighbouring partitions are joined until they hold enough bytes for a task. The largest
/// tasks come first, unless the output is in the order of the partitions.
fn plan_tasks(job: &Job<'_>, grouping: &Grouping<'_>, bytes: &[u64]) -> Vec<ReduceWork> {
    let total: u64 = bytes.iter().sum();
    if grouping.is_one_group() {
        // The one group is in any partition, or in none if there are no records. So one task must see all partitions.
        return vec![ReduceWork { partitions: 0..bytes.len(), bytes: total }];
    }
    // Several tasks per worker, so that there is something to steal.
    let even = total / (8 * job.pool.threads() as u64);
    let order = grouping.order(job);
    let most = match order {
        RowOrder::Sorted(_) => even.clamp(SMALLEST, LARGEST),
        // Lines wait in memory until their task is done, so a task is no larger than a cache holds.
        RowOrder::Free | RowOrder::OfKeys(_) => job.sizes.fold,
    };
    let works = gather(bytes, 0..bytes.len(), most).into_iter();
    let work = |partitions: Range<usize>| ReduceWork { bytes: bytes[partitions.clone()].iter().sum(), partitions };
    let mut works: Vec<_> = works.map(work).collect();
    match order.of_keys() {
        None => works.sort_by_key(|work| Reverse(work.bytes)),
        Some(KeyOrder::Ascending) => {}
        Some(KeyOrder::Descending) => works.reverse(),
    }
    works
}

/// Joins neighbouring partitions as long as they hold at most `most` bytes. A larger partition stays alone.
pub fn gather(bytes: &[u64], partitions: Range<usize>, most: u64) -> Vec<Range<usize>> {
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

/// Opens a file of the spill directory in which lines wait while reduce tasks may still fail.
fn stage(job: &Job<'_>) -> Result<Writer> {
    let target = Target::Scratch(job.spill_path("output"));
    let part_size = job.plan.output.part_size;
    Writer::open(&target, job.header(), false, part_size, &job.control.temporaries, TerminalGuard::default())
}

/// State that reduce attempts share.
struct ReducePhase<'a> {
    job: &'a Job<'a>,
    grouping: &'a Grouping<'a>,
    runs: &'a Runs<'a>,
    /// Row bytes of each partition in all runs.
    bytes: Vec<u64>,
    finisher: Finisher<'a>,
    layout: &'a RowLayout,
    workspaces: Kept<Workspace>,
}

impl ReducePhase<'_> {
    /// Makes one attempt whose rows become lines, in this order of keys or in any order.
    fn lines(
        &self,
        attempt: &Attempt<'_>,
        work: &ReduceWork,
        order: Option<KeyOrder>,
        sequencer: &Sequencer,
    ) -> Result<Done<sequence::Lines>> {
        if sequencer.is_complete() {
            return Err(Error::Cancelled);
        }
        let mut workspace = self.workspace();
        let begin_run = || self.job.lines_run(attempt);
        let to = HeldLines::new(sequencer.chunk(), self.job.sizes.held_lines, &begin_run);
        let limit = self.job.plan.limit.unwrap_or(u64::MAX);
        let mut out = Lines { layout: self.layout, limit, rows: 0, to };
        let counters = self.fold(attempt, work, order, &mut workspace.folds, &mut out)?;
        self.workspaces.keep(workspace);
        let lines = out.to.finish()?.lines;
        Ok(Done { made: lines, records: counters.reduce_input_records, counters })
    }

    /// Makes one attempt whose rows go to ranges of their sort keys.
    fn sorted(
        &self,
        attempt: &Attempt<'_>,
        work: &ReduceWork,
        order: &SortKeys,
        partitioner: &Partitioner,
    ) -> Result<Done<Run>> {
        let job = self.job;
        let mut workspace = self.workspace();
        let Workspace { folds, memory, buffers } = &mut workspace;
        let place = job.attempt_run(attempt, "run");
        let mut out = sorted::sink(job, self.layout, (order, partitioner), &place, (memory, buffers))?;
        let counters = self.fold(attempt, work, None, folds, &mut out)?;
        let (run, back) = out.finish()?.finish()?;
        *buffers = back;
        self.workspaces.keep(workspace);
        let run = job.open(run)?;
        Ok(Done { made: run, records: counters.reduce_input_records, counters })
    }

    /// Reduces a few partitions for a look at the sort keys of their rows, and cuts the keys into ranges.
    fn ranges(&self, order: &SortKeys) -> Partitioner {
        // As many bytes of rows as are sorted in a cache.
        let sizes = &self.job.sizes;
        let all = (self.bytes.iter().sum::<u64>() / sizes.partition_bytes + 1).min(sizes.most_partitions as u64);
        let wanted = sorted::ranges(self.job, all as usize);
        let mut found = Found::new(Keys::OfSort(order), wanted, sizes.look_memory);
        for partition in 0..self.bytes.len() {
            if !found.wants_more() {
                break;
            }
            // An error is met again when the partition is reduced.
            let _ = failpoint::uncounted(|| self.look(partition, &mut found));
        }
        Partitioner::Ranges(found.ranges(wanted))
    }

    /// Hands the rows of a partition, or of a part of a large one, to `out`.
    fn look(&self, partition: usize, out: &mut dyn Sink) -> Result<()> {
        let mut left = LOOK;
        let mut folds = FoldMemory::new(self.job, self.grouping, &self.finisher);
        self.runs.each(|run, _| {
            left -= folds.look(self.grouping, run, &run.pages(partition..partition + 1)?, left)?.0.min(left);
            Ok(())
        })?;
        folds.finish(&self.finisher, None, out)
    }

    fn workspace(&self) -> Workspace {
        self.workspaces.take(|| workspace(self.job, self.grouping, &self.finisher))
    }

    /// Folds the partitions of a task, a few at a time. Hands the rows of each fold to `out`, in this order of keys or
    /// in any order.
    fn fold(
        &self,
        attempt: &Attempt<'_>,
        work: &ReduceWork,
        order: Option<KeyOrder>,
        memory: &mut FoldMemory,
        out: &mut dyn Sink,
    ) -> Result<Counters> {
        let mut folds = match self.grouping.is_one_group() {
            true => vec![work.partitions.clone()],
            false => gather(&self.bytes, work.partitions.clone(), self.job.sizes.fold),
        };
        if order == Some(KeyOrder::Descending) {
            folds.reverse();
        }
        self.folding(attempt, order).fold(folds, memory, out)
    }

    fn folding<'b>(&'b self, attempt: &'b Attempt<'b>, order: Option<KeyOrder>) -> Folding<'b> {
        let ReducePhase { job, grouping, runs, bytes, finisher, .. } = self;
        Folding { job, grouping, runs, bytes, finisher, attempt, order }
    }
}

fn workspace(job: &Job<'_>, grouping: &Grouping<'_>, finisher: &Finisher<'_>) -> Workspace {
    Workspace {
        folds: FoldMemory::new(job, grouping, finisher),
        memory: SortedMemory::default(),
        buffers: PartitionBuffers::default(),
    }
}
