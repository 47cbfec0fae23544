//! How many values the registers of a HyperLogLog sketch speak of: the improved estimator of Ertl (2017, arXiv 1702.01284,
//! algorithm 6).
//!
//! It has no ranges with formulas of their own and no tables of what was seen to be wrong, and it is as good for few values as
//! for many. It takes additions, multiplications, divisions and square roots of doubles alone, all correctly rounded, so that
//! every machine comes to the same.

use super::registers::{Histogram, LOOKED_THROUGH, REGISTERS};

/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

pub fn estimate(histogram: &Histogram) -> f64 {
    let registers = REGISTERS as f64;
    let share = |value: usize| f64::from(histogram[value]) / registers;
    // What Ertl calls z, over the number of registers.
    let mut sum = tau(1.0 - share(LOOKED_THROUGH + 1));
    for value in (1..=LOOKED_THROUGH).rev() {
        sum = 0.5 * (sum + share(value));
    }
    ALPHA * registers / (sum + sigma(share(0)))
}

/// `x + Σ x^(2^k) · 2^(k-1)` over k from 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut factor) = (x, 1.0);
    loop {
        x *= x;
        let before = sum;
        sum += x * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}

/// `(1 - x - Σ (1 - x^(2^-k))² · 2^-k) / 3` over k from 1.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut factor) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        let before = sum;
        factor *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}
