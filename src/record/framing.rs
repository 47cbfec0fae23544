//! Finds where records end, in a whole file or in a part of one. So it decides which part of a file owns a record.
//!
//! If newlines may stand in quotes, whether a newline ends a record depends on all bytes before it. So that several
//! workers can read one file, each worker computes the [`Transition`] of its part: what the part does to every
//! [`QuoteState`] that may hold where the part begins. The transitions of the parts before a part, combined by
//! [`then`](Transition::then), lead from the file's first state to the part's own state. From that,
//! [`first_record_start`] finds the first record that the part owns.
//!
//! ```text
//! parts              a,"b        │ ⏎c",d⏎e,"f   │ ⏎g",h⏎i
//! from FieldStart    Quoted      │ Quoted       │ Unquoted
//! from Quoted        Unquoted    │ Quoted       │ Unquoted
//! state before it    FieldStart  │ Quoted       │ Quoted
//! owns the record    a           │ e            │ i
//! ```
//!
//! On the core that [`delimited`](super::delimited) names, a transition is found at 30 GB/s if there are no quotes or
//! few, and at 9 GB/s if every field is quoted. A window's end is found from its last bytes alone if there are many
//! quotes, at 14 GB/s if there are few, and at 40 GB/s if there are none.

#![allow(unsafe_code)]

use std::ops::ControlFlow;

use super::bits::{BLOCK, Level, Vector, VectorWork, block, filler};
use super::quotes::{QUOTE, StateMasks};
use super::{TERMINATOR, unended};

pub use super::quotes::QuoteState;

/// What ends a record. The last record of a file needs no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This byte, wherever it stands.
    Terminator(u8),
    /// A newline outside quotes, as in RFC 4180. The delimiter is none of `"`, `\r` and `\n`.
    Quoted { delimiter: u8 },
}

impl Framing {
    /// Returns the end of a window: of the whole records at the beginning of `block` that fill about `size` bytes.
    /// `block` begins with a record, and the window has at least that one. If the first record has no end within
    /// `longest` bytes, the search stops there, and so does the window.
    pub fn window(self, block: &[u8], size: usize, longest: usize) -> usize {
        if block.len() <= size {
            return block.len();
        }
        let enough = block.len().min(size.max(longest));
        let first_from = |end: Option<usize>| end.map_or(enough, |end| size + end);
        match self {
            Framing::Terminator(byte) => match memchr::memrchr(byte, &block[..size]) {
                Some(at) => at + 1,
                None => first_from(memchr::memchr(byte, &block[size..enough]).map(|at| at + 1)),
            },
            Framing::Quoted { delimiter } => {
                let (last, state) = last_end(&block[..size], delimiter);
                last.unwrap_or_else(|| first_from(first_record_start(state, &block[size..enough], delimiter)))
            }
        }
    }

    /// Returns a likely end of a window without looking at most of its bytes. It is the end of a newline, which may
    /// stand in quotes; the reader that reaches it knows whether it does. Returns `None` if [`window`](Self::window)
    /// costs no more, or if there is no newline.
    pub fn likely_window(self, block: &[u8], size: usize) -> Option<usize> {
        match self {
            Framing::Quoted { .. } if block.len() > size => memchr::memrchr(b'\n', &block[..size]).map(|at| at + 1),
            _ => None,
        }
    }

