//! How fast attempts are: the seconds and bytes of the attempts that won. From these the coordinator recognises
//! stragglers, and the deadline predicts attempts to come.

use std::time::Duration;

/// Seconds that winning attempts took, and the bytes that they worked on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    seconds: f64,
    bytes: u64,
}

impl Pace {
    pub fn note(&mut self, seconds: f64, bytes: u64) {
        self.seconds += seconds;
        self.bytes += bytes;
    }

    /// Whether an attempt that has run for `took` on `bytes` bytes is a straggler: far slower than the attempts that
    /// ended.
    pub fn is_beyond(&self, took: Duration, bytes: u64) -> bool {
        const FACTOR: f64 = 3.0;
        /// In seconds. A shorter attempt isn't worth a second one.
        const LEAST: f64 = 0.2;
        let expected = self.seconds_a_byte().map(|seconds| seconds * bytes as f64);
        expected.is_some_and(|expected| took.as_secs_f64() > (FACTOR * expected).max(LEAST))
    }

    /// Seconds per byte that one worker needs.
    pub fn seconds_a_byte(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.seconds / self.bytes as f64)
    }
}
