//! [`Growth`] decides, whenever a map task's table is full, whether the table grows or is flushed into the run.
//!
//! A table begins small, so that few groups lie close together, and grows for as long as it stays in the second-level
//! cache. A full table of that size is flushed into the run. If the keys are drawn evenly from not too many distinct
//! ones, it is better to let the table grow until it holds them all: each group is then written once. The number of
//! distinct keys is estimated from how many records so far met a key that was there already:
//!
//! ```text
//! of D keys drawn evenly, r records have met   n = D · (1 − e^(−r/D))   groups
//! ```
//!
//! Real text is not drawn evenly: each larger table turns out to be full again. So a worker grows its table beyond the
//! cache only a few times, and then goes back to the cache's size for good.

/// Bytes of a table that stay in a second-level cache of 1 MiB. On the white-space words of the Linux source, tables of
/// 2^14, 2^15 and 2^16 slots of 32 bytes took the same time within 3 % (25.4, 23.0 and 21.1 M rows shuffled). On the
/// letters of the Linux source, 2^14 slots took 6 % more time.
const CACHE: usize = 1 << 20;

/// Bytes of the largest table. With more keys than such a table holds, each key is met again too seldom.
pub const MOST_TABLE_BYTES: usize = 128 << 20;

/// Slots of a new table. With 413 keys, a table of 2^10 slots took 8 % more time: keys that share a place cost
/// mispredicted branches.
const FIRST: usize = 1 << 12;

/// How often a worker's table may grow beyond the cache.
const TRIES: u32 = 3;

/// A table with fewer groups than this share of its records doesn't grow beyond the cache: its flush writes few rows
/// anyway.
const WORTHWHILE: f64 = 0.25;

/// How large a worker's table may become, and how often it grew beyond the cache.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Slots that fit both the cache and the memory.
    cache: usize,
    /// Slots that fit the memory.
    most: usize,
    tries: u32,
}

/// What to do with a full table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Make the table this many slots large and go on.
    Grow(usize),
    /// Flush the table.
    Flush,
    /// Flush the table and make it this many slots large.
    Shrink(usize),
}

impl Growth {
    /// The growth of tables whose slots have `slot_bytes` bytes each, in `memory` bytes.
    pub fn new(slot_bytes: usize, memory: usize) -> Self {
        let slots = |bytes: usize| (bytes / slot_bytes + 1).next_power_of_two() / 2;
        Growth { cache: slots(CACHE.min(memory)).max(8), most: slots(memory.min(MOST_TABLE_BYTES)).max(8), tries: 0 }
    }

    /// The growth of a table that always has `slots` slots.
    pub fn fixed(slots: usize) -> Self {
        Growth { cache: slots, most: slots, tries: TRIES }
    }

    /// Returns the slots to begin with. `input` is the most groups that there may be.
    pub fn first(&self, input: usize) -> usize {
        self.cache.min(FIRST.min(input))
    }

    /// Decides what to do with a full table of `slots` slots, in which `records` records became `groups` groups.
    pub fn full(&mut self, slots: usize, groups: usize, records: u64) -> Full {
        if slots < self.cache {
            return Full::Grow((4 * slots).min(self.cache));
        }
        if self.tries < TRIES && groups as f64 > WORTHWHILE * records as f64 {
            // Room for 1.5 times the estimated keys, in a table that is full at 5/8 of its slots: 1.5 · 8/5 = 2.4.
            let wanted = (keys(groups as f64, records as f64) * 2.4).max(2.0 * slots as f64);
            if wanted <= self.most as f64 {
                self.tries += 1;
                return Full::Grow((wanted as usize).next_power_of_two().min(self.most));
            }
        }
        match slots > self.cache {
            true => {
                self.tries = TRIES;
                Full::Shrink(self.cache)
            }
            false => Full::Flush,
        }
    }

    /// Predicts the rows that a task writes if it begins with a new table and combines `records` records. `keys(n)` is
    /// the number of distinct keys among the task's first n records.
    pub fn rows(mut self, records: f64, keys: impl Fn(f64) -> f64) -> f64 {
        let (mut rows, mut left, mut slots) = (0.0, records, self.first(usize::MAX));
        loop {
            // A table is full at 5/8 of its slots.
            let room = slots as f64 * 5.0 / 8.0;
            if keys(left) <= room {
                return rows + keys(left);
            }
            let (mut low, mut full) = (0.0, left);
            for _ in 0..50 {
                let middle = (low + full) / 2.0;
                if keys(middle) > room { full = middle } else { low = middle }
            }
            match self.full(slots, room as usize, full as u64) {
                Full::Grow(more) => slots = more,
                // Each later fill takes as many records and makes as many rows as this one.
                Full::Flush => return rows + room * left / full,
                Full::Shrink(fewer) => (rows, left, slots) = (rows + room, left - full, fewer),
            }
        }
    }
}

/// Estimates how many keys there are if `records` records, drawn evenly from the keys, have met `groups` of them.
fn keys(groups: f64, records: f64) -> f64 {
    if groups >= records {
        return f64::INFINITY;
    }
    // (1 − e^(−x)) / x falls from 1 to 0. Bisection finds the x at which it equals the share of groups seen.
    let seen = groups / records;
    let (mut low, mut high) = (0.0, records / groups.max(1.0) + 1.0);
    for _ in 0..50 {
        let x = (low + high) / 2.0;
        if -f64::exp_m1(-x) / x > seen { low = x } else { high = x }
    }
    records / high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_estimated() {
        for (distinct, records) in [(200_000.0, 21_000.0), (40e6, 20_000.0), (1_000.0, 5_000.0)] {
            let x: f64 = records / distinct;
            let groups = distinct * -f64::exp_m1(-x);
            let found = keys(groups, records);
            assert!((found / distinct - 1.0).abs() < 0.01, "{found} of {distinct}");
        }
        assert_eq!(keys(10.0, 10.0), f64::INFINITY);
    }

    #[test]
    fn a_table_grows_to_the_cache_then_to_its_keys_or_is_flushed() {
        let mut growth = Growth::new(32, 1 << 30);
        assert_eq!(growth.first(usize::MAX), FIRST);
        assert_eq!(growth.first(100), 100);
        assert_eq!(growth.full(FIRST, 2_560, 2_560), Full::Grow(4 * FIRST));
        // 200,000 keys, drawn evenly.
        assert_eq!(growth.full(1 << 15, 20_480, 21_600), Full::Grow(1 << 19));
        // Lines that are nearly all distinct.
        assert_eq!(Growth::new(32, 1 << 30).full(1 << 15, 20_480, 20_485), Full::Flush);
        // Words: few rows are left of many records.
        assert_eq!(Growth::new(32, 1 << 30).full(1 << 15, 20_480, 200_000), Full::Flush);
        // Full again and again: back to the cache's size for good.
        let mut slots = 1 << 15;
        let mut growth = Growth::new(32, 1 << 30);
        while let Full::Grow(more) = growth.full(slots, slots / 8 * 5, slots as u64) {
            slots = more;
        }
        assert!(slots > 1 << 15);
        assert_eq!(growth.full(slots, slots / 8 * 5, slots as u64), Full::Shrink(1 << 15));
        assert_eq!(growth.full(1 << 15, 20_480, 21_600), Full::Flush);
    }

    #[test]
    fn memory_bounds_it() {
        assert_eq!(Growth::new(32, 1 << 16).full(1 << 11, 1_280, 1_300), Full::Flush);
        assert_eq!(Growth::fixed(8).full(8, 5, 6), Full::Flush);
        assert_eq!(Growth::fixed(8).first(1 << 20), 8);
    }
}
