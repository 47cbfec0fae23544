//! Bad records: counts, reports and saves them, or fails the job, as the plan's `on_error` says.
//!
//! A record that makes an attempt [panic](super::panicking) is bad, too. By default the earliest bad record ends the
//! job. If bad records are skipped, each attempt counts its own and keeps the first few for the report. If they are to
//! be saved, each attempt writes them to a file of its own in the spill directory. When all input is read, these files
//! are joined in the order of the tasks.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::job::Job;
use crate::data::{path, scratch};
use crate::error::{Error, Result, shown};
use crate::failpoint::{self, Point};
use crate::input::{Place, Source, Stretch};
use crate::map::{Reject, Rejects, Why};
use crate::output::Compression;
use crate::output::compress::Stream;
use crate::panics;
use crate::plan::{OnError, Read};
use crate::report::{BadRecord, Counters};

/// The most bad records that a report shows.
pub const MOST_REPORTED: usize = 10;

/// A bad record for the report. Its line number is found only when the report is made, and only if the record is shown:
/// counting lines means reading the file from its beginning.
#[derive(Debug)]
pub struct ReportedRecord {
    place: Place,
    /// Newlines before the record, if known.
    lines: Option<u64>,
    why: Why,
}

impl ReportedRecord {
    fn of(stretch: Stretch<'_>, at: usize, why: Why) -> Self {
        let here = || stretch.newlines(0..at);
        ReportedRecord { place: stretch.place(at), lines: stretch.lines_before.map(|lines| lines + here()), why }
    }

    pub fn told(&self, sources: &[Source]) -> BadRecord {
        BadRecord { record: self.begins(sources), why: self.why.to_string() }
    }

    /// Where the record begins: `sales.csv:1207`, or the byte offset if its lines can't be counted any more.
    fn begins(&self, sources: &[Source]) -> String {
        let source = &sources[self.place.source];
        let name = shown(source.path());
        let count = || panics::caught(|| "the report".into(), || source.lines_before(self.place.offset));
        match self.lines.or_else(|| count().ok().flatten()) {
            Some(lines) => format!("{name}:{}", lines + 1),
            None => format!("{name}: byte {}", self.place.offset),
        }
    }
}

/// The bad records of one attempt.
#[derive(Debug, Default)]
pub struct Bad {
    pub records: u64,
    reported: Vec<ReportedRecord>,
    saved: Option<(TempPath, BufWriter<File>)>,
}

/// The bad records of a task that has some.
#[derive(Debug)]
pub struct BadOfTask {
    pub number: usize,
    /// The first few.
    pub reported: Vec<ReportedRecord>,
    /// The file that holds all of them, if they are saved.
    pub saved: Option<TempPath>,
}

impl Bad {
    /// Takes the bad records of a window, which is the range `window` of `stretch`. Fails with the first one unless bad
    /// records are skipped.
    pub fn take(
        &mut self,
        job: &Job<'_>,
        rejects: &mut Rejects,
        stretch: Stretch<'_>,
        window: Range<usize>,
        save_as: &dyn Fn() -> PathBuf,
    ) -> Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        for Reject { record, why } in rejects.take() {
            let record = window.start + record.start..window.start + record.end;
            self.add(job, Reject { record, why }, stretch, save_as)?;
        }
        Ok(())
    }

    /// Takes one bad record, which is the range `record` of `stretch`. Fails unless bad records are skipped.
    pub fn add(
        &mut self,
        job: &Job<'_>,
        Reject { record, why }: Reject,
        stretch: Stretch<'_>,
        save_as: &dyn Fn() -> PathBuf,
    ) -> Result<()> {
        if job.plan.on_error == OnError::Fail {
            let hint = why.hint(&job.plan.numbers, matches!(job.plan.read, Read::Delimited { .. }));
            let BadRecord { record: place, why } =
                ReportedRecord::of(stretch, record.start, why).told(&job.plan.sources);
            return Err(Error::BadRecord { place, why, hint });
        }
        self.records += 1;
        if self.reported.len() < MOST_REPORTED {
            self.reported.push(ReportedRecord::of(stretch, record.start, why));
        }
        if let OnError::SkipUpTo { save_to: Some(_), .. } = &job.plan.on_error {
            self.save(&stretch.bytes[record], job.record_end().framing.terminator(), save_as)?;
        }
        Ok(())
    }

    fn save(&mut self, record: &[u8], terminator: u8, save_as: &dyn Fn() -> PathBuf) -> Result<()> {
        let (path, file) = match &mut self.saved {
            Some(saved) => saved,
            None => {
                let path = save_as();
                let (file, path) = scratch::create_temporary(&path).map_err(|source| Error::Spill { path, source })?;
                self.saved.insert((path, BufWriter::new(file)))
            }
        };
        let written = failpoint::hit(Point::SpillWrite).and_then(|()| file.write_all(record));
        let written = written.and_then(|()| file.write_all(&[terminator]));
        written.map_err(|source| Error::Spill { path: path.to_path_buf(), source })
    }

    /// Flushes the file of saved records once all are read, while the attempt may still fail and be made again.
    pub fn finish(&mut self) -> Result<()> {
        let Some((path, file)) = &mut self.saved else { return Ok(()) };
        let flushed = failpoint::hit(Point::SpillWrite).and_then(|()| file.flush());
        flushed.map_err(|source| Error::Spill { path: path.to_path_buf(), source })
    }

    /// Hands the bad records to the job. The attempt has won.
    pub fn place(self, job: &Job<'_>, number: usize) {
        if self.records > 0 {
            let saved = self.saved.map(|(path, _)| path);
            job.note_bad(BadOfTask { number, reported: self.reported, saved });
        }
    }
}

/// Judges the bad records once reading has ended: saves them, and fails if their share is too large. If a limit ended
/// the reading early, the share isn't checked: how much was read then means nothing.
pub fn judge(job: &Job<'_>, is_all_read: bool) -> Result<()> {
    let OnError::SkipUpTo { share, save_to } = &job.plan.on_error else { return Ok(()) };
    if let Some(to) = save_to {
        save(to, &job.saved_bad()).map_err(|source| Error::Output { path: to.clone(), source })?;
    }
    let Counters { map_input_records: records, bad_records: bad, .. } = job.counters();
    if is_all_read && bad as f64 > share * records as f64 {
        return Err(Error::TooManyBad { bad, records, share: *share });
    }
    Ok(())
}

/// Joins several files into one, which appears whole or not at all. It is compressed if its name says so.
fn save(to: &Path, parts: &[PathBuf]) -> io::Result<()> {
    path::replace(to, |file| {
        let mut file = Stream::new(file.try_clone()?, Compression::of(to))?;
        for part in parts {
            failpoint::hit(Point::StagedRead)?;
            file.copy(&mut File::open(part)?, u64::MAX)?;
        }
        file.finish()
    })
}
