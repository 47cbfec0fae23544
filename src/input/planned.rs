//! Checks whether files are still what they were when the job was planned. A file's identity, length and modification
//! time are compared with the planned ones.
//!
//! ```text
//! found now                                what it means
//! another file, of another length or age   another file took its name: an error
//! shorter                                  cut shorter: an error
//! as long, but modified since              changed in place: an error
//! longer                                   appended to: the job reads the bytes that were there when it was planned
//! ```
//!
//! Each reader checks a file when it opens the file and again when it has read its part. So all bytes that it read are
//! older than any change. Files are checked once more before the result is written. A writer that began in the same
//! clock tick as the planning doesn't show in the modification time then, but has mostly written more since. Files that
//! may hang aren't checked again: their disk may be gone by then, and the answer would be lost with it. A file that was
//! overwritten with something longer looks like a file that was appended to.

use std::fs::File;
use std::io;

use rustix::fs::{Stat, fstat, stat};

use super::edges::in_parallel;
use super::{FileId, ReadLimits, Source, failed};
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};

/// Files that a thread checks in one go.
const SOME: usize = 1000;

/// Opens the planned file. The file may have grown. If another file has its name now, that is an error: a result made
/// of both files would be the result of neither. `at` is where reading is to begin.
pub fn open(source: &Source, at: u64) -> Result<File> {
    let Source::File { path, len, id, .. } = source else { unreachable!("only files are as planned") };
    let failed = |error| failed(source)(at, error);
    failpoint::hit(Point::InputOpen).map_err(failed)?;
    let file = File::open(path).map_err(failed)?;
    let found = fstat(&file).map_err(|e| failed(e.into()))?;
    let now = FileId::of(&found);
    // Some network file systems renumber their files now and then. So a file of the same length and age counts as the
    // same file.
    let is_as_it_was = found.st_size as u64 == *len && now.changed_ns == id.changed_ns;
    if !now.is_same_file(id) && !is_as_it_was {
        return Err(failed(io::Error::other("another file took its name while the job ran")));
    }
    holds(source, &found, at)?;
    Ok(file)
}

/// Checks that an open file, which was read from `at` on, is still as planned. A source that isn't a regular file
/// always passes.
pub fn check(source: &Source, file: &File, at: u64) -> Result<()> {
    if !source.is_file() {
        return Ok(());
    }
    failpoint::hit(Point::InputCheck).map_err(|e| failed(source)(at, e))?;
    let found = fstat(file).map_err(|e| failed(source)(at, e.into()))?;
    holds(source, &found, at)
}

/// Checks that no file was changed in place so far. Files that may hang are left out. A file that lost its name passes,
/// since it was read as it was.
pub fn check_all(sources: &[Source], threads: usize) -> Result<()> {
    let some: Vec<_> = sources.chunks(SOME).collect();
    let look = |source: &Source| {
        let Source::File { path, id, reach: ReadLimits { may_hang: false, .. }, .. } = source else { return Ok(()) };
        match stat(path) {
            Ok(found) if FileId::of(&found).is_same_file(id) => holds(source, &found, 0),
            _ => Ok(()),
        }
    };
    in_parallel(threads, &some, |some| some.iter().try_for_each(look)).map(drop)
}

fn holds(source: &Source, found: &Stat, at: u64) -> Result<()> {
    let Source::File { path, len, id, .. } = source else { return Ok(()) };
    match (found.st_size as u64).cmp(len) {
        std::cmp::Ordering::Less => Err(failed(source)(at, cut_shorter())),
        std::cmp::Ordering::Equal if FileId::of(found).changed_ns != id.changed_ns => {
            Err(Error::Changed { path: path.clone() })
        }
        _ => Ok(()),
    }
}

pub fn cut_shorter() -> io::Error {
    io::Error::other("the file became shorter while the job ran")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, SystemTime};

    /// Results of opening and checking a file of four bytes, an hour old, that was changed after its planning.
    fn after(change: impl Fn(&std::path::Path)) -> [Result<()>; 3] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "abc\n").unwrap();
        let held = File::options().append(true).open(&path).unwrap();
        held.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        let source = Source::file(&path).unwrap();
        change(&path);
        let opened = open(&source, 0).map(drop);
        [opened, check(&source, &held, 0), check_all(&[vec![source], vec![Source::stdin(); 2000]].concat(), 2)]
    }

    fn ends(results: [Result<()>; 3]) -> [String; 3] {
        results.map(|result| {
            result.map_or_else(|error| error.to_string().rsplit(": ").next().unwrap().into(), |()| String::new())
        })
    }

    #[test]
    fn what_was_changed_in_place_is_an_error() {
        let changed = ["was changed while the job ran"; 3];
        assert_eq!(ends(after(|path| fs::write(path, "xyz\n").unwrap())), changed);
        let shorter = ["the file became shorter while the job ran"; 3];
        assert_eq!(ends(after(|path| fs::write(path, "x\n").unwrap())), shorter);
    }

    #[test]
    fn what_was_left_alone_or_appended_to_holds() {
        assert_eq!(ends(after(|_| {})), [""; 3]);
        assert_eq!(ends(after(|path| fs::write(path, "abc\nand more\n").unwrap())), [""; 3]);
        assert_eq!(
            ends(after(|path| fs::set_permissions(path, fs::metadata(path).unwrap().permissions()).unwrap())),
            [""; 3]
        );
    }

    /// A reader that has the old file open goes on, since what it read was the planned file.
    #[test]
    fn another_file_of_its_name_is_not_opened() {
        let replaced = after(|path| {
            fs::write(path.with_extension("new"), "xyz\n").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        });
        assert_eq!(ends(replaced), ["another file took its name while the job ran", "", ""]);
        let [opened, held, at_the_end] = ends(after(|path| fs::remove_file(path).unwrap()));
        assert!(opened.starts_with("No such file") || opened.starts_with("no such file"), "{opened}");
        assert_eq!([held, at_the_end], ["", ""]);
    }
}
