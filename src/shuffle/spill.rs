//! The disk space of a job's runs: the directories that they are spread over, and the bytes that they take together.
//!
//! ```text
//! SpillSpace   directories, limit, bytes taken
//!   └ RunPlace     where an attempt is to write a run
//!       └ RunFile      the run's file: it takes bytes as it is written, and gives them back as they are released
//! ```
//!
//! Runs are striped over the directories. If a directory is full, the next one that isn't takes the run, and also a run
//! that was begun in the full one.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempPath;

use super::codec::PageCompression;
use super::release;
use super::writer::RunSize;
use crate::data::scratch;
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};

/// The disk space of a job's runs.
#[derive(Debug)]
pub struct SpillSpace {
    directories: Vec<SpillDirectory>,
    /// The most bytes that all runs together may take at a time.
    limit: Option<u64>,
    /// Whether much more is free than the runs take.
    is_much_free: AtomicBool,
    taken: AtomicU64,
    compression: PageCompression,
}

#[derive(Debug)]
struct SpillDirectory {
    path: PathBuf,
    /// Set when a file in it couldn't grow, until some of its space is given back.
    is_full: AtomicBool,
    /// Whether its file system can't punch holes.
    is_solid: AtomicBool,
}

/// Where an attempt is to write a run.
#[derive(Clone, Debug)]
pub struct RunPlace {
    space: Arc<SpillSpace>,
    stripe: usize,
    name: String,
    written: Arc<RunsWritten>,
}

/// What the runs that were finished hold together.
#[derive(Debug, Default)]
pub struct RunsWritten {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl RunsWritten {
    pub(super) fn add(&self, size: RunSize) {
        self.rows.fetch_add(size.rows, Ordering::Relaxed);
        self.bytes.fetch_add(size.file_bytes, Ordering::Relaxed);
    }

    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes of their whole files.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The file of a run. Dropping it deletes the file and gives its bytes back.
#[derive(Debug)]
pub struct RunFile {
    // Deleted first.
    path: TempPath,
    taken: Taken,
}

/// Bytes that a file takes.
#[derive(Debug)]
struct Taken {
    space: Arc<SpillSpace>,
    /// Index of the file's directory.
    directory: usize,
    bytes: AtomicU64,
}

impl SpillSpace {
    /// Makes the space of runs in `directories`, at least one.
    pub fn new(directories: Vec<PathBuf>, limit: Option<u64>, compression: PageCompression) -> Arc<SpillSpace> {
        let directory = |path| SpillDirectory { path, is_full: AtomicBool::default(), is_solid: AtomicBool::default() };
        let directories: Vec<_> = directories.into_iter().map(directory).collect();
        assert!(!directories.is_empty());
        let (is_much_free, taken) = (AtomicBool::default(), AtomicU64::default());
        Arc::new(SpillSpace { directories, limit, is_much_free, taken, compression })
    }

    /// Returns the place of the run `name`. Runs with neighbouring numbers go to different directories.
    pub fn place(self: &Arc<Self>, number: usize, name: String) -> RunPlace {
        RunPlace { space: self.clone(), stripe: number % self.directories.len(), name, written: Arc::default() }
    }

    /// Returns the bytes that all runs take now.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Notes that much more is free than the runs take, so that space need not be given back at once.
    pub fn note_much_free(&self) {
        self.is_much_free.store(true, Ordering::Relaxed);
    }

    fn has_much_free(&self) -> bool {
        let is_full = |directory: &SpillDirectory| directory.is_full.load(Ordering::Relaxed);
        self.is_much_free.load(Ordering::Relaxed) && !self.directories.iter().any(is_full)
    }

    pub fn compression(&self) -> PageCompression {
        self.compression
    }

    /// Creates the run `name` in the first directory from `stripe` on that isn't full. If all are full, the last error
    /// is returned.
    fn create(self: &Arc<Self>, stripe: usize, name: &str, except: Option<usize>) -> Result<(File, RunFile)> {
        let count = self.directories.len();
        let mut order: Vec<_> = (0..count).map(|i| (stripe + i) % count).filter(|&i| Some(i) != except).collect();
        // Whether those that were full still are is tried last.
        order.sort_by_key(|&i| self.directories[i].is_full.load(Ordering::Relaxed));
        let mut full = None;
        for directory in order {
            let path = self.directories[directory].path.join(name);
            match scratch::create_temporary(&path) {
                Ok((file, path)) => {
                    let taken = Taken { space: self.clone(), directory, bytes: AtomicU64::new(0) };
                    return Ok((file, RunFile { path, taken }));
                }
                Err(source) if is_full(&source) => {
                    self.directories[directory].is_full.store(true, Ordering::Relaxed);
                    full.get_or_insert(Error::Spill { path, source });
                }
                Err(source) => return Err(Error::Spill { path, source }),
            }
        }
        Err(full.unwrap_or_else(|| Error::Spill { path: name.into(), source: io::ErrorKind::StorageFull.into() }))
    }
}

/// Whether an error says that a directory has no room for more.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl RunPlace {
    /// The place of a run that belongs to no job: for tests and benches.
    pub fn alone(path: &Path, compression: PageCompression) -> RunPlace {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        SpillSpace::new(vec![directory], None, compression).place(0, name)
    }

