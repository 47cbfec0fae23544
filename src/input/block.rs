//! Blocks of files: the bytes of whole records that a map attempt works on.
//!
//! ```text
//! piece                 [offset ········· offset + len)
//! file     ...\n record │ tail\n record\n record\n rec│ord\n ...
//! block                        └──────────────────────────┘
//! ```
//!
//! A record belongs to the piece that holds its first byte, so the block begins after the first terminator at or behind
//! `offset - 1` and ends with the record that holds the piece's last byte. Only the edges are read to find that; the
//! block itself is mapped, and unmapped when it is dropped, which keeps resident memory bounded.
//!
//! A small file is read into memory that the worker keeps instead. To unmap stops every thread of the process for a
//! moment: of 100,000 files of 10 KB, mapped one by one, two threads counted the words in twice the time that they took
//! for one file of that size; read, in 1.15 times it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memmap2::{Advice, Mmap, MmapOptions};
use rustix::fs::Stat;

use super::guard::Guard;
use super::splits::Piece;
use super::{FileId, RecordEnd, Source, mark_len};
use crate::error::{Error, Result};

/// Files up to this size are read, larger ones mapped.
const SMALL: u64 = 256 << 10;

#[derive(Debug)]
pub struct FileBlock<'b> {
    source: &'b Source,
    /// Of the first byte of `bytes`.
    offset: u64,
    bytes: Bytes<'b>,
    /// Length of the byte order mark that `bytes` begin with.
    mark: usize,
}

#[derive(Debug)]
enum Bytes<'b> {
    /// No record begins in the piece.
    None,
    Read(&'b [u8]),
    /// The guard goes before its mapping does.
    Mapped(Guard, Mmap, File),
}

impl<'b> FileBlock<'b> {
    /// The records that begin in the first of `pieces`, which is taken from them; or in the first few, if these are small
    /// files. The `sources` are files as they were when the job was planned. `memory` is for the bytes of small ones.
    pub fn open(
        sources: &'b [Source],
        pieces: &mut &[Piece],
        end_of: RecordEnd,
        memory: &'b mut Vec<u8>,
    ) -> Result<FileBlock<'b>> {
        let (&piece, mut rest) = pieces.split_first().expect("a piece");
        let source = &sources[piece.source];
        if !is_small(sources, piece) {
            *pieces = rest;
            return FileBlock::map(source, piece, end_of);
        }
        memory.clear();
        let mark = read(source, memory)?;
        // Together with others, while a record can't span files nor be so long that its place must be told.
        while let Some((&next, after)) = rest.split_first()
            && memory.last() == Some(&end_of.terminator)
            && end_of.longest > SMALL
            && is_small(sources, next)
            && memory.len() as u64 + next.len <= SMALL
        {
            let end = memory.len();
            match read(&sources[next.source], memory) {
                Ok(mark) => drop(memory.drain(end..end + mark)),
                // It is met again, when the records before it are done.
                Err(_) => {
                    memory.truncate(end);
                    break;
                }
            }
            rest = after;
        }
        *pieces = rest;
        Ok(FileBlock { source, offset: 0, mark, bytes: Bytes::Read(memory) })
    }

    fn map(source: &'b Source, piece: Piece, end_of: RecordEnd) -> Result<FileBlock<'b>> {
        let RecordEnd { terminator, longest } = end_of;
        let failed = failed(source);
        let file = open(source).map_err(|e| failed(piece.offset, e))?;
        let stop = piece.offset + piece.len;
        let find = |from, to| find(&file, terminator, from, to).map_err(|e| failed(from, e));
        let start = match piece.offset {
            0 => Some(0),
            offset => find(offset - 1, stop - 1)?.map(|at| at + 1),
        };
        let Some(start) = start else { return Ok(FileBlock { source, offset: stop, bytes: Bytes::None, mark: 0 }) };
        let farthest = stop.saturating_add(longest).min(source.bytes());
        let end = find(stop - 1, farthest)?.map_or(farthest, |at| at + 1);
        let map = map(&file, start, (end - start) as usize).map_err(|e| failed(start, e))?;
        let guard = Guard::new(&map);
        let mark = if start == 0 { mark_len(&map) } else { 0 };
        Ok(FileBlock { source, offset: start, bytes: Bytes::Mapped(guard, map, file), mark })
    }

    pub fn bytes(&self) -> &[u8] {
        let bytes: &[u8] = match &self.bytes {
            Bytes::None => &[],
            Bytes::Read(bytes) => bytes,
            Bytes::Mapped(_, map, _) => map,
        };
        &bytes[self.mark..]
    }

    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Where in the file they begin.
    pub fn offset(&self) -> u64 {
        self.offset + self.mark as u64
    }

    /// Whether the bytes that were read were the file's, all of them. To be asked after reading.
    pub fn verify(&self) -> Result<()> {
        let Bytes::Mapped(guard, _, file) = &self.bytes else { return Ok(()) };
        let read = |error| failed(self.source)(self.offset, error);
        let found = rustix::fs::fstat(file).map_err(|e| read(e.into()))?;
        long_enough(self.source, &found).map_err(read)?;
        match guard.lost() {
            true => Err(read(io::Error::other("its device failed to read it"))),
            false => Ok(()),
        }
    }
}

