//! Rows that are to be sorted: a sort key and what it is the key of, such as a line of output.
//!
//! ```text
//! varint key length · varint payload length · key · payload
//! ```
//!
//! The rows of a run that is partitioned by ranges of sort keys are in order when each partition is. A partition is
//! read and sorted in memory. Rows whose keys are equal stay in the order in which they were added.

use std::ops::Range;

use super::RunWriter;
use super::row::{get_varint, put_varint};
use crate::data::buffer::{Buffer, SHORT, SLACK, copy_short};
use crate::data::prefix::{self, Numbered, above};
use crate::error::{Error, Result};

/// The longest key and the longest payload of a row that is written in a few moves of fixed size.
const SHORT_PART: usize = 60;
const _: () = assert!(SHORT_PART <= SHORT && 2 + 2 * SHORT_PART <= SLACK && SHORT_PART < 0x80);

/// Appends a row.
#[inline]
pub fn put_row(out: &mut Buffer, key: &[u8], payload: &[u8]) {
    if key.len() <= SHORT_PART && payload.len() <= SHORT_PART {
        let row = out.slack();
        (row[0], row[1]) = (key.len() as u8, payload.len() as u8);
        copy_short(&mut row[2..], key);
        copy_short(&mut row[2 + key.len()..], payload);
        return out.advance(2 + key.len() + payload.len());
    }
    put_varint(out, key.len());
    put_varint(out, payload.len());
    out.extend(key);
    out.extend(payload);
}

/// Finds the key of the row at `*at`, and moves `*at` behind the row. The payload is what follows the key. `None` if the
/// bytes aren't a row.
#[inline]
pub fn find_key(data: &[u8], at: &mut usize) -> Option<Range<usize>> {
    let (key, payload) = (get_varint(data, at)?, get_varint(data, at)?);
    let begin = *at;
    *at = begin.checked_add(key)?.checked_add(payload).filter(|end| *end <= data.len())?;
    Some(begin..begin + key)
}

/// Returns the payload of a row.
///
/// # Panics
/// If it is no row.
pub fn payload(row: &[u8]) -> &[u8] {
    &row[find_key(row, &mut 0).expect("a row").end..]
}

/// Rows in memory.
#[derive(Debug, Default)]
pub struct KeyedRows {
    rows: Held,
    /// For each row the beginning of its key, and where the row is.
    sorted: Vec<u128>,
}

#[derive(Debug, Default)]
struct Held(Buffer);

impl Held {
    #[inline]
    fn get(&self, at: u32) -> (&[u8], &[u8]) {
        let mut end = at as usize;
        let key = find_key(self.0.as_slice(), &mut end).expect("it was put there");
        self.0.as_slice()[key.start..end].split_at(key.len())
    }
}

/// The keys, by where their rows are.
impl Numbered for Held {
    #[inline]
    fn with<T>(&self, at: u32, get: impl FnOnce(&[u8]) -> T) -> T {
        get(self.get(at).0)
    }
}

