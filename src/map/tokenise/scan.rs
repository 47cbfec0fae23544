//! Finds the edges of tokens, 64 bytes at a time.
//!
//! A block of 64 bytes becomes a few bit masks, one bit a byte; mask arithmetic
//! leaves one bit set wherever a token starts or ends, and the positions of
//! those bits are written out. Starts and ends alternate, so the list of edges
//! read two by two is the list of tokens. The same scan is compiled for
//! AVX-512, for AVX2 and for no particular processor, and for each [`Class`] of
//! token; which processor it is was settled when the [`Kernel`] was made.

#![allow(unsafe_code)]

use super::unicode;
use crate::data::Span;

/// Bytes classified at once: one for each bit of a mask.
pub const BLOCK: usize = 64;

/// Most tokens in a batch.
pub const MOST_TOKENS: usize = 1024;

/// Edges of a batch. A whole block of them is written whatever their number,
/// hence the slack.
pub type TokenEdges = [u32; 2 * MOST_TOKENS + BLOCK];

/// Why a whole block can always be written where a scan stands.
const ROOM: &str = "edges and data are longer by a block than they may be filled";

/// Where a scan stands. `open` says that the last edge is the start of a token
/// still being read.
#[derive(Clone, Copy, Default)]
pub struct Cursor {
    /// Bytes of the text consumed.
    pub read: usize,
    /// The same place in the batch's data, where edges are counted from.
    pub at: usize,
    /// Edges written.
    pub edges: usize,
    pub open: bool,
    /// Whether an apostrophe here would follow a letter or a mark.
    pub joinable: bool,
}

/// Why a scan returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The batch must be handed on first.
    Full,
    /// The next code point is longer or shorter in lower case.
    Resize,
    /// The text has been read.
    End,
}

/// One block's bits. A class that has no use for a mask leaves it zero.
#[derive(Clone, Copy, Default)]
pub struct Masks {
    /// Every byte of what is in a token whatever its neighbours.
    pub token: u64,
    /// The last byte of what an apostrophe may follow.
    pub before: u64,
    /// The first byte of what an apostrophe may precede.
    pub after: u64,
    /// ASCII apostrophes.
    pub apostrophe: u64,
    /// The first byte of each U+2019.
    pub quote: u64,
    /// Bytes that are not ASCII and so not in the other masks yet.
    pub foreign: u64,
}

/// What makes a token.
pub trait Class {
    /// Tokens are copied in lower case; otherwise they are ranges of the text.
    const FOLD: bool;
    fn masks<V: Vector>(block: V, lower: V) -> Masks;
}

/// Letters, marks, numbers, and apostrophes between letters.
pub struct WordClass;
/// ASCII letters.
pub struct LetterClass;
/// Everything but tab, line feed, vertical tab, form feed, return and space.
pub struct NonSpaceClass;

impl Class for WordClass {
    const FOLD: bool = true;
    #[inline(always)]
    fn masks<V: Vector>(block: V, lower: V) -> Masks {
        let letter = lower.within(b'a', b'z');
        Masks {
            token: letter | block.within(b'0', b'9'),
            before: letter,
            after: letter,
            apostrophe: block.equal(b'\''),
            quote: 0,
            foreign: block.high(),
        }
    }
}

impl Class for LetterClass {
    const FOLD: bool = true;
    #[inline(always)]
    fn masks<V: Vector>(_: V, lower: V) -> Masks {
        let token = lower.within(b'a', b'z');
        Masks { token, ..Masks::default() }
    }
}

impl Class for NonSpaceClass {
    const FOLD: bool = false;
    #[inline(always)]
    fn masks<V: Vector>(block: V, _: V) -> Masks {
        let token = !(block.within(b'\t', b'\r') | block.equal(b' '));
        Masks { token, ..Masks::default() }
    }
}

/// A block in whatever registers the processor has.
pub trait Vector: Copy {
    /// # Safety
    /// The processor must have the features the implementation is written for.
    /// Having a value is then the proof of it for the other methods.
    unsafe fn load(block: &[u8; BLOCK]) -> Self;
    fn store(self, block: &mut [u8; BLOCK]);
    /// Every byte with bit 0x20 set: lower case for a letter, and no change to
    /// a digit or an apostrophe, so the rest of a word need not be spared.
    fn lower(self) -> Self;
    /// The same of ASCII bytes only.
    fn lower_ascii(self) -> Self;
    /// Bytes from `first` to `last`, both ASCII.
    fn within(self, first: u8, last: u8) -> u64;
    fn equal(self, byte: u8) -> u64;
    /// Bytes that are not ASCII.
    fn high(self) -> u64;
    /// Bytes from C0 up, which begin a sequence or are in none.
    fn leads(self) -> u64;
    /// Writes `base` plus the place of each set bit, in order, then rubbish.
    fn places(self, bits: u64, base: u32, out: &mut [u32; BLOCK]) {
        places(bits, base, out);
    }
}

