//! A source that is being read: what was read of it and not handed on yet, and the records that it begins with.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex};

use super::gauge::Gauge;
use super::hedging::Retry;
use super::planned::cut_shorter;
use super::unpack::{Filled, Input};
use super::wait::Stop;
use super::{RecordEnd, Source, mark_len};
use crate::error::Result;
use crate::panics::lock;

/// Bytes of a source, unpacked and without its byte order mark, from `offset` on.
#[derive(Debug)]
pub struct Reading {
    input: Input,
    /// Where `bytes` begin in what the source holds, its mark included.
    pub offset: u64,
    pub bytes: Vec<u8>,
}

impl Reading {
    /// Goes on with what was begun of the source, if it was. `watch` has its gauge before anything is opened.
    pub fn go_on(source: &Source, retry: Retry, watch: impl FnOnce(&Gauge)) -> Result<Self> {
        if let Some(mut begun) = source.begun().and_then(Begun::take) {
            watch(begun.gauge());
            begun.input.join(retry);
            begun.go_on_waiting();
            return Ok(begun);
        }
        let gauge = Gauge::start(source.timeout());
        watch(&gauge);
        let input = Input::open(source, retry, gauge).map_err(|failure| failure.into_error(source, 0, 0))?;
        Ok(Reading { input, offset: 0, bytes: Vec::new() })
    }

    /// The time for which nobody reads doesn't count as the source's.
    pub fn stop_waiting(&self) {
        self.gauge().pause();
    }

    pub fn go_on_waiting(&self) {
        self.gauge().go_on();
    }

    /// What it gave so far.
    pub fn gauge(&self) -> &Gauge {
        self.input.gauge()
    }

    /// Reads about `wanted` bytes more, as [`Input::fill`] does.
    pub fn fill(
        &mut self,
        source: &Source,
        wanted: usize,
        may_wait: impl Fn(&[u8]) -> bool,
        stop: &Stop,
    ) -> Result<Filled> {
        let is_start = self.offset == 0 && self.bytes.is_empty();
        // Enough to know a mark.
        let wanted = if is_start { wanted.max(4) } else { wanted };
        let filled = self.input.fill(&mut self.bytes, wanted, may_wait, stop);
        if let Ok(Filled::End) | Err(_) = filled {
            // First: how the bytes of two files can't be unpacked says nothing.
            self.input.check()?;
        }
        let (position, read) = (self.input.position(), self.input.bytes_read());
        let filled = filled.map_err(|failure| failure.into_error(source, position, read))?;
        if is_start {
            self.offset = self.bytes.drain(..mark_len(&self.bytes)).len() as u64;
        }
        Ok(filled)
    }

    /// Bytes of the source, packed as they are, that were read.
    pub fn position(&self) -> u64 {
        self.input.position()
    }

    /// Takes the first `len` bytes out; `memory` becomes what holds the others, and is given in exchange for it.
    pub fn split_off(&mut self, len: usize, mut memory: Vec<u8>) -> Vec<u8> {
        memory.clear();
        memory.extend_from_slice(&self.bytes[len..]);
        let mut first = mem::replace(&mut self.bytes, memory);
        first.truncate(len);
        self.offset += len as u64;
        first
    }
}

/// The beginning of what can be read but once, where it was needed before the job runs. Which source it is of is not its
/// business: all are equal.
#[derive(Clone, Default)]
pub struct Begun(Arc<Mutex<Option<Reading>>>);

impl Begun {
    pub(super) fn take(&self) -> Option<Reading> {
        lock(&self.0).take()
    }

    fn keep(&self, reading: Reading) {
        reading.stop_waiting();
        *lock(&self.0) = Some(reading);
    }
}

impl PartialEq for Begun {
    fn eq(&self, _: &Begun) -> bool {
        true
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Begun")
    }
}

impl Source {
    /// The source's first record, with its end if it has one, unpacked and without a byte order mark: nothing if the source
    /// is empty, and no more than about `longest` bytes. What is read of a stream here, which this waits for, is kept for
    /// the job. `None` where it is to stop before: then the stream is ended.
    pub fn head(&self, end_of: RecordEnd, retry: Retry, stop: &Stop) -> Result<Option<Vec<u8>>> {
        const FIRST: usize = 4 << 10;
        let longest = usize::try_from(end_of.longest).unwrap_or(usize::MAX);
        // A command takes long to be started.
        if stop.is_asked() {
            return Ok(None);
        }
        let mut reading = Reading::go_on(self, retry, |_| {})?;
        let head = loop {
            let has_end = |held: &[u8]| end_of.framing.first_end(held).is_some();
            let bytes = &reading.bytes;
            match end_of.framing.first_end(bytes) {
                Some(end) => break bytes[..end].to_vec(),
                None if bytes.len() >= longest => break bytes.clone(),
                None => {}
            }
            let wanted = reading.bytes.len().max(FIRST);
            match reading.fill(self, wanted, has_end, stop)? {
                Filled::Stopped => return Ok(None),
                Filled::End => {
                    let end = end_of.framing.first_end(&reading.bytes).unwrap_or(reading.bytes.len());
                    break reading.bytes[..end].to_vec();
                }
                Filled::Wanted | Filled::Waits => {}
            }
        };
        if let Some(begun) = self.begun() {
            begun.keep(reading);
        }
        Ok(Some(head))
    }

    /// How many newlines what the source holds has before `offset`, a place in it: read anew, for a message. `None` for what
    /// isn't [at hand](Self::is_at_hand).
    pub fn lines_before(&self, offset: u64) -> Result<Option<u64>> {
        if !self.is_at_hand() {
            return Ok(None);
        }
        let mut lines = 0;
        self.pass(offset, |bytes| lines += memchr::memchr_iter(b'\n', bytes).count() as u64)?;
        Ok(Some(lines))
    }

    /// `len` of the bytes that it holds, from `offset` on. Of a file that is [at hand](Self::is_at_hand).
    pub(super) fn read_anew(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let (mut bytes, mut at) = (Vec::with_capacity(len), 0);
        let input = self.pass(offset + len as u64, |next| {
            let skipped = usize::try_from(offset.saturating_sub(at)).map_or(next.len(), |skip| skip.min(next.len()));
            bytes.extend_from_slice(&next[skipped..]);
            at += next.len() as u64;
        })?;
        input.check()?;
        match bytes.len() == len {
            true => Ok(bytes),
            false => Err(super::failed(self)(input.position(), cut_shorter())),
        }
    }

    /// Reads what the source holds from its beginning up to `end`, anew.
    fn pass(&self, end: u64, mut each: impl FnMut(&[u8])) -> Result<Input> {
        let stop = Stop::new().map_err(|e| super::failed(self)(0, e))?;
        let gauge = Gauge::start(self.timeout());
        let mut input = Input::open(self, Retry::never(), gauge).map_err(|failure| failure.into_error(self, 0, 0))?;
        let (mut bytes, mut left) = (Vec::new(), end);
        while left > 0 {
            bytes.clear();
            let filled = input.fill(&mut bytes, left.min(1 << 20) as usize, |_| false, &stop);
            let filled = filled.map_err(|failure| failure.into_error(self, input.position(), input.bytes_read()))?;
            let before = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            each(before);
            left -= before.len() as u64;
            if filled == Filled::End {
                break;
            }
        }
        Ok(input)
    }

    /// Whether it can be read as often as is needed, and never has to be waited for.
    pub fn is_at_hand(&self) -> bool {
        self.is_file() && !self.may_wait()
    }
}
