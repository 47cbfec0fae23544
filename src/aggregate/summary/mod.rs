//! The summary of a column of numbers: the one state that `sum`, `mean`, `min` and `max` over the column share.
//!
//! A job that asks for several of these looks up each record's group once for all of them, and a group's summary is
//! short enough to share a cache line with its key. A state keeps only the parts that the job asks for, and each choice
//! of parts is compiled separately. `decimal` has the summary of decimals, `float` that of doubles.

mod decimal;
mod float;

use super::{Aggregate, Made};
use crate::data::Kind;

/// A value that a summary gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Sum,
    /// The sum divided by the number of values.
    Mean,
    Least,
    Greatest,
}

impl Statistic {
    pub const ALL: [Statistic; 4] = [Statistic::Sum, Statistic::Mean, Statistic::Least, Statistic::Greatest];

    /// Returns the statistic as what an op makes of the observed column with this index and kind. The column must be
    /// one of numbers.
    pub fn of(self, (column, kind): (usize, Kind)) -> Made {
        Made::Statistic { column, kind, statistic: self }
    }

    /// Number of the statistic among a summary's values.
    pub fn number(self) -> usize {
        self as usize
    }

    /// Returns the statistic with this number.
    fn numbered(number: usize) -> Self {
        Statistic::ALL[number]
    }

    /// Whether a summary that keeps these parts gives the statistic.
    fn is_of(self, sum: bool, least: bool, greatest: bool) -> bool {
        match self {
            Statistic::Sum | Statistic::Mean => sum,
            Statistic::Least => least,
            Statistic::Greatest => greatest,
        }
    }
}

/// The parts that a summary keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    sum: bool,
    least: bool,
    greatest: bool,
}

impl Statistics {
    pub fn add(&mut self, statistic: Statistic) {
        match statistic {
            Statistic::Sum | Statistic::Mean => self.sum = true,
            Statistic::Least => self.least = true,
            Statistic::Greatest => self.greatest = true,
        }
    }
}

impl FromIterator<Statistic> for Statistics {
    fn from_iter<I: IntoIterator<Item = Statistic>>(all: I) -> Self {
        let mut statistics = Statistics::default();
        all.into_iter().for_each(|statistic| statistics.add(statistic));
        statistics
    }
}

/// Makes the summary, with these statistics, of the observed column with this index and kind.
pub fn make(column: usize, kind: Kind, statistics: Statistics) -> Box<dyn Aggregate> {
    /// `$with` is the number of words of a state that has a sum, `$without` that of a state that has none. Least and
    /// greatest take one word more each.
    macro_rules! compiled {
        ($state:ident, $with:literal, $without:literal) => {
            match (statistics.sum, statistics.least, statistics.greatest) {
                (true, false, false) => Box::new($state::<$with, true, false, false> { column, kind }),
                (true, true, false) => Box::new($state::<{ $with + 1 }, true, true, false> { column, kind }),
                (true, false, true) => Box::new($state::<{ $with + 1 }, true, false, true> { column, kind }),
                (true, true, true) => Box::new($state::<{ $with + 2 }, true, true, true> { column, kind }),
                (false, true, true) => Box::new($state::<{ $without + 2 }, false, true, true> { column, kind }),
                (false, true, false) => Box::new($state::<{ $without + 1 }, false, true, false> { column, kind }),
                (false, false, true) => Box::new($state::<{ $without + 1 }, false, false, true> { column, kind }),
                (false, false, false) => unreachable!("a summary of nothing"),
            }
        };
    }
    use decimal::Decimals;
    use float::Floats;
    match kind {
        Kind::Decimal | Kind::Timestamp(_) => compiled!(Decimals, 2, 1),
        Kind::Float => compiled!(Floats, 5, 1),
        Kind::Bytes | Kind::Json => unreachable!("a summary is of numbers"),
    }
}

#[cfg(test)]
mod tests;
