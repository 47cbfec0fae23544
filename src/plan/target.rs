//! Finds the target that `-o` or the spec names. Checks, as far as possible before the job runs, that the target can be
//! written and that nothing else is destroyed.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::Target;
use crate::data::path::parent;
use crate::error::{Error, Result, reason, shown};
use crate::input::Source;
use crate::output::{Compression, STAGING, is_of_a_result};

/// The target that was asked for.
pub(super) struct Asked<'a> {
    pub path: &'a Path,
    pub by: By,
    /// Whether to replace an output that exists.
    pub force: bool,
}

/// Where the path comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Flag,
    Spec,
}

/// Returns the target that the path means; `-` means standard output.
pub(super) fn resolve(asked: &Asked<'_>, sources: &[Source]) -> Result<Target> {
    let path = asked.path;
    if path.as_os_str() == "-" {
        return Ok(Target::Stdout);
    }
    let name = shown(path);
    if path.as_os_str().is_empty() {
        return Err(Error::usage("the output's path is empty"));
    }
    // These paths name streams that are open already, whatever they lead to.
    if matches!(path.to_str(), Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1")) {
        return Ok(Target::Stdout);
    }
    if path.starts_with("/dev/fd") || path == Path::new("/dev/stderr") || path.starts_with("/proc") {
        return Ok(Target::Device(path.to_owned(), Compression::None));
    }
    let compression = Compression::of(path);
    let wants_directory = path.as_os_str().as_bytes().ends_with(b"/");
    let bare: PathBuf = path.components().collect();
    match fs::metadata(&bare) {
        Ok(metadata) if metadata.is_dir() => existing_directory(asked, sources),
        Ok(_) if wants_directory => Err(Error::usage(format!("{name}: is a file, but the output is a directory"))),
        Ok(metadata) if metadata.is_file() => existing_file(asked, &metadata, sources),
        Ok(_) => {
            access(path, Access::WRITE_OK).map_err(|e| unwritable(path, &e.into()))?;
            Ok(Target::Device(path.to_owned(), compression))
        }
        Err(_) if fs::symlink_metadata(&bare).is_ok() => {
            Err(Error::usage(format!("{name}: is a link to a file that doesn't exist")))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            writable_parent(path)?;
            Ok(if wants_directory {
                Target::Directory(path.to_owned())
            } else {
                Target::File(path.to_owned(), compression)
            })
        }
        Err(e) => Err(unwritable(path, &e)),
    }
}

fn existing_file(asked: &Asked<'_>, metadata: &Metadata, sources: &[Source]) -> Result<Target> {
    let path = asked.path;
    if sources.iter().any(|source| source.is_same_file(metadata)) {
        return Err(Error::usage_hint(
            format!("{}: is an INPUT as well as the output", shown(path)),
            "write to another file, then rename it",
        ));
    }
    if !asked.force {
        return Err(exists(asked));
    }
    // The name that was given decides the compression. A link is followed to the file it leads to, as `>` does.
    let compression = Compression::of(path);
    let path = fs::canonicalize(path).map_err(|e| unwritable(path, &e))?;
    access(&path, Access::WRITE_OK).map_err(|e| unwritable(&path, &e.into()))?;
    writable_parent(&path)?;
    Ok(Target::File(path, compression))
}

/// Checks a directory that exists. An empty directory is used. A directory with an older result is replaced only with
/// `force`, and only if it holds nothing but a result: a mistyped `-o` must not add to somebody else's files, or
/// destroy them.
fn existing_directory(asked: &Asked<'_>, sources: &[Source]) -> Result<Target> {
    let path = asked.path;
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| unwritable(path, &e))? {
        let entry = entry.map_err(|e| unwritable(path, &e))?;
        let file = entry.file_name();
        // Another job's staging directory, which stays, or a dead job's, which is removed later.
        if file.as_bytes().starts_with(STAGING.as_bytes()) {
            continue;
        }
        if !is_of_a_result(&entry) {
            return Err(Error::usage_hint(
                format!("{}: holds {}, which doesn't belong to a result", shown(path), shown(&file)),
                "name a directory for this result alone; mapfold makes it if it doesn't exist",
            ));
        }
        files.push(entry.path());
    }
    let is_input = |found: &Metadata| sources.iter().any(|source| source.is_same_file(found));
    if files.iter().any(|file| fs::metadata(file).is_ok_and(|found| is_input(&found))) {
        return Err(Error::usage_hint(
            format!("{}: holds an INPUT, and is the output", shown(path)),
            "write to another directory",
        ));
    }
    if !files.is_empty() && !asked.force {
        return Err(exists(asked));
    }
    access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|e| unwritable(path, &e.into()))?;
    Ok(Target::Directory(path.to_owned()))
}

/// Fails unless a file can be made beside `path`.
pub fn writable_parent(path: &Path) -> Result<()> {
    let directory = parent(path);
    let metadata = fs::metadata(directory).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::usage_hint(
            format!("{}: there is no directory {}", shown(path), shown(directory)),
            format!("mkdir -p {}", shown(directory)),
        ),
        _ => unwritable(path, &e),
    })?;
    if !metadata.is_dir() {
        return Err(Error::usage(format!("{}: {} is not a directory", shown(path), shown(directory))));
    }
    access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(|e| {
        let e = io::Error::from(e);
        Error::usage(format!("{}: cannot write in {}: {}", shown(path), shown(directory), reason(&e)))
    })
}

fn exists(asked: &Asked<'_>) -> Error {
    let hint = match asked.by {
        By::Flag => "--force replaces it",
        By::Spec => {
            "it is the output.path of the spec: --force replaces it, -o names another file, -o - prints the result"
        }
    };
    Error::usage_hint(format!("{}: exists", shown(asked.path)), hint)
}

fn unwritable(path: &Path, e: &io::Error) -> Error {
    Error::usage(format!("{}: cannot be written: {}", shown(path), reason(e)))
}
