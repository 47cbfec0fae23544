//! Readers of records. They turn blocks of bytes into batches of records, and find where records end.
//!
//! ```text
//! block ─► windows of records ─► batches of fields
//!   framing: where records end            text: a record is a line, which is its one field
//!                                         pattern: the fields of a line are what a pattern's groups match
//!                                         delimited: a record of CSV or TSV has several fields
//!                                         json: a record is a line that holds an object
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

/// The part of a window that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub records: u64,
    pub bytes: usize,
}

/// Bytes of `\r\n`, the longest end that a record can have. The end is no part of the record.
const LONGEST_TERMINATOR: u64 = 2;

/// Returns the number of bytes after which a record without an end is known to have more than `most` bytes.
pub fn bytes_to_exceed(most: u64) -> u64 {
    most + LONGEST_TERMINATOR + 1
}
