//! What became of the tasks of a phase.
//!
//! Of several errors the one earliest in the input is the one to report. So when a task fails, those that come later in
//! the input aren't run any more, and those that come earlier still are.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::lock;
use crate::error::{Error, Result};

/// Results by number, or the earliest error.
pub struct Outcome<'a, T> {
    /// Of the phase, for the ids of its tasks.
    name: &'a str,
    done: Mutex<Vec<(usize, T)>>,
    error: Mutex<Option<(usize, Error)>>,
    /// Number of the earliest failed task.
    failed: AtomicUsize,
}

impl<'a, T> Outcome<'a, T> {
    pub fn new(name: &'a str) -> Self {
        Outcome { name, done: Mutex::default(), error: Mutex::default(), failed: AtomicUsize::new(usize::MAX) }
    }

    /// Runs a task, unless one before it has failed. A panic fails the attempt and nothing else.
    pub fn attempt(&self, number: usize, work: impl FnOnce() -> Result<T>) {
        if number > self.failed.load(Ordering::Relaxed) {
            return;
        }
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(made)) => lock(&self.done).push((number, made)),
            Ok(Err(error)) => self.fail(number, error),
            Err(panic) => {
                let task = format!("{}-{number:05}", self.name);
                self.fail(number, Error::Panic { task, message: panic_message(&*panic) });
            }
        }
    }

    pub fn fail(&self, number: usize, error: Error) {
        let mut first = lock(&self.error);
        if first.as_ref().is_none_or(|(earliest, _)| number < *earliest) {
            *first = Some((number, error));
            self.failed.fetch_min(number, Ordering::Relaxed);
        }
    }

    /// Whether any task has failed: then none that is yet to come is wanted.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) < usize::MAX
    }

    pub fn into_result(self) -> Result<Vec<T>> {
        if let Some((_, error)) = self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(number, _)| *number);
        Ok(done.into_iter().map(|(_, made)| made).collect())
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
