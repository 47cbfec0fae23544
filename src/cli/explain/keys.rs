//! Estimates how many keys the whole input has, from the keys of a few equal pieces of the input. The estimate has a
//! lower and an upper bound.
//!
//! ```text
//! keys                                              high: every further piece adds as many as the last ones
//!   │                                    _ ‥ ‾
//!   │                          _ ‥ ‾  _ _ ─ ─ ─ ─   found: the rate goes on falling as before
//!   │             ___────‾‾ ‾ ‾ ‾ ‾ ‾               low: the rate falls exponentially
//!   │     __─‾‾‾
//!   └────┴────┴─────────┴────────────────────── pieces
//!       m/4  m/2        m                    all
//! ```
//!
//! From the numbers of keys that exactly j of the m pieces have, for each j, follows how many keys any k of the pieces
//! have on average (rarefaction; Hurlbert 1971). From this follows the rate at which the second eighth, the second
//! quarter and the second half of the pieces add keys. This rate is a mixture of falling exponentials, whatever the
//! keys are. So the rate doesn't grow, which gives the bound `high`, and its logarithm is convex, which gives the bound
//! `low`, which is Chao's. The estimate `found` lies between the bounds. It assumes that the rate goes on falling by
//! this law:
//!
//! ```text
//! rate(t) = c · (θ + t)^−γ       γ = 0            all keys are distinct
//!                                θ = 0            a power law, as words have
//!                                θ → ∞, γ/θ = h   keys are drawn evenly
//! ```
//!
//! The method counts the pieces that have a key, not the records. Equal records that lie together, as in a sorted file,
//! say nothing of other pieces, so they count once.

/// Estimates the number of keys of any number of pieces.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Average number of keys of so many pieces, indexed by the number of pieces, from none to all that were seen.
    seen: Vec<f64>,
    law: Law,
}

/// An estimated number of keys (`found`), with its lower and upper bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub low: f64,
    pub found: f64,
    pub high: f64,
}

/// The law by which the rate of new keys falls beyond the pieces that were seen: θ and γ of the drawing above.
#[derive(Clone, Copy, Debug)]
struct Law {
    theta: f64,
    gamma: f64,
}

impl Keys {
    /// Makes the estimator. `met` holds the number of keys that exactly one piece has, exactly two pieces have, and so
    /// on.
    pub fn new(met: &[f64]) -> Self {
        let m = met.len();
        let mut seen = vec![0.0; m + 1];
        for (j, &keys) in (1..).zip(met).filter(|(_, keys)| **keys > 0.0) {
            // The probability that none of k pieces is among the j pieces that have the key.
            let mut none = 1.0;
            for (k, sum) in seen.iter_mut().enumerate() {
                *sum += keys * (1.0 - none);
                none *= (m as f64 - j as f64 - k as f64).max(0.0) / (m - k).max(1) as f64;
            }
        }
        let mut keys = Keys { seen, law: Law { theta: 0.0, gamma: 0.0 } };
        keys.law = keys.fit();
        keys
    }

    fn pieces(&self) -> f64 {
        (self.seen.len() - 1) as f64
    }

    /// Returns the average number of keys of `k` pieces, where `k` is at most the number of pieces that were seen.
    fn seen(&self, k: f64) -> f64 {
        let below = k.floor() as usize;
        let at = self.seen[below.min(self.seen.len() - 1)];
        self.seen.get(below + 1).map_or(at, |next| at + (next - at) * k.fract())
    }

    /// Returns the numbers of keys that came with the second half of the pieces, with the second quarter, and with the
    /// second eighth.
    fn gains(&self) -> [f64; 3] {
        let m = self.pieces();
        [m, m / 2.0, m / 4.0].map(|k| (self.seen(k) - self.seen(k / 2.0)).max(0.0))
    }

    fn fit(&self) -> Law {
        let (m, [a, b, c]) = (self.pieces(), self.gains());
        if a <= 0.0 || b <= 0.0 {
            return Law { theta: 0.0, gamma: 0.0 };
        }
        // For each θ, bisection finds the γ that gives the last two gains. Of these laws, the one that comes nearest to
        // the gain before is taken.
        let laws = std::iter::once(0.0).chain((-8..=16).map(|i| m * f64::exp2(f64::from(i) / 2.0))).map(|theta| {
            let (mut low, mut high) = (0.0, 60.0 * (1.0 + theta / m));
            for _ in 0..60 {
                let gamma = (low + high) / 2.0;
                let law = Law { theta, gamma };
                if law.sum(m / 2.0, m, m) * b > a * law.sum(m / 4.0, m / 2.0, m) { low = gamma } else { high = gamma }
            }
            let law = Law { theta, gamma: (low + high) / 2.0 };
            let before = b * law.sum(m / 8.0, m / 4.0, m) / law.sum(m / 4.0, m / 2.0, m);
            (law, (before / c).ln().abs())
        });
        laws.min_by(|x, y| x.1.total_cmp(&y.1)).map_or(Law { theta: 0.0, gamma: 0.0 }, |(law, _)| law)
    }

