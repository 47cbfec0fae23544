//! Output: rows to bytes in the order asked for, to where they were asked for, all or nothing.

pub mod format;
pub mod order;
pub mod sequence;
pub mod sink;
pub mod sort_key;

pub use format::{Format, Layout};
pub use sink::{Chunk, Committed, Sink, Target};
pub use sort_key::{Order, SortKey};
