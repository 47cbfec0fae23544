//! Inputs: what a user named, as sources; sources as splits; splits as blocks of whole records.
//!
//! Regular files are mapped, a split at a time; everything else is read by a thread of its own and handed over in
//! blocks.

pub mod block;
mod guard;
pub mod sources;
pub mod splits;
pub mod stream;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// One input, checked to exist.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A regular file of `len` bytes, mapped split by split.
    File {
        path: PathBuf,
        len: u64,
    },
    /// A FIFO, a device, anything that can only be read front to back.
    Stream {
        path: PathBuf,
    },
    Stdin,
}

impl Source {
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
