//! Where the result goes, as the plan says.

use std::path::{Path, PathBuf};

use super::compress::Compression;

#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Stdout,
    /// A regular file, made under a temporary name beside it and renamed.
    File(PathBuf, Compression),
    /// Something that exists and isn't a regular file or directory: written through.
    Device(PathBuf, Compression),
    /// part-00000…, _SUCCESS, _REPORT.json.
    Directory(PathBuf),
    /// A file of the spill directory, where lines wait that are not to be seen yet.
    Scratch(PathBuf),
}

impl Target {
    /// Whether bytes written are undone if the job fails afterwards.
    pub fn is_staged(&self) -> bool {
        matches!(self, Target::File(..) | Target::Directory(_))
    }

    pub fn path(&self) -> &Path {
        match self {
            Target::Stdout => Path::new("standard output"),
            Target::File(path, _) | Target::Device(path, _) | Target::Directory(path) | Target::Scratch(path) => path,
        }
    }
}
