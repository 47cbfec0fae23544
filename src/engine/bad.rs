//! Bad records: what becomes of them, and of the job.
//!
//! By default the earliest ends the job. Where they are to be skipped each attempt counts its own, keeps the first few for the
//! report, and, if they are to be saved, writes them to a file of its own in the spill directory; when all are read these
//! files become one, in the order of the tasks.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::job::Job;
use crate::data::path;
use crate::error::{Error, Result, shown};
use crate::input::{Source, Stretch};
use crate::map::{Reject, Rejects};
use crate::plan::OnError;
use crate::report::BadRecord;

/// Bad records of a job that its report tells of.
pub const SAMPLES: usize = 10;

/// The bad records of one attempt.
#[derive(Debug, Default)]
pub struct Bad {
    pub records: u64,
    pub samples: Vec<BadRecord>,
    saved: Option<(PathBuf, BufWriter<File>)>,
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
            let at = window.start + record.start;
            let save = match &job.plan.on_error {
                OnError::Fail => {
                    let (place, hint) = (place(job, stretch, at), why.hint());
                    return Err(Error::BadRecord { place, why: why.to_string(), hint });
                }
                OnError::Skip => None,
                OnError::SkipUpTo { save_to, .. } => save_to.as_deref(),
            };
            self.records += 1;
            if self.samples.len() < SAMPLES {
                self.samples.push(BadRecord { record: place(job, stretch, at), why: why.to_string() });
            }
            if save.is_some() {
                let bytes = &stretch.bytes[window.start..][record];
                self.save(bytes, save_as)?;
            }
        }
        Ok(())
    }

    fn save(&mut self, record: &[u8], save_as: &dyn Fn() -> PathBuf) -> Result<()> {
        let (path, file) = match &mut self.saved {
            Some(saved) => saved,
            None => {
                let path = save_as();
                let file = File::create_new(&path).map_err(|source| Error::Spill { path: path.clone(), source })?;
                self.saved.insert((path, BufWriter::new(file)))
            }
        };
        let written = file.write_all(record).and_then(|()| file.write_all(b"\n"));
        written.map_err(|source| Error::Spill { path: path.clone(), source })
    }

    /// The attempt succeeded: the job has its bad records.
    pub fn succeed(self, job: &Job<'_>, number: usize) -> Result<()> {
        let path = match self.saved {
            None => None,
            Some((path, mut file)) => {
                file.flush().map_err(|source| Error::Spill { path: path.clone(), source })?;
                Some(path)
            }
        };
        if self.records > 0 {
            job.note_bad(number, self.samples, path);
        }
        Ok(())
    }
}

/// Where a record begins: `sales.csv:1207`, or by the byte where lines can't be counted any more.
fn place(job: &Job<'_>, stretch: Stretch<'_>, at: usize) -> String {
    let place = stretch.place(at);
    let source: &Source = &job.plan.sources[place.source];
    let name = shown(source.path());
    let lines = match stretch.lines_before {
        Some(lines) => Some(lines + memchr::memchr_iter(b'\n', &stretch.bytes[..at]).count() as u64),
        None => source.lines_before(place.offset).ok().flatten(),
    };
    match lines {
        Some(lines) => format!("{name}:{}", lines + 1),
        None => format!("{name}: byte {}", place.offset),
    }
}

/// All is read: saves the bad records, and fails if they are too many.
pub fn judge(job: &Job<'_>) -> Result<()> {
    let (records, bad) = job.records_and_bad();
    let OnError::SkipUpTo { share, save_to } = &job.plan.on_error else { return Ok(()) };
    if let Some(to) = save_to {
        save(to, &job.saved_bad()).map_err(|source| Error::Output { path: to.clone(), source })?;
    }
    if bad as f64 > share * records as f64 {
        return Err(Error::TooManyBad { bad, records, share: *share });
    }
    Ok(())
}

/// One file of several, whole or not at all.
fn save(to: &Path, parts: &[PathBuf]) -> io::Result<()> {
    path::replace(to, |file| {
        for part in parts {
            io::copy(&mut File::open(part)?, file)?;
        }
        Ok(())
    })
}
