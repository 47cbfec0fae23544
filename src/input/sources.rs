//! What a user named as input, as sources: files, directories, globs and `-`.
//!
//! The rules are those of a Unix tool: order is kept, a repeat is read twice, a directory stands for its files in the byte
//! order of their paths, a glob for what the shell would have made of it. Everything that can be found wrong without
//! reading the data is found here, so that a job doesn't fail on its last file.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::thread;

use glob::{MatchOptions, Pattern};
use rustix::fs::{FsWord, PROC_SUPER_MAGIC, Stat};
use walkdir::{DirEntry, WalkDir};

use super::Source;
use super::codec::{ENOUGH, Packing, packing};
use crate::data::path::parent;
use crate::error::{Error, Result, nearest, reason, shown};

/// What is known about standard input before it is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdin {
    /// Nothing was redirected to it.
    pub is_terminal: bool,
    /// The process was started without one.
    pub is_closed: bool,
    /// The spec was read from it.
    pub held_spec: bool,
}

/// The sources that `names` stand for; standard input for no names.
pub fn resolve(names: &[PathBuf], stdin: Stdin) -> Result<Vec<Source>> {
    let mut found = Found { stdin, ..Found::default() };
    if names.is_empty() {
        if stdin.held_spec {
            return Err(Error::usage_hint(
                "no INPUT, and standard input is taken by the spec",
                "name a file: mapfold run - FILE",
            ));
        }
        if stdin.is_terminal {
            return Err(Error::usage_hint(
                "no INPUT, and standard input is a terminal",
                "name a file: mapfold run wordcount book.txt",
            ));
        }
        if stdin.is_closed {
            return Err(Error::usage_hint(
                "no INPUT, and standard input is closed",
                "name a file: mapfold run wordcount book.txt",
            ));
        }
        found.inputs.push(Input::Source(Source::stdin()));
    }
    for name in names {
        found.add(name)?;
    }
    look_at(&found.inputs)
}

#[derive(Default)]
struct Found {
    stdin: Stdin,
    inputs: Vec<Input>,
}

/// What was found under a name.
#[derive(Clone, PartialEq)]
enum Input {
    Source(Source),
    /// A regular file, to be looked at.
    Regular(PathBuf),
}

/// Files that are worth a thread to look at them.
const WORTHWHILE: usize = 1000;

/// Looks at the regular files among `inputs`: thousands of files take long, so several threads do it.
fn look_at(inputs: &[Input]) -> Result<Vec<Source>> {
    let worthwhile = inputs.len() / WORTHWHILE;
    // To ask how many there could be takes longer than to look at a few files.
    let most = if worthwhile > 1 { thread::available_parallelism().map_or(1, |n| n.get()) } else { 1 };
    let threads = most.min(worthwhile).max(1);
    let (mine, others) = inputs.split_at(inputs.len().div_ceil(threads));
    let look = |inputs: &[Input]| -> Result<Vec<Source>> {
        let mut devices = Devices::default();
        inputs
            .iter()
            .map(|input| match input {
                Input::Source(source) => Ok(source.clone()),
                Input::Regular(path) => regular(path, &mut devices),
            })
            .collect()
    };
    thread::scope(|scope| {
        let others: Vec<_> = others
            .chunks(mine.len().max(1))
            .map(|inputs| (inputs, thread::Builder::new().spawn_scoped(scope, move || look(inputs))))
            .collect();
        let mut sources = look(mine)?;
        for (inputs, thread) in others {
            // Where no thread is to be had this one does it.
            let looked = thread.map_or_else(|_| look(inputs), |thread| thread.join().expect("looking doesn't panic"));
            sources.append(&mut looked?);
        }
        Ok(sources)
    })
}

/// Devices seen, and whether their files have contents that their metadata doesn't tell (/proc, /sys).
#[derive(Default)]
struct Devices(Vec<(u64, bool)>);

