//! Inputs: what a user named, as sources; sources as splits; splits as blocks of whole records.

use std::path::PathBuf;

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
