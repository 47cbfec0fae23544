//! Output: formats rows, puts them in the order asked for, and writes them to the target, which shows all of the result
//! or nothing.

pub mod compress;
mod exchange;
pub mod format;
pub mod order;
mod parts;
mod publish;
pub mod sequence;
pub mod sort_key;
pub mod target;
pub mod writer;

pub use compress::Compression;
pub use format::{Format, RowLayout};
pub use publish::{STAGING, is_of_a_result};
pub use sort_key::{Order, SortKey};
pub use target::Target;
pub use writer::{Chunk, Committed, TerminalGuard, Writer};
