//! Decides how often something that mostly succeeds, and then saves time, is still tried while it fails.

/// Failures in a row after which it is tried only once in [`NOW_AND_THEN`] times.
const MANY: u32 = 4;
const NOW_AND_THEN: u32 = 64;

/// Counts the times since the last success.
#[derive(Debug, Default)]
pub struct Misses(u32);

impl Misses {
    /// Whether it should be tried this time.
    #[inline]
    pub fn should_try(&self) -> bool {
        self.0 < MANY || self.0.is_multiple_of(NOW_AND_THEN)
    }

    /// Notes whether it succeeded this time. What wasn't tried didn't.
    #[inline]
    pub fn note(&mut self, has_succeeded: bool) {
        self.0 = if has_succeeded { 0 } else { self.0.saturating_add(1) };
    }
}
