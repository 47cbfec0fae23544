//! The index of a window: the places where its fields end, which are its delimiters and newlines outside quotes.
//!
//! ```text
//! window    k,"a,b"⏎l,"c""d"⏎
//! places   ╵ ╵     ╵ ╵      ╵     the first is the byte before the window: field i lies between places i and i + 1
//! marks                ╵          a field with a mark in it must be rewritten
//! ```
//!
//! Wrong quotes are found at the same time, also as masks, and are kept with their places. A window is indexed some
//! records at a time, so that places and text are still in the first-level cache when the fields are taken.

#![allow(unsafe_code)]

use super::{Dialect, Malformed, Quoting};
use crate::record::QuoteState;
use crate::record::bits::{BLOCK, Level, Vector, VectorWork, block, filler};
use crate::record::quotes::{QUOTE, StateMasks};

/// The places of a window's fields, which are found some records at a time.
#[derive(Debug)]
pub struct Index {
    level: Level,
    delimiter: u8,
    quoting: Quoting,
    places: Vec<u32>,
    /// How many of the places are filled.
    filled: usize,
    /// How many of the places end a record.
    ends: usize,
    cursor: Cursor,
    /// Whether the window's end is a record's end.
    is_whole: bool,
    /// The end of the last block that has quotes.
    quotes_to: usize,
    /// The end of the last block that has carriage returns.
    returns_to: usize,
    /// Where the second quote of each doubled pair is, or each backslash in TSV.
    marks: Vec<u32>,
    faults: Vec<(u32, Malformed)>,
}

/// The state of the scan of a window.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    read: usize,
    machine: StateMasks,
    /// One if the byte before closed a quoted field or was the first of two quotes, else zero.
    closed: u64,
    /// One if the byte before was a carriage return behind such a quote, else zero.
    returned: u64,
}

impl Cursor {
    fn start() -> Self {
        Cursor { read: 0, machine: QuoteState::FieldStart.into(), closed: 0, returned: 0 }
    }
}

impl Index {
    pub fn new(dialect: &Dialect) -> Self {
        Index {
            level: Level::detect(),
            delimiter: dialect.delimiter,
            quoting: dialect.quoting,
            places: Vec::new(),
            filled: 0,
            ends: 0,
            cursor: Cursor::start(),
            is_whole: true,
            quotes_to: 0,
            returns_to: 0,
            marks: Vec::new(),
            faults: Vec::new(),
        }
    }

    #[cfg(test)]
    pub fn with_level(dialect: &Dialect, level: Level) -> Self {
        Index { level, ..Index::new(dialect) }
    }

    /// Begins a window. If the window isn't whole, its last record may go on behind it.
    pub fn begin(&mut self, is_whole: bool) {
        self.places.resize(self.places.len().max(1), 0);
        self.places[0] = u32::MAX; // the byte before the window
        (self.filled, self.ends, self.quotes_to, self.returns_to) = (1, 0, 0, 0);
        (self.cursor, self.is_whole) = (Cursor::start(), is_whole);
        self.marks.clear();
        self.faults.clear();
    }

    /// Indexes `window` further, until there are `target` places or more. Returns whether the whole window is indexed.
    /// If so, the window's end is the last place if the last record has no terminator.
    pub fn fill(&mut self, window: &[u8], target: usize) -> bool {
        if self.cursor.read < window.len() && self.filled < target {
            if self.places.len() < target + BLOCK {
                self.places.resize(target + BLOCK, 0);
            }
            let level = self.level;
            match self.quoting {
                Quoting::Quoted => level.run(Scan::<true> { index: self, window, target }),
                Quoting::Escaped => level.run(Scan::<false> { index: self, window, target }),
            }
            if self.cursor.read == window.len() {
                self.finish(window);
            }
        }
        self.cursor.read == window.len()
    }

    fn finish(&mut self, window: &[u8]) {
        let end = window.len() as u32;
        if self.cursor.machine.inside != 0 {
            if !self.is_whole {
                return;
            }
            self.faults.push((end, Malformed::Unterminated));
        } else if self.cursor.returned != 0 {
            self.faults.push((end, Malformed::BehindQuote));
        } else if self.places[self.filled - 1] == end - 1 && window.ends_with(b"\n") {
            return;
        }
        self.places[self.filled] = end;
        self.filled += 1;
        self.ends += 1;
    }

