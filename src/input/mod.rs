//! Inputs: what a user named, as sources; sources as splits; splits as blocks of records.
//!
//! ```text
//! regular file ─► splits ─► edges ───────────► blocks, mapped, or read if small ─┐
//!                 bytes     only if a newline                                    ├─► feed: work for map tasks
//!                           may stand in quotes                                  │
//! stdin, FIFO,  ─► a thread each: unpacked, ─► blocks, handed over ──────────────┘
//! command,         cut behind records
//! packed file,
//! file that may hang
//! ```
//!
//! A source that can be read again is, when it fails or is slow: `attempts` hands over what all its readings have in common, and
//! [`hedging`] says when one is slow.
//!
//! What a block says of itself is a [`Stretch`]: the records that are its own, and which sources they are from.

mod ahead;
mod attempts;
pub mod block;
mod buffers;
mod codec;
pub mod command;
mod devices;
pub mod edges;
mod ending;
mod errands;
pub mod feed;
mod gauge;
mod guard;
mod gzip;
mod heads;
pub mod hedging;
mod held;
mod newlines;
mod origin;
pub mod planned;
mod reading;
pub mod sources;
pub mod splits;
pub mod stream;
mod stretch;
#[cfg(test)]
mod tests;
mod unpack;
pub mod wait;
mod watch;
pub mod written;
mod zstd;

use std::borrow::Cow;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Stat;

use crate::error::Error;
use crate::record::Framing;
use crate::units::Span;
pub use codec::Codec;
pub use heads::{Head, Heads, Patience};
pub use hedging::{Hedging, Latency};
pub use held::Sources;
pub use newlines::Newlines;
pub use reading::Begun;
use reading::Reading;
pub use stream::Counted;
pub use stretch::{Place, Stretch};
pub use watch::{Covered, Watch, Watched};

/// One input, checked to exist.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A regular file of `len` bytes: read split by split, or front to back if it is packed or may hang.
    File {
        path: PathBuf,
        len: u64,
        id: FileId,
        codec: Option<Codec>,
        reach: Reach,
    },
    /// A FIFO, a device, anything that can only be read front to back.
    Stream {
        path: PathBuf,
        begun: Begun,
        reach: Reach,
    },
    Stdin {
        begun: Begun,
        timeout: Option<Span>,
    },
    /// A path that didn't answer when the job was planned: `timeout` if that was its own, else the job's time for it was over.
    /// Nothing can be read of it.
    Silent {
        path: PathBuf,
        timeout: Option<Span>,
    },
    /// What a command prints. `name` is what messages call it.
    Command {
        command: Arc<written::Command>,
        name: PathBuf,
        begun: Begun,
    },
}

/// What is known of the way to a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Whether a read may hang though poll says that it won't, as that of a file on a network.
    pub may_hang: bool,
    /// From when its reading begins until its end.
    pub timeout: Option<Span>,
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

/// An error of the system's at a byte of `source`.
fn failed(source: &Source) -> impl Fn(u64, io::Error) -> Error {
    move |at, error| Error::Read { path: source.path().into(), at, source: error }
}

impl Source {
    /// A regular file as it is now, to be read as it is.
    pub fn file(path: &Path) -> io::Result<Source> {
        Ok(Source::of(path, &rustix::fs::stat(path)?, None, Reach::default()))
    }

    fn of(path: &Path, found: &Stat, codec: Option<Codec>, reach: Reach) -> Source {
        Source::File { path: path.to_owned(), len: found.st_size as u64, id: FileId::of(found), codec, reach }
    }

    pub fn stream(path: &Path) -> Source {
        Source::Stream { path: path.to_owned(), begun: Begun::default(), reach: Reach::default() }
    }

    pub fn stdin() -> Source {
        Source::Stdin { begun: Begun::default(), timeout: None }
    }

    pub fn command(command: written::Command) -> Source {
        let name = PathBuf::from(&*command.title());
        Source::Command { command: command.into(), name, begun: Begun::default() }
    }

