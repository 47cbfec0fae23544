//! A file that gets its name when it is complete. Until then the file has no name (`O_TMPFILE`), so the system deletes
//! it however the process that makes it ends. On a file system without nameless files, the file has a temporary name in
//! the same directory.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, linkat};
use tempfile::{Builder, NamedTempFile, TempPath};

use super::path::parent;
use super::temporary::Temporaries;
use crate::failpoint::{self, Point};

/// The permissions of a new file, from which the system takes away the user's umask.
const MODE: u32 = 0o666;

/// A file that gets its name when it is complete.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    path: PathBuf,
    /// The file's temporary name, if it couldn't be made without a name.
    named: Option<TempPath>,
    temporaries: Temporaries,
}

impl NewFile {
    /// Makes an empty file that [`persist`](NewFile::persist) will name `path`.
    pub fn create(path: &Path, temporaries: &Temporaries) -> io::Result<NewFile> {
        failpoint::hit(Point::OutputCreate)?;
        let (file, named) = match nameless(parent(path)) {
            Some(file) => (file, None),
            None => {
                let (file, named) = beside(path)?.into_parts();
                temporaries.add(&named);
                (file, Some(named))
            }
        };
        Ok(NewFile { file, path: path.to_owned(), named, temporaries: temporaries.clone() })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name. If another file has that name, `replace` says whether it is replaced or the call fails.
    pub fn persist(mut self, replace: bool) -> io::Result<()> {
        if let Some(named) = self.named.take() {
            self.temporaries.forget(&named);
            return Ok(if replace { named.persist(&self.path) } else { named.persist_noclobber(&self.path) }?);
        }
        match link(&self.file, &self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !replace {
                    return Err(error);
                }
                // `linkat` can't replace a file. A rename can, so the new file first gets a temporary name.
                let make = |path: &Path| link(&self.file, path);
                let named = hidden(&self.path, |builder| builder.make_in(parent(&self.path), make))?;
                failpoint::hit(Point::CommitRename)?;
                named.persist(&self.path)?;
                Ok(())
            }
            // Some processes may not link a nameless file. Its bytes are copied to a file that has a name.
            Err(_) => self.copy(replace),
            linked => linked,
        }
    }

    fn copy(&mut self, replace: bool) -> io::Result<()> {
        let mut copy = beside(&self.path)?;
        copy.as_file().set_permissions(self.file.metadata()?.permissions())?;
        self.file.rewind()?;
        io::copy(&mut self.file, copy.as_file_mut())?;
        if replace { copy.persist(&self.path) } else { copy.persist_noclobber(&self.path) }?;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(named) = self.named.take() {
            let path = named.to_owned();
            self.temporaries.removed(&path, named.close());
        }
    }
}

/// Makes a file without a name. Returns `None` if the file system can't make one, or if the file couldn't be linked
/// later.
fn nameless(directory: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags, openat};
    failpoint::hit(Point::OutputCreate).ok()?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, directory, flags, Mode::from_raw_mode(MODE)).ok()?);
    own_link(&file).exists().then_some(file)
}

fn own_link(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn link(file: &File, path: &Path) -> io::Result<()> {
    failpoint::hit(Point::CommitLink)?;
    Ok(linkat(CWD, own_link(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    hidden(path, |builder| builder.permissions(Permissions::from_mode(MODE)).tempfile_in(parent(path)))
}

/// Calls `make` for a temporary name in the directory of `path`.
fn hidden<T>(path: &Path, make: impl FnOnce(&mut Builder<'_, '_>) -> T) -> T {
    // The first 32 characters show whose file this is. The whole name with the additions may exceed the longest file
    // name.
    let name: String = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().chars().take(32).collect();
    make(Builder::new().prefix(&format!(".{name}.")).suffix(".partial"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    /// The file as this file system makes it, and as a file system without nameless files would.
    fn ways(path: &Path, temporaries: &Temporaries) -> [NewFile; 2] {
        let (file, named) = beside(path).unwrap().into_parts();
        temporaries.add(&named);
        let named = NewFile { file, path: path.to_owned(), named: Some(named), temporaries: temporaries.clone() };
        [NewFile::create(path, temporaries).unwrap(), named]
    }

    fn count(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn it_appears_complete_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let temporaries = Temporaries::default();
        for (replace, text) in [(false, "new"), (true, "newer")] {
            for new in ways(&path, &temporaries) {
                assert_eq!(path.exists(), replace);
                new.file().write_all(text.as_bytes()).unwrap();
                new.persist(replace).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
                if !replace {
                    fs::remove_file(&path).unwrap();
                }
            }
            fs::write(&path, "old").unwrap();
        }
        for new in ways(&path, &temporaries) {
            assert_eq!(new.persist(false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        drop(ways(&path, &temporaries));
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), count(dir.path())), ("old", 1));
    }

    #[test]
    fn what_may_not_be_linked_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        for replace in [false, true] {
            let [mut new, _named] = ways(&path, &Temporaries::default());
            new.file().write_all(b"text").unwrap();
            new.file().set_permissions(Permissions::from_mode(0o640)).unwrap();
            new.copy(replace).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "text");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        }
        let [mut new, named] = ways(&path, &Temporaries::default());
        assert_eq!(new.copy(false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(named);
        assert_eq!(count(dir.path()), 1);
    }
}