    /// Counts the run among `written`.
    pub fn counted(self, written: &Arc<RunsWritten>) -> RunPlace {
        RunPlace { written: written.clone(), ..self }
    }

    pub(super) fn written(&self) -> &Arc<RunsWritten> {
        &self.written
    }

    pub fn create(&self) -> Result<(File, RunFile)> {
        self.space.create(self.stripe, &self.name, None)
    }

    pub fn compression(&self) -> PageCompression {
        self.space.compression
    }
}

impl RunFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes room for bytes that are to be written now. Fails if the runs would take more than they may.
    pub fn take(&self, bytes: u64) -> Result<()> {
        let Taken { space, bytes: own, .. } = &self.taken;
        let taken = space.taken.fetch_add(bytes, Ordering::Relaxed) + bytes;
        own.fetch_add(bytes, Ordering::Relaxed);
        match space.limit {
            Some(limit) if taken > limit => {
                let compression = space.compression;
                Err(Error::SpillLimit { path: self.path.to_path_buf(), limit, may_compress: may_compress(compression) })
            }
            _ => Ok(()),
        }
    }

    /// Gives room back: so many bytes of the file are released.
    pub fn give_back(&self, bytes: u64) {
        self.taken.give_back(bytes);
    }

    /// Bytes of the shortest hole that is worth a system call. A job that is near its limit may need every page.
    pub fn least_hole(&self) -> u64 {
        match &*self.taken.space {
            SpillSpace { limit: Some(_), .. } => release::BLOCK,
            space if space.has_much_free() => release::LEAST_HOLE_OF_MUCH,
            _ => release::LEAST_HOLE,
        }
    }

    /// Whether the file's system may be able to release a part of a file.
    pub fn can_be_punched(&self) -> bool {
        !self.taken.directory().is_solid.load(Ordering::Relaxed)
    }

    pub fn cannot_be_punched(&self) {
        self.taken.directory().is_solid.store(true, Ordering::Relaxed);
    }

    /// Moves a file whose directory is full to a directory that has room. `written` is the number of its bytes that
    /// count. Returns `None` if no other directory has room.
    pub fn moved(&mut self, written: u64) -> Result<Option<File>> {
        let Taken { space, directory, .. } = &self.taken;
        let (space, from) = (space.clone(), *directory);
        space.directories[from].is_full.store(true, Ordering::Relaxed);
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let room = |i: &usize| *i != from && !space.directories[*i].is_full.load(Ordering::Relaxed);
        while let Some(to) = (0..space.directories.len()).map(|i| (from + i) % space.directories.len()).find(room) {
            let (file, mut copy) = match space.create(to, &name, Some(from)) {
                Err(Error::Spill { source, .. }) if is_full(&source) => return Ok(None),
                created => created?,
            };
            match copied(&self.path, written, &file) {
                Ok(()) => {
                    // For a moment the file is there twice, and counted once.
                    copy.taken.bytes = AtomicU64::new(self.taken.bytes.swap(0, Ordering::Relaxed));
                    *self = copy;
                    return Ok(Some(file));
                }
                Err(source) if is_full(&source) => {
                    space.directories[copy.taken.directory].is_full.store(true, Ordering::Relaxed);
                }
                Err(source) => return Err(Error::Spill { path: copy.path.to_path_buf(), source }),
            }
        }
        Ok(None)
    }
}

