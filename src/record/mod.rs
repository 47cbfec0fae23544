//! Records: blocks of bytes to batches of records.
//!
//! ```text
//! block ─► windows of records ─► batches of fields
//!   framing: where records end            text: a record is a line, its one field
//!                                         delimited: a record of CSV or TSV has several
//! ```

pub mod bits;
pub mod delimited;
pub mod framing;
pub mod json;
pub mod pattern;
mod quotes;
mod text;

pub use framing::{Framing, QuoteState, Transition, first_record_start, likely_state};
pub use text::{TERMINATOR, count, line, lines, unended};

/// What of a window was read: so many records, that fill so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub records: u64,
    pub bytes: usize,
}

/// What may end a record and is no part of it: `\r\n`.
const LONGEST_END: u64 = 2;

/// Bytes after which a record without an end is known to have more than `most`.
pub fn longest(most: u64) -> u64 {
    most + LONGEST_END + 1
}
