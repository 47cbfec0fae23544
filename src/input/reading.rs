//! A source that is being read. A [`Reading`] holds the decompressed bytes that were read and not handed on yet. The
//! first record may be read before the job runs; what was read then is kept for the job.

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

/// Bytes of a source, decompressed and without its byte order mark, from `offset` on.
#[derive(Debug)]
pub struct Reading {
    input: Input,
    /// Offset of `bytes` in the decompressed source, counting the byte order mark.
    pub offset: u64,
    pub bytes: Vec<u8>,
}

impl Reading {
    /// Continues the begun reading of the source, if there is one; otherwise opens the source. Calls `watch` with the
    /// reading's gauge before anything is opened.
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

    /// Stops the source's clock: time in which nobody reads doesn't count as the source's.
    pub fn stop_waiting(&self) {
        self.gauge().pause();
    }

    pub fn go_on_waiting(&self) {
        self.gauge().go_on();
    }

    /// The gauge of what the source has given so far.
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
        // Enough bytes to recognise a byte order mark.
        let wanted = if is_start { wanted.max(4) } else { wanted };
        let filled = self.input.fill(&mut self.bytes, wanted, may_wait, stop);
        if let Ok(Filled::End) | Err(_) = filled {
            // Checked first: if the bytes are of two files, a decompression error says nothing.
            self.input.check()?;
        }
        let (position, read) = (self.input.position(), self.input.bytes_read());
        let filled = filled.map_err(|failure| failure.into_error(source, position, read))?;
        if is_start {
            self.offset = self.bytes.drain(..mark_len(&self.bytes)).len() as u64;
        }
        Ok(filled)
    }

    /// Bytes of the source, before decompression, that were read and consumed.
    pub fn position(&self) -> u64 {
        self.input.position()
    }

    /// Takes out the first `len` bytes. The other bytes move to `memory`, which stays here in exchange for the old
    /// buffer.
    pub fn split_off(&mut self, len: usize, mut memory: Vec<u8>) -> Vec<u8> {
        memory.clear();
        memory.extend_from_slice(&self.bytes[len..]);
        let mut first = mem::replace(&mut self.bytes, memory);
        first.truncate(len);
        self.offset += len as u64;
        first
    }
}

/// The beginning of a source that can be read only once, if it was needed before the job runs. A value doesn't know its
/// source: all values are equal.
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
    /// Returns the source's first record, with its terminator if it has one, decompressed and without a byte order
    /// mark. The record is empty if the source is empty, and has at most about `longest` bytes. This waits for a
    /// stream, and keeps what it read of the stream for the job. `None` if it was asked to stop before; the stream is
    /// ended then.
    pub fn head(&self, end_of: RecordEnd, retry: Retry, stop: &Stop) -> Result<Option<Vec<u8>>> {
        const FIRST: usize = 4 << 10;
        let longest = usize::try_from(end_of.longest).unwrap_or(usize::MAX);
        // Checked first, because starting a command takes long.
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

    /// Counts the newlines in the decompressed source before `offset`, for a message. Reads the source again. `None` if
    /// the source isn't [at hand](Self::is_at_hand).
    pub fn lines_before(&self, offset: u64) -> Result<Option<u64>> {
        if !self.is_at_hand() {
            return Ok(None);
        }
        let mut lines = 0;
        self.pass(offset, |bytes| {
            lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
            Ok(())
        })?;
        Ok(Some(lines))
    }

    /// Reads `len` bytes of the decompressed source again, from `offset` on, and hands them to `put` little by little.
    /// The source must be a file that is [at hand](Self::is_at_hand).
    pub(super) fn read_anew(&self, offset: u64, len: usize, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (end, mut at) = (offset + len as u64, 0);
        let input = self.pass(end, |next| {
            let skipped = usize::try_from(offset.saturating_sub(at)).map_or(next.len(), |skip| skip.min(next.len()));
            at += next.len() as u64;
            put(&next[skipped..])
        })?;
        input.check()?;
        match at == end {
            true => Ok(()),
            false => Err(super::failed(self)(input.position(), cut_shorter())),
        }
    }

    /// Reads the decompressed source again, from its beginning up to `end`.
    fn pass(&self, end: u64, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<Input> {
        let stop = Stop::new().map_err(|e| super::failed(self)(0, e))?;
        let gauge = Gauge::start(self.timeout());
        let mut input = Input::open(self, Retry::never(), gauge).map_err(|failure| failure.into_error(self, 0, 0))?;
        let (mut bytes, mut left) = (Vec::new(), end);
        while left > 0 {
            bytes.clear();
            let filled = input.fill(&mut bytes, left.min(1 << 20) as usize, |_| false, &stop);
            let filled = filled.map_err(|failure| failure.into_error(self, input.position(), input.bytes_read()))?;
            let before = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            each(before)?;
            left -= before.len() as u64;
            if filled == Filled::End {
                break;
            }
        }
        Ok(input)
    }

    /// Whether the source can be read as often as needed and never has to be waited for.
    pub fn is_at_hand(&self) -> bool {
        self.is_file() && !self.may_wait()
    }
}
