//! Attempts at tasks: the task itself, an attempt's view of the run (its meter, and whether it should end), and what an
//! attempt that succeeds hands over.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::control::{Control, Meter};
use super::pool::Assignment;
use crate::error::{Error, Result};
use crate::report::Counters;
use crate::report::event::{AttemptId, Extent};
use crate::shuffle::RunsWritten;

/// The work of a task. Several attempts may read it at once.
pub trait Work: Send + Sync {
    fn extent(&self) -> Extent;
}

/// A task. It is kept until an attempt at it has won.
#[derive(Debug)]
pub(super) struct Task<W> {
    pub number: usize,
    pub work: W,
    /// The attempt that won, or [`OPEN`].
    winner: AtomicU32,
}

const OPEN: u32 = u32::MAX;

impl<W> Task<W> {
    pub fn new(number: usize, work: W) -> Self {
        Task { number, work, winner: AtomicU32::new(OPEN) }
    }

    /// Claims the task for `attempt`. Returns whether it is the first attempt to finish.
    pub fn win(&self, attempt: u32) -> bool {
        self.winner.compare_exchange(OPEN, attempt, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    pub fn is_open(&self) -> bool {
        self.winner.load(Ordering::Relaxed) == OPEN
    }
}

/// One attempt at a task. It writes nothing that others see: its result is placed only after it has won, and is dropped
/// if it fails.
#[derive(Debug)]
pub struct Attempt<'a> {
    pub id: AttemptId,
    pub place: Assignment,
    pub(super) cancel: Cancel<'a>,
    pub(super) meter: &'a Meter,
    /// Bytes that this attempt added to the meter.
    pub(super) metered: Cell<u64>,
    /// The runs that this attempt wrote.
    pub runs_written: Arc<RunsWritten>,
}

impl Attempt<'_> {
    /// The number of the attempt's task.
    pub fn number(&self) -> usize {
        self.id.task.number
    }

    /// Fails once the attempt should end. Attempts call this every few milliseconds.
    pub fn check(&self) -> Result<()> {
        self.cancel.check()
    }

    /// Whether the attempt should end with what it has read.
    pub fn is_cut(&self) -> bool {
        self.cancel.is_cut()
    }

    /// An attempt at another task, made as part of this one because this one needs its result.
    pub fn aside<'b>(&'b self, id: AttemptId, meter: &'b Meter) -> Attempt<'b> {
        Attempt {
            id,
            place: self.place,
            cancel: self.cancel,
            meter,
            metered: Cell::new(0),
            runs_written: Arc::default(),
        }
    }

    /// Adds `bytes` to the progress.
    pub fn advance(&self, bytes: u64) {
        self.metered.set(self.metered.get() + bytes);
        self.meter.add(bytes);
    }

    /// Takes back the progress that this attempt added.
    pub fn take_back(&self) {
        self.meter.take_back(self.metered.take());
    }
}

/// The reasons that may end an attempt early: a signal or the time limit, the failure of an earlier task, or another
/// attempt that won.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cancel<'a> {
    pub control: &'a Control,
    /// Number of the earliest task that failed for good.
    pub failed: &'a AtomicUsize,
    pub number: usize,
    pub winner: &'a AtomicU32,
    /// When set, attempts end with what they have read.
    pub cut: Option<&'a AtomicBool>,
}

impl<'a> Cancel<'a> {
    pub fn of<W>(
        task: &'a Task<W>,
        control: &'a Control,
        failed: &'a AtomicUsize,
        cut: Option<&'a AtomicBool>,
    ) -> Self {
        Cancel { control, failed, number: task.number, winner: &task.winner, cut }
    }

    pub fn is_cut(&self) -> bool {
        self.cut.is_some_and(|cut| cut.load(Ordering::Relaxed))
    }

    pub fn check(&self) -> Result<()> {
        self.control.check()?;
        let is_wanted = self.number <= self.failed.load(Ordering::Relaxed);
        match is_wanted && self.winner.load(Ordering::Relaxed) == OPEN {
            true => Ok(()),
            false => Err(Error::Cancelled),
        }
    }
}

/// The result of a successful attempt, and its counters.
#[derive(Debug)]
pub struct Done<T> {
    pub made: T,
    /// Records read: of input, or rows of runs.
    pub records: u64,
    pub counters: Counters,
}

impl<T> Done<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Done<U> {
        let Done { made, records, counters } = self;
        Done { made: change(made), records, counters }
    }
}
