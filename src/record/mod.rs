//! Records: blocks of bytes to batches of records. Today there is one format, text: a record is a line, its one field.

use crate::column::{BATCH, Column, Span};

/// Ends a record. A last record without it is a record too.
pub const TERMINATOR: u8 = b'\n';

/// Where the whole records at the beginning of `block` that fill about `size` bytes end: at a record's end, and never
/// before the first record's.
pub fn window(block: &[u8], size: usize) -> usize {
    if block.len() <= size {
        return block.len();
    }
    match memchr::memrchr(TERMINATOR, &block[..size]) {
        Some(at) => at + 1,
        None => memchr::memchr(TERMINATOR, &block[size..]).map_or(block.len(), |at| size + at + 1),
    }
}

/// How many records `text` holds.
pub fn count(text: &[u8]) -> u64 {
    let terminated = memchr::memchr_iter(TERMINATOR, text).count();
    terminated as u64 + u64::from(text.last().is_some_and(|&last| last != TERMINATOR))
}

/// The line that begins at `start` and whose terminator, or the end of the last line, is at `end`: without `\r` before `\n`.
#[inline]
pub fn line(text: &[u8], start: usize, end: usize) -> Span {
    let cr = end > start && text[end - 1] == b'\r' && end < text.len();
    Span::of(start..end - usize::from(cr))
}

/// Calls `each` with batches of the lines of `text`, without their terminators (`\n` or `\r\n`).
pub fn lines(text: &[u8], mut each: impl FnMut(Column<'_>)) {
    let mut spans = [Span::default(); BATCH];
    let mut filled = 0;
    let mut start = 0;
    let ends = memchr::memchr_iter(TERMINATOR, text);
    let last = text.last().is_some_and(|&last| last != TERMINATOR).then_some(text.len());
    for end in ends.chain(last) {
        spans[filled] = line(text, start, end);
        start = end + 1;
        filled += 1;
        if filled == BATCH {
            each(Column { data: text, spans: &spans });
            filled = 0;
        }
    }
    if filled > 0 {
        each(Column { data: text, spans: &spans[..filled] });
    }
}
