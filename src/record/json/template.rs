//! Reads lines that look like the line before: the same names in the same order, and the same white space. Most JSON
//! lines do, because one program writes them all.
//!
//! ```text
//! line       {"id":7,"name":"x","ok":true}
//! template   {"id": ─  ,"name": ─── ,"ok": ──── }
//!            the same bytes; between them values, whose ends are found
//! ```
//!
//! The bytes between the values are compared, so no name is read and looked up. The syntax of each value is checked. If
//! a line differs, or if a value isn't plain (a string with an escape, or an object or array in which something is
//! wanted), the parser reads the line, and a new template is made of it. A line that fits a template is read as the
//! parser would read it.

use std::ops::Range;

use jiter::Jiter;

use super::Target;
use crate::data::Span;

/// The bytes of a line between its values, and which values are wanted.
#[derive(Debug)]
pub struct Template {
    parts: Vec<Part>,
    end: Literal,
}

/// A value, and the bytes before it.
#[derive(Debug)]
struct Part {
    before: Literal,
    wanted: Option<Slot>,
}

/// Bytes that must be there. The first 16 are compared as two words, which takes less time than a call of `memcmp`.
#[derive(Debug)]
struct Literal {
    bytes: Box<[u8]>,
    words: [u64; 2],
    /// The bits of the words that count.
    masks: [u64; 2],
}

impl Literal {
    fn new(bytes: &[u8]) -> Self {
        let (mut words, mut masks) = ([0; 2], [0; 2]);
        for (i, &byte) in bytes.iter().take(16).enumerate() {
            words[i / 8] |= u64::from(byte) << (8 * (i % 8));
            masks[i / 8] |= 0xff << (8 * (i % 8));
        }
        Literal { bytes: bytes.into(), words, masks }
    }

    /// Returns where the literal ends if it stands at `at`.
    #[inline]
    fn behind(&self, window: &[u8], at: usize) -> Option<usize> {
        let Some(next) = window.get(at..at + 16).filter(|_| self.bytes.len() <= 16) else {
            return behind(window, at, &self.bytes);
        };
        let word = |i: usize| u64::from_le_bytes(next[8 * i..8 * i + 8].try_into().expect("eight bytes"));
        let differs = (word(0) ^ self.words[0]) & self.masks[0] | (word(1) ^ self.words[1]) & self.masks[1];
        (differs == 0).then_some(at + self.bytes.len())
    }
}

/// What a value of the line is wanted for: a column, members inside it, or both.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub target: Option<Target>,
    /// Whether something inside the value is wanted.
    pub has_inner: bool,
}

/// A template that is being made.
#[derive(Debug, Default)]
pub struct Draft {
    /// The names so far, and where the last value ended in the line.
    names: Vec<Box<[u8]>>,
    end: usize,
    parts: Vec<Part>,
    /// Whether the line can't become a template, because a name is there twice or there are too many values.
    is_spoilt: bool,
}

/// The most values of a line that a template is made of.
const MOST: usize = 256;

impl Draft {
    pub fn clear(&mut self) {
        *self = Draft::default();
    }

    /// Adds a value of the line, which has this name and these bytes.
    pub fn value(&mut self, line: &[u8], name: &[u8], value: Range<usize>, wanted: Option<Slot>) {
        if self.is_spoilt {
            return;
        }
        self.is_spoilt = self.parts.len() == MOST || self.names.iter().any(|known| **known == *name);
        self.names.push(name.into());
        self.parts.push(Part { before: Literal::new(&line[self.end..value.start]), wanted });
        self.end = value.end;
    }

    /// Returns the template of the line, if one can be made of it.
    pub fn finish(&mut self, line: &[u8]) -> Option<Template> {
        let Draft { end, parts, is_spoilt, .. } = std::mem::take(self);
        let ends_well = !is_spoilt && !parts.is_empty();
        ends_well.then(|| Template { parts, end: Literal::new(&line[end..]) })
    }
}

