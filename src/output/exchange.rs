//! Replaces a result by another in one step: the two directories exchange their names.
//!
//! The new result is then in another directory (another inode). So this is done only if the two directories differ in
//! nothing but their content.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, listxattr, renameat_with};
use rustix::io::Errno;

use super::publish::{RESULT, is_of_a_result, is_same};
use crate::data::path::{parent, rename_new};
use crate::data::scratch::Scratch;
use crate::failpoint::{self, Point};

/// Returns the path beside `directory` at which a staged result waits. A directory can't exchange names with one that
/// is inside of it.
pub fn aside(directory: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(".");
    name.push(directory.file_name()?);
    name.push(".partial");
    Some(parent(directory).join(name))
}

/// Exchanges the staged result with the older result in `directory`; the older one is then the staged one. Returns
/// false if everything stayed as before.
pub fn exchange(staging: &mut Scratch, directory: &Path) -> bool {
    let Some(aside) = aside(directory).filter(|_| is_replaceable(staging, directory).unwrap_or(false)) else {
        return false;
    };
    let inside = staging.path().to_owned();
    if staging.rename(&aside).is_err() {
        return false;
    }
    let old = aside.join(RESULT);
    // The bare path has no slash at the end, which would mean the directory that a link points to.
    let bare: PathBuf = directory.components().collect();
    let exchanged = failpoint::hit(Point::CommitExchange)
        .and_then(|()| Ok(renameat_with(CWD, &old, CWD, &bare, RenameFlags::EXCHANGE)?));
    if exchanged.is_err() {
        // The staged result is complete under either name.
        let _ = staging.rename(&inside);
        return false;
    }
    if let Err(error) = return_what_is_not_ours(&old, directory) {
        staging.keep(error);
    }
    true
}

/// Moves files that somebody put into the old directory at the last moment to `directory`.
pub fn return_what_is_not_ours(old: &Path, directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(old)? {
        let entry = entry?;
        if !is_of_a_result(&entry) {
            let name = entry.file_name();
            rename_new(&old.join(&name), &directory.join(&name))?;
        }
    }
    Ok(())
}

/// Whether another directory can take the place of `directory`: it holds an older result and nothing else; it isn't a
/// link, a mount point or the working directory of this process or above it; and its owner and permissions can be given
/// to the new directory.
fn is_replaceable(staging: &Scratch, directory: &Path) -> io::Result<bool> {
    let bare: PathBuf = directory.components().collect();
    let replaced = fs::symlink_metadata(&bare)?;
    if !replaced.is_dir() || replaced.dev() != fs::metadata(parent(directory))?.dev() {
        return Ok(false);
    }
    let own = staging.path().file_name();
    let mut results = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if is_of_a_result(&entry) {
            results += 1;
        } else if own != Some(&*entry.file_name()) {
            return Ok(false);
        }
    }
    let here = env::current_dir()?;
    let is_here = here.ancestors().any(|here| fs::metadata(here).is_ok_and(|here| is_same(&here, &replaced)));
    Ok(results > 0 && !is_here && !has_attributes(directory) && resemble(&staging.path().join(RESULT), &replaced)?)
}

/// Whether a directory has extended attributes, such as access control lists. Attributes of security modules don't
/// count: the module gives the new directory its own.
fn has_attributes(directory: &Path) -> bool {
    let mut names = [0; 4096];
    match listxattr(directory, &mut names[..]) {
        Ok(length) => {
            names[..length].split(|&b| b == 0).any(|name| !name.is_empty() && !name.starts_with(b"security."))
        }
        Err(error) => error != Errno::NOTSUP,
    }
}

/// Gives a directory the owner and permissions of another, as far as possible. Returns whether it has them.
fn resemble(directory: &Path, like: &fs::Metadata) -> io::Result<bool> {
    let opened = File::open(directory)?;
    let _ = fchown(&opened, Some(like.uid()), Some(like.gid()));
    opened.set_permissions(like.permissions())?;
    let made = opened.metadata()?;
    Ok((made.uid(), made.gid(), made.permissions().mode()) == (like.uid(), like.gid(), like.permissions().mode()))
}
