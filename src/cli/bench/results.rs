//! The measurements of `bench`, as `--export-json` writes them.

use serde::Serialize;
use serde_json::Value;

use super::statistics::{Ratio, Spread};
use crate::cli::digest::Digest;
use crate::cli::trial::Trial;
use crate::report::Counters;

/// A job that was run with each of several values of a setting in turn.
///
/// Times are in seconds, sizes in bytes. Counters have the names that they have in a report.
#[derive(Debug, Serialize)]
pub struct Bench {
    /// The version that ran.
    pub mapfold: &'static str,
    /// The spec as run, without the setting that was varied.
    pub job: Value,
    /// What was varied: `combiner`, `threads`, …
    pub vary: &'static str,
    /// The values, in the order in which they take turns. The others are compared with the first.
    pub values: Vec<String>,
    /// The number of rounds that are measured. In each round, every value runs once.
    pub rounds: usize,
    /// All runs, in the order in which they ran.
    pub runs: Vec<TimedRun>,
    /// One entry per value, over its measured rounds. Empty if not all rounds ran.
    pub summary: Vec<Summary>,
    /// One entry per value except the first. Empty if not all rounds ran.
    pub comparisons: Vec<Comparison>,
    /// Whether all runs wrote the same output.
    pub same_output: bool,
    /// Why some runs are missing, if any are.
    pub error: Option<String>,
}

/// One run, in a process of its own.
#[derive(Debug, Serialize)]
pub struct TimedRun {
    pub value: String,
    /// Number of the round, from 1. 0 is the warm-up, which isn't measured.
    pub round: usize,
    /// Seconds from before the process was made until it had ended.
    pub wall_seconds: f64,
    pub user_seconds: f64,
    pub system_seconds: f64,
    pub peak_rss_bytes: u64,
    pub output_bytes: u64,
    /// BLAKE3 of the output; with `--unordered`, the sum of the digests of its lines.
    pub output_digest: Digest,
    /// Settings as in the run's report, with what mapfold chose where nothing was asked for.
    pub settings: Value,
    pub counters: Counters,
}

/// The measured runs of one value.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub value: String,
    pub wall_seconds: Spread,
    /// User and system time together.
    pub cpu_seconds: Spread,
    /// Bytes of input divided by the median wall time.
    pub input_bytes_per_second: f64,
    /// The largest peak of all these runs.
    pub peak_rss_bytes: u64,
    /// The least and the most bytes of all these runs, which differ if runs differ in what they combine.
    pub reduce_shuffle_bytes_min: u64,
    pub reduce_shuffle_bytes_max: u64,
    /// Counters of the run in the middle, by `reduce_shuffle_bytes`.
    pub counters: Counters,
}

/// One value compared with the first, by runs of the same round. See [`Ratio`].
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub value: String,
    pub baseline: String,
    pub wall: Ratio,
    pub cpu: Ratio,
}

impl TimedRun {
    pub fn new(value: &str, round: usize, trial: &Trial) -> Self {
        TimedRun {
            value: value.to_owned(),
            round,
            wall_seconds: trial.wall_seconds,
            user_seconds: trial.user_seconds,
            system_seconds: trial.system_seconds,
            peak_rss_bytes: trial.report.peak_rss_bytes,
            output_bytes: trial.output_bytes,
            output_digest: trial.digest,
            settings: trial.report.settings.clone(),
            counters: trial.report.counters,
        }
    }

    fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

impl Bench {
    /// Computes the summary and the comparisons. All runs must be complete.
    pub fn summarise(&mut self) {
        self.summary = self.values.iter().map(|value| summary(value, &self.measured(value))).collect();
        let Some((baseline, others)) = self.values.split_first() else { return };
        self.comparisons = others.iter().map(|value| self.compare(value, baseline)).collect();
    }

    pub fn outputs_agree(&self) -> bool {
        self.runs.windows(2).all(|pair| pair[0].output_digest == pair[1].output_digest)
    }

    /// Returns the runs of a value without its warm-up, by round.
    pub fn measured(&self, value: &str) -> Vec<&TimedRun> {
        self.runs.iter().filter(|run| run.value == value && run.round > 0).collect()
    }

    fn compare(&self, value: &str, baseline: &str) -> Comparison {
        let times = |value: &str, time: fn(&TimedRun) -> f64| -> Vec<f64> {
            self.measured(value).into_iter().map(time).collect()
        };
        let ratio = |time: fn(&TimedRun) -> f64| Ratio::of(&times(value, time), &times(baseline, time));
        Comparison {
            value: value.to_owned(),
            baseline: baseline.to_owned(),
            wall: ratio(|run| run.wall_seconds),
            cpu: ratio(TimedRun::cpu_seconds),
        }
    }
}

/// Summarises the runs of one value, of which there must be at least one.
fn summary(value: &str, runs: &[&TimedRun]) -> Summary {
    let spread = |time: fn(&TimedRun) -> f64| Spread::of(&runs.iter().map(|run| time(run)).collect::<Vec<_>>());
    let mut by_shuffle = runs.to_vec();
    by_shuffle.sort_by_key(|run| run.counters.reduce_shuffle_bytes);
    let shuffled = |i: usize| by_shuffle[i].counters.reduce_shuffle_bytes;
    let counters = by_shuffle[runs.len() / 2].counters;
    let wall = spread(|run| run.wall_seconds);
    Summary {
        value: value.to_owned(),
        wall_seconds: wall,
        cpu_seconds: spread(TimedRun::cpu_seconds),
        input_bytes_per_second: counters.map_input_bytes as f64 / wall.median,
        peak_rss_bytes: runs.iter().map(|run| run.peak_rss_bytes).max().unwrap_or(0),
        reduce_shuffle_bytes_min: shuffled(0),
        reduce_shuffle_bytes_max: shuffled(runs.len() - 1),
        counters,
    }
}
