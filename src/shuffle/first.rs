//! The first of the rows that are to be sorted: of all rows, of each group, or both. A row's group is what its sort key
//! begins with, in a form that has [an end of its own](crate::data::escaped).
//!
//! [`FirstOfGroups`] chooses among rows that are sorted. [`FirstRows`] holds rows back while they are made, so that rows
//! that can't be among the first don't take space in a run.

use super::sort::KeyedRows;
use crate::data::escaped::escaped_len;
use crate::error::Result;

/// Chooses the first rows of each group, if it is asked about the rows in their order.
#[derive(Debug)]
pub struct FirstOfGroups {
    limit: u64,
    group: Vec<u8>,
    /// Rows of the group that may still come. None if there was no row yet.
    left: Option<u64>,
}

impl FirstOfGroups {
    pub fn new(limit: u64) -> Self {
        FirstOfGroups { limit, group: Vec::new(), left: None }
    }

    /// Whether the row with this key, which is the next one, is among the first of its group.
    ///
    /// # Panics
    /// If the key doesn't begin with a group.
    #[inline]
    pub fn takes(&mut self, key: &[u8]) -> bool {
        let left = match self.left {
            // No group begins another.
            Some(left) if key.starts_with(&self.group) => left,
            _ => {
                self.group.clear();
                self.group.extend_from_slice(&key[..escaped_len(key).expect("a key begins with its group")]);
                self.limit
            }
        };
        self.left = Some(left.saturating_sub(1));
        left > 0
    }
}

/// Which rows are wanted of all that are made.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The first of all rows.
    pub of_all: Option<usize>,
    /// The first rows of each group, before those of all are counted.
    pub of_each_group: Option<u64>,
}

/// Holds the rows that may be among the first of all that are added.
#[derive(Debug)]
pub struct FirstRows {
    rows: KeyedRows,
    wanted: Wanted,
    /// No row whose key isn't less is among the first.
    bound: Option<Box<[u8]>>,
    /// Rows that were added since rows were last taken out.
    added: usize,
}

/// Rows that are held in any case, however long they are.
const FEW: usize = 3;

impl FirstRows {
    pub fn new(wanted: Wanted) -> Self {
        FirstRows { rows: KeyedRows::default(), wanted, bound: None, added: 0 }
    }

    /// Whether a row with this key may be among the first.
    #[inline]
    pub fn may_take(&self, key: &[u8]) -> bool {
        self.bound.as_deref().is_none_or(|bound| key < bound)
    }

    pub fn push(&mut self, key: &[u8], payload: &[u8]) -> Result<()> {
        if self.wanted.of_all == Some(0) {
            return Ok(());
        }
        self.rows.push(key, payload)?;
        self.added += 1;
        // Sorting now and then, when there are twice as many, costs a few comparisons a row.
        if self.wanted.of_all.is_some_and(|limit| self.rows.len() >= 2 * limit.max(128)) {
            self.drop_others();
        }
        Ok(())
    }

    /// Drops all but the first rows.
    fn drop_others(&mut self) {
        let Wanted { of_all, of_each_group } = self.wanted;
        let mut groups = of_each_group.map(FirstOfGroups::new);
        let mut left = of_all.unwrap_or(usize::MAX);
        self.rows.keep(|key| {
            let is_wanted = left > 0 && groups.as_mut().is_none_or(|groups| groups.takes(key));
            left -= usize::from(is_wanted);
            is_wanted
        });
        // A row that comes later may take the place of another of its group, but then there are still as many up to
        // the last one.
        if of_all == Some(self.rows.len()) {
            self.bound = self.rows.iter().map(|(key, _)| key).max().map(Into::into);
        }
    }

    /// Takes the rows out if they take more than `most` bytes, even after all but the first were dropped. Without a
    /// bound, rows take no more than half of it after that: sorting them again for a few that were added would take
    /// long. Also returns whether holding rows paid.
    pub fn take_beyond(&mut self, most: usize) -> Option<(KeyedRows, bool)> {
        if self.rows.bytes() <= most || self.rows.len() <= FEW {
            return None;
        }
        self.drop_others();
        let most = if self.bound.is_some() { most } else { most / 2 };
        (self.rows.bytes() > most && self.rows.len() > FEW).then(|| self.take_all())
    }

    /// Takes out the first of the rows that were added since rows were last taken out, in the order in which they were
    /// added. Also returns whether holding rows paid: whether there is a bound, or at least half of the rows were
    /// dropped.
    pub fn take(&mut self) -> (KeyedRows, bool) {
        self.drop_others();
        self.take_all()
    }

