//! Inputs of a job. What the user named becomes sources. Files are cut into splits, from which map tasks read blocks of
//! records. Sources that can only be read front to back become blocks that reader threads hand over.
//!
//! ```text
//! regular file ─► splits ─► edges ───────────► blocks, mapped, or read if small ─┐
//!                 byte      only if a newline                                    ├─► feed: work for map tasks
//!                 ranges    may stand in quotes                                  │
//! stdin, FIFO,  ─► readers: decompressed, ───► blocks, handed over ──────────────┘
//! command,         cut after records
//! compressed file,
//! file that may hang
//! ```
//!
//! A source that fails or is slow is read again, if it can be. `attempts` compares the readings and hands over each
//! byte once. [`hedging`] decides when a source is slow.
//!
//! Where memory is short, the blocks of streams are [collected] in files.
//!
//! A block describes itself as a [`Stretch`]: which records belong to it, and which sources they come from.

mod ahead;
mod attempts;
pub mod block;
mod buffers;
mod codec;
pub mod collected;
pub mod command;
pub mod decoders;
mod devices;
pub mod edges;
mod ending;
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
mod read_queue;
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
use decoders::DecoderMemory;
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
    /// A regular file of `len` bytes. It is read split by split, or front to back if it is compressed or may hang.
    File {
        path: PathBuf,
        len: u64,
        id: FileId,
        codec: Option<Codec>,
        reach: ReadLimits,
    },
    /// A FIFO, a device, or anything else that can only be read front to back.
    Stream {
        path: PathBuf,
        begun: Begun,
        reach: ReadLimits,
    },
    Stdin {
        begun: Begun,
        reach: ReadLimits,
    },
    /// A path that didn't answer when the job was planned. Nothing can be read from it. `timeout` is the path's own
    /// timeout if that passed; `None` if the job's time for planning passed first.
    Silent {
        path: PathBuf,
        timeout: Option<Span>,
    },
    /// The standard output of a command. `name` is what messages call the command.
    Command {
        command: Arc<written::Command>,
        name: PathBuf,
        begun: Begun,
        decoder: DecoderMemory,
    },
}

/// Limits on reading a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadLimits {
    /// Whether a read may hang although poll says that it won't, as for a file on a network.
    pub may_hang: bool,
    /// How long reading the source may take, from its start to its end.
    pub timeout: Option<Span>,
    pub decoder: DecoderMemory,
}

/// What ends a record: its framing, or its greatest length.
#[derive(Clone, Copy, Debug)]
pub struct RecordEnd {
    pub framing: Framing,
    /// Bytes of the longest record, including its terminator. A longer record may be cut there.
    pub longest: u64,
}

/// Identity of a file, whatever its name, and the time when it was last modified.
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

