//! Reads a run, for reduce tasks and for merges of sorted runs: the index once, then page by page, from any thread. A
//! job may have more runs than a process may have open files, so not all files stay open.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::{io, mem, slice};

use super::codec;
use super::format::{self, Compressed, ENTRY, FOOTER, HEADER, PAGE_HEADER, PARTITIONS_AT, Page, RunId};
use super::release::{self, LEAST_HOLE, Released};
use super::spill::RunFile;
use super::writer::WrittenRun;
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};
use crate::panics::lock;

/// A finished run to be read. Its index has been checked; each page is checked when it is read. Dropping the run
/// deletes its file.
#[derive(Debug)]
pub struct Run {
    place: RunFile,
    id: RunId,
    /// Number of rows that the writer counted.
    pub rows: u64,
    /// The open file, if the process may have enough files to keep it open.
    file: Option<File>,
    /// Sorted by partition; the pages of a partition are in the order written.
    pages: Vec<Page>,
    /// What is released of the pages. `None` if they are too few for a hole.
    released: Option<Mutex<Released>>,
}

impl Run {
    /// Reads and checks header, index and footer. Keeps the file open if `keep`; otherwise each reader opens it.
    pub fn open(WrittenRun { file: place, id, size }: WrittenRun, keep: bool) -> Result<Run> {
        let file = open(place.path())?;
        let pages = read_index(place.path(), id, &file)?;
        let end = pages.iter().map(Page::end).max().unwrap_or(0);
        let released = (end >= LEAST_HOLE).then(|| Mutex::new(Released::new(HEADER as u64..end)));
        let run = Run { place, id, rows: size.rows, file: keep.then_some(file), pages, released };
        run.check_rows(run.pages.iter().map(|page| u64::from(page.rows)).sum())?;
        Ok(run)
    }

    /// Checks that as many rows were read as were written.
    pub fn check_rows(&self, read: u64) -> Result<()> {
        if read == self.rows {
            return Ok(());
        }
        let what = "it has other rows than were written";
        Err(Error::Corrupt { path: self.path().to_path_buf(), at: None, what })
    }

    /// Returns the pages of a range of partitions.
    pub fn pages(&self, partitions: Range<usize>) -> &[Page] {
        let from = self.pages.partition_point(|page| (page.partition as usize) < partitions.start);
        let to = self.pages.partition_point(|page| (page.partition as usize) < partitions.end);
        &self.pages[from..to]
    }

    /// Row bytes of all partitions.
    pub fn row_bytes(&self) -> u64 {
        self.pages.iter().map(|page| u64::from(page.len)).sum()
    }

    /// Adds each partition's row bytes to `sums`.
    pub fn add_bytes(&self, sums: &mut [u64]) {
        for page in &self.pages {
            if let Some(sum) = sums.get_mut(page.partition as usize) {
                *sum += u64::from(page.len);
            }
        }
    }

    pub fn reader(&self) -> Result<PageReader<'_>> {
        let opened = match self.file {
            Some(_) => None,
            None => Some(open(self.path())?),
        };
        Ok(PageReader { run: self, opened })
    }

    /// Gives the disk space of these partitions back, as far as that is worthwhile. Their pages can't be read any more.
    /// Where the file system can't do that, nothing happens.
    pub fn release(&self, partitions: Range<usize>) {
        let pages = self.pages(partitions);
        let Some(released) = self.released.as_ref().filter(|_| !pages.is_empty() && self.place.can_be_punched()) else {
            return;
        };
        let holes = lock(released).add(pages.iter().map(|page| page.offset..page.end()));
        if holes.is_empty() {
            return;
        }
        let Ok(file) = File::options().write(true).open(self.path()) else { return };
        for hole in holes {
            match release::punch(&file, &hole) {
                true => self.place.give_back(hole.end - hole.start),
                false => self.place.cannot_be_punched(),
            }
        }
    }

    fn path(&self) -> &Path {
        self.place.path()
    }
}

/// Reads pages of one run.
#[derive(Debug)]
pub struct PageReader<'a> {
    run: &'a Run,
    /// The file that this reader opened. `None` if the run keeps its file open.
    opened: Option<File>,
}

