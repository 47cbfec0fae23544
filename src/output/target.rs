//! [`Target`]: the kinds of places that a result can be written to.

use std::path::{Path, PathBuf};

use super::compress::Compression;

/// A place that the result is written to.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Stdout,
    /// A regular file, made under a temporary name beside the path and renamed.
    File(PathBuf, Compression),
    /// Something that exists and is neither a regular file nor a directory. It is written directly.
    Device(PathBuf, Compression),
    /// A directory for `part-00000`…, `_SUCCESS` and `_REPORT.json`.
    Directory(PathBuf),
    /// A file of the spill directory, in which lines wait that must not be seen yet.
    Scratch(PathBuf),
}

impl Target {
    /// Whether written bytes vanish if the job fails afterwards.
    pub fn is_staged(&self) -> bool {
        matches!(self, Target::File(..) | Target::Directory(_))
    }

    pub fn path(&self) -> &Path {
        match self {
            Target::Stdout => Path::new(crate::error::STDOUT),
            Target::File(path, _) | Target::Device(path, _) | Target::Directory(path) | Target::Scratch(path) => path,
        }
    }
}
