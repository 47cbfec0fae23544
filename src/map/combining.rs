//! Whether to combine: always, never, or while it pays.
//!
//! Combining a record costs a probe and a share of the table's flush, and saves what a row that is combined away would
//! have cost from there on. `auto` measures both, a table fill at a time:
//!
//! ```text
//! a record combined    fill ns        + (groups / records) · row ns
//! a record passed      pass ns        +                      row ns
//! ```
//!
//! Pass ns is measured by passing records for a while, now and then. What a row costs behind the map (to be written,
//! read and reduced) can't be measured there; it is taken to be what it cost to get so far, which is what it was on
//! real text and on lines that are nearly all distinct. A fill that leaves less than half of its records as groups is
//! good without a comparison. While combining doesn't pay records pass, and after ever longer stretches it is tried
//! again. The choice depends on time and may differ from run to run; the output can't.

use std::time::Instant;

use crate::schema::choices;

choices! {
    #[derive(Default)]
    pub enum Combiner {
        #[default]
        Auto = "auto",
        On = "on",
        Off = "off",
    }
}

/// One worker's choice.
#[derive(Debug)]
pub enum Combining {
    Always,
    Never,
    Trial(Trial),
}

#[derive(Debug)]
pub struct Trial {
    /// Nanoseconds for a record that passes, once some have.
    pass_ns: Option<f64>,
    /// Records still to pass; 0: combining.
    passing: u64,
    /// Records to pass the next time that combining doesn't pay.
    stretch: u64,
    /// Records since `since`, all of them combined or all passed.
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
                Combining::Trial(Trial { pass_ns: None, passing: 0, stretch: 0, records: 0, since: Instant::now() })
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
            Combining::Trial(trial) => trial.passing == 0,
        }
    }

    /// An attempt begins: what time has passed since the last one says nothing.
    pub fn begin(&mut self) {
        if let Combining::Trial(trial) = self {
            trial.restart();
        }
    }

    /// Notes records that were combined or passed, as [`combines`](Self::combines) said.
    #[inline]
    pub fn note(&mut self, records: usize) {
        if let Combining::Trial(trial) = self {
            trial.records += records as u64;
            if trial.passing > 0 {
                trial.passed(records as u64);
            }
        }
    }

    /// A table was full: the noted records had become so many groups, and these are flushed.
    pub fn flushed(&mut self, groups: usize) {
        if let Combining::Trial(trial) = self {
            trial.flushed(groups as u64);
        }
    }
}

impl Trial {
    fn restart(&mut self) {
        self.records = 0;
        self.since = Instant::now();
    }

    fn ns(&self) -> f64 {
        self.since.elapsed().as_nanos() as f64 / self.records.max(1) as f64
    }

    fn passed(&mut self, records: u64) {
        self.passing = self.passing.saturating_sub(records);
        if self.passing == 0 {
            self.pass_ns = Some(self.ns());
            self.restart();
        }
    }

    fn flushed(&mut self, groups: u64) {
        let left = groups as f64 / self.records.max(1) as f64;
        let pays = left < 0.5 || self.pass_ns.is_some_and(|pass| self.ns() + left * pass < 2.0 * pass);
        if pays {
            self.stretch = 0;
        } else {
            self.stretch = (4 * self.stretch).clamp(self.records, LONGEST.max(self.records));
            self.passing = self.stretch;
        }
        self.restart();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records pass for as long as `combines` says so; gives their number.
    fn pass(combining: &mut Combining) -> u64 {
        let mut passed = 0;
        while !combining.combines() {
            combining.note(100);
            passed += 100;
        }
        passed
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
            // Slower than passing, for no gain.
            std::thread::sleep(std::time::Duration::from_millis(2));
            combining.flushed(1000);
            stretches.push(pass(&mut combining));
        }
        assert_eq!(stretches[..3], [1000, 4000, 16000]);
        assert!(stretches.is_sorted() && *stretches.last().unwrap() <= LONGEST + 100);
        combining.note(1000);
        combining.flushed(10);
        assert!(combining.combines());
    }
}
