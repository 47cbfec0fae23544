//! How sources were read in runs before: what is kept of them, and which are consistently slow.
//!
//! A history is a file of JSON lines ([`mod@file`]), an [`Entry`] for each source of each run. Of each source its last [`COUNTED`]
//! entries count.

mod entries;
pub mod file;
#[cfg(test)]
#[path = "history/history_tests.rs"]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

pub use entries::{Known, entries};

/// How many runs of a source count: its last.
pub const COUNTED: usize = 100;

/// A source is consistently slow if it can be compared in at least so many of its runs …
pub const FEWEST: usize = 5;
/// … and was slow in more than half of so many of those, its last.
pub const LOOKED_AT: usize = 20;

/// How a source was read in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which run it was: no other has the same.
    pub run: String,
    /// Seconds since 1970, UTC, when the run began.
    pub when: u64,
    pub source: String,
    pub how: How,
    pub outcome: SourceOutcome,
    /// Packed as they are.
    pub bytes: u64,
    /// From the beginning of its reading to its end.
    pub seconds: f64,
    /// In which it was read or waited for; of a mapped file, those of all attempts at its tasks that won.
    pub reading_seconds: f64,
    /// Until its first byte came, where that is known.
    pub first_byte_seconds: Option<f64>,
}

/// Only what was read alike is compared: the time of a mapped file has that of its map tasks in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By a reader of its own, front to back.
    Read,
    /// By map tasks.
    Mapped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceOutcome {
    /// It was read to its end.
    Ok,
    /// The job wanted no more of it.
    Stopped,
    TimedOut,
    Failed,
}

impl Entry {
    /// `None` for what is no entry: a torn line, or somebody else's.
    fn parse(line: &[u8]) -> Option<Entry> {
        let entry: Entry = serde_json::from_slice(line).ok()?;
        let times = [Some(entry.seconds), Some(entry.reading_seconds), entry.first_byte_seconds];
        times.into_iter().flatten().all(|time| time >= 0.0).then_some(entry)
    }

    /// Bytes per second of reading. `None` where nothing tells how fast it is.
    pub fn throughput(&self) -> Option<f64> {
        let is_known = match self.outcome {
            SourceOutcome::Ok => self.bytes > 0,
            SourceOutcome::TimedOut => true,
            SourceOutcome::Stopped | SourceOutcome::Failed => false,
        };
        (is_known && self.reading_seconds > 0.0).then(|| self.bytes as f64 / self.reading_seconds)
    }
}

/// What a history says of a source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Account<'a> {
    pub source: &'a str,
    pub runs: usize,
    pub ok: usize,
    pub stopped: usize,
    pub timed_out: usize,
    pub failed: usize,
    /// Of `reading_seconds` where it was read to its end.
    pub median_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    pub median_first_byte_seconds: Option<f64>,
    /// Median of its throughputs.
    pub bytes_per_second: Option<f64>,
    /// Of its last runs so many were looked at, and in so many it was slow.
    pub compared: usize,
    pub slow: usize,
    pub consistently_slow: bool,
}

/// The entries that count.
#[derive(Debug, Default)]
pub struct History {
    /// In the order in which they were appended.
    entries: Vec<Entry>,
    /// Places of a source's entries.
    sources: BTreeMap<String, Vec<usize>>,
    /// What was read to its end in a run, by the run and how it was read.
    runs: HashMap<(String, How), Speeds>,
}

/// Of several sources, each sorted.
#[derive(Debug, Default)]
struct Speeds {
    throughputs: Vec<f64>,
    seconds: Vec<f64>,
}

impl History {
    /// Of entries in the order in which they were appended.
    pub fn of(all: Vec<Entry>) -> History {
        let kept = kept(&all);
        let entries: Vec<_> =
            all.into_iter().zip(kept).filter_map(|(entry, is_kept)| is_kept.then_some(entry)).collect();
        let mut history = History { entries, ..History::default() };
        for (place, entry) in history.entries.iter().enumerate() {
            history.sources.entry(entry.source.clone()).or_default().push(place);
            if let (SourceOutcome::Ok, Some(throughput)) = (entry.outcome, entry.throughput()) {
                let speeds = history.runs.entry((entry.run.clone(), entry.how)).or_default();
                speeds.throughputs.push(throughput);
                speeds.seconds.push(entry.reading_seconds);
            }
        }
        for Speeds { throughputs, seconds } in history.runs.values_mut() {
            throughputs.sort_by(f64::total_cmp);
            seconds.sort_by(f64::total_cmp);
        }
        history
    }