impl Template {
    /// Reads the line that begins at `at` of `window`. Puts the spans of the wanted values into `record`, which is
    /// indexed by column and holds nulls before. Returns where the line's object ends. Returns `None` if the parser
    /// must read the line; some spans may be in `record` by then.
    pub fn read(&self, window: &[u8], mut at: usize, record: &mut [Span]) -> Option<usize> {
        for Part { before, wanted } in &self.parts {
            at = before.behind(window, at)?;
            let from = at;
            let first = *window.get(at)?;
            let span = match first {
                b'"' => {
                    let (end, is_ascii) = string_end(window, at + 1)?;
                    at = end + 1;
                    if !is_ascii && wanted.is_some() {
                        std::str::from_utf8(&window[from + 1..end]).ok()?;
                    }
                    let begin = match wanted {
                        Some(Slot { target: Some(target), .. }) => target.begin(from),
                        _ => from,
                    };
                    Span::of(begin..end)
                }
                b'-' | b'0'..=b'9' => {
                    at = number_end(window, at)?;
                    Span::of(from..at)
                }
                b't' => {
                    at = behind(window, at, b"true")?;
                    Span::of(from..at)
                }
                b'f' => {
                    at = behind(window, at, b"false")?;
                    Span::of(from..at)
                }
                b'n' => {
                    at = behind(window, at, b"null")?;
                    Span::NULL
                }
                b'{' | b'[' if wanted.is_none_or(|slot| !slot.has_inner) => {
                    let line = &window[from..];
                    let line = &line[..memchr::memchr(b'\n', line).unwrap_or(line.len())];
                    let mut json = Jiter::new(line);
                    json.next_skip().ok()?;
                    at = from + json.current_index();
                    Span::of(from..at)
                }
                _ => return None,
            };
            if let Some(Slot { target: Some(target), .. }) = *wanted {
                record[target.column] = span;
            }
        }
        self.end.behind(window, at)
    }
}

/// Returns where `text` ends if it stands at `at`.
#[inline]
fn behind(window: &[u8], at: usize, text: &[u8]) -> Option<usize> {
    let end = at + text.len();
    (window.get(at..end)? == text).then_some(end)
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Sets the high bit of each byte that is 0. Above the lowest such byte, the high bits of other bytes may be set too.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Returns the place of the quote that closes the string whose text begins at `at`, and whether the text is ASCII.
/// Returns `None` if an escape, or a byte that can't be in a string, comes first.
#[inline]
pub(super) fn string_end(window: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut above = 0;
    while let Some(next) = window.get(at..at + 8) {
        let word = u64::from_le_bytes(next.try_into().expect("eight bytes"));
        let control = word.wrapping_sub(0x20 * LOW) & !word & HIGH;
        let stops = zeros(word ^ (LOW * u64::from(b'"'))) | zeros(word ^ (LOW * u64::from(b'\\'))) | control;
        if stops != 0 {
            let stop = stops.trailing_zeros() / 8;
            above |= word & HIGH & ((1 << (8 * stop)) - 1);
            let end = at + stop as usize;
            return (window[end] == b'"').then_some((end, above == 0));
        }
        above |= word & HIGH;
        at += 8;
    }
    loop {
        match window.get(at)? {
            b'"' => return Some((at, above == 0)),
            b'\\' | 0..0x20 => return None,
            byte => above |= u64::from(byte & 0x80),
        }
        at += 1;
    }
}

/// Bytes of the longest number that a template reads. The parser refuses numbers of some thousands of digits.
const LONGEST_NUMBER: usize = 1000;

/// Returns where the number that begins at `at` ends. Returns `None` if it isn't a number, or is so long that the
/// parser must read it.
#[inline]
pub(super) fn number_end(window: &[u8], mut at: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        while window.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let from = at;
    if window[at] == b'-' {
        at += 1;
    }
    let whole = digits(at);
    if whole == at || (window[at] == b'0' && whole > at + 1) {
        return None;
    }
    at = whole;
    if window.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == at + 1 {
            return None;
        }
        at = fraction;
    }
    if let Some(b'e' | b'E') = window.get(at) {
        let sign = usize::from(matches!(window.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == at + 1 + sign {
            return None;
        }
        at = exponent;
    }
    (at - from <= LONGEST_NUMBER).then_some(at)
}
