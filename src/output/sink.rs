//! Where the result goes, all or nothing.
//!
//! A file is made under a temporary name beside its target and renamed when complete; a directory's parts are made in
//! a hidden directory inside it and renamed one by one, `_SUCCESS` last. Nothing waits for the disk (`fsync` took 5 to 8 %
//! of a run, on a fast one), so after a power cut a result may be missing. Standard output and devices can't be taken
//! back, so the engine begins to write to them only when every reduce task has succeeded; records that only pass through are
//! written as they come.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempDir};

use crate::data::buffer::Buffer;
use crate::data::path::parent;
use crate::error::{Error, Result};
use crate::report::Report;

/// Where the result goes, as the plan says.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Stdout,
    /// A regular file, made under a temporary name beside it and renamed.
    File(PathBuf),
    /// Something that exists and isn't a regular file or directory: written through.
    Device(PathBuf),
    /// part-00000…, _SUCCESS, _REPORT.json.
    Directory(PathBuf),
    /// A file of the spill directory, where lines wait that are not to be seen yet.
    Scratch(PathBuf),
}

impl Target {
    /// Whether bytes written are undone if the job fails afterwards.
    pub fn is_staged(&self) -> bool {
        matches!(self, Target::File(_) | Target::Directory(_))
    }

    pub fn path(&self) -> &Path {
        match self {
            Target::Stdout => Path::new("standard output"),
            Target::File(path) | Target::Device(path) | Target::Directory(path) | Target::Scratch(path) => path,
        }
    }
}

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
pub struct Sink {
    target: Target,
    to: To,
    force: bool,
    pub bytes: u64,
}

#[derive(Debug)]
enum To {
    Stdout(File),
    File(NamedTempFile),
    Device(File),
    Scratch(File),
    Directory(Parts),
}

#[derive(Debug)]
struct Parts {
    staging: TempDir,
    /// Goes after what was staged in it.
    _made: Option<MadeDirectory>,
    part: File,
    part_bytes: u64,
    part_size: u64,
    parts: usize,
    header: Vec<u8>,
}

/// A directory that was made for the output, and goes away if nothing came to be in it.
#[derive(Debug)]
struct MadeDirectory(PathBuf);

impl Drop for MadeDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

impl Sink {
    /// Opens the target. `header` begins the output, and every part file.
    pub fn open(target: &Target, header: Buffer, force: bool, part_size: u64) -> Result<Sink> {
        let to = open(target, header.as_slice(), part_size).map_err(|source| output_error(target, source))?;
        let mut sink = Sink { target: target.clone(), to, force, bytes: 0 };
        if !matches!(sink.to, To::Directory(_)) && !header.is_empty() {
            sink.write(&Chunk { ends: vec![header.len()], bytes: header })?;
        }
        Ok(sink)
    }

    pub fn write(&mut self, chunk: &Chunk) -> Result<()> {
        self.bytes += chunk.bytes.len() as u64;
        let written = match &mut self.to {
            To::Stdout(to) | To::Device(to) | To::Scratch(to) => to.write_all(chunk.bytes.as_slice()),
            To::File(to) => to.write_all(chunk.bytes.as_slice()),
            To::Directory(parts) => parts.write(chunk),
        };
        written.map_err(|source| output_error(&self.target, source))
    }

    /// Copies up to `most` bytes from a file. Returns how many: 0 at its end.
    pub fn copy(&mut self, from: &mut File, most: u64) -> Result<u64> {
        use io::Read;
        let mut from = from.take(most);
        let copied = match &mut self.to {
            To::Stdout(to) | To::Device(to) | To::Scratch(to) => io::copy(&mut from, to),
            To::File(to) => io::copy(&mut from, to.as_file_mut()),
            To::Directory(parts) => io::copy(&mut from, &mut parts.part),
        };
        let copied = copied.map_err(|source| output_error(&self.target, source))?;
        self.bytes += copied;
        Ok(copied)
    }

    /// Makes the output visible under its name. A directory isn't another job's to change while what is returned lives,
    /// until it is [`seal`]ed.
    pub fn commit(self) -> Result<Committed> {
        let path = self.target.path();
        let committed = match self.to {
            To::Stdout(_) | To::Device(_) | To::Scratch(_) => Ok(Committed { _lock: None }),
            To::File(file) if self.force => file.persist(path).map(|_| Committed { _lock: None }).map_err(|e| e.error),
            To::File(file) => file.persist_noclobber(path).map(|_| Committed { _lock: None }).map_err(|e| e.error),
            To::Directory(parts) => {
                let lock = lock(path).map_err(|source| output_error(&self.target, source))?;
                parts.commit(path, self.force).map(|()| Committed { _lock: lock })
            }
        };
        committed.map_err(|source| output_error(&self.target, source))
    }

