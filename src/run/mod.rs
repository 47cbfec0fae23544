//! Running: the workers, the attempts they make at tasks, and who decides what is attempted.

pub mod attempt;
pub mod control;
pub mod coordinator;
pub mod deadline;
mod log;
pub mod pool;
mod schedulers;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

pub use attempt::{Attempt, Done, Work};
pub use control::{Control, Meter, Progress};
pub use coordinator::{Inflow, NoMore, Phase};
pub use deadline::Deadline;
pub use log::Log;
pub use pool::{Deal, Place, Pool};

/// What is behind these locks is whole at every unlock, also one that a panic made.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
