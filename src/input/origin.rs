//! Where the bytes of an open source come from, as they are.
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

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::codec::Unread;
use super::command::Running;
use super::gauge::Gauge;
use super::planned::{self, cut_shorter};
use super::wait::{Stop, Woken, wait};
use super::{Reach, Source};
use crate::error::Error;
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
    /// A command ended otherwise than well.
    Command(String),
    Packed(Unread),
    /// It isn't what was planned any more.
    Planned(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Planned(error)
    }
}

#[derive(Debug)]
pub struct Origin {
    kind: Kind,
    gauge: Gauge,
}

#[derive(Debug)]
enum Kind {
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
        let gauge = Gauge::start(source.timeout());
        let kind = match source {
            Source::File { reach: Reach { may_hang: true, .. }, .. }
            | Source::Stream { reach: Reach { may_hang: true, .. }, .. } => Kind::Carried(Carried::begin(source)?),
            // Unbuffered: what is wanted is large.
            Source::File { len, .. } => Kind::File { file: planned::open(source, 0)?, left: Some(*len) },
            Source::Silent { timeout: Some(_), .. } => return Err(Failure::Late),
            Source::Silent { timeout: None, .. } => Kind::Silent,
            Source::Stdin { .. } => polled(io::stdin().as_fd().try_clone_to_owned()?.into())?,
            Source::Stream { path, .. } => {
                // So that opening a FIFO doesn't wait for its writer. Until one came poll says nothing of it.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
                polled(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?.into())?
            }
            Source::Command { command, .. } => Kind::Command(Box::new(Running::start(command)?)),
        };
        Ok(Origin { kind, gauge })
    }

    pub fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    /// Appends what one read gives, as much as there is room for.
    pub fn read(&mut self, out: &mut Vec<u8>, stop: &Stop) -> Result<Got, Failure> {
        let before = out.len();
        let got = self.read_some(out, stop)?;
        if got == Got::More {
            self.gauge.advance(out.len() - before);
        }
        Ok(got)
    }

    fn read_some(&mut self, out: &mut Vec<u8>, stop: &Stop) -> Result<Got, Failure> {
        let gauge = &self.gauge;
        match &mut self.kind {
            Kind::File { .. } if stop.is_asked() => Ok(Got::Stopped),
            Kind::File { file, left } => Ok(read_file(file, out, left)?),
            Kind::Polled(file) => read_polled(file, out, stop, gauge),
            Kind::Carried(carried) => match read_polled(&carried.pipe, out, stop, gauge)? {
                Got::End => carried.end(),
                got => Ok(got),
            },
            Kind::Silent => Ok(Got::Stopped),
            Kind::Command(command) => command.read(out, stop, gauge),
        }
    }

    /// That what was read of a file, up to `at`, is what was planned.
    pub fn check(&self, source: &Source, at: u64) -> Result<(), Error> {
        match &self.kind {
            Kind::File { file, .. } => planned::check(source, file, at),
            // Who carries it looks.
            Kind::Carried(_) | Kind::Polled(_) | Kind::Silent | Kind::Command(_) => Ok(()),
        }
    }

    /// Whether there is nothing to read for a moment.
    pub fn waits(&self) -> io::Result<bool> {
        let fd: BorrowedFd<'_> = match &self.kind {
            Kind::File { .. } | Kind::Silent => return Ok(false),
            Kind::Polled(file) => file.as_fd(),
            Kind::Carried(carried) => carried.pipe.as_fd(),
            Kind::Command(command) => command.stdout(),
        };
        match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&MOMENT)) {
            Ok(ready) => Ok(ready == 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// What poll is asked about. A regular file is always ready, whatever poll says: those of /proc have ways of their own.
fn polled(file: File) -> io::Result<Kind> {
    let found = rustix::fs::fstat(&file)?;
    Ok(match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Kind::File { file, left: None },
        _ => Kind::Polled(file),
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

fn read_polled(from: &impl AsFd, out: &mut Vec<u8>, stop: &Stop, gauge: &Gauge) -> Result<Got, Failure> {
    loop {
        match wait([Some(from.as_fd())], stop, gauge, None)? {
            Woken::Stopped => return Ok(Got::Stopped),
            Woken::Late => return Err(Failure::Late),
            Woken::Ready(_) | Woken::Quiet => {}
        }
        failpoint::hit(Point::InputRead)?;
        match rustix::io::read(from, spare_capacity(out)) {
            Ok(0) => return Ok(Got::End),
            Ok(_) => return Ok(Got::More),
            // Somebody else was faster.
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

/// A file that a thread reads into a pipe.
#[derive(Debug)]
struct Carried {
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