impl PageReader<'_> {
    /// Reads a page into `buffer`, which grows if it must. Returns the page's rows, which have been checked.
    pub fn read<'b>(&self, page: &Page, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        let (stored, mut room) = self.fetch(slice::from_ref(page), buffer)?;
        self.rows(page, stored, &mut room)
    }

    /// Reads pages that follow each other in the file, in one read, and checks them. Returns the rows of each.
    pub fn read_neighbours<'b>(
        &self,
        pages: &'b [Page],
        buffer: &'b mut Vec<u8>,
    ) -> Result<impl Iterator<Item = Result<&'b [u8]>>> {
        let (mut rest, mut room) = self.fetch(pages, buffer)?;
        Ok(pages.iter().map(move |page| {
            let (stored, behind) = rest.split_at(page.stored());
            rest = behind;
            self.rows(page, stored, &mut room)
        }))
    }

    /// Reads neighbouring pages and checks them. Returns them as they are stored, and room for the rows of those that
    /// are compressed.
    fn fetch<'b>(&self, pages: &[Page], buffer: &'b mut Vec<u8>) -> Result<(&'b [u8], &'b mut [u8])> {
        let len = pages.iter().map(Page::stored).sum();
        grow(buffer, len);
        if let Some(first) = pages.first() {
            let file = self.opened.as_ref().or(self.run.file.as_ref()).expect("one of the two is open");
            let bytes = &mut buffer[..len];
            let read = file.read_exact_at(bytes, first.offset).and_then(|()| failpoint::read(Point::RunRead, bytes));
            read.map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => self.corrupt(first, "the file ends inside a page"),
                _ => spill(self.run.path(), source),
            })?;
        }
        let mut rest = &buffer[..len];
        for page in pages {
            let (header, behind) = rest.split_at(PAGE_HEADER);
            let (payload, behind) = behind.split_at(page.stored() - PAGE_HEADER);
            if header != format::page_header(self.run.id, page, payload) {
                return Err(self.corrupt(page, "a page's checksum doesn't match"));
            }
            rest = behind;
        }
        // The lengths of rows are known to be right only now.
        let compressed = pages.iter().filter(|page| page.compressed.is_some());
        grow(buffer, len + compressed.map(|page| page.len as usize).sum::<usize>());
        let (stored, room) = buffer.split_at_mut(len);
        Ok((stored, room))
    }

    /// Returns the rows of a page that was fetched. They take the first bytes of `room` if they are compressed.
    fn rows<'b>(&self, page: &Page, stored: &'b [u8], room: &mut &'b mut [u8]) -> Result<&'b [u8]> {
        let payload = &stored[PAGE_HEADER..page.stored()];
        let Some(Compressed { codec, .. }) = page.compressed else { return Ok(payload) };
        let (rows, behind) = mem::take(room).split_at_mut(page.len as usize);
        *room = behind;
        let whole = codec::decompress(codec, payload, rows);
        whole.ok_or_else(|| self.corrupt(page, "a page can't be decompressed"))?;
        Ok(rows)
    }

    /// The error of a run that isn't what was written.
    pub fn corrupt_run(&self, what: &'static str) -> Error {
        Error::Corrupt { path: self.run.path().to_path_buf(), at: None, what }
    }

    pub fn corrupt(&self, page: &Page, what: &'static str) -> Error {
        Error::Corrupt { path: self.run.path().to_path_buf(), at: Some(page.offset), what }
    }
}

/// Makes `buffer` at least `len` bytes long.
fn grow(buffer: &mut Vec<u8>, len: usize) {
    if buffer.len() < len {
        buffer.reserve_exact(len - buffer.len());
        buffer.resize(len, 0);
    }
}

fn open(path: &Path) -> Result<File> {
    let opened = failpoint::hit(Point::RunOpen).and_then(|()| File::open(path));
    opened.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Corrupt { path: path.into(), at: None, what: "the file is gone" },
        _ => spill(path, source),
    })
}

fn spill(path: &Path, source: io::Error) -> Error {
    Error::Spill { path: path.into(), source }
}

fn read_index(path: &Path, id: RunId, file: &File) -> Result<Vec<Page>> {
    let corrupt = |at, what| Error::Corrupt { path: path.into(), at: Some(at), what };
    let io = |source| spill(path, source);
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
    pages.filter(is_right).ok_or_else(|| corrupt(index_offset, "the index contradicts itself"))
}
