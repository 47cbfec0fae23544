//! Blocks of files: the bytes of whole records that a map attempt works on. [`FileBlock::open`] takes pieces of files,
//! and maps or reads the records that begin in them.
//!
//! ```text
//! piece                 [offset ········· offset + len)
//! file     ...\n record │ tail\n record\n record\n rec│ord\n ...
//! block                        └──────────────────────────┘
//! ```
//!
//! A record belongs to the piece that holds its first byte. So the block begins after the first terminator at or after
//! `offset - 1`, and ends with the record that holds the piece's last byte. Only the edges are read to find these
//! places. The block itself is mapped, and unmapped when it is dropped, which keeps resident memory bounded. If
//! newlines may stand in quotes, either the pieces already are whole records, or the start of the first record is
//! assumed and the reader finds the end of the last one (see [`edges`]).
//!
//! A small file is read instead, into memory that the worker keeps. Unmapping stops every thread of the process for a
//! moment. Two threads counted the words of 100,000 files of 10 KB, and of one file of the same total size. With the
//! small files mapped one by one they took twice the time of the one file; with the small files read, 1.15 times.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::edges::{self, Edges};
use super::guard::Guard;
use super::planned::{self, cut_shorter};
use super::splits::Piece;
use super::stretch::{Place, Stretch, StretchPart};
use super::{RecordEnd, Source, failed, mark_len};
use crate::error::Result;
use crate::failpoint::{self, Point};
use crate::record::Framing;

/// Bytes of the largest file that is read. Larger files are mapped.
const SMALL: u64 = 256 << 10;

/// At least the size of a page. Huge pages may be taken back whole.
const PAGE: usize = 64 << 10;

/// How the pieces of files become blocks.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub end_of: RecordEnd,
    pub edges: Edges,
    /// Whether small files may be joined in one block. They may not if each begins with a header.
    pub joins: bool,
    /// Bytes that are read at a time, if little more of a file may be resident.
    pub resident: Option<usize>,
}

/// The buffer that small files are read into. It is reused from block to block.
#[derive(Debug, Default)]
pub struct FileBuffer {
    bytes: Vec<u8>,
    parts: Vec<StretchPart>,
}

/// The bytes of a piece of a file, or of several small files: mapped, or read into a [`FileBuffer`].
#[derive(Debug)]
pub struct FileBlock<'b> {
    source: &'b Source,
    bytes: Bytes<'b>,
}

#[derive(Debug)]
enum Bytes<'b> {
    /// No record begins in the piece.
    None,
    Read(&'b FileBuffer),
    Mapped {
        /// Declared before the mapping, so that it is dropped first.
        guard: Guard,
        map: Mmap,
        file: File,
        /// Length of the byte order mark that the mapping begins with.
        mark: usize,
        is_first: bool,
        /// The bytes after the mark.
        part: StretchPart,
        /// The piece's records begin in this many of the bytes after the mark.
        owned: usize,
    },
}

