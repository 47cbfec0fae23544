//! Merges sorted runs into one sequence. Of each run one page at a time is in memory.
//!
//! ```text
//! run 0   [ page ]──┐
//! run 1   [ page ]──┼─► loser tree ─► rows in order; rows of equal keys in the order of the runs
//!   …               │
//! run k   [ page ]──┘
//! ```
//!
//! A loser tree has the runs as leaves. Each inner node keeps the run whose row lost there, so the next row is found
//! by comparing along one path: log2 k comparisons. Most of them need only the first eight bytes of a key.
//!
//! If there are more runs than pages that fit the memory, neighbouring runs are merged to longer ones first, in as many
//! passes as it takes: F^p · m bytes need p passes if F pages fit and the runs have m bytes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::format::Page;
use super::ranges::prefix;
use super::{PageReader, PartitionBuffers, Run, RunPlace, RunWriter};
use crate::error::Result;
use crate::table::KeyOrder;

/// Finds the key of the row at `*at`, and moves `*at` behind the row. `None` if the bytes aren't a row.
pub type FindKey = fn(page: &[u8], at: &mut usize) -> Option<Range<usize>>;

/// How the rows of runs are sorted.
#[derive(Clone, Copy, Debug)]
pub struct Sorting {
    pub find_key: FindKey,
    pub order: KeyOrder,
}

/// Payload bytes of a page of a sorted run.
pub const SORTED_PAGE: usize = 16 << 10;

/// The rows of sorted runs, in order.
#[derive(Debug)]
pub struct Merge<'a> {
    sorting: Sorting,
    cursors: Vec<Cursor<'a>>,
    /// For each inner node of the tree, counted from 1, the run that lost there. At 0 the run whose row is next.
    tree: Vec<u32>,
    buffer: Vec<u8>,
    has_begun: bool,
}

/// Where in a run the next row is.
#[derive(Debug)]
struct Cursor<'a> {
    run: &'a Run,
    reader: PageReader<'a>,
    /// Some pages of the run, and the number of the one that is read next.
    pages: Cow<'a, [Page]>,
    next: usize,
    /// The number of the block of pages that follows.
    block: usize,
    /// The rows of the page that is read.
    rows: Vec<u8>,
    /// Rows of the page that are still to be found, as its header says.
    left: u32,
    row: Range<usize>,
    key: Range<usize>,
    /// The key's first bytes. `None` at the end of the run.
    prefix: Option<u64>,
}

impl Cursor<'_> {
    fn advance(&mut self, find_key: FindKey, buffer: &mut Vec<u8>) -> Result<()> {
        let mut at = self.row.end;
        if at == self.rows.len() {
            if self.next == self.pages.len() {
                self.pages = self.run.block(self.block)?;
                (self.next, self.block) = (0, self.block + 1);
            }
            let Some(page) = self.pages.get(self.next) else {
                self.prefix = None;
                return Ok(());
            };
            self.rows.clear();
            self.rows.extend_from_slice(self.reader.read(page, buffer)?);
            (self.left, at) = (page.rows, 0);
            self.next += 1;
        }
        let begin = at;
        let found = find_key(&self.rows, &mut at);
        self.left = self.left.wrapping_sub(1);
        match found {
            Some(key) if (self.left == 0) == (at == self.rows.len()) => self.key = key,
            _ => return Err(self.reader.corrupt_run("a page holds what is no sorted row")),
        }
        self.row = begin..at;
        self.prefix = Some(prefix(&self.rows[self.key.clone()]));
        Ok(())
    }

    fn key(&self) -> &[u8] {
        &self.rows[self.key.clone()]
    }
}