impl Devices {
    /// Whether the file system makes up its files as they are read, so that they can't be mapped.
    fn is_virtual(&mut self, file: &File, device: u64) -> bool {
        const PROC: FsWord = PROC_SUPER_MAGIC;
        const SYS: FsWord = 0x6265_6572;
        if let Some((_, known)) = self.0.iter().find(|(seen, _)| *seen == device) {
            return *known;
        }
        let is = rustix::fs::fstatfs(file).is_ok_and(|found| matches!(found.f_type, PROC | SYS));
        self.0.push((device, is));
        is
    }
}

fn regular(path: &Path, devices: &mut Devices) -> Result<Source> {
    let look = || -> io::Result<(File, Stat, [u8; ENOUGH], usize)> {
        let file = File::open(path)?;
        let found = rustix::fs::fstat(&file)?;
        let mut start = [0; ENOUGH];
        let read = file.read_at(&mut start, 0)?;
        Ok((file, found, start, read))
    };
    let (file, found, start, read) = look().map_err(|e| unreadable(path, &e))?;
    let codec = match packing(&start[..read]) {
        Packing::Plain | Packing::Undecided => None,
        Packing::Packed(codec) => Some(codec),
        Packing::Refused(unread) => return Err(unread.refuse(path)),
    };
    let grows_when_read = found.st_size == 0 && read > 0;
    Ok(match grows_when_read || devices.is_virtual(&file, found.st_dev) {
        true => Source::stream(path),
        false => Source::of(path, &found, codec),
    })
}

impl Found {
    fn add(&mut self, name: &Path) -> Result<()> {
        if name.as_os_str() == "-" {
            return self.add_stdin();
        }
        if name.as_os_str().is_empty() {
            return Err(Error::usage("an INPUT is the empty string"));
        }
        match fs::metadata(name) {
            Ok(metadata) => self.add_path(name, &metadata),
            // A link to nothing has its very name, and is no pattern.
            Err(e) if fs::symlink_metadata(name).is_ok() => Err(unreadable(name, &e)),
            Err(e) => {
                match name.to_str().filter(|text| text.contains(['*', '?', '['])).map(|text| (text, Pattern::new(text)))
                {
                    Some((text, Ok(_))) => self.add_glob(text),
                    Some((_, Err(pattern))) => {
                        Err(Error::usage(format!("{}: no such file, and as a glob: {}", shown(name), pattern.msg)))
                    }
                    None => Err(missing(name, &e)),
                }
            }
        }
    }

    fn add_stdin(&mut self) -> Result<()> {
        if self.stdin.held_spec {
            return Err(Error::usage_hint(
                "standard input can't be both the spec and an INPUT",
                "put the spec in a file: mapfold run ./spec.json -",
            ));
        }
        if self.stdin.is_closed {
            return Err(Error::usage("standard input is named as an INPUT, and is closed"));
        }
        let source = Input::Source(Source::stdin());
        if self.inputs.contains(&source) {
            return Err(Error::usage_hint(
                "standard input is named twice, and can be read once",
                "a file named - is ./-",
            ));
        }
        self.inputs.push(source);
        Ok(())
    }

    fn add_path(&mut self, path: &Path, metadata: &Metadata) -> Result<()> {
        if metadata.is_dir() { self.add_directory(path) } else { self.add_file(path, metadata) }
    }

    /// Named in so many words, or matched by a glob: of any kind.
    fn add_file(&mut self, path: &Path, metadata: &Metadata) -> Result<()> {
        let kind = metadata.file_type();
        if kind.is_file() {
            self.inputs.push(Input::Regular(path.to_owned()));
            return Ok(());
        }
        if kind.is_socket() {
            return Err(Error::usage(format!("{}: is a socket, which can't be read as a file", shown(path))));
        }
        // Opening a FIFO would wait for its writer, and reading it here would lose what was read.
        rustix::fs::access(path, rustix::fs::Access::READ_OK).map_err(|e| unreadable(path, &e.into()))?;
        let source = Input::Source(Source::stream(path));
        if kind.is_fifo() && self.inputs.contains(&source) {
            return Err(Error::usage(format!("{}: is a FIFO named twice, and can be read once", shown(path))));
        }
        self.inputs.push(source);
        Ok(())
    }

