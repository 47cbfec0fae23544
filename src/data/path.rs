//! Functions for paths and renames, for cases that the standard library doesn't cover.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::new_file::NewFile;
use super::temporary::Temporaries;
use crate::failpoint::{self, Point};

/// Returns the directory that contains `path`, whether or not `path` exists: `.` for a bare name, and a root for
/// itself.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Writes a file by `write`, then gives it the name `path`. Replaces a file of that name.
pub fn replace(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let new = NewFile::create(path, &Temporaries::default())?;
    write(new.file())?;
    new.persist(true)
}

/// Renames `from` to `to`. Fails if `to` exists.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    failpoint::hit(Point::CommitRename)?;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems don't support NOREPLACE. There a check comes before an ordinary rename.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Err(io::ErrorKind::AlreadyExists.into()),
        renamed => Ok(renamed?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents() {
        for (path, directory) in [("a", "."), ("./a", "."), ("d/a", "d"), ("/a", "/"), ("/", "/"), ("d/e/", "d")] {
            assert_eq!(parent(Path::new(path)), Path::new(directory), "{path}");
        }
    }
}
