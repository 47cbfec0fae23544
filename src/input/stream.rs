//! Sources that can only be read front to back: stdin, FIFOs, devices.
//!
//! A thread of their own reads them, so that no pool task ever waits for a source, and hands over blocks of whole
//! records through a bounded channel: when the map is behind, the reader waits, and with it whoever writes.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crossbeam_channel::{Receiver, Sender, bounded};

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

/// Starts the thread that reads the streams among `sources`, in order, in blocks of about `block` bytes. The receiver
/// ends after the last block, after the first error, or after a record that was cut.
pub fn read(sources: &[Source], block: usize, end_of: RecordEnd) -> Result<Receiver<Result<StreamBlock>>> {
    let (to, blocks) = bounded(1);
    let streams: Vec<(usize, Source)> =
        sources.iter().cloned().enumerate().filter(|(_, source)| source.is_stream()).collect();
    if !streams.is_empty() {
        let reader = move || {
            for (index, source) in streams {
                if let Err(stop) = read_one(index, &source, block, end_of, &to) {
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
fn read_one(
    index: usize,
    source: &Source,
    block: usize,
    end_of: RecordEnd,
    to: &Sender<Result<StreamBlock>>,
) -> Result<(), Option<Error>> {
    let (mut from, path): (Box<dyn Read>, PathBuf) = match source {
        Source::Stdin => (Box::new(io::stdin().lock()), "stdin".into()),
        Source::Stream { path } | Source::File { path, .. } => {
            let open = File::open(path).map_err(|source| Error::Read { path: path.clone(), at: 0, source });
            (Box::new(open.map_err(Some)?), path.clone())
        }
    };
    let longest = usize::try_from(end_of.longest).unwrap_or(usize::MAX);
    let mut offset = 0;
    // Without a terminator at the beginning of every turn: part of one record.
    let mut bytes = Vec::new();
    loop {
        let part = bytes.len();
        // A record longer than the block makes it grow, though not for ever.
        let wanted = block.max((2 * part).min(longest)) - part;
        let read = from.by_ref().take(wanted as u64).read_to_end(&mut bytes);
        let got = read.map_err(|source| Some(Error::Read { path: path.clone(), at: offset, source }))?;
        if offset == 0 && part == 0 {
            refuse_compressed(&path, &bytes).map_err(Some)?;
            offset = bytes.drain(..mark_len(&bytes)).len() as u64;
        }
        let is_end = got < wanted;
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
