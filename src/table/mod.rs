//! Tables turn a batch of keys into a batch of group slots. A group's states lie beside its key.
//!
//! ```text
//! slot   [ meta ][ key, 2 words ][ states … ]       open addressing, linear probing
//!          │        └─ the key itself, zero padded, or (code LONG) where it lies in the arena
//!          └─ hash, and in its low bits the key's length or LONG; 0: empty
//! ```
//!
//! Tables work on batches: a whole batch is hashed and prefetched, then probed, so that cache misses overlap. The
//! table's owner decides what happens when the table is full: a map task lets it grow or flushes it into its run, a
//! reduce task lets it grow.

pub mod hash;
pub mod keys;
mod ordered;
mod pages;
mod probe;
mod states;

pub use keys::KeyBatch;
pub use ordered::{KeyOrder, SortMemory};
pub use states::{Arena, HeldStates, StateColumn, States, Tail, TailPlace};

use crate::data::BATCH;
use crate::data::buffer::{Buffer, SLACK};
use keys::{LONG, code};
use pages::{LINE, Words, zeroed};

/// Words of a slot before its states.
const KEY_WORDS: usize = 3;

/// A table that gives each key a slot, in which the group's states lie beside the key.
#[derive(Debug)]
pub struct Table {
    slots: Words,
    stride: usize,
    /// Number of slots, which is a power of two, less one.
    mask: usize,
    home_bits: HomeBits,
    /// Right shift that brings a hash's home bits to the bottom.
    shift: u32,
    len: usize,
    /// Number of groups at which the table counts as full.
    limit: usize,
    /// Number of state words of a group.
    states: usize,
    /// The state words that a new group begins with, up to the slot's end.
    identity: Box<[u64]>,
    arena: Arena,
    /// Steps that probes took beyond their first slot, since the table was last cleared or grown. Keys chosen by an
    /// attacker raise it.
    excess: u64,
    /// Number of probes since the table was last cleared.
    probes: u64,
}

/// Which bits of a hash choose a key's first slot, its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HomeBits {
    /// The top bits, which choose the partition too. A walk of the table then meets the groups partition by partition,
    /// so that writing them to their partitions' buffers isn't a cache miss each.
    Top,
    /// The bottom bits: for keys of one partition, whose top bits are all the same.
    Bottom,
}

impl HomeBits {
    fn shift(self, slots: usize) -> u32 {
        match self {
            HomeBits::Top => u64::BITS - slots.trailing_zeros(),
            HomeBits::Bottom => hash::CODE_BITS,
        }
    }
}

/// A group in a table.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// The key's hash, without the code.
    pub hash: u64,
    pub key: SlotKey<'a>,
    pub states: &'a [u64],
}

/// A group's key: in its slot, as two words and the length in bytes, or in the table's arena.
#[derive(Clone, Copy, Debug)]
pub enum SlotKey<'a> {
    Inline([u64; 2], usize),
    Long(&'a [u8]),
}

impl<'a> SlotKey<'a> {
    /// Returns the key's bytes. An inline key is written to `inline` for that.
    #[inline]
    pub fn bytes<'b>(self, inline: &'b mut [u8; hash::INLINE]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            SlotKey::Inline(words, len) => {
                *inline = hash::inline_bytes(words);
                &inline[..len]
            }
            SlotKey::Long(bytes) => bytes,
        }
    }

    /// Appends the key's bytes.
    #[inline]
    pub fn put(self, out: &mut Buffer) {
        match self {
            SlotKey::Inline(words, len) => {
                out.slack()[..hash::INLINE].copy_from_slice(&hash::inline_bytes(words));
                out.advance(len);
            }
            SlotKey::Long(bytes) => out.extend(bytes),
        }
    }
}