#[inline(always)]
fn places(mut bits: u64, base: u32, out: &mut [u32; BLOCK]) {
    // Eight at a time: a test for each place would be mispredicted at the end
    // of nearly every block.
    for eight in out.as_chunks_mut::<8>().0 {
        for place in eight {
            *place = base.wrapping_add(bits.trailing_zeros());
            bits &= bits.wrapping_sub(1);
        }
        if bits == 0 {
            break;
        }
    }
}

/// Scans until there is a reason to stop, and moves `cursor` on.
///
/// # Safety
/// As for [`Vector::load`].
#[inline(always)]
unsafe fn scan<V: Vector, C: Class>(
    text: &[u8],
    folded: &mut [u8],
    edges: &mut TokenEdges,
    limit: usize,
    cursor: &mut Cursor,
) -> Stop {
    let mut here = *cursor;
    let stop = loop {
        // One more block could overflow the data or the edges.
        if here.at + BLOCK > limit || here.edges + BLOCK > 2 * MOST_TOKENS {
            break Stop::Full;
        }
        let rest = &text[here.read..];
        let mut padded = [b' '; BLOCK];
        let block = match rest.first_chunk() {
            Some(block) => block,
            None if rest.is_empty() => break Stop::End,
            None => {
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            }
        };
        // SAFETY: this function's caller vouches for the processor.
        let vector = unsafe { V::load(block) };
        let lower = vector.lower();
        let mut masks = C::masks(vector, lower);
        let mut take = rest.len().min(BLOCK);
        if C::FOLD {
            let out = &mut folded[here.at..];
            let first = out.first_chunk_mut().expect(ROOM);
            if masks.foreign == 0 {
                lower.store(first);
            } else {
                vector.lower_ascii().store(first);
                (masks, take) = unicode::resolve(rest, out, vector.leads(), masks);
                if take == 0 {
                    break Stop::Resize;
                }
            }
        }
        // What follows an apostrophe decides about it, so one at the end of the
        // block is left to be seen together with its successor.
        if masks.apostrophe >> (BLOCK - 1) != 0 {
            take = take.min(BLOCK - 1);
        }

        let follows = (masks.before << 1) | u64::from(here.joinable);
        let quote = masks.quote & follows & (masks.after >> 3);
        let token =
            masks.token | (masks.apostrophe & follows & (masks.after >> 1)) | (quote | (quote << 1) | (quote << 2));
        let mut edge = token ^ ((token << 1) | u64::from(here.open));
        let mut last = BLOCK - 1;
        // A branch rather than arithmetic, so that the next block can be loaded
        // before it is known how much of this one counts.
        if take != BLOCK {
            last = take - 1;
            edge &= u64::MAX >> (BLOCK - take);
        }
        let out = edges[here.edges..].first_chunk_mut().expect(ROOM);
        vector.places(edge, here.at as u32, out);
        here.edges += edge.count_ones() as usize;
        here.open = (token >> last) & 1 != 0;
        here.joinable = (masks.before >> last) & 1 != 0;
        here.read += last + 1;
        here.at += last + 1;
    };
    *cursor = here;
    stop
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The scan that suits this processor. Only a level that was detected is ever
/// put in one, which the calls in [`Kernel::scan`] rely on.
#[derive(Clone, Copy, Debug)]
pub struct Kernel(Level);

impl Kernel {
    /// All that would work here, the fastest last.
    pub fn available() -> impl DoubleEndedIterator<Item = Kernel> {
        let portable = Some(Kernel(Level::Portable));
        #[cfg(target_arch = "x86_64")]
        let vectors = x86::detect();
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [];
        std::iter::once(portable).chain(vectors).flatten()
    }

    /// The fastest.
    pub fn detect() -> Kernel {
        Kernel::available().next_back().unwrap_or(Kernel(Level::Portable))
    }

    /// Reads `text` from `cursor` on, writing edges and, for a class that
    /// folds, lower case to `folded`, which is longer than `limit` by a block.
    pub fn scan<C: Class>(
        self,
        text: &[u8],
        folded: &mut [u8],
        edges: &mut TokenEdges,
        limit: usize,
        cursor: &mut Cursor,
    ) -> Stop {
        match self.0 {
            // SAFETY: this vector is plain integers and needs no feature.
            Level::Portable => unsafe { scan::<portable::Words8, C>(text, folded, edges, limit, cursor) },
            // SAFETY: the level was detected.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { x86::scan_avx2::<C>(text, folded, edges, limit, cursor) },
            // SAFETY: the level was detected.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { x86::scan_avx512::<C>(text, folded, edges, limit, cursor) },
        }
    }
}

/// Pairs up edges; an odd one at the end is left out.
pub fn spans(edges: &[u32]) -> &[Span] {
    // SAFETY: `Span` is two `u32` in the order of `repr(C)`, so it has the
    // alignment of `u32` and no padding, and any pair of them is valid; the
    // length counts whole pairs, and the borrow is that of `edges`.
    unsafe { std::slice::from_raw_parts(edges.as_ptr().cast(), edges.len() / 2) }
}

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;
