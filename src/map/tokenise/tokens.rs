//! The tokenisers `words`, `letters` and `whitespace`.
//!
//! Each cuts a text into tokens and emits them in batches, as ranges of some data. That data is the text itself or, for
//! the two that lower-case, a scratch buffer small enough to stay in the nearest cache. `scan` does the work, 64 bytes
//! at a time. This module puts batches together, and handles the rare code point that has another length in lower case.
//!
//! `words` takes general categories from Unicode [`CATEGORIES_VERSION`], and lower case from [`LOWERCASE_VERSION`],
//! which is that of `std`. The `unicode-properties` dependency is pinned so that both are 17.0.0.

use super::Tokens;
use super::scan::{self, BLOCK, Class, Cursor, Kernel, LetterClass, NonSpaceClass, ScanEnd, TokenEdges, WordClass};
use super::unicode::{LETTER, MARK, NUMBER, Unit};

/// The Unicode version that decides what is a letter, a mark or a number.
pub const CATEGORIES_VERSION: (u64, u64, u64) = unicode_properties::UNICODE_VERSION;

/// The Unicode version that decides what the lower case of a code point is.
pub const LOWERCASE_VERSION: (u8, u8, u8) = char::UNICODE_VERSION;

/// Bytes of data in a batch, unless one token needs more.
const WINDOW: usize = 16 << 10;

/// Bytes of data above which the data grows by quarters instead of doubling. Only a very long token needs that much.
const LARGE: usize = 32 << 20;

/// Cuts a text into runs of letters, marks and numbers. An apostrophe (' or ’) between a letter or mark and a letter is
/// kept. Words are lower-cased code point by code point. Bytes that are not UTF-8 separate words.
#[derive(Debug)]
pub struct Words(Scratch);

/// Cuts a text into runs of ASCII letters, lower-cased.
#[derive(Debug)]
pub struct Letters(Scratch);

/// Cuts a text into runs of bytes other than 09 to 0D and 20, unchanged.
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

            /// Calls `emit` with batches of 1 to `scan::MOST_TOKENS` tokens until all of `text` has been read. The end
            /// of `text` ends a token.
            ///
            /// # Panics
            /// If a token has about 4 GiB or more.
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

/// What a tokeniser keeps from text to text, to save allocations.
#[derive(Debug)]
struct Scratch {
    kernel: Kernel,
    window: usize,
    /// Tokens in lower case. Longer than a batch's data by [`BLOCK`], so that a reader of tokens may read that many
    /// bytes past the last token. Empty if the class doesn't fold.
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
                ScanEnd::Resize => resize(&text[cursor.read..], folded, edges, &mut cursor),
                ScanEnd::Full => {
                    self.flush::<C>(text, &mut cursor, &mut emit);
                    // The data grows when the open token takes more than half of it or, if the data is large, more than
                    // 7/8.
                    let spare = if limit < LARGE { limit / 2 } else { limit / 8 };
                    if cursor.at > limit - spare {
                        limit = self.grow::<C>(limit, cursor.at);
                    }
                }
                ScanEnd::End => break,
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

    /// Emits the tokens that were found. Moves the start of a token that is still open to the start of the next batch.
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

/// Takes the one code point at the start of `rest`, whose lower case has another length and so doesn't fit its place in
/// the block.
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
