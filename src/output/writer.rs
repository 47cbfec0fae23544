//! The writer of the result: all of the result becomes visible, or nothing.
//!
//! A file gets its name when it is complete ([`NewFile`]). A directory's parts are made in a hidden directory inside it
//! and published together. Nothing waits for the disk (`fsync` took 5 to 8 % of a run, on a fast one), so after a power
//! cut a result may be missing. Standard output and devices can't be taken back, so the engine begins to write groups
//! to them only when every reduce task has succeeded; the lines of a job without groups are written as they come. Files
//! and devices are compressed if their names ask for it, parts never.

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

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.bytes.as_slice()[*start..*end])
    }
}

/// How rows are written to a terminal: other things drawn there, such as the progress, are cleared away meanwhile. The
/// function gets a closure that writes whole rows, and runs it once.
#[derive(Clone, Copy, Debug)]
pub struct TerminalGuard(pub fn(&mut dyn FnMut()));

impl Default for TerminalGuard {
    fn default() -> Self {
        TerminalGuard(|write| write())
    }
}

impl TerminalGuard {
    pub fn run<T>(self, write: impl FnOnce() -> T) -> T {
        let (mut write, mut written) = (Some(write), None);
        (self.0)(&mut || written = write.take().map(|write| write()));
        written.expect("it was run")
    }
}

/// Writes the result to its target.
#[derive(Debug)]
pub struct Writer {
    target: Target,
    to: To,
    force: bool,
    aside: TerminalGuard,
    /// Bytes of the rows and the header before compression.
    pub bytes: u64,
}

#[derive(Debug)]
enum To {
    /// Visible while it is written.
    Through(Stream),
    /// Visible once it is complete.
    File(Stream, NewFile),
    Directory(Parts),
}

impl Writer {
    /// Opens the target. The output, and every part file, begins with `header`.
    pub fn open(
        target: &Target,
        header: Buffer,
        force: bool,
        part_size: u64,
        temporaries: &Temporaries,
        aside: TerminalGuard,
    ) -> Result<Writer> {
        let to = open(target, header.as_slice(), part_size, temporaries);
        let to = to.map_err(|source| output_error(target, source))?;
        let aside = match &to {
            To::Through(Stream::Plain(file)) if file.is_terminal() => aside,
            _ => TerminalGuard::default(),
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

    /// Returns how to write to the target's terminal, for several [copies](Self::copy) that make whole rows together.
    pub fn aside(&self) -> TerminalGuard {
        self.aside
    }

    /// Copies up to `most` bytes from a file. Returns how many; 0 at its end. The bytes may end within a row, so this
    /// fails for a directory.
    pub fn copy(&mut self, from: &mut File, most: u64) -> Result<u64> {
        let copied = match &mut self.to {
            To::Through(stream) | To::File(stream, _) => stream.copy(from, most),
            To::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        };
        let copied = copied.map_err(|source| output_error(&self.target, source))?;
        self.bytes += copied;
        Ok(copied)
    }

    /// Completes the output. A file has its name then. A directory's parts are published later, when they are
    /// [sealed](Committed::seal); until then no other job may change the directory.
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
    /// For a directory: the parts to publish, and the lock on the directory. Another job that writes the directory
    /// waits as long as the lock is held.
    parts: Option<(Parts, Option<File>)>,
    force: bool,
}

impl Committed {
    /// Publishes a directory's parts with the report and, if the result is complete, `_SUCCESS`: all of these files or
    /// none.
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
        // A duplicate handle without a buffer: chunks are large.
        Target::Stdout => plain(io::stdout().as_fd().try_clone_to_owned()?.into()),
        Target::Device(path, compression) => {
            To::Through(Stream::new(File::options().write(true).open(path)?, *compression)?)
        }
        Target::File(path, compression) => {
            let new = NewFile::create(path, temporaries)?;
            if let Ok(replaced) = fs::metadata(path) {
                // A private file stays private. A user who may not give files away stays the owner of the new file.
                let _ = fchown(new.file(), Some(replaced.uid()), Some(replaced.gid()));
                new.file().set_permissions(replaced.permissions())?;
            }
            To::File(Stream::new(new.file().try_clone()?, *compression)?, new)
        }
        Target::Scratch(path) => plain(scratch::create_file(path)?),
        Target::Directory(path) => To::Directory(Parts::create(path, header, part_size, temporaries)?),
    })
}
