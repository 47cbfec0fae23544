//! Watches how streams are read: what was handed over of each, when its reader began and ended, and what it had read by
//! then.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Source;
use super::gauge::{Gauge, GaugeReading};
use crate::panics::lock;
use crate::report::event::{ReadStep, SourceEnd, SourceRead};

/// How much of a stream was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Index into the plan's sources.
    pub source: usize,
    /// The whole records that begin in this many first bytes of the decompressed source were handed over.
    pub bytes: u64,
    /// How the reading ended, if it has.
    pub end: Option<SourceEnd>,
}

/// How one stream was read, or has been read so far.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Index into the plan's sources.
    pub source: usize,
    pub begun: Instant,
    /// When the reading ended. If it goes on, the current time.
    pub ended: Instant,
    pub read: SourceRead,
    /// What became of the attempts at the source, with their numbers. Empty if there is no more to tell than that one
    /// attempt came to the source's end.
    pub steps: Vec<(Instant, u32, ReadStep)>,
}

/// What is known of each stream, by its index.
#[derive(Debug, Default)]
pub struct Watch(Mutex<BTreeMap<usize, WatchedSource>>);

#[derive(Debug, Default)]
struct WatchedSource {
    /// Decompressed bytes that were handed over.
    covered: u64,
    /// Set once a reader has begun.
    gauge: Option<Gauge>,
    ended: Option<(Instant, SourceEnd)>,
}

impl Watch {
    pub fn of(sources: &[Source]) -> Watch {
        let streams = sources.iter().enumerate().filter(|(_, source)| source.is_stream());
        Watch(Mutex::new(streams.map(|(index, _)| (index, WatchedSource::default())).collect()))
    }

    pub fn begin(&self, source: usize, gauge: Gauge) {
        self.change(source, |reading| reading.gauge = Some(gauge));
    }

    /// Notes that this many first bytes of the source were handed over.
    pub fn cover(&self, source: usize, bytes: u64) {
        self.change(source, |reading| reading.covered = bytes);
    }

    pub fn end(&self, source: usize, end: SourceEnd) {
        self.change(source, |reading| reading.ended = Some((Instant::now(), end)));
    }

    /// Returns the sources that are waited for and have brought nothing for at least `time`, in the order of the input.
    pub fn silent(&self, time: Duration) -> Vec<usize> {
        let is_silent = |reading: &WatchedSource| {
            let silence = reading.gauge.as_ref().and_then(Gauge::silence);
            reading.ended.is_none() && silence.is_some_and(|silence| silence >= time)
        };
        lock(&self.0).iter().filter(|(_, reading)| is_silent(reading)).map(|(&source, _)| source).collect()
    }

    /// Returns what was handed over of each stream, in the order of the input.
    pub fn covered(&self) -> Vec<Covered> {
        let of = |(&source, reading): (&usize, &WatchedSource)| {
            let end = reading.ended.map(|(_, end)| end);
            Covered { source, bytes: reading.covered, end }
        };
        lock(&self.0).iter().map(of).collect()
    }

    /// Returns the streams that a reader has begun, in the order of the input. A stream that is still being read counts
    /// as stopped.
    pub fn watched(&self) -> Vec<Watched> {
        let now = Instant::now();
        let of = |(&source, reading): (&usize, &WatchedSource)| {
            let gauge = reading.gauge.as_ref()?;
            let (ended, end) = reading.ended.unwrap_or((now, SourceEnd::Stopped));
            let GaugeReading { begun, bytes, first_byte, spent } = gauge.shown(ended);
            let first_byte_s = first_byte.map(|time| time.as_secs_f64());
            let read = SourceRead { bytes, first_byte_s, reading_s: spent.as_secs_f64(), end };
            Some(Watched { source, begun, ended, read, steps: gauge.steps() })
        };
        lock(&self.0).iter().filter_map(of).collect()
    }

    fn change(&self, source: usize, change: impl FnOnce(&mut WatchedSource)) {
        lock(&self.0).get_mut(&source).map(change);
    }
}
