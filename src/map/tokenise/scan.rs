//! Finds the edges of tokens, 64 bytes at a time.
//!
//! A block of 64 bytes becomes a few bit masks, one bit a byte. Mask arithmetic leaves one bit set wherever a token
//! starts or ends, and the positions of those bits are written out. Starts and ends alternate, so the list of edges
//! read two by two is the list of tokens. The same scan is compiled for AVX-512, for AVX2 and for no particular
//! processor, and for each [`Class`] of token. The version for the processor is chosen when the [`Kernel`] is made.

#![allow(unsafe_code)]

use super::unicode;
use crate::data::Span;

/// Bytes classified at once: one for each bit of a mask.
pub const BLOCK: usize = 64;

/// The most tokens in a batch.
pub const MOST_TOKENS: usize = 1024;

/// The edges of a batch. A whole block of places is written however few of them are edges, so there is room for one
/// more block.
pub type TokenEdges = [u32; 2 * MOST_TOKENS + BLOCK];

/// Why there is always room to write a whole block at the cursor.
const ROOM: &str = "edges and data are longer by a block than they may be filled";

/// The state of a scan. `open` says that the last edge is the start of a token that hasn't ended yet.
#[derive(Clone, Copy, Default)]
pub struct Cursor {
    /// Bytes of the text consumed.
    pub read: usize,
    /// The same place in the batch's data. Edges are offsets in that data.
    pub at: usize,
    /// Edges written.
    pub edges: usize,
    pub open: bool,
    /// Whether an apostrophe here would follow a letter or a mark.
    pub joinable: bool,
}

/// Why a scan returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanEnd {
    /// The batch must be handed on first.
    Full,
    /// The next code point has another length in lower case.
    Resize,
    /// All of the text has been read.
    End,
}

/// The bit masks of a block. A class leaves the masks that it doesn't need zero.
#[derive(Clone, Copy, Default)]
pub struct Masks {
    /// All bytes of characters that are in a token whatever their neighbours are.
    pub token: u64,
    /// The last byte of each character that an apostrophe may follow.
    pub before: u64,
    /// The first byte of each character that an apostrophe may precede.
    pub after: u64,
    /// ASCII apostrophes.
    pub apostrophe: u64,
    /// The first byte of each U+2019.
    pub quote: u64,
    /// Bytes that are not ASCII, and so not in the other masks yet.
    pub foreign: u64,
}

/// The characters that make a token.
pub trait Class {
    /// Whether tokens are copied in lower case. If not, they are ranges of the text.
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

/// A block in the registers that the processor has.
pub trait Vector: Copy {
    /// # Safety
    /// The processor must have the features that the implementation is written for. A value of the type is then the
    /// proof of these features for the other methods.
    unsafe fn load(block: &[u8; BLOCK]) -> Self;
    fn store(self, block: &mut [u8; BLOCK]);
    /// Returns the block with bit 0x20 set in every byte. This makes a letter lower case, and doesn't change a digit or
    /// an apostrophe, so all bytes of a word can be treated alike.
    fn lower(self) -> Self;
    /// Returns the block with bit 0x20 set in every ASCII byte.
    fn lower_ascii(self) -> Self;
    /// The bytes from `first` to `last`, both ASCII.
    fn within(self, first: u8, last: u8) -> u64;
    fn equal(self, byte: u8) -> u64;
    /// The bytes that are not ASCII.
    fn high(self) -> u64;
    /// The bytes from 0xC0 up. Each begins a UTF-8 sequence or is in none.
    fn leads(self) -> u64;
    /// Writes `base` plus the place of each set bit, in order. The rest of `out` may hold anything.
    fn places(self, bits: u64, base: u32, out: &mut [u32; BLOCK]) {
        places(bits, base, out);
    }
}

#[inline(always)]
fn places(mut bits: u64, base: u32, out: &mut [u32; BLOCK]) {
    // Eight at a time, because a test for each place would be mispredicted at the end of nearly every block.
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

/// Scans until there is a reason to stop, and advances `cursor`.
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
) -> ScanEnd {
    let mut here = *cursor;
    let stop = loop {
        // One more block could overflow the data or the edges.
        if here.at + BLOCK > limit || here.edges + BLOCK > 2 * MOST_TOKENS {
            break ScanEnd::Full;
        }
        let rest = &text[here.read..];
        let mut padded = [b' '; BLOCK];
        let block = match rest.first_chunk() {
            Some(block) => block,
            None if rest.is_empty() => break ScanEnd::End,
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
                    break ScanEnd::Resize;
                }
            }
        }
        // The byte after an apostrophe decides whether the apostrophe is in a token. So an apostrophe at the end of the
        // block is left, to be read together with the next byte.
        if masks.apostrophe >> (BLOCK - 1) != 0 {
            take = take.min(BLOCK - 1);
        }

        let follows = (masks.before << 1) | u64::from(here.joinable);
        let quote = masks.quote & follows & (masks.after >> 3);
        let token =
            masks.token | (masks.apostrophe & follows & (masks.after >> 1)) | (quote | (quote << 1) | (quote << 2));
        let mut edge = token ^ ((token << 1) | u64::from(here.open));
        let mut last = BLOCK - 1;
        // A branch rather than arithmetic: the processor can load the next block before it knows how much of this one
        // counts.
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

/// The scan that suits this processor. A kernel never holds a level that wasn't detected. The calls in [`Kernel::scan`]
/// rely on that.
#[derive(Clone, Copy, Debug)]
pub struct Kernel(Level);

impl Kernel {
    /// Returns all kernels that work on this processor, the fastest last.
    pub fn available() -> impl DoubleEndedIterator<Item = Kernel> {
        let portable = Some(Kernel(Level::Portable));
        #[cfg(target_arch = "x86_64")]
        let vectors = x86::detect();
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [];
        std::iter::once(portable).chain(vectors).flatten()
    }

    /// Returns the fastest kernel that works on this processor.
    pub fn detect() -> Kernel {
        Kernel::available().next_back().unwrap_or(Kernel(Level::Portable))
    }

    /// Reads `text` from `cursor` on, and writes edges. For a class that folds, it also writes the text in lower case
    /// to `folded`, which is longer than `limit` by a block.
    pub fn scan<C: Class>(
        self,
        text: &[u8],
        folded: &mut [u8],
        edges: &mut TokenEdges,
        limit: usize,
        cursor: &mut Cursor,
    ) -> ScanEnd {
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

/// Returns the edges two by two, as spans. An odd edge at the end is left out.
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
