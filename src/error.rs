//! What can go wrong, typed, with the words that a user sees.
//!
//! Every error says what was being done, to which path, and what to do next; [`Error::hint`] is the second line
//! of the message and [`Error::exit_code`] the process's exit code. Nothing else in the crate prints.

use std::{io, path::PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, the spec or an input was found wrong before anything was read.
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },

    /// An input could not be read. `at` is a byte offset.
    #[error("{}: read at byte {at}: {source}", path.display())]
    Read { path: PathBuf, at: u64, source: io::Error },

    /// A spill file or the spill directory could not be written or read.
    #[error("spill file {}: {source}", path.display())]
    Spill { path: PathBuf, source: io::Error },

    /// A run on disk is not what was written: never answered from.
    #[error("run {}: {what} at byte {at}", path.display())]
    Corrupt { path: PathBuf, at: u64, what: &'static str },

    /// The result could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Output { path: PathBuf, source: io::Error },

    /// Whoever read our standard output closed it: not a failure.
    #[error("output closed")]
    ClosedPipe,

    /// A signal asked the job to end.
    #[error("interrupted")]
    Interrupted { signal: i32 },

    #[error("a record of {bytes} bytes is longer than the 4 GiB that one may have")]
    RecordTooLong { bytes: u64 },

    #[error("the keys of one of {partitions} partitions take more than 4 GiB")]
    PartitionTooLarge { partitions: usize },

    /// A task panicked: a bug in mapfold.
    #[error("internal error in {task}: {message}")]
    Panic { task: String, message: String },
}

impl Error {
    pub fn usage(message: impl Into<String>) -> Self {
        Error::Usage { message: message.into(), hint: None }
    }

    pub fn usage_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Usage { hint, .. } => hint.clone(),
            Error::Spill { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("choose a roomier directory with --spill-dir".into())
            }
            Error::PartitionTooLarge { partitions } => Some(format!("ask for more: --partitions {}", partitions * 8)),
            Error::Corrupt { .. } => {
                Some("the spill directory's disk damaged what was written; run the job again".into())
            }
            Error::Panic { .. } => Some("this is a bug in mapfold; please report it with the job's spec".into()),
            _ => None,
        }
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage { .. } => 2,
            Error::ClosedPipe => 0,
            Error::Interrupted { signal } => 128u8.wrapping_add(*signal as u8),
            _ => 1,
        }
    }
}
