//! Statistics of a few runs: what the runs say about a difference, and no more than that.
//!
//! Runs take turns, so a machine that slows down slows down both values of a round. So the ratio within a round is what
//! is measured. The geometric mean of the rounds' ratios is what is shown: it is the same whichever value is the
//! baseline, which the arithmetic mean isn't (Fleming and Wallace, "How not to lie with statistics: the correct way to
//! summarize benchmark results", CACM 29(3), 1986). Its interval is Student's, for the mean of the ratios' logarithms
//! (paired t: NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.1). With five rounds the interval is wide, and
//! rightly so: a percentile bootstrap of so few values is too narrow to hold its 95 % (Hesterberg, "What Teachers
//! Should Know About the Bootstrap", The American Statistician 69(4), 2015).

use serde::Serialize;

/// The median of some numbers, and the least and greatest. Quartiles aren't given, because of five runs a quartile
/// would be one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Computes the spread of at least one number.
    pub fn of(numbers: &[f64]) -> Spread {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Spread { median, min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

/// How many times the baseline something is, with the 95 % confidence interval from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    pub ratio: f64,
    pub low: f64,
    pub high: f64,
}

impl Ratio {
    /// Computes the ratio of runs that took turns: `others[i]` and `baselines[i]` are of the same round. There must be
    /// at least two rounds.
    pub fn of(others: &[f64], baselines: &[f64]) -> Ratio {
        /// Seconds that are used instead of less, because a clock may be too coarse to see a run at all.
        const LEAST: f64 = 1e-6;
        let logs: Vec<f64> = others
            .iter()
            .zip(baselines)
            .map(|(other, baseline)| (other.max(LEAST) / baseline.max(LEAST)).ln())
            .collect();
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let half = student(logs.len() - 1) * (variance / n).sqrt();
        Ratio { ratio: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() }
    }

    /// Whether the runs show a difference: whether 1 is outside the interval.
    pub fn differs(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

/// Returns the 97.5 % point of Student's t distribution. It comes from a table, and from ten degrees of freedom on from
/// the expansion 26.7.5 of Abramowitz and Stegun, "Handbook of Mathematical Functions", which is then right to four
/// figures.
fn student(degrees: usize) -> f64 {
    const TABLE: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
    const Z: f64 = 1.959964;
    if let Some(t) = degrees.checked_sub(1).and_then(|i| TABLE.get(i)) {
        return *t;
    }
    let n = degrees as f64;
    let g1 = (Z.powi(3) + Z) / 4.0;
    let g2 = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    let g3 = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0;
    Z + g1 / n + g2 / n.powi(2) + g3 / n.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-3 * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn spreads() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(&[7.0]), Spread { median: 7.0, min: 7.0, max: 7.0 });
    }

    /// Values from the tables in NIST's handbook, 1.3.6.7.2.
    #[test]
    fn students_t() {
        for (degrees, t) in [(1, 12.706), (4, 2.776), (9, 2.262), (10, 2.228), (15, 2.131), (30, 2.042), (100, 1.984)] {
            near(student(degrees), t);
        }
    }

    /// Logarithms 0.1, 0.2, 0.3, 0.4, 0.5 have the mean 0.3 and the standard deviation √0.025; t₄ = 2.776.
    #[test]
    fn a_ratio_with_its_interval() {
        let others: Vec<f64> = [0.1f64, 0.2, 0.3, 0.4, 0.5].iter().map(|log| 7.0 * log.exp()).collect();
        let ratio = Ratio::of(&others, &[7.0; 5]);
        near(ratio.ratio, 0.3f64.exp());
        near(ratio.low, (0.3f64 - 2.776 * (0.025f64 / 5.0).sqrt()).exp());
        near(ratio.high, (0.3f64 + 2.776 * (0.025f64 / 5.0).sqrt()).exp());
        assert!(ratio.differs());
    }

    #[test]
    fn turned_round_a_ratio_is_its_reciprocal() {
        let (a, b) = ([1.0, 1.3, 0.9, 1.1], [2.0, 2.1, 2.3, 1.8]);
        let (there, back) = (Ratio::of(&a, &b), Ratio::of(&b, &a));
        near(there.ratio, 1.0 / back.ratio);
        near(there.low, 1.0 / back.high);
        near(there.high, 1.0 / back.low);
    }

    #[test]
    fn drift_that_both_share_is_no_noise() {
        let baselines = [1.0, 2.0, 4.0, 8.0];
        let ratio = Ratio::of(&baselines.map(|s| s * 1.5), &baselines);
        near(ratio.low, 1.5);
        near(ratio.high, 1.5);
    }

    #[test]
    fn noise_shows_nothing() {
        assert!(!Ratio::of(&[1.0, 1.2, 0.9, 1.1, 1.0], &[1.1, 1.0, 1.0, 0.95, 1.05]).differs());
        assert!(!Ratio::of(&[1.0, 1.0], &[1.0, 1.0]).differs());
        assert!(Ratio::of(&[0.5, 0.52, 0.49], &[1.0, 1.0, 1.0]).differs());
        // Two rounds say hardly anything.
        assert!(!Ratio::of(&[1.0, 2.0], &[0.5, 1.5]).differs());
        assert_eq!(Ratio::of(&[0.0, 0.0], &[0.0, 0.0]).ratio, 1.0);
    }
}
