//! Whether files still are what they were when the job was planned.
//!
//! ```text
//! found now                                what it means
//! another file, of another length or age   another took its name: an error
//! shorter                                  cut: an error
//! as long, and modified since              changed in place: an error
//! longer                                   appended to: what was there when the job was planned is what counts
//! ```
//!
//! Each reader looks when it opens a file and when it has read what it is to read, so that all that is read is older than
//! any change. Before the result is written files are looked at once more: who began to write in the same tick of
//! the clock as the planning, which no time shows, has mostly gone on since. Those that may hang are not: the disk may be gone
//! by then, and the answer with it. A file that was overwritten with something longer looks like one that was appended to.

use std::fs::File;
use std::io;

use rustix::fs::{Stat, fstat, stat};

use super::edges::in_parallel;
use super::{FileId, Reach, Source, failed};
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};

/// Files that are looked at in one go.
const SOME: usize = 1000;

/// Opens the file that was planned. It may have grown; another file that has its name now is an error: a result made of
/// both would be neither's. `at` is where reading is to begin.
pub fn open(source: &Source, at: u64) -> Result<File> {
    let Source::File { path, len, id, .. } = source else { unreachable!("only files are as planned") };
    let failed = |error| failed(source)(at, error);
    failpoint::hit(Point::InputOpen).map_err(failed)?;
    let file = File::open(path).map_err(failed)?;
    let found = fstat(&file).map_err(|e| failed(e.into()))?;
    let now = FileId::of(&found);
    // Some network file systems number their files anew now and then: one as long and as old is held to be the same.
    let is_as_it_was = found.st_size as u64 == *len && now.changed_ns == id.changed_ns;
    if !now.is_same_file(id) && !is_as_it_was {
        return Err(failed(io::Error::other("another file took its name while the job ran")));
    }
    holds(source, &found, at)?;
    Ok(file)
}

/// That what was read of an open file, from `at` on, is what was planned. What isn't planned is what it is.
pub fn check(source: &Source, file: &File, at: u64) -> Result<()> {
    if !source.is_file() {
        return Ok(());
    }
    failpoint::hit(Point::InputCheck).map_err(|e| failed(source)(at, e))?;
    let found = fstat(file).map_err(|e| failed(source)(at, e.into()))?;
    holds(source, &found, at)
}

/// That no file was changed in place so far, of those that can't hang. One that lost its name meanwhile was read as it was.
pub fn check_all(sources: &[Source], threads: usize) -> Result<()> {
    let some: Vec<_> = sources.chunks(SOME).collect();
    let look = |source: &Source| {
        let Source::File { path, id, reach: Reach { may_hang: false, .. }, .. } = source else { return Ok(()) };
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
    io::Error::other("the file was cut shorter while the job ran")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, SystemTime};

    /// What becomes of a file of four bytes, an hour old, that is changed behind its planning.
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
        let shorter = ["the file was cut shorter while the job ran"; 3];
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

    /// Who has it open goes on, and what was read was the file.
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
