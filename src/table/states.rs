//! Where states live: their words beside a key in a table's slot, their tails in the table's arena.
//!
//! ```text
//! slot      [ key, 3 words ][ words of aggregate 0 ][ words of aggregate 1 ] …
//!                                              │ one of the words: offset, length
//! arena     ......................[ bytes ]◄───┘
//! ```
//!
//! An aggregate sees its own words and its own tail: as a [`States`] over all groups of a table, to update, or as a
//! [`StateColumn`] over rows of a run, to merge from.

use super::Table;
use crate::data::Span;
use crate::data::buffer::{Buffer, LARGE};

/// Where a tail lies in an arena: its offset and length in one word. The empty tail is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail(pub u64);

impl Tail {
    fn place(self) -> (usize, usize) {
        ((self.0 >> 32) as usize, self.0 as u32 as usize)
    }
}

/// Where a state keeps the place of its tail. The state has a tail if word `flag_word` has a bit of `flag` set. Word
/// `word` is then the tail's place; otherwise it is free for other use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailPlace {
    pub word: usize,
    pub flag_word: usize,
    pub flag: u64,
}

impl TailPlace {
    /// Says that word `word` is the tail's place whenever it isn't 0.
    pub const fn in_word(word: usize) -> Self {
        TailPlace { word, flag_word: word, flag: u64::MAX }
    }

    /// Returns the tail of a state with these words, or the empty tail if the state has none.
    #[inline]
    pub fn of(self, words: &[u64]) -> Tail {
        if words[self.flag_word] & self.flag == 0 { Tail::default() } else { Tail(words[self.word]) }
    }
}

/// Bytes of variable length that the slots of one table refer to. An arena only grows until it is cleared: replaced
/// tails remain as garbage, which counts against the budget until the table is flushed.
#[derive(Debug, Default)]
pub struct Arena {
    bytes: Buffer,
    /// Bytes of the longest piece since the arena was cleared, or more.
    longest: usize,
}

impl Arena {
    /// Most bytes of an arena, so that a [`Tail`] fits a word.
    pub const MAX: usize = u32::MAX as usize;

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of memory that are there for it.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn clear(&mut self) {
        // A table's owner has set memory aside for it.
        self.bytes.truncate(0);
        self.bytes.shrink(LARGE);
        self.longest = 0;
    }

    /// Returns a length that no piece has more bytes than.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Returns where [`push`](Self::push) will put these bytes.
    pub fn next(&self, bytes: &[u8]) -> Tail {
        let (start, len) = (self.bytes.len(), bytes.len());
        Tail((start as u64) << 32 | len as u64)
    }

    /// Appends bytes. Returns where they lie.
    ///
    /// # Panics
    /// If the arena would pass [`MAX`](Self::MAX): its owner should have emptied it before. If a tail didn't lie where
    /// it says, the answer would be wrong.
    pub fn push(&mut self, bytes: &[u8]) -> Tail {
        assert!(self.bytes.len() + bytes.len() <= Self::MAX, "an arena is full");
        let tail = self.next(bytes);
        self.longest = self.longest.max(bytes.len());
        self.bytes.extend(bytes);
        tail
    }

    /// Puts `bytes` in place of a tail: over it if they are as long, else at the arena's end. Returns where they lie.
    pub fn replace(&mut self, tail: Tail, bytes: &[u8]) -> Tail {
        let (start, len) = tail.place();
        if len != bytes.len() {
            return self.push(bytes);
        }
        self.bytes.as_mut_slice()[start..start + len].copy_from_slice(bytes);
        tail
    }

    #[inline]
    pub fn get(&self, tail: Tail) -> &[u8] {
        let (start, len) = tail.place();
        &self.bytes.as_slice()[start..start + len]
    }

    /// Returns a tail's bytes, to be changed in place.
    #[inline]
    pub fn get_mut(&mut self, tail: Tail) -> &mut [u8] {
        let (start, len) = tail.place();
        &mut self.bytes.as_mut_slice()[start..start + len]
    }

    /// Puts `len` bytes that are 0 in place of a tail. Returns where they lie, the tail's old bytes, and the new bytes.
    ///
    /// # Panics
    /// As [`push`](Self::push).
    pub fn renew(&mut self, tail: Tail, len: usize) -> (Tail, &[u8], &mut [u8]) {
        let begin = self.bytes.len();
        assert!(begin + len <= Self::MAX, "an arena is full");
        self.longest = self.longest.max(len);
        self.bytes.extend_zeroed(len);
        let (old, new) = self.bytes.as_mut_slice().split_at_mut(begin);
        let (start, old_len) = tail.place();
        (Tail((begin as u64) << 32 | len as u64), &old[start..start + old_len], new)
    }
}

