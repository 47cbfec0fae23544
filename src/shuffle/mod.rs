//! The shuffle: brings the rows of map attempts to reduce tasks, partitioned by the hash of their keys or by ranges of
//! keys, through spill files. Rows that are to be sorted go the same way, by ranges of their sort keys.
//!
//! ```text
//! map attempt 0 ─► run 0 [ pages of partition 0 │ … of 1 │ … of 255 ] ─┐
//! map attempt 1 ─► run 1 [ pages of partition 0 │ … of 1 │ … of 255 ] ─┼─► reduce task: its partitions of every run
//!       …                                                              ┘
//! ```
//!
//! Small jobs take the same way, because the page cache makes small runs cheap. [`row`] defines rows, [`ranges`] how
//! they are divided, [`mod@format`] the files; [`writer`] and [`reader`] are the two ends. What doesn't fit the memory
//! of a task goes to sorted runs, which [`merge`] merges; [`sort`] is for rows with sort keys, [`first`] for the first of
//! them. [`spill`] defines where the files are and how many bytes they take, [`codec`] and [`packer`] how pages are
//! compressed, [`mod@release`] how read pages give their space back.

mod aggregation;
pub mod codec;
pub mod first;
pub mod format;
mod index;
pub mod merge;
pub mod packer;
pub mod ranges;
pub mod reader;
pub mod release;
pub mod row;
pub mod sort;
pub mod spill;
pub mod values;
pub mod writer;

#[cfg(test)]
mod tests;

pub use aggregation::Aggregation;
pub use codec::PageCompression;
pub use ranges::{Partitioner, Ranges};
pub use reader::{PageReader, Run};
pub use row::RowShape;
pub use spill::{RunPlace, SpillSpace};
pub use writer::{PartitionBuffers, RowLimit, RunSize, RunWriter, WrittenRun};
