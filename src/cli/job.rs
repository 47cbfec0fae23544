//! JOB: the name of a built-in, the path of a spec, or `-` for a spec on standard input.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::closed;
use crate::error::{Error, Result, nearest, reason, shown};
use crate::spec::{Document, builtin};

/// A spec is written by hand: what is longer than this is some other file.
const LONGEST: u64 = 16 << 20;

pub struct Job {
    pub document: Document,
    pub from_stdin: bool,
}

pub fn load(job: &OsStr) -> Result<Job> {
    if job == "-" {
        if closed::stdin() {
            return Err(Error::usage("stdin: is closed"));
        }
        let text = read("stdin", io::stdin().lock())?;
        return Ok(Job { document: Document::parse("stdin", &text)?, from_stdin: true });
    }
    let document = if is_path(job) { from_file(Path::new(job))? } else { from_builtin(job)? };
    Ok(Job { document, from_stdin: false })
}

/// Whether JOB is a path and not a name.
pub fn is_path(job: &OsStr) -> bool {
    let name = job.as_bytes();
    name.contains(&b'/') || name.ends_with(b".json")
}

fn from_file(path: &Path) -> Result<Document> {
    let name = shown(path);
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let is_spec = path.extension().is_some_and(|ending| ending == "json");
    read(&name, file).and_then(|text| Document::parse(name.clone(), &text)).map_err(|error| match error {
        Error::Usage { message, .. } if !is_spec => {
            Error::usage_hint(message, format!("the JOB comes first, then each INPUT: mapfold run wordcount {name}"))
        }
        error => error,
    })
}

fn read(name: &str, source: impl Read) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    source.take(LONGEST + 1).read_to_end(&mut text).map_err(|e| Error::usage(format!("{name}: {}", reason(&e))))?;
    if text.len() as u64 > LONGEST {
        return Err(Error::usage_hint(
            format!("{name}: more than {} MiB, which no spec is", LONGEST >> 20),
            "the JOB comes first, then each INPUT",
        ));
    }
    Ok(text)
}

fn unreadable(path: &Path, e: &io::Error) -> Error {
    let message = format!("{}: {}", shown(path), reason(e));
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    match nearest(stem, builtin::ALL.iter().map(|job| job.name))
        .or_else(|| builtin::find(stem).ok().map(|job| job.name))
    {
        Some(right) if e.kind() == io::ErrorKind::NotFound => {
            Error::usage_hint(message, format!("did you mean the built-in job {right}?"))
        }
        _ => Error::usage(message),
    }
}

fn from_builtin(job: &OsStr) -> Result<Document> {
    let name = shown(job);
    match builtin::find(&name) {
        Ok(builtin) => builtin.document(),
        Err(Error::Usage { message, .. }) if Path::new(job).is_file() => Err(Error::usage_hint(
            message,
            format!("a spec in a file of that name is ./{name}; an INPUT comes after the JOB"),
        )),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        for (job, path) in [("wordcount", false), ("my.json", true), ("./x", true), ("json", false), (".json", true)] {
            assert_eq!(is_path(OsStr::new(job)), path, "{job}");
        }
    }
}
