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
//!
//! # What bounds what
//!
//! A job has I bytes of input, and each of its threads a share of s bytes of the memory. Its map rows have B bytes.
//!
//! | what | formula | 1 TiB of rows in 64 MiB, two threads: s = 25 MiB |
//! |---|---|---|
//! | partitions P | min(I / 1 MiB, s / 8 KiB, 1024) | 1024 |
//! | page g | min(s / 2P, 16 KiB) | 12 KiB |
//! | runs R of files | I / 64 MiB, at most 4096 | 4096 |
//! | memory of stored indexes | 8 bytes for 64 pages: B / 8g | 11 MiB |
//! | rows of a partition b | B / P | 1 GiB |
//! | sorted runs of a partition | b / (s / 2), if its groups don't fit | 82 |
//! | runs merged at once F | min(s / 4 / (16 KiB + 4 KiB), files) | 320 |
//! | passes over a partition | log_F of its sorted runs | 1 |
//!
//! Half of the files that the process may open stay open as map runs, and the other half is divided among the threads
//! that merge. How many keys there are matters only for b: at 10^11 keys of 10 bytes nothing else changes. A hostile
//! choice of keys can make one partition of all rows, which costs passes: 1 TiB in one partition are 82,000 sorted runs,
//! which take two.

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
pub use spill::{RunPlace, RunsWritten, SpillSpace};
pub use writer::{PartitionBuffers, RowLimit, RunSize, RunWriter, WrittenRun};
