//! Directories for files that are removed when the process that makes them ends. No other user may read them. If the
//! process is killed, the next process that uses the same parent directory removes what is left.
//!
//! The maker of a directory holds a lock (`flock`) on a file in it for as long as the maker lives. The system releases
//! the lock however the maker ends. A process that gets the lock may remove the directory. The lock file gets its name
//! only after it is locked, and it is the last file to be removed. So a directory without a lock file is either being
//! made or isn't mapfold's.
//!
//! A lock says nothing about the processes of another machine unless the file system passes locks on. Many file systems
//! only seem to do so (NFS with `local_lock`, virtiofs, FUSE). So directories are removed only on file systems that a
//! single machine uses.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::geteuid;
use tempfile::TempPath;

use super::path;
use super::temporary::{self, Temporaries};
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};

const LOCK: &str = ".mapfold-lock";

/// A directory that is removed when this value is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// The locked file. `None` if the file system has no locks.
    lock: Option<File>,
    temporaries: Temporaries,
    is_kept: bool,
}

/// Creates a file that no other user may read.
pub fn create_file(path: &Path) -> io::Result<File> {
    failpoint::hit(Point::SpillCreate)?;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// Does what [`create_file`] does. The file is removed when the returned path is dropped.
pub fn create_temporary(path: &Path) -> io::Result<(File, TempPath)> {
    Ok((create_file(path)?, TempPath::try_from_path(path)?))
}

/// Creates a file that has no name, so that it is gone once it is closed and unmapped, however the process ends.
pub fn create_unnamed(directory: &Path) -> io::Result<File> {
    failpoint::hit(Point::SpillCreate)?;
    tempfile::tempfile_in(directory)
}

/// Makes a directory in each spill directory, as [`spill`] does.
pub fn spill_in(spill_dirs: &[PathBuf], temporaries: &Temporaries) -> Result<Vec<Scratch>> {
    let made = |path: &PathBuf| {
        spill(path, temporaries).map_err(|source| Error::SpillDirectory { path: path.clone(), source })
    };
    spill_dirs.iter().map(made).collect()
}

/// Makes a directory in a spill directory, and removes the directories that dead processes left there.
pub fn spill(spill_dir: &Path, temporaries: &Temporaries) -> io::Result<Scratch> {
    const PREFIX: &str = "mapfold-";
    sweep(spill_dir, PREFIX, |_| Ok(()));
    Scratch::create(spill_dir, PREFIX, temporaries)
}

impl Scratch {
    /// Makes a directory in `parent`, under a name that begins with `prefix`.
    pub fn create(parent: &Path, prefix: &str, temporaries: &Temporaries) -> io::Result<Scratch> {
        failpoint::hit(Point::SpillDirectory)?;
        let mut builder = tempfile::Builder::new();
        let path = builder.prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)?.keep();
        temporaries.add(&path);
        let mut scratch = Scratch { path, lock: None, temporaries: temporaries.clone(), is_kept: false };
        scratch.lock = hold(&scratch.path)?;
        Ok(scratch)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the directory. Fails if `to` exists.
    pub fn rename(&mut self, to: &Path) -> io::Result<()> {
        path::rename_new(&self.path, to)?;
        self.path = to.to_owned();
        Ok(())
    }

    /// Takes the directory from the watcher's list. From then on only its maker removes it, or [`sweep`] once the maker
    /// is dead.
    pub fn take_from_watcher(&self) {
        self.temporaries.forget(&self.path);
    }

    /// Keeps the directory when this value is dropped. The user is told that it is left, and why.
    pub fn keep(&mut self, why: io::Error) {
        self.is_kept = true;
        self.temporaries.removed(&self.path, Err(why));
    }

    /// Lets processes that are started from now on hold the lock too. The directory is in use while one of them lives.
    pub fn share_with_children(&self) -> io::Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| Ok(fcntl_setfd(lock, FdFlags::empty())?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept {
            self.temporaries.removed(&self.path, temporary::remove_with_retry(|| remove(&self.path)));
        }
    }
}

/// Makes and locks the lock file. Returns `None` if the file system has no locks.
fn hold(directory: &Path) -> io::Result<Option<File>> {
    let [new, name] = [".mapfold-lock.new", LOCK].map(|name| directory.join(name));
    let (lock, new) = create_temporary(&new)?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return new.close().map(|()| None);
    }
    failpoint::hit(Point::CommitRename)?;
    new.persist(name)?;
    Ok(Some(lock))
}

fn clear(directory: &Path) -> io::Result<()> {
    let mut result = Ok(());
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() != LOCK {
            let is_directory = entry.file_type()?.is_dir();
            let remove = if is_directory { fs::remove_dir_all } else { fs::remove_file };
            let removed = failpoint::hit(Point::Remove).and_then(|()| remove(entry.path()));
            result = result.and(removed);
        }
    }
    result
}

/// Removes a directory, and its lock file last: if the removal fails or is killed, the lock file still marks the
/// directory.
fn remove(directory: &Path) -> io::Result<()> {
    clear(directory)?;
    match failpoint::hit(Point::Remove).and_then(|()| fs::remove_file(directory.join(LOCK))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    failpoint::hit(Point::Remove)?;
    fs::remove_dir(directory)
}

/// Removes the directories in `parent` whose names begin with `prefix` and whose makers are dead. `first` is called for
/// each directory, and the directory stays if `first` fails. Directories that belong to another user, or that can't be
/// removed, stay without a message.
pub fn sweep(parent: &Path, prefix: &str, first: impl Fn(&Path) -> io::Result<()>) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let has_prefix = |name: &OsStr| name.as_bytes().starts_with(prefix.as_bytes());
    for entry in entries.flatten().filter(|entry| has_prefix(&entry.file_name())) {
        sweep_one(&entry.path(), &first);
    }
}

