//! The output phase: writes the rows of the reduce phase, or of the map phase of a job without groups, to the target in
//! order, and commits the output.

use std::fs::File;

use super::FinishedRows;
use super::in_order::InOrder;
use super::job::{Job, Kept};
use crate::data::buffer::Buffer;
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};
use crate::output::sequence::Sequencer;
use crate::output::{Chunk, Committed, Writer};
use crate::report::Counters;
use crate::report::event::{Extent, PhaseName, What};
use crate::run::{Attempt, Deal, Done, Work};
use crate::shuffle::sort::{MergeMemory, MergePlan};

/// Writes and commits the result.
pub fn output(job: &Job<'_>, parts: FinishedRows) -> Result<Committed> {
    let writer = match parts {
        FinishedRows::Sorted(merge) => sorted(job, &merge)?,
        FinishedRows::Sequenced(sequencer) => finished(job, sequencer),
        FinishedRows::Staged(sequencer) => {
            let staged = finished(job, sequencer);
            copied(job, staged)?
        }
    };
    writer.commit()
}

/// Returns the writer once all lines are written.
fn finished(job: &Job<'_>, sequencer: Sequencer) -> Writer {
    let (writer, rows) = sequencer.finish();
    job.note(What::Written { rows });
    writer
}

/// Merges sorted runs range by range. Workers take the ranges in order, so that few merged ranges wait to be written.
fn sorted(job: &Job<'_>, merge: &MergePlan) -> Result<Writer> {
    job.control.progress.output.begin(merge.bytes());
    let sequencer = Sequencer::new(job.writer(job.header())?, job.plan.limit);
    let mergers = Kept::default();
    let attempt = |attempt: &Attempt<'_>, OutputRange(range): &OutputRange| {
        if sequencer.is_complete() {
            return Err(Error::Cancelled);
        }
        attempt.check()?;
        let mut merger = mergers.take(MergeMemory::default);
        let mut lines = sequencer.chunk();
        let bytes = merge.merge(*range, &mut merger, |line| {
            lines.bytes.extend(line);
            lines.ends.push(lines.bytes.len());
        })?;
        if let Some(certainty) = &job.certainty {
            certainty.note(*range, merger.keys());
        }
        mergers.keep(merger);
        attempt.advance(bytes);
        Ok(Done { made: lines, records: 0, counters: Counters::default() })
    };
    let place = |number, lines: Chunk| sequencer.place(number, lines.into());
    let ranges = InOrder::new(job, (0..merge.ranges()).map(OutputRange).collect(), &sequencer);
    job.pool.run(&job.phase(PhaseName::Output, Deal::Round), Vec::new(), ranges, attempt, place)?;
    // With a limit, some ranges may be unread, so the rows aren't checked.
    let is_all = !sequencer.is_complete();
    let (writer, rows) = sequencer.finish();
    if is_all {
        job.check_rows(rows, merge.rows())?;
    }
    job.note(What::Written { rows });
    Ok(writer)
}

/// A range of a merge, by number.
#[derive(Debug)]
struct OutputRange(usize);

impl Work for OutputRange {
    fn extent(&self) -> Extent {
        Extent::default()
    }
}

/// Copies staged lines from the spill directory to a target that can't be taken back.
fn copied(job: &Job<'_>, staged: Writer) -> Result<Writer> {
    let path = job.spill_path("output");
    let bytes = staged.bytes;
    let _ = staged.commit()?;
    job.control.progress.output.begin(bytes);
    let opened = failpoint::hit(Point::StagedRead).and_then(|()| File::open(&path));
    let mut from = opened.map_err(|source| Error::Spill { path, source })?;
    let mut writer = job.writer(Buffer::default())?;
    // One call for all pieces, because a piece may end in the middle of a row.
    writer.aside().run(|| {
        loop {
            job.check()?;
            let copied = writer.copy(&mut from, 1 << 20)?;
            if copied == 0 {
                return Ok(());
            }
            job.control.progress.output.add(copied);
        }
    })?;
    Ok(writer)
}
