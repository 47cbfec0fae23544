//! The index of a run: where the pages of each partition are. It is checked when the run is opened. If memory is short
//! it isn't kept; the entries of a partition are then read from the file whenever they are needed.
//!
//! An index in memory takes 40 bytes a page: 1 % of the rows at pages of 4 KiB, which is what a job in little memory
//! writes. An index that is stored takes four bytes a partition: 4 KiB for 1024 partitions, however long the run is.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::format::{self, ENTRY, FOOTER, HEADER, PARTITIONS_AT, Page, RunId};
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};

/// The pages of a run, by partition. The pages of a partition are in the order written.
#[derive(Debug)]
pub enum Index {
    Held(Vec<Page>),
    /// In the file. `firsts` has the number of each partition's first entry, and the number of entries.
    Stored {
        offset: u64,
        firsts: Box<[u32]>,
    },
}

impl Index {
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        match self {
            Index::Held(pages) => size_of_val(&pages[..]),
            Index::Stored { firsts, .. } => size_of_val(&firsts[..]),
        }
    }

    /// Leaves the entries in the file, where they begin at `offset`.
    pub fn store(&mut self, offset: u64) {
        let Index::Held(pages) = self else { return };
        let partitions = pages.last().map_or(0, |page| page.partition + 1);
        let first = |partition: u32| pages.partition_point(|page| page.partition < partition) as u32;
        *self = Index::Stored { offset, firsts: (0..=partitions).map(first).collect() };
    }

    /// Returns the pages of a range of partitions. `file` is opened if their entries must be read. An entry that has
    /// changed since it was checked is found out with its page, whose header has the same numbers.
    pub fn pages(
        &self,
        partitions: Range<usize>,
        file: impl FnOnce() -> Result<File>,
        error: impl FnOnce(io::Error) -> Error,
    ) -> Result<Cow<'_, [Page]>> {
        match self {
            Index::Held(pages) => {
                let from = pages.partition_point(|page| (page.partition as usize) < partitions.start);
                let to = pages.partition_point(|page| (page.partition as usize) < partitions.end);
                Ok(Cow::Borrowed(&pages[from..to]))
            }
            Index::Stored { offset, firsts } => {
                let first = |partition: usize| firsts[partition.min(firsts.len() - 1)];
                let (from, to) = (first(partitions.start), first(partitions.end));
                if from == to {
                    return Ok(Cow::Borrowed(&[]));
                }
                let mut entries = vec![0; (to - from) as usize * ENTRY];
                let file = file()?;
                let read = file.read_exact_at(&mut entries, offset + u64::from(from) * ENTRY as u64);
                let read = read.and_then(|()| failpoint::read(Point::RunIndex, &mut entries));
                let pages: Option<Vec<_>> = entries.as_chunks::<ENTRY>().0.iter().map(Page::from_entry).collect();
                let contradiction = || io::Error::new(io::ErrorKind::InvalidData, "an entry of the index has changed");
                match read.and_then(|()| pages.ok_or_else(contradiction)) {
                    Ok(pages) => Ok(Cow::Owned(pages)),
                    Err(source) => Err(error(source)),
                }
            }
        }
    }
}

/// Reads and checks header, index and footer. Returns the pages and where their entries begin.
pub fn read(path: &Path, id: RunId, file: &File) -> Result<(Vec<Page>, u64)> {
    let corrupt = |at, what| Error::Corrupt { path: path.into(), at: Some(at), what };
    let io = |source| Error::Spill { path: path.into(), source };
    let len = file.metadata().map_err(io)?.len();
    if len < (HEADER + FOOTER) as u64 {
        return Err(corrupt(len, "the file is too short"));
    }
    let (mut header, mut footer) = ([0; HEADER], [0; FOOTER]);
    file.read_exact_at(&mut header, 0).map_err(io)?;
    file.read_exact_at(&mut footer, len - FOOTER as u64).map_err(io)?;
    failpoint::read(Point::RunIndex, &mut header).map_err(io)?;
    failpoint::read(Point::RunIndex, &mut footer).map_err(io)?;
    let partitions = format::u32_at(&header, PARTITIONS_AT);
    if header != format::header(id, partitions) {
        return Err(corrupt(0, "it is not the file that was written here"));
    }
    let index_offset = u64::from_le_bytes(*footer.first_chunk().expect("8 of 28"));
    let entries = format::u32_at(&footer, 8);
    let index_len = len.checked_sub(FOOTER as u64).and_then(|end| end.checked_sub(index_offset));
    if index_len != Some(u64::from(entries) * ENTRY as u64) {
        return Err(corrupt(len - FOOTER as u64, "the index doesn't fit"));
    }
    let mut index = vec![0; entries as usize * ENTRY];
    file.read_exact_at(&mut index, index_offset).map_err(io)?;
    failpoint::read(Point::RunIndex, &mut index).map_err(io)?;
    if footer != format::footer(index_offset, entries, &header, &index) {
        return Err(corrupt(index_offset, "the index's checksum doesn't match"));
    }
    let pages: Option<Vec<_>> = index.as_chunks::<ENTRY>().0.iter().map(Page::from_entry).collect();
    let is_right = |pages: &Vec<Page>| {
        pages.is_sorted_by_key(|page| page.partition)
            && pages.iter().all(|page| page.partition < partitions && page.end() <= index_offset)
    };
    let pages = pages.filter(is_right).ok_or_else(|| corrupt(index_offset, "the index contradicts itself"))?;
    Ok((pages, index_offset))
}
