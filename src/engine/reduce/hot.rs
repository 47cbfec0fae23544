//! Hot partitions. One key may have most of the rows. Its partition would keep one worker busy while the others have
//! nothing to do. So all workers fold the rows of such a partition first, each the rows of a few runs, and the task of
//! the partition folds what is left: the states of each group, once for each of these folds.
//!
//! ```text
//! run 0 ─┐
//! run 1 ─┴─► table ─► states ─┐
//! run 2 ─┐                    ├─► table ─► rows
//! run 3 ─┴─► table ─► states ─┘
//! ```

use std::ops::Range;
use std::sync::Arc;

use super::{LOOK, ReducePhase, gather};
use crate::engine::folding::FoldMemory;
use crate::error::Result;
use crate::failpoint;
use crate::report::event::{Extent, PhaseName};
use crate::run::{self, Attempt, Deal, Done, NoMore};
use crate::shuffle::Run;

/// The rows that some runs have in a hot partition.
#[derive(Clone, Debug)]
struct Share {
    partition: usize,
    runs: Range<usize>,
    bytes: u64,
}

impl run::Work for Share {
    fn extent(&self) -> Extent {
        Extent { from: None, bytes: self.bytes }
    }
}

/// A partition with fewer rows for each group isn't worth a fold before the fold.
const ROWS_A_GROUP: usize = 4;

/// The least bytes of a hot partition, in folds of the usual size. It isn't worth the files otherwise.
const FOLDS: u64 = 4;

/// Folds the rows of hot partitions, so that fewer are left. Returns the number of tasks that this took.
pub fn condense(phase: &ReducePhase<'_>) -> Result<usize> {
    let mut shares = Vec::new();
    for partition in hot(phase) {
        // An error is met again when the partition is reduced.
        if let Ok(more) = failpoint::uncounted(|| shares_of(phase, partition)) {
            shares.extend(more);
        }
    }
    let count = shares.len();
    if count > 0 {
        let ReducePhase { job, runs, .. } = phase;
        let tasks = job.phase(PhaseName::Reduce, Deal::Round);
        let partitions: Vec<_> = shares.iter().map(|share| share.partition).collect();
        let attempt = |attempt: &Attempt<'_>, share: &Share| fold(phase, attempt, share);
        let made = job.pool.run(&tasks, shares, NoMore, attempt, |_, runs| Ok(runs))?;
        for (partition, made) in partitions.into_iter().zip(made) {
            runs.condense(partition, made.into_iter().map(Arc::new));
        }
    }
    Ok(count)
}

/// Returns the partitions that would keep a worker busy for longer than all partitions would keep all workers busy.
fn hot(phase: &ReducePhase<'_>) -> Vec<usize> {
    let ReducePhase { job, bytes, .. } = phase;
    let (total, threads) = (bytes.iter().sum::<u64>(), job.pool.threads() as u64);
    let least = (total / threads).max(FOLDS * job.sizes.fold);
    (0..bytes.len()).filter(|partition| threads > 1 && bytes[*partition] > least).collect()
}

/// Divides a hot partition among the workers. Returns nothing if that doesn't pay.
fn shares_of(phase: &ReducePhase<'_>, partition: usize) -> Result<Vec<Share>> {
    let mut bytes = Vec::new();
    phase.runs.each(|run, _| {
        bytes.push(run.pages(partition..partition + 1)?.iter().map(|page| u64::from(page.len)).sum());
        Ok(())
    })?;
    let share = |runs: Range<usize>| Share { partition, bytes: bytes[runs.clone()].iter().sum(), runs };
    // Several shares for each worker, so that there is something to steal.
    let even = phase.bytes[partition] / (4 * phase.job.pool.threads() as u64);
    let shares: Vec<_> = gather(&bytes, 0..bytes.len(), even).into_iter().map(share).collect();
    match shares.len() > 1 && condenses(phase, partition, bytes.len())? {
        true => Ok(shares),
        false => Ok(Vec::new()),
    }
}

/// Whether the rows of a partition become much fewer when they are folded, judging by some pages of each run.
fn condenses(phase: &ReducePhase<'_>, partition: usize, runs: usize) -> Result<bool> {
    let ReducePhase { job, grouping, finisher, .. } = phase;
    let mut folds = FoldMemory::new(job, grouping, finisher);
    let most = LOOK / runs as u64 + 1;
    let mut rows = 0;
    phase.runs.each(|run, _| {
        rows += folds.look(grouping, run, &run.pages(partition..partition + 1)?, most)?.1;
        Ok(())
    })?;
    Ok((ROWS_A_GROUP * folds.groups()) as u64 <= rows)
}

fn fold(phase: &ReducePhase<'_>, attempt: &Attempt<'_>, share: &Share) -> Result<Done<Vec<Run>>> {
    let mut workspace = phase.workspace();
    let Share { partition, runs, .. } = share;
    let folding = phase.folding(attempt, None);
    let (made, counters) = folding.condense(*partition, runs.clone(), &mut workspace.folds)?;
    phase.workspaces.keep(workspace);
    Ok(Done { made, records: counters.reduce_input_records, counters })
}
