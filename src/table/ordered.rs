//! Walks the groups of a table in the order of their keys.

use super::keys::{LONG, code};
use super::states::Arena;
use super::{KEY_WORDS, Table, Tail, hash};
use crate::data::BATCH;
use crate::data::prefix::{self, Numbered, above};
use crate::table::hash::inline_bytes;

/// The order of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    Ascending,
    Descending,
}

/// Memory for sorting, which is reused from table to table.
#[derive(Debug, Default)]
pub struct SortMemory(Vec<u128>);

impl Table {
    /// Passes the slots of all groups to `each`, a batch at a time in the order of the keys, and removes the groups of
    /// each batch behind it. All keys have their first `common` bytes in common. After an error the table still holds
    /// some of the groups and must be cleared.
    pub fn drain_in_order<E>(
        &mut self,
        order: KeyOrder,
        common: usize,
        SortMemory(sorted): &mut SortMemory,
        mut each: impl FnMut(&Table, &[u32]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.sort(common, sorted);
        if order == KeyOrder::Descending {
            sorted.reverse();
        }
        let mut batch = [0; BATCH];
        for sorted in sorted.chunks(BATCH) {
            let batch = &mut batch[..sorted.len()];
            batch.iter_mut().zip(sorted).for_each(|(slot, sorted)| *slot = prefix::number(*sorted));
            each(self, batch)?;
            self.remove(batch);
        }
        self.emptied();
        Ok(())
    }

    /// Fills `sorted` with a number for each group, in the order of the keys.
    fn sort(&self, common: usize, sorted: &mut Vec<u128>) {
        sorted.clear();
        if self.is_empty() {
            return;
        }
        debug_assert!(self.mask <= u32::MAX as usize);
        let held = self.slots.chunks_exact(self.stride).zip(0u32..).filter(|(slot, _)| slot[0] != 0);
        sorted.resize(self.len, 0);
        for (sorted, (slot, number)) in sorted.iter_mut().zip(held) {
            *sorted = above(prefix_of_slot(slot, &self.arena, common), number);
        }
        prefix::sort(sorted, common, self);
    }
}

/// The keys of the groups, by slot.
impl Numbered for Table {
    fn with<T>(&self, slot: u32, get: impl FnOnce(&[u8]) -> T) -> T {
        get(self.group(slot).key.bytes(&mut [0; hash::INLINE]))
    }
}

#[inline]
fn prefix_of_slot(slot: &[u64], arena: &Arena, common: usize) -> u128 {
    let key: &[u64; KEY_WORDS] = slot.first_chunk().expect("a whole slot");
    if code(key[0]) == LONG {
        return prefix::prefix(&arena.get(Tail(key[1]))[common..]);
    }
    let bytes = inline_bytes([key[1], key[2]]);
    // What pads a short key is zeros, as it should be in a prefix.
    prefix::prefix(bytes.get(common..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Bytes, Span};
    use crate::table::{HomeBits, KeyBatch};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Keys come in the order of their bytes, whatever they have in common, and the table is as good as new.
        #[test]
        fn keys_come_in_order(
            keys in prop::collection::btree_set("(aaaaaaaaaaaaaaaaaaaaaaaaa){0,2}[ab\\x00]{0,7}|b{11,20}", 0..300),
            common in "a{0,20}",
            descending in any::<bool>(),
        ) {
            let mut table = Table::new(8, HomeBits::Bottom, &[0]);
            let (mut batch, mut slots) = (Box::<KeyBatch>::default(), [0; BATCH]);
            let mut memory = SortMemory::default();
            for _ in 0..2 {
                let keys: BTreeSet<_> = keys.iter().map(|key| format!("{common}{key}")).collect();
                for key in &keys {
                    batch.hash(Bytes { data: key.as_bytes(), spans: &[Span::of(0..key.len())] }, u64::MAX);
                    table.reserve(1);
                    table.probe(&batch, key.as_bytes(), &mut slots);
                }
                let mut drained = Vec::new();
                let order = if descending { KeyOrder::Descending } else { KeyOrder::Ascending };
                table.drain_in_order(order, common.len(), &mut memory, |table, slots| {
                    let key = |slot: &u32| {
                        String::from_utf8_lossy(table.group(*slot).key.bytes(&mut [0; 16])).into_owned()
                    };
                    drained.extend(slots.iter().map(key));
                    Ok::<_, ()>(())
                }).unwrap();
                if descending {
                    drained.reverse();
                }
                prop_assert!(drained.iter().eq(&keys));
                prop_assert!(table.is_empty() && table.groups().next().is_none());
            }
        }
    }
}
