//! Blocks: the bytes of whole records that a map attempt works on.
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

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memmap2::{Advice, Mmap, MmapOptions};

use super::guard::Guard;
use super::splits::Piece;
use crate::error::{Error, LONGEST_RECORD, Result};

#[derive(Debug)]
pub struct Mapped {
    file: File,
    file_len: u64,
    offset: u64,
    /// `None`: no record begins in the piece. The guard goes before its mapping does.
    map: Option<(Guard, Mmap)>,
}

impl Mapped {
    pub fn bytes(&self) -> &[u8] {
        self.map.as_ref().map(|(_, map)| &**map).unwrap_or_default()
    }

    /// Where in the file they begin.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the bytes that were read were the file's, all of them. To be asked after reading.
    pub fn verify(&self, path: &Path) -> Result<()> {
        let read = |source| Error::Read { path: path.into(), at: self.offset, source };
        long_enough(&self.file, self.file_len).map_err(read)?;
        match &self.map {
            Some((guard, _)) if guard.lost() => Err(read(io::Error::other("its device failed to read it"))),
            _ => Ok(()),
        }
    }

    /// Maps the records that begin in `piece` of the file at `path`, which had `file_len` bytes when it was planned.
    pub fn open(path: &Path, piece: Piece, file_len: u64, terminator: u8) -> Result<Mapped> {
        let read = |at: u64| move |source: io::Error| Error::Read { path: path.into(), at, source };
        let file = File::open(path).map_err(read(piece.offset))?;
        long_enough(&file, file_len).map_err(read(piece.offset))?;
        let stop = piece.offset + piece.len;
        let find = |from, to| find(&file, terminator, from, to).map_err(read(from));
        let start = match piece.offset {
            0 => Some(0),
            offset => find(offset - 1, stop - 1)?.map(|at| at + 1),
        };
        let Some(start) = start else { return Ok(Mapped { file, file_len, offset: stop, map: None }) };
        let farthest = file_len.min(stop + LONGEST_RECORD as u64 + 2);
        let end = match find(stop - 1, farthest)? {
            Some(at) => at + 1,
            None if farthest == file_len => file_len,
            None => return Err(Error::RecordTooLong { path: path.into(), at: stop - 1 }),
        };
        let map = map(&file, start, (end - start) as usize).map_err(read(start))?;
        Ok(Mapped { file, file_len, offset: start, map: Some((Guard::new(&map), map)) })
    }
}

/// A file may grow while it is read: what it had when the job began is what counts. It may not shrink.
fn long_enough(file: &File, len: u64) -> io::Result<()> {
    match file.metadata()?.len() < len {
        true => Err(io::Error::other("the file was cut shorter while the job ran")),
        false => Ok(()),
    }
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

    /// Whatever the cuts, the blocks of a file's pieces are the file.
    #[test]
    fn every_record_once() {
        for text in ["", "a", "a\n", "\n\n\n", "one\ntwo\nthree", "a\n\nb\r\nccccccccccccc\n\n", "x\ny"] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let len = text.len() as u64;
            for size in 1..=len {
                let mut joined = Vec::new();
                for offset in (0..len).step_by(size as usize) {
                    let piece = Piece { source: 0, offset, len: size.min(len - offset) };
                    let block = Mapped::open(file.path(), piece, len, b'\n').unwrap();
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
    fn a_file_cut_shorter_while_it_is_read_is_an_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[b'a'; 100_000]).unwrap();
        let block = Mapped::open(file.path(), Piece { source: 0, offset: 0, len: 100_000 }, 100_000, b'\n').unwrap();
        block.verify(file.path()).unwrap();
        file.as_file().set_len(5_000).unwrap();
        assert_eq!(block.bytes().iter().filter(|&&byte| byte == b'a').count(), 5_000);
        let error = block.verify(file.path()).unwrap_err();
        assert!(error.to_string().ends_with("the file was cut shorter while the job ran"), "{error}");
    }

    #[test]
    fn a_record_without_end_is_not_looked_for_to_its_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let len = 3 * LONGEST_RECORD as u64;
        file.as_file().set_len(len).unwrap();
        let error = Mapped::open(file.path(), Piece { source: 0, offset: 0, len: 10 }, len, b'\n').unwrap_err();
        assert!(error.to_string().ends_with("the record at byte 9 is longer than 1 GiB, the most that one may have"));
    }

    #[test]
    fn a_file_cut_shorter_is_an_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a\nb\n").unwrap();
        let error = Mapped::open(file.path(), Piece { source: 0, offset: 0, len: 8 }, 8, b'\n').unwrap_err();
        assert!(error.to_string().contains("shorter"), "{error}");
    }
}
