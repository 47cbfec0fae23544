//! Bad records: what becomes of them, and of the job.
//!
//! One that makes an attempt [panic](super::panicking) is bad, too. By default the earliest ends the job. Where they are to be
//! skipped each attempt counts its own, keeps the first few for the report, and, if they are to be saved, writes them to a
//! file of its own in the spill directory; when all are read these files become one, in the order of the tasks.

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

/// Bad records of a job that its report tells of.
pub const MOST_REPORTED: usize = 10;

/// A bad record for the report. Its line is counted when the report is made, and only if it is one of those told: to count it
/// a file is read from its beginning.
#[derive(Debug)]
pub struct ReportedRecord {
    place: Place,
    /// Newlines before it, where that is known.
    lines: Option<u64>,
    why: Why,
}

impl ReportedRecord {
    fn of(stretch: Stretch<'_>, at: usize, why: Why) -> Self {
        let here = || memchr::memchr_iter(b'\n', &stretch.bytes[..at]).count() as u64;
        ReportedRecord { place: stretch.place(at), lines: stretch.lines_before.map(|lines| lines + here()), why }
    }

    pub fn told(&self, sources: &[Source]) -> BadRecord {
        BadRecord { record: self.begins(sources), why: self.why.to_string() }
    }

    /// Where it begins: `sales.csv:1207`, or by the byte where lines can't be counted any more.
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

/// Those of a task that met some.
#[derive(Debug)]
pub struct BadOfTask {
    pub number: usize,
    /// The first of them.
    pub reported: Vec<ReportedRecord>,
    /// The file where all are, if they are to be saved.
    pub saved: Option<TempPath>,
}

impl Bad {
    /// Takes those of a window, which is this part of the stretch. Fails with the first, where they aren't skipped.
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

    /// Takes one, whose bytes are these of the stretch. Fails where it isn't skipped.
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

    /// All are read. Writes what waits to be saved while the attempt may yet fail and another be made.
    pub fn finish(&mut self) -> Result<()> {
        let Some((path, file)) = &mut self.saved else { return Ok(()) };
        let flushed = failpoint::hit(Point::SpillWrite).and_then(|()| file.flush());
        flushed.map_err(|source| Error::Spill { path: path.to_path_buf(), source })
    }

    /// The attempt won: the job has its bad records.
    pub fn place(self, job: &Job<'_>, number: usize) {
        if self.records > 0 {
            let saved = self.saved.map(|(path, _)| path);
            job.note_bad(BadOfTask { number, reported: self.reported, saved });
        }
    }
}

/// No more is read: saves the bad records, and fails if they are too many. Where a limit ended the reading, how much was read
/// says nothing, and so neither does their share.
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

/// One file of several, whole or not at all; compressed if its name says so.
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
