//! Reads a source front to back and decompresses it on the way. The first bytes of a stream say how it is compressed.

use std::io;

use super::Source;
use super::attempts::Attempts;
use super::codec::{Codec, Detected, packing};
use super::decoders::DecoderMemory;
use super::gauge::Gauge;
use super::gzip::Gzip;
use super::hedging::Retry;
use super::origin::{Failure, Got};
use super::wait::Stop;
use super::zstd::Zstd;
use crate::error::Error;

/// Compressed bytes read at once. Their decompressed bytes stay in a second-level cache until the checksum is computed.
const PACKED: usize = 64 << 10;

/// What one step of a decompressor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecompressStep {
    /// The decompressor took this many compressed bytes, or made output from earlier ones.
    Took(usize),
    /// Nothing can be done without more compressed bytes.
    More,
}

/// Why a fill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// As many bytes as were wanted were appended.
    Wanted,
    End,
    /// The stream has nothing more for the moment.
    Waits,
    /// The reader was asked to stop.
    Stopped,
}

/// An open source. Its decompressed bytes are appended to a buffer of the caller's.
#[derive(Debug)]
pub struct Input {
    raw: Raw,
    unpacker: Decompressor,
    memory: DecoderMemory,
}

#[derive(Debug)]
enum Decompressor {
    /// Decided by the first bytes, which aren't read yet.
    Unknown,
    Plain,
    Gzip(Box<Gzip>),
    Zstd(Zstd),
}

impl Decompressor {
    /// `memory` is what a decoder may take.
    fn new(codec: Option<Codec>, memory: DecoderMemory) -> io::Result<Self> {
        Ok(match codec {
            None => Decompressor::Plain,
            Some(Codec::Gzip) => Decompressor::Gzip(Box::new(Gzip::new())),
            Some(Codec::Zstd) => Decompressor::Zstd(Zstd::new(memory)?),
        })
    }
}

impl Input {
    /// Opens a source. Nothing of a stream is read yet: its first bytes will say how it is compressed.
    pub fn open(source: &Source, retry: Retry, gauge: Gauge) -> Result<Input, Failure> {
        let memory = source.decoder();
        let unpacker = match source {
            Source::File { codec, .. } => Decompressor::new(*codec, memory)?,
            Source::Stream { .. } | Source::Silent { .. } | Source::Stdin { .. } | Source::Command { .. } => {
                Decompressor::Unknown
            }
        };
        Ok(Input { raw: Raw::new(Attempts::begin(source, retry, gauge)?), unpacker, memory })
    }

    /// Bytes of the source, before decompression, that were taken.
    pub fn position(&self) -> u64 {
        self.raw.taken
    }

    /// Checks that a file that was read is still as planned.
    pub fn check(&self) -> Result<(), Error> {
        self.raw.from.check(self.position())
    }

    /// Bytes of the source, before decompression, that were read, whether taken or not.
    pub fn bytes_read(&self) -> u64 {
        self.raw.taken + self.raw.held().len() as u64
    }

    pub fn gauge(&self) -> &Gauge {
        self.raw.from.gauge()
    }

    /// Counts the source among those of `retry`'s run from now on.
    pub fn join(&mut self, retry: Retry) {
        self.raw.from.join(retry);
    }

    /// Appends about `wanted` bytes to `out`. Appends fewer if the source ends, if the reader is to stop, or if the
    /// stream has nothing more for the moment and `may_wait` says that what `out` holds is worth handing over.
    pub fn fill(
        &mut self,
        out: &mut Vec<u8>,
        wanted: usize,
        may_wait: impl Fn(&[u8]) -> bool,
        stop: &Stop,
    ) -> Result<Filled, Failure> {
        let full = out.len() + wanted;
        loop {
            // A read may give more than is wanted, if `out` has room for more.
            let left = full.saturating_sub(out.len());
            if left == 0 {
                return Ok(Filled::Wanted);
            }
            // A small input needs no large buffer.
            if out.capacity() - out.len() < left.min(PACKED) {
                out.reserve_exact(left.min(out.len().max(PACKED)));
            }
            let step = match &mut self.unpacker {
                Decompressor::Unknown => {
                    let codec = match packing(self.raw.held()) {
                        Detected::Compressed(codec) => Some(codec),
                        Detected::Plain => None,
                        Detected::Undecided if self.raw.has_ended => None,
                        Detected::Undecided => match self.raw.more(stop)? {
                            Got::Stopped => return Ok(Filled::Stopped),
                            Got::More | Got::End => continue,
                        },
                        Detected::Refused(unread) => return Err(Failure::Packed(unread)),
                    };
                    self.unpacker = Decompressor::new(codec, self.memory)?;
                    continue;
                }
                Decompressor::Plain if self.raw.held().is_empty() => DecompressStep::More,
                Decompressor::Plain => {
                    let first = &self.raw.held()[..left.min(self.raw.held().len())];
                    out.extend_from_slice(first);
                    DecompressStep::Took(first.len())
                }
                Decompressor::Gzip(gzip) => gzip.step(self.raw.held(), out)?,
                Decompressor::Zstd(zstd) => zstd.step(self.raw.held(), out)?,
            };
            if let DecompressStep::Took(bytes) = step {
                self.raw.take(bytes);
                continue;
            }
            if !self.raw.has_ended && may_wait(out) && self.raw.from.waits()? {
                return Ok(Filled::Waits);
            }
            let got = match self.unpacker {
                Decompressor::Plain => self.raw.read_to(out, stop)?,
                _ => self.raw.more(stop)?,
            };
            match got {
                Got::More => {}
                Got::Stopped => return Ok(Filled::Stopped),
                Got::End => {
                    match &mut self.unpacker {
                        Decompressor::Unknown | Decompressor::Plain => {}
                        Decompressor::Gzip(gzip) => gzip.end(self.raw.held())?,
                        Decompressor::Zstd(zstd) => {
                            let rest = zstd.rest(self.raw.held())?;
                            self.raw.take(rest);
                            zstd.end()?;
                        }
                    }
                    return Ok(Filled::End);
                }
            }
        }
    }
}

/// A source before decompression.
#[derive(Debug)]
struct Raw {
    from: Attempts,
    /// Bytes that were read. Those from `at` on aren't taken yet.
    bytes: Vec<u8>,
    at: usize,
    taken: u64,
    /// Whether the source has ended. A terminal may go on after its end, but it isn't read any further.
    has_ended: bool,
}

impl Raw {
    fn new(from: Attempts) -> Self {
        Raw { from, bytes: Vec::new(), at: 0, taken: 0, has_ended: false }
    }

    fn held(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn take(&mut self, bytes: usize) {
        self.at += bytes;
        self.taken += bytes as u64;
    }

    /// Reads more bytes and appends them to what is held.
    fn more(&mut self, stop: &Stop) -> Result<Got, Failure> {
        if self.has_ended {
            return Ok(Got::End);
        }
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.reserve_exact(PACKED);
        let got = self.from.read(&mut self.bytes, stop)?;
        self.has_ended = got == Got::End;
        Ok(got)
    }

    /// Reads directly into `out`. Nothing must be held.
    fn read_to(&mut self, out: &mut Vec<u8>, stop: &Stop) -> Result<Got, Failure> {
        if self.has_ended {
            return Ok(Got::End);
        }
        let before = out.len();
        let got = self.from.read(out, stop)?;
        self.taken += (out.len() - before) as u64;
        self.has_ended = got == Got::End;
        Ok(got)
    }
}
