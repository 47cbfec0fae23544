//! The shuffle: rows, partitioned by their key's hash, through spill files.
//!
//! ```text
//! map attempt 0 ─► run 0 [ pages of partition 0 │ … of 1 │ … of 255 ] ─┐
//! map attempt 1 ─► run 1 [ pages of partition 0 │ … of 1 │ … of 255 ] ─┼─► reduce task: its partitions of every run
//!       …                                                              ┘
//! ```
//!
//! There is no way around it for small jobs: the page cache makes small runs cheap. [`row`] says what a row is,
//! [`mod@format`] what a file is; [`writer`] and [`reader`] are the two ends.

mod aggregation;
pub mod format;
pub mod reader;
pub mod row;
pub mod values;
pub mod writer;

#[cfg(test)]
mod tests;

pub use aggregation::Aggregation;
pub use reader::{PageReader, Run};
pub use row::RowShape;
pub use writer::{PartitionBuffers, RowLimit, RunSize, RunWriter, WrittenRun};
