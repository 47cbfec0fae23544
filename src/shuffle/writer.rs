//! Writes a run: the rows of a map attempt, or sorted lines. Each row goes to its partition's buffer, and a full buffer
//! goes to disk as a page.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::codec::PageCompression;
use super::format::{self, Page, RunId};
use super::packer::Packer;
use super::spill::{self, RunFile, RunPlace, RunsWritten};
use crate::data::buffer::{Buffer, SLACK};
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};

/// Buffers of one worker, which are reused from attempt to attempt.
#[derive(Debug, Default)]
pub struct PartitionBuffers {
    longest_row: Option<RowLimit>,
    buffers: Vec<Partition>,
    /// Small pages that wait to be written to disk together.
    pending: Vec<u8>,
    packer: Packer,
}

/// The longest row allowed.
#[derive(Clone, Copy, Debug)]
pub struct RowLimit {
    pub bytes: u64,
    /// How many times its bytes a job's memory must have for a row, and the bytes that it must have beside.
    pub copies: u64,
    pub beside: u64,
}

impl RowLimit {
    fn check(self, bytes: u64) -> Result<()> {
        if bytes <= self.bytes { Ok(()) } else { Err(Error::RowTooLarge { bytes, needs: self.needs(bytes) }) }
    }

    /// Returns the memory with which a row of so many bytes is allowed.
    pub fn needs(self, bytes: u64) -> u64 {
        bytes.saturating_mul(self.copies).saturating_add(self.beside)
    }
}

impl PartitionBuffers {
    /// Returns buffers for rows of which later stages hold several copies in memory: rows longer than `longest_row` are
    /// an error.
    pub fn limited(longest_row: RowLimit) -> Self {
        PartitionBuffers { longest_row: Some(longest_row), ..PartitionBuffers::default() }
    }
}

#[derive(Debug, Default)]
struct Partition {
    buffer: Buffer,
    rows: u32,
}

/// Writes one run.
#[derive(Debug)]
pub struct RunWriter {
    buffers: PartitionBuffers,
    page_size: usize,
    /// Bytes of pages that wait to be written together.
    most_pending: usize,
    compression: PageCompression,
    file: File,
    /// The file is deleted with the writer if the run isn't finished.
    place: RunFile,
    id: RunId,
    /// Bytes written to the file.
    written: u64,
    /// Offset of the next page.
    offset: u64,
    pages: Vec<Page>,
    /// Encoded lengths of all rows, added up.
    row_bytes: u64,
    rows: u64,
    /// Counts the run when it is finished.
    counted: Arc<RunsWritten>,
}

/// What a finished run holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunSize {
    pub rows: u64,
    /// Encoded lengths of all rows, added up: the bytes that count as shuffled.
    pub row_bytes: u64,
    /// Bytes of the whole file.
    pub file_bytes: u64,
}

/// A run that was written, with what is needed to open it. Dropping it deletes the file.
#[derive(Debug)]
pub struct WrittenRun {
    pub(super) file: RunFile,
    pub(super) id: RunId,
    pub size: RunSize,
}

/// Pages shorter than this wait for others before they are written.
const SMALL: usize = 16 << 10;

/// The least and the most bytes of pages that wait. If the buffers of all partitions are small, because memory is short,
/// fewer wait.
const LEAST_PENDING: usize = 64 << 10;
const MOST_PENDING: usize = 256 << 10;

impl Partition {
    /// Begins an empty page. Its header is put in front when the page is written.
    fn clear(&mut self, page_size: usize) {
        self.rows = 0;
        self.buffer.clear();
        // There are many buffers, and each may get a long row. A buffer that has grown beyond a page isn't kept, and one
        // that is to grow to a page is made that large at once: otherwise it may grow far beyond.
        let wanted = page_size + 4 * SLACK;
        self.buffer.shrink(wanted.max(4 << 10));
        self.buffer.make_room(wanted);
    }
}

impl RunWriter {
    pub fn create(
        place: &RunPlace,
        partitions: usize,
        page_size: usize,
        mut buffers: PartitionBuffers,
    ) -> Result<Self> {
        let (compression, counted) = (place.compression(), place.written().clone());
        let (file, place) = place.create()?;
        buffers.buffers.resize_with(partitions, Partition::default);
        buffers.buffers.iter_mut().for_each(|partition| partition.clear(page_size));
        buffers.pending.clear();
        let id = RunId::next();
        buffers.pending.extend_from_slice(&format::header(id, partitions as u32));
        let offset = format::HEADER as u64;
        let pages = Vec::new();
        let (written, row_bytes, rows) = (0, 0, 0);
        let most_pending = (partitions * page_size / 8).clamp(LEAST_PENDING, MOST_PENDING);
        Ok(RunWriter {
            buffers,
            page_size,
            most_pending,
            compression,
            file,
            place,
            id,
            written,
            offset,
            pages,
            row_bytes,
            rows,
            counted,
        })
    }

    /// Adds one row, which `put` appends to the buffer that it is given.
    #[inline]
    pub fn add(&mut self, partition: usize, put: impl FnOnce(&mut Buffer)) -> Result<()> {
        let slot = &mut self.buffers.buffers[partition];
        put(&mut slot.buffer);
        slot.rows += 1;
        // Without this, mapping nearly distinct lines took 1.4 times as long.
        slot.buffer.prefetch();
        if slot.buffer.len() + SLACK > self.page_size {
            self.flush(partition)?;
        }
        Ok(())
    }