impl Table {
    /// Makes a table of at least `slots` slots (and at least 8), whose groups begin with the state words `identity`.
    pub fn new(slots: usize, home_bits: HomeBits, identity: &[u64]) -> Self {
        let slots = slots.max(8).next_power_of_two();
        let stride = slot_words(identity.len());
        let mut padded = vec![0; stride - KEY_WORDS];
        padded[..identity.len()].copy_from_slice(identity);
        Table {
            slots: zeroed(slots * stride),
            stride,
            mask: slots - 1,
            home_bits,
            shift: home_bits.shift(slots),
            len: 0,
            limit: limit(slots),
            states: identity.len(),
            identity: padded.into(),
            arena: Arena::default(),
            excess: 0,
            probes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Returns how many groups fit in all.
    pub fn capacity(&self) -> usize {
        self.limit
    }

    /// Returns how many more groups fit before the table is full.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.len)
    }

    /// Whether probes have become so long that starting afresh is cheaper: more than 16 steps for each group that fits,
    /// plus 8 for each probe.
    pub fn is_degenerate(&self) -> bool {
        self.excess > 64 + 16 * self.limit as u64 + 8 * self.probes
    }

    pub fn slots(&self) -> usize {
        self.mask + 1
    }

    /// Removes all groups and changes the number of slots to `slots`.
    pub fn restart(&mut self, slots: usize) {
        *self = Table::new(slots, self.home_bits, &self.identity[..self.states]);
    }

    /// Makes an empty table smaller if it is much too large for so many groups, but not smaller than `least` slots.
    pub fn shrink(&mut self, least: usize, groups: usize) {
        let wanted = (2 * groups).next_power_of_two().max(least);
        if self.slots() > 4 * wanted {
            self.restart(wanted);
        }
    }

    /// Removes all groups.
    pub fn clear(&mut self) {
        if self.len > 0 {
            self.slots.fill(0);
        }
        self.emptied();
    }

    /// Passes the slots of all groups to `each`, a batch at a time, and removes the groups of each batch behind it. One
    /// walk does both, because a large table is no longer in the cache for a second one. After an error the table still
    /// holds some of the groups and must be cleared.
    pub fn drain<E>(&mut self, mut each: impl FnMut(&Table, &[u32]) -> Result<(), E>) -> Result<(), E> {
        let mut batch = [0; BATCH];
        let mut slot = 0;
        while self.len > 0 && slot <= self.mask {
            let mut held = 0;
            while held < BATCH && slot <= self.mask {
                // Written without a branch: which slots are empty can't be predicted.
                batch[held] = slot as u32;
                held += usize::from(self.slots[slot * self.stride] != 0);
                slot += 1;
            }
            each(self, &batch[..held])?;
            self.remove(&batch[..held]);
        }
        self.emptied();
        Ok(())
    }

    fn remove(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.slots[*slot as usize * self.stride] = 0);
    }

    fn emptied(&mut self) {
        self.arena.clear();
        self.len = 0;
        self.excess = 0;
        self.probes = 0;
    }

    #[inline]
    fn home(&self, meta: u64) -> usize {
        home(meta, self.shift, self.mask)
    }

    /// Doubles the number of slots until `more` further groups fit.
    pub fn reserve(&mut self, more: usize) {
        while self.room() < more {
            self.grow(2 * self.slots());
        }
    }

    fn bytes_of(&self, slots: usize) -> usize {
        slots * self.stride * size_of::<u64>()
    }

    /// Returns the bytes that the table takes, at most, while and after `more` groups are added whose long keys and
    /// tails have `arena` bytes. The numbers by which groups are sorted are included.
    pub fn bytes_with(&self, more: usize, arena: usize) -> usize {
        /// Bytes of a number by which a group is sorted.
        const SORTED: usize = 16;
        let (mut slots, mut old) = (self.slots(), 0);
        while limit(slots) < self.len + more {
            (slots, old) = (2 * slots, slots);
        }
        // The arena grows by doubling, and before it is full to the last byte.
        let (held, capacity) = (self.arena.len() + arena, self.arena.capacity());
        let arena = if held + SLACK > capacity { 2 * (held + 3 * SLACK) } else { capacity };
        self.bytes_of(slots + old) + arena + SORTED * (self.len + more)
    }

    /// Returns about how many bytes the groups take, with the slots that are empty between them.
    pub fn bytes_of_groups(&self) -> usize {
        2 * self.bytes_of(self.len) + self.arena.len()
    }