    /// Returns the places. The first is the byte before the first record.
    pub fn places(&self) -> &[u32] {
        &self.places[..self.filled]
    }

    /// Returns how many records end at the places.
    pub fn ends(&self) -> usize {
        self.ends
    }

    /// Returns the end of the last block so far that has quotes.
    pub fn quotes_to(&self) -> usize {
        self.quotes_to
    }

    /// Returns the end of the last block so far that has carriage returns.
    pub fn returns_to(&self) -> usize {
        self.returns_to
    }

    /// Returns the marks in ascending order.
    pub fn marks(&self) -> &[u32] {
        &self.marks
    }

    /// Returns what is wrong, in ascending order of places.
    pub fn faults(&self) -> &[(u32, Malformed)] {
        &self.faults
    }

    /// Drops the first `records` records, which end at place number `last`.
    pub fn drop_front(&mut self, records: usize, last: usize) {
        let end = self.places[last];
        self.places.copy_within(last..self.filled, 0);
        self.filled -= last;
        self.ends -= records;
        self.marks.drain(..self.marks.partition_point(|&mark| mark < end));
        self.faults.drain(..self.faults.partition_point(|&(at, _)| at <= end));
    }

    #[cold]
    fn note(&mut self, at: usize, doubled: u64, behind: u64, stray: u64) {
        let mut bits = doubled | behind | stray;
        while bits != 0 {
            let (place, bit) = ((at + bits.trailing_zeros() as usize) as u32, bits & bits.wrapping_neg());
            if doubled & bit != 0 {
                self.marks.push(place);
            } else {
                let fault = if behind & bit != 0 { Malformed::BehindQuote } else { Malformed::StrayQuote };
                self.faults.push((place, fault));
            }
            bits ^= bit;
        }
    }
}

struct Scan<'a, const QUOTED: bool> {
    index: &'a mut Index,
    window: &'a [u8],
    target: usize,
}

impl<const QUOTED: bool> VectorWork for Scan<'_, QUOTED> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Scan { index, window, target } = self;
        let (delimiter, special) = (index.delimiter, if QUOTED { QUOTE } else { b'\\' });
        let Cursor { mut read, mut machine, mut closed, mut returned } = index.cursor;
        let (mut filled, mut ends) = (index.filled, index.ends);
        let (filler, mut padded) = (filler(delimiter), [0; BLOCK]);
        while filled < target
            && let Some((block, len)) = block(window, read, filler, &mut padded)
        {
            // SAFETY: the caller vouches for the processor.
            let vector = unsafe { V::load(block) };
            let mut newlines = vector.equal(b'\n');
            let mut separators = vector.equal(delimiter) | newlines;
            let special = vector.equal(special);
            if vector.equal(b'\r') != 0 {
                index.returns_to = read + BLOCK;
            }
            if QUOTED {
                if special | closed | returned == 0 {
                    let inside = machine.pass_unquoted(separators).inside;
                    separators &= !inside;
                    newlines &= !inside;
                } else {
                    let quotes = machine.pass(vector, special, separators);
                    separators &= !quotes.inside;
                    newlines &= !quotes.inside;
                    let last = len - 1;
                    let closing = quotes.real & !quotes.inside;
                    let after = (closing << 1 | closed) & (u64::MAX >> (BLOCK - len));
                    let doubled = quotes.real & quotes.inside & after;
                    let returns = after & vector.equal(b'\r');
                    let after_return = (returns << 1 | returned) & (u64::MAX >> (BLOCK - len));
                    let behind = (after & !(separators | quotes.real | returns)) | (after_return & !newlines);
                    if doubled | behind | quotes.stray != 0 {
                        index.note(read, doubled, behind, quotes.stray);
                    }
                    closed = closing >> last & 1;
                    returned = returns >> last & 1;
                    index.quotes_to = read + BLOCK;
                }
            } else if special != 0 {
                index.note(read, special, 0, 0);
            }
            let out =
                index.places[filled..].first_chunk_mut().expect("the places are longer by a block than the target");
            vector.places(separators, read as u32, out);
            filled += separators.count_ones() as usize;
            ends += newlines.count_ones() as usize;
            read += len;
        }
        index.cursor = Cursor { read, machine, closed, returned };
        (index.filled, index.ends) = (filled, ends);
    }
}