    /// Fails if a row of so many bytes is longer than rows may be. To be called before the memory for a long row is taken.
    pub fn check_row(&self, bytes: u64) -> Result<()> {
        self.buffers.longest_row.map_or(Ok(()), |limit| limit.check(bytes))
    }

    #[cold]
    #[inline(never)]
    fn flush(&mut self, partition: usize) -> Result<()> {
        let PartitionBuffers { buffers, pending, longest_row, packer } = &mut self.buffers;
        let slot = &mut buffers[partition];
        let rows = slot.buffer.as_slice();
        // A page becomes longer than intended only by a single row, its last.
        let Ok(len) = u32::try_from(rows.len()) else {
            return Err(Error::RowTooLong { bytes: rows.len() as u64 });
        };
        longest_row.map_or(Ok(()), |limit| limit.check(u64::from(len)))?;
        let (compressed, payload) = packer.pack(self.compression, rows);
        let page = Page { offset: self.offset, partition: partition as u32, rows: slot.rows, len, compressed };
        let header = format::page_header(self.id, &page, payload);
        self.offset = page.end();
        self.rows += u64::from(page.rows);
        self.row_bytes += u64::from(page.len);
        self.pages.push(page);
        pending.extend_from_slice(&header);
        let is_small = payload.len() < SMALL;
        if is_small {
            pending.extend_from_slice(payload);
        }
        if !is_small || pending.len() >= self.most_pending {
            let payload = if is_small { &[][..] } else { payload };
            let took = put(&mut self.file, &mut self.place, &mut self.written, pending, payload)?;
            packer.note_write(took.0, took.1);
        }
        slot.clear(self.page_size);
        Ok(())
    }

    /// Writes the buffered rows, the index and the footer. Returns the run and the buffers.
    pub fn finish(mut self) -> Result<(WrittenRun, PartitionBuffers)> {
        for partition in 0..self.buffers.buffers.len() {
            if !self.buffers.buffers[partition].buffer.is_empty() {
                self.flush(partition)?;
            }
        }
        self.pages.sort_by_key(|page| (page.partition, page.offset));
        let header = format::header(self.id, self.buffers.buffers.len() as u32);
        let mut index = Vec::with_capacity(self.pages.len() * format::ENTRY + format::FOOTER);
        self.pages.iter().for_each(|page| index.extend_from_slice(&page.entry()));
        let footer = format::footer(self.offset, self.pages.len() as u32, &header, &index);
        index.extend_from_slice(&footer);
        let RunWriter { file, place, written, buffers, .. } = &mut self;
        put(file, place, written, &mut buffers.pending, &index)?;
        let size = RunSize { rows: self.rows, row_bytes: self.row_bytes, file_bytes: self.written };
        self.counted.add(size);
        Ok((WrittenRun { file: self.place, id: self.id, size }, self.buffers))
    }
}

/// Writes `pending` and then `payload` behind the `written` bytes of the file, and empties `pending`. Moves the file if
/// its directory is full and another isn't. Returns the bytes, and how long writing them took.
fn put(
    file: &mut File,
    place: &mut RunFile,
    written: &mut u64,
    pending: &mut Vec<u8>,
    payload: &[u8],
) -> Result<(usize, Duration)> {
    let len = pending.len() + payload.len();
    place.take(len as u64)?;
    let begun = Instant::now();
    while let Err(source) = write(file, pending, payload) {
        let moved = if spill::is_full(&source) { place.moved(*written)? } else { None };
        *file = moved.ok_or_else(|| Error::Spill { path: place.path().to_path_buf(), source })?;
    }
    pending.clear();
    *written += len as u64;
    Ok((len, begun.elapsed()))
}

/// Writes `pending` and then `payload`, in one call if the system takes both.
fn write(mut file: &File, pending: &[u8], payload: &[u8]) -> io::Result<()> {
    failpoint::hit(Point::SpillWrite)?;
    let written = match file.write_vectored(&[IoSlice::new(pending), IoSlice::new(payload)]) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
        written => written?,
    };
    file.write_all(&pending[written.min(pending.len())..])?;
    file.write_all(&payload[written.saturating_sub(pending.len())..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The buffers kept for the next rows are in proportion to the pages, which are small if memory is short.
    #[test]
    fn long_rows_leave_no_long_buffers() {
        const PARTITIONS: usize = 64;
        const PAGE: usize = 4 << 10;
        let spill = tempfile::tempdir().unwrap();
        let place = RunPlace::alone(&spill.path().join("run"), PageCompression::Zstd);
        let mut run = RunWriter::create(&place, PARTITIONS, PAGE, PartitionBuffers::default()).unwrap();
        for partition in 0..2 * PARTITIONS {
            for len in [100, 16 << 10, 100] {
                run.add(partition % PARTITIONS, |out| out.extend(&vec![0; len])).unwrap();
            }
        }
        let (_, buffers) = run.finish().unwrap();
        let held: usize = buffers.buffers.iter().map(|partition| partition.buffer.capacity()).sum();
        assert!(held <= PARTITIONS * 3 * PAGE, "{held}");
    }
}
