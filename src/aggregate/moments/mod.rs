//! The moments of a column of numbers: how many numbers there are, their sum and the sum of their squares, both exact;
//! and the variance and standard deviation that follow from these.
//!
//! The variance is `(n·Σx² − (Σx)²) / (n·m)`, where m is n − 1 for a sample and n for a population. The numerator is a
//! whole number of some unit, so only the quotient is rounded: to the nearest double, in any order and any split. The
//! standard deviation is the square root of that double.

mod decimal;
mod float;

use super::{Aggregate, Made};
use crate::data::Kind;
use crate::data::wide::Wide;

/// Which statistic is computed from the moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Whether the values are the whole population, so that n · n is the divisor, not n · (n − 1).
    pub is_of_all: bool,
    pub is_root: bool,
}

impl Spread {
    /// Makes the aggregate over the observed column with this index and kind. The column must be one of numbers.
    pub fn of(self, (column, kind): (usize, Kind)) -> Made {
        Made::Own(match kind {
            Kind::Decimal => Box::new(decimal::Moments { column, spread: self }) as Box<dyn Aggregate>,
            Kind::Float => Box::new(float::Moments { column, spread: self }),
            Kind::Bytes | Kind::Json | Kind::Timestamp(_) => unreachable!("moments are of numbers"),
        })
    }

    /// Returns m, which the numerator is divided by besides n. `None` if it would be 0 or less.
    fn divisor(self, count: u64) -> Option<u64> {
        match self.is_of_all {
            true => Some(count),
            false => Some(count.checked_sub(1)?),
        }
        .filter(|&divisor| divisor > 0)
    }

    fn finish(self, variance: f64) -> f64 {
        if self.is_root { variance.sqrt() } else { variance }
    }
}

/// Returns `count · squares − sum²`, which is never negative. `sum` is given by its size.
fn numerator<const N: usize>(count: u64, sum: &Wide<N>, squares: Wide<N>) -> Wide<N> {
    squares.times(count).minus(&squared(sum))
}

/// Returns the square of an unsigned number. The width must have room for it.
fn squared<const N: usize>(number: &Wide<N>) -> Wide<N> {
    let words = (number.bits() as usize).div_ceil(64);
    let part = |i: usize| number.times(number.0[i]).shifted_up(64 * i as u32);
    (0..words).map(part).fold(Wide::ZERO, |sum, part| sum.plus(&part))
}
