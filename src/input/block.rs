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

use super::splits::Piece;
use crate::error::{Error, Result};

#[derive(Debug)]
pub struct Mapped {
    /// `None`: no record begins in the piece.
    map: Option<Mmap>,
}

impl Mapped {
    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    /// Maps the records that begin in `piece` of the file at `path`, which had `file_len` bytes when it was planned.
    pub fn open(path: &Path, piece: Piece, file_len: u64, terminator: u8) -> Result<Mapped> {
        let read = |at: u64| move |source: io::Error| Error::Read { path: path.into(), at, source };
        let file = File::open(path).map_err(read(piece.offset))?;
        if file.metadata().map_err(read(piece.offset))?.len() < file_len {
            let source = io::Error::other("the file was cut shorter while the job ran");
            return Err(read(piece.offset)(source));
        }
        let stop = piece.offset + piece.len;
        let find = |from, to| find(&file, terminator, from, to).map_err(read(from));
        let start = match piece.offset {
            0 => Some(0),
            offset => find(offset - 1, stop - 1)?.map(|at| at + 1),
        };
        let Some(start) = start else { return Ok(Mapped { map: None }) };
        let end = find(stop - 1, file_len)?.map_or(file_len, |at| at + 1);
        let map = map(&file, start, (end - start) as usize).map_err(read(start))?;
        Ok(Mapped { map: Some(map) })
    }
}

#[allow(unsafe_code)]
fn map(file: &File, start: u64, len: usize) -> io::Result<Mmap> {
    // SAFETY: a mapping is unsound where its file changes under it: the bytes are then not those of a `&[u8]`. Nothing
    // here relies on a byte staying the same between two reads: every index is bounds-checked against lengths that were
    // computed from it, so a writer can spoil the answer, not memory. A file cut shorter ends the process with SIGBUS.
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
    fn a_file_cut_shorter_is_an_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a\nb\n").unwrap();
        let error = Mapped::open(file.path(), Piece { source: 0, offset: 0, len: 8 }, 8, b'\n').unwrap_err();
        assert!(error.to_string().contains("shorter"), "{error}");
    }
}
