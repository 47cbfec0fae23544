//! Estimates the number of different values from the registers of a HyperLogLog sketch, by the improved estimator of
//! Ertl (2017, arXiv 1702.01284, algorithm 6).
//!
//! The estimator needs no separate formulas for small or large numbers and no tables of measured corrections. It is as
//! good for few values as for many. It uses only additions, multiplications, divisions and square roots of doubles,
//! which are all correctly rounded, so every machine gives the same answer.

use super::registers::Histogram;

/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

pub fn estimate(&Histogram { registers, counts }: &Histogram<'_>) -> f64 {
    let share = |count: u32| f64::from(count) / f64::from(registers);
    let (first, last) = (share(counts[0]), share(counts[counts.len() - 1]));
    // Ertl's z, divided by the number of registers.
    let mut sum = tau(1.0 - last);
    for &count in counts[1..counts.len() - 1].iter().rev() {
        sum = 0.5 * (sum + share(count));
    }
    ALPHA * f64::from(registers) / (sum + sigma(first))
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