    /// Estimates the number of keys of `pieces` pieces, which may be more than were seen.
    pub fn of(&self, pieces: f64) -> Estimate {
        let (m, [a, b, _]) = (self.pieces(), self.gains());
        let seen = self.seen(m);
        if pieces <= m || m == 0.0 {
            let found = self.seen(pieces);
            return Estimate { low: found, found, high: found };
        }
        let high = seen + a * 2.0 * (pieces - m) / m;
        if a <= 0.0 {
            return Estimate { low: seen, found: seen, high };
        }
        // A quarter of the pieces reduces the rate to the share x of what it was: a / b = x (1 + x).
        let x = ((f64::sqrt(1.0 + 4.0 * (a / b.max(f64::MIN_POSITIVE)).min(2.0)) - 1.0) / 2.0).min(1.0 - 1e-9);
        let left = |k: f64| x.powf(4.0 * k / m);
        let low = seen + a * (left(m) - left(pieces)) / (left(m / 2.0) - left(m)).max(f64::MIN_POSITIVE);
        let low = low.min(high);
        // One piece alone says nothing about others.
        let low = if m < 2.0 { seen } else { low };
        let found = seen + a * self.law.sum(m, pieces, m) / self.law.sum(m / 2.0, m, m);
        Estimate { low, found: found.clamp(low, high), high }
    }
}

impl Law {
    /// Returns the number of keys that come between two numbers of pieces, in units that are the same for equal laws
    /// and `m`.
    fn sum(self, from: f64, to: f64, m: f64) -> f64 {
        let Law { theta, gamma } = self;
        // The terms are scaled, so that no power is too small.
        let at = |k: f64| (theta + k) / (theta + m);
        match 1.0 - gamma {
            alpha if alpha.abs() < 1e-9 => (at(to) / at(from)).ln(),
            alpha => (at(to).powf(alpha) - at(from).powf(alpha)) / alpha,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns numbers from 0 to 1 that look random, and are the same each time.
    fn numbers() -> impl FnMut() -> f64 {
        let mut state = 1u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    /// Makes `all` pieces of `records` keys each. Returns the estimate from `seen` pieces, spread over all, and the
    /// true number of keys.
    fn estimated(seen: usize, all: usize, records: usize, mut key: impl FnMut() -> u64) -> (Estimate, f64) {
        let (mut met, mut keys) = (std::collections::HashMap::<u64, Vec<usize>>::new(), vec![0.0; seen]);
        for piece in 0..all {
            for _ in 0..records {
                let pieces = met.entry(key()).or_default();
                if pieces.last() != Some(&piece) {
                    pieces.push(piece);
                }
            }
        }
        for pieces in met.values() {
            let n = pieces.iter().filter(|piece| **piece % (all / seen) == all / seen / 2).count();
            if n > 0 {
                keys[n - 1] += 1.0;
            }
        }
        (Keys::new(&keys).of(all as f64), met.len() as f64)
    }

    #[track_caller]
    fn within(factor: f64, (estimate, keys): (Estimate, f64)) {
        let Estimate { low, found, high } = estimate;
        assert!(found / keys < factor && keys / found < factor, "{found} of {keys}");
        assert!(low <= keys * 1.02 && keys <= high * 1.02, "{low} to {high} of {keys}");
    }

    #[test]
    fn what_is_seen_is_known() {
        let keys = Keys::new(&[4.0, 1.0, 0.0, 2.0]);
        assert_eq!(keys.of(4.0).found, 7.0);
        // A piece has on average a quarter of the keys that are in one piece, half of the keys that are in two, and all
        // of the keys that are in four.
        assert!((keys.of(1.0).found - 3.5).abs() < 1e-9);
        assert_eq!(keys.of(0.0).found, 0.0);
        assert_eq!(Keys::new(&[]).of(8.0), Estimate { low: 0.0, found: 0.0, high: 0.0 });
        let one = Keys::new(&[5.0]).of(8.0);
        assert_eq!((one.low, one.high), (5.0, 40.0));
    }

    #[test]
    fn few_keys_that_all_pieces_have() {
        let mut next = numbers();
        let (estimate, _) = estimated(16, 160, 5000, || (next() * 400.0) as u64);
        assert_eq!(estimate, Estimate { low: 400.0, found: 400.0, high: 400.0 });
    }

    #[test]
    fn keys_that_are_all_distinct() {
        let mut n = 0;
        let keys = || {
            n += 1;
            n
        };
        within(1.001, estimated(16, 320, 200, keys));
    }

    #[test]
    fn keys_of_a_sorted_file() {
        let mut n = 0;
        let keys = || {
            n += 1;
            n / 50
        };
        within(1.1, estimated(16, 160, 5000, keys));
    }

    #[test]
    fn keys_drawn_evenly_of_which_some_were_seen() {
        for keys in [20_000.0, 100_000.0] {
            let mut next = numbers();
            within(1.2, estimated(16, 160, 1000, || (next() * keys) as u64));
        }
    }

    #[test]
    fn words_as_zipf_has_them() {
        for exponent in [1.0, 1.5, 2.5] {
            let mut next = numbers();
            let words = || (next().powf(-exponent)) as u64;
            within(1.3, estimated(16, 160, 2000, words));
        }
    }

    #[test]
    fn a_few_common_keys_and_many_rare_ones() {
        let (mut next, mut n) = (numbers(), 0);
        let keys = || {
            n += 1;
            if next() < 0.05 { 1000 + n } else { (next() * 100.0) as u64 }
        };
        within(1.15, estimated(16, 160, 1000, keys));
    }
}
