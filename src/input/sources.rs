//! Resolves what the user named as input (files, directories, globs, `-` and commands) to sources.
//!
//! The rules are those of a Unix tool. The order is kept, and an input that is named twice is read twice. A directory
//! stands for its files in the byte order of their paths. A glob stands for what the shell would expand it to. Every
//! error that can be found without reading the data is found here, so that a job doesn't fail on its last file.
//!
//! A path with a timeout may hang as soon as it is looked at. So threads of their own look at all such paths at once. A
//! path that doesn't answer in time becomes [`Source::Silent`].

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};
use glob::{MatchOptions, Pattern};
use rustix::fs::Stat;
use walkdir::{DirEntry, WalkDir};

use super::codec::{Codec, Detected, ENOUGH, packing};
use super::decoders::DecoderMemory;
use super::devices::{Devices, FileSystem};
use super::written::Input;
use super::{Begun, Patience, ReadLimits, Source, command, zstd};
use crate::data::path::parent;
use crate::error::{Error, Result, nearest, reason, shown};
use crate::failpoint::{self, Point};
use crate::panics;
use crate::units::Span;

/// What is known about standard input before it is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdin {
    /// Standard input is a terminal: nothing was redirected to it.
    pub is_terminal: bool,
    /// The process was started without standard input.
    pub is_closed: bool,
    /// The spec was read from standard input.
    pub held_spec: bool,
}

/// Returns the sources that `inputs` stand for, or standard input if there are none. `patience` says how long to wait
/// for paths that may hang.
pub fn resolve(inputs: &[Input], stdin: Stdin, patience: &Patience<'_>) -> Result<Vec<Source>> {
    let mut found = Found { stdin, ..Found::default() };
    if inputs.is_empty() {
        if stdin.held_spec {
            return Err(Error::usage_hint(
                "there is no INPUT, and standard input has the spec",
                "name a file: mapfold run - FILE",
            ));
        }
        if stdin.is_terminal {
            return Err(Error::usage_hint(
                "there is no INPUT, and standard input is a terminal",
                "name a file: mapfold run wordcount book.txt",
            ));
        }
        if stdin.is_closed {
            return Err(Error::usage_hint(
                "there is no INPUT, and standard input is closed",
                "name a file: mapfold run wordcount book.txt",
            ));
        }
        found.entries.push(Entry::Source(Source::stdin()));
    }
    // All looks begin before the first is waited for.
    let looks = inputs.iter().map(|input| Look::begin(input, stdin)).collect::<Result<Vec<_>>>()?;
    for (input, look) in inputs.iter().zip(looks) {
        match (input, look) {
            (_, Some(look)) => look.found(patience)?.into_iter().try_for_each(|source| found.push(source))?,
            (Input::Name(name) | Input::Path { path: name, .. }, None) => found.add(name)?,
            (Input::Command(written), None) => {
                command::check(written)?;
                found.entries.push(Entry::Source(Source::command(written.clone())));
            }
        }
    }
    look_at(&found.entries)
}

#[derive(Default)]
struct Found {
    stdin: Stdin,
    /// The timeout of the input that is being looked at.
    timeout: Option<Span>,
    entries: Vec<Entry>,
}

/// What was found under a name.
#[derive(Clone)]
enum Entry {
    Source(Source),
    /// A regular file that is yet to be looked at, and its timeout.
    Regular(PathBuf, Option<Span>),
}

/// Number of files that is worth another thread to look at them.
const WORTHWHILE: usize = 1000;

/// Looks at the regular files among `entries`, and returns all entries as sources. Looking at thousands of files takes
/// long, so several threads share them.
fn look_at(entries: &[Entry]) -> Result<Vec<Source>> {
    let worthwhile = entries.len() / WORTHWHILE;
    // Asking for the number of processors takes longer than looking at a few files.
    let most = if worthwhile > 1 { thread::available_parallelism().map_or(1, |n| n.get()) } else { 1 };
    let threads = most.min(worthwhile).max(1);
    let (mine, others) = entries.split_at(entries.len().div_ceil(threads));
    let look = |entries: &[Entry]| -> Result<Vec<Source>> {
        let mut devices = Devices::default();
        entries
            .iter()
            .map(|entry| match entry {
                Entry::Source(source) => Ok(source.clone()),
                Entry::Regular(path, timeout) => regular(path, *timeout, &mut devices),
            })
            .collect()
    };
    thread::scope(|scope| {
        let others: Vec<_> = others
            .chunks(mine.len().max(1))
            .map(|entries| (entries, thread::Builder::new().spawn_scoped(scope, move || look(entries))))
            .collect();
        let mut sources = look(mine)?;
        for (entries, thread) in others {
            // If the thread couldn't be started, this thread does its work.
            let looked = thread.map_or_else(|_| look(entries), |thread| thread.join().expect("looking doesn't panic"));
            sources.append(&mut looked?);
        }
        Ok(sources)
    })
}

