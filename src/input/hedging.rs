//! Decides when a source gets a second reading beside the first: when the source is slow and not too many others have a
//! second reading.
//!
//! A source that can be read again and can be waited for is slow once it has brought nothing for longer than
//!
//! ```text
//! its history           before its first byte             after its first byte
//! consistently slow     its median time to first byte     that, and at least LEAST
//! else, if known        the 95th percentile of that time  that, and at least LEAST
//! none                  3 times the median time to first byte of those other sources of this run whose first byte has
//!                       come, and at least LEAST; while there are none of them, the source isn't slow
//! ```
//!
//! A source gets one second reading at most. At most a tenth of the streams have one at a time, though one stream
//! always may: if everything is slow, doubling the load would make it slower. (Dean and Barroso, The Tail at Scale,
//! 2013: hedged requests.)

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Source;
use super::gauge::Gauge;
use crate::panics::lock;

/// A source that has brought nothing for less than this isn't slow, unless its history says that it is usually faster.
const LEAST: Duration = Duration::from_millis(200);
/// A source is slow after this many times the median of the other sources.
const FACTOR: u32 = 3;
/// One source in this many may have a second reading at a time.
const SHARE: usize = 10;
/// How often to look whether a source may have a second reading, if that depends on other sources.
const LOOK: Duration = Duration::from_millis(100);

/// How long a source took until its first byte in earlier runs, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    pub p95: Option<Duration>,
    pub median: Option<Duration>,
    /// Whether the source is consistently slow. Such a source is also begun first.
    pub is_consistently_slow: bool,
}

/// What the readers of a run share: how often a source may be read, and what tells which sources are slow.
#[derive(Debug)]
pub struct Hedging {
    attempts: u32,
    /// Indexed by source, as far as they are known.
    latencies: Vec<Latency>,
    /// Times to first byte in this run, indexed by source.
    first_bytes: Mutex<Vec<Option<Duration>>>,
    /// Second readings that are running (`going`), and how many may run at a time (`most`).
    going: AtomicUsize,
    most: usize,
}

impl Hedging {
    /// Makes the hedging of a run over `sources`. Each source that can be read again may be read `attempts` times.
    pub fn new(attempts: u32, latencies: &[Latency], sources: &[Source]) -> Arc<Hedging> {
        let streams = sources.iter().filter(|source| source.is_stream()).count();
        Arc::new(Hedging {
            attempts,
            latencies: latencies.to_vec(),
            first_bytes: Mutex::new(vec![None; sources.len()]),
            going: AtomicUsize::new(0),
            most: (streams / SHARE).max(1),
        })
    }

    /// Second readings that may run at a time.
    pub fn most(&self) -> usize {
        self.most
    }

    pub fn is_consistently_slow(&self, source: usize) -> bool {
        self.latencies.get(source).is_some_and(|latency| latency.is_consistently_slow)
    }

    /// Returns the silence after which a source is slow. `has_begun` says whether the source has brought bytes. `None`
    /// while the silence isn't known.
    fn after(&self, source: usize, has_begun: bool) -> Option<Duration> {
        let Latency { p95, median, is_consistently_slow } = self.latencies.get(source).copied().unwrap_or_default();
        match if is_consistently_slow { median } else { p95 } {
            Some(latency) if has_begun => Some(latency.max(LEAST)),
            Some(latency) => Some(latency),
            None => Some((FACTOR * self.median_of_others(source)?).max(LEAST)),
        }
    }

    fn median_of_others(&self, source: usize) -> Option<Duration> {
        let first_bytes = lock(&self.first_bytes);
        let others = first_bytes.iter().enumerate().filter(|(other, _)| *other != source);
        let mut others: Vec<_> = others.filter_map(|(_, first_byte)| *first_byte).collect();
        let middle = others.len() / 2;
        (!others.is_empty()).then(|| *others.select_nth_unstable(middle).1)
    }
}

/// How often one source may be read, and whether it is slow now.
#[derive(Clone, Debug)]
pub struct Retry(Option<(Arc<Hedging>, usize)>);

/// Whether a source is to have a second reading.
#[derive(Debug)]
pub enum Decision {
    Now(Hedge),
    /// Ask again after this time.
    Later(Duration),
}

impl Retry {
    /// For a source that is read once and outside a run.
    pub fn never() -> Retry {
        Retry(None)
    }