    /// What there is to say of each source, in the order of their names.
    pub fn accounts(&self) -> Vec<Account<'_>> {
        self.sources.keys().map(|source| self.account(source)).collect()
    }

    fn account<'a>(&'a self, source: &'a str) -> Account<'a> {
        let entries = || self.of_source(source);
        let count = |outcome| entries().filter(|entry| entry.outcome == outcome).count();
        let (compared, slow) = self.slowness(source);
        Account {
            source,
            runs: entries().count(),
            ok: count(SourceOutcome::Ok),
            stopped: count(SourceOutcome::Stopped),
            timed_out: count(SourceOutcome::TimedOut),
            failed: count(SourceOutcome::Failed),
            median_seconds: median(&self.seconds(source), None),
            p95_seconds: self.p95(source),
            median_first_byte_seconds: median(&sorted(entries().filter_map(|entry| entry.first_byte_seconds)), None),
            bytes_per_second: median(&sorted(entries().filter_map(Entry::throughput)), None),
            compared,
            slow,
            consistently_slow: self.is_slow(source),
        }
    }

    /// Whether it is consistently slow: it can be compared in at least [`FEWEST`] runs, and was slow in more than half of the
    /// last [`LOOKED_AT`] of them.
    pub fn is_slow(&self, source: &str) -> bool {
        let (compared, slow) = self.slowness(source);
        compared >= FEWEST && 2 * slow > compared
    }

    /// The seconds that suffice to read it to its end in 95 of 100 runs in which that was done.
    pub fn p95(&self, source: &str) -> Option<f64> {
        p95(&self.seconds(source))
    }

    /// The median of the seconds until its first byte came, and those that suffice in 95 of 100 runs, of runs in which it was
    /// read to its end by a reader of its own: `None` of fewer than [`FEWEST`].
    pub fn first_byte(&self, source: &str) -> Option<(f64, f64)> {
        let read = self.of_source(source).filter(|entry| entry.outcome == SourceOutcome::Ok);
        let seconds = sorted(read.filter_map(|entry| entry.first_byte_seconds));
        (seconds.len() >= FEWEST).then_some(())?;
        Some((median(&seconds, None)?, p95(&seconds)?))
    }

    /// The sources' names.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }

    fn of_source(&self, source: &str) -> impl DoubleEndedIterator<Item = &Entry> {
        self.sources.get(source).into_iter().flatten().map(|&place| &self.entries[place])
    }

    fn seconds(&self, source: &str) -> Vec<f64> {
        sorted(
            self.of_source(source)
                .filter(|entry| entry.outcome == SourceOutcome::Ok)
                .map(|entry| entry.reading_seconds),
        )
    }

    /// Of the last runs in which it can be compared: how many they are, and in how many it was slow.
    fn slowness(&self, source: &str) -> (usize, usize) {
        let judged = self.of_source(source).rev().filter_map(|entry| self.was_slow(entry)).take(LOOKED_AT);
        judged.fold((0, 0), |(compared, slow), was_slow| (compared + 1, slow + usize::from(was_slow)))
    }

    /// Whether its throughput was less than half of the median of the others of that run, and its reading took longer than
    /// theirs: what is only short isn't slow, however long it took to begin. `None` if there is nothing to compare.
    fn was_slow(&self, entry: &Entry) -> Option<bool> {
        let throughput = entry.throughput()?;
        let speeds = self.runs.get(&(entry.run.clone(), entry.how))?;
        let is_among = entry.outcome == SourceOutcome::Ok;
        let others = median(&speeds.throughputs, is_among.then_some(throughput))?;
        let took = median(&speeds.seconds, is_among.then_some(entry.reading_seconds))?;
        Some(throughput < others / 2.0 && entry.reading_seconds > took)
    }
}

/// Of each whether it counts.
fn kept(entries: &[Entry]) -> Vec<bool> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut kept: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| {
            let seen = seen.entry(&entry.source).or_default();
            *seen += 1;
            *seen <= COUNTED
        })
        .collect();
    kept.reverse();
    kept
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values the least that 95 of 100 don't exceed. `None` of none.
fn p95(sorted: &[f64]) -> Option<f64> {
    let rank = (95 * sorted.len()).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Of sorted values, one of them left out if that is asked for. `None` of none.
fn median(sorted: &[f64], without: Option<f64>) -> Option<f64> {
    let left_out = without.map_or(sorted.len(), |value| sorted.partition_point(|&other| other < value));
    let len = sorted.len() - usize::from(left_out < sorted.len());
    let at = |place: usize| sorted[place + usize::from(place >= left_out)];
    match len {
        0 => None,
        _ => Some(f64::midpoint(at((len - 1) / 2), at(len / 2))),
    }
}
