//! Finds the groups of a batch of keys, and makes those that are new.

use super::keys::{LONG, code};
use super::pages::LINE;
use super::{Arena, KEY_WORDS, KeyBatch, Table, Tail, home};
use crate::data::BATCH;
use crate::data::buffer::equal;
use crate::data::prefetch::prefetch;

/// Bytes of the largest table whose slots aren't prefetched: a processor that executes ahead loads them soon enough by
/// itself.
const NEAR: usize = 256 << 10;

/// Bytes above which a table is beyond the second-level cache. There, the end of a long slot is worth a prefetch of its
/// own.
const FAR: usize = 1 << 20;

impl Table {
    /// Finds or makes the group of each key and writes the group's slot to `out`. `data` is what the keys' spans refer
    /// to. The caller makes sure that the table has [`room`](Self::room) for the batch.
    pub fn probe(&mut self, keys: &KeyBatch, data: &[u8], out: &mut [u32; BATCH]) {
        debug_assert!(keys.len <= self.room());
        // A stride known at compile time saves a multiplication, and a call to copy the identity. That is worth it for
        // the commonest stride, with one word of state, and for slots that are a cache line.
        match self.stride {
            4 => self.probe_stride::<4>(keys, data, out),
            LINE => self.probe_stride::<LINE>(keys, data, out),
            _ => self.probe_stride::<0>(keys, data, out),
        }
    }

    /// Probes with a stride of `STRIDE`, or of the table's own stride if `STRIDE` is 0.
    #[inline(always)]
    fn probe_stride<const STRIDE: usize>(&mut self, keys: &KeyBatch, data: &[u8], out: &mut [u32; BATCH]) {
        let (slots, mask, shift) = (&self.slots[..], self.mask, self.shift);
        let stride = if STRIDE == 0 { self.stride } else { STRIDE };
        if size_of_val(slots) > NEAR {
            for &meta in &keys.meta[..keys.len] {
                prefetch(slots, home(meta, shift, mask) * stride);
            }
        }
        if stride > LINE && size_of_val(slots) > FAR {
            for &meta in &keys.meta[..keys.len] {
                prefetch(slots, home(meta, shift, mask) * stride + stride - 1);
            }
        }
        if keys.are_mostly_long() {
            self.find::<STRIDE>(keys, data, 0..keys.len, out);
        } else {
            let mut others = [0; BATCH];
            let count = in_first_slots(slots, (stride, mask, shift), keys, out, &mut others);
            self.find::<STRIDE>(keys, data, others[..count].iter().map(|other| usize::from(*other)), out);
        }
        self.probes += keys.len as u64;
    }

    /// Finds or makes the groups of some keys, given by their indices, and writes their slots to `out`.
    #[inline(never)]
    fn find<const STRIDE: usize>(
        &mut self,
        keys: &KeyBatch,
        data: &[u8],
        some: impl Iterator<Item = usize>,
        out: &mut [u32; BATCH],
    ) {
        let Table { slots, arena, mask, shift, identity, .. } = self;
        let slots = &mut slots[..];
        let stride = if STRIDE == 0 { self.stride } else { STRIDE };
        // These are summed here, not in the table: a chain of additions to memory would be the slowest part of the
        // loop.
        let (mut new, mut excess) = (0, 0);
        for i in some {
            let (meta, words) = (keys.meta[i], keys.words[i]);
            let find = Find { slots, stride, mask: *mask, shift: *shift, identity };
            let found = if code(meta) == LONG {
                find.long(meta, &data[words[0] as usize..][..words[1] as usize], arena)
            } else {
                find.inline(meta, words)
            };
            out[i] = found.slot as u32;
            new += usize::from(found.is_new);
            excess += found.excess;
        }
        self.len += new;
        self.excess += excess;
    }
}

/// Writes the first slot of each key to `out`, and the indices of those keys that aren't there to `others`. Returns how
/// many these are. Most short keys of real text are in their first slots. Long keys are never found there.
///
/// Which keys are there can't be predicted, so there is no branch.
#[inline(always)]
fn in_first_slots(
    slots: &[u64],
    (stride, mask, shift): (usize, usize, u32),
    keys: &KeyBatch,
    out: &mut [u32; BATCH],
    others: &mut [u16; BATCH],
) -> usize {
    let mut count = 0;
    for (i, ((&meta, words), out)) in keys.meta[..keys.len].iter().zip(&keys.words).zip(out).enumerate() {
        let first = home(meta, shift, mask);
        *out = first as u32;
        // The third word of a long key is 0 in a slot, but its length in the batch.
        let head = slots[first * stride..].first_chunk().expect("a whole slot");
        let is_there = is_key(head, [meta, words[0], words[1]]);
        others[count % BATCH] = i as u16;
        count += usize::from(!is_there);
    }
    count
}

#[inline(always)]
fn is_key(head: &[u64; KEY_WORDS], key: [u64; KEY_WORDS]) -> bool {
    // `==` would gather the words in a vector register, through memory.
    (head[0] ^ key[0]) | (head[1] ^ key[1]) | (head[2] ^ key[2]) == 0
}

/// One probe.
struct Find<'a> {
    slots: &'a mut [u64],
    stride: usize,
    mask: usize,
    shift: u32,
    identity: &'a [u64],
}

struct Probed {
    slot: usize,
    is_new: bool,
    /// Steps beyond the first slot.
    excess: u64,
}

impl Find<'_> {
    /// Walks from the key's first slot to the first slot that is empty or for which `is_it` holds. An empty slot
    /// becomes the new group's: its three key words are those that `begin` returns.
    #[inline(always)]
    fn walk(
        self,
        meta: u64,
        is_it: impl Fn(&[u64; KEY_WORDS]) -> bool,
        begin: impl FnOnce() -> [u64; KEY_WORDS],
    ) -> Probed {
        let mut slot = home(meta, self.shift, self.mask);
        let mut excess = 0;
        loop {
            let at = slot * self.stride;
            let head: &mut [u64; KEY_WORDS] = self.slots[at..].first_chunk_mut().expect("a whole slot");
            if is_it(head) {
                return Probed { slot, is_new: false, excess };
            }
            if head[0] == 0 {
                *head = begin();
                self.slots[at + KEY_WORDS..at + self.stride].copy_from_slice(&self.identity[..self.stride - KEY_WORDS]);
                return Probed { slot, is_new: true, excess };
            }
            slot = (slot + 1) & self.mask;
            excess += 1;
        }
    }

    #[inline(always)]
    fn inline(self, meta: u64, words: [u64; 2]) -> Probed {
        let key = [meta, words[0], words[1]];
        self.walk(meta, |head| is_key(head, key), || key)
    }

    #[inline(always)]
    fn long(self, meta: u64, key: &[u8], arena: &mut Arena) -> Probed {
        // If the key is new, it will be added where the arena ends.
        let next = arena.next(key);
        let is_it = |head: &[u64; KEY_WORDS]| head[0] == meta && equal(arena.get(Tail(head[1])), key);
        let found = self.walk(meta, is_it, || [meta, next.0, 0]);
        if found.is_new {
            arena.push(key);
        }
        found
    }
}
