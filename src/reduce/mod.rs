//! Reduce: turns the pages of some partitions, from all runs, into finished rows. [`Fold`] folds rows into groups, and
//! [`Finisher`] turns groups into batches of rows, which go to a [`Sink`](crate::data::Sink). [`Portions`] divides rows
//! first whose groups don't fit a cache.
//!
//! A reduce task takes a range of neighbouring partitions: many if the job is small, one if the job is large. There is
//! one strategy, `fold`. States that grow with their group will be merged instead.

mod finish;
mod fold;
mod portions;

pub use finish::{FinishedBatch, Finisher, ResultColumn};
pub use fold::Fold;
pub use portions::{Density, Division, Portions};