    /// Bytes that are there to be read, packed as they are, where that is known; else 0.
    pub fn bytes(&self) -> u64 {
        match self {
            Source::File { len, .. } => *len,
            Source::Stream { .. } | Source::Silent { .. } | Source::Stdin { .. } | Source::Command { .. } => 0,
        }
    }

    /// Whether it can only be read front to back.
    pub fn is_stream(&self) -> bool {
        !matches!(self, Source::File { codec: None, reach: Reach { may_hang: false, .. }, .. })
    }

    /// Whether its bytes are there to be read, and how many.
    pub fn is_file(&self) -> bool {
        matches!(self, Source::File { .. })
    }

    /// Whether it is the regular file that was found there. A file that may hang isn't looked at for that: it is known since it
    /// was found.
    pub fn is_same_file(&self, found: &Metadata) -> bool {
        matches!(self, Source::File { id, .. } if (id.device, id.inode) == (found.dev(), found.ino()))
    }

    /// Whether its reader may have to wait for somebody else. Such a reader keeps no other source waiting.
    pub fn may_wait(&self) -> bool {
        match self {
            Source::File { reach, .. } => reach.may_hang,
            Source::Stream { path, reach, .. } => {
                reach.may_hang || !std::fs::metadata(path).is_ok_and(|found| found.is_file())
            }
            Source::Silent { .. } | Source::Stdin { .. } | Source::Command { .. } => true,
        }
    }

    /// Whether it can be read twice, and holds the same then.
    pub fn can_be_read_again(&self) -> bool {
        match self {
            Source::File { .. } => true,
            Source::Stream { .. } | Source::Silent { .. } | Source::Stdin { .. } => false,
            Source::Command { command, .. } => command.retry,
        }
    }

    /// The same, of which nothing was begun: what was begun may hold it.
    fn unbegun(&self) -> Source {
        let mut source = self.clone();
        match &mut source {
            Source::File { .. } | Source::Silent { .. } => {}
            Source::Stream { begun, .. } | Source::Stdin { begun, .. } | Source::Command { begun, .. } => {
                *begun = Begun::default();
            }
        }
        source
    }

    /// What was begun of it, which nobody goes on with then.
    fn take_begun(&self) -> Option<Reading> {
        self.begun().and_then(Begun::take)
    }

    /// How long it may take, from when its reading begins until its end.
    pub fn timeout(&self) -> Option<Span> {
        match self {
            Source::File { reach, .. } | Source::Stream { reach, .. } => reach.timeout,
            Source::Silent { timeout, .. } | Source::Stdin { timeout, .. } => *timeout,
            Source::Command { command, .. } => command.timeout,
        }
    }

    /// What was read of it before the job, where it isn't read again from its beginning.
    fn begun(&self) -> Option<&Begun> {
        match self {
            Source::File { .. } | Source::Silent { .. } => None,
            Source::Stream { begun, .. } | Source::Stdin { begun, .. } | Source::Command { begun, .. } => Some(begun),
        }
    }

    /// Where messages say it is.
    pub fn path(&self) -> &Path {
        match self {
            Source::File { path, .. }
            | Source::Stream { path, .. }
            | Source::Silent { path, .. }
            | Source::Command { name: path, .. } => path,
            Source::Stdin { .. } => Path::new("stdin"),
        }
    }

    /// What it is called from run to run, wherever those are made: of what has a path, that from the root.
    pub fn lasting_name(&self) -> String {
        let path = match self {
            Source::File { path, .. } | Source::Stream { path, .. } | Source::Silent { path, .. } => {
                std::path::absolute(path).ok()
            }
            Source::Stdin { .. } | Source::Command { .. } => None,
        };
        path.as_deref().unwrap_or(self.path()).to_string_lossy().into_owned()
    }

    /// The name that reports show.
    pub fn name(&self) -> Cow<'_, str> {
        self.path().to_string_lossy()
    }
}