    /// Moves the groups to `slots` slots: a power of two that is more than the table has.
    pub fn grow(&mut self, slots: usize) {
        debug_assert!(slots.is_power_of_two() && slots > self.mask);
        let old = std::mem::replace(&mut self.slots, zeroed(slots * self.stride));
        self.mask = slots - 1;
        self.shift = self.home_bits.shift(slots);
        self.limit = limit(slots);
        self.excess = 0;
        for group in old.chunks_exact(self.stride).filter(|group| group[0] != 0) {
            let mut slot = self.home(group[0]);
            while self.slots[slot * self.stride] != 0 {
                slot = (slot + 1) & self.mask;
            }
            self.slots[slot * self.stride..][..self.stride].copy_from_slice(group);
        }
    }

    /// Returns the states of the aggregate whose words begin at word `first` of a group's states, to be updated.
    pub fn states(&mut self, first: usize, words: usize) -> States<'_> {
        States { slots: &mut self.slots, stride: self.stride, first: KEY_WORDS + first, words, arena: &mut self.arena }
    }

    /// Returns the group in a slot, which must hold one.
    #[inline(always)]
    pub fn group(&self, slot: u32) -> Group<'_> {
        let at = slot as usize * self.stride;
        group(&self.slots[at..at + self.stride], self.states, &self.arena)
    }

    /// Returns the state words of the group in a slot.
    #[inline]
    fn states_of(&self, slot: u32) -> &[u64] {
        let at = slot as usize * self.stride;
        &self.slots[at + KEY_WORDS..][..self.states]
    }

    /// Returns the states in these slots of the aggregate of this shape.
    pub fn held<'a>(&'a self, slots: &'a [u32], first: usize, words: usize, tail: Option<TailPlace>) -> HeldStates<'a> {
        HeldStates { table: self, slots, first, words, tail }
    }

    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        let slots = self.slots.chunks_exact(self.stride).filter(|slot| slot[0] != 0);
        slots.map(|slot| group(slot, self.states, &self.arena))
    }
}

/// Returns the group of a slot that isn't empty.
#[inline(always)]
fn group<'a>(slot: &'a [u64], states: usize, arena: &'a Arena) -> Group<'a> {
    let key = match code(slot[0]) {
        LONG => SlotKey::Long(arena.get(Tail(slot[1]))),
        code => SlotKey::Inline([slot[1], slot[2]], code as usize - 1),
    };
    Group { hash: slot[0] & !LONG, key, states: &slot[KEY_WORDS..][..states] }
}

/// Returns the number of words from one slot to the next, for groups with `states` state words. A slot that is one word
/// short of a cache line is padded, so that it doesn't cross into another line.
pub fn slot_words(states: usize) -> usize {
    let words = KEY_WORDS + states;
    if words % LINE == LINE - 1 { words + 1 } else { words }
}

#[inline]
fn home(meta: u64, shift: u32, mask: usize) -> usize {
    (meta >> shift) as usize & mask
}

