//! One attempt at reading a source. An [`Origin`] opens the source and appends its bytes without decompressing them. It
//! tells the caller which descriptors to poll, so that no read blocks.
//!
//! ```text
//! regular file ──────────────────────────────► read: always ready
//! regular file that may hang ─► carrier ─pipe─┐
//! stdin, FIFO, device ────────────────────────┼─► polled, then read
//! command ─────────────────────────────pipe───┘
//! ```
//!
//! The system can't limit the time that a read of a regular file takes: poll says that the file is ready, and the read
//! hangs. So a thread of its own, the carrier, copies the file into a pipe. If that thread never comes back, it is left
//! alone.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::codec::UnsupportedCodec;
use super::command::Running;
use super::planned::{self, cut_shorter};
use super::{ReadLimits, Source, failed};
use crate::error::{Error, may_pass, reason, shown};
use crate::failpoint::{self, Point};
use crate::panics::{self, lock};

/// How long a stream must have nothing before it counts as having nothing more for the moment.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    More,
    End,
    /// Nothing was read: the reader was asked to stop.
    Stopped,
}

/// Why a source can't be read any further.
#[derive(Debug)]
pub enum Failure {
    Io(io::Error),
    /// The source's time is over.
    Late,
    /// A command could not be started.
    Start(io::Error),
    /// A command didn't end with exit status 0.
    Command(String),
    /// The bytes differ from those that were handed over before.
    OtherBytes,
    Packed(UnsupportedCodec),
    /// A zstd frame with so large a window needs more memory than the decoder may take: `needs` in all.
    Window {
        window: u64,
        needs: u64,
    },
    /// An error that is already complete.
    Known(Error),
}

impl Failure {
    /// Whether another attempt at the same source may succeed.
    pub fn may_pass(&self) -> bool {
        match self {
            Failure::Io(error) | Failure::Start(error) => may_pass(error),
            Failure::Command(_) => true,
            Failure::Known(error) => error.may_pass(),
            Failure::Late | Failure::OtherBytes | Failure::Packed(_) | Failure::Window { .. } => false,
        }
    }

    /// Makes the failure an error. `at` is the byte of the source where it happened, and `read` is how many bytes were
    /// read, both before decompression.
    pub fn into_error(self, source: &Source, at: u64, read: u64) -> Error {
        let name = || shown(source.path());
        match self {
            Failure::Io(error) => failed(source)(at, error),
            Failure::Late => {
                let after = source.timeout().expect("only what has a timeout is late");
                Error::TimedOut { name: name(), after, read }
            }
            Failure::Start(error) => {
                Error::Source { name: name(), why: format!("cannot be started: {}", reason(&error)) }
            }
            Failure::Command(why) => Error::Source { name: name(), why },
            Failure::OtherBytes => {
                Error::OtherBytes { name: name(), is_command: matches!(source, Source::Command { .. }) }
            }
            Failure::Packed(unread) => unread.refuse(source),
            Failure::Window { window, needs } => Error::Window { name: name(), window, needs },
            Failure::Known(error) => error,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Known(error)
    }
}

/// What one attempt reads a source's bytes from.
#[derive(Debug)]
pub enum Origin {
    /// A file that is always ready. `left` is for a file that may have grown: its bytes, as of the planning, that
    /// weren't read yet.
    File {
        file: File,
        left: Option<u64>,
    },
    Polled(File),
    Carried(Carried),
    /// A path that didn't answer when the job was planned. There is nothing to wait for.
    Silent,
    Command(Box<Running>),
}

impl Origin {
    pub fn open(source: &Source) -> Result<Origin, Failure> {
        Ok(match source {
            Source::File { reach: ReadLimits { may_hang: true, .. }, .. }
            | Source::Stream { reach: ReadLimits { may_hang: true, .. }, .. } => {
                Origin::Carried(Carried::begin(source)?)
            }
            // Unbuffered, because the reads are large.
            Source::File { len, .. } => Origin::File { file: planned::open(source, 0)?, left: Some(*len) },
            Source::Silent { timeout: Some(_), .. } => return Err(Failure::Late),
            Source::Silent { timeout: None, .. } => Origin::Silent,
            Source::Stdin { .. } => polled(io::stdin().as_fd().try_clone_to_owned()?.into())?,
            Source::Stream { path, .. } => {
                // NONBLOCK: opening a FIFO doesn't wait for its writer. Poll reports nothing until a writer has come.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
                polled(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?.into())?
            }
            Source::Command { command, .. } => Origin::Command(Box::new(Running::start(command)?)),
        })
    }

    /// Whether poll says when the origin is ready. Any other origin is always ready, or its reads hang.
    pub fn can_be_waited_for(&self) -> bool {
        !matches!(self, Origin::File { .. } | Origin::Silent)
    }

    /// The descriptors to wait for before calling [`go_on`](Self::go_on).
    pub fn awaited(&self) -> [Option<BorrowedFd<'_>>; 2] {
        match self {
            Origin::File { .. } | Origin::Silent => [None; 2],
            Origin::Polled(file) => [Some(file.as_fd()), None],
            Origin::Carried(carried) => [Some(carried.pipe.as_fd()), None],
            Origin::Command(command) => command.awaited(),
        }
    }

