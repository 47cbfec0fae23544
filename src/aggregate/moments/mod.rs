//! The moments of a column of numbers: how many there are, their sum and the sum of their squares, both exact; and what the
//! variance is that comes of them.
//!
//! The variance is `(n·Σx² − (Σx)²) / (n·m)`, where m is n − 1 for that of a sample and n for that of a population. The
//! numerator is a whole number of some unit, and so the quotient is the only thing that is rounded: to the nearest double, in
//! any order and any split. The standard deviation is the square root of that double.

mod decimal;
mod float;

use super::{Aggregate, Made};
use crate::data::Kind;
use crate::data::wide::Wide;

/// What is made of the moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Of all there is, not of a sample of it: the mean of the squares, and not a little more.
    pub is_of_all: bool,
    pub is_root: bool,
}

impl Spread {
    /// As an aggregate over the observed column of this index and kind, which is one of numbers.
    pub fn of(self, (column, kind): (usize, Kind)) -> Made {
        Made::Own(match kind {
            Kind::Decimal => Box::new(decimal::Moments { column, spread: self }) as Box<dyn Aggregate>,
            Kind::Float => Box::new(float::Moments { column, spread: self }),
            Kind::Bytes | Kind::Json | Kind::Timestamp(_) => unreachable!("moments are of numbers"),
        })
    }

    /// What the squares are divided by, besides their number; nothing where that leaves none.
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

/// `count · squares − sum²`, which is not below 0; `sum` by its size.
fn numerator<const N: usize>(count: u64, sum: &Wide<N>, squares: Wide<N>) -> Wide<N> {
    squares.times(count).minus(&squared(sum))
}

/// The square of an unsigned number, if the width has room for it.
fn squared<const N: usize>(number: &Wide<N>) -> Wide<N> {
    let words = (number.bits() as usize).div_ceil(64);
    let part = |i: usize| number.times(number.0[i]).shifted_up(64 * i as u32);
    (0..words).map(part).fold(Wide::ZERO, |sum, part| sum.plus(&part))
}