    /// The regular files below, links to such included, in the byte order of their paths.
    fn add_directory(&mut self, root: &Path) -> Result<()> {
        let mut files = Vec::new();
        for entry in WalkDir::new(root).into_iter().filter_entry(is_visible) {
            let entry = entry.map_err(|e| {
                let path = e.path().unwrap_or(root).to_owned();
                unreadable(&path, &e.into_io_error().unwrap_or_else(|| io::Error::other("file system loop")))
            })?;
            let path = entry.path();
            let kind = entry.file_type();
            let is_file =
                kind.is_file() || kind.is_symlink() && fs::metadata(path).map_err(|e| unreadable(path, &e))?.is_file();
            if is_file {
                files.push(entry.into_path());
            }
        }
        if files.is_empty() {
            return Err(Error::usage_hint(
                format!("{}: a directory without files", shown(root)),
                "names that start with . or _ and links to directories are passed over",
            ));
        }
        files.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
        self.inputs.extend(files.into_iter().map(Input::Regular));
        Ok(())
    }

    /// As the shell expands it, and in byte order: a leading dot must be written. `**` crosses directories.
    fn add_glob(&mut self, pattern: &str) -> Result<()> {
        let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
        // At the end of a pattern `**` means what lies below, files too; the crate would stop at directories.
        let deep = pattern == "**" || pattern.ends_with("/**");
        let whole = if deep { format!("{pattern}/*") } else { pattern.to_owned() };
        let matches = glob::glob_with(&whole, options).map_err(|e| Error::usage(format!("{pattern}: {}", e.msg)))?;
        let mut paths =
            matches.map(|found| found.map_err(|e| unreadable(e.path(), e.error()))).collect::<Result<Vec<_>>>()?;
        if paths.is_empty() {
            return Err(Error::usage_hint(
                format!("{}: no such file, and as a glob it matches none", shown(pattern)),
                "in a glob * and ? stand for any characters but /, ** for any directories",
            ));
        }
        paths.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
        paths.dedup();
        // `logs/**` matches a directory and also what lies in it, which the directory stands for already.
        let mut roots: Vec<PathBuf> = Vec::new();
        for path in paths {
            let metadata = fs::metadata(&path).map_err(|e| unreadable(&path, &e))?;
            if roots.iter().any(|root| path.starts_with(root)) {
                continue;
            }
            self.add_path(&path, &metadata)?;
            if metadata.is_dir() {
                roots.push(path);
            }
        }
        Ok(())
    }
}

/// The directory that was named always is; in it, names that start with `.` or `_` are not.
fn is_visible(entry: &DirEntry) -> bool {
    entry.depth() == 0 || !matches!(entry.file_name().as_bytes().first(), Some(b'.' | b'_'))
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn unreadable(path: &Path, e: &io::Error) -> Error {
    Error::usage(format!("{}: {}", shown(path), reason(e)))
}

fn missing(path: &Path, e: &io::Error) -> Error {
    let message = format!("{}: {}", shown(path), reason(e));
    match similar_sibling(path) {
        Some(right) if e.kind() == io::ErrorKind::NotFound => {
            Error::usage_hint(message, format!("did you mean {}?", shown(right)))
        }
        _ => Error::usage(message),
    }
}

/// The entry of the same directory whose name is nearest.
fn similar_sibling(path: &Path) -> Option<PathBuf> {
    /// A directory larger than this isn't searched to the end for a hint.
    const MOST: usize = 10_000;
    let name = path.file_name()?.to_str()?;
    let mut names: Vec<_> = fs::read_dir(parent(path))
        .ok()?
        .take(MOST)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let right = nearest(name, names.iter().map(String::as_str))?;
    Some(path.with_file_name(right))
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