    /// How often to look again, if the origin waits for something that poll can't be asked about.
    pub fn looks_again_after(&self) -> Option<Duration> {
        match self {
            Origin::Command(command) => command.looks_again_after(),
            _ => None,
        }
    }

    /// Does what can be done without waiting. `is_ready` says which of the [awaited](Self::awaited) descriptors are
    /// ready. Appends what one read gives, as much as `out` has room for. `None` if there is nothing to report yet.
    pub fn go_on(&mut self, is_ready: [bool; 2], out: &mut Vec<u8>) -> Result<Option<Got>, Failure> {
        match self {
            Origin::File { file, left } => Ok(Some(read_file(file, out, left)?)),
            Origin::Command(command) => command.go_on(is_ready, out),
            Origin::Polled(file) if is_ready[0] => read_polled(file, out),
            Origin::Carried(carried) if is_ready[0] => match read_polled(&carried.pipe, out)? {
                Some(Got::End) => carried.end().map(Some),
                got => Ok(got),
            },
            Origin::Polled(_) | Origin::Carried(_) => Ok(None),
            Origin::Silent => Ok(Some(Got::Stopped)),
        }
    }

    /// Checks that a file, which was read up to `at`, is still as planned.
    pub fn check(&self, source: &Source, at: u64) -> Result<(), Error> {
        match self {
            Origin::File { file, .. } => planned::check(source, file, at),
            // The carrier checks its file itself.
            Origin::Carried(_) | Origin::Polled(_) | Origin::Silent | Origin::Command(_) => Ok(()),
        }
    }

    /// Whether the origin has nothing to read for a moment.
    pub fn waits(&self) -> io::Result<bool> {
        let Some(fd) = self.awaited()[0] else { return Ok(self.can_be_waited_for()) };
        match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&MOMENT)) {
            Ok(ready) => Ok(ready == 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Makes an origin of an open stream. Poll is asked about it, unless it is a regular file. A regular file is always
/// ready, whatever poll says: files of /proc answer poll in their own ways.
fn polled(file: File) -> io::Result<Origin> {
    let found = rustix::fs::fstat(&file)?;
    Ok(match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Origin::File { file, left: None },
        _ => Origin::Polled(file),
    })
}

fn read_file(file: &File, out: &mut Vec<u8>, left: &mut Option<u64>) -> io::Result<Got> {
    let before = out.len();
    loop {
        failpoint::hit(Point::InputRead)?;
        match rustix::io::read(file, spare_capacity(out)) {
            Ok(0) if left.is_some_and(|left| left > 0) => return Err(cut_shorter()),
            Ok(0) => return Ok(Got::End),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(left) = left {
        let got = ((out.len() - before) as u64).min(*left);
        *left -= got;
        out.truncate(before + got as usize);
    }
    Ok(if out.len() > before { Got::More } else { Got::End })
}

fn read_polled(from: &impl AsFd, out: &mut Vec<u8>) -> Result<Option<Got>, Failure> {
    failpoint::hit(Point::InputRead)?;
    match rustix::io::read(from, spare_capacity(out)) {
        Ok(0) => Ok(Some(Got::End)),
        Ok(_) => Ok(Some(Got::More)),
        // Another reader took the bytes first.
        Err(Errno::INTR | Errno::AGAIN) => Ok(None),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// A file that a thread, the carrier, copies into a pipe.
#[derive(Debug)]
pub struct Carried {
    pipe: PipeReader,
    failed: Arc<Mutex<Option<Failure>>>,
}

impl Carried {
    fn begin(source: &Source) -> io::Result<Carried> {
        let (pipe, to) = io::pipe()?;
        let failed = Arc::new(Mutex::new(None));
        let (source, slot) = (source.clone(), failed.clone());
        thread::Builder::new().name("carrier".into()).spawn(move || {
            // A carrier that ended without an error would look like the end of the file.
            let task = || format!("reader of {}", source.name());
            let carried = panics::caught(task, || Ok(carry(&source, &to)));
            if let Err(error) = carried.unwrap_or_else(|panic| Err(panic.into())) {
                *lock(&slot) = Some(error);
            }
            // The pipe is closed after the error is stored, because the reader looks for an error at the pipe's end.
            drop(to);
        })?;
        Ok(Carried { pipe, failed })
    }

    fn end(&self) -> Result<Got, Failure> {
        match lock(&self.failed).take() {
            Some(failure) => Err(failure),
            None => Ok(Got::End),
        }
    }
}

fn carry(source: &Source, mut to: &PipeWriter) -> Result<(), Failure> {
    const AT_ONCE: usize = 256 << 10;
    let (file, mut left) = match source {
        Source::File { len, .. } => (planned::open(source, 0)?, Some(*len)),
        _ => (File::open(source.path())?, None),
    };
    let mut bytes = Vec::with_capacity(AT_ONCE);
    while read_file(&file, &mut bytes, &mut left)? != Got::End {
        match to.write_all(&bytes) {
            // Nobody wants more of the file.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        bytes.clear();
    }
    Ok(planned::check(source, &file, 0)?)
}
