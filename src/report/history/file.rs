//! The file that holds a history. Any number of processes may read it, append to it and compact it, each under a lock.
//!
//! A run's entries are written by one `write` to a file opened with `O_APPEND`, under `flock`. If most of a file's
//! lines don't count any more, the file is replaced by one with the lines that do. A process that waited for the lock
//! of a file that was replaced meanwhile opens the new file.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, fchown};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Entry, History, kept};
use crate::data::path;

/// A file is compacted if it has more than this many times as many lines as count.
const COMPACTED: usize = 4;

/// How long to wait for another process that holds the lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a history file holds.
#[derive(Debug, Default)]
pub struct Held {
    pub history: History,
    /// Numbers, from 1, of lines that are no entries: torn, or written by something else.
    pub passed_over: Vec<usize>,
}

impl Held {
    /// Whether the file has lines and none of them is an entry.
    pub fn is_foreign(&self) -> bool {
        self.history.entries.is_empty() && !self.passed_over.is_empty()
    }
}

/// Reads the file.
pub fn read(path: &Path) -> io::Result<Held> {
    let file = locked(path, || File::open(path), File::try_lock_shared)?;
    Ok(held(&bytes(&file)?))
}

/// Reads the file and checks that it can be appended to. It is created if it doesn't exist.
pub fn prepare(path: &Path) -> io::Result<Held> {
    let file = locked(path, || open(path), File::try_lock)?;
    Ok(held(&bytes(&file)?))
}

/// Appends the entries of a run, all of them or none.
pub fn append(path: &Path, entries: &[Entry]) -> io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)?;
        text.push(b'\n');
    }
    let file = locked(path, || open(path), File::try_lock)?;
    write(&file, text)?;
    // A file that can't be compacted works as before, and is only longer.
    let _ = compact(&fs::canonicalize(path)?, &file);
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).append(true).create(true).open(path)
}

/// Opens and locks the file that has this name now.
fn locked(
    path: &Path,
    open: impl Fn() -> io::Result<File>,
    lock: impl Fn(&File) -> Result<(), TryLockError>,
) -> io::Result<File> {
    let begun = Instant::now();
    loop {
        let file = open()?;
        match lock(&file) {
            Ok(()) => {
                let (locked, named) = (file.metadata()?, fs::metadata(path));
                if named.is_ok_and(|named| (named.dev(), named.ino()) == (locked.dev(), locked.ino())) {
                    return Ok(file);
                }
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if begun.elapsed() > PATIENCE {
            return Err(io::Error::new(ErrorKind::ResourceBusy, "another process keeps it locked"));
        }
    }
}

fn bytes(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes `text` at the end of the file, all of it or nothing. A torn last line is ended first.
fn write(mut file: &File, mut text: Vec<u8>) -> io::Result<()> {
    let len = file.metadata()?.len();
    let mut last = [b'\n'];
    if len > 0 {
        file.read_exact_at(&mut last, len - 1)?;
    }
    if last != [b'\n'] {
        text.insert(0, b'\n');
    }
    let written = loop {
        match file.write(&text) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            written => break written?,
        }
    };
    if written < text.len() {
        file.set_len(len)?;
        return Err(ErrorKind::StorageFull.into());
    }
    Ok(())
}

fn held(bytes: &[u8]) -> Held {
    let mut entries = Vec::new();
    let mut passed_over = Vec::new();
    for (at, line) in lines(bytes) {
        match Entry::parse(line) {
            Some(entry) => entries.push(entry),
            None => passed_over.push(at + 1),
        }
    }
    Held { history: History::of(entries), passed_over }
}

/// Returns the lines that aren't empty, with their numbers from 0.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    bytes.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// Replaces the file, which is locked, if most of its lines don't count.
fn compact(path: &Path, file: &File) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    let all = lines(&bytes).count();
    let parsed = lines(&bytes).filter_map(|(_, line)| Some((line, Entry::parse(line)?)));
    let (lines, entries): (Vec<_>, Vec<_>) = parsed.unzip();
    let kept = kept(&entries);
    if all <= COMPACTED * kept.iter().filter(|&&is_kept| is_kept).count() {
        return Ok(());
    }
    let mut text = Vec::new();
    for (line, _) in lines.iter().zip(kept).filter(|(_, is_kept)| *is_kept) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    let old = file.metadata()?;
    path::replace(path, |mut new| {
        let made = new.metadata()?;
        if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
            fchown(new, Some(old.uid()), Some(old.gid()))?;
        }
        new.set_permissions(old.permissions())?;
        new.write_all(&text)?;
        // The new file reaches the disk before it replaces the old one.
        new.sync_all()
    })
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
