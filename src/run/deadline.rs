//! Deadlines that an incomplete answer may keep: when to stop reading, so that what was read is answered in time.
//!
//! ```text
//! begun ───── reading ───────────── readers stop ── cut ── what is shuffled is reduced and written ── deadline
//! ```
//!
//! How long what is shuffled takes to be reduced is foreseen from samples: some partitions of the runs that there are, are
//! reduced for nothing but to see how long that takes. Until there is a sample a byte that is reduced is taken to cost [`REDUCE`] times what map
//! attempts took for a byte of input. To write the result in order is taken to cost [`OUTPUT`] of the time of reduce. These
//! factors are those that progress counts with; what they may be wrong by is allowed for.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::control::Progress;
use super::pace::Pace;

pub const REDUCE: f64 = 2.0;
pub const OUTPUT: f64 = 0.4;
/// To merge a byte that attempts have sorted, of the time in which they mapped and sorted a byte of input.
const MERGE: f64 = 0.5;
/// What is foreseen may take this much longer: by the factors, and from a sample.
const ALLOWANCE: f64 = 1.5;
const ALLOWANCE_OF_SAMPLE: f64 = 1.3;
/// To end attempts, to commit, to end the process.
const LEAST: Duration = Duration::from_millis(20);
/// Part of the whole time that is kept back while no attempt has ended that anything could be foreseen from, and the
/// longest that it is: what attempts that go on have read is reduced in that.
const UNKNOWN: f64 = 0.3;
const LONGEST_UNKNOWN: Duration = Duration::from_secs(1);
/// Readers hand over what they hold so long before the cut, which is mapped until then: a part of the whole time, within bounds.
const HANDING_OVER: u32 = 20;
const LEAST_HANDING_OVER: Duration = Duration::from_millis(20);
const MOST_HANDING_OVER: Duration = Duration::from_millis(200);

/// When the answer is to be out.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pub begun: Instant,
    pub end: Instant,
    /// Whether the result is put in order when it is reduced.
    pub is_ordered: bool,
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
        let whole = self.end.saturating_duration_since(self.begun);
        let handing_over = (whole / HANDING_OVER).clamp(LEAST_HANDING_OVER, MOST_HANDING_OVER);
        match left {
            Duration::ZERO => Moment::Cut,
            left if left <= handing_over => Moment::StopReaders(left.min(OFTEN)),
            left => Moment::Wait((left - handing_over).min(OFTEN)),
        }
    }

    /// Between the cut and the deadline.
    fn needed(&self, progress: &Progress, pace: &Pace, workers: usize) -> Duration {
        let in_runs = progress.in_runs.load(Ordering::Acquire);
        let mapped = progress.map.done.load(Ordering::Relaxed).max(in_runs);
        let Some(mapping) = pace.seconds_a_byte() else {
            let whole = self.end.saturating_duration_since(self.begun);
            return if mapped == 0 { LEAST } else { whole.mul_f64(UNKNOWN).min(LONGEST_UNKNOWN).max(LEAST) };
        };
        // Attempts that go on will shuffle like those that ended.
        let scale = if in_runs == 0 { 1.0 } else { mapped as f64 / in_runs as f64 };
        let all = |bytes: u64| scale * bytes as f64;
        let (shuffled, sorted) = (&progress.reduce.total, &progress.output.total);
        let (shuffled, sorted) = (all(shuffled.load(Ordering::Relaxed)), all(sorted.load(Ordering::Relaxed)));
        let (reducing, allowance) = match progress.sample.seconds_a_byte() {
            Some(sampled) => (sampled, ALLOWANCE_OF_SAMPLE),
            None => (REDUCE * mapping, ALLOWANCE),
        };
        let output = if self.is_ordered { OUTPUT } else { 0.0 };
        // What attempts sorted where there is nothing to reduce is yet to be merged.
        let seconds = allowance * shuffled * reducing * (1.0 + output) + ALLOWANCE * sorted * mapping * MERGE;
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
        // Nothing is there that would have to be reduced.
        assert!(matches!(deadline.moment(at(925), &progress, &pace, 2), Moment::Wait(_)));
        // What is there is not known yet to be much or little.
        progress.map.add(1);
        assert_eq!(deadline.moment(at(0), &progress, &pace, 2), Moment::Wait(Duration::from_millis(5)));
        assert_eq!(deadline.moment(at(690), &progress, &pace, 2), Moment::StopReaders(Duration::from_millis(5)));
        assert_eq!(deadline.moment(at(700), &progress, &pace, 2), Moment::Cut);
        // A gigabyte a second by each of two workers; half of it is shuffled: 100 MB, which take 100 ms to reduce.
        pace.note(0.2, 200_000_000);
        progress.map.add(199_999_999);
        progress.in_runs.store(200_000_000, Ordering::Relaxed);
        progress.reduce.foresee(100_000_000);
        let needed = deadline.needed(&progress, &pace, 2).as_millis();
        assert_eq!(needed, 20 + 210);
        assert!(matches!(deadline.moment(at(690), &progress, &pace, 2), Moment::Wait(_)));
        assert_eq!(deadline.moment(at(771), &progress, &pace, 2), Moment::Cut);
        // A sample says that it takes a quarter of that; in no order it is written at once.
        progress.sample.note(Duration::from_millis(5), 10_000_000);
        assert_eq!(deadline.needed(&progress, &pace, 2).as_micros(), 20_000 + 45_500);
        let unordered = Deadline { is_ordered: false, ..deadline };
        assert_eq!(unordered.needed(&progress, &pace, 2).as_micros(), 20_000 + 32_500);
        // What is sorted is merged.
        progress.output.foresee(100_000_000);
        assert_eq!(unordered.needed(&progress, &pace, 2).as_micros(), 20_000 + 32_500 + 37_500);
        progress.output.total.store(0, Ordering::Relaxed);
        // Hardly anything is shuffled.
        progress.reduce.total.store(1000, Ordering::Relaxed);
        assert_eq!(deadline.needed(&progress, &pace, 2).as_millis(), 20);
        // An hour is not read for two thirds of it because a stream is slow.
        let hour = Deadline { end: begun + Duration::from_secs(3600), ..deadline };
        assert_eq!(hour.needed(&progress, &Pace::default(), 2), LONGEST_UNKNOWN);
    }
}
