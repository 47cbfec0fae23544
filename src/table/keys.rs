//! A batch of keys made ready for a table: hashed, short ones loaded into registers' worth of words.
//!
//! ```text
//! length    code              words
//! 0..=16    length + 1        the key's bytes, zero padded
//! 17..      LONG              where the key starts in the data, its length
//! ```
//!
//! `meta` is the hash with the code in its free low bits. It is never 0, so a slot whose meta is 0 is empty.

use super::hash::{self, INLINE};
use crate::data::{BATCH, Bytes, Span};

pub const LONG: u64 = (1 << hash::CODE_BITS) - 1;

/// The code part of a meta word.
#[inline]
pub fn code(meta: u64) -> u64 {
    meta & LONG
}

#[derive(Debug)]
pub struct KeyBatch {
    pub len: usize,
    pub meta: [u64; BATCH],
    pub words: [[u64; 2]; BATCH],
}

impl Default for KeyBatch {
    fn default() -> Self {
        KeyBatch { len: 0, meta: [0; BATCH], words: [[0; 2]; BATCH] }
    }
}

/// Masks that keep the first `len` bytes of 16, by `len`.
const KEEP: [[u64; 2]; INLINE + 1] = {
    let mut keep = [[0; 2]; INLINE + 1];
    let mut len = 0;
    while len <= INLINE {
        let mask = if len == INLINE { u128::MAX } else { (1 << (8 * len)) - 1 };
        keep[len] = [mask as u64, (mask >> 64) as u64];
        len += 1;
    }
    keep
};

/// The words of a key of at most [`INLINE`] bytes. Reads 16 bytes at once where the data has them.
#[inline]
fn load(data: &[u8], span: Span, len: usize) -> [u64; 2] {
    match data[span.start as usize..].first_chunk::<16>() {
        Some(block) => {
            let (a, b) = hash::halves(block);
            [a & KEEP[len][0], b & KEEP[len][1]]
        }
        None => hash::inline_words(&data[span.start as usize..span.end as usize]),
    }
}

impl KeyBatch {
    /// Loads and hashes `keys`, at most [`BATCH`] of them. `mask` is ANDed to every hash.
    pub fn hash(&mut self, keys: Bytes<'_>, mask: u64) {
        self.len = keys.spans.len();
        for ((&span, meta), words) in keys.spans.iter().zip(&mut self.meta).zip(&mut self.words) {
            let len = span.len();
            let (hash, code);
            if len <= INLINE {
                *words = load(keys.data, span, len);
                (hash, code) = (hash::hash_inline(*words, len), len as u64 + 1);
            } else {
                *words = [u64::from(span.start), len as u64];
                (hash, code) = (hash::hash(&keys.data[span.start as usize..span.end as usize]), LONG);
            }
            *meta = hash & mask | code;
        }
    }
}