    fn take_all(&mut self) -> (KeyedRows, bool) {
        let rows = std::mem::take(&mut self.rows);
        let added = std::mem::take(&mut self.added);
        let paid = self.bound.is_some() || 2 * rows.len() <= added;
        (rows, paid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::buffer::Buffer;
    use crate::data::escaped::put_escaped;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Keys with a group of few values, some of which begin others, and few other bytes.
    fn key(group: &str, rest: &str) -> Vec<u8> {
        let mut key = Buffer::default();
        put_escaped(&mut key, group.as_bytes());
        key.extend(rest.as_bytes());
        key.as_slice().to_vec()
    }

    /// The rows that are wanted, by sorting all of them.
    fn naive(wanted: Wanted, rows: &[(Vec<u8>, u32)]) -> Vec<(Vec<u8>, u32)> {
        let mut sorted = rows.to_vec();
        sorted.sort();
        let group = |(key, _): &(Vec<u8>, u32)| key[..escaped_len(key).unwrap()].to_vec();
        let (mut kept, mut counts) = (Vec::new(), BTreeMap::new());
        for row in sorted {
            let count = counts.entry(group(&row)).or_insert(0u64);
            *count += 1;
            if wanted.of_each_group.is_none_or(|limit| *count <= limit) {
                kept.push(row);
            }
        }
        kept.truncate(wanted.of_all.unwrap_or(usize::MAX));
        kept.sort_by_key(|(_, i)| *i);
        kept
    }

    fn wanted() -> impl Strategy<Value = Wanted> {
        (prop::option::of(0usize..300), prop::option::of(0u64..6))
            .prop_map(|(of_all, of_each_group)| Wanted { of_all, of_each_group })
    }

    fn rows(most: usize) -> impl Strategy<Value = Vec<(Vec<u8>, u32)>> {
        // All groups of up to two letters of three, and all rests of up to five of two.
        let text = |letters: &[char], mut number: usize| {
            let mut text = String::new();
            while number > 0 {
                text.push(letters[(number - 1) % letters.len()]);
                number = (number - 1) / letters.len();
            }
            text
        };
        let rows = prop::collection::vec((0usize..13, 0usize..63), 0..most);
        let key =
            move |(group, rest): &(usize, usize)| key(&text(&['a', 'b', '\0'], *group), &text(&['a', 'b'], *rest));
        rows.prop_map(move |rows| rows.iter().map(key).zip(0..).collect())
    }

    proptest! {
        #[test]
        fn the_first_rows_are_kept(rows in rows(2000), wanted in wanted()) {
            let mut first = FirstRows::new(wanted);
            for (key, i) in &rows {
                if first.may_take(key) {
                    first.push(key, &i.to_le_bytes()).unwrap();
                }
            }
            if let Some(limit) = wanted.of_all {
                prop_assert!(first.rows.len() <= 2 * limit.max(128));
            }
            let (kept, _) = first.take();
            let kept: Vec<_> = kept.iter().map(|(key, i)| (key.to_vec(), u32::from_le_bytes(i.try_into().unwrap()))).collect();
            prop_assert_eq!(kept, naive(wanted, &rows));
        }

        /// However little memory there is, no row that is wanted is lost.
        #[test]
        fn rows_taken_out_early_include_the_first(rows in rows(600), wanted in wanted(), most in 0usize..4000) {
            let mut first = FirstRows::new(wanted);
            let mut taken = Vec::new();
            let mut note = |(rows, _): (KeyedRows, bool)| {
                taken.extend(rows.iter().map(|(key, i)| (key.to_vec(), u32::from_le_bytes(i.try_into().unwrap()))));
            };
            for (key, i) in &rows {
                if first.may_take(key) {
                    first.push(key, &i.to_le_bytes()).unwrap();
                }
                first.take_beyond(most).into_iter().for_each(&mut note);
                prop_assert!(first.rows.bytes() <= most || first.rows.len() <= FEW);
            }
            note(first.take());
            prop_assert!(taken.is_sorted_by_key(|(_, i)| *i));
            prop_assert_eq!(naive(wanted, &taken), naive(wanted, &rows));
        }
    }

    #[test]
    fn holding_rows_pays_if_many_are_dropped() {
        let paid = |rows: &[(&str, &str)], of_each_group| {
            let mut first = FirstRows::new(Wanted { of_all: None, of_each_group: Some(of_each_group) });
            rows.iter().for_each(|(group, rest)| first.push(&key(group, rest), b"").unwrap());
            let (rows, paid) = first.take();
            (rows.len(), paid)
        };
        let rows = [("a", "1"), ("a", "2"), ("b", "1"), ("a", "0"), ("a", "3")];
        assert_eq!(paid(&rows, 1), (2, true));
        assert_eq!(paid(&rows, 2), (3, false));
        assert_eq!(paid(&rows, 0), (0, true));
    }
}