/// Length of the UTF-8 byte order mark at the start of a file, or 0. The mark says how the file is encoded and isn't
/// part of the first record, so a line is the same line wherever it stands. (ripgrep and DuckDB treat the mark this way
/// too.)
fn mark_len(start_of_file: &[u8]) -> usize {
    if start_of_file.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

/// Returns a function that makes an error of the system an error at a byte of `source`.
fn failed(source: &Source) -> impl Fn(u64, io::Error) -> Error {
    move |at, error| Error::Read { path: source.path().into(), at, source: error }
}

impl Source {
    /// A regular file in its current state, to be read without decompression.
    pub fn file(path: &Path) -> io::Result<Source> {
        Ok(Source::of(path, &rustix::fs::stat(path)?, None, ReadLimits::default()))
    }

    fn of(path: &Path, found: &Stat, codec: Option<Codec>, reach: ReadLimits) -> Source {
        Source::File { path: path.to_owned(), len: found.st_size as u64, id: FileId::of(found), codec, reach }
    }

    pub fn stream(path: &Path) -> Source {
        Source::Stream { path: path.to_owned(), begun: Begun::default(), reach: ReadLimits::default() }
    }

    pub fn stdin() -> Source {
        Source::Stdin { begun: Begun::default(), reach: ReadLimits::default() }
    }

    pub fn command(command: written::Command) -> Source {
        let name = PathBuf::from(&*command.title());
        Source::Command { command: command.into(), name, begun: Begun::default(), decoder: DecoderMemory::default() }
    }

    /// Bytes of the source before decompression, if that is known before reading; otherwise 0.
    pub fn bytes(&self) -> u64 {
        match self {
            Source::File { len, .. } => *len,
            Source::Stream { .. } | Source::Silent { .. } | Source::Stdin { .. } | Source::Command { .. } => 0,
        }
    }

    /// Whether the source can only be read front to back.
    pub fn is_stream(&self) -> bool {
        !matches!(self, Source::File { codec: None, reach: ReadLimits { may_hang: false, .. }, .. })
    }

    /// Whether the source is a regular file, whose length is known.
    pub fn is_file(&self) -> bool {
        matches!(self, Source::File { .. })
    }

    /// Whether the source is the regular file that `found` describes. The source's path isn't looked at, since it may
    /// hang: the file's identity is known from planning.
    pub fn is_same_file(&self, found: &Metadata) -> bool {
        matches!(self, Source::File { id, .. } if (id.device, id.inode) == (found.dev(), found.ino()))
    }

    /// Whether a reader of the source may have to wait for somebody else. Such a reader reads no other source, so no
    /// other source waits for it.
    pub fn may_wait(&self) -> bool {
        match self {
            Source::File { reach, .. } => reach.may_hang,
            Source::Stream { path, reach, .. } => {
                reach.may_hang || !std::fs::metadata(path).is_ok_and(|found| found.is_file())
            }
            Source::Silent { .. } | Source::Stdin { .. } | Source::Command { .. } => true,
        }
    }

    /// Whether the source can be read twice and gives the same bytes.
    pub fn can_be_read_again(&self) -> bool {
        match self {
            Source::File { .. } => true,
            Source::Stream { .. } | Source::Silent { .. } | Source::Stdin { .. } => false,
            Source::Command { command, .. } => command.retry,
        }
    }

    /// Returns a copy of the source without its begun [`Reading`], so that this `Reading` can hold the copy.
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

    /// Takes out the begun [`Reading`] of the source, if there is one. No reader can continue it after that.
    fn take_begun(&self) -> Option<Reading> {
        self.begun().and_then(Begun::take)
    }

    /// How long reading the source may take, from its start to its end.
    pub fn timeout(&self) -> Option<Span> {
        match self {
            Source::File { reach, .. } | Source::Stream { reach, .. } | Source::Stdin { reach, .. } => reach.timeout,
            Source::Silent { timeout, .. } => *timeout,
            Source::Command { command, .. } => command.timeout,
        }
    }

    /// The memory that the source's decoder may take.
    fn decoder(&self) -> DecoderMemory {
        match self {
            Source::File { reach, .. } | Source::Stream { reach, .. } | Source::Stdin { reach, .. } => reach.decoder,
            Source::Silent { .. } => DecoderMemory::default(),
            Source::Command { decoder, .. } => *decoder,
        }
    }

    fn limit_decoder(&mut self, to: DecoderMemory) {
        match self {
            Source::File { reach, .. } | Source::Stream { reach, .. } | Source::Stdin { reach, .. } => {
                reach.decoder = to;
            }
            Source::Silent { .. } => {}
            Source::Command { decoder, .. } => *decoder = to,
        }
    }

    /// What was read of the source before the job. `None` for a source that is read again from its beginning.
    fn begun(&self) -> Option<&Begun> {
        match self {
            Source::File { .. } | Source::Silent { .. } => None,
            Source::Stream { begun, .. } | Source::Stdin { begun, .. } | Source::Command { begun, .. } => Some(begun),
        }
    }

    /// The path, or the name instead of a path, that messages show.
    pub fn path(&self) -> &Path {
        match self {
            Source::File { path, .. }
            | Source::Stream { path, .. }
            | Source::Silent { path, .. }
            | Source::Command { name: path, .. } => path,
            Source::Stdin { .. } => Path::new("stdin"),
        }
    }

    /// The name that stays the same from run to run, in whichever directory the runs are made. If the source has a
    /// path, this is the absolute path.
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