    pub fn of(hedging: &Arc<Hedging>, source: usize) -> Retry {
        Retry(Some((hedging.clone(), source)))
    }

    /// Readings that the source may have, if it can be read again.
    pub fn attempts(&self) -> u32 {
        self.0.as_ref().map_or(1, |(hedging, _)| hedging.attempts)
    }

    /// Notes that the source has brought bytes.
    pub fn brought(&self, gauge: &Gauge) {
        if let Some((hedging, source)) = &self.0 {
            lock(&hedging.first_bytes)[*source] = gauge.first_byte();
        }
    }

    /// Decides whether the source is slow and may have a second reading now. `None` if it never will.
    pub fn decide(&self, gauge: &Gauge) -> Option<Decision> {
        let (hedging, source) = self.0.as_ref()?;
        let silence = gauge.silence().unwrap_or_default();
        Some(match hedging.after(*source, gauge.first_byte().is_some()) {
            Some(after) if silence < after => Decision::Later(after - silence),
            Some(_) => Hedge::begin(hedging).map_or(Decision::Later(LOOK), Decision::Now),
            None => Decision::Later(LOOK),
        })
    }
}

/// A second reading that is running. When it is dropped, another source may have one.
#[derive(Debug)]
pub struct Hedge(Arc<Hedging>);

impl Hedge {
    fn begin(hedging: &Arc<Hedging>) -> Option<Hedge> {
        let one_more = |going: usize| (going < hedging.most).then_some(going + 1);
        let begun = hedging.going.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        begun.is_ok().then(|| Hedge(hedging.clone()))
    }
}

impl Drop for Hedge {
    fn drop(&mut self) {
        self.0.going.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn hedging(latencies: &[Latency], sources: usize) -> Arc<Hedging> {
        Hedging::new(4, latencies, &vec![Source::stdin(); sources])
    }

    #[test]
    fn when_a_source_is_slow() {
        let known = Latency { p95: Some(ms(50)), median: Some(ms(10)), is_consistently_slow: false };
        let slow = Latency { p95: Some(ms(900)), median: Some(ms(500)), is_consistently_slow: true };
        let all = hedging(&[known, slow], 6);
        assert_eq!([all.after(0, false), all.after(0, true)], [Some(ms(50)), Some(LEAST)]);
        assert_eq!([all.after(1, false), all.after(1, true)], [Some(ms(500)); 2]);
        // Nothing is known of the other sources before the run.
        assert_eq!(all.after(2, false), None);
        for (source, first_byte) in [(2, 7000), (3, 100), (4, 10), (5, 4000)] {
            lock(&all.first_bytes)[source] = Some(ms(first_byte));
        }
        // The source's own time doesn't count. The others have 10, 100 and 4000 ms.
        assert_eq!(all.after(2, true), Some(ms(300)));
        lock(&all.first_bytes)[3] = Some(ms(1));
        assert_eq!(all.after(2, false), Some(LEAST));
    }

    #[test]
    fn a_tenth_of_the_streams_and_always_one() {
        for (sources, most) in [(1, 1), (19, 1), (20, 2), (300, 30)] {
            let all = hedging(&[], sources);
            let mut going: Vec<_> = (0..most).map(|_| Hedge::begin(&all).unwrap()).collect();
            assert!(Hedge::begin(&all).is_none(), "{sources}");
            going.pop();
            assert!(Hedge::begin(&all).is_some());
        }
    }

    #[test]
    fn a_source_that_is_slow_is_hedged_when_there_is_room() {
        let all = hedging(&[Latency { p95: Some(ms(1)), ..Latency::default() }; 2], 2);
        let (gauge, retry) = (Gauge::start(None), Retry::of(&all, 1));
        assert!(matches!(retry.decide(&gauge), Some(Decision::Later(_))));
        gauge.waits();
        std::thread::sleep(ms(2));
        let Some(Decision::Now(hedge)) = retry.decide(&gauge) else { panic!("it is slow") };
        assert!(matches!(Retry::of(&all, 0).decide(&gauge), Some(Decision::Later(LOOK))));
        drop(hedge);
        assert!(matches!(Retry::of(&all, 0).decide(&gauge), Some(Decision::Now(_))));
        assert!(Retry::never().decide(&gauge).is_none());
    }
}
