//! The summary of a column of numbers: the one state that `sum`, `mean`, `min` and `max` over the column share.
//!
//! A job that asks for several of them looks up each record's group once for all, and a group's summary is short enough to
//! be in one cache line with its key. Only the parts that the job asks for are kept, and each choice of parts is compiled on
//! its own. `decimal` has the summary of decimals, `float` that of doubles.

mod decimal;
mod float;

use super::{Aggregate, Made};
use crate::data::Kind;

/// A value that a summary gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Sum,
    /// The sum over the number of values.
    Mean,
    Least,
    Greatest,
}

impl Statistic {
    pub const ALL: [Statistic; 4] = [Statistic::Sum, Statistic::Mean, Statistic::Least, Statistic::Greatest];

    /// As the aggregate over the observed column of this index and kind, which is one of numbers.
    pub fn of(self, (column, kind): (usize, Kind)) -> Made {
        Made::Statistic { column, kind, statistic: self }
    }

    /// Its number among the values of a summary.
    pub fn number(self) -> usize {
        self as usize
    }

    /// The one of this number.
    fn numbered(number: usize) -> Self {
        Statistic::ALL[number]
    }

    /// Whether a summary that keeps those gives it.
    fn is_of(self, sum: bool, least: bool, greatest: bool) -> bool {
        match self {
            Statistic::Sum | Statistic::Mean => sum,
            Statistic::Least => least,
            Statistic::Greatest => greatest,
        }
    }
}

/// What a summary has to keep.
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

/// The summary, with these statistics, of the observed column of this index and kind.
pub fn make(column: usize, kind: Kind, statistics: Statistics) -> Box<dyn Aggregate> {
    /// `$with` words of a state that has a sum, `$without` of one that has none, and one for each end.
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
