//! Order: from the groups of each reduce task to one sequence of rows, in parallel and in bounded memory.
//!
//! ```text
//! reduce task   rows ─► sort ─► sorted run, a page at a time; the first key of each page stays in memory
//!                                              │ these keys are the sample that cuts the output in ranges
//! range 0       the slice of every sorted run that falls in it ─► merged ─► lines ┐
//! range 1       …                                                                 ├─► in order to the sink
//! ```
//!
//! Sorted runs are runs of one partition, whose rows are `varint key length · varint line length · sort key · line`.
//! A range is merged in memory by a stable sort, which finds the sorted slices and merges them (std's driftsort).

use std::cmp::Ordering;
use std::path::PathBuf;

use super::sink::Chunk;
use crate::aggregate::Value;
use crate::buffer::Buffer;
use crate::error::Result;
use crate::shuffle::row::{get_varint, put_varint};
use crate::shuffle::{PartitionBuffers, Run, RunWriter};

/// The sequence of output rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// As they come.
    Free,
    /// By these columns. The list ends where it determines the sequence: once it holds every `group_by` column no two
    /// rows are equal.
    By(Vec<SortKey>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SortKey {
    /// Index into `group_by` followed by `aggregates`.
    pub index: usize,
    pub descending: bool,
}

/// Pages of sorted runs are small: each range reads one page more than it needs from every run.
const PAGE: usize = 16 << 10;

/// Bytes of a page's first key that stay in memory: a small part of a page even if each row has a page of its own, enough
/// to tell apart keys that begin alike.
const SAMPLED: usize = 1 << 10;

/// Appends one column of a sort key: bytes that sort as the values do, null first, and are prefix-free unless the
/// column is the `last` one.
pub fn put_sort_key(out: &mut Buffer, value: &Value<'_>, descending: bool, last: bool) {
    let start = out.len();
    match *value {
        Value::Null => out.push(0),
        // As many bytes as it takes, their number first: short keys compare in fewer steps.
        Value::Unsigned(number) => {
            let len = 8 - number.leading_zeros() as usize / 8;
            out.push(1 + len as u8);
            out.extend(&number.to_be_bytes()[8 - len..]);
        }
        Value::Bytes(bytes) if last && !descending => {
            out.push(1);
            out.extend(bytes);
        }
        Value::Bytes(bytes) => {
            out.push(1);
            crate::column::put_escaped(out, bytes);
        }
    }
    if descending {
        out.as_mut_slice()[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// First eight bytes of the sort key, zero padded: most comparisons end here.
    prefix: u64,
    /// Where key and line begin.
    at: u64,
    key: u32,
    line: u32,
}

/// Rows in memory with their sort keys.
#[derive(Debug, Default)]
struct Rows {
    bytes: Buffer,
    entries: Vec<Entry>,
}

impl Rows {
    fn key(&self, entry: &Entry) -> &[u8] {
        &self.bytes.as_slice()[entry.at as usize..][..entry.key as usize]
    }

    fn line(&self, entry: &Entry) -> &[u8] {
        &self.bytes.as_slice()[entry.at as usize + entry.key as usize..][..entry.line as usize]
    }

    fn push(&mut self, at: usize, key: usize, line: usize) {
        let bytes = &self.bytes.as_slice()[at..at + key];
        let prefix = match bytes.first_chunk() {
            Some(first) => u64::from_be_bytes(*first),
            None => bytes.iter().enumerate().fold(0, |prefix, (i, &b)| prefix | u64::from(b) << (56 - 8 * i)),
        };
        self.entries.push(Entry { prefix, at: at as u64, key: key as u32, line: line as u32 });
    }

    fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        a.prefix.cmp(&b.prefix).then_with(|| self.key(a).cmp(self.key(b)))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }
}

/// Sorts the rows of one reduce task and writes them as a sorted run.
#[derive(Debug, Default)]
pub struct Sorter {
    rows: Rows,
}

/// A reduce task's rows on disk, sorted.
#[derive(Debug)]
pub struct SortedRun {
    run: Run,
    /// First key of each page, up to [`SAMPLED`] bytes of it. A bound is one of these, and a key is below a bound exactly
    /// if its first bytes are.
    first_keys: Vec<Box<[u8]>>,
    pub bytes: u64,
}

impl Sorter {
    /// Adds a row: `put_key` and then `put_line` append to the bytes they are given.
    pub fn add(&mut self, put_key: impl FnOnce(&mut Buffer), put_line: impl FnOnce(&mut Buffer)) {
        let at = self.rows.bytes.len();
        put_key(&mut self.rows.bytes);
        let line_at = self.rows.bytes.len();
        put_line(&mut self.rows.bytes);
        self.rows.push(at, line_at - at, self.rows.bytes.len() - line_at);
    }

    /// Writes the rows in order, no more than the first `limit` of them, and forgets them.
    pub fn write(
        &mut self,
        path: PathBuf,
        limit: Option<u64>,
        buffers: PartitionBuffers,
    ) -> Result<(SortedRun, PartitionBuffers)> {
        let mut entries = std::mem::take(&mut self.rows.entries);
        if let Some(limit) = limit.map(|limit| limit as usize).filter(|&limit| limit < entries.len()) {
            if limit > 0 {
                entries.select_nth_unstable_by(limit - 1, |a, b| self.rows.compare(a, b));
            }
            entries.truncate(limit);
        }
        entries.sort_unstable_by(|a, b| self.rows.compare(a, b));
        let mut writer = RunWriter::create(path, 1, PAGE, buffers)?;
        let mut first_keys = Vec::new();
        for entry in &entries {
            if writer.buffered_rows(0) == 0 {
                let key = self.rows.key(entry);
                first_keys.push(key[..key.len().min(SAMPLED)].into());
            }
            writer.add(0, |out| {
                put_varint(out, entry.key as usize);
                put_varint(out, entry.line as usize);
                out.extend(&self.rows.bytes.as_slice()[entry.at as usize..][..(entry.key + entry.line) as usize]);
            })?;
        }
        let (path, size, buffers) = writer.finish()?;
        self.rows.entries = entries;
        self.rows.clear();
        let run = Run::open(path)?;
        Ok((SortedRun { run, first_keys, bytes: size.row_bytes }, buffers))
    }
}

/// The whole sequence, cut in ranges of sort keys.
#[derive(Debug)]
pub struct Merge {
    runs: Vec<SortedRun>,
    /// Range `i` is `bounds[i - 1] <= key < bounds[i]`; the first and the last are open.
    bounds: Vec<Box<[u8]>>,
}

/// Memory of one worker's merging.
#[derive(Debug, Default)]
pub struct Merger {
    rows: Rows,
    page: Vec<u8>,
}

impl Merge {
    /// Cuts the rows of `runs` into ranges of about `range_bytes`.
    pub fn new(runs: Vec<SortedRun>, range_bytes: u64) -> Merge {
        let bytes: u64 = runs.iter().map(|run| run.bytes).sum();
        // Each run's pages are an even sample of its rows.
        let mut sample: Vec<&[u8]> = runs.iter().flat_map(|run| &run.first_keys).map(|key| &**key).collect();
        sample.sort_unstable();
        let ranges = (bytes / range_bytes.max(1) + 1).min(sample.len() as u64).max(1) as usize;
        let mut bounds: Vec<Box<[u8]>> = (1..ranges).map(|i| sample[i * sample.len() / ranges].into()).collect();
        bounds.dedup();
        Merge { runs, bounds }
    }

    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes).sum()
    }

    pub fn ranges(&self) -> usize {
        self.bounds.len() + 1
    }

    /// Appends the lines of range `i`, in order. Returns their bytes.
    pub fn merge(&self, i: usize, merger: &mut Merger, out: &mut Chunk) -> Result<u64> {
        let low = i.checked_sub(1).map(|i| &*self.bounds[i]);
        let high = self.bounds.get(i).map(|key| &**key);
        let Merger { rows, page } = merger;
        rows.clear();
        let mut kept = 0;
        for SortedRun { run, first_keys, .. } in &self.runs {
            // The page before the first one that begins in the range may end in it.
            let from = low.map_or(0, |low| first_keys.partition_point(|key| **key < *low).saturating_sub(1));
            let to = high.map_or(first_keys.len(), |high| first_keys.partition_point(|key| **key < *high));
            if from >= to {
                continue;
            }
            let reader = run.reader()?;
            for entry in &run.pages(0..1)[from..to] {
                let payload = reader.read(entry, page)?;
                kept += rows
                    .gather(payload, low, high)
                    .ok_or_else(|| reader.corrupt(entry, "a page holds what is no sorted row"))?;
            }
        }
        let mut entries = std::mem::take(&mut rows.entries);
        entries.sort_by(|a, b| rows.compare(a, b));
        for entry in &entries {
            out.bytes.extend(rows.line(entry));
            out.ends.push(out.bytes.len());
        }
        rows.entries = entries;
        Ok(kept)
    }
}

impl Rows {
    /// Adds the rows of a page whose keys are in `low..high`. Returns their bytes.
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
