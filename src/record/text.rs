//! Text: a record is a line, its one field.

use super::Framing;
use crate::data::{BATCH, Bytes, Span};

/// Ends a record.
pub const TERMINATOR: u8 = b'\n';

/// [`Framing::count`] of lines.
pub fn count(text: &[u8]) -> u64 {
    Framing::Terminator(TERMINATOR).count(text)
}

/// The line that begins at `start` and whose terminator, or the end of the last line, is at `end`: without `\r` before `\n`.
#[inline]
pub fn line(text: &[u8], start: usize, end: usize) -> Span {
    let cr = end > start && text[end - 1] == b'\r' && end < text.len();
    Span::of(start..end - usize::from(cr))
}

/// A record without its end, `\n` or `\r\n`, if it has one.
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
