//! Output: rows to bytes in the order asked for, to where they were asked for, all or nothing.

pub mod format;
pub mod order;
pub mod sequence;
pub mod sink;

pub use format::{Format, Layout};
pub use order::{Order, SortKey};
pub use sink::{Chunk, Committed, Sink, Target};