fn regular(path: &Path, timeout: Option<Span>, devices: &mut Devices) -> Result<Source> {
    let look = || -> io::Result<(File, Stat, [u8; ENOUGH], usize)> {
        let file = File::open(path)?;
        let found = rustix::fs::fstat(&file)?;
        let mut start = [0; ENOUGH];
        let read = file.read_at(&mut start, 0)?;
        Ok((file, found, start, read))
    };
    let (file, found, start, read) = look().map_err(|e| unreadable(path, &e))?;
    let codec = match packing(&start[..read]) {
        Detected::Plain | Detected::Undecided => None,
        Detected::Compressed(codec) => Some(codec),
        Detected::Refused(unread) => return Err(unread.refuse(&Source::stream(path))),
    };
    let grows_when_read = found.st_size == 0 && read > 0;
    let file_system = devices.file_system(&file, found.st_dev);
    let may_hang = timeout.is_some() || file_system == FileSystem::MayHang;
    let decoder = match codec {
        None => DecoderMemory::default(),
        Some(Codec::Gzip) => DecoderMemory::of(None),
        Some(Codec::Zstd) => DecoderMemory::of(zstd::first_frame(&file).map_err(|e| unreadable(path, &e))?),
    };
    let reach = ReadLimits { may_hang, timeout, decoder };
    Ok(match grows_when_read || file_system == FileSystem::Virtual {
        true => stream(path, reach),
        false => Source::of(path, &found, codec, reach),
    })
}

fn limits(timeout: Option<Span>) -> ReadLimits {
    ReadLimits { timeout, ..ReadLimits::default() }
}

fn stream(path: &Path, reach: ReadLimits) -> Source {
    Source::Stream { path: path.to_owned(), begun: Begun::default(), reach }
}

/// A look at an input that has a timeout, as [`Found::add`] would do it. A thread does it that may never come back.
struct Look {
    path: PathBuf,
    timeout: Span,
    end: Option<Instant>,
    sources: Receiver<Result<Vec<Source>>>,
}

impl Look {
    /// Begins to look. `None` for an input without a timeout.
    fn begin(input: &Input, stdin: Stdin) -> Result<Option<Look>> {
        let Input::Path { path, timeout: Some(timeout) } = input else { return Ok(None) };
        let mut found = Found { stdin, timeout: Some(*timeout), entries: Vec::new() };
        let name = path.to_owned();
        let mut look = move || {
            failpoint::hit(Point::InputLook).map_err(|e| unreadable(&name, &e))?;
            found.add(&name).and_then(|()| look_at(&found.entries))
        };
        let task = format!("looking at {}", shown(path));
        let (to, sources) = bounded(1);
        let look = move || drop(to.send(panics::caught(|| task, &mut look)));
        let end = Instant::now().checked_add(timeout.duration());
        let looking = thread::Builder::new().name("look".into()).spawn(look);
        looking.map_err(|e| Error::usage(format!("cannot start a thread: {}", reason(&e))))?;
        Ok(Some(Look { path: path.to_owned(), timeout: *timeout, end, sources }))
    }

    fn found(self, patience: &Patience<'_>) -> Result<Vec<Source>> {
        let Look { path, timeout, end, sources } = self;
        patience.wait(&sources, end)?.unwrap_or_else(|| {
            let is_its_own = end.is_some_and(|end| end <= Instant::now());
            Ok(vec![Source::Silent { path, timeout: is_its_own.then_some(timeout) }])
        })
    }
}

