//! Text: a record is a line, which is its one field.

use super::Framing;
use crate::data::{BATCH, Bytes, Span};

/// The byte that ends a record.
pub const TERMINATOR: u8 = b'\n';

/// Counts the lines of `text`, as [`Framing::count`] does.
pub fn count(text: &[u8]) -> u64 {
    Framing::Terminator(TERMINATOR).count(text)
}

/// Returns the span of the line from `start` to its terminator at `end`, without a `\r` before the `\n`. For a last
/// line without a terminator, `end` is the end of `text`.
#[inline]
pub fn line(text: &[u8], start: usize, end: usize) -> Span {
    let cr = end > start && text[end - 1] == b'\r' && end < text.len();
    Span::of(start..end - usize::from(cr))
}

/// Returns a record without its end, `\n` or `\r\n`, if it has one.
pub fn unended(record: &[u8]) -> &[u8] {
    record.strip_suffix(b"\n").map_or(record, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Calls `each` with batches of the lines of `text`, without their terminators (`\n` or `\r\n`).
pub fn lines(text: &[u8], mut each: impl FnMut(Bytes<'_>)) {
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
            each(Bytes { data: text, spans: &spans });
            filled = 0;
        }
    }
    if filled > 0 {
        each(Bytes { data: text, spans: &spans[..filled] });
    }
}
