//! Where the result goes, all or nothing.
//!
//! A file is made under a temporary name beside its target and renamed when complete; a directory's parts are made in
//! a hidden directory inside it and renamed one by one, `_SUCCESS` last. Nothing waits for the disk (`fsync` took 5 to 8 %
//! of a run, on a fast one), so after a power cut a result may be missing. Standard output and devices can't be taken
//! back, so the engine begins to write to them only when every reduce task has succeeded; records that only pass through are
//! written as they come. Files and devices are compressed if their names ask for it, parts never.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tempfile::{NamedTempFile, TempPath};

use super::compress::Stream;
use super::parts::Parts;
use super::target::Target;
use crate::data::buffer::Buffer;
use crate::data::path::parent;
use crate::error::{Error, Result};
use crate::report::Report;

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

#[derive(Debug)]
pub struct Writer {
    target: Target,
    to: To,
    force: bool,
    /// Of the rows and the header, however they are compressed.
    pub bytes: u64,
}

#[derive(Debug)]
enum To {
    /// Seen as it is written.
    Through(Stream),
    /// Made under another name.
    File(Stream, TempPath),
    Directory(Parts),
}

impl Writer {
    /// Opens the target. `header` begins the output, and every part file.
    pub fn open(target: &Target, header: Buffer, force: bool, part_size: u64) -> Result<Writer> {
        let to = open(target, header.as_slice(), part_size).map_err(|source| output_error(target, source))?;
        let mut writer = Writer { target: target.clone(), to, force, bytes: 0 };
        if !matches!(writer.to, To::Directory(_)) && !header.is_empty() {
            writer.write(&Chunk { ends: vec![header.len()], bytes: header })?;
        }
        Ok(writer)
    }

    pub fn write(&mut self, chunk: &Chunk) -> Result<()> {
        self.bytes += chunk.bytes.len() as u64;
        let written = match &mut self.to {
            To::Through(stream) | To::File(stream, _) => stream.write_all(chunk.bytes.as_slice()),
            To::Directory(parts) => parts.write(chunk),
        };
        written.map_err(|source| output_error(&self.target, source))
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

    /// Makes the output visible under its name. A directory isn't another job's to change while what is returned lives,
    /// until it is [`seal`]ed.
    pub fn commit(self) -> Result<Committed> {
        let Writer { target, to, force, .. } = self;
        commit(to, target.path(), force).map_err(|source| output_error(&target, source))
    }

    /// What is to be removed if the process ends without dropping this.
    pub fn temporary(&self) -> Option<&Path> {
        match &self.to {
            To::Through(_) => None,
            To::File(_, temporary) => Some(temporary),
            To::Directory(parts) => Some(parts.staging()),
        }
    }
}

fn commit(to: To, path: &Path, force: bool) -> io::Result<Committed> {
    let mut committed = Committed { _lock: None };
    match to {
        To::Through(stream) => stream.finish()?,
        To::File(stream, temporary) => {
            stream.finish()?;
            if force { temporary.persist(path) } else { temporary.persist_noclobber(path) }?;
        }
        To::Directory(parts) => {
            committed._lock = lock(path)?;
            parts.commit(path, force)?;
        }
    }
    Ok(committed)
}

/// A result under its name. Of two jobs that write one directory, the other waits as long as this lives.
#[derive(Debug)]
#[must_use]
pub struct Committed {
    _lock: Option<File>,
}

/// Locks a directory against other jobs; `None` where the file system has no locks.
fn lock(directory: &Path) -> io::Result<Option<File>> {
    let opened = File::open(directory)?;
    Ok(flock(&opened, FlockOperation::LockExclusive).is_ok().then_some(opened))
}

/// Completes a directory output: the report, then the mark of success.
pub fn seal(directory: &Path, report: &Report, _committed: &Committed) -> Result<()> {
    let json = serde_json::to_vec_pretty(report).expect("a report is JSON");
    let [named, mark] = ["_REPORT.json", "_SUCCESS"].map(|name| directory.join(name));
    fs::write(&named, json).and_then(|()| fs::write(mark, "")).map_err(|source| {
        let _ = fs::remove_file(named);
        Error::Output { path: directory.into(), source }
    })
}

fn output_error(target: &Target, source: io::Error) -> Error {
    let path = target.path().into();
    match target {
        Target::Scratch(_) => Error::Spill { path, source },
        _ if source.kind() == io::ErrorKind::BrokenPipe => Error::ClosedPipe,
        _ => Error::Output { path, source },
    }
}

fn open(target: &Target, header: &[u8], part_size: u64) -> io::Result<To> {
    let plain = |file| To::Through(Stream::Plain(file));
    Ok(match target {
        // A file of its own, unbuffered: chunks are large.
        Target::Stdout => plain(io::stdout().as_fd().try_clone_to_owned()?.into()),
        Target::Device(path, compression) => {
            To::Through(Stream::new(File::options().write(true).open(path)?, *compression)?)
        }
        Target::File(path, compression) => {
            let (file, temporary) = beside(path)?.into_parts();
            To::File(Stream::new(file, *compression)?, temporary)
        }
        Target::Scratch(path) => plain(File::create_new(path)?),
        Target::Directory(path) => To::Directory(Parts::create(path, header, part_size)?),
    })
}

/// A file of another name in the same directory, with the owner and permissions of what it is to replace.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    // Those that the user's umask gives new files, not a temporary file's own 0600.
    let new = fs::Permissions::from_mode(0o666);
    // Enough of the name to tell whose it is; all of it, and more, may be longer than a name may be.
    let name: String = path.file_name().unwrap_or_default().to_string_lossy().chars().take(32).collect();
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    let made = builder.prefix(&prefix).suffix(".partial").permissions(new).tempfile_in(parent(path))?;
    if let Ok(replaced) = fs::metadata(path) {
        // What was private stays so. Who may not give files away keeps what they make.
        let _ = fchown(made.as_file(), Some(replaced.uid()), Some(replaced.gid()));
        made.as_file().set_permissions(replaced.permissions())?;
    }
    Ok(made)
}
