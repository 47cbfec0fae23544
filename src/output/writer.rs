//! Where the result goes, all or nothing.
//!
//! A file gets its name when it is complete ([`NewFile`]). A directory's parts are made in a hidden directory inside it and published
//! together. Nothing waits for the disk (`fsync` took 5 to 8 %
//! of a run, on a fast one), so after a power cut a result may be missing. Standard output and devices can't be taken
//! back, so the engine begins to write to them only when every reduce task has succeeded; records that only pass through are
//! written as they come. Files and devices are compressed if their names ask for it, parts never.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use super::compress::Stream;
use super::parts::Parts;
use super::publish;
use super::target::Target;
use crate::data::buffer::Buffer;
use crate::data::new_file::NewFile;
use crate::data::scratch;
use crate::data::temporary::Temporaries;
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};
use crate::report::{Report, Status};

/// Whole rows, formatted.
#[derive(Debug, Default)]
pub struct Chunk {
    pub bytes: Buffer,
    /// Where each row ends.
    pub ends: Vec<usize>,
}

impl Chunk {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// How rows are written to a terminal: with whatever else is drawn there out of the way. It is handed what writes whole rows,
/// and runs it once.
#[derive(Clone, Copy, Debug)]
pub struct Aside(pub fn(&mut dyn FnMut()));

impl Default for Aside {
    fn default() -> Self {
        Aside(|write| write())
    }
}

impl Aside {
    pub fn run<T>(self, write: impl FnOnce() -> T) -> T {
        let (mut write, mut written) = (Some(write), None);
        (self.0)(&mut || written = write.take().map(|write| write()));
        written.expect("it was run")
    }
}

#[derive(Debug)]
pub struct Writer {
    target: Target,
    to: To,
    force: bool,
    aside: Aside,
    /// Of the rows and the header, however they are compressed.
    pub bytes: u64,
}

#[derive(Debug)]
enum To {
    /// Seen as it is written.
    Through(Stream),
    /// Seen when it is complete.
    File(Stream, NewFile),
    Directory(Parts),
}

impl Writer {
    /// Opens the target. `header` begins the output, and every part file.
    pub fn open(
        target: &Target,
        header: Buffer,
        force: bool,
        part_size: u64,
        temporaries: &Temporaries,
        aside: Aside,
    ) -> Result<Writer> {
        let to = open(target, header.as_slice(), part_size, temporaries);
        let to = to.map_err(|source| output_error(target, source))?;
        let aside = match &to {
            To::Through(Stream::Plain(file)) if file.is_terminal() => aside,
            _ => Aside::default(),
        };
        let mut writer = Writer { target: target.clone(), to, force, aside, bytes: 0 };
        if !matches!(writer.to, To::Directory(_)) && !header.is_empty() {
            writer.write(&Chunk { ends: vec![header.len()], bytes: header })?;
        }
        Ok(writer)
    }

    pub fn write(&mut self, chunk: &Chunk) -> Result<()> {
        self.bytes += chunk.bytes.len() as u64;
        let written = match &mut self.to {
            To::Through(stream) | To::File(stream, _) => self.aside.run(|| stream.write_all(chunk.bytes.as_slice())),
            To::Directory(parts) => parts.write(chunk),
        };
        written.map_err(|source| output_error(&self.target, source))
    }

    /// For several [copies](Self::copy) that make whole rows together.
    pub fn aside(&self) -> Aside {
        self.aside
    }

    /// Copies up to `most` bytes from a file, whatever rows are in them, so not to a directory. Returns how many: 0 at its
    /// end.
    pub fn copy(&mut self, from: &mut File, most: u64) -> Result<u64> {
        let copied = match &mut self.to {
            To::Through(stream) | To::File(stream, _) => stream.copy(from, most),
            To::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        };
        let copied = copied.map_err(|source| output_error(&self.target, source))?;
        self.bytes += copied;
        Ok(copied)
    }

    /// Completes the output. A file is under its name then; a directory's parts once they are [sealed](Committed::seal), and until
    /// then the directory isn't another job's to change.
    pub fn commit(self) -> Result<Committed> {
        let Writer { target, to, force, .. } = self;
        let parts = commit(to, target.path(), force).map_err(|source| output_error(&target, source))?;
        Ok(Committed { target, parts, force })
    }
}

fn commit(to: To, path: &Path, force: bool) -> io::Result<Option<(Parts, Option<File>)>> {
    match to {
        To::Through(stream) => stream.finish()?,
        To::File(stream, new) => {
            stream.finish()?;
            new.persist(force)?;
        }
        To::Directory(parts) => return Ok(Some((parts, publish::lock(path)?))),
    }
    Ok(None)
}

/// A complete output.
#[derive(Debug)]
#[must_use]
pub struct Committed {
    target: Target,
    /// Of a directory: what waits to be published, and the lock on it. Another job that writes the directory waits as long
    /// as the lock is held.
    parts: Option<(Parts, Option<File>)>,
    force: bool,
}

impl Committed {
    /// Publishes a directory's parts with the report and, if they are all of the result, the mark of success: all of it, or nothing.
    pub fn seal(self, report: &Report) -> Result<()> {
        let Some((mut parts, lock)) = self.parts else { return Ok(()) };
        let json = serde_json::to_vec_pretty(report).expect("a report is JSON");
        let mut published = parts.add("_REPORT.json", &json);
        if report.status == Status::Succeeded {
            published = published.and_then(|()| parts.add("_SUCCESS", b""));
        }
        let published = published.and_then(|()| parts.publish(self.target.path(), self.force, lock.is_some()));
        published.map_err(|source| output_error(&self.target, source))
    }
}

fn output_error(target: &Target, source: io::Error) -> Error {
    let path = target.path().into();
    match target {
        Target::Scratch(_) => Error::Spill { path, source },
        _ if source.kind() == io::ErrorKind::BrokenPipe => Error::ClosedPipe,
        _ => Error::Output { path, source },
    }
}

fn open(target: &Target, header: &[u8], part_size: u64, temporaries: &Temporaries) -> io::Result<To> {
    failpoint::hit(Point::OutputCreate)?;
    let plain = |file| To::Through(Stream::Plain(file));
    Ok(match target {
        // A file of its own, unbuffered: chunks are large.
        Target::Stdout => plain(io::stdout().as_fd().try_clone_to_owned()?.into()),
        Target::Device(path, compression) => {
            To::Through(Stream::new(File::options().write(true).open(path)?, *compression)?)
        }
        Target::File(path, compression) => {
            let new = NewFile::create(path, temporaries)?;
            if let Ok(replaced) = fs::metadata(path) {
                // What was private stays so. Who may not give files away keeps what they make.
                let _ = fchown(new.file(), Some(replaced.uid()), Some(replaced.gid()));
                new.file().set_permissions(replaced.permissions())?;
            }
            To::File(Stream::new(new.file().try_clone()?, *compression)?, new)
        }
        Target::Scratch(path) => plain(scratch::create_file(path)?),
        Target::Directory(path) => To::Directory(Parts::create(path, header, part_size, temporaries)?),
    })
}
