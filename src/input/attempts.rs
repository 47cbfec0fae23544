//! Reads a source's bytes in as many attempts as needed. [`Attempts`] hands over each byte once, even if attempts fail
//! or one runs beside another.
//!
//! ```text
//! attempt 0 ─ handed over ────────╳ failed
//! attempt 1   ╰─ skipped, compared by its checksum ─┴─ handed over ──┬──────────► the end: won
//! attempt 2                             begun beside it: slow        ╰─ skipped ► lost
//! ```
//!
//! If a source can be read again, an attempt that fails for a reason that may pass is followed by another attempt,
//! which reads from the source's beginning. The new attempt skips the bytes that were handed over before. It may do so
//! only if they have the checksum of the bytes that were handed over: a source that gives other bytes the second time
//! is an error. So the bytes themselves needn't be kept. A slow source gets a second attempt beside the first
//! ([`hedging`](super::hedging) says when). The attempt that is further ahead hands over its bytes, and the first
//! attempt to reach the end wins.

use std::io;

use super::Source;
use super::gauge::Gauge;
use super::hedging::{Decision, Hedge, Retry};
use super::origin::{Failure, Got, Origin};
use super::wait::{Stop, Woken, wait};
use crate::error::{Error, shown};
use crate::report::event::ReadStep;

/// The attempts at reading one source, which together hand over each byte once.
#[derive(Debug)]
pub struct Attempts {
    source: Source,
    retry: Retry,
    gauge: Gauge,
    /// Attempts that are running: one, or two while one runs beside another.
    going: Vec<Attempt>,
    begun: u32,
    failures: Vec<Error>,
    given: Prefix,
    /// Set while there are two attempts.
    hedge: Option<Hedge>,
    was_hedged: bool,
}

#[derive(Debug)]
struct Attempt {
    number: u32,
    origin: Origin,
    place: Progress,
}

/// How far an attempt has come.
#[derive(Debug)]
enum Progress {
    /// The attempt has read exactly what was handed over.
    Level,
    /// The attempt has read `read`, which is less than was handed over. `known` is a prefix that was handed over. When
    /// the attempt has read as many bytes as that, the two must be the same.
    Behind { read: Prefix, known: Prefix },
}

/// The first bytes of a source: their number, and their checksum if the source may be read again.
#[derive(Clone, Debug, Default)]
struct Prefix {
    bytes: u64,
    sum: crc32fast::Hasher,
}

impl Prefix {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sum.update(bytes);
    }

    fn is_same(&self, other: &Prefix) -> bool {
        self.bytes == other.bytes && self.sum.clone().finalize() == other.sum.clone().finalize()
    }
}

impl Progress {
    /// Returns how many of the `next` bytes were handed over before. `given` is all that was handed over.
    fn pass(&mut self, next: &[u8], given: &Prefix) -> Result<usize, Failure> {
        let mut passed = 0;
        while let Progress::Behind { read, known } = self {
            let left = usize::try_from(known.bytes - read.bytes).unwrap_or(usize::MAX);
            let len = left.min(next.len() - passed);
            read.add(&next[passed..passed + len]);
            passed += len;
            if len < left {
                break;
            }
            if !read.is_same(known) {
                return Err(Failure::OtherBytes);
            }
            match known.bytes == given.bytes {
                true => *self = Progress::Level,
                false => *known = given.clone(),
            }
        }
        Ok(passed)
    }
}

impl Attempts {
    pub fn begin(source: &Source, retry: Retry, gauge: Gauge) -> Result<Attempts, Failure> {
        let mut attempts = Attempts {
            source: source.unbegun(),
            retry,
            gauge,
            going: Vec::new(),
            begun: 0,
            failures: Vec::new(),
            given: Prefix::default(),
            hedge: None,
            was_hedged: false,
        };
        attempts.attempt()?;
        Ok(attempts)
    }

    pub fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    /// Counts the source among those of `retry`'s run from now on.
    pub fn join(&mut self, retry: Retry) {
        self.retry = retry;
        if self.gauge.first_byte().is_some() {
            self.retry.brought(&self.gauge);
        }
    }

    /// Appends what one read gives, as much as `out` has room for. There must be room for at least one byte.
    pub fn read(&mut self, out: &mut Vec<u8>, stop: &Stop) -> Result<Got, Failure> {
        let before = out.len();
        loop {
            match self.go_on(out, stop)? {
                Some(Got::More) => {
                    let is_first = self.gauge.first_byte().is_none();
                    self.gauge.advance(out.len() - before);
                    if is_first {
                        self.retry.brought(&self.gauge);
                    }
                    return Ok(Got::More);
                }
                Some(got) => return Ok(got),
                None => {}
            }
        }
    }

    /// Checks that a file, which was read up to `at`, is still as planned.
    pub fn check(&self, at: u64) -> Result<(), Error> {
        self.going.iter().try_for_each(|attempt| attempt.origin.check(&self.source, at))
    }

    /// Whether the source has nothing to read for a moment.
    pub fn waits(&self) -> io::Result<bool> {
        let level = self.going.iter().find(|attempt| matches!(attempt.place, Progress::Level));
        level.map_or(Ok(true), |attempt| attempt.origin.waits())
    }

    fn may_be_read_again(&self) -> bool {
        self.retry.attempts() > 1 && self.source.can_be_read_again()
    }

