//! Deadlines that an incomplete answer may keep: when to stop reading, so that what was read is answered in time.
//!
//! ```text
//! begun ───── reading ───────────── readers stop ── cut ── what is shuffled is reduced and written ── deadline
//! ```
//!
//! How long what is shuffled takes to be reduced and written is foreseen from what this run's own map attempts took: a byte
//! that is reduced is taken to cost [`REDUCE`] times a byte of input that is mapped, and to write the result
//! [`OUTPUT`] of the time of reduce. The factors are those that progress counts with; what they may be wrong by is
//! allowed for.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::control::Progress;

pub const REDUCE: f64 = 2.0;
pub const OUTPUT: f64 = 0.4;
/// What is foreseen may take this much longer.
const ALLOWANCE: f64 = 1.5;
/// To end attempts, to commit, to end the process.
const LEAST: Duration = Duration::from_millis(20);
/// Part of the whole time that is kept back while no attempt has ended that anything could be foreseen from.
const UNKNOWN: f64 = 0.3;
/// Readers hand over what they hold so long before the cut, which is mapped until then.
const HANDING_OVER: Duration = Duration::from_millis(20);

/// When the answer is to be out.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pub begun: Instant,
    pub end: Instant,
}

/// What map attempts took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    seconds: f64,
    bytes: u64,
}

impl Pace {
    pub fn note(&mut self, seconds: f64, bytes: u64) {
        self.seconds += seconds;
        self.bytes += bytes;
    }

    /// Whether an attempt that goes on for so long takes far longer than those that ended did for as much.
    pub fn is_beyond(&self, took: Duration, bytes: u64) -> bool {
        const FACTOR: f64 = 3.0;
        /// What is soon over is not worth it.
        const LEAST: f64 = 0.2;
        let expected = self.seconds_a_byte().map(|seconds| seconds * bytes as f64);
        expected.is_some_and(|expected| took.as_secs_f64() > (FACTOR * expected).max(LEAST))
    }

    /// Of a worker, for a byte.
    fn seconds_a_byte(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.seconds / self.bytes as f64)
    }
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing, and to look again after so long at most.
    Wait(Duration),
    /// The readers are to hand over what they hold, and again to look.
    StopReaders(Duration),
    /// Attempts are to end with what they have read.
    Cut,
}

impl Deadline {
    pub fn moment(&self, now: Instant, progress: &Progress, pace: &Pace, workers: usize) -> Moment {
        /// What is foreseen changes while attempts go on.
        const OFTEN: Duration = Duration::from_millis(5);
        let cut = self.end.checked_sub(self.needed(progress, pace, workers)).unwrap_or(self.begun);
        let left = cut.saturating_duration_since(now);
        match left {
            Duration::ZERO => Moment::Cut,
            left if left <= HANDING_OVER => Moment::StopReaders(left.min(OFTEN)),
            left => Moment::Wait((left - HANDING_OVER).min(OFTEN)),
        }
    }

    /// Between the cut and the deadline.
    fn needed(&self, progress: &Progress, pace: &Pace, workers: usize) -> Duration {
        let Some(seconds_a_byte) = pace.seconds_a_byte() else {
            return self.end.saturating_duration_since(self.begun).mul_f64(UNKNOWN);
        };
        let in_runs = progress.in_runs.load(Ordering::Acquire);
        let shuffled = progress.reduce.total.load(Ordering::Relaxed) as f64;
        // Attempts that go on will shuffle like those that ended.
        let mapped = progress.map.done.load(Ordering::Relaxed).max(in_runs) as f64;
        let all = if in_runs == 0 { mapped } else { shuffled * mapped / in_runs as f64 };
        let reduce = all * REDUCE * seconds_a_byte / workers as f64;
        LEAST + Duration::from_secs_f64(ALLOWANCE * reduce * (1.0 + OUTPUT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_shuffled_the_sooner_reading_ends() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let deadline = Deadline { begun, end: at(1000) };
        let (mut pace, progress) = (Pace::default(), Progress::default());
        // Nothing is known yet.
        assert_eq!(deadline.moment(at(0), &progress, &pace, 2), Moment::Wait(Duration::from_millis(5)));
        assert_eq!(deadline.moment(at(690), &progress, &pace, 2), Moment::StopReaders(Duration::from_millis(5)));
        assert_eq!(deadline.moment(at(700), &progress, &pace, 2), Moment::Cut);
        // A gigabyte a second by each of two workers; half of it is shuffled: 100 MB, which take 100 ms to reduce.
        pace.note(0.2, 200_000_000);
        progress.map.add(200_000_000);
        progress.in_runs.store(200_000_000, Ordering::Relaxed);
        progress.reduce.foresee(100_000_000);
        let needed = deadline.needed(&progress, &pace, 2).as_millis();
        assert_eq!(needed, 20 + 210);
        assert!(matches!(deadline.moment(at(740), &progress, &pace, 2), Moment::Wait(_)));
        assert_eq!(deadline.moment(at(771), &progress, &pace, 2), Moment::Cut);
        // Hardly anything is shuffled.
        progress.reduce.total.store(1000, Ordering::Relaxed);
        assert_eq!(deadline.needed(&progress, &pace, 2).as_millis(), 20);
    }
}
