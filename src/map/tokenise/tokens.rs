//! The tokenisers `words`, `letters` and `whitespace`.
//!
//! Each cuts a text into tokens and hands them on in batches, as ranges of some
//! data: the text itself, or for the two that fold case a scratch small enough
//! to stay in the nearest cache. `scan` does the work, 64 bytes at a time;
//! here is what batches are made of, and the rare code point whose lower case
//! has another length.
//!
//! `words` takes general categories from Unicode [`CATEGORIES_VERSION`] and
//! lower case from [`LOWERCASE_VERSION`], that of `std`. The `unicode-properties`
//! dependency is pinned so that both are 17.0.0.

use super::Tokens;
use super::scan::{self, BLOCK, Class, Cursor, Kernel, LetterClass, NonSpaceClass, Stop, TokenEdges, WordClass};
use super::unicode::{LETTER, MARK, NUMBER, Unit};

/// The Unicode version of what is a letter, a mark or a number.
pub const CATEGORIES_VERSION: (u64, u64, u64) = unicode_properties::UNICODE_VERSION;

/// The Unicode version of what is the lower case of what.
pub const LOWERCASE_VERSION: (u8, u8, u8) = char::UNICODE_VERSION;

/// Bytes of data for a batch, unless one token needs more.
const WINDOW: usize = 16 << 10;

/// Data for tokens of which there is more than this is for one that is very long.
const LARGE: usize = 32 << 20;

/// Runs of letters, marks and numbers, with an apostrophe (' or ’) kept between
/// a letter or mark and a letter; lower-cased code point by code point. Bytes
/// that are not UTF-8 separate.
#[derive(Debug)]
pub struct Words(Scratch);

/// Runs of ASCII letters, lower-cased.
#[derive(Debug)]
pub struct Letters(Scratch);

/// Runs of anything but the bytes 09 to 0D and 20, as they are.
#[derive(Debug)]
pub struct Whitespace(Scratch);

macro_rules! tokeniser {
    ($name:ident, $class:ty) => {
        impl $name {
            pub fn new() -> Self {
                Self::with(Kernel::detect(), WINDOW)
            }

            fn with(kernel: Kernel, window: usize) -> Self {
                let folded = if <$class>::FOLD { window + BLOCK } else { 0 };
                $name(Scratch {
                    kernel,
                    window,
                    folded: vec![0; folded],
                    edges: Box::new([0; size_of::<TokenEdges>() / size_of::<u32>()]),
                })
            }

            /// Calls `emit` with batches of at most `scan::MOST_TOKENS` tokens, none empty, until all of `text` has been seen. A token ends
            /// where `text` does.
            ///
            /// # Panics
            /// If a token is not shorter than about 4 GiB.
            pub fn split(&mut self, text: &[u8], emit: impl FnMut(Tokens<'_>)) {
                self.0.split::<$class>(text, emit);
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}

tokeniser!(Words, WordClass);
tokeniser!(Letters, LetterClass);
tokeniser!(Whitespace, NonSpaceClass);

/// What a tokeniser keeps from one text to the next, so as not to allocate.
#[derive(Debug)]
struct Scratch {
    kernel: Kernel,
    window: usize,
    /// Tokens in lower case; longer than a batch's data by [`BLOCK`], so that a
    /// reader of tokens may read as much past the last. Empty if not folding.
    folded: Vec<u8>,
    edges: Box<TokenEdges>,
}

impl Scratch {
    fn split<C: Class>(&mut self, text: &[u8], mut emit: impl FnMut(Tokens<'_>)) {
        let mut limit = self.window;
        let mut cursor = Cursor::default();
        loop {
            let (folded, edges) = (&mut self.folded, &mut self.edges);
            match self.kernel.scan::<C>(text, folded, edges, limit, &mut cursor) {
                Stop::Resize => resize(&text[cursor.read..], folded, edges, &mut cursor),
                Stop::Full => {
                    self.flush::<C>(text, &mut cursor, &mut emit);
                    // Of a token's memory at least a half is used, of a very long one's most.
                    let spare = if limit < LARGE { limit / 2 } else { limit / 8 };
                    if cursor.at > limit - spare {
                        limit = self.grow::<C>(limit, cursor.at);
                    }
                }
                Stop::End => break,
            }
        }
        if cursor.open {
            self.edges[cursor.edges] = cursor.at as u32;
            cursor.edges += 1;
            cursor.open = false;
        }
        self.flush::<C>(text, &mut cursor, &mut emit);
        if limit > self.window && C::FOLD {
            self.folded.truncate(self.window + BLOCK);
            self.folded.shrink_to_fit();
        }
    }

    /// Hands on the tokens found, and moves the beginning of one still open to
    /// where the next batch begins.
    #[inline]
    fn flush<C: Class>(&mut self, text: &[u8], cursor: &mut Cursor, emit: &mut impl FnMut(Tokens<'_>)) {
        let begins = if C::FOLD { 0 } else { cursor.read - cursor.at };
        let data = if C::FOLD { &self.folded } else { &text[begins..] };
        let spans = scan::spans(&self.edges[..cursor.edges]);
        if !spans.is_empty() {
            emit(Tokens { data, begins, spans });
        }
        let mut start = cursor.at;
        if cursor.open {
            start = self.edges[cursor.edges - 1] as usize;
            if C::FOLD && start > 0 {
                self.folded.copy_within(start..cursor.at, 0);
            }
            self.edges[0] = 0;
        }
        cursor.at -= start;
        cursor.edges = usize::from(cursor.open);
    }

    /// Makes room for a token that takes more than half of a batch's data.
    #[cold]
    fn grow<C: Class>(&mut self, limit: usize, token: usize) -> usize {
        let more = if limit < LARGE { limit } else { limit / 4 };
        let limit = (limit + more).min(u32::MAX as usize - BLOCK);
        assert!(token + BLOCK <= limit, "a token of the input is longer than 4 GiB");
        if C::FOLD {
            self.folded.reserve_exact(limit + BLOCK - self.folded.len());
            self.folded.resize(limit + BLOCK, 0);
        }
        limit
    }
}

/// Takes the one code point at the start of `rest`, which a block cannot hold
/// in lower case.
fn resize(rest: &[u8], folded: &mut [u8], edges: &mut TokenEdges, cursor: &mut Cursor) {
    let unit = Unit::read(rest);
    let token = unit.flags & (LETTER | MARK | NUMBER) != 0;
    if token != cursor.open {
        edges[cursor.edges] = cursor.at as u32;
        cursor.edges += 1;
    }
    cursor.open = token;
    cursor.joinable = unit.flags & (LETTER | MARK) != 0;
    cursor.read += unit.length;
    cursor.at += unit.fold(&mut folded[cursor.at..]);
}

#[cfg(test)]
mod tests;