impl<'b> FileBlock<'b> {
    /// Opens the records that begin in the first of `pieces`, or in the first few if these are small files. Removes
    /// these pieces from `pieces`. The `sources` must be as they were when the job was planned. `memory` is for the
    /// bytes of small files.
    pub fn open(
        sources: &'b [Source],
        pieces: &mut &[Piece],
        cut: Bounds,
        memory: &'b mut FileBuffer,
    ) -> Result<FileBlock<'b>> {
        let (&piece, mut rest) = pieces.split_first().expect("a piece");
        let source = &sources[piece.source];
        if !is_small(sources, piece) {
            *pieces = rest;
            return FileBlock::map(source, piece, cut);
        }
        memory.bytes.clear();
        memory.parts.clear();
        read(sources, piece, memory)?;
        // Files are joined as long as no record can span two of them.
        while cut.joins
            && let Framing::Terminator(terminator) = cut.end_of.framing
            && let Some((&next, after)) = rest.split_first()
            && memory.bytes.last() == Some(&terminator)
            && is_small(sources, next)
            && memory.bytes.len() as u64 + next.len <= SMALL
            // A file that can't be read is tried again after the records before it are done.
            && read(sources, next, memory).is_ok()
        {
            rest = after;
        }
        *pieces = rest;
        Ok(FileBlock { source, bytes: Bytes::Read(memory) })
    }

    fn map(source: &'b Source, piece: Piece, Bounds { end_of, edges, resident, .. }: Bounds) -> Result<FileBlock<'b>> {
        let failed = failed(source);
        let file = planned::open(source, piece.offset)?;
        let stop = piece.offset + piece.len;
        let farthest = stop.saturating_add(end_of.longest).min(source.bytes());
        // The first record begins at `start`. The last one begins before `begun` and has ended by `end`.
        let (start, begun, end) = match (end_of.framing, edges) {
            (Framing::Terminator(terminator), _) => {
                let find = |from, to| find(&file, terminator, from, to).map_err(|e| failed(from, e));
                let start = match piece.offset {
                    0 => Some(0),
                    offset => find(offset - 1, stop - 1)?.map(|at| at + 1),
                };
                let Some(start) = start else { return Ok(FileBlock { source, bytes: Bytes::None }) };
                let end = find(stop - 1, farthest)?.map_or(farthest, |at| at + 1);
                (start, end, end)
            }
            (Framing::Quoted { .. }, Edges::Found) => (piece.offset, stop, stop),
            (Framing::Quoted { delimiter }, Edges::Assumed) => {
                let start = edges::likely_start(source, piece, delimiter)?;
                let Some(start) = start else { return Ok(FileBlock { source, bytes: Bytes::None }) };
                (start, stop, farthest)
            }
        };
        failpoint::hit(Point::InputMap).map_err(|e| failed(start, e))?;
        let map = map(&file, start, (end - start) as usize, resident, MOST_PARTS).map_err(|e| failed(start, e))?;
        let guard = Guard::new(&map);
        let is_first = start == 0;
        let mark = if is_first { mark_len(&map) } else { 0 };
        let part = StretchPart { start: 0, place: Place { source: piece.source, offset: start + mark as u64 } };
        // The first record of a file belongs to the first piece, even if the mark is longer than that piece.
        let owned = ((begun - start) as usize).saturating_sub(mark).max(1).min(map.len() - mark);
        Ok(FileBlock { source, bytes: Bytes::Mapped { guard, map, file, mark, is_first, part, owned } })
    }

    pub fn stretch(&self) -> Stretch<'_> {
        match &self.bytes {
            Bytes::None => Stretch::new(&[], false, &[]),
            Bytes::Read(memory) => Stretch::new(&memory.bytes, true, &memory.parts),
            Bytes::Mapped { map, mark, is_first, part, owned, .. } => {
                Stretch { owned: *owned, mapping: Some(map), ..Stretch::of_one(&map[*mark..], *is_first, part) }
            }
        }
    }

    /// Checks that all bytes that were read were the planned file's. To be called after reading.
    pub fn verify(&self) -> Result<()> {
        let Bytes::Mapped { guard, file, part, mark, .. } = &self.bytes else { return Ok(()) };
        let at = part.place.offset - *mark as u64;
        planned::check(self.source, file, at)?;
        match guard.lost() {
            true => Err(failed(self.source)(at, Errno::IO.into())),
            false => Ok(()),
        }
    }
}

impl Stretch<'_> {
    /// Lets the system take back the memory of bytes that were read and won't be needed soon. A block may thus be larger
    /// than the memory of the job. Bytes that are read again are there again. Returns where the bytes begin that still
    /// take memory, because whole pages are taken back.
    #[allow(unsafe_code)]
    pub fn release(&self, bytes: Range<usize>) -> usize {
        let Some(map) = self.mapping else { return bytes.end };
        let mark = map.len() - self.bytes.len();
        let (start, end) = ((mark + bytes.start).next_multiple_of(PAGE), (mark + bytes.end) / PAGE * PAGE);
        if start >= end {
            return bytes.start;
        }
        // SAFETY: the mapping is shared and only read, so each of its pages is the file's page before and after. Where the
        // guard has put an empty page in its place, an empty page follows.
        let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
        end - mark
    }

    /// Counts the newlines among these bytes. The system may take back their memory.
    pub fn newlines(&self, bytes: Range<usize>) -> u64 {
        let (mut lines, mut released) = (0, bytes.start);
        for start in bytes.clone().step_by(PAGE) {
            let end = (start + PAGE).min(bytes.end);
            lines += memchr::memchr_iter(b'\n', &self.bytes[start..end]).count() as u64;
            released = self.release(released..end);
        }
        lines
    }
}

