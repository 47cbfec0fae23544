//! Counts the newlines of a file before a place in it, if a job asks for the lines of its records. A file is counted in
//! chunks, and the count of each chunk is kept.
//!
//! ```text
//! file     │ chunk 0 │ chunk 1 │ chunk 2 │ …
//! counted  │      71 │      64 │       ? │ …   each once, when a place after the chunk is first asked for
//! ```
//!
//! Splits are read in any order, and the lines before a split are those of all splits before it. So files are read a
//! second time, and the bytes of a chunk that lie before a split are read once more. The newlines of streams are
//! counted while the streams are read.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use ahash::AHashMap;

use super::edges;
use super::planned::{self, cut_shorter};
use super::stretch::{Place, Stretch};
use super::{Source, failed};
use crate::error::Result;
use crate::panics::lock;

/// Bytes of a chunk of a file.
const CHUNK: u64 = 8 << 20;

/// Bytes read at once.
const READ: usize = 256 << 10;

/// The newlines counted so far in each source.
#[derive(Debug, Default)]
pub struct Newlines {
    files: Mutex<AHashMap<usize, Arc<[Chunk]>>>,
}

/// Number of newlines in a chunk, once it is known.
type Chunk = Mutex<Option<u64>>;

impl Newlines {
    /// Counts the newlines of a source before byte `at` of `stretch`, which is a part of the source.
    pub fn before(&self, sources: &[Source], stretch: Stretch<'_>, at: usize) -> Result<u64> {
        let (place, start) = (stretch.place(at), stretch.part_start(at));
        let here = stretch.newlines(start..at);
        let first = Place { offset: place.offset - (at - start) as u64, ..place };
        let before = match stretch.lines_before {
            Some(lines) => lines,
            None => self.in_file(&sources[first.source], first)?,
        };
        Ok(before + here)
    }

    fn in_file(&self, source: &Source, Place { source: number, offset }: Place) -> Result<u64> {
        if offset == 0 {
            return Ok(0);
        }
        let whole = offset / CHUNK;
        let chunks = lock(&self.files)
            .entry(number)
            .or_insert_with(|| (0..source.bytes() / CHUNK).map(|_| Chunk::default()).collect())
            .clone();
        let file = planned::open(source, 0)?;
        let mut lines = 0;
        for (i, chunk) in (0..whole).zip(chunks.iter()) {
            let counted = &mut *lock(chunk);
            let counted = match counted {
                Some(counted) => *counted,
                None => *counted.insert(count(source, &file, i * CHUNK..(i + 1) * CHUNK)?),
            };
            lines += counted;
        }
        lines += count(source, &file, whole * CHUNK..offset)?;
        planned::check(source, &file, 0)?;
        Ok(lines)
    }
}

/// Counts the newlines in a range of a file.
fn count(source: &Source, file: &File, Range { mut start, end }: Range<u64>) -> Result<u64> {
    let (mut lines, mut buffer) = (0, vec![0; READ.min((end - start) as usize)]);
    while start < end {
        let wanted = buffer.len().min((end - start) as usize);
        let read = edges::full(file, &mut buffer[..wanted], start).map_err(|e| failed(source)(start, e))?;
        if read < wanted {
            return Err(failed(source)(start, cut_shorter()));
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..wanted]).count() as u64;
        start += wanted as u64;
    }
    Ok(lines)
}