    /// Returns the end, behind its terminator, of the last record in `bytes` that has a terminator. `bytes` begin with
    /// a record.
    pub fn last_end(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Framing::Terminator(byte) => memchr::memrchr(byte, bytes).map(|at| at + 1),
            Framing::Quoted { delimiter } => last_end(bytes, delimiter).0,
        }
    }

    /// Returns the end, behind its terminator, of the record that `bytes` begin with.
    pub fn first_end(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Framing::Terminator(byte) => memchr::memchr(byte, bytes).map(|at| at + 1),
            Framing::Quoted { delimiter } => first_record_start(QuoteState::FieldStart, bytes, delimiter),
        }
    }

    /// Returns the length of the record that `bytes` begin with, with its end, or of all `bytes` if its end isn't there.
    /// Now and then calls `seen` with the number of bytes that were searched, so that their memory may be given back.
    pub fn long_record(self, bytes: &[u8], mut seen: impl FnMut(usize)) -> usize {
        const STEP: usize = 1 << 20;
        let (mut searched, mut state) = (0, QuoteState::FieldStart);
        for step in bytes.chunks(STEP) {
            let end = match self {
                Framing::Terminator(byte) => memchr::memchr(byte, step).map(|at| at + 1),
                Framing::Quoted { delimiter } => {
                    let end = first_record_start(state, step, delimiter);
                    state = last_end_from(state, step, delimiter).1;
                    end
                }
            };
            if let Some(end) = end {
                return searched + end;
            }
            searched += step.len();
            seen(searched);
        }
        searched
    }

    /// Returns where the first record of `text` begins that has more than `most` bytes without its end.
    pub fn too_long(self, text: &[u8], most: u64) -> Option<usize> {
        if text.len() as u64 <= most {
            return None;
        }
        let mut start = 0;
        let mut is_too_long = |next: usize, terminator: usize| {
            let begin = std::mem::replace(&mut start, next);
            let end = next - terminator;
            let is_crlf = terminator > 0 && text[end] == b'\n' && end > begin && text[end - 1] == b'\r';
            ((end - begin - usize::from(is_crlf)) as u64 > most).then_some(begin)
        };
        let mut found = None;
        self.ends(text, |next| {
            found = is_too_long(next, 1);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        found.or_else(|| is_too_long(text.len(), 0))
    }

    /// Returns the byte that ends a record.
    pub fn terminator(self) -> u8 {
        match self {
            Framing::Terminator(byte) => byte,
            Framing::Quoted { .. } => TERMINATOR,
        }
    }

    /// Returns a record without its end, if it has one.
    pub fn unended(self, record: &[u8]) -> &[u8] {
        match self.terminator() {
            TERMINATOR => unended(record),
            byte => record.strip_suffix(&[byte]).unwrap_or(record),
        }
    }

    /// Counts the records of `window`, which begins with a record. Empty lines count too.
    pub fn count(self, window: &[u8]) -> u64 {
        match self {
            Framing::Terminator(byte) => {
                let terminated = memchr::memchr_iter(byte, window).count();
                terminated as u64 + u64::from(window.last().is_some_and(|&last| last != byte))
            }
            Framing::Quoted { delimiter } => {
                let (mut terminated, mut end) = (0, 0);
                walk(window, delimiter, QuoteState::FieldStart, |at, ends| {
                    terminated += u64::from(ends.count_ones());
                    if ends != 0 {
                        end = behind_last(at, ends);
                    }
                    ControlFlow::Continue(())
                });
                terminated + u64::from(end < window.len())
            }
        }
    }

    /// Calls `each` with the end, behind the terminator, of each record of `text` that has a terminator.
    fn ends(self, text: &[u8], mut each: impl FnMut(usize) -> ControlFlow<()>) {
        match self {
            Framing::Terminator(byte) => {
                let _ = memchr::memchr_iter(byte, text).try_for_each(|at| each(at + 1));
            }
            Framing::Quoted { delimiter } => {
                walk(text, delimiter, QuoteState::FieldStart, |at, mut ends| {
                    while ends != 0 {
                        each(behind_first(at, ends))?;
                        ends &= ends - 1;
                    }
                    ControlFlow::Continue(())
                });
            }
        }
    }
}

/// Returns where the next record begins, given the state before `bytes`: behind the first newline outside quotes.
pub fn first_record_start(state: QuoteState, bytes: &[u8], delimiter: u8) -> Option<usize> {
    let mut first = None;
    walk(bytes, delimiter, state, |at, ends| match ends {
        0 => ControlFlow::Continue(()),
        _ => {
            first = Some(behind_first(at, ends));
            ControlFlow::Break(())
        }
    });
    first
}

/// Returns the state before `bytes` in which the fewest of their quotes are odd. In a well-formed file this is nearly
/// always the right state.
pub fn likely_state(bytes: &[u8], delimiter: u8) -> QuoteState {
    let odd = |&state: &QuoteState| Level::detect().run(OddQuotes { bytes, delimiter, state });
    QuoteState::ALL.into_iter().min_by_key(odd).expect("several states")
}

/// Counts the odd quotes, given the state before the bytes. A quote is odd if it stands in a field that doesn't begin
/// with a quote, or if it closes a field that goes on. A closing quote at the end of a block isn't counted, because the
/// next byte isn't known there.
struct OddQuotes<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    state: QuoteState,
}