impl Found {
    /// Adds a source. A source that can be read only once must not be named twice.
    fn push(&mut self, source: Source) -> Result<()> {
        let is_there = |is_same: &dyn Fn(&Source) -> bool| {
            self.entries.iter().any(|entry| matches!(entry, Entry::Source(other) if is_same(other)))
        };
        match &source {
            Source::Stdin { .. } if is_there(&|other| matches!(other, Source::Stdin { .. })) => {
                return Err(Error::usage_hint(
                    "standard input is named twice, but can be read only once",
                    "to read a file named -, write ./-",
                ));
            }
            Source::Stream { path, .. }
                if is_there(&|other| matches!(other, Source::Stream { path: other, .. } if other == path))
                    && is_fifo(path) =>
            {
                return Err(Error::usage(format!(
                    "{}: is a FIFO that is named twice, but can be read only once",
                    shown(path)
                )));
            }
            _ => {}
        }
        self.entries.push(Entry::Source(source));
        Ok(())
    }

    fn add(&mut self, name: &Path) -> Result<()> {
        if name.as_os_str() == "-" {
            return self.add_stdin();
        }
        if name.as_os_str().is_empty() {
            return Err(Error::usage("an INPUT is the empty string"));
        }
        match fs::metadata(name) {
            Ok(metadata) => self.add_path(name, &metadata),
            // A link to nothing exists under exactly this name, so the name isn't a pattern.
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
        self.push(Source::Stdin { begun: Begun::default(), reach: limits(self.timeout) })
    }

    fn add_path(&mut self, path: &Path, metadata: &Metadata) -> Result<()> {
        if metadata.is_dir() { self.add_directory(path) } else { self.add_file(path, metadata) }
    }

    /// Adds a file of any kind that was named itself or matched by a glob.
    fn add_file(&mut self, path: &Path, metadata: &Metadata) -> Result<()> {
        let kind = metadata.file_type();
        if kind.is_file() {
            self.entries.push(Entry::Regular(path.to_owned(), self.timeout));
            return Ok(());
        }
        if kind.is_socket() {
            return Err(Error::usage(format!("{}: is a socket, which can't be read as a file", shown(path))));
        }
        // Opening a FIFO would wait for its writer, and what was read here would be lost.
        rustix::fs::access(path, rustix::fs::Access::READ_OK).map_err(|e| unreadable(path, &e.into()))?;
        self.push(stream(path, limits(self.timeout)))
    }

    /// Adds the regular files below `root`, including links to regular files, in the byte order of their paths.
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
                format!("{}: is a directory without files", shown(root)),
                "names that start with . or _ and links to directories are skipped",
            ));
        }
        files.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
        let timeout = self.timeout;
        self.entries.extend(files.into_iter().map(|file| Entry::Regular(file, timeout)));
        Ok(())
    }

    /// Adds what the shell would expand `pattern` to, in byte order. A leading dot must be written. `**` crosses
    /// directories.
    fn add_glob(&mut self, pattern: &str) -> Result<()> {
        let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
        // `**` at the end of a pattern means everything below, including files. The crate would match only directories.
        let deep = pattern == "**" || pattern.ends_with("/**");
        let whole = if deep { format!("{pattern}/*") } else { pattern.to_owned() };
        let matches = glob::glob_with(&whole, options).map_err(|e| Error::usage(format!("{pattern}: {}", e.msg)))?;
        let mut paths =
            matches.map(|found| found.map_err(|e| unreadable(e.path(), e.error()))).collect::<Result<Vec<_>>>()?;
        if paths.is_empty() {
            return Err(Error::usage_hint(
                format!("{}: no such file, and as a glob it matches no file", shown(pattern)),
                "in a glob * and ? stand for any characters but /, ** for any directories",
            ));
        }
        paths.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
        paths.dedup();
        // `logs/**` matches a directory and also what lies in it, but the directory already stands for that.
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

/// Whether a directory's entry is visible. The named directory itself always is. Entries in it whose names start with
/// `.` or `_` are not.
fn is_visible(entry: &DirEntry) -> bool {
    entry.depth() == 0 || !matches!(entry.file_name().as_bytes().first(), Some(b'.' | b'_'))
}

fn is_fifo(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
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

/// Returns the entry of the same directory whose name is nearest to that of `path`.
fn similar_sibling(path: &Path) -> Option<PathBuf> {
    /// Entries of a directory that are searched for a hint, at most.
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
