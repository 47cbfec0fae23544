//! What a source gave so far, and in how much of its own time: for whoever wants to know while another thread reads it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::wait::Clock;
use crate::panics::lock;

/// Copies tell of the same source.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<Mutex<Read>>);

#[derive(Clone, Debug)]
struct Read {
    clock: Clock,
    bytes: u64,
    first_byte: Option<Duration>,
}

/// What a gauge shows at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub begun: Instant,
    /// Packed as they are.
    pub bytes: u64,
    /// Its own time until its first byte came, and until now: that in which it was read or waited for.
    pub first_byte: Option<Duration>,
    pub spent: Duration,
}

impl Gauge {
    pub fn new(clock: Clock) -> Self {
        Gauge(Arc::new(Mutex::new(Read { clock, bytes: 0, first_byte: None })))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Read) -> T) -> T {
        change(&mut lock(&self.0))
    }

    /// So many bytes came.
    pub fn advance(&self, bytes: usize) {
        self.change(|read| {
            read.bytes += bytes as u64;
            read.first_byte.get_or_insert_with(|| read.clock.spent(Instant::now()));
        });
    }

    /// The source's clock was stopped, or goes on.
    pub fn set_clock(&self, clock: Clock) {
        self.change(|read| read.clock = clock);
    }

    pub fn shown(&self, now: Instant) -> Shown {
        let Read { clock, bytes, first_byte } = self.change(|read| read.clone());
        Shown { begun: clock.begun(), bytes, first_byte, spent: clock.spent(now) }
    }
}
