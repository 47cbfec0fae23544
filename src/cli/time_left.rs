//! Predicts how long a job will still take, from the readings of its meters over time.
//!
//! For the current phase, the prediction is what is left of the phase, at the phase's pace. In this pace the last
//! seconds count for more than the first, because files that were cached say little about files that weren't. For later
//! phases, reducing a shuffled byte is assumed to cost [`REDUCE`] times what mapping a byte of input did, and output to
//! take [`OUTPUT`] of the time of reduce. The number of shuffled bytes is predicted from the runs written so far. As a
//! phase goes on, its own pace gradually replaces these assumptions.
//!
//! So reduce and output are included from the start, and the time left doesn't run out with the map phase. The two
//! factors are rough, because jobs differ. If reduce costs half as much as assumed or three times as much, and output
//! takes as long as reduce or no time at all, the prediction at half time is right within a factor of three, as the
//! tests show.
//!
//! There is no prediction in the first second and before the first run is written. There is none while a stream is
//! read, because nobody knows where a stream ends, nor in the first second of each phase after that: the map phase may
//! have been as slow as whoever wrote the stream. There is also none while a finished result gets its name, which is up
//! to the disk.

use std::sync::atomic::Ordering;

use crate::run::deadline::{OUTPUT, REDUCE};
use crate::run::{Meter, Progress};

/// The share of a phase after which the prediction for the phase and the phase's own pace count equally.
const TRUST: f64 = 0.15;
/// Seconds at the beginning of a phase that say too little about the phase.
const TOO_EARLY: f64 = 1.0;

/// The names of the phases, in their order.
pub const PHASES: [&str; 3] = ["map", "reduce", "output"];

/// One meter's reading at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeterReading {
    pub begun: bool,
    pub done: u64,
    pub total: u64,
}

impl MeterReading {
    fn of(meter: &Meter) -> Self {
        let begun = meter.begun.load(Ordering::Acquire);
        MeterReading { begun, done: meter.done.load(Ordering::Relaxed), total: meter.total.load(Ordering::Relaxed) }
    }

    /// Returns the share that is done, of a total that is known.
    pub fn part(&self) -> f64 {
        if self.total == 0 { 1.0 } else { (self.done as f64 / self.total as f64).min(1.0) }
    }
}

/// The readings of all meters at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readings {
    pub phases: [MeterReading; 3],
    /// Bytes of input whose output is in runs.
    pub in_runs: u64,
}

impl Readings {
    pub fn of(progress: &Progress) -> Self {
        // `in_runs` is read first: the shuffle's total that is read next then covers at least these runs.
        let in_runs = progress.in_runs.load(Ordering::Acquire);
        Readings { phases: [&progress.map, &progress.reduce, &progress.output].map(MeterReading::of), in_runs }
    }

    /// Returns the index of the current phase, once a phase has begun.
    pub fn current(&self) -> Option<usize> {
        self.phases.iter().rposition(|reading| reading.begun)
    }
}

/// Predicts the time left. It keeps what it saw in earlier looks at the meters.
#[derive(Debug, Default)]
pub struct TimeLeft {
    phase: usize,
    began: [f64; 3],
    /// Time of the last look, in seconds since the run began, and the share of the phase that was done then.
    last: (f64, f64),
    /// Sums of the shares done and of the seconds between looks, each weighted by the time since the phase began.
    parts: f64,
    seconds: f64,
}

impl TimeLeft {
    /// Takes the readings of the meters `now` seconds after the run began, and returns how many seconds are left. None
    /// if that can't be predicted.
    pub fn look(&mut self, now: f64, readings: &Readings) -> Option<f64> {
        let phase = readings.current()?;
        if phase != self.phase {
            // A phase may begin and end between two looks.
            self.began[self.phase + 1..=phase].fill(now);
            *self = TimeLeft { phase, began: self.began, last: (now, 0.0), ..TimeLeft::default() };
        }
        let [input, shuffle, sorting] = readings.phases;
        let part = readings.phases[phase].part();
        if part < self.last.1 {
            // Input that was mapped is mapped again, because the edges of its records weren't where they were assumed
            // to be.
            self.began[phase] = now;
            *self = TimeLeft { phase, began: self.began, last: (now, part), ..TimeLeft::default() };
        }
        let into = now - self.began[phase];
        self.parts += into * (part - self.last.1);
        self.seconds += into * (now - self.last.0);
        self.last = (now, part);

        let stream = input.total == 0;
        let unknown = phase == 0 && (stream || readings.in_runs == 0);
        if unknown || (phase == 0 || stream) && into < TOO_EARLY || phase == 2 && part == 1.0 {
            return None;
        }
        let map = if phase == 0 { self.whole(None, part)? } else { self.began[1] - self.began[0] };
        let a_byte = (!stream).then(|| map / input.total as f64);
        // In the map phase the runs cover a part of the input. The rest is assumed to shuffle as much per byte.
        let all = |bytes: u64| match phase {
            0 => bytes as f64 / readings.in_runs as f64 * input.total as f64,
            _ => bytes as f64,
        };
        let foreseen = a_byte.map(|seconds| seconds * all(shuffle.total) * REDUCE);
        let reduce = match phase {
            0 => foreseen?,
            1 => self.whole(foreseen, part)?,
            _ => self.began[2] - self.began[1],
        };
        // Without a reduce phase, rows that map attempts wrote by their sort keys are sorted. Output of such a row is
        // assumed to cost as much as output of a row that was reduced.
        let unreduced = if shuffle.total == 0 { all(sorting.total) * a_byte.unwrap_or(0.0) * REDUCE } else { 0.0 };
        let foreseen = (reduce + unreduced) * OUTPUT;
        let output = if phase < 2 { foreseen } else { self.whole((foreseen > 0.0).then_some(foreseen), part)? };
        let left = [map, reduce, output][phase] * (1.0 - part);
        Some(left + [reduce + output, output, 0.0][phase])
    }

