//! Checks the files that a command writes beside its result, such as reports and exports. A file that exists is
//! replaced, unless the job needs it, it isn't a regular file, or it may hold a user's data.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, path};

use crate::data::path::parent;
use crate::error::{Error, Result, shown};
use crate::plan::{self, Plan, Target};

/// Checks that the file named by `flag` can be written, and isn't one that the job needs. `spec` is the file that holds
/// the job's spec.
pub fn check(flag: &str, file: &Path, spec: Option<&Path>, plan: &Plan) -> Result<()> {
    let name = shown(file);
    plan::writable_parent(file).map_err(|error| match error {
        Error::Usage { message, hint } => Error::Usage { message: format!("{flag} {message}"), hint },
        error => error,
    })?;
    if fs::metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Error::usage(format!("{flag} {name}: exists and is not a file")));
    }
    is_not_needed(flag, file, spec, plan)
}

fn is_not_needed(flag: &str, file: &Path, spec: Option<&Path>, plan: &Plan) -> Result<()> {
    match needed(file, spec, plan) {
        Some(what) => Err(Error::usage_hint(format!("{flag} {}: is {what}", shown(file)), "name another file")),
        None => Ok(()),
    }
}

fn is_a_name(flag: &str, file: &Path) -> Result<()> {
    match file.as_os_str() == "-" || file.as_os_str().as_bytes().ends_with(b"/") {
        true => Err(Error::usage(format!("{flag} {}: is not a file name", shown(file)))),
        false => Ok(()),
    }
}

/// Like [`check`], for a file that is appended to, and is created if it doesn't exist.
pub fn check_appended(flag: &str, file: &Path, spec: Option<&Path>, plan: &Plan) -> Result<()> {
    let name = shown(file);
    is_a_name(flag, file)?;
    match fs::metadata(file) {
        Ok(metadata) if !metadata.is_file() => Err(Error::usage(format!("{flag} {name}: exists and is not a file"))),
        Ok(_) => is_not_needed(flag, file, spec, plan),
        Err(_) => check(flag, file, spec, plan),
    }
}

/// Like [`check`], for a file that holds a user's data: if it exists, it is replaced only with `--force`.
pub fn check_new(flag: &str, file: &Path, spec: Option<&Path>, plan: &Plan) -> Result<()> {
    check(flag, file, spec, plan)?;
    let name = shown(file);
    is_a_name(flag, file)?;
    match file.exists() && !plan.output.force {
        true => Err(Error::usage_hint(format!("{flag} {name}: exists"), "--force replaces it")),
        false => Ok(()),
    }
}

fn needed(file: &Path, spec: Option<&Path>, plan: &Plan) -> Option<&'static str> {
    if spec.is_some_and(|spec| same_file(file, spec)) {
        return Some("the JOB");
    }
    if fs::metadata(file).is_ok_and(|found| plan.sources.iter().any(|source| source.is_same_file(&found))) {
        return Some("an INPUT");
    }
    match &plan.output.target {
        Target::File(output, _) if same_file(file, output) => Some("the output"),
        Target::Directory(output) if same_file(parent(file), output) => Some("in the output directory"),
        _ => None,
    }
}

pub fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => path::absolute(a).is_ok_and(|a| path::absolute(b).is_ok_and(|b| a == b)),
    }
}
