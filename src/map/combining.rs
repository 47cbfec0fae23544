//! [`Combining`] decides whether a worker's records are combined in its table: always, never, or only while that saves
//! time.
//!
//! Combining a record costs a probe of the table and a share of the table's flush. It saves the later cost of each row
//! that is combined away. `auto` measures both, from one flush of a full table to the next:
//!
//! ```text
//! cost of a record that is combined    combine ns      + (groups / records) · row ns
//! cost of a record that is sent        send ns         +                      row ns
//! ```
//!
//! A record is *sent* if its row goes to the run as it is, without the table. "send ns" is measured by sending records
//! for a while, now and then. "row ns" is what a row costs after the map: writing, reading, reducing. The map can't
//! measure that. It is taken to be as much as "send ns", which is what it was on real text and on lines that are nearly
//! all distinct. A full table whose groups are fewer than half of its records pays without a comparison. While
//! combining doesn't pay, records are sent, and combining is tried again after ever longer stretches. The choice
//! depends on measured times and may differ from run to run. The output can't.

use std::time::Instant;

use crate::schema::choices;

choices! {
    /// The values of the setting `run.combiner`.
    #[derive(Default)]
    pub enum Combiner {
        #[default]
        Auto = "auto",
        On = "on",
        Off = "off",
    }
}

/// Whether one worker combines records.
#[derive(Debug)]
pub enum Combining {
    Always,
    Never,
    Adapts(Adaptive),
}

/// What the choice of `auto` depends on, from one flush of the table to the next.
#[derive(Debug)]
pub struct Adaptive {
    /// Nanoseconds for a record that is sent, once some were.
    send_ns: Option<f64>,
    /// Records still to send; 0: combining.
    to_send: u64,
    /// Records to send the next time that combining doesn't pay.
    stretch: u64,
    /// Records since `since`: all of them combined, or all sent.
    records: u64,
    since: Instant,
}

/// Longest stretch without another try.
const LONGEST: u64 = 1 << 22;

impl From<Combiner> for Combining {
    fn from(combiner: Combiner) -> Self {
        match combiner {
            Combiner::On => Combining::Always,
            Combiner::Off => Combining::Never,
            Combiner::Auto => {
                Combining::Adapts(Adaptive { send_ns: None, to_send: 0, stretch: 0, records: 0, since: Instant::now() })
            }
        }
    }
}

impl Combining {
    /// Whether the next records are to be combined.
    #[inline]
    pub fn combines(&self) -> bool {
        match self {
            Combining::Always => true,
            Combining::Never => false,
            Combining::Adapts(choice) => choice.to_send == 0,
        }
    }

    /// An attempt begins: the time since the last one says nothing.
    pub fn begin(&mut self) {
        if let Combining::Adapts(choice) = self {
            choice.restart();
        }
    }

    /// Notes records that were combined or sent, as [`combines`](Self::combines) said.
    #[inline]
    pub fn note(&mut self, records: usize) {
        if let Combining::Adapts(choice) = self {
            choice.records += records as u64;
            if choice.to_send > 0 {
                choice.sent(records as u64);
            }
        }
    }

    /// A table was full: the noted records had become so many groups, and these are flushed.
    pub fn flushed(&mut self, groups: usize) {
        if let Combining::Adapts(choice) = self {
            choice.flushed(groups as u64);
        }
    }
}

impl Adaptive {
    fn restart(&mut self) {
        self.records = 0;
        self.since = Instant::now();
    }

    fn ns(&self) -> f64 {
        self.since.elapsed().as_nanos() as f64 / self.records.max(1) as f64
    }

    fn sent(&mut self, records: u64) {
        self.to_send = self.to_send.saturating_sub(records);
        if self.to_send == 0 {
            self.send_ns = Some(self.ns());
            self.restart();
        }
    }

    fn flushed(&mut self, groups: u64) {
        let left = groups as f64 / self.records.max(1) as f64;
        let pays = left < 0.5 || self.send_ns.is_some_and(|send| self.ns() + left * send < 2.0 * send);
        if pays {
            self.stretch = 0;
        } else {
            self.stretch = (4 * self.stretch).clamp(self.records, LONGEST.max(self.records));
            self.to_send = self.stretch;
        }
        self.restart();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends records for as long as `combines` says so; gives their number.
    fn send(combining: &mut Combining) -> u64 {
        let mut sent = 0;
        while !combining.combines() {
            combining.note(100);
            sent += 100;
        }
        sent
    }

    #[test]
    fn on_and_off_are_unmoved() {
        for (combiner, combines) in [(Combiner::On, true), (Combiner::Off, false)] {
            let mut combining = Combining::from(combiner);
            combining.note(1000);
            combining.flushed(1000);
            assert_eq!(combining.combines(), combines);
        }
    }

    #[test]
    fn a_fill_that_halves_its_records_is_good() {
        let mut combining = Combining::from(Combiner::Auto);
        for _ in 0..10 {
            combining.note(1000);
            combining.flushed(499);
            assert!(combining.combines());
        }
    }

    #[test]
    fn stretches_grow_while_nothing_combines() {
        let mut combining = Combining::from(Combiner::Auto);
        let mut stretches = vec![];
        for _ in 0..8 {
            combining.note(1000);
            // Slower than sending, for no gain.
            std::thread::sleep(std::time::Duration::from_millis(2));
            combining.flushed(1000);
            stretches.push(send(&mut combining));
        }
        assert_eq!(stretches[..3], [1000, 4000, 16000]);
        assert!(stretches.is_sorted() && *stretches.last().unwrap() <= LONGEST + 100);
        combining.note(1000);
        combining.flushed(10);
        assert!(combining.combines());
    }
}
