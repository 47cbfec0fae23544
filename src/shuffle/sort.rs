//! Order: sorts the rows of each task and merges them into one sequence, in parallel. A task here is a reduce task, or
//! a map task of a job without groups.
//!
//! ```text
//! task          rows ─► sort ─► sorted run, a page at a time; the first key of each page stays in memory
//!                                              │ these keys are a sample, which cuts the output in ranges
//! range 0       the slice of every sorted run that falls in it ─► merged ─► lines ┐
//! range 1       …                                                                 ├─► in order to the writer
//! ```
//!
//! A sorted run is a run of one partition, whose rows are `varint key length · varint line length · sort key · line`. A
//! range is merged in memory by a stable sort, which finds the sorted slices and merges them (std's driftsort).

use std::path::PathBuf;

use super::row::{get_varint, put_varint};
use super::{PartitionBuffers, Run, RunSize, RunWriter};
use crate::data::buffer::{Buffer, copy_short};
use crate::error::{Error, Result};

/// Largest payload of a sorted run's page in bytes. It is small because each range reads one page more than it needs
/// from every run.
const SORTED_PAGE: usize = 4 << 10;

/// Bytes of the largest page buffer that is kept. Longer pages hold long rows, and their memory is freed before the
/// rows are copied.
const LONG_PAGES: usize = 32 << 20;

/// The most bytes of a page's first key that stay in memory: few beside a page, even if each row has its own page, and
/// enough to tell keys with a common beginning apart.
const SAMPLED: usize = 1 << 10;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Sixteen bytes of the sort key, zero padded, as a number. Most comparisons need only these.
    prefix: u128,
    /// Where the row's key begins. The line follows the key.
    at: u64,
    key: u32,
    line: u32,
}

/// Rows in memory with their sort keys.
#[derive(Debug, Default)]
struct HeldRows {
    bytes: Buffer,
    entries: Vec<Entry>,
    /// Length of the beginning that all keys share. The entries' prefixes start after it.
    common: usize,
    /// Length of a row that was too long for an entry.
    too_long: Option<u64>,
}

impl HeldRows {
    fn key(&self, entry: &Entry) -> &[u8] {
        key(&self.bytes, entry)
    }

    /// A row's key and line.
    fn row(&self, entry: &Entry) -> &[u8] {
        &self.bytes.as_slice()[entry.at as usize..][..entry.key as usize + entry.line as usize]
    }

    fn line(&self, entry: &Entry) -> &[u8] {
        &self.row(entry)[entry.key as usize..]
    }

    fn push(&mut self, at: usize, key: usize, line: usize) {
        if key + line > u32::MAX as usize {
            self.too_long = Some((key + line) as u64);
            return;
        }
        let prefix = prefix(&self.bytes.as_slice()[at + self.common..at + key]);
        self.entries.push(Entry { prefix, at: at as u64, key: key as u32, line: line as u32 });
    }

    /// Sorts the entries by key. Set `merge` if the entries consist of sorted sequences: a stable sort is faster then.
    fn sort(&mut self, merge: bool) {
        match merge {
            true => self.entries.sort_by_key(|entry| entry.prefix),
            false => self.entries.sort_unstable_by_key(|entry| entry.prefix),
        }
        break_ties(&mut self.entries, &self.bytes, self.common + PREFIX);
    }

    /// Drops all but the first `limit` rows, which stay unsorted.
    fn keep_first(&mut self, limit: usize) {
        if let Some(last) = limit.checked_sub(1)
            && limit < self.entries.len()
        {
            let bytes = &self.bytes;
            self.entries.select_nth_unstable_by(last, |a, b| key(bytes, a).cmp(key(bytes, b)));
        }
        self.entries.truncate(limit);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }
}

/// Sorts the entries within each group of equal prefixes by the bytes of their keys from byte `from` on.
fn break_ties(entries: &mut [Entry], bytes: &Buffer, from: usize) {
    for tied in entries.chunk_by_mut(|a, b| a.prefix == b.prefix).filter(|tied| tied.len() > 1) {
        let rest = |entry: &Entry| key(bytes, entry).get(from..).unwrap_or_default();
        if tied.len() < MANY || tied.iter().all(|entry| rest(entry).is_empty()) {
            // Of keys whose bytes are equal the shorter one is less: zeros before `from` may be padding.
            tied.sort_unstable_by(|a, b| rest(a).cmp(rest(b)).then(a.key.cmp(&b.key)));
        } else {
            // Compares the next sixteen bytes as numbers. Comparing numbers compiles to code without branches to
            // mispredict, and without reading the keys.
            tied.iter_mut().for_each(|entry| entry.prefix = prefix(rest(entry)));
            tied.sort_unstable_by_key(|entry| entry.prefix);
            break_ties(tied, bytes, from + PREFIX);
        }
    }
}

