//! Inputs: what a user named, as sources; sources as splits; splits as blocks of records.
//!
//! ```text
//! regular file ─► splits ─► edges ───────────► blocks, mapped, or read if small ─┐
//!                 bytes     only if a newline                                    ├─► feed: work for map tasks
//!                           may stand in quotes                                  │
//! stdin, FIFO,  ─► a thread each: unpacked, ─► blocks, handed over ──────────────┘
//! packed file      cut behind records
//! ```
//!
//! What a block says of itself is a [`Stretch`]: the records that are its own, and which sources they are from.

pub mod block;
mod buffers;
mod codec;
pub mod edges;
pub mod feed;
mod guard;
mod gzip;
pub mod planned;
mod reading;
pub mod sources;
pub mod splits;
pub mod stream;
mod stretch;
#[cfg(test)]
mod tests;
mod unpack;
mod zstd;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use crate::error::Error;
use crate::record::Framing;
pub use codec::Codec;
pub use reading::Begun;
pub use stretch::{Place, Stretch};

/// One input, checked to exist.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A regular file of `len` bytes: read split by split, or front to back if it is packed.
    File {
        path: PathBuf,
        len: u64,
        id: FileId,
        codec: Option<Codec>,
    },
    /// A FIFO, a device, anything that can only be read front to back.
    Stream {
        path: PathBuf,
        begun: Begun,
    },
    Stdin {
        begun: Begun,
    },
}

/// How a record ends.
#[derive(Clone, Copy, Debug)]
pub struct RecordEnd {
    pub framing: Framing,
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

/// An error at a byte of `source`.
fn failed(source: &Source) -> impl Fn(u64, io::Error) -> Error {
    move |at, error| Error::Read { path: source.path().into(), at, source: error }
}

impl Source {
    /// A regular file as it is now, to be read as it is.
    pub fn file(path: &Path) -> io::Result<Source> {
        Ok(Source::of(path, &rustix::fs::stat(path)?, None))
    }

    fn of(path: &Path, found: &Stat, codec: Option<Codec>) -> Source {
        Source::File { path: path.to_owned(), len: found.st_size as u64, id: FileId::of(found), codec }
    }

    pub fn stream(path: &Path) -> Source {
        Source::Stream { path: path.to_owned(), begun: Begun::default() }
    }

    pub fn stdin() -> Source {
        Source::Stdin { begun: Begun::default() }
    }

    /// Bytes that are there to be read, packed as they are, where that is known; else 0.
    pub fn bytes(&self) -> u64 {
        match self {
            Source::File { len, .. } => *len,
            Source::Stream { .. } | Source::Stdin { .. } => 0,
        }
    }

    /// Whether it can only be read front to back.
    pub fn is_stream(&self) -> bool {
        !matches!(self, Source::File { codec: None, .. })
    }

    /// Whether its bytes are there to be read, and how many.
    pub fn is_file(&self) -> bool {
        matches!(self, Source::File { .. })
    }

    /// Where messages say it is.
    pub fn path(&self) -> &Path {
        match self {
            Source::File { path, .. } | Source::Stream { path, .. } => path,
            Source::Stdin { .. } => Path::new("stdin"),
        }
    }

    /// The name that reports show.
    pub fn name(&self) -> Cow<'_, str> {
        self.path().to_string_lossy()
    }
}
