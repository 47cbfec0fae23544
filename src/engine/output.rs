//! The output phase: the parts of the result, to its target, in order.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Parts;
use super::job::{Job, Kept};
use super::pool::Deal;
use crate::data::buffer::Buffer;
use crate::error::{Error, Result};
use crate::output::order::{Merge, Merger};
use crate::output::sequence::Sequence;
use crate::output::{Chunk, Committed, Writer};

/// Writes and commits the result.
pub fn output(job: &Job<'_>, parts: Parts) -> Result<Committed> {
    let writer = match parts {
        Parts::Sorted(merge) => sorted(job, &merge)?,
        Parts::Written(writer) => writer,
        Parts::Lines(writer) if job.plan.output.target.is_staged() => writer,
        Parts::Lines(staged) => copied(job, staged)?,
    };
    writer.commit()
}

/// Merges range by range; workers take ranges in order, so that few wait to be written.
fn sorted(job: &Job<'_>, merge: &Merge) -> Result<Writer> {
    job.control.progress.output.begin(merge.bytes());
    let sequence = Sequence::new(job.writer(job.header())?, job.plan.limit);
    let next = AtomicUsize::new(0);
    let mergers = Kept::default();
    let workers = (0..job.pool.threads().min(merge.ranges())).collect();
    let merged = job.pool.run(workers, Deal::Round, std::iter::empty(), "output", |_, _, _| {
        let mut merger = mergers.take(Merger::default);
        let whole = sequence.whole();
        ranges(job, merge, &next, &mut merger, &sequence)?;
        whole.finish();
        mergers.keep(merger);
        Ok(())
    });
    merged?;
    let (writer, rows) = sequence.finish();
    job.count(|all| all.reduce_output_records += rows);
    Ok(writer)
}

fn ranges(job: &Job<'_>, merge: &Merge, next: &AtomicUsize, merger: &mut Merger, to: &Sequence) -> Result<()> {
    loop {
        let range = next.fetch_add(1, Ordering::Relaxed);
        if range >= merge.ranges() || to.is_done() {
            return Ok(());
        }
        job.check()?;
        let mut chunk = Chunk::default();
        let bytes = merge.merge(range, merger, &mut chunk)?;
        to.put(range, chunk)?;
        job.control.progress.output.add(bytes);
    }
}

/// Copies lines that waited in the spill directory to a target that can't be taken back.
fn copied(job: &Job<'_>, staged: Writer) -> Result<Writer> {
    let path = job.spill_path("output");
    let bytes = staged.bytes;
    let _ = staged.commit()?;
    job.control.progress.output.begin(bytes);
    let mut from = File::open(&path).map_err(|source| Error::Spill { path, source })?;
    let mut writer = job.writer(Buffer::default())?;
    loop {
        job.check()?;
        let copied = writer.copy(&mut from, 1 << 20)?;
        if copied == 0 {
            return Ok(writer);
        }
        job.control.progress.output.add(copied);
    }
}
