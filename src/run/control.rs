//! What a run shares with whoever watches it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::data::temporary::Temporaries;
use crate::error::{Error, Result};
use crate::input::Watch;
use crate::output::Aside;
use crate::panics::lock;
use crate::units::Span;

/// The way to stop a run, and how far it has come.
#[derive(Debug)]
pub struct Control {
    /// When the run was asked for: deadlines count from here.
    pub begun: Instant,
    /// Number of the signal that asked the run to end, 0 for none. `Arc` so that a signal handler can hold it.
    pub signal: Arc<AtomicUsize>,
    pub progress: Progress,
    /// How the result is written to a terminal.
    pub aside: Aside,
    /// What the run removes before it returns. Should it never return, stuck in a system call, its watcher removes it.
    pub temporaries: Temporaries,
    limit: OnceLock<Limit>,
}

/// When the run fails if it isn't done.
#[derive(Clone, Copy, Debug)]
struct Limit {
    after: Span,
    /// And so much later, where an answer from what is read by then is on its way.
    reserve: Option<Span>,
}

/// For an answer that is foreseen a little wrong, or late as the machine has other work: a part of its time, and no less.
const RESERVE: u64 = 10;
const LEAST_RESERVE: u64 = 2;

impl Default for Control {
    fn default() -> Self {
        Control::new(Aside::default())
    }
}

impl Control {
    /// Of a run that is asked for now.
    pub fn new(aside: Aside) -> Self {
        Control {
            begun: Instant::now(),
            signal: Arc::default(),
            progress: Progress::default(),
            aside,
            temporaries: Temporaries::default(),
            limit: OnceLock::new(),
        }
    }

    /// From now on the run fails if it isn't done `after` it was asked for.
    pub fn limit(&self, after: Span) {
        let _ = self.limit.set(Limit { after, reserve: None });
    }

    /// The same, but it answers from what it has read by then, and that may take a moment longer.
    pub fn limit_of_answer(&self, after: Span) {
        let reserve = Span::seconds((after.duration().as_secs() / RESERVE).max(LEAST_RESERVE));
        let _ = self.limit.set(Limit { after, reserve: Some(reserve) });
    }

    /// Fails once a signal asked the run to end, or its time is over. Whoever works asks every few milliseconds.
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
    /// Bytes of input that the finished map attempts have read: what is foreseen of later phases comes of these.
    pub in_runs: AtomicU64,
    /// What was reduced before it was due, to see how long that takes.
    pub sample: LastPace,
    /// Of the streams, once they are read.
    watch: Mutex<Option<Arc<Watch>>>,
}

impl Progress {
    /// The streams are read, from their beginnings.
    pub fn reads(&self, watch: Arc<Watch>) {
        *lock(&self.watch) = Some(watch);
    }

    /// The sources that are waited for and have brought nothing for so long.
    pub fn silent(&self, time: Duration) -> Vec<usize> {
        let watch = lock(&self.watch).clone();
        watch.map_or_else(Vec::new, |watch| watch.silent(time))
    }
}

/// How long the last sample of a later phase's work took one worker.
#[derive(Debug, Default)]
pub struct LastPace {
    /// Bits of the seconds for a byte; 0 before there is one.
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

/// `total` is 0 where it isn't known (streams) or not yet. Before its phase has begun it is what is foreseen.
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

    /// Takes back what was added for nothing.
    pub fn take_back(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What a map attempt made for a later phase to do.
    pub fn foresee(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Begins the phase, which is to do so much.
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
        // The first holds.
        answers.limit(after);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(fails.check().unwrap_err().to_string(), "not done after 1ms");
        assert!(answers.check().is_ok());
        std::thread::sleep(Duration::from_secs(LEAST_RESERVE));
        let error = answers.check().unwrap_err();
        assert_eq!((&*error.to_string(), error.hint()), ("not done after 1ms, nor 2s later", None));
        answers.signal.store(15, Ordering::Relaxed);
        assert_eq!(answers.check().unwrap_err().exit_code(), 143);
    }
}
