//! The index of a run: where the pages of each partition are. It is checked when the run is opened. If memory is short
//! it isn't kept; the entries of a partition are then read from the file whenever they are needed.
//!
//! An index in memory takes 40 bytes a page: 1 % of the rows at pages of 4 KiB, which is what a job in little memory
//! writes. Of an index that is stored, a partition and a checksum are kept for every [`STRIDE`] entries: eight bytes for
//! 64 pages, or 1/32,000 of the rows.
//!
//! ```text
//! in the file   │ 64 entries │ 64 entries │ 64 entries │ rest │
//! in memory     partition, checksum of each of these blocks
//! ```

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
    Stored(Stored),
}

/// An index whose entries are in the file.
#[derive(Debug)]
pub struct Stored {
    /// Where the entries begin in the file.
    offset: u64,
    entries: usize,
    blocks: Box<[Block]>,
}

/// Up to [`STRIDE`] entries that are read together.
#[derive(Debug)]
struct Block {
    /// The partition of the first entry.
    first: u32,
    checksum: u32,
}

/// Entries of a block, of 28 bytes each.
const STRIDE: usize = 64;

impl Index {
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        match self {
            Index::Held(pages) => size_of_val(&pages[..]),
            Index::Stored(stored) => size_of_val(&stored.blocks[..]),
        }
    }

    /// Leaves the entries in the file, where they begin at `offset`.
    pub fn store(&mut self, offset: u64) {
        let Index::Held(pages) = self else { return };
        let block = |pages: &[Page]| {
            let mut checksum = crc32fast::Hasher::new();
            pages.iter().for_each(|page| checksum.update(&page.entry()));
            Block { first: pages[0].partition, checksum: checksum.finalize() }
        };
        let blocks = pages.chunks(STRIDE).map(block).collect();
        *self = Index::Stored(Stored { offset, entries: pages.len(), blocks });
    }

    /// Returns the pages of block `number`, counted over all partitions. There are none behind the last block.
    pub fn block(
        &self,
        number: usize,
        file: impl FnOnce() -> Result<File>,
        error: impl FnOnce(io::Error) -> Error,
    ) -> Result<Cow<'_, [Page]>> {
        match self {
            Index::Held(pages) => Ok(Cow::Borrowed(pages.chunks(STRIDE).nth(number).unwrap_or_default())),
            Index::Stored(stored) if number < stored.blocks.len() => {
                Ok(Cow::Owned(stored.read(&file()?, number..number + 1).map_err(error)?))
            }
            Index::Stored(_) => Ok(Cow::Borrowed(&[])),
        }
    }

    /// Returns the pages of a range of partitions. `file` is opened if their entries must be read.
    pub fn pages(
        &self,
        partitions: Range<usize>,
        file: impl FnOnce() -> Result<File>,
        error: impl FnOnce(io::Error) -> Error,
    ) -> Result<Cow<'_, [Page]>> {
        match self {
            Index::Held(pages) => Ok(Cow::Borrowed(&pages[of(pages, &partitions)])),
            Index::Stored(stored) => {
                let blocks = stored.blocks_of(&partitions);
                if blocks.is_empty() {
                    return Ok(Cow::Borrowed(&[]));
                }
                let mut pages = stored.read(&file()?, blocks).map_err(error)?;
                let wanted = of(&pages, &partitions);
                pages.truncate(wanted.end);
                pages.drain(..wanted.start);
                Ok(Cow::Owned(pages))
            }
        }
    }
}

/// Returns which of these pages belong to the partitions.
fn of(pages: &[Page], partitions: &Range<usize>) -> Range<usize> {
    let before = |partition: usize| pages.partition_point(|page| (page.partition as usize) < partition);
    before(partitions.start)..before(partitions.end)
}

impl Stored {
    /// Returns the blocks that may have entries of the partitions.
    fn blocks_of(&self, partitions: &Range<usize>) -> Range<usize> {
        let before = |partition: usize| self.blocks.partition_point(|block| (block.first as usize) < partition);
        // The last block that begins before the first partition may end with it.
        before(partitions.start).saturating_sub(1)..before(partitions.end)
    }

    /// Reads the entries of some blocks. Fails if they aren't those that were checked before.
    fn read(&self, file: &File, blocks: Range<usize>) -> io::Result<Vec<Page>> {
        let (from, to) = (blocks.start * STRIDE, (blocks.end * STRIDE).min(self.entries));
        let mut entries = vec![0; (to - from) * ENTRY];
        file.read_exact_at(&mut entries, self.offset + (from * ENTRY) as u64)?;
        failpoint::read(Point::RunIndex, &mut entries)?;
        let is_same = |(entries, block): (&[u8], &Block)| crc32fast::hash(entries) == block.checksum;
        let pages: Option<Vec<_>> = match entries.chunks(STRIDE * ENTRY).zip(&self.blocks[blocks]).all(is_same) {
            true => entries.as_chunks::<ENTRY>().0.iter().map(Page::from_entry).collect(),
            false => None,
        };
        pages.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the entries of the index have changed"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    proptest! {
        /// An index in a file has the pages that an index in memory has, for every range of partitions.
        #[test]
        fn a_stored_index_is_as_one_that_is_held(
            counts in prop::collection::vec(prop_oneof![0usize..3, 0usize..200], 0..12),
            offset in 0u64..100,
        ) {
            let mut pages = Vec::new();
            for (partition, count) in (0u32..).zip(&counts) {
                let page = |i| Page { offset: 1000 * i as u64, partition, rows: i as u32, len: 7, compressed: None };
                pages.extend((pages.len()..pages.len() + count).map(page));
            }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&vec![0; offset as usize]).unwrap();
            pages.iter().for_each(|page| file.write_all(&page.entry()).unwrap());
            let (held, mut stored) = (Index::Held(pages.clone()), Index::Held(pages));
            stored.store(offset);
            for number in 0..=counts.iter().sum::<usize>() / STRIDE + 1 {
                let [held, stored] = [&held, &stored]
                    .map(|index| index.block(number, || Ok(file.try_clone().unwrap()), |e| panic!("{e}")).unwrap());
                prop_assert_eq!(held, stored, "block {}", number);
            }
            for from in 0..=counts.len() {
                for to in from..=counts.len() + 1 {
                    let [held, stored] = [&held, &stored]
                        .map(|index| index.pages(from..to, || Ok(file.try_clone().unwrap()), |e| panic!("{e}")).unwrap());
                    prop_assert_eq!(held, stored, "{}..{}", from, to);
                }
            }
        }
    }
}
