//! What a source holds, read front to back and unpacked on the way.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::codec::{Codec, Packing, packing};
use super::gzip::Gzip;
use super::planned::{self, cut_shorter};
use super::zstd::Zstd;
use super::{Source, failed};
use crate::error::Result;

/// How long a stream has nothing before it is held to have nothing more for the moment.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Packed bytes read at once: what comes of them stays in a second-level cache until it is summed.
const PACKED: usize = 64 << 10;

/// What an unpacker did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many packed bytes were taken, or something was made of earlier ones.
    Took(usize),
    /// Nothing can be done without more of them.
    More,
}

/// Why no more was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// As much as was wanted.
    Wanted,
    End,
    /// The stream has nothing more for the moment.
    Waits,
}

/// An open source. What it holds is appended to memory of the caller's.
#[derive(Debug)]
pub struct Input {
    raw: Raw,
    unpacker: Unpacker,
    /// A terminal may go on after its end: here it doesn't.
    has_ended: bool,
}

#[derive(Debug)]
enum Unpacker {
    Plain,
    Gzip(Box<Gzip>),
    Zstd(Zstd),
}

impl Unpacker {
    fn new(codec: Option<Codec>) -> io::Result<Self> {
        Ok(match codec {
            None => Unpacker::Plain,
            Some(Codec::Gzip) => Unpacker::Gzip(Box::new(Gzip::new())),
            Some(Codec::Zstd) => Unpacker::Zstd(Zstd::new()?),
        })
    }
}

impl Input {
    /// Waits for the first bytes of a stream, which say how it is packed.
    pub fn open(source: &Source) -> Result<Input> {
        let failed = failed(source);
        // Unbuffered: what is wanted is large.
        let file = match source {
            Source::File { .. } => planned::open(source, 0)?,
            Source::Stdin { .. } => io::stdin().as_fd().try_clone_to_owned().map_err(|e| failed(0, e))?.into(),
            Source::Stream { path, .. } => File::open(path).map_err(|e| failed(0, e))?,
        };
        let (raw, codec) = match source {
            Source::File { codec, len, .. } => (Raw::new(file, Some(*len)), *codec),
            Source::Stdin { .. } | Source::Stream { .. } => {
                let mut raw = Raw::new(file, None);
                let codec = loop {
                    match packing(raw.held()) {
                        Packing::Packed(codec) => break Some(codec),
                        Packing::Plain => break None,
                        Packing::Refused(unread) => return Err(unread.refuse(source.path())),
                        Packing::Undecided if raw.more().map_err(|e| failed(0, e))? => {}
                        Packing::Undecided => break None,
                    }
                };
                (raw, codec)
            }
        };
        Ok(Input { raw, unpacker: Unpacker::new(codec).map_err(|e| failed(0, e))?, has_ended: false })
    }

    /// How many bytes of the source, packed as they are, were taken.
    pub fn position(&self) -> u64 {
        self.raw.taken
    }

    /// That what was read of a file is what was planned.
    pub fn check(&self, source: &Source) -> Result<()> {
        planned::check(source, &self.raw.file, self.position())
    }

    /// Appends about `wanted` bytes; less, where the stream has nothing more for the moment and `may_wait` says that what
    /// `out` holds is worth handing over.
    pub fn fill(&mut self, out: &mut Vec<u8>, wanted: usize, may_wait: impl Fn(&[u8]) -> bool) -> io::Result<Filled> {
        let full = out.len() + wanted;
        loop {
            // More may come where there is room for more.
            let left = full.saturating_sub(out.len());
            if left == 0 {
                return Ok(Filled::Wanted);
            }
            if self.has_ended {
                return Ok(Filled::End);
            }
            // A small input asks for no large memory.
            if out.capacity() - out.len() < left.min(PACKED) {
                out.reserve_exact(left.min(out.len().max(PACKED)));
            }
            let step = match &mut self.unpacker {
                Unpacker::Plain if self.raw.held().is_empty() => Step::More,
                Unpacker::Plain => {
                    let first = &self.raw.held()[..left.min(self.raw.held().len())];
                    out.extend_from_slice(first);
                    Step::Took(first.len())
                }
                Unpacker::Gzip(gzip) => gzip.step(self.raw.held(), out)?,
                Unpacker::Zstd(zstd) => zstd.step(self.raw.held(), out)?,
            };
            if let Step::Took(bytes) = step {
                self.raw.take(bytes);
                continue;
            }
            if may_wait(out) && self.raw.waits()? {
                return Ok(Filled::Waits);
            }
            self.has_ended = match self.unpacker {
                Unpacker::Plain => !self.raw.read_to(out)?,
                _ => !self.raw.more()?,
            };
            if self.has_ended {
                match &self.unpacker {
                    Unpacker::Plain => {}
                    Unpacker::Gzip(gzip) => gzip.end(self.raw.held())?,
                    Unpacker::Zstd(zstd) => zstd.end()?,
                }
            }
        }
    }
}

/// Bytes of a source as they are.
#[derive(Debug)]
struct Raw {
    file: File,
    /// Read; from `at` on not yet taken.
    bytes: Vec<u8>,
    at: usize,
    taken: u64,
    /// Of a regular file, which may have grown: bytes that it had when it was planned and that weren't read yet.
    left: Option<u64>,
}

impl Raw {
    fn new(file: File, left: Option<u64>) -> Self {
        Raw { file, bytes: Vec::new(), at: 0, taken: 0, left }
    }

    fn held(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn take(&mut self, bytes: usize) {
        self.at += bytes;
        self.taken += bytes as u64;
    }

    /// Whether there is nothing to read for a moment.
    fn waits(&self) -> io::Result<bool> {
        let mut ready = [PollFd::new(&self.file, PollFlags::IN)];
        match poll(&mut ready, Some(&MOMENT)) {
            Ok(ready) => Ok(ready == 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads more behind what is held. False at the end.
    fn more(&mut self) -> io::Result<bool> {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.reserve_exact(PACKED);
        read(&self.file, &mut self.bytes, &mut self.left)
    }

    /// Reads on into `out`, past what is held, which is nothing.
    fn read_to(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let before = out.len();
        let is_more = read(&self.file, out, &mut self.left)?;
        self.taken += (out.len() - before) as u64;
        Ok(is_more)
    }
}

/// Appends what one read gives. False at the end.
fn read(file: &File, out: &mut Vec<u8>, left: &mut Option<u64>) -> io::Result<bool> {
    let before = out.len();
    loop {
        match rustix::io::read(file, spare_capacity(out)) {
            Ok(0) if left.is_some_and(|left| left > 0) => return Err(cut_shorter()),
            Ok(0) => return Ok(false),
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
    Ok(out.len() > before)
}