fn copied(from: &Path, len: u64, mut to: &File) -> io::Result<()> {
    failpoint::hit(Point::SpillWrite)?;
    let copied = io::copy(&mut File::open(from)?.take(len), &mut to)?;
    if copied == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Whether runs may become smaller by compressing more.
fn may_compress(compression: PageCompression) -> bool {
    compression != PageCompression::Zstd
}

impl Taken {
    fn directory(&self) -> &SpillDirectory {
        &self.space.directories[self.directory]
    }

    fn give_back(&self, bytes: u64) {
        let bytes = bytes.min(self.bytes.load(Ordering::Relaxed));
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.space.taken.fetch_sub(bytes, Ordering::Relaxed);
        if bytes > 0 {
            self.directory().is_full.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.give_back(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let space = SpillSpace::new(vec![dir.path().into()], Some(1000), PageCompression::Auto);
        let create = |name: &str| space.place(0, name.into()).create().unwrap().1;
        let [a, b] = ["a", "b"].map(create);
        a.take(600).unwrap();
        b.take(400).unwrap();
        assert_eq!(space.taken(), 1000);
        let error = b.take(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "spill file {}/b: the runs of this job take more than the limit of 1000 bytes",
                dir.path().display()
            )
        );
        assert_eq!((error.exit_code(), error.may_pass()), (1, false));
        a.give_back(100);
        a.give_back(0);
        assert_eq!(space.taken(), 901);
        b.take(99).unwrap();
        drop(a);
        assert_eq!(space.taken(), 500);
        // More is given back than was taken.
        b.give_back(501);
        assert_eq!(space.taken(), 0);
        drop(b);
        assert_eq!((space.taken(), std::fs::read_dir(dir.path()).unwrap().count()), (0, 0));
    }

    #[test]
    fn runs_are_striped() {
        let dirs = [0, 1, 2].map(|_| tempfile::tempdir().unwrap());
        let paths: Vec<_> = dirs.iter().map(|dir| dir.path().to_owned()).collect();
        let space = SpillSpace::new(paths.clone(), None, PageCompression::Auto);
        let home = |number: usize| {
            let (_, file) = space.place(number, number.to_string()).create().unwrap();
            paths.iter().position(|path| file.path().starts_with(path)).unwrap()
        };
        assert_eq!([0, 1, 2, 3, 7].map(home), [0, 1, 2, 0, 1]);
        space.directories[1].is_full.store(true, Ordering::Relaxed);
        assert_eq!([0, 1, 2, 3, 7].map(home), [0, 2, 2, 0, 2]);
        space.directories.iter().for_each(|directory| directory.is_full.store(true, Ordering::Relaxed));
        assert_eq!([0, 1, 2, 3, 7].map(home), [0, 1, 2, 0, 1]);
    }

    /// Space is given back in longer stretches where much is free, until a directory is full.
    #[test]
    fn how_long_a_hole_must_be() {
        let dir = tempfile::tempdir().unwrap();
        let space = |limit| SpillSpace::new(vec![dir.path().into()], limit, PageCompression::None);
        let (limited, free) = (space(Some(1 << 40)), space(None));
        let [(_, of_limited), (_, of_free)] =
            [(&limited, "a"), (&free, "b")].map(|(space, name)| space.place(0, name.into()).create().unwrap());
        assert_eq!((of_limited.least_hole(), of_free.least_hole()), (release::BLOCK, release::LEAST_HOLE));
        limited.note_much_free();
        free.note_much_free();
        assert_eq!((of_limited.least_hole(), of_free.least_hole()), (release::BLOCK, release::LEAST_HOLE_OF_MUCH));
        free.directories[0].is_full.store(true, Ordering::Relaxed);
        assert_eq!(of_free.least_hole(), release::LEAST_HOLE);
    }

    #[test]
    fn a_file_moves_to_where_there_is_room() {
        let dirs = [0, 1, 2].map(|_| tempfile::tempdir().unwrap());
        let paths = dirs.iter().map(|dir| dir.path().to_owned()).collect();
        let space = SpillSpace::new(paths, None, PageCompression::Auto);
        let (_, mut file) = space.place(1, "run".into()).create().unwrap();
        std::fs::write(file.path(), b"written, and what was only begun").unwrap();
        file.take(7).unwrap();
        let moved = file.moved(7).unwrap().unwrap();
        assert_eq!(moved.metadata().unwrap().len(), 7);
        assert_eq!(std::fs::read(file.path()).unwrap(), b"written");
        assert_eq!(file.path(), dirs[2].path().join("run"));
        assert_eq!((space.taken(), dirs[1].path().join("run").exists()), (7, false));
        assert!(file.moved(7).unwrap().is_some() && file.path() == dirs[0].path().join("run"));
        assert!(file.moved(7).unwrap().is_none(), "all are full");
        assert_eq!(std::fs::read(file.path()).unwrap(), b"written");
        // Space is given back in the directory of the file, so that one has room again.
        file.give_back(1);
        assert_eq!(space.taken(), 6);
        drop(file);
        assert_eq!(space.taken(), 0);
    }
}