    /// What is to be removed if the process ends without dropping this.
    pub fn temporary(&self) -> Option<&Path> {
        match &self.to {
            To::Stdout(_) | To::Device(_) | To::Scratch(_) => None,
            To::File(file) => Some(file.path()),
            To::Directory(parts) => Some(parts.staging.path()),
        }
    }
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

/// Temporary files get the permissions that the user's umask gives new files, not a temporary file's own 0600.
fn new_file() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o666)
}

fn open(target: &Target, header: &[u8], part_size: u64) -> io::Result<To> {
    Ok(match target {
        // A file of its own, unbuffered: chunks are large.
        Target::Stdout => {
            use std::os::fd::AsFd;
            To::Stdout(io::stdout().as_fd().try_clone_to_owned()?.into())
        }
        Target::Device(path) => To::Device(File::options().write(true).open(path)?),
        Target::File(path) => {
            // Enough of the name to tell whose it is; all of it, and more, may be longer than a name may be.
            let name: String = path.file_name().unwrap_or_default().to_string_lossy().chars().take(32).collect();
            let mut builder = tempfile::Builder::new();
            let prefix = format!(".{name}.");
            let file = builder.prefix(&prefix).suffix(".partial").permissions(new_file()).tempfile_in(parent(path))?;
            if let Ok(replaced) = fs::metadata(path) {
                // What was private stays so. Who may not give files away keeps what they make.
                let _ = fchown(file.as_file(), Some(replaced.uid()), Some(replaced.gid()));
                file.as_file().set_permissions(replaced.permissions())?;
            }
            To::File(file)
        }
        Target::Scratch(path) => To::Scratch(File::create_new(path)?),
        Target::Directory(path) => {
            let made = match fs::create_dir(path) {
                Ok(()) => Some(MadeDirectory(path.clone())),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
                Err(e) => return Err(e),
            };
            let staging = tempfile::Builder::new().prefix("_temporary.").tempdir_in(path)?;
            let part = File::create_new(staging.path().join(part_name(0)))?;
            let (part_size, header) = (part_size.max(1), header.into());
            let mut parts = Parts { staging, _made: made, part, part_bytes: 0, part_size, parts: 1, header };
            parts.part.write_all(&parts.header)?;
            To::Directory(parts)
        }
    })
}

fn part_name(n: usize) -> String {
    format!("part-{n:05}")
}

/// Renames to a name that nothing has.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can be asked for that.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Err(io::ErrorKind::AlreadyExists.into()),
        renamed => Ok(renamed?),
    }
}

impl Parts {
    /// Writes the chunk, beginning a new part after the row with which a part reaches its size: so the cuts depend on
    /// the output alone.
    fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        let mut from = 0;
        while from < chunk.bytes.len() {
            if self.part_bytes >= self.part_size {
                self.part = File::create_new(self.staging.path().join(part_name(self.parts)))?;
                self.part.write_all(&self.header)?;
                (self.part_bytes, self.parts) = (0, self.parts + 1);
            }
            let full = from + (self.part_size - self.part_bytes) as usize;
            let to = match chunk.ends.partition_point(|&end| end < full) {
                i if i < chunk.ends.len() => chunk.ends[i],
                _ => chunk.bytes.len(),
            };
            self.part.write_all(&chunk.bytes.as_slice()[from..to])?;
            self.part_bytes += (to - from) as u64;
            from = to;
        }
        Ok(())
    }

    /// Replaces an older result only if that was asked for, its mark of success first; never what somebody else put there
    /// while the job ran. All parts come to be there, or none.
    fn commit(self, directory: &Path, force: bool) -> io::Result<()> {
        if force {
            match fs::remove_file(directory.join("_SUCCESS")) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with("part-") || name == "_SUCCESS" || name == "_REPORT.json" {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        for n in 0..self.parts {
            let name = part_name(n);
            if let Err(error) = rename_new(&self.staging.path().join(&name), &directory.join(&name)) {
                for n in 0..n {
                    let _ = fs::remove_file(directory.join(part_name(n)));
                }
                return Err(error);
            }
        }
        Ok(())
    }
}
