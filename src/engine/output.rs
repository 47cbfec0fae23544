//! The output phase: writes the rows of the reduce phase, or of the map phase of a job without groups, to the target in
//! order, and commits the output.

use std::fs::File;

use super::job::Job;
use super::{FinishedRows, sorted};
use crate::data::buffer::Buffer;
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};
use crate::output::sequence::Sequencer;
use crate::output::{Committed, Writer};
use crate::report::event::What;

/// Writes and commits the result.
pub fn output(job: &Job<'_>, parts: FinishedRows) -> Result<Committed> {
    let writer = match parts {
        FinishedRows::Sorted(runs) => sorted::write(job, &runs)?,
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
