//! Reads a run, for reduce tasks, for sorting and for merging: the index once, then page by page, from any thread. A
//! job may have more runs than a process may have open files, so not all files stay open.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use super::codec;
use super::format::{self, Compressed, HEADER, PAGE_HEADER, Page, RunId};
use super::index::{self, Index};
use super::release::{self, Released};
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
    index: Index,
    /// Where the entries of the index begin in the file.
    index_offset: u64,
    /// Row bytes of all partitions.
    row_bytes: u64,
    /// Row bytes of the longest page.
    longest_page: usize,
    /// What is released of the pages. `None` if they are too few for a hole, or if memory is short.
    released: Option<Mutex<Released>>,
}

impl Run {
    /// Reads and checks header, index and footer. Keeps the file open if `keep`; otherwise each reader opens it.
    pub fn open(WrittenRun { file: place, id, size }: WrittenRun, keep: bool) -> Result<Run> {
        let file = open(place.path())?;
        let (pages, index_offset) = index::read(place.path(), id, &file)?;
        let end = pages.iter().map(Page::end).max().unwrap_or(0);
        let released = (end >= place.least_hole()).then(|| Mutex::new(Released::new(HEADER as u64..end)));
        let rows = pages.iter().map(|page| u64::from(page.rows)).sum();
        let longest_page = pages.iter().map(|page| page.len as usize).max().unwrap_or(0);
        let row_bytes = pages.iter().map(|page| u64::from(page.len)).sum();
        let (file, index) = (keep.then_some(file), Index::Held(pages));
        let run = Run { place, id, rows: size.rows, file, index, index_offset, row_bytes, longest_page, released };
        run.check_rows(rows)?;
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

    /// Bytes of memory that the index takes.
    pub fn index_bytes(&self) -> usize {
        self.index.bytes()
    }

    /// Leaves the index in the file, to be read when it is needed. What is released isn't remembered from now on.
    pub fn store_index(&mut self) {
        self.index.store(self.index_offset);
        self.released = None;
    }

    /// Returns the pages of a range of partitions.
    pub fn pages(&self, partitions: Range<usize>) -> Result<Cow<'_, [Page]>> {
        self.index.pages(partitions, || self.file_of_index(), |source| self.index_error(source))
    }

    /// Returns some pages, in the order of the index: those of block `number`, or none behind the last block.
    pub fn block(&self, number: usize) -> Result<Cow<'_, [Page]>> {
        self.index.block(number, || self.file_of_index(), |source| self.index_error(source))
    }

    fn file_of_index(&self) -> Result<File> {
        match &self.file {
            Some(file) => file.try_clone().map_err(|source| spill(self.path(), source)),
            None => open(self.path()),
        }
    }

    fn index_error(&self, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                let what = "its index has changed";
                Error::Corrupt { path: self.path().to_path_buf(), at: Some(self.index_offset), what }
            }
            _ => spill(self.path(), source),
        }
    }

    /// Row bytes of the longest page.
    pub fn longest_page(&self) -> usize {
        self.longest_page
    }

    /// Row bytes of all partitions.
    pub fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    /// Adds each partition's row bytes to `sums`.
    pub fn add_bytes(&self, sums: &mut [u64]) -> Result<()> {
        let pages = self.pages(0..sums.len())?;
        pages.iter().for_each(|page| sums[page.partition as usize] += u64::from(page.len));
        Ok(())
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
        if !self.place.can_be_punched() {
            return;
        }
        let Ok(pages) = self.pages(partitions) else { return };
        let pages = pages.iter().map(|page| page.offset..page.end());
        let holes = match (&self.released, &self.index) {
            (Some(released), _) => lock(released).add(pages, self.place.least_hole()),
            (None, Index::Stored(_)) => release::blocks_within(pages),
            (None, Index::Held(_)) => return,
        };
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
        let len = page.stored();
        grow(buffer, len);
        let file = self.opened.as_ref().or(self.run.file.as_ref()).expect("one of the two is open");
        let bytes = &mut buffer[..len];
        let read = file.read_exact_at(bytes, page.offset).and_then(|()| failpoint::read(Point::RunRead, bytes));
        read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.corrupt(page, "the file ends inside a page"),
            _ => spill(self.run.path(), source),
        })?;
        let (header, payload) = bytes.split_at(PAGE_HEADER);
        if header != format::page_header(self.run.id, page, payload) {
            return Err(self.corrupt(page, "a page's checksum doesn't match"));
        }
        let Some(Compressed { codec, .. }) = page.compressed else { return Ok(&buffer[PAGE_HEADER..len]) };
        // The length of the rows is known to be right only now.
        grow(buffer, len + page.len as usize);
        let (stored, room) = buffer.split_at_mut(len);
        let rows = &mut room[..page.len as usize];
        let whole = codec::decompress(codec, &stored[PAGE_HEADER..], rows);
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
