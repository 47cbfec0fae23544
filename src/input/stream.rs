//! Sources that can only be read front to back: stdin, FIFOs, devices.
//!
//! A thread of their own reads them, so that no pool task ever waits for a source, and hands over blocks of whole
//! records through a bounded channel: when the map is behind, the reader waits, and with it whoever writes.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::sources::refuse_compressed;
use super::{RecordEnd, Source, mark_len};
use crate::error::{Error, Result, reason};

/// Whole records of one source.
#[derive(Debug)]
pub struct StreamBlock {
    /// Index into the plan's sources.
    pub source: usize,
    /// Where in the source the block begins.
    pub offset: u64,
    pub bytes: Vec<u8>,
}

/// How streams are cut in blocks.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// About so many bytes a block.
    pub bytes: usize,
    pub end_of: RecordEnd,
    /// Whole records are handed over, however few, where the stream has nothing more for the moment.
    pub eager: bool,
}

/// How long a stream has nothing before it is held to have nothing more for the moment.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Starts the thread that reads the streams among `sources`, in order. The receiver ends after the last block, after the
/// first error, or after a record that was cut.
pub fn read(sources: &[Source], cut: Blocks) -> Result<Receiver<Result<StreamBlock>>> {
    let (to, blocks) = bounded(1);
    let streams: Vec<(usize, Source)> =
        sources.iter().cloned().enumerate().filter(|(_, source)| source.is_stream()).collect();
    if !streams.is_empty() {
        let reader = move || {
            for (index, source) in streams {
                if let Err(stop) = read_one(index, &source, cut, &to) {
                    // A receiver that is gone wants no error either.
                    stop.into_iter().for_each(|error| drop(to.send(Err(error))));
                    return;
                }
            }
        };
        std::thread::Builder::new().name("reader".into()).spawn(reader).map_err(|e| {
            let message = format!("cannot start a thread to read streams: {}", reason(&e));
            Error::usage_hint(message, "ask for fewer with --threads")
        })?;
    }
    Ok(blocks)
}

/// Reads one stream to its end. `Err(None)`: nobody receives any more, or a record was cut.
fn read_one(index: usize, source: &Source, cut: Blocks, to: &Sender<Result<StreamBlock>>) -> Result<(), Option<Error>> {
    let Blocks { bytes: block, end_of, eager } = cut;
    let path: PathBuf = if let Source::Stdin = source { "stdin".into() } else { source.path().into() };
    let failed = |at| {
        let path = path.clone();
        move |source| Some(Error::Read { path, at, source })
    };
    // Unbuffered: blocks are large.
    let from: File = match source {
        Source::Stdin => io::stdin().as_fd().try_clone_to_owned().map_err(failed(0))?.into(),
        Source::Stream { path } | Source::File { path, .. } => File::open(path).map_err(failed(0))?,
    };
    let longest = usize::try_from(end_of.longest).unwrap_or(usize::MAX);
    let mut offset = 0;
    // Without a terminator at the beginning of every turn: part of one record.
    let mut bytes = Vec::new();
    loop {
        let part = bytes.len();
        // A record longer than the block makes it grow, though not for ever.
        let wanted = block.max((2 * part).min(longest)) - part;
        let waits = |held: &[u8]| eager && memchr::memchr(end_of.terminator, &held[part..]).is_some();
        let filled = fill(&from, &mut bytes, wanted, waits).map_err(failed(offset))?;
        if offset == 0 && part == 0 {
            refuse_compressed(&path, &bytes).map_err(Some)?;
            offset = bytes.drain(..mark_len(&bytes)).len() as u64;
        }
        let is_end = filled == Filled::End;
        let (whole, is_cut) = match memchr::memrchr(end_of.terminator, &bytes[part..]) {
            _ if is_end => (bytes.len(), false),
            Some(at) => (part + at + 1, false),
            None if bytes.len() >= longest => (bytes.len(), true),
            None => continue,
        };
        let rest = bytes.split_off(whole);
        if !bytes.is_empty() {
            let len = bytes.len() as u64;
            to.send(Ok(StreamBlock { source: index, offset, bytes })).map_err(|_| None)?;
            offset += len;
        }
        if is_end {
            return Ok(());
        }
        if is_cut {
            return Err(None);
        }
        bytes = rest;
    }
}

/// Why no more was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// As much as was wanted.
    Wanted,
    End,
    /// The stream has nothing more for the moment.
    Waits,
}

/// Reads up to `wanted` bytes more; less, where the stream has nothing more for the moment and `may_wait` says that what is
/// held is worth handing over.
fn fill(from: &File, bytes: &mut Vec<u8>, wanted: usize, may_wait: impl Fn(&[u8]) -> bool) -> io::Result<Filled> {
    let full = bytes.len() + wanted;
    loop {
        // The system may give more where there is room for more.
        let left = full.saturating_sub(bytes.len());
        if left == 0 {
            return Ok(Filled::Wanted);
        }
        if may_wait(bytes) {
            let mut ready = [PollFd::new(from, PollFlags::IN)];
            match poll(&mut ready, Some(&MOMENT)) {
                Ok(0) => return Ok(Filled::Waits),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.reserve_exact(left);
        match rustix::io::read(from, spare_capacity(bytes)) {
            Ok(0) => return Ok(Filled::End),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
