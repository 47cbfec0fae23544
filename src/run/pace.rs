//! How fast attempts are: which of them is a straggler, and what is foreseen of those to come.

use std::time::Duration;

/// What attempts that won took, and for how many bytes.
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

    /// Whether an attempt that goes on for so long takes far longer than those that ended did for as much.
    pub fn is_beyond(&self, took: Duration, bytes: u64) -> bool {
        const FACTOR: f64 = 3.0;
        /// What is soon over is not worth it.
        const LEAST: f64 = 0.2;
        let expected = self.seconds_a_byte().map(|seconds| seconds * bytes as f64);
        expected.is_some_and(|expected| took.as_secs_f64() > (FACTOR * expected).max(LEAST))
    }

    /// Of a worker, for a byte.
    pub fn seconds_a_byte(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.seconds / self.bytes as f64)
    }
}