/// One aggregate's states in all slots of a table.
pub struct States<'a> {
    /// The table's slots, `stride` words each.
    pub slots: &'a mut [u64],
    pub stride: usize,
    /// Index of the aggregate's first word within a slot.
    pub first: usize,
    /// Number of the aggregate's words.
    pub words: usize,
    pub arena: &'a mut Arena,
}

impl States<'_> {
    #[inline]
    pub fn words(&mut self, slot: u32) -> &mut [u64] {
        let at = slot as usize * self.stride + self.first;
        &mut self.slots[at..at + self.words]
    }

    /// Returns all words of a state of `N` words.
    #[inline]
    pub fn array<const N: usize>(&mut self, slot: u32) -> &mut [u64; N] {
        debug_assert_eq!(self.words, N);
        let at = slot as usize * self.stride + self.first;
        self.slots[at..].first_chunk_mut().expect("a slot is whole")
    }

    /// Returns the word of a state that has only one.
    #[inline]
    pub fn word(&mut self, slot: u32) -> &mut u64 {
        &mut self.slots[slot as usize * self.stride + self.first]
    }

    /// Returns the tail whose place is in word `word` of the state.
    pub fn tail(&self, slot: u32, word: usize) -> &[u8] {
        self.arena.get(Tail(self.slots[self.at(slot, word)]))
    }

    /// Replaces the tail whose place is in word `word`. That word is 0 if the state has no tail.
    pub fn set_tail(&mut self, slot: u32, word: usize, bytes: &[u8]) {
        let at = self.at(slot, word);
        self.slots[at] = self.arena.replace(Tail(self.slots[at]), bytes).0;
    }

    /// Returns the tail whose place is in word `word`, to be changed in place.
    #[inline]
    pub fn tail_mut(&mut self, slot: u32, word: usize) -> &mut [u8] {
        self.arena.get_mut(Tail(self.slots[self.at(slot, word)]))
    }

    /// Replaces the state's tail by a tail of `len` bytes that are 0. Returns the old tail and the new one.
    pub fn renew_tail(&mut self, slot: u32, word: usize, len: usize) -> (&[u8], &mut [u8]) {
        let at = self.at(slot, word);
        let (tail, old, new) = self.arena.renew(Tail(self.slots[at]), len);
        self.slots[at] = tail.0;
        (old, new)
    }

    #[inline]
    fn at(&self, slot: u32, word: usize) -> usize {
        slot as usize * self.stride + self.first + word
    }
}

/// One aggregate's states in some slots of a table, to be finished.
#[derive(Clone, Copy, Debug)]
pub struct HeldStates<'a> {
    pub(super) table: &'a Table,
    pub(super) slots: &'a [u32],
    /// Index of the aggregate's first word within a group's states, and the number of its words.
    pub(super) first: usize,
    pub(super) words: usize,
    pub(super) tail: Option<TailPlace>,
}

impl<'a> HeldStates<'a> {
    /// Returns the words and the tail of each state.
    #[inline]
    pub fn each(self) -> impl Iterator<Item = (&'a [u64], &'a [u8])> {
        self.slots.iter().map(move |slot| {
            let words = &self.table.states_of(*slot)[self.first..][..self.words];
            (words, self.tail.map_or(&[][..], |place| self.table.arena().get(place.of(words))))
        })
    }
}

/// One aggregate's states in a batch of state rows.
pub struct StateColumn<'a> {
    pub data: &'a [u8],
    /// Where in `data` each row has the aggregate's words, which are little-endian.
    pub words_at: &'a [u32],
    /// Where each row has the aggregate's tail; empty for an aggregate that never has one.
    pub tails: &'a [Span],
}

impl<'a> StateColumn<'a> {
    /// Returns word `k` of the state in row `i`.
    #[inline]
    pub fn word(&self, i: usize, k: usize) -> u64 {
        let at = self.words_at[i] as usize + 8 * k;
        u64::from_le_bytes(self.data[at..at + 8].try_into().expect("eight bytes"))
    }

    /// Returns all words of the state in row `i`.
    #[inline]
    pub fn words<const N: usize>(&self, i: usize) -> [u64; N] {
        std::array::from_fn(|k| self.word(i, k))
    }

    pub fn tail(&self, i: usize) -> &'a [u8] {
        &self.data[self.tails[i].start as usize..self.tails[i].end as usize]
    }
}
