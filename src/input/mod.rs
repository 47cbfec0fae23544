//! Inputs: what a user named, as sources; sources as splits; splits as blocks of whole records.
//!
//! Regular files are mapped, a split at a time, or read if they are small; everything else is read by a thread of its own
//! and handed over in blocks.

pub mod block;
mod guard;
pub mod sources;
pub mod splits;
pub mod stream;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

/// One input, checked to exist.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A regular file of `len` bytes, read split by split.
    File {
        path: PathBuf,
        len: u64,
        id: FileId,
    },
    /// A FIFO, a device, anything that can only be read front to back.
    Stream {
        path: PathBuf,
    },
    Stdin,
}

/// How a record ends.
#[derive(Clone, Copy, Debug)]
pub struct RecordEnd {
    pub terminator: u8,
    /// A record longer than this, its end included, may be cut there.
    pub longest: u64,
}

/// Which file it is, whatever name it has, and when it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
    changed_ns: i128,
}

impl FileId {
    fn of(found: &Stat) -> Self {
        let changed_ns = i128::from(found.st_mtime) * 1_000_000_000 + i128::from(found.st_mtime_nsec);
        FileId { device: found.st_dev, inode: found.st_ino, changed_ns }
    }

    fn is_same_file(&self, other: &FileId) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// Length of the UTF-8 byte order mark that a file begins with: it says how the file is encoded and is no part of its
/// first record, so that a line is the same line wherever it stands. (ripgrep and DuckDB hold it so too.)
fn mark_len(start_of_file: &[u8]) -> usize {
    if start_of_file.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

impl Source {
    /// A regular file as it is now.
    pub fn file(path: &Path) -> io::Result<Source> {
        Ok(Source::of(path, &rustix::fs::stat(path)?))
    }

    fn of(path: &Path, found: &Stat) -> Source {
        Source::File { path: path.to_owned(), len: found.st_size as u64, id: FileId::of(found) }
    }

    /// Bytes, where they are known; 0 for streams.
    pub fn bytes(&self) -> u64 {
        match self {
            Source::File { len, .. } => *len,
            Source::Stream { .. } | Source::Stdin => 0,
        }
    }

    pub fn is_stream(&self) -> bool {
        !matches!(self, Source::File { .. })
    }

    /// Where messages say it is.
    pub fn path(&self) -> &Path {
        match self {
            Source::File { path, .. } | Source::Stream { path } => path,
            Source::Stdin => Path::new("stdin"),
        }
    }

    /// The name that reports show.
    pub fn name(&self) -> Cow<'_, str> {
        self.path().to_string_lossy()
    }
}
