//! The output phase: writes the rows of the reduce phase, or of the map phase of a job without groups, to the target in
//! order, and commits the output.

use std::fs::File;
use std::task::Poll;

use crossbeam_channel::{Receiver, RecvError, never};

use super::FinishedRows;
use super::job::{Job, Kept};
use crate::data::buffer::Buffer;
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};
use crate::output::order::{MergeMemory, MergePlan};
use crate::output::sequence::Sequencer;
use crate::output::{Chunk, Committed, Writer};
use crate::report::Counters;
use crate::report::event::{Extent, PhaseName, What};
use crate::run::{Attempt, Deal, Done, Inflow, Work};

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
        let mut lines = Chunk::default();
        let bytes = merge.merge(*range, &mut merger, &mut lines)?;
        if let Some(certainty) = &job.certainty {
            certainty.note(*range, merger.keys());
        }
        mergers.keep(merger);
        attempt.advance(bytes);
        Ok(Done { made: lines, records: 0, counters: Counters::default() })
    };
    let place = |number, lines: Chunk| sequencer.place(number, lines.into());
    let ranges = Ranges { next: 0, all: merge.ranges(), ahead: job.pool.threads() + AHEAD, sequencer: &sequencer };
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

/// How many ranges beyond one per worker may be merged ahead of what is written. They are held in memory while the
/// reader of the output is slow.
const AHEAD: usize = 8;

/// A range of a merge, by number.
#[derive(Debug)]
struct OutputRange(usize);

impl Work for OutputRange {
    fn extent(&self) -> Extent {
        Extent::default()
    }
}

/// Hands out ranges in order, at most `ahead` ranges beyond those that are written.
struct Ranges<'s> {
    next: usize,
    all: usize,
    ahead: usize,
    sequencer: &'s Sequencer,
}

impl Inflow<OutputRange> for Ranges<'_> {
    type Message = ();

    fn poll(&mut self) -> Poll<Option<Result<OutputRange>>> {
        if self.next == self.all || self.sequencer.is_complete() {
            return Poll::Ready(None);
        }
        if self.next >= self.sequencer.written() + self.ahead {
            return Poll::Pending;
        }
        self.next += 1;
        Poll::Ready(Some(Ok(OutputRange(self.next - 1))))
    }

    fn messages(&self) -> Receiver<()> {
        never()
    }

    fn arrived(&mut self, _: Result<(), RecvError>) -> Result<()> {
        Ok(())
    }

    fn is_wanted(&self) -> bool {
        !self.sequencer.is_complete()
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