fn is_small(sources: &[Source], piece: Piece) -> bool {
    piece.len <= SMALL && piece.len == sources[piece.source].bytes()
}

/// Appends what a small file holds. Returns the length of its byte order mark.
fn read(source: &Source, memory: &mut Vec<u8>) -> Result<usize> {
    let failed = failed(source);
    let file = open(source).map_err(|e| failed(0, e))?;
    let start = memory.len();
    memory.resize(start + source.bytes() as usize, 0);
    let bytes = &mut memory[start..];
    file.read_exact_at(bytes, 0).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => failed(0, cut_shorter()),
        _ => failed(0, e),
    })?;
    Ok(mark_len(bytes))
}

fn failed(source: &Source) -> impl Fn(u64, io::Error) -> Error {
    move |at, error| Error::Read { path: source.path().into(), at, source: error }
}

/// Opens the file that was planned. It may have grown: what it had then is what counts. It may not have shrunk, and no
/// other file may have taken its name: a result made of both would be neither's.
fn open(source: &Source) -> io::Result<File> {
    let Source::File { path, len, id } = source else { unreachable!("only files are cut in pieces") };
    let file = File::open(path)?;
    let found = rustix::fs::fstat(&file)?;
    let now = FileId::of(&found);
    // Some network file systems number their files anew now and then: one as long and as old is held to be the same.
    let is_as_it_was = found.st_size as u64 == *len && now.changed_ns == id.changed_ns;
    if !now.is_same_file(id) && !is_as_it_was {
        return Err(io::Error::other("another file took its name while the job ran"));
    }
    long_enough(source, &found)?;
    Ok(file)
}

fn long_enough(source: &Source, found: &Stat) -> io::Result<()> {
    if (found.st_size as u64) < source.bytes() { Err(cut_shorter()) } else { Ok(()) }
}

fn cut_shorter() -> io::Error {
    io::Error::other("the file was cut shorter while the job ran")
}

#[allow(unsafe_code)]
fn map(file: &File, start: u64, len: usize) -> io::Result<Mmap> {
    // SAFETY: a mapping is unsound where its file changes under it: the bytes are then not those of a `&[u8]`. Nothing
    // here relies on a byte staying the same between two reads: every index is bounds-checked against lengths that were
    // computed from it, so a writer can spoil the answer, not memory. A file cut shorter is the guard's business.
    let map = unsafe { MmapOptions::new().offset(start).len(len).map(file)? };
    // Advice is no promise: where it isn't taken, reading is as right, only slower.
    let _ = map.advise(Advice::Sequential);
    Ok(map)
}