impl VectorWork for OddQuotes<'_> {
    type Output = u32;

    #[inline(always)]
    unsafe fn run<V: Vector>(self) -> u32 {
        let OddQuotes { bytes, delimiter, state } = self;
        let (mut machine, mut at, mut odd) = (StateMasks::from(state), 0, 0);
        let (filler, mut padded) = (filler(delimiter), [0; BLOCK]);
        while let Some((block, len)) = block(bytes, at, filler, &mut padded) {
            // SAFETY: the caller vouches for the processor.
            let vector = unsafe { V::load(block) };
            let separators = vector.equal(delimiter) | vector.equal(b'\n');
            let quotes = machine.pass(vector, vector.equal(QUOTE), separators);
            let goes_on = !(separators | quotes.real | vector.equal(b'\r'));
            let closed = (quotes.real & !quotes.inside) << 1;
            odd += ((quotes.stray | closed & goes_on) & u64::MAX >> (BLOCK - len)).count_ones();
            at += len;
        }
        odd
    }
}

/// Returns the end of the last record in `bytes` that has a terminator, and the state behind `bytes`. `bytes` begin
/// with a record.
fn last_end(bytes: &[u8], delimiter: u8) -> (Option<usize>, QuoteState) {
    if memchr::memchr(QUOTE, bytes).is_none() {
        let state = bytes.last().map(|&last| QuoteState::FieldStart.behind_unquoted(last, delimiter));
        return (memchr::memrchr(b'\n', bytes).map(|at| at + 1), state.unwrap_or(QuoteState::FieldStart));
    }
    if let Some(known) = last_end_by_tail(bytes, delimiter) {
        return known;
    }
    last_end_from(QuoteState::FieldStart, bytes, delimiter)
}

/// Does what [`last_end`] does from the last bytes alone. This works if all states before those bytes lead to one state
/// within them, as they nearly always do if most records have quotes. Returns `None` if it doesn't work.
fn last_end_by_tail(bytes: &[u8], delimiter: u8) -> Option<(Option<usize>, QuoteState)> {
    const TAIL: usize = 4096;
    const STEP: usize = 4 * BLOCK;
    let mut at = bytes.len().checked_sub(TAIL)?;
    let mut after = Transition::IDENTITY;
    while at < bytes.len() {
        let step = &bytes[at..bytes.len().min(at + STEP)];
        after = after.then(Transition::of(step, delimiter));
        at += step.len();
        if let Some(state) = after.same() {
            let (last, state) = last_end_from(state, &bytes[at..], delimiter);
            return last.map(|last| (Some(at + last), state));
        }
    }
    None
}

/// Returns the end of the last record in `bytes` that has a terminator, and the state behind `bytes`, given the state
/// before them.
fn last_end_from(state: QuoteState, bytes: &[u8], delimiter: u8) -> (Option<usize>, QuoteState) {
    let mut last = None;
    let state = walk(bytes, delimiter, state, |at, ends| {
        if ends != 0 {
            last = Some(behind_last(at, ends));
        }
        ControlFlow::Continue(())
    });
    (last, state)
}

fn behind_first(at: usize, ends: u64) -> usize {
    at + ends.trailing_zeros() as usize + 1
}