/// Does what [`sweep`] does for one directory, which may be missing.
pub fn sweep_one(directory: &Path, first: impl Fn(&Path) -> io::Result<()>) {
    // The lock is held until everything is removed, so that no other process removes the directory at the same time.
    if let Ok(Some(_lock)) = lock_of_the_dead(directory) {
        let _ = first(directory).and_then(|()| remove(directory));
    }
}

/// Returns the lock on a directory if the directory was made by this user on this machine and its maker is dead.
fn lock_of_the_dead(directory: &Path) -> io::Result<Option<File>> {
    let own = geteuid().as_raw();
    let metadata = fs::symlink_metadata(directory)?;
    if !metadata.is_dir() || metadata.uid() != own {
        return Ok(None);
    }
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let lock = File::from(openat(CWD, directory.join(LOCK), flags, Mode::empty())?);
    let metadata = lock.metadata()?;
    if !metadata.is_file() || metadata.uid() != own || !is_of_this_machine(&lock) {
        return Ok(None);
    }
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    // Another process may have held the lock before this one, and removed the file.
    Ok((lock.metadata()?.nlink() > 0).then_some(lock))
}

/// Whether the file is on a file system that no other machine can use at the same time.
fn is_of_this_machine(file: &File) -> bool {
    // Numbers from linux/magic.h: ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS; then ZFS and bcachefs.
    const LOCAL: [u32; 8] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0xf2f5_2010, 0x2fc1_2fc1, 0xca45_1a4e];
    rustix::fs::fstatfs(file).is_ok_and(|system| LOCAL.contains(&(system.f_type as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Makes a directory as a dead maker leaves it, with a file and a directory in it.
    fn dead(parent: &Path, name: &str) -> PathBuf {
        let path = parent.join(name);
        fs::create_dir_all(path.join("below")).unwrap();
        fs::write(path.join("below/a.run"), "").unwrap();
        fs::write(path.join("b.run"), "").unwrap();
        fs::write(path.join(LOCK), "").unwrap();
        path
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nobody_else_may_read_it_and_it_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let temporaries = Temporaries::default();
        let scratch = Scratch::create(dir.path(), "mapfold-", &temporaries).unwrap();
        create_file(&scratch.path().join("a.run")).unwrap();
        assert_eq!((mode(scratch.path()), mode(&scratch.path().join("a.run"))), (0o700, 0o600));
        assert_eq!(mode(&scratch.path().join(LOCK)), 0o600);
        drop(scratch);
        assert!(names(dir.path()).is_empty() && temporaries.take_unremoved().is_empty());
    }

    #[test]
    fn what_the_dead_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let living = Scratch::create(dir.path(), "mapfold-living", &Temporaries::default()).unwrap();
        dead(dir.path(), "mapfold-dead");
        dead(dir.path(), "other-dead");
        fs::remove_file(dead(dir.path(), "mapfold-without-lock").join(LOCK)).unwrap();
        fs::write(dir.path().join("mapfold-file"), "").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dead(elsewhere.path(), "dead"), dir.path().join("mapfold-link")).unwrap();
        sweep(dir.path(), "mapfold-", |_| Ok(()));
        let name = living.path().file_name().unwrap().to_str().unwrap();
        let left = ["mapfold-file", "mapfold-link", name, "mapfold-without-lock", "other-dead"];
        assert_eq!(names(dir.path()), left);
        assert_eq!(names(elsewhere.path()), ["dead"]);
    }

    /// A lock file that is still being made has another name, so its directory isn't taken for a dead maker's.
    #[test]
    fn one_that_is_being_made_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dead(dir.path(), "mapfold-new");
        fs::rename(path.join(LOCK), path.join(".mapfold-lock.new")).unwrap();
        sweep(dir.path(), "mapfold-", |_| Ok(()));
        assert_eq!(names(dir.path()), ["mapfold-new"]);
    }

    #[test]
    fn one_that_is_to_be_kept_stays() {
        let dir = tempfile::tempdir().unwrap();
        dead(dir.path(), "mapfold-dead");
        sweep(dir.path(), "mapfold-", |_| Err(io::ErrorKind::Other.into()));
        assert_eq!(names(dir.path()), ["mapfold-dead"]);
    }

    /// While directories are made and swept at the same time, no living maker's directory is removed.
    #[test]
    fn makers_and_sweepers_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..4 {
                let path = dir.path();
                scope.spawn(move || {
                    for i in 0..100 {
                        dead(path, &format!("mapfold-dead-{n}-{i}"));
                        sweep(path, "mapfold-", |_| Ok(()));
                        let scratch = Scratch::create(path, "mapfold-", &Temporaries::default()).unwrap();
                        create_file(&scratch.path().join("a.run")).unwrap();
                        sweep(path, "mapfold-", |_| Ok(()));
                        assert_eq!(names(scratch.path()), [LOCK, "a.run"]);
                    }
                });
            }
        });
        sweep(dir.path(), "mapfold-", |_| Ok(()));
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn what_cannot_be_removed_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let temporaries = Temporaries::default();
        let mut scratch = Scratch::create(dir.path(), "mapfold-", &temporaries).unwrap();
        let path = scratch.path().to_owned();
        scratch.keep(io::ErrorKind::PermissionDenied.into());
        drop(scratch);
        assert!(path.exists());
        assert_eq!(temporaries.take_unremoved().into_iter().map(|(path, _)| path).collect::<Vec<_>>(), [path]);
    }
}