    /// Waits, and then does what can be done without waiting. `None` if there is nothing to hand over yet.
    fn go_on(&mut self, out: &mut Vec<u8>, stop: &Stop) -> Result<Option<Got>, Failure> {
        let is_ready = match self.wait(stop)? {
            Woken::Ready(is_ready) => is_ready,
            Woken::Quiet => [false; 4],
            Woken::Stopped => return Ok(Some(Got::Stopped)),
            Woken::Late => return Err(Failure::Late),
        };
        let before = out.len();
        for at in 0..self.going.len() {
            let got = self.going[at].origin.go_on([is_ready[2 * at], is_ready[2 * at + 1]], out);
            let handed_over = got.and_then(|got| match got {
                Some(Got::More) => Ok(self.hand_over(at, out, before)?.then_some(Got::More)),
                Some(Got::End) => self.end(at).map(Some),
                got => Ok(got),
            });
            match handed_over {
                Ok(None) => {}
                Ok(got) => return Ok(got),
                Err(failure) => {
                    out.truncate(before);
                    self.fail(at, failure)?;
                    // The attempts after the failed one have moved to other indices.
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Waits until an attempt can go on. Hedges the source if it keeps the reader waiting too long.
    fn wait(&mut self, stop: &Stop) -> Result<Woken<4>, Failure> {
        if self.going.iter().any(|attempt| !attempt.origin.can_be_waited_for()) {
            return Ok(if stop.is_asked() { Woken::Stopped } else { Woken::Ready([true; 4]) });
        }
        let hedged_in = match self.may_be_hedged().then(|| self.retry.decide(&self.gauge)).flatten() {
            Some(Decision::Now(hedge)) => {
                (self.hedge, self.was_hedged) = (Some(hedge), true);
                self.gauge.note(self.begun, ReadStep::Speculated);
                self.attempt()?;
                None
            }
            Some(Decision::Later(wait)) => Some(wait),
            None => None,
        };
        let looks = self.going.iter().filter_map(|attempt| attempt.origin.looks_again_after());
        let most = looks.chain(hedged_in).min();
        let fds = |at: usize| self.going.get(at).map_or([None; 2], |attempt| attempt.origin.awaited());
        let [one, other] = [fds(0), fds(1)];
        Ok(wait([one[0], one[1], other[0], other[1]], stop, &self.gauge, most)?)
    }

    fn may_be_hedged(&self) -> bool {
        self.going.len() == 1 && !self.was_hedged && self.may_be_read_again() && self.begun < self.retry.attempts()
    }

    /// Removes the bytes that were handed over before from what attempt `at` has read, which begins at `before`.
    /// Returns whether new bytes are left.
    fn hand_over(&mut self, at: usize, out: &mut Vec<u8>, before: usize) -> Result<bool, Failure> {
        let passed = self.going[at].place.pass(&out[before..], &self.given)?;
        out.drain(before..before + passed);
        if out.len() == before {
            return Ok(false);
        }
        if !self.may_be_read_again() {
            // The source isn't read again, so the checksum isn't needed.
            self.given.bytes += (out.len() - before) as u64;
            return Ok(true);
        }
        let was = self.given.clone();
        self.given.add(&out[before..]);
        for (other, attempt) in self.going.iter_mut().enumerate() {
            if other != at && matches!(attempt.place, Progress::Level) {
                attempt.place = Progress::Behind { read: was.clone(), known: self.given.clone() };
            }
        }
        Ok(true)
    }

    /// Ends the source, because attempt `at` has come to its end.
    fn end(&mut self, at: usize) -> Result<Got, Failure> {
        if let Progress::Behind { .. } = self.going[at].place {
            return Err(Failure::OtherBytes);
        }
        self.going.swap(0, at);
        if self.begun > 1 {
            self.gauge.note(self.going[0].number, ReadStep::Won);
        }
        for lost in self.going.drain(1..) {
            self.gauge.note(lost.number, ReadStep::Lost);
        }
        self.hedge = None;
        Ok(Got::End)
    }

    /// Begins another attempt; and further ones if that fails and no other attempt is running.
    fn attempt(&mut self) -> Result<(), Failure> {
        loop {
            let number = self.begun;
            self.begun += 1;
            match Origin::open(&self.source) {
                Ok(origin) => {
                    let place = match self.given.bytes {
                        0 => Progress::Level,
                        _ => Progress::Behind { read: Prefix::default(), known: self.given.clone() },
                    };
                    self.going.push(Attempt { number, origin, place });
                    return Ok(());
                }
                Err(failure) => self.note_failed(number, failure)?,
            }
            if !self.going.is_empty() {
                self.hedge = None;
                return Ok(());
            }
        }
    }

    /// Handles a failure of attempt `at`: another attempt goes on, or a new one is begun.
    fn fail(&mut self, at: usize, failure: Failure) -> Result<(), Failure> {
        let Attempt { number, origin, .. } = self.going.remove(at);
        drop(origin);
        self.hedge = None;
        self.note_failed(number, failure)?;
        if self.going.is_empty() { self.attempt() } else { Ok(()) }
    }

    /// Notes that an attempt failed. Returns an error if the failure can't pass, or if no other attempt is running or
    /// may be made.
    fn note_failed(&mut self, number: u32, failure: Failure) -> Result<(), Failure> {
        let may_pass = failure.may_pass();
        let error = failure.into_error(&self.source, self.given.bytes, self.given.bytes);
        self.gauge.note(number, ReadStep::Failed(error.to_string()));
        self.failures.push(error);
        let goes_on = !self.going.is_empty() || (self.may_be_read_again() && self.begun < self.retry.attempts());
        if may_pass && goes_on {
            return Ok(());
        }
        let (task, causes) = (format!("reading {}", shown(self.source.path())), std::mem::take(&mut self.failures));
        Err(Failure::Known(Error::of_attempts(task, None, causes, may_pass)))
    }
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
