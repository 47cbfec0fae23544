//! The engine.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::error::Error;
use crate::plan::Plan;
use crate::report::Report;

/// What a run shares with whoever watches it: the way to stop it, and how far it has come.
#[derive(Debug, Default)]
pub struct Control {
    /// Number of the signal that asked the run to end, 0 for none. `Arc` so that a signal handler can hold it.
    pub signal: std::sync::Arc<AtomicUsize>,
    pub progress: Progress,
}

/// Bytes done and to do in each phase. `total` is 0 where it isn't known (streams) or not yet.
#[derive(Debug, Default)]
pub struct Progress {
    pub map: Meter,
    pub reduce: Meter,
    pub output: Meter,
}

#[derive(Debug, Default)]
pub struct Meter {
    pub done: AtomicU64,
    pub total: AtomicU64,
}

impl Meter {
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A run that did not end well: why, and what had happened so far.
#[derive(Debug)]
pub struct Failed {
    pub error: Error,
    pub report: Box<Report>,
}

pub fn run(_plan: &Plan, _control: &Control) -> Result<Report, Failed> {
    todo!("the engine")
}
