//! Paths, where the standard library's answer needs a second look.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::new_file::NewFile;
use super::temporary::Temporaries;
use crate::failpoint::{self, Point};

/// The directory that `path` is, or is to be, in; of a root, itself.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Makes a file that `write` fills, and then gives it the name; replaces one that is there.
pub fn replace(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let new = NewFile::create(path, &Temporaries::default())?;
    write(new.file())?;
    new.persist(true)
}

/// Renames to a name that nothing has.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    failpoint::hit(Point::CommitRename)?;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can be asked for that.
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
