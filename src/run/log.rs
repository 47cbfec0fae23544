//! The log of a run's events, in the order of their times. The report's counters, tasks and workers are made from it.

use std::sync::Mutex;
use std::time::Instant;

use crate::panics::{lock, unlocked};
use crate::report::Counters;
use crate::report::event::{AttemptId, Event, What};

/// The events of a run so far.
#[derive(Debug)]
pub struct Log {
    started: Instant,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    events: Vec<Event>,
    /// The sum over the attempts that won. There may be many thousand attempts, so their counters aren't kept.
    counters: Counters,
}

impl Default for Log {
    fn default() -> Self {
        Log { started: Instant::now(), noted: Mutex::default() }
    }
}

impl Log {
    pub fn note(&self, what: What) {
        self.note_counted(what, &Counters::default());
    }

    /// Notes that an attempt won which read `records` records, and adds up its counters.
    pub fn note_won(&self, attempt: AttemptId, records: u64, counters: &Counters) {
        self.note_counted(What::Won { attempt, records }, counters);
    }

    fn note_counted(&self, what: What, counted: &Counters) {
        let Noted { events, counters } = &mut *lock(&self.noted);
        match what {
            What::Discarded => *counters = Counters::default(),
            _ => counters.add(counted),
        }
        // The time is taken under the lock, so events are in the order of their times.
        let at_s = self.started.elapsed().as_secs_f64();
        events.push(Event { at_s, what });
    }

    /// Adds events that happened earlier, and puts them in the order of their times.
    pub fn note_all(&self, told: impl IntoIterator<Item = (Instant, What)>) {
        let events = &mut lock(&self.noted).events;
        let since = |at: Instant| at.saturating_duration_since(self.started).as_secs_f64();
        events.extend(told.into_iter().map(|(at, what)| Event { at_s: since(at), what }));
        // A stable sort: events with equal times stay in their order.
        events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    }

    /// The sum of the counters of the attempts that won since all results were last discarded.
    pub fn counters(&self) -> Counters {
        lock(&self.noted).counters
    }

    /// Returns the events, and the sum of the counters of the attempts that won.
    pub fn into_events(self) -> (Vec<Event>, Counters) {
        let Noted { events, counters } = unlocked(self.noted);
        (events, counters)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::event::{PhaseName, TaskId};

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
        let (events, _) = log.into_events();
        assert_eq!(events.iter().map(told).collect::<Vec<_>>(), [(0, 0), (1, 0), (9, 1), (2, 0), (9, 2)]);
        assert_eq!((events[0].at_s, events[1].at_s), (0.0, 0.0));
    }

    #[test]
    fn what_is_discarded_does_not_count() {
        let log = Log::default();
        let won = |bytes| {
            let attempt = AttemptId { task: TaskId { phase: PhaseName::Map, number: 0 }, attempt: 0 };
            log.note_won(attempt, 1, &Counters { map_input_bytes: bytes, ..Counters::default() });
            log.counters().map_input_bytes
        };
        assert_eq!((won(3), won(4)), (3, 7));
        log.note(What::Discarded);
        assert_eq!((log.counters(), won(5), won(6)), (Counters::default(), 5, 11));
        let (events, counters) = log.into_events();
        assert_eq!((events.len(), counters.map_input_bytes), (5, 11));
    }
}
