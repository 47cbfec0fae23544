//! The log of a run's events, in the order of their times. The report's counters, tasks and workers are made from it.

use std::sync::Mutex;
use std::time::Instant;

use crate::panics::{lock, unlocked};
use crate::report::Counters;
use crate::report::event::{Event, What};

/// The events of a run so far.
#[derive(Debug)]
pub struct Log {
    started: Instant,
    events: Mutex<Vec<Event>>,
}

impl Default for Log {
    fn default() -> Self {
        Log { started: Instant::now(), events: Mutex::default() }
    }
}

impl Log {
    pub fn note(&self, what: What) {
        let mut events = lock(&self.events);
        // The time is taken under the lock, so events are in the order of their times.
        let at_s = self.started.elapsed().as_secs_f64();
        events.push(Event { at_s, what });
    }

    /// Adds events that happened earlier, and puts them in the order of their times.
    pub fn note_all(&self, told: impl IntoIterator<Item = (Instant, What)>) {
        let mut events = lock(&self.events);
        let since = |at: Instant| at.saturating_duration_since(self.started).as_secs_f64();
        events.extend(told.into_iter().map(|(at, what)| Event { at_s: since(at), what }));
        // A stable sort: events with equal times stay in their order.
        events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    }

    /// Sums the counters of the attempts that won so far.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for event in lock(&self.events).iter() {
            match &event.what {
                What::Won { counters: more, .. } => counters.add(more),
                What::Discarded => counters = Counters::default(),
                _ => {}
            }
        }
        counters
    }

    pub fn into_events(self) -> Vec<Event> {
        unlocked(self.events)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_told_later_stands_where_it_happened() {
        let log = Log::default();
        std::thread::sleep(Duration::from_millis(1));
        log.note(What::Written { rows: 1 });
        let before = log.started - Duration::from_secs(1);
        let begun = |source| What::SourceBegun { source };
        log.note_all([(Instant::now(), begun(2)), (before, begun(0)), (log.started, begun(1))]);
        log.note(What::Written { rows: 2 });
        let told = |event: &Event| match event.what {
            What::SourceBegun { source } => (source, 0),
            What::Written { rows } => (9, rows),
            _ => unreachable!(),
        };
        let events = log.into_events();
        assert_eq!(events.iter().map(told).collect::<Vec<_>>(), [(0, 0), (1, 0), (9, 1), (2, 0), (9, 2)]);
        assert_eq!((events[0].at_s, events[1].at_s), (0.0, 0.0));
    }
}
