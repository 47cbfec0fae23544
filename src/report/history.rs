//! The history: how sources were read in earlier runs, and which sources are consistently slow.
//!
//! A history is a file of JSON lines ([`mod@file`]) with one [`Entry`] for each source of each run. Only the last
//! [`COUNTED`] entries of a source count.

mod entries;
pub mod file;
#[cfg(test)]
#[path = "history/history_tests.rs"]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

pub use entries::{Known, entries};

/// How many runs of a source count: the last ones.
pub const COUNTED: usize = 100;

/// A source is consistently slow if it can be compared with others in at least this many of its runs …
pub const FEWEST: usize = 5;
/// … and was slow in more than half of the last runs of these, at most this many.
pub const LOOKED_AT: usize = 20;

/// How a source was read in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The run's identifier, which no other run has.
    pub run: String,
    /// When the run began, in seconds since 1970, UTC.
    pub when: u64,
    pub source: String,
    pub how: ReadBy,
    pub outcome: SourceOutcome,
    /// Bytes as they are stored (compressed or not).
    pub bytes: u64,
    /// Seconds from the beginning of the reading to its end.
    pub seconds: f64,
    /// Seconds in which the source was read or waited for. For a mapped file: the seconds of all winning attempts at
    /// its tasks.
    pub reading_seconds: f64,
    /// Seconds until the first byte came, if known.
    pub first_byte_seconds: Option<f64>,
}

/// How a source was read. Only sources read in the same way are compared, because the time of a mapped file includes
/// the time to map it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBy {
    /// By a reader of its own, front to back.
    Read,
    /// By map tasks.
    Mapped,
}

/// How the reading of a source ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceOutcome {
    /// It was read to its end.
    Ok,
    /// The job needed no more of the source.
    Stopped,
    TimedOut,
    Failed,
}

impl Entry {
    /// Parses an entry. Returns `None` if the line isn't one: it is torn, or was written by something else.
    fn parse(line: &[u8]) -> Option<Entry> {
        let entry: Entry = serde_json::from_slice(line).ok()?;
        let times = [Some(entry.seconds), Some(entry.reading_seconds), entry.first_byte_seconds];
        times.into_iter().flatten().all(|time| time >= 0.0).then_some(entry)
    }

    /// Returns the bytes read per second; `None` if the entry doesn't tell how fast the source is.
    pub fn throughput(&self) -> Option<f64> {
        let is_known = match self.outcome {
            SourceOutcome::Ok => self.bytes > 0,
            SourceOutcome::TimedOut => true,
            SourceOutcome::Stopped | SourceOutcome::Failed => false,
        };
        (is_known && self.reading_seconds > 0.0).then(|| self.bytes as f64 / self.reading_seconds)
    }
}

/// What a history says about a source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Account<'a> {
    pub source: &'a str,
    pub runs: usize,
    pub ok: usize,
    pub stopped: usize,
    pub timed_out: usize,
    pub failed: usize,
    /// Median of `reading_seconds` over the runs in which the source was read to its end.
    pub median_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    pub median_first_byte_seconds: Option<f64>,
    /// Median of the source's throughputs.
    pub bytes_per_second: Option<f64>,
    /// How many of the source's last runs could be compared; in `slow` of them it was slow.
    pub compared: usize,
    pub slow: usize,
    pub consistently_slow: bool,
}

/// The entries of a history that count.
#[derive(Debug, Default)]
pub struct History {
    /// In the order in which they were appended.
    entries: Vec<Entry>,
    /// Indices into `entries`, by source.
    sources: BTreeMap<String, Vec<usize>>,
    /// The speeds of the sources that were read to their end, by run and by how they were read.
    runs: HashMap<(String, ReadBy), Speeds>,
}

/// The speeds of several sources; each list is sorted.
#[derive(Debug, Default)]
struct Speeds {
    throughputs: Vec<f64>,
    seconds: Vec<f64>,
}

impl History {
    /// Makes a history from entries in the order in which they were appended.
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

    /// Returns an account of each source, in the order of their names.
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
            consistently_slow: self.is_consistently_slow(source),
        }
    }

    /// Whether a source is consistently slow: it can be compared in at least [`FEWEST`] runs, and was slow in more than
    /// half of the last [`LOOKED_AT`] of these runs.
    pub fn is_consistently_slow(&self, source: &str) -> bool {
        let (compared, slow) = self.slowness(source);
        compared >= FEWEST && 2 * slow > compared
    }

    /// Returns the seconds that were enough to read the source to its end in 95 of 100 runs that did so.
    pub fn p95(&self, source: &str) -> Option<f64> {
        p95(&self.seconds(source))
    }

    /// Returns the median of the seconds until the source's first byte came, and the seconds that were enough in 95 of
    /// 100 runs. Runs count in which a reader of its own read the source to its end. `None` for fewer than [`FEWEST`]
    /// runs.
    pub fn first_byte(&self, source: &str) -> Option<(f64, f64)> {
        let read = self.of_source(source).filter(|entry| entry.outcome == SourceOutcome::Ok);
        let seconds = sorted(read.filter_map(|entry| entry.first_byte_seconds));
        (seconds.len() >= FEWEST).then_some(())?;
        Some((median(&seconds, None)?, p95(&seconds)?))
    }

    /// The names of the sources.
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

    /// Returns how many of the source's last runs can be compared, and in how many of these it was slow.
    fn slowness(&self, source: &str) -> (usize, usize) {
        let judged = self.of_source(source).rev().filter_map(|entry| self.was_slow(entry)).take(LOOKED_AT);
        judged.fold((0, 0), |(compared, slow), was_slow| (compared + 1, slow + usize::from(was_slow)))
    }

    /// Whether the source was slow in a run: its throughput was less than half of the median of the run's other
    /// sources, and it took longer than their median. A small source isn't slow, however long it took to begin. `None`
    /// if there is nothing to compare with.
    fn was_slow(&self, entry: &Entry) -> Option<bool> {
        let throughput = entry.throughput()?;
        let speeds = self.runs.get(&(entry.run.clone(), entry.how))?;
        let is_among = entry.outcome == SourceOutcome::Ok;
        let others = median(&speeds.throughputs, is_among.then_some(throughput))?;
        let took = median(&speeds.seconds, is_among.then_some(entry.reading_seconds))?;
        Some(throughput < others / 2.0 && entry.reading_seconds > took)
    }
}

/// Returns for each entry whether it counts.
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

/// Returns the least of the sorted values that 95 of 100 values don't exceed; `None` if there are no values.
fn p95(sorted: &[f64]) -> Option<f64> {
    let rank = (95 * sorted.len()).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Returns the median of the sorted values, leaving out one value equal to `without` if that is given; `None` if there
/// are no values.
fn median(sorted: &[f64], without: Option<f64>) -> Option<f64> {
    let left_out = without.map_or(sorted.len(), |value| sorted.partition_point(|&other| other < value));
    let len = sorted.len() - usize::from(left_out < sorted.len());
    let at = |place: usize| sorted[place + usize::from(place >= left_out)];
    match len {
        0 => None,
        _ => Some(f64::midpoint(at((len - 1) / 2), at(len / 2))),
    }
}