impl KeyedRows {
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        self.rows.0.len() + size_of_val(&self.sorted[..])
    }

    /// Returns the bytes of memory in use after so many rows of so many bytes are added.
    pub fn bytes_with(&self, bytes: usize, rows: u32) -> usize {
        self.bytes() + bytes + rows as usize * size_of::<u128>()
    }

    pub fn clear(&mut self) {
        // The memory is kept: its owner has set it aside for rows that are sorted.
        self.rows.0.truncate(0);
        self.sorted.clear();
    }

    /// Makes room for so many bytes of rows, if there are none yet.
    pub fn reserve(&mut self, bytes: usize) {
        if self.is_empty() {
            self.rows.0.make_room(bytes + 4 * SLACK);
        }
    }

    pub fn push(&mut self, key: &[u8], payload: &[u8]) -> Result<()> {
        let at = self.next()?;
        put_row(&mut self.rows.0, key, payload);
        self.sorted.push(above(prefix::prefix(key), at));
        Ok(())
    }

    /// Adds the rows of a page, whose keys all begin with the same `common` bytes. Returns their number; `None` if the
    /// bytes aren't rows.
    pub fn gather(&mut self, page: &[u8], common: usize) -> Result<Option<u32>> {
        let (base, mut at, mut rows) = (self.next()? as usize, 0, 0);
        self.rows.0.extend(page);
        while at < page.len() {
            let Ok(place) = u32::try_from(base + at) else { return Err(too_long(base + at)) };
            let Some(key) = find_key(page, &mut at) else { return Ok(None) };
            let Some(key) = page[key].get(common..) else { return Ok(None) };
            self.sorted.push(above(prefix::prefix(key), place));
            rows += 1;
        }
        Ok(Some(rows))
    }

    /// Where the next row begins.
    fn next(&self) -> Result<u32> {
        u32::try_from(self.rows.0.len()).map_err(|_| too_long(self.rows.0.len()))
    }

    /// Writes the rows to a run in their order, but only those that `is_wanted` says.
    pub fn write(&self, run: &mut RunWriter, mut is_wanted: impl FnMut(&[u8]) -> bool) -> Result<()> {
        let mut rows = self.iter().filter(|(key, _)| is_wanted(key));
        rows.try_for_each(|(key, payload)| run.add(0, |out| put_row(out, key, payload)))
    }

    /// Sorts the rows, whose keys all begin with the same `common` bytes.
    pub fn sort(&mut self, common: usize) {
        prefix::sort(&mut self.sorted, common, &self.rows);
    }

    /// Returns keys and payloads: in order, if the rows were sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.sorted.iter().map(|row| self.rows.get(prefix::number(*row)))
    }

    /// Sorts the rows and keeps those that `is_wanted` says, which is asked in their order.
    pub(super) fn keep(&mut self, mut is_wanted: impl FnMut(&[u8]) -> bool) {
        self.sort(0);
        let KeyedRows { rows, sorted } = self;
        sorted.retain(|row| is_wanted(rows.get(prefix::number(*row)).0));
        // The rows are moved together in the order in which they were added, which decides between equal keys.
        self.sorted.sort_unstable_by_key(|row| prefix::number(*row));
        let mut kept = Buffer::default();
        for row in &mut self.sorted {
            let (key, payload) = self.rows.get(prefix::number(*row));
            let at = kept.len() as u32;
            put_row(&mut kept, key, payload);
            *row = above(prefix::prefix(key), at);
        }
        self.rows.0 = kept;
    }
}

fn too_long(bytes: usize) -> Error {
    Error::RowTooLong { bytes: bytes as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Rows come in the order of their keys, and rows of equal keys in the order in which they were added.
        #[test]
        fn rows_are_sorted(keys in prop::collection::vec("(aaaaaaaaaaaaaaaa){0,1}[ab\\x00]{0,4}", 0..400), pages in 1usize..5) {
            let mut expected: Vec<_> = keys.iter().zip(0u32..).map(|(key, i)| (key.as_bytes(), i.to_le_bytes())).collect();
            let mut rows = KeyedRows::default();
            for part in expected.chunks((keys.len() / pages).max(1)) {
                let mut page = Buffer::default();
                part.iter().for_each(|(key, payload)| put_row(&mut page, key, payload));
                prop_assert_eq!(rows.gather(page.as_slice(), 0).unwrap(), Some(part.len() as u32));
            }
            rows.sort(0);
            expected.sort_by_key(|(key, _)| *key);
            prop_assert!(rows.iter().eq(expected.iter().map(|(key, payload)| (*key, &payload[..]))));
        }

        /// Bytes that aren't rows are found out.
        #[test]
        fn what_is_no_row_is_refused(page in prop::collection::vec(any::<u8>(), 1..40)) {
            let mut rows = KeyedRows::default();
            if let Some(found) = rows.gather(&page, 0).unwrap() {
                prop_assert_eq!(found as usize, rows.len());
                let mut again = Buffer::default();
                rows.iter().for_each(|(key, payload)| put_row(&mut again, key, payload));
                prop_assert!(again.len() <= page.len());
            }
        }
    }
}
