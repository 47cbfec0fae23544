//! A batch of keys made ready for a table: hashed, and short keys loaded into two words.
//!
//! ```text
//! length    code              words
//! 0..=16    length + 1        the key's bytes, zero padded
//! 17..      LONG              where the key starts in the data, its length
//! ```
//!
//! `meta` is the hash with the code in its free low bits. It is never 0, so a slot whose meta is 0 is empty.

use super::SlotKey;
use super::hash::{self, INLINE};
use crate::data::{BATCH, Bytes, Span};

pub const LONG: u64 = (1 << hash::CODE_BITS) - 1;

/// Returns the code part of a meta word.
#[inline]
pub fn code(meta: u64) -> u64 {
    meta & LONG
}

/// The keys of a batch, ready to be looked up in a table. `meta` and `words` are indexed by key.
#[derive(Debug)]
pub struct KeyBatch {
    pub len: usize,
    pub meta: [u64; BATCH],
    pub words: [[u64; 2]; BATCH],
    /// Whether most of the keys are long. Those of the next batch mostly are, too.
    mostly_long: bool,
}

impl Default for KeyBatch {
    fn default() -> Self {
        KeyBatch { len: 0, meta: [0; BATCH], words: [[0; 2]; BATCH], mostly_long: false }
    }
}

/// Masks that keep the first `len` of 16 bytes, indexed by `len`.
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

/// Returns the words of a key of at most [`INLINE`] bytes. Reads 16 bytes at once if the data has them.
#[inline]
fn load(data: &[u8], span: Span, len: usize) -> [u64; 2] {
    let start = span.start as usize;
    match data.get(start..start + INLINE) {
        Some(block) => {
            let (a, b) = hash::halves(block.try_into().expect("16 bytes"));
            [a & KEEP[len][0], b & KEEP[len][1]]
        }
        // Null, which has no bytes.
        None if len == 0 => [0; 2],
        None => hash::inline_words(&data[start..span.end as usize]),
    }
}

/// Returns the hash of cell `i` of a column. The cell must not be null.
#[inline]
pub fn hash_cell(column: Bytes<'_>, i: usize) -> u64 {
    let span = column.spans[i];
    match span.len() {
        len @ ..=INLINE => hash::hash_inline(load(column.data, span, len), len),
        _ => hash_out_of_line(column.get(i)),
    }
}

impl KeyBatch {
    /// Returns the hash of key `i`, and the key. `keys` are those that were hashed.
    #[inline]
    pub fn get<'k>(&self, i: usize, keys: Bytes<'k>) -> (u64, SlotKey<'k>) {
        let meta = self.meta[i];
        let key = match code(meta) {
            LONG => SlotKey::Long(keys.get(i)),
            code => SlotKey::Inline(self.words[i], code as usize - 1),
        };
        (meta & !LONG, key)
    }

    /// Whether most of the keys are long.
    pub fn are_mostly_long(&self) -> bool {
        self.mostly_long
    }

    /// Loads and hashes `keys`, at most [`BATCH`] of them. `mask` is ANDed to every hash.
    pub fn hash(&mut self, keys: Bytes<'_>, mask: u64) {
        self.hash_all::<false>(keys, mask);
    }

    /// Loads and hashes keys as [`hash`](Self::hash) does. Returns whether every key is nonempty and doesn't begin with
    /// a NUL.
    pub fn hash_and_check_first_byte(&mut self, keys: Bytes<'_>, mask: u64) -> bool {
        self.hash_all::<true>(keys, mask)
    }

    #[inline(always)]
    fn hash_all<const LOOK: bool>(&mut self, keys: Bytes<'_>, mask: u64) -> bool {
        match self.mostly_long {
            true => self.hash_by::<LOOK>(keys, mask, hash::hash),
            // The hash of long keys is out of line, so that the loop over short keys keeps its values in registers.
            false => self.hash_by::<LOOK>(keys, mask, hash_out_of_line),
        }
    }

    #[inline(always)]
    fn hash_by<const LOOK: bool>(&mut self, keys: Bytes<'_>, mask: u64, hash_long: impl Fn(&[u8]) -> u64) -> bool {
        self.len = keys.spans.len();
        let (mut all_begin, mut long) = (true, 0);
        for ((&span, meta), words) in keys.spans.iter().zip(&mut self.meta).zip(&mut self.words) {
            let len = span.len();
            let (hash, code);
            if len <= INLINE {
                *words = load(keys.data, span, len);
                all_begin &= !LOOK || words[0] as u8 != 0;
                (hash, code) = (hash::hash_inline(*words, len), len as u64 + 1);
            } else {
                *words = [u64::from(span.start), len as u64];
                let key = &keys.data[span.start as usize..span.end as usize];
                all_begin &= !LOOK || key[0] != 0;
                long += 1;
                (hash, code) = (hash_long(key), LONG);
            }
            *meta = hash & mask | code;
        }
        self.mostly_long = 2 * long > self.len;
        all_begin
    }
}

#[inline(never)]
fn hash_out_of_line(key: &[u8]) -> u64 {
    hash::hash(key)
}
