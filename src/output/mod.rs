//! Output: the sinks that finished rows go to, the formats, and the target, which shows all of the result or nothing.
//!
//! ```text
//! batches of rows ─┬─► lines ─────────────────────────────► sequencer ─► writer     in the order in which they come
//!                  └─► ranges of a run ─► sorted lines ─────►                       in the order that `sort` asks for
//! ```

pub mod compress;
mod exchange;
pub mod format;
pub mod lines;
mod parts;
mod publish;
pub mod sequence;
pub mod sort_key;
pub mod sorted;
pub mod target;
pub mod writer;

pub use compress::Compression;
pub use format::{Format, RowLayout};
pub use lines::{HeldLines, Lines, MadeLines};
pub use publish::{STAGING, is_of_a_result};
pub use sort_key::{Order, PerGroup, SortKey, SortKeys};
pub use sorted::{Sorted, SortedMemory};
pub use target::Target;
pub use writer::{Chunk, Committed, TerminalGuard, Writer};
