//! Where the bytes of an open source come from, as they are: one attempt at reading it.
//!
//! ```text
//! regular file ──────────────────────────────► read: always there
//! regular file that may hang ─► carrier ─pipe─┐
//! stdin, FIFO, device ────────────────────────┼─► polled, then read
//! command ─────────────────────────────pipe───┘
//! ```
//!
//! A system can't be asked to wait only so long for a regular file: poll says that it is there, and the read hangs. So a
//! thread of its own carries it into a pipe, and is left alone if it never comes back.

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

use super::codec::Unread;
use super::command::Running;
use super::planned::{self, cut_shorter};
use super::{Reach, Source, failed};
use crate::error::{Error, may_pass, reason, shown};
use crate::failpoint::{self, Point};
use crate::panics::{self, lock};

/// How long a stream has nothing before it is held to have nothing more for the moment.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    More,
    End,
    /// Nothing: it was asked to stop.
    Stopped,
}

/// Why a source can't be read any further.
#[derive(Debug)]
pub enum Failure {
    Io(io::Error),
    /// Its time is over.
    Late,
    /// A command could not be started.
    Start(io::Error),
    /// A command ended otherwise than well.
    Command(String),
    /// It isn't what was handed over of it before.
    OtherBytes,
    Packed(Unread),
    /// What there is to say of it is known.
    Known(Error),
}

impl Failure {
    /// Whether another attempt at the same source may do better.
    pub fn may_pass(&self) -> bool {
        match self {
            Failure::Io(error) | Failure::Start(error) => may_pass(error),
            Failure::Command(_) => true,
            Failure::Known(error) => error.may_pass(),
            Failure::Late | Failure::OtherBytes | Failure::Packed(_) => false,
        }
    }

    /// `at` is where in the source it was, of which `read` bytes were read, packed as they are.
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

#[derive(Debug)]
pub enum Origin {
    /// Always ready. Of one that may have grown: bytes that it had when it was planned and that weren't read yet.
    File {
        file: File,
        left: Option<u64>,
    },
    Polled(File),
    Carried(Carried),
    /// There is nothing to wait for.
    Silent,
    Command(Box<Running>),
}

impl Origin {
    pub fn open(source: &Source) -> Result<Origin, Failure> {
        Ok(match source {
            Source::File { reach: Reach { may_hang: true, .. }, .. }
            | Source::Stream { reach: Reach { may_hang: true, .. }, .. } => Origin::Carried(Carried::begin(source)?),
            // Unbuffered: what is wanted is large.
            Source::File { len, .. } => Origin::File { file: planned::open(source, 0)?, left: Some(*len) },
            Source::Silent { timeout: Some(_), .. } => return Err(Failure::Late),
            Source::Silent { timeout: None, .. } => Origin::Silent,
            Source::Stdin { .. } => polled(io::stdin().as_fd().try_clone_to_owned()?.into())?,
            Source::Stream { path, .. } => {
                // So that opening a FIFO doesn't wait for its writer. Until one came poll says nothing of it.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
                polled(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?.into())?
            }
            Source::Command { command, .. } => Origin::Command(Box::new(Running::start(command)?)),
        })
    }

    /// Whether poll says when it is ready. What it isn't asked about always is, or hangs.
    pub fn can_be_waited_for(&self) -> bool {
        !matches!(self, Origin::File { .. } | Origin::Silent)
    }

    /// What to wait for, before it goes on.
    pub fn awaited(&self) -> [Option<BorrowedFd<'_>>; 2] {
        match self {
            Origin::File { .. } | Origin::Silent => [None; 2],
            Origin::Polled(file) => [Some(file.as_fd()), None],
            Origin::Carried(carried) => [Some(carried.pipe.as_fd()), None],
            Origin::Command(command) => command.awaited(),
        }
    }

    /// Where something is waited for that poll can't be asked about: how often it is to be looked.
    pub fn looks_again_after(&self) -> Option<Duration> {
        match self {
            Origin::Command(command) => command.looks_again_after(),
            _ => None,
        }
    }

    /// Does what can be done without waiting, where so much of what is awaited is ready: appends what one read gives, as much
    /// as there is room for.
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

    /// That what was read of a file, up to `at`, is what was planned.
    pub fn check(&self, source: &Source, at: u64) -> Result<(), Error> {
        match self {
            Origin::File { file, .. } => planned::check(source, file, at),
            // Who carries it looks.
            Origin::Carried(_) | Origin::Polled(_) | Origin::Silent | Origin::Command(_) => Ok(()),
        }
    }

    /// Whether there is nothing to read for a moment.
    pub fn waits(&self) -> io::Result<bool> {
        let Some(fd) = self.awaited()[0] else { return Ok(self.can_be_waited_for()) };
        match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&MOMENT)) {
            Ok(ready) => Ok(ready == 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// What poll is asked about. A regular file is always ready, whatever poll says: those of /proc have ways of their own.
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
        // Somebody else was faster.
        Err(Errno::INTR | Errno::AGAIN) => Ok(None),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// A file that a thread reads into a pipe.
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
            // One that ended without a word would look like the end of the file.
            let task = || format!("reader of {}", source.name());
            let carried = panics::caught(task, || Ok(carry(&source, &to)));
            if let Err(error) = carried.unwrap_or_else(|panic| Err(panic.into())) {
                *lock(&slot) = Some(error);
            }
            // Behind the error, which is looked for at the pipe's end.
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
            // Nobody wants more of it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        bytes.clear();
    }
    Ok(planned::check(source, &file, 0)?)
}
