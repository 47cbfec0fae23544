//! Reduce: every run's pages of some partitions, to finished rows.
//!
//! A reduce task takes a range of neighbouring partitions: many while the job is small, one when it is large. Today there
//! is one strategy, `fold`; states that grow with their group will be merged instead.

mod finish;
mod fold;

pub use finish::{Finisher, ResultColumn};
pub use fold::Fold;
