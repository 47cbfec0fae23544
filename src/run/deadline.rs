//! Deadlines of jobs that may answer from a part of their input. [`Deadline::moment`] predicts how long the rest of the
//! job takes, and says when to stop reading so that the answer is out in time.
//!
//! ```text
//! begun ───── reading ───────────── readers stop ── cut ── shuffled rows are reduced and written ── deadline
//! ```
//!
//! The time that reducing the shuffled rows takes is predicted from samples: some partitions of the runs made so far
//! are reduced, only to measure the time. Before there is a sample, reducing a byte is assumed to cost [`REDUCE`] times
//! what mapping a byte of input cost. Writing the result in order is assumed to cost [`OUTPUT`] of the time of the
//! reduce phase. The progress display uses the same factors. An allowance is added because they may be wrong.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::control::Progress;
use super::pace::Pace;

pub const REDUCE: f64 = 2.0;
pub const OUTPUT: f64 = 0.4;
/// Time to sort a byte that attempts have written by sort keys, as a part of the time in which they mapped a byte of
/// input.
const SORT: f64 = 0.5;
/// How many times longer than predicted the rest may take: if predicted by the factors, and if predicted from a sample.
const ALLOWANCE: f64 = 1.5;
const ALLOWANCE_OF_SAMPLE: f64 = 1.3;
/// Time to end attempts, to commit, and to end the process.
const LEAST: Duration = Duration::from_millis(20);
/// The part of the whole time that is kept back before any attempt has ended to predict from, and the longest time kept
/// back then. In this time the rows that unfinished attempts have read are reduced.
const UNKNOWN: f64 = 0.3;
const LONGEST_UNKNOWN: Duration = Duration::from_secs(1);
/// How long before the cut readers hand over what they hold, so that it is mapped by then: a part of the whole time,
/// within bounds.
const HANDING_OVER: u32 = 20;
const LEAST_HANDING_OVER: Duration = Duration::from_millis(20);
const MOST_HANDING_OVER: Duration = Duration::from_millis(200);

/// When a job began, and when its answer must be out.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pub begun: Instant,
    pub end: Instant,
    /// Whether the result is put in order after it is reduced.
    pub is_ordered: bool,
}

/// The coordinator's next action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing. Look again after this time at most.
    Wait(Duration),
    /// The readers should hand over what they hold. Look again after this time at most.
    StopReaders(Duration),
    /// Attempts should end with what they have read.
    Cut,
}

impl Deadline {
    pub fn moment(&self, now: Instant, progress: &Progress, pace: &Pace, workers: usize) -> Moment {
        /// The prediction changes while attempts run.
        const OFTEN: Duration = Duration::from_millis(5);
        let cut = self.end.checked_sub(self.needed(progress, pace, workers)).unwrap_or(self.begun);
        let left = cut.saturating_duration_since(now);
        let whole = self.end.saturating_duration_since(self.begun);
        let handing_over = (whole / HANDING_OVER).clamp(LEAST_HANDING_OVER, MOST_HANDING_OVER);
        match left {
            Duration::ZERO => Moment::Cut,
            left if left <= handing_over => Moment::StopReaders(left.min(OFTEN)),
            left => Moment::Wait((left - handing_over).min(OFTEN)),
        }
    }

    /// Returns the time needed between the cut and the deadline.
    fn needed(&self, progress: &Progress, pace: &Pace, workers: usize) -> Duration {
        let in_runs = progress.in_runs.load(Ordering::Acquire);
        let mapped = progress.map.done.load(Ordering::Relaxed).max(in_runs);
        let Some(mapping) = pace.seconds_a_byte() else {
            let whole = self.end.saturating_duration_since(self.begun);
            return if mapped == 0 { LEAST } else { whole.mul_f64(UNKNOWN).min(LONGEST_UNKNOWN).max(LEAST) };
        };
        // Unfinished attempts are taken to shuffle as much per byte as those that ended.
        let scale = if in_runs == 0 { 1.0 } else { mapped as f64 / in_runs as f64 };
        let all = |bytes: u64| scale * bytes as f64;
        let (shuffled, sorted) = (&progress.reduce.total, &progress.output.total);
        let (shuffled, sorted) = (all(shuffled.load(Ordering::Relaxed)), all(sorted.load(Ordering::Relaxed)));
        let (reducing, allowance) = match progress.sample.seconds_a_byte() {
            Some(sampled) => (sampled, ALLOWANCE_OF_SAMPLE),
            None => (REDUCE * mapping, ALLOWANCE),
        };
        let output = if self.is_ordered { OUTPUT } else { 0.0 };
        // In a job without groups, the rows that attempts wrote by their sort keys must still be sorted.
        let seconds = allowance * shuffled * reducing * (1.0 + output) + ALLOWANCE * sorted * mapping * SORT;
        LEAST + Duration::from_secs_f64(seconds / workers as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_shuffled_the_sooner_reading_ends() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let deadline = Deadline { begun, end: at(1000), is_ordered: true };
        let (mut pace, progress) = (Pace::default(), Progress::default());
        // Nothing to reduce yet.
        assert!(matches!(deadline.moment(at(925), &progress, &pace, 2), Moment::Wait(_)));
        // One byte is mapped, and it isn't known whether much or little follows from it.
        progress.map.add(1);
        assert_eq!(deadline.moment(at(0), &progress, &pace, 2), Moment::Wait(Duration::from_millis(5)));
        assert_eq!(deadline.moment(at(690), &progress, &pace, 2), Moment::StopReaders(Duration::from_millis(5)));
        assert_eq!(deadline.moment(at(700), &progress, &pace, 2), Moment::Cut);
        // Each of two workers maps a gigabyte a second. Half of it is shuffled: 100 MB, which take 100 ms to reduce.
        pace.note(0.2, 200_000_000);
        progress.map.add(199_999_999);
        progress.in_runs.store(200_000_000, Ordering::Relaxed);
        progress.reduce.expect_more(100_000_000);
        let needed = deadline.needed(&progress, &pace, 2).as_millis();
        assert_eq!(needed, 20 + 210);
        assert!(matches!(deadline.moment(at(690), &progress, &pace, 2), Moment::Wait(_)));
        assert_eq!(deadline.moment(at(771), &progress, &pace, 2), Moment::Cut);
        // According to a sample it takes a quarter of that. A result in no order is written at once.
        progress.sample.note(Duration::from_millis(5), 10_000_000);
        assert_eq!(deadline.needed(&progress, &pace, 2).as_micros(), 20_000 + 45_500);
        let unordered = Deadline { is_ordered: false, ..deadline };
        assert_eq!(unordered.needed(&progress, &pace, 2).as_micros(), 20_000 + 32_500);
        // Rows with sort keys must be sorted, too.
        progress.output.expect_more(100_000_000);
        assert_eq!(unordered.needed(&progress, &pace, 2).as_micros(), 20_000 + 32_500 + 37_500);
        progress.output.total.store(0, Ordering::Relaxed);
        // Hardly anything is shuffled.
        progress.reduce.total.store(1000, Ordering::Relaxed);
        assert_eq!(deadline.needed(&progress, &pace, 2).as_millis(), 20);
        // With an hour and a slow stream, no more than `LONGEST_UNKNOWN` is kept back.
        let hour = Deadline { end: begun + Duration::from_secs(3600), ..deadline };
        assert_eq!(hour.needed(&progress, &Pace::default(), 2), LONGEST_UNKNOWN);
    }
}