fn behind_last(at: usize, ends: u64) -> usize {
    at + BLOCK - ends.leading_zeros() as usize
}

/// The effect of a stretch of bytes: for each state before it, the state behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition([QuoteState; QuoteState::ALL.len()]);

impl Transition {
    /// The transition of no bytes.
    pub const IDENTITY: Transition = Transition(QuoteState::ALL);

    pub fn of(bytes: &[u8], delimiter: u8) -> Self {
        Transition::by(Level::detect(), bytes, delimiter)
    }

    /// Computes the transition. Each stretch is walked once for each different state that it can begin in, and not at
    /// all if it has no quotes. The three states soon become fewer. Any byte but a quote makes the two states outside
    /// quotes equal, which leaves two. The first quote that can't open a field, which is nearly always the first that
    /// closes one, makes these two equal.
    fn by(level: Level, bytes: &[u8], delimiter: u8) -> Self {
        const STRETCH: usize = 4096;
        let mut after = Transition::IDENTITY;
        for stretch in bytes.chunks(STRETCH) {
            let last = stretch[stretch.len() - 1];
            if memchr::memchr(QUOTE, stretch).is_none() {
                after.0 = after.0.map(|state| state.behind_unquoted(last, delimiter));
                continue;
            }
            let walk =
                |state| level.run(Walk { bytes: stretch, delimiter, state, each: |_, _| ControlFlow::Continue(()) });
            let [first, second, third] = after.0;
            let behind_first = walk(first);
            let behind_second = if second == first { behind_first } else { walk(second) };
            let behind_third = match third {
                _ if third == first => behind_first,
                _ if third == second => behind_second,
                _ => walk(third),
            };
            after.0 = [behind_first, behind_second, behind_third];
        }
        after
    }

    /// Returns the transition of these bytes followed by those of `next`.
    pub fn then(self, next: Transition) -> Self {
        Transition(self.0.map(|state| next.from(state)))
    }

    /// Returns the state behind the bytes if it doesn't depend on the state before them.
    pub fn same(self) -> Option<QuoteState> {
        let [first, rest @ ..] = self.0;
        rest.iter().all(|&state| state == first).then_some(first)
    }

    /// Returns the state behind the bytes, given the state before them.
    pub fn from(self, state: QuoteState) -> QuoteState {
        self.0[state as usize]
    }
}

/// Walks through `bytes` block by block. Calls `each` with the beginning of a block and the mask of its newlines that
/// end records, until `each` breaks. Returns the state behind `bytes`, or behind the block where `each` stopped the
/// walk.
fn walk(bytes: &[u8], delimiter: u8, state: QuoteState, each: impl FnMut(usize, u64) -> ControlFlow<()>) -> QuoteState {
    Level::detect().run(Walk { bytes, delimiter, state, each })
}

struct Walk<'a, F> {
    bytes: &'a [u8],
    delimiter: u8,
    state: QuoteState,
    each: F,
}

impl<F: FnMut(usize, u64) -> ControlFlow<()>> VectorWork for Walk<'_, F> {
    type Output = QuoteState;

    #[inline(always)]
    unsafe fn run<V: Vector>(mut self) -> QuoteState {
        let mut machine = StateMasks::from(self.state);
        let mut at = 0;
        let (filler, mut padded) = (filler(self.delimiter), [0; BLOCK]);
        while let Some((block, len)) = block(self.bytes, at, filler, &mut padded) {
            // SAFETY: the caller vouches for the processor.
            let vector = unsafe { V::load(block) };
            let newlines = vector.equal(b'\n');
            let separators = vector.equal(self.delimiter) | newlines;
            let quotes = match vector.equal(QUOTE) {
                0 => machine.pass_unquoted(separators),
                quotes => machine.pass(vector, quotes, separators),
            };
            if len < BLOCK {
                machine.opens = (separators | quotes.real) >> (len - 1) & 1;
            }
            if (self.each)(at, newlines & !quotes.inside).is_break() {
                break;
            }
            at += len;
        }
        machine.into()
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
