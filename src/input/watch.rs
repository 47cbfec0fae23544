//! When readers began with their sources and ended, and what they had by then.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::gauge::{Gauge, Shown};
use crate::panics::lock;
use crate::report::event::{SourceEnd, SourceRead, Step};

/// How one source was read, or has been read so far.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Index into the plan's sources.
    pub source: usize,
    pub begun: Instant,
    /// Of one that is being read: now.
    pub ended: Instant,
    pub read: SourceRead,
    /// What became of attempts at it, by their numbers, where there is more to tell than that one came to its end.
    pub steps: Vec<(Instant, u32, Step)>,
}

/// Of all sources that a reader has begun with.
#[derive(Debug, Default)]
pub struct Watch(Mutex<BTreeMap<usize, Reading>>);

#[derive(Debug)]
struct Reading {
    gauge: Gauge,
    ended: Option<(Instant, SourceEnd)>,
}

impl Watch {
    pub fn begin(&self, source: usize, gauge: Gauge) {
        self.change(|all| drop(all.insert(source, Reading { gauge, ended: None })));
    }

    pub fn end(&self, source: usize, end: SourceEnd) {
        self.of(source, |reading| reading.ended = Some((Instant::now(), end)));
    }

    /// The sources that are waited for and have brought nothing for so long, in the order of the input.
    pub fn silent(&self, time: Duration) -> Vec<usize> {
        let is_silent = |reading: &Reading| {
            reading.ended.is_none() && reading.gauge.silence().is_some_and(|silence| silence >= time)
        };
        self.change(|all| all.iter().filter(|(_, reading)| is_silent(reading)).map(|(&source, _)| source).collect())
    }

    /// In the order of the input. What is being read counts as stopped.
    pub fn watched(&self) -> Vec<Watched> {
        let now = Instant::now();
        let of = |(&source, reading): (&usize, &Reading)| {
            let (ended, end) = reading.ended.unwrap_or((now, SourceEnd::Stopped));
            let Shown { begun, bytes, first_byte, spent } = reading.gauge.shown(ended);
            let first_byte_s = first_byte.map(|time| time.as_secs_f64());
            Watched {
                source,
                begun,
                ended,
                read: SourceRead { bytes, first_byte_s, reading_s: spent.as_secs_f64(), end },
                steps: reading.gauge.steps(),
            }
        };
        self.change(|all| all.iter().map(of).collect())
    }

    fn of(&self, source: usize, change: impl FnOnce(&mut Reading)) {
        self.change(|all| all.get_mut(&source).map(change));
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<usize, Reading>) -> T) -> T {
        change(&mut lock(&self.0))
    }
}