/// Bytes in a prefix.
const PREFIX: usize = 16;
/// The fewest ties for which new prefixes are worthwhile.
const MANY: usize = 16;

fn prefix(key: &[u8]) -> u128 {
    match key.first_chunk::<PREFIX>() {
        Some(first) => u128::from_be_bytes(*first),
        None => {
            let mut padded = [0; PREFIX];
            copy_short(&mut padded, key);
            u128::from_be_bytes(padded)
        }
    }
}

fn key<'b>(bytes: &'b Buffer, entry: &Entry) -> &'b [u8] {
    &bytes.as_slice()[entry.at as usize..][..entry.key as usize]
}

/// Collects the rows of one task, sorts them and writes them as a sorted run.
#[derive(Debug, Default)]
pub struct Sorter {
    rows: HeldRows,
}

/// Sorted rows of one task on disk.
#[derive(Debug)]
pub struct SortedRun {
    run: Run,
    /// The first key of each page, up to [`SAMPLED`] bytes of it. A range's bound is one of these. So a key is below a
    /// bound exactly if its first `SAMPLED` bytes are.
    first_keys: Vec<Box<[u8]>>,
    pub size: RunSize,
}

impl Sorter {
    /// Adds a row: `put_key` and then `put_line` append to the buffer that they are given.
    pub fn add(&mut self, put_key: impl FnOnce(&mut Buffer), put_line: impl FnOnce(&mut Buffer)) {
        let at = self.rows.bytes.len();
        put_key(&mut self.rows.bytes);
        let line_at = self.rows.bytes.len();
        put_line(&mut self.rows.bytes);
        self.rows.push(at, line_at - at, self.rows.bytes.len() - line_at);
    }

    /// Bytes of the rows that are held.
    pub fn bytes(&self) -> usize {
        self.rows.bytes.len()
    }

    /// Writes the rows in order, at most the first `limit` of them, and drops them.
    pub fn write(
        &mut self,
        path: PathBuf,
        limit: Option<u64>,
        keep_open: bool,
        buffers: PartitionBuffers,
    ) -> Result<(SortedRun, PartitionBuffers)> {
        if let Some(bytes) = self.rows.too_long {
            return Err(Error::RowTooLong { bytes });
        }
        if let Some(limit) = limit {
            self.rows.keep_first(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        self.rows.sort(false);
        let mut writer = RunWriter::create(path, 1, SORTED_PAGE, buffers)?;
        let mut first_keys = Vec::new();
        for entry in &self.rows.entries {
            if writer.buffered_rows(0) == 0 {
                let key = self.rows.key(entry);
                first_keys.push(key[..key.len().min(SAMPLED)].into());
            }
            writer.add(0, |out| {
                put_varint(out, entry.key as usize);
                put_varint(out, entry.line as usize);
                out.extend(self.rows.row(entry));
            })?;
        }
        let (run, buffers) = writer.finish()?;
        self.rows.clear();
        let size = run.size;
        let run = Run::open(run, keep_open)?;
        Ok((SortedRun { run, first_keys, size }, buffers))
    }
}

/// The whole sequence, cut into ranges of sort keys.
#[derive(Debug)]
pub struct MergePlan {
    runs: Vec<SortedRun>,
    /// Range `i` is `bounds[i - 1] <= key < bounds[i]`; the first and the last are open.
    bounds: Vec<Box<[u8]>>,
}

/// One worker's memory for merging.
#[derive(Debug, Default)]
pub struct MergeMemory {
    rows: HeldRows,
    page: Vec<u8>,
}

impl MergePlan {
    /// Cuts the rows of `runs` into ranges of about `range_bytes`.
    pub fn new(runs: Vec<SortedRun>, range_bytes: u64) -> MergePlan {
        let bytes: u64 = runs.iter().map(|run| run.size.row_bytes).sum();
        // Each run's pages are an even sample of its rows.
        let mut sample: Vec<&[u8]> = runs.iter().flat_map(|run| &run.first_keys).map(|key| &**key).collect();
        sample.sort_unstable();
        let ranges = (bytes / range_bytes.max(1) + 1).min(sample.len() as u64).max(1) as usize;
        let mut bounds: Vec<Box<[u8]>> = (1..ranges).map(|i| sample[i * sample.len() / ranges].into()).collect();
        bounds.dedup();
        MergePlan { runs, bounds }
    }

    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.size.row_bytes).sum()
    }

    pub fn ranges(&self) -> usize {
        self.bounds.len() + 1
    }

