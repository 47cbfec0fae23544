//! Directories for what is gone when its maker ends: nobody else may read what is in them, and what a killed process left is
//! removed by the next one that comes by.
//!
//! A directory's maker holds a lock (`flock`) on a file in it for as long as it lives, and the system lets go of it however the
//! maker ends. Whoever gets the lock may remove the directory. The file has its name only once it is locked, and loses it
//! last, so a directory without one is being made, or is none of ours.
//!
//! A lock says nothing of another machine's processes unless the file system passes locks on, and many only seem to (NFS with
//! `local_lock`, virtiofs, FUSE). So nothing is removed but on file systems that a single machine uses.

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
use crate::failpoint::{self, Point};

const LOCK: &str = ".mapfold-lock";

/// Removed when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Held, where the file system has locks.
    lock: Option<File>,
    temporaries: Temporaries,
    is_kept: bool,
}

/// A new file that nobody else may read.
pub fn create_file(path: &Path) -> io::Result<File> {
    failpoint::hit(Point::SpillCreate)?;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// The same, and it is removed with the path.
pub fn create_temporary(path: &Path) -> io::Result<(File, TempPath)> {
    Ok((create_file(path)?, TempPath::try_from_path(path)?))
}

/// Makes one in a spill directory, and removes those in it that dead processes left.
pub fn spill(spill_dir: &Path, temporaries: &Temporaries) -> io::Result<Scratch> {
    const PREFIX: &str = "mapfold-";
    sweep(spill_dir, PREFIX, |_| Ok(()));
    Scratch::create(spill_dir, PREFIX, temporaries)
}

impl Scratch {
    /// Makes one in `parent`, under a name that begins with `prefix`.
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

    /// Gives it another name, which nothing has.
    pub fn rename(&mut self, to: &Path) -> io::Result<()> {
        path::rename_new(&self.path, to)?;
        self.path = to.to_owned();
        Ok(())
    }

    /// From now on it is removed by its own maker alone, or by [`sweep`] once that is dead.
    pub fn take_from_watcher(&self) {
        self.temporaries.forget(&self.path);
    }

    /// It stays when this is dropped, which is told with the reason.
    pub fn keep(&mut self, why: io::Error) {
        self.is_kept = true;
        self.temporaries.removed(&self.path, Err(why));
    }

    /// Processes started from now on hold the lock, too: while one of them lives the directory is in use.
    pub fn share_with_children(&self) -> io::Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| Ok(fcntl_setfd(lock, FdFlags::empty())?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept {
            self.temporaries.removed(&self.path, temporary::insist(|| remove(&self.path)));
        }
    }
}

/// Makes the lock file. `None`: the file system has no locks.
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

/// The lock file goes last: what remains if this fails, or is killed, is still known by it.
fn remove(directory: &Path) -> io::Result<()> {
    clear(directory)?;
    match failpoint::hit(Point::Remove).and_then(|()| fs::remove_file(directory.join(LOCK))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    failpoint::hit(Point::Remove)?;
    fs::remove_dir(directory)
}

/// Removes the directories in `parent` whose names begin with `prefix` and whose makers are dead. `first` sees each, and
/// one for which it fails stays. What isn't this user's, or can't be removed, stays too, and nobody is told.
pub fn sweep(parent: &Path, prefix: &str, first: impl Fn(&Path) -> io::Result<()>) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let has_prefix = |name: &OsStr| name.as_bytes().starts_with(prefix.as_bytes());
    for entry in entries.flatten().filter(|entry| has_prefix(&entry.file_name())) {
        sweep_one(&entry.path(), &first);
    }
}

/// The same for one directory, if it is there.
pub fn sweep_one(directory: &Path, first: impl Fn(&Path) -> io::Result<()>) {
    // Held until all is removed: no other process does the same meanwhile.
    if let Ok(Some(_lock)) = lock_of_the_dead(directory) {
        let _ = first(directory).and_then(|()| remove(directory));
    }
}

/// The lock on a directory that was made here and has no living maker.
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
    // Another process may have had the lock before, and removed the file.
    Ok((lock.metadata()?.nlink() > 0).then_some(lock))
}

/// Whether the file system is one that no other machine can use at the same time.
fn is_of_this_machine(file: &File) -> bool {
    // As in linux/magic.h: ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS; and ZFS, bcachefs.
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

    /// One whose maker is dead, with a file and a directory in it.
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
        assert!(names(dir.path()).is_empty() && temporaries.take_left().is_empty());
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

    /// A lock file that is still being made has another name: its directory isn't taken for a dead one's.
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

    /// Makers and sweepers together: no living one's is ever taken away.
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
        assert_eq!(temporaries.take_left().into_iter().map(|(path, _)| path).collect::<Vec<_>>(), [path]);
    }
}