impl<'a> Merge<'a> {
    /// Merges the rows of these runs, of one partition each.
    pub fn new(runs: &'a [Run], sorting: Sorting) -> Result<Merge<'a>> {
        let mut buffer = Vec::new();
        let cursors = runs.iter().map(|run| {
            let mut cursor = Cursor {
                run,
                reader: run.reader()?,
                pages: Cow::Borrowed(&[]),
                next: 0,
                block: 0,
                // Pages of different lengths would make the vector grow to twice the longest one.
                rows: Vec::with_capacity(run.longest_page()),
                left: 0,
                row: 0..0,
                key: 0..0,
                prefix: None,
            };
            cursor.advance(sorting.find_key, &mut buffer)?;
            Ok(cursor)
        });
        let cursors = cursors.collect::<Result<Vec<_>>>()?;
        let mut merge = Merge { sorting, tree: vec![0; cursors.len()], cursors, buffer, has_begun: false };
        merge.build();
        Ok(merge)
    }

    /// Plays all matches. Node `n` has the children `2n` and `2n + 1`; the leaf of run `i` is node `runs + i`.
    fn build(&mut self) {
        let runs = self.cursors.len();
        let mut winners = vec![0; 2 * runs];
        for node in (1..2 * runs).rev() {
            winners[node] = match node.checked_sub(runs) {
                Some(run) => run as u32,
                None => {
                    let [a, b] = [winners[2 * node], winners[2 * node + 1]];
                    let (winner, loser) = if self.is_before(a, b) { (a, b) } else { (b, a) };
                    self.tree[node] = loser;
                    winner
                }
            };
        }
        if runs > 0 {
            self.tree[0] = winners[1];
        }
    }

    /// Whether the next row of run `a` comes before the one of run `b`.
    fn is_before(&self, a: u32, b: u32) -> bool {
        let [of_a, of_b] = [a, b].map(|run| &self.cursors[run as usize]);
        let keys = match (of_a.prefix, of_b.prefix) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => return false,
            (Some(_), None) => return true,
            (Some(x), Some(y)) if x != y => x.cmp(&y),
            (Some(_), Some(_)) => of_a.key().cmp(of_b.key()),
        };
        let keys = if self.sorting.order == KeyOrder::Descending { keys.reverse() } else { keys };
        keys.then(a.cmp(&b)).is_lt()
    }

    /// Returns the next row with its key, or `None` behind the last row.
    pub fn next_row(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        if self.cursors.is_empty() {
            return Ok(None);
        }
        if self.has_begun {
            let runs = self.cursors.len();
            let mut winner = self.tree[0];
            self.cursors[winner as usize].advance(self.sorting.find_key, &mut self.buffer)?;
            let mut node = (runs + winner as usize) / 2;
            while node > 0 {
                if self.is_before(self.tree[node], winner) {
                    std::mem::swap(&mut self.tree[node], &mut winner);
                }
                node /= 2;
            }
            self.tree[0] = winner;
        }
        self.has_begun = true;
        let cursor = &self.cursors[self.tree[0] as usize];
        Ok(cursor.prefix.map(|_| (cursor.key(), &cursor.rows[cursor.row.clone()])))
    }
}

/// What bounds how many runs are merged at once.
#[derive(Clone, Copy, Debug)]
pub struct FanIn {
    /// Bytes that the pages of all runs may take.
    pub memory: usize,
    /// The most files that may be open.
    pub files: usize,
}

impl FanIn {
    /// Returns how many of these runs may be merged at once: two at least.
    fn most(self, runs: &[Run]) -> usize {
        /// Bytes of a run that is being read, beside its page: above all, entries of its index.
        const BESIDE: usize = 4 << 10;
        let page = runs.iter().map(Run::longest_page).max().unwrap_or(0).max(SORTED_PAGE);
        (self.memory / (page + BESIDE)).min(self.files).max(2)
    }
}

/// Merges neighbouring runs until they are few enough to be merged at once. `place` says where the next run is to be
/// written, and `check` is called now and then and may end the merging.
pub fn merge_to(
    mut runs: Vec<Run>,
    fan_in: FanIn,
    sorting: Sorting,
    mut place: impl FnMut() -> RunPlace,
    check: impl Fn() -> Result<()>,
) -> Result<Vec<Run>> {
    loop {
        let most = fan_in.most(&runs);
        if runs.len() <= most {
            return Ok(runs);
        }
        // No more are merged than needed: each group of n runs leaves n - 1 fewer.
        let mut excess = runs.len() - most;
        let mut rest = runs.into_iter();
        let mut merged = Vec::new();
        while excess > 0 && rest.len() > 1 {
            let group: Vec<Run> = rest.by_ref().take((excess + 1).min(most)).collect();
            excess -= group.len() - 1;
            merged.push(merge_all(&group, sorting, &place(), &check)?);
        }
        merged.extend(rest);
        runs = merged;
    }
}