fn is_small(sources: &[Source], piece: Piece) -> bool {
    piece.len <= SMALL && piece.len == sources[piece.source].bytes()
}

/// Appends the contents of a small file, without its byte order mark. Appends nothing if reading fails.
fn read(sources: &[Source], piece: Piece, memory: &mut FileBuffer) -> Result<()> {
    let (source, FileBuffer { bytes, parts }) = (&sources[piece.source], memory);
    let start = bytes.len();
    let mut read = || {
        let file = planned::open(source, 0)?;
        let len = start + source.bytes() as usize;
        bytes.reserve(len - start);
        // One read gives the whole file, unless a signal comes.
        while bytes.len() < len {
            failpoint::hit(Point::InputRead).map_err(|e| failed(source)(0, e))?;
            let at = (bytes.len() - start) as u64;
            match rustix::io::pread(&file, spare_capacity(bytes), at) {
                Ok(0) => return Err(failed(source)(0, cut_shorter())),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(failed(source)(0, error.into())),
            }
        }
        // The file may have grown.
        bytes.truncate(len);
        planned::check(source, &file, 0)
    };
    if let Err(error) = read() {
        bytes.truncate(start);
        return Err(error);
    }
    let mark = mark_len(&bytes[start..]);
    bytes.drain(start..start + mark);
    parts.push(StretchPart { start, place: Place { source: piece.source, offset: mark as u64 } });
    Ok(())
}

/// Maps a file to be read front to back. If little more than `resident` bytes may be resident at a time, the mapping is
/// divided into parts, of which the system reads one at a time: at most about `parts`.
#[allow(unsafe_code)]
pub(super) fn map(file: &File, start: u64, len: usize, resident: Option<usize>, parts: usize) -> io::Result<Mmap> {
    // SAFETY: a mapping is unsound if its file changes under it, because the bytes then aren't those of a `&[u8]`.
    // Nothing here relies on a byte staying the same between two reads. Every index is bounds-checked against lengths
    // that were computed from the mapping, so a writer can spoil the answer, but not memory. The guard handles a file
    // that is cut shorter.
    let map = unsafe { MmapOptions::new().offset(start).len(len).map(file)? };
    // Advice is no promise. If the system ignores it, reading is still correct, only slower.
    let _ = map.advise(Advice::Sequential);
    if let Some(resident) = resident {
        // Where a byte is read, the system may map 2 MiB around it, but never beyond bytes that were advised alike. So
        // every other part is advised in another way. Where memory isn't short, larger parts are faster by 2 to 4 %.
        let part = resident.max(len / parts).next_multiple_of(PAGE);
        for from in (part..len).step_by(2 * part) {
            let _ = map.advise_range(Advice::Normal, from, part.min(len - from));
        }
    }
    Ok(map)
}

/// The most parts of a mapping. The system allows a process 65,530 mappings, each part is one, and there may be 256
/// threads.
const MOST_PARTS: usize = 192;

/// Offset of the first `byte` in `from..to` of the file.
fn find(file: &File, byte: u8, mut from: u64, to: u64) -> io::Result<Option<u64>> {
    // Most lines are short. A long line is searched in larger steps.
    let mut buffer = vec![0; 512];
    while from < to {
        failpoint::hit(Point::InputRead)?;
        let want = buffer.len().min((to - from) as usize);
        let got = match file.read_at(&mut buffer[..want], from) {
            Ok(0) => return Ok(None),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Some(at) = memchr::memchr(byte, &buffer[..got]) {
            return Ok(Some(from + at as u64));
        }
        from += got as u64;
        buffer.resize((2 * buffer.len()).min(1 << 20), 0);
    }
    Ok(None)
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