/// Returns how many groups a table of `slots` slots takes: 5/8 of the slots, so that probes stay short.
fn limit(slots: usize) -> usize {
    slots / 8 * 5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Bytes, Span};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Counts keys, in batches of one key.
    fn count(table: &mut Table, keys: &[Vec<u8>]) {
        let (mut batch, mut slots) = (Box::<KeyBatch>::default(), [0; BATCH]);
        for key in keys {
            batch.hash(Bytes { data: key, spans: &[Span::of(0..key.len())] }, u64::MAX);
            table.reserve(1);
            table.probe(&batch, key, &mut slots);
            *table.states(1, 1).word(slots[0]) += 1;
        }
    }

    fn held(group: &Group<'_>) -> (Vec<u8>, Vec<u64>) {
        (group.key.bytes(&mut [0; hash::INLINE]).to_vec(), group.states.to_vec())
    }

    /// A table doesn't grow beyond what was foretold.
    #[test]
    fn the_memory_of_a_table_is_foretold() {
        const KEY: usize = 40;
        let mut table = Table::new(8, HomeBits::Bottom, &[0, 0]);
        for i in 0..20_000 {
            let foretold = table.bytes_with(1, KEY);
            table.reserve(1);
            count(&mut table, &[format!("{i:0KEY$}").into_bytes()]);
            let taken = table.bytes_of(table.slots()) + table.arena().capacity();
            assert!(taken <= foretold, "{taken} bytes for {i} groups, not {foretold}");
        }
    }

    proptest! {
        /// What a drained table leaves in its slots belongs to no group.
        #[test]
        fn a_table_that_was_drained_is_as_good_as_new(
            rounds in prop::collection::vec(prop::collection::vec(prop::collection::vec(0u8..3, 0..20), 0..40), 1..4),
        ) {
            let mut table = Table::new(8, HomeBits::Bottom, &[7, 0]);
            for keys in rounds {
                count(&mut table, &keys);
                let mut expected = BTreeMap::new();
                keys.into_iter().for_each(|key| expected.entry(key).or_insert_with(|| vec![7, 0])[1] += 1);
                prop_assert_eq!(table.len(), expected.len());
                prop_assert_eq!(&table.groups().map(|group| held(&group)).collect::<BTreeMap<_, _>>(), &expected);
                let mut drained = BTreeMap::new();
                let whole: Result<(), ()> = table.drain(|table, slots| {
                    drained.extend(slots.iter().map(|slot| held(&table.group(*slot))));
                    Ok(())
                });
                prop_assert_eq!((whole, drained), (Ok(()), expected));
                prop_assert!(table.is_empty() && table.groups().next().is_none() && table.arena().is_empty());
            }
        }
    }

    proptest! {
        /// Keys of a batch are found wherever they are: in their first slot or further on, short or long, met before or
        /// earlier in the same batch.
        #[test]
        fn a_batch_finds_each_key(
            batches in prop::collection::vec(prop::collection::vec("[ab]{0,3}|[ab]{15,18}", 1..60), 1..4),
            states in prop::sample::select(&[1usize, 5, 13][..]),
            mask in prop::sample::select(&[u64::MAX, 0xff << 56][..]),
        ) {
            let mut table = Table::new(8, HomeBits::Top, &vec![0; states]);
            let (mut hashed, mut slots) = (Box::<KeyBatch>::default(), [0; BATCH]);
            let mut expected = BTreeMap::new();
            for keys in &batches {
                let mut data = Vec::new();
                let spans: Vec<_> = keys.iter().map(|key| {
                    let start = data.len();
                    data.extend_from_slice(key.as_bytes());
                    Span::of(start..data.len())
                }).collect();
                hashed.hash(Bytes { data: &data, spans: &spans }, mask);
                table.reserve(keys.len());
                table.probe(&hashed, &data, &mut slots);
                for (key, slot) in keys.iter().zip(slots) {
                    *table.states(states - 1, 1).word(slot) += 1;
                    *expected.entry(key.clone().into_bytes()).or_insert(0) += 1;
                }
            }
            let counts = table.groups().map(|group| (held(&group).0, group.states[states - 1]));
            prop_assert_eq!((table.len(), counts.collect::<BTreeMap<_, _>>()), (expected.len(), expected));
        }
    }

    #[test]
    fn an_empty_table_gives_back_what_it_grew_to() {
        let mut table = Table::new(1 << 6, HomeBits::Bottom, &[7, 0]);
        table.grow(1 << 14);
        table.shrink(1 << 6, 2000);
        assert_eq!(table.slots(), 1 << 14);
        table.shrink(1 << 6, 1000);
        assert_eq!(table.slots(), 1 << 11);
        table.shrink(1 << 10, 1);
        assert_eq!(table.slots(), 1 << 11);
        table.shrink(1 << 6, 1);
        assert_eq!(table.slots(), 1 << 6);
        count(&mut table, &[b"a".to_vec()]);
        assert_eq!(table.groups().map(|group| held(&group)).collect::<Vec<_>>(), [(b"a".to_vec(), vec![7, 1])]);
    }

    #[test]
    fn a_table_that_could_not_be_drained_is_cleared() {
        let mut table = Table::new(8, HomeBits::Bottom, &[7, 0]);
        let keys: Vec<_> = (0..2 * BATCH).map(|i| vec![b'a'; i]).collect();
        count(&mut table, &keys);
        let mut left = 1;
        let stopped = table.drain(|_, _| {
            left -= 1;
            if left < 0 { Err(()) } else { Ok(()) }
        });
        assert_eq!((stopped, table.groups().count()), (Err(()), BATCH));
        table.clear();
        count(&mut table, &[b"a".to_vec()]);
        assert_eq!(table.groups().map(|group| held(&group)).collect::<Vec<_>>(), [(b"a".to_vec(), vec![7, 1])]);
    }
}
