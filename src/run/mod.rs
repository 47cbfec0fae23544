//! Running: the pool of workers, the attempts that they make at tasks, and the coordinator that decides what is
//! attempted. A phase gives its tasks to [`Pool::run`] and gets back what the winning attempts made.

pub mod attempt;
pub mod control;
pub mod coordinator;
pub mod deadline;
mod log;
mod pace;
pub mod phase;
pub mod pool;
mod schedulers;
#[cfg(test)]
mod tests;
mod worker;

pub use attempt::{Attempt, Done, Work};
pub use control::{Control, Meter, Progress};
pub use deadline::Deadline;
pub use log::Log;
pub use phase::{Cut, Inflow, NoMore, Phase};
pub use pool::{Assignment, Deal, Pool};