fn merge_all(runs: &[Run], sorting: Sorting, place: &RunPlace, check: &impl Fn() -> Result<()>) -> Result<Run> {
    let mut out = RunWriter::create(place, 1, SORTED_PAGE, PartitionBuffers::default())?;
    let mut merge = Merge::new(runs, sorting)?;
    let mut rows = 0u64;
    while let Some((_, row)) = merge.next_row()? {
        out.add(0, |out| out.extend(row))?;
        rows += 1;
        if rows.is_multiple_of(1 << 14) {
            check()?;
        }
    }
    open(out)
}

/// Finishes a sorted run. There may be many of them, so each leaves its index in its file.
pub fn open(run: RunWriter) -> Result<Run> {
    let mut run = Run::open(run.finish()?.0, false)?;
    run.store_index();
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shuffle::PageCompression;
    use crate::shuffle::sort::{find_key, put_row};
    use proptest::prelude::*;
    use std::path::Path;

    /// Writes sorted runs of keys, each key with its place among all keys.
    fn runs(dir: &Path, keys: &[String], deal: &[usize], order: KeyOrder) -> Vec<Run> {
        let all: Vec<_> = keys.iter().zip(0u32..).zip(deal).collect();
        let run = |n: usize| {
            let mut rows: Vec<_> = all.iter().filter(|(_, run)| **run == n).map(|(row, _)| *row).collect();
            rows.sort_by(|(a, _), (b, _)| if order == KeyOrder::Descending { b.cmp(a) } else { a.cmp(b) });
            let place = RunPlace::alone(&dir.join(n.to_string()), PageCompression::None);
            let mut out = RunWriter::create(&place, 1, 300, PartitionBuffers::default()).unwrap();
            for (key, i) in rows {
                out.add(0, |out| put_row(out, key.as_bytes(), &(n as u32 * 10_000 + i).to_le_bytes())).unwrap();
            }
            Run::open(out.finish().unwrap().0, n.is_multiple_of(2)).unwrap()
        };
        (0..7).map(run).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The rows come in the order of their keys, rows of equal keys in the order of the runs, in one pass or several.
        #[test]
        fn merges_in_order(
            keys in prop::collection::vec("(aaaaaaaaaaaaaaaa){0,1}[ab\\x00]{0,3}", 0..400),
            deal in prop::collection::vec(0usize..7, 400),
            most in 2usize..9,
            descending in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let order = if descending { KeyOrder::Descending } else { KeyOrder::Ascending };
            let sorting = Sorting { find_key, order };
            let mut number = 100;
            let place = || {
                number += 1;
                RunPlace::alone(&dir.path().join(number.to_string()), PageCompression::None)
            };
            let fan_in = FanIn { memory: usize::MAX, files: most };
            let merged = merge_to(runs(dir.path(), &keys, &deal, order), fan_in, sorting, place, || Ok(())).unwrap();
            prop_assert!(merged.len() <= most);
            let mut merge = Merge::new(&merged, sorting).unwrap();
            let mut found = Vec::new();
            while let Some((key, row)) = merge.next_row().unwrap() {
                found.push((String::from_utf8_lossy(key).into_owned(), u32::from_le_bytes(*row.last_chunk().unwrap())));
            }
            let mut expected: Vec<_> = keys.iter().zip(0u32..).zip(&deal).map(|((key, i), run)| (key.clone(), *run as u32 * 10_000 + i)).collect();
            expected.sort_by(|(a, i), (b, j)| if descending { b.cmp(a) } else { a.cmp(b) }.then(i.cmp(j)));
            prop_assert_eq!(found, expected);
        }
    }
}
