//! What a run shares with the code that watches it, such as the signal handler and the progress display: the way to
//! stop the run, and how far it has come.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::data::temporary::Temporaries;
use crate::error::{Error, Result};
use crate::input::Watch;
use crate::output::TerminalGuard;
use crate::panics::lock;
use crate::units::Span;

/// The way to stop a run, and how far it has come.
#[derive(Debug)]
pub struct Control {
    /// When the run was asked for. Deadlines count from here.
    pub begun: Instant,
    /// Number of the signal that asked the run to end; 0 for none. An `Arc`, so that a signal handler can hold it.
    pub signal: Arc<AtomicUsize>,
    pub progress: Progress,
    /// How the result is written to a terminal.
    pub aside: TerminalGuard,
    /// Files that the run removes before it returns. If the run gets stuck in a system call, its watcher removes them.
    pub temporaries: Temporaries,
    /// Warns the user while the run goes on.
    pub warn: fn(&str),
    limit: OnceLock<Limit>,
}

/// The time after which the run fails if it isn't done.
#[derive(Clone, Copy, Debug)]
struct Limit {
    after: Span,
    /// Time added for a run that answers from what it has read by `after`.
    reserve: Option<Span>,
}

/// The reserve of a run that may answer late, because its estimate was a little wrong or the machine is busy: a
/// `RESERVE`th of its time, and at least `LEAST_RESERVE` seconds.
const RESERVE: u64 = 10;
const LEAST_RESERVE: u64 = 2;

impl Default for Control {
    fn default() -> Self {
        Control::new(TerminalGuard::default())
    }
}

impl Control {
    /// The control of a run that is asked for now.
    pub fn new(aside: TerminalGuard) -> Self {
        Control {
            begun: Instant::now(),
            signal: Arc::default(),
            progress: Progress::default(),
            aside,
            temporaries: Temporaries::default(),
            warn: |_| {},
            limit: OnceLock::new(),
        }
    }

    /// Sets a limit: the run fails if it isn't done `after` it was asked for. Only the first limit counts.
    pub fn limit(&self, after: Span) {
        let _ = self.limit.set(Limit { after, reserve: None });
    }

    /// Sets a limit for a run that answers from what it has read by then. The answer may take a little longer: the
    /// reserve.
    pub fn limit_of_answer(&self, after: Span) {
        let reserve = Span::seconds((after.duration().as_secs() / RESERVE).max(LEAST_RESERVE));
        let _ = self.limit.set(Limit { after, reserve: Some(reserve) });
    }

    /// Fails once a signal asked the run to end, or its time is over. Workers call this every few milliseconds.
    pub fn check(&self) -> Result<()> {
        Error::unless_interrupted(&self.signal)?;
        let Some(&Limit { after, reserve }) = self.limit.get() else { return Ok(()) };
        let most = after.duration() + reserve.map_or(Duration::ZERO, Span::duration);
        match reserve {
            _ if self.begun.elapsed() < most => Ok(()),
            Some(reserve) => Err(Error::Overdue { after, reserve }),
            None => Err(Error::Deadline { after }),
        }
    }
}

/// Bytes done and to do in each phase.
#[derive(Debug, Default)]
pub struct Progress {
    pub map: Meter,
    pub reduce: Meter,
    pub output: Meter,
    /// Bytes of input that the finished map attempts have read. Later phases are predicted from them.
    pub in_runs: AtomicU64,
    /// The pace of the last sample of reduce work.
    pub sample: LastPace,
    /// The watch of the streams' readers, once they read.
    watch: Mutex<Option<Arc<Watch>>>,
}

impl Progress {
    /// Sets the watch: the streams' readers begin.
    pub fn reads(&self, watch: Arc<Watch>) {
        *lock(&self.watch) = Some(watch);
    }

    /// Returns the sources that are waited for and have delivered nothing for `time`.
    pub fn silent(&self, time: Duration) -> Vec<usize> {
        let watch = lock(&self.watch).clone();
        watch.map_or_else(Vec::new, |watch| watch.silent(time))
    }
}

/// How long one worker took per byte in the last sample of a later phase's work.
#[derive(Debug, Default)]
pub struct LastPace {
    /// The seconds per byte, as the bits of an `f64`; 0 before there is a sample.
    seconds_a_byte: AtomicU64,
}

impl LastPace {
    pub fn note(&self, took: Duration, bytes: u64) {
        if bytes > 0 {
            self.seconds_a_byte.store((took.as_secs_f64() / bytes as f64).to_bits(), Ordering::Relaxed);
        }
    }

    pub fn seconds_a_byte(&self) -> Option<f64> {
        let seconds = f64::from_bits(self.seconds_a_byte.load(Ordering::Relaxed));
        (seconds > 0.0).then_some(seconds)
    }
}

/// The progress of a phase in bytes. `total` is 0 if unknown: streams have no known length, and nothing may be mapped
/// yet. Before the phase begins, `total` is a prediction.
#[derive(Debug, Default)]
pub struct Meter {
    pub begun: AtomicBool,
    pub done: AtomicU64,
    pub total: AtomicU64,
}

impl Meter {
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes back bytes of an attempt that doesn't count.
    pub fn take_back(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Adds bytes that a map attempt made for a later phase.
    pub fn expect_more(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Begins the phase, which has `bytes` to do.
    pub fn begin(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
        self.begun.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_reserve() {
        let (fails, answers) = (Control::default(), Control::default());
        let after: Span = "1ms".parse().unwrap();
        fails.limit(after);
        answers.limit_of_answer(after);
        // The first limit stays.
        answers.limit(after);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(fails.check().unwrap_err().to_string(), "the job was not done after 1ms");
        assert!(answers.check().is_ok());
        std::thread::sleep(Duration::from_secs(LEAST_RESERVE));
        let error = answers.check().unwrap_err();
        assert_eq!((&*error.to_string(), error.hint()), ("the job was not done after 1ms, nor 2s later", None));
        answers.signal.store(15, Ordering::Relaxed);
        assert_eq!(answers.check().unwrap_err().exit_code(), 143);
    }
}
