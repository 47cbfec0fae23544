//! Measures how many bytes a source has given, and how long the source took. Time in which the job kept the source
//! waiting isn't counted. The source's reader updates the gauge; others may look at it meanwhile.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::panics::lock;
use crate::report::event::ReadStep;
use crate::units::Span;

/// The gauge of one source. Copies share their measurements.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<Mutex<Measured>>);

#[derive(Debug)]
struct Measured {
    clock: SourceClock,
    bytes: u64,
    first_byte: Option<Duration>,
    /// Since when the source has been waited for without bringing anything; `None` if it isn't waited for.
    silent_since: Option<Instant>,
    /// What became of the attempts, with their numbers. Empty if there is no more to tell than that one attempt came to
    /// the source's end.
    steps: Vec<(Instant, u32, ReadStep)>,
}

/// What a gauge shows at a moment.
#[derive(Clone, Copy, Debug)]
pub struct GaugeReading {
    pub begun: Instant,
    /// Before decompression.
    pub bytes: u64,
    /// The source's own time until its first byte came (`first_byte`) and until this moment (`spent`): time in which it
    /// was read or waited for.
    pub first_byte: Option<Duration>,
    pub spent: Duration,
}

impl Gauge {
    /// Makes the gauge of a source whose reading begins now and may take as long as `timeout`.
    pub fn start(timeout: Option<Span>) -> Self {
        let clock = SourceClock::start(timeout);
        let state = Measured { clock, bytes: 0, first_byte: None, silent_since: None, steps: Vec::new() };
        Gauge(Arc::new(Mutex::new(state)))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Measured) -> T) -> T {
        change(&mut lock(&self.0))
    }

    /// Notes that so many bytes came.
    pub fn advance(&self, bytes: usize) {
        self.change(|state| {
            state.bytes += bytes as u64;
            state.silent_since = None;
            state.first_byte.get_or_insert_with(|| state.clock.spent(Instant::now()));
        });
    }

    /// Notes that the source is waited for.
    pub fn waits(&self) {
        self.change(|state| {
            state.silent_since.get_or_insert_with(Instant::now);
        });
    }

    /// Stops the source's clock while the source isn't to blame, because the job has no room for what was read.
    pub fn pause(&self) {
        self.change(|state| {
            state.clock.pause();
            state.silent_since = None;
        });
    }

    pub fn go_on(&self) {
        self.change(|state| state.clock.go_on());
    }

    /// What is left of the source's time: zero when it is over, `None` if it has no end.
    pub fn left(&self) -> Option<Duration> {
        self.change(|state| state.clock.left())
    }

    /// How long the source has been waited for without bringing anything; `None` if it isn't waited for.
    pub fn silence(&self) -> Option<Duration> {
        self.change(|state| state.silent_since.map(|since| since.elapsed()))
    }

    pub fn first_byte(&self) -> Option<Duration> {
        self.change(|state| state.first_byte)
    }

    /// Notes what became of an attempt.
    pub fn note(&self, attempt: u32, step: ReadStep) {
        self.change(|state| state.steps.push((Instant::now(), attempt, step)));
    }

    pub fn steps(&self) -> Vec<(Instant, u32, ReadStep)> {
        self.change(|state| state.steps.clone())
    }

    pub fn shown(&self, now: Instant) -> GaugeReading {
        self.change(|Measured { clock, bytes, first_byte, .. }| GaugeReading {
            begun: clock.begun,
            bytes: *bytes,
            first_byte: *first_byte,
            spent: clock.spent(now),
        })
    }
}

/// The time that a source has, counted from when its reading begins.
#[derive(Debug)]
struct SourceClock {
    begun: Instant,
    end: Option<Instant>,
    stands_since: Option<Instant>,
    /// For how long the clock stood still before.
    stood: Duration,
}

impl SourceClock {
    fn start(timeout: Option<Span>) -> Self {
        let begun = Instant::now();
        let end = timeout.and_then(|span| begun.checked_add(span.duration()));
        SourceClock { begun, end, stands_since: None, stood: Duration::ZERO }
    }

    fn pause(&mut self) {
        self.stands_since = Some(Instant::now());
    }

    fn go_on(&mut self) {
        let Some(since) = self.stands_since.take() else { return };
        let stood = since.elapsed();
        self.stood += stood;
        if let Some(end) = &mut self.end {
            *end += stood;
        }
    }

    /// The source's time that was spent by `now`, without the time in which the clock stood still.
    fn spent(&self, now: Instant) -> Duration {
        let until = self.stands_since.unwrap_or(now);
        until.saturating_duration_since(self.begun).saturating_sub(self.stood)
    }

    fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn span(text: &str) -> Option<Span> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn only_what_is_brought_ends_a_silence() {
        let gauge = Gauge::start(None);
        let (watched, tick) = (gauge.clone(), Duration::from_millis(2));
        assert_eq!(watched.silence(), None);
        gauge.waits();
        thread::sleep(tick);
        gauge.waits();
        assert!(watched.silence().unwrap() >= tick);
        gauge.advance(1);
        assert_eq!(watched.silence(), None);
        // A source isn't waited for while the job has no room.
        gauge.waits();
        gauge.pause();
        assert_eq!(watched.silence(), None);
    }

    #[test]
    fn a_clock_stands_still() {
        let mut clock = SourceClock::start(span("1h"));
        let before = clock.left().unwrap();
        clock.pause();
        thread::sleep(Duration::from_millis(20));
        clock.go_on();
        assert!(before - clock.left().unwrap() < Duration::from_millis(20));
        assert_eq!(SourceClock::start(None).left(), None);
    }

    #[test]
    fn what_was_spent_is_the_sources_own_time() {
        for timeout in [None, span("1h")] {
            let mut clock = SourceClock::start(timeout);
            let (begun, stood) = (clock.begun, Duration::from_millis(20));
            thread::sleep(stood);
            clock.pause();
            let at_pause = clock.spent(Instant::now());
            assert!(at_pause >= stood);
            thread::sleep(stood);
            assert_eq!(clock.spent(Instant::now()), at_pause);
            clock.go_on();
            let now = Instant::now();
            assert!(clock.spent(now) + stood <= now - begun);
        }
    }
}
