//! Publishes a result in its directory: all of it, or the directory stays as it was.
//!
//! ```text
//! d/_temporary.x1y2z3/result/   parts, _REPORT.json, _SUCCESS: complete before anything of d is touched
//! d/_temporary.x1y2z3/old/      the older result, while the new one takes its place
//! ```
//!
//! If a result is replaced, `d` and `result` exchange their names in one step; [`mod@exchange`] says where that can't
//! be done. Otherwise files are renamed one by one, and renamed back if a rename fails. `_SUCCESS` is the first of the
//! old files to go and the last of the new ones to come. A process that is killed meanwhile leaves both results, and
//! the next job completes or undoes what it began ([`recover`]).

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;

use super::exchange::{self, exchange};
use crate::data::path::rename_new;
use crate::data::scratch::{self, Scratch};
use crate::data::temporary::Temporaries;

/// The beginning of the names of staging directories.
pub const STAGING: &str = "_temporary.";
/// Inside a staging directory: the result to publish, and the result that it replaces.
pub const RESULT: &str = "result";
const OLD: &str = "old";
const SUCCESS: &str = "_SUCCESS";
const FIRST_PART: &str = "part-00000";

/// Whether a directory entry is one of the files of a result.
pub fn is_of_a_result(entry: &DirEntry) -> bool {
    has_its_name(&entry.file_name()) && entry.file_type().is_ok_and(|kind| !kind.is_dir())
}

fn has_its_name(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let number = name.strip_prefix("part-").map(|rest| rest.split('.').next().unwrap_or_default());
    matches!(name, SUCCESS | "_REPORT.json")
        || number.is_some_and(|digits| digits.len() >= 5 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Locks a directory against other jobs that stage or publish there. Returns `None` if the file system has no locks.
pub fn lock(directory: &Path) -> io::Result<Option<File>> {
    loop {
        let opened = File::open(directory)?;
        if retry_on_intr(|| flock(&opened, FlockOperation::LockExclusive)).is_err() {
            return Ok(None);
        }
        // The job that held the lock before may have replaced the directory.
        if is_same(&opened.metadata()?, &fs::metadata(directory)?) {
            return Ok(Some(opened));
        }
    }
}

pub fn is_same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Makes the staging directory inside `directory`. Removes the staging directories of dead jobs.
pub fn stage(directory: &Path, temporaries: &Temporaries) -> io::Result<Scratch> {
    if let Some(_lock) = lock(directory)? {
        scratch::sweep(directory, STAGING, |dead| recover(dead, directory));
        if let Some(aside) = exchange::aside(directory) {
            scratch::sweep_one(&aside, |dead| recover(dead, directory));
        }
        return make(directory, temporaries);
    }
    make(directory, temporaries)
}

fn make(directory: &Path, temporaries: &Temporaries) -> io::Result<Scratch> {
    let staging = Scratch::create(directory, STAGING, temporaries)?;
    fs::create_dir(staging.path().join(RESULT))?;
    Ok(staging)
}

/// Publishes the staged result. Replaces an older result only if `force` is set, and never replaces other files that
/// were put there while the job ran.
pub fn publish(staging: &mut Scratch, directory: &Path, force: bool, is_locked: bool) -> io::Result<()> {
    staging.take_from_watcher();
    if force && is_locked && exchange(staging, directory) {
        return Ok(());
    }
    in_place(staging, directory, force)
}

fn in_place(staging: &mut Scratch, directory: &Path, force: bool) -> io::Result<()> {
    let mut moves = Moves::default();
    replace(&mut moves, staging.path(), directory, force).inspect_err(|_| {
        if let Err(error) = moves.back() {
            staging.keep(error);
        }
    })
}

fn replace(moves: &mut Moves, staging: &Path, directory: &Path, force: bool) -> io::Result<()> {
    let [result, old] = [RESULT, OLD].map(|name| staging.join(name));
    fs::create_dir(&old)?;
    if force {
        let mut names = names(directory)?;
        names.reverse();
        moves.all(&names, directory, &old)?;
    }
    moves.all(&names(&result)?, &result, directory)
}

/// Returns the names of the result files in a directory, in the order in which they are moved in.
fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if is_of_a_result(&entry) {
            names.push(entry.file_name());
        }
    }
    names.sort_by_cached_key(|name| (name == SUCCESS, name == "_REPORT.json", name.clone()));
    Ok(names)
}

/// Renames that may have to be undone.
#[derive(Default)]
struct Moves(Vec<(PathBuf, PathBuf)>);

impl Moves {
    fn all(&mut self, names: &[OsString], from: &Path, to: &Path) -> io::Result<()> {
        for name in names {
            let (from, to) = (from.join(name), to.join(name));
            rename_new(&from, &to)?;
            self.0.push((from, to));
        }
        Ok(())
    }

    fn back(&mut self) -> io::Result<()> {
        while let Some((from, to)) = self.0.pop() {
            rename_new(&to, &from)?;
        }
        Ok(())
    }
}

/// Completes or undoes what a dead job began in `directory`. If all of the old result was moved away, the dead job's
/// result takes its place; else the old result comes back.
fn recover(dead: &Path, directory: &Path) -> io::Result<()> {
    let [result, old] = [RESULT, OLD].map(|name| dead.join(name));
    if result.exists() {
        exchange::return_what_is_not_ours(&result, directory)?;
    }
    if !old.exists() || directory.join(SUCCESS).exists() {
        return Ok(());
    }
    let from = if result.join(FIRST_PART).exists() { old } else { result };
    Moves::default().all(&names(&from)?, &from, directory)
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