    /// Returns the seconds that the whole phase takes, from its own pace and from the prediction `foreseen`.
    fn whole(&self, foreseen: Option<f64>, part: f64) -> Option<f64> {
        let own = (self.parts > 0.0).then(|| self.seconds / self.parts);
        match (own, foreseen) {
            (Some(own), Some(foreseen)) => Some((TRUST * foreseen + part * own) / (TRUST + part)),
            (own, foreseen) => own.or(foreseen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: u64 = 10_000_000_000;

    /// A run whose three phases take `seconds`, and in which `shuffled` times the input is shuffled. `done` maps the
    /// share of the map phase's time that has passed to the share of its input that is done.
    struct Run {
        seconds: [f64; 3],
        shuffled: f64,
        done: fn(f64) -> f64,
        stream: bool,
    }

    impl Run {
        fn readings(&self, now: f64) -> Readings {
            let [map, reduce, output] = self.seconds;
            let part =
                |from: f64, seconds: f64| if seconds > 0.0 { ((now - from) / seconds).clamp(0.0, 1.0) } else { 1.0 };
            let reading =
                |begun, part: f64, total: f64| MeterReading { begun, done: (part * total) as u64, total: total as u64 };
            let mapped = (self.done)(part(0.0, map));
            let shuffle = self.shuffled * INPUT as f64;
            let mut first = reading(true, mapped, INPUT as f64);
            if self.stream {
                first.total = 0;
            }
            let reducing = now >= map;
            let mut second = reading(reducing, part(map, reduce), shuffle);
            let writing = now >= map + reduce;
            let third =
                if writing { reading(true, part(map + reduce, output), shuffle) } else { MeterReading::default() };
            // The map phase has twenty tasks.
            let in_runs = ((mapped * 20.0).floor() / 20.0 * INPUT as f64) as u64;
            if !reducing {
                second.total = (self.shuffled * in_runs as f64) as u64;
            }
            Readings { phases: [first, second, third], in_runs }
        }

        fn whole(&self) -> f64 {
            self.seconds.iter().sum()
        }

        /// Returns the time of each look, and the time left that the look returned.
        fn shown(&self) -> Vec<(f64, Option<f64>)> {
            let mut time_left = TimeLeft::default();
            let steps = (self.whole() * 10.0) as usize;
            let at = (1..steps).map(|i| i as f64 / 10.0);
            at.map(|now| (now, time_left.look(now, &self.readings(now)))).collect()
        }

        /// Returns the largest factor, up or down, by which the time left was wrong between two shares of the whole
        /// time.
        fn wrong(&self, from: f64, to: f64) -> f64 {
            let whole = self.whole();
            let shown = self.shown().into_iter().filter(|(now, _)| (from * whole..to * whole).contains(now));
            let factor = |(now, left): (f64, Option<f64>)| {
                let ratio = left.unwrap_or_else(|| panic!("nothing at {now}")) / (whole - now);
                ratio.max(1.0 / ratio)
            };
            shown.map(factor).fold(1.0, f64::max)
        }
    }

    fn run(map: f64, reduce: f64, output: f64, shuffled: f64) -> Run {
        Run { seconds: [map, reduce, output], shuffled, done: |time| time, stream: false }
    }

    #[test]
    fn where_the_map_is_all_there_is_time_left_is_right() {
        let run = run(60.0, 0.12, 0.04, 0.001);
        assert!(run.wrong(0.06, 0.98) < 1.05, "{}", run.wrong(0.06, 0.98));
    }

    /// Jobs with little and much to shuffle, with cheap and expensive reduce, with output and without.
    #[test]
    fn at_half_time_it_is_right_within_a_factor_of_three() {
        for shuffled in [0.01, 0.3, 1.0] {
            for cost in [1.0, 2.0, 6.0] {
                for output in [0.0, 0.4, 1.0] {
                    let reduce = 20.0 * shuffled * cost;
                    let run = run(20.0, reduce, reduce * output, shuffled);
                    let wrong = run.wrong(0.45, 0.55);
                    assert!(wrong < 3.0, "{shuffled} {cost} {output}: {wrong}");
                }
            }
        }
    }

    #[test]
    fn as_foreseen_it_is_right_throughout() {
        let run = run(20.0, 40.0, 16.0, 1.0);
        assert!(run.wrong(0.02, 0.98) < 1.1, "{}", run.wrong(0.02, 0.98));
    }

    /// The time left is never close to zero while much is still to come.
    #[test]
    fn it_does_not_run_out_with_the_map() {
        for run in [run(20.0, 60.0, 20.0, 1.0), run(20.0, 20.0, 20.0, 1.0), run(20.0, 180.0, 180.0, 1.0)] {
            let (_, left) = run.shown()[198];
            assert!(left.unwrap() > 20.0, "{left:?}");
            assert!(run.wrong(0.95, 0.97) < 1.6, "{:?}: {}", run.seconds, run.wrong(0.95, 0.97));
        }
    }

    /// A fifth of the input is cached, and is read ten times as fast.
    #[test]
    fn a_pace_that_changes_is_noticed() {
        let done = |time: f64| if time < 0.0244 { time / 0.0244 * 0.2 } else { 0.2 + (time - 0.0244) / 0.9756 * 0.8 };
        let run = Run { done, ..run(100.0, 0.5, 0.1, 0.001) };
        assert!(run.wrong(0.1, 0.9) < 1.6, "{}", run.wrong(0.1, 0.9));
    }

    /// A map phase that is done again is predicted to take as long as a map phase that begins.
    #[test]
    fn what_is_begun_again_is_as_if_it_began() {
        let run = run(20.0, 40.0, 16.0, 1.0);
        let mut time_left = TimeLeft::default();
        (1..150).for_each(|i| _ = time_left.look(f64::from(i) / 10.0, &run.readings(f64::from(i) / 10.0)));
        for (now, left) in run.shown() {
            // The first look coincides with the new beginning.
            let again = time_left.look(15.0 + now, &run.readings(now));
            assert!(again.zip(left).is_none_or(|(again, left)| (again / left - 1.0).abs() < 0.1), "{again:?} {left:?}");
            assert!(again.is_some() || now < TOO_EARLY + 0.2, "{now}");
        }
    }

    /// Records that pass through and are sorted: there is no reduce phase.
    #[test]
    fn what_the_map_wrote_by_sort_keys_is_yet_to_be_sorted() {
        let half = MeterReading { begun: true, done: INPUT / 2, total: INPUT };
        let sorted = MeterReading { begun: false, done: 0, total: INPUT / 2 };
        let readings = Readings { phases: [half, MeterReading::default(), sorted], in_runs: INPUT / 2 };
        let left = TimeLeft::default().look(10.0, &readings).unwrap();
        assert!((left - (10.0 + 20.0 * REDUCE * OUTPUT)).abs() < 1e-6, "{left}");
        let unsorted =
            Readings { phases: [half, MeterReading::default(), MeterReading::default()], in_runs: INPUT / 2 };
        assert_eq!(TimeLeft::default().look(10.0, &unsorted), Some(10.0));
    }

    #[test]
    fn nothing_is_said_before_it_can_be_known() {
        let known = run(20.0, 5.0, 1.0, 0.5).shown();
        // The first run is written after a twentieth of the map phase.
        assert!(known.iter().all(|(now, left)| left.is_some() == (*now >= TOO_EARLY)), "{known:?}");
        let stream = Run { stream: true, ..run(20.0, 5.0, 2.0, 0.5) };
        for (now, left) in stream.shown() {
            let early = now < 20.0 + TOO_EARLY || (25.0..25.0 + TOO_EARLY).contains(&now);
            assert!(left.is_none() || !early, "{now}: {left:?}");
        }
        assert!(stream.wrong(22.0 / 27.0, 24.9 / 27.0) < 1.5, "{}", stream.wrong(22.0 / 27.0, 24.9 / 27.0));
        assert_eq!(TimeLeft::default().look(5.0, &Readings::default()), None);
    }
}
