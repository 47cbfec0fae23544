//! The list of the paths that a run makes and removes before it ends. A watcher removes them by this list if the run is
//! stuck. Paths that couldn't be removed are kept with the reason, so that the user is told.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::panics::lock;

/// A path that couldn't be removed, and the reason.
pub type Unremoved = (PathBuf, io::Error);

/// How many times [`Temporaries::remove_all`] tries to remove a path, and the pause between two tries.
const TRIES: usize = 10;
const AGAIN: Duration = Duration::from_millis(10);

/// The paths that a run made and has to remove. Copies share one list.
#[derive(Clone, Debug, Default)]
pub struct Temporaries(Arc<Mutex<Paths>>);

#[derive(Debug, Default)]
struct Paths {
    made: Vec<PathBuf>,
    left: Vec<Unremoved>,
}

impl Temporaries {
    fn state(&self) -> MutexGuard<'_, Paths> {
        lock(&self.0)
    }

    pub fn add(&self, path: &Path) {
        let path = path.to_owned();
        self.state().made.push(path);
    }

    /// Takes a path off the list, so that the watcher doesn't remove it.
    pub fn forget(&self, path: &Path) {
        self.state().made.retain(|made| made != path);
    }

    /// Records the result of removing a path, and takes the path off the list.
    pub fn removed(&self, path: &Path, result: io::Result<()>) {
        let mut state = self.state();
        state.made.retain(|made| made != path);
        note(&mut state.left, path.to_owned(), result);
    }

    /// Removes all paths on the list, which the run would have removed.
    pub fn remove_all(&self) {
        let mut state = self.state();
        for path in std::mem::take(&mut state.made) {
            let remove = || if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            let mut removed = remove();
            // A worker may make a file in the directory at the same time.
            for _ in 1..TRIES {
                if removed.is_ok() || !path.exists() {
                    break;
                }
                thread::sleep(AGAIN);
                removed = remove();
            }
            note(&mut state.left, path, removed);
        }
    }

    /// Takes the paths that couldn't be removed so far.
    pub fn take_unremoved(&self) -> Vec<Unremoved> {
        std::mem::take(&mut self.state().left)
    }
}

/// Removes something. If the system fails, tries once more, because the cause may have passed. Doesn't retry if the
/// path is gone or is a directory that isn't empty.
pub fn remove_with_retry(remove: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match remove() {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => remove(),
        removed => removed,
    }
}

/// Notes a failed removal, except of a path that somebody else removed.
fn note(left: &mut Vec<Unremoved>, path: PathBuf, result: io::Result<()>) {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => left.push((path, error)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_the_system_failed_to_remove_is_removed_again() {
        let tries = |kind: Option<io::ErrorKind>| {
            let tries = Cell::new(0);
            let result = remove_with_retry(|| {
                tries.set(tries.get() + 1);
                kind.filter(|_| tries.get() == 1).map_or(Ok(()), |kind| Err(kind.into()))
            });
            (tries.get(), result.is_ok())
        };
        assert_eq!(tries(None), (1, true));
        assert_eq!(tries(Some(io::ErrorKind::Other)), (2, true));
        assert_eq!(tries(Some(io::ErrorKind::DirectoryNotEmpty)), (1, false));
    }

    #[test]
    fn what_is_left_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let temporaries = Temporaries::default();
        fs::write(path("file"), "").unwrap();
        fs::create_dir_all(path("directory/below")).unwrap();
        for name in ["file", "directory", "gone", "kept"] {
            temporaries.add(&path(name));
        }
        fs::write(path("kept"), "").unwrap();
        temporaries.forget(&path("kept"));
        temporaries.remove_all();
        assert!(temporaries.take_unremoved().is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        temporaries.removed(&path("kept"), Err(io::ErrorKind::PermissionDenied.into()));
        temporaries.removed(&path("gone"), Err(io::ErrorKind::NotFound.into()));
        let left = temporaries.take_unremoved();
        assert_eq!((left.len(), &left[0].0), (1, &path("kept")));
        assert!(temporaries.take_unremoved().is_empty());
    }
}