    /// Rows of all ranges.
    pub fn rows(&self) -> u64 {
        self.runs.iter().map(|run| run.size.rows).sum()
    }

    /// Passes the lines of range `i` to `each`, in order. Returns the bytes of their rows.
    pub fn merge(&self, i: usize, merger: &mut MergeMemory, mut each: impl FnMut(&[u8])) -> Result<u64> {
        let low = i.checked_sub(1).map(|i| &*self.bounds[i]);
        let high = self.bounds.get(i).map(|key| &**key);
        let MergeMemory { rows, page } = merger;
        rows.clear();
        rows.common = match (low, high) {
            (Some(low), Some(high)) => low.iter().zip(high).take_while(|(a, b)| a == b).count(),
            _ => 0,
        };
        let mut kept = 0;
        for SortedRun { run, first_keys, .. } in &self.runs {
            // The page before the first page that begins in the range may end in it.
            let from = low.map_or(0, |low| first_keys.partition_point(|key| **key < *low).saturating_sub(1));
            let to = high.map_or(first_keys.len(), |high| first_keys.partition_point(|key| **key < *high));
            if from >= to {
                continue;
            }
            let reader = run.reader()?;
            let wanted = &run.pages(0..1)[from..to];
            for (i, payload) in reader.read_neighbours(wanted, page)?.enumerate() {
                // Only the first and the last page can hold rows of other ranges. A page also counts as the last if the
                // first key of the next page is truncated to `SAMPLED` bytes, because that key may lie outside of the
                // range.
                let ends_inside = i + 1 < wanted.len() && first_keys[from + i + 1].len() < SAMPLED;
                let (low, high) = (low.filter(|_| i == 0), high.filter(|_| !ends_inside));
                kept += rows
                    .gather(payload?, low, high)
                    .ok_or_else(|| reader.corrupt(&wanted[i], "a page holds what is no sorted row"))?;
            }
        }
        if page.len() > LONG_PAGES {
            *page = Vec::new();
        }
        rows.sort(true);
        rows.entries.iter().for_each(|entry| each(rows.line(entry)));
        Ok(kept)
    }
}

impl HeldRows {
    /// Adds the rows of a page whose keys are in `low..high`. Returns their bytes; `None` if the page is damaged.
    fn gather(&mut self, page: &[u8], low: Option<&[u8]>, high: Option<&[u8]>) -> Option<u64> {
        let base = self.bytes.len();
        self.bytes.extend(page);
        let mut kept = 0;
        let mut at = 0;
        while at < page.len() {
            let row = at;
            let key = get_varint(page, &mut at)?;
            let line = get_varint(page, &mut at)?;
            let bytes = page.get(at..at.checked_add(key)?)?;
            let end = (at + key).checked_add(line).filter(|&end| end <= page.len())?;
            if low.is_none_or(|low| bytes >= low) && high.is_none_or(|high| bytes < high) {
                self.push(base + at, key, line);
                kept += (end - row) as u64;
            }
            at = end;
        }
        Some(kept)
    }
}

impl MergeMemory {
    /// The sort keys of the lines that were merged last.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.entries.iter().map(|entry| self.rows.key(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The lines come in the order of their keys, however the rows are spread over runs and however small the
        /// ranges are.
        #[test]
        fn merges_in_order(
            keys in prop::collection::btree_set("(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa){0,1}[ab\\x00]{0,20}", 0..400),
            deal in prop::collection::vec(0usize..4, 400),
            range_bytes in 1u64..2000,
            limit in prop::option::of(0u64..50),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let runs: Vec<SortedRun> = (0..4)
                .map(|n| {
                    let mut sorter = Sorter::default();
                    for (key, _) in keys.iter().zip(&deal).filter(|(_, run)| **run == n) {
                        sorter.add(|out| out.extend(key.as_bytes()), |out| out.extend(format!("{key}\n").as_bytes()));
                    }
                    sorter.write(dir.path().join(n.to_string()), limit, n % 2 == 0, PartitionBuffers::default()).unwrap().0
                })
                .collect();
            let merge = MergePlan::new(runs, range_bytes);
            let (mut merged, mut merger) = (Vec::new(), MergeMemory::default());
            for range in 0..merge.ranges() {
                merge.merge(range, &mut merger, |line| merged.push(line.to_vec())).unwrap();
            }
            prop_assert_eq!(merge.rows(), merged.len() as u64);
            let lines: Vec<_> = merged.iter().map(|line| std::str::from_utf8(line).unwrap().trim_end()).collect();
            let first = limit.map_or(keys.len(), |limit| (limit as usize).min(keys.len()));
            prop_assert!(lines.len() >= first);
            prop_assert!(lines[..first].iter().eq(keys.iter().take(first)));
        }
    }
}
