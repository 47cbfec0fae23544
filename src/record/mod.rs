//! Records: blocks of bytes to batches of records. Today there is one format, text: a record is a line, its one field.

use crate::data::{BATCH, Bytes, Span};

/// Ends a record. A last record without it is a record too.
pub const TERMINATOR: u8 = b'\n';

/// What may end a record and is no part of it: `\r\n`.
const LONGEST_END: u64 = 2;

/// Where the whole records at the beginning of `block` that fill about `size` bytes end: at a record's end, and never
/// before the first record's. A record without an end in `longest` bytes is not searched further.
pub fn window(block: &[u8], size: usize, longest: usize) -> usize {
    if block.len() <= size {
        return block.len();
    }
    let enough = block.len().min(size.max(longest));
    match memchr::memrchr(TERMINATOR, &block[..size]) {
        Some(at) => at + 1,
        None => memchr::memchr(TERMINATOR, &block[size..enough]).map_or(enough, |at| size + at + 1),
    }
}

/// Bytes after which a record without an end is known to have more than `most`.
pub fn longest(most: u64) -> u64 {
    most + LONGEST_END + 1
}

/// Where the first record of `text` begins that has more than `most` bytes, without its end.
pub fn too_long(text: &[u8], most: u64) -> Option<usize> {
    if text.len() as u64 <= most {
        return None;
    }
    let mut start = 0;
    memchr::memchr_iter(TERMINATOR, text).map(|at| (at, at + 1)).chain([(text.len(), text.len())]).find_map(
        |(end, next)| {
            let begin = std::mem::replace(&mut start, next);
            let ends_in_cr = next > end && end > begin && text[end - 1] == b'\r';
            ((end - begin - usize::from(ends_in_cr)) as u64 > most).then_some(begin)
        },
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_with_records() {
        let text = b"ab\ncd\nefghij\nk";
        let ends = |size, longest| window(text, size, longest);
        assert_eq!((ends(4, 100), ends(6, 100), ends(100, 1)), (3, 6, 14));
        let long = &text[6..];
        assert_eq!((window(long, 2, 100), window(long, 2, 7), window(long, 2, 6), window(long, 2, 3)), (7, 7, 6, 3));
        assert_eq!(window(b"abcdef", 2, 4), 4);
    }

    #[test]
    fn records_longer_than_they_may_be() {
        let text = b"ab\nabc\r\nabcd";
        let first = |most| too_long(text, most);
        assert_eq!((first(1), first(2), first(3), first(4)), (Some(0), Some(3), Some(8), None));
        // A return at the end of the text ends no line.
        assert_eq!((too_long(b"ab\r", 2), too_long(b"ab\r\n", 2), too_long(b"ab\n", 2)), (Some(0), None, None));
        assert_eq!((too_long(b"\n\n\n", 0), too_long(b"a", 0), too_long(b"", 0)), (None, Some(0), None));
    }
}