/// Offset of the first `byte` in `from..to` of the file.
fn find(file: &File, byte: u8, mut from: u64, to: u64) -> io::Result<Option<u64>> {
    // Most lines are short; a long one is searched in larger steps.
    let mut buffer = vec![0; 512];
    while from < to {
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
mod tests {
    use super::*;
    use std::io::Write;

    const LINES: RecordEnd = RecordEnd { terminator: b'\n', longest: 100 };

    fn with(text: &[u8]) -> (tempfile::NamedTempFile, Source) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let source = Source::file(file.path()).unwrap();
        (file, source)
    }

    fn block<'b>(source: &'b Source, piece: Piece, memory: &'b mut Vec<u8>) -> Result<FileBlock<'b>> {
        FileBlock::open(std::slice::from_ref(source), &mut &[piece][..], LINES, memory)
    }

    fn whole(source: &Source) -> Piece {
        Piece { source: 0, offset: 0, len: source.bytes() }
    }

    /// Pieces are whole files here. Those that are read together are the same bytes as those that are read apart.
    #[test]
    fn small_files_are_read_together() {
        let texts: [&[u8]; 6] = [b"a\n", b"\xef\xbb\xbfb\n", b"no end", b"c\n", b"\xef\xbb\xbf", b"d\r"];
        let (_files, sources): (Vec<_>, Vec<_>) = texts.iter().map(|text| with(text)).unzip();
        let pieces: Vec<_> = (0..6).map(|i| Piece { source: i, ..whole(&sources[i]) }).collect();
        for (longest, expected) in
            [(SMALL + 1, &["a\nb\nno end", "c\nd\r"][..]), (100, &["a\n", "b\n", "no end", "c\n", "", "d\r"])]
        {
            let (mut left, mut memory, mut blocks) = (&pieces[..], Vec::new(), Vec::new());
            while !left.is_empty() {
                let block = FileBlock::open(&sources, &mut left, RecordEnd { longest, ..LINES }, &mut memory).unwrap();
                blocks.push(String::from_utf8(block.bytes().to_vec()).unwrap());
            }
            assert_eq!(blocks, expected);
        }
    }

    /// Whatever the cuts, the blocks of a file's pieces are the file.
    #[test]
    fn every_record_once() {
        for text in ["", "a", "a\n", "\n\n\n", "one\ntwo\nthree", "a\n\nb\r\nccccccccccccc\n\n", "x\ny"] {
            let (_file, source) = with(text.as_bytes());
            let len = text.len() as u64;
            let mut memory = Vec::new();
            for size in 1..=len {
                let mut joined = Vec::new();
                for offset in (0..len).step_by(size as usize) {
                    let piece = Piece { source: 0, offset, len: size.min(len - offset) };
                    let block = block(&source, piece, &mut memory).unwrap();
                    let bytes = block.bytes();
                    let end = joined.len() + bytes.len();
                    assert!(bytes.is_empty() || bytes.ends_with(b"\n") || end == text.len());
                    joined.extend_from_slice(bytes);
                }
                assert_eq!(joined, text.as_bytes(), "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_record() {
        let (_file, source) = with(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n");
        for size in 1..=10 {
            let mut joined = Vec::new();
            for offset in (0..10).step_by(size) {
                let piece = Piece { source: 0, offset, len: (size as u64).min(10 - offset) };
                let mut memory = Vec::new();
                let block = block(&source, piece, &mut memory).unwrap();
                assert!(offset > 0 || block.offset() == 3, "{size}");
                joined.extend_from_slice(block.bytes());
            }
            assert_eq!(joined, b"a\n\xef\xbb\xbfb\n", "{size}");
        }
    }

    /// As a small file is read, and as a large one is mapped.
    #[test]
    fn a_file_that_is_not_as_planned() {
        for len in [100_000, 2 * SMALL] {
            let error = |path: &Path, change: &dyn Fn(&Path)| {
                let source = Source::file(path).unwrap();
                change(path);
                let mut memory = Vec::new();
                block(&source, whole(&source), &mut memory).unwrap_err().to_string()
            };
            let (file, _) = with(&vec![b'a'; len as usize]);
            let cut = error(file.path(), &|_| file.as_file().set_len(5_000).unwrap());
            assert!(cut.ends_with("read at byte 0: the file was cut shorter while the job ran"), "{cut}");
            let other = error(file.path(), &|path| {
                let (other, _) = with(&vec![b'b'; 3 * len as usize]);
                other.persist(path).unwrap();
            });
            assert!(other.ends_with("read at byte 0: another file took its name while the job ran"), "{other}");
            let grown = Source::file(file.path()).unwrap();
            std::fs::OpenOptions::new().append(true).open(file.path()).unwrap().write_all(b"more\n").unwrap();
            let mut memory = Vec::new();
            let block = block(&grown, whole(&grown), &mut memory).unwrap();
            assert_eq!(block.bytes().len() as u64, grown.bytes());
            block.verify().unwrap();
        }
    }

    #[test]
    fn a_file_cut_shorter_while_it_is_read_is_an_error() {
        let len = 2 * SMALL;
        let (file, source) = with(&vec![b'a'; len as usize]);
        let mut memory = Vec::new();
        let block = block(&source, whole(&source), &mut memory).unwrap();
        block.verify().unwrap();
        file.as_file().set_len(5_000).unwrap();
        assert_eq!(block.bytes().iter().filter(|&&byte| byte == b'a').count(), 5_000);
        let error = block.verify().unwrap_err();
        assert!(error.to_string().ends_with("the file was cut shorter while the job ran"), "{error}");
    }

    #[test]
    fn a_record_without_end_is_not_looked_for_to_its_end() {
        let (file, _) = with(b"");
        file.as_file().set_len(1 << 40).unwrap();
        let source = Source::file(file.path()).unwrap();
        let mut memory = Vec::new();
        let piece = Piece { source: 0, offset: 0, len: 10 };
        let block = block(&source, piece, &mut memory).unwrap();
        assert_eq!(block.bytes().len() as u64, 10 + LINES.longest);
    }
}
