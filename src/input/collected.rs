//! Collects a stream's whole records to a block. The bytes of a block are in memory, or, if the block is larger than the
//! memory for a block, in a file.
//!
//! ```text
//! stream ─► fill (memory) ─► block in memory       if it fits, or the stream ends, is stopped, or has no more yet
//!                  └───────► file, mapped          else: the whole records of one fill after the other
//! ```
//!
//! Every block becomes a task with a run of its own, so small blocks are many runs. Each run takes memory, and time in
//! every reduce task. Where memory is so short that a block in it would be small, the disk holds a larger one.
//!
//! The file has no name, so that nothing is left of it when the process is killed. The map of the file is read like
//! that of an input file: the system takes the memory back of what was read.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use rustix::io::Errno;

use super::block;
use super::buffers::{Buffers, Lent};
use super::guard::Guard;
use super::reading::Reading;
use crate::data::scratch;
use crate::error::{Error, Result};
use crate::failpoint::{self, Point};

/// The most parts of the mapping of a block: see [`block::map`]. Several blocks wait for each worker.
const MOST_PARTS: usize = 32;

/// Files for blocks that are larger than the memory for a block.
#[derive(Clone, Debug)]
pub struct BlockFiles {
    pub directory: Arc<Path>,
    /// Bytes of a block in a file, about.
    pub bytes: usize,
    /// Bytes of a block that are read at a time, if little more may be resident.
    pub resident: Option<usize>,
}

impl BlockFiles {
    /// Begins a block.
    pub fn create(&self) -> Result<BlockFile<'_>> {
        let file = scratch::create_unnamed(&self.directory).map_err(failed(&self.directory))?;
        Ok(BlockFile { file, len: 0, files: self })
    }
}

fn failed(directory: &Arc<Path>) -> impl Fn(io::Error) -> Error {
    |source| Error::Spill { path: directory.to_path_buf(), source }
}

/// The file of a block that is being collected.
#[derive(Debug)]
pub struct BlockFile<'f> {
    file: File,
    len: usize,
    files: &'f BlockFiles,
}

impl BlockFile<'_> {
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = failpoint::hit(Point::SpillWrite).and_then(|()| self.file.write_all(bytes));
        written.map_err(failed(&self.files.directory))?;
        self.len += bytes.len();
        Ok(())
    }

    /// Maps what was appended, which must be something.
    pub fn finish(self) -> Result<BlockBytes> {
        let BlockFile { file, len, files } = self;
        let map = block::map(&file, 0, len, files.resident, MOST_PARTS).map_err(failed(&files.directory))?;
        Ok(BlockBytes::File { guard: Guard::new(&map), map, directory: files.directory.clone() })
    }
}

/// The bytes of a block.
#[derive(Debug)]
pub enum BlockBytes {
    Memory(Lent),
    File {
        /// Declared before the mapping, so that it is dropped first.
        guard: Guard,
        map: Mmap,
        directory: Arc<Path>,
    },
}

impl Deref for BlockBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            BlockBytes::Memory(bytes) => bytes,
            BlockBytes::File { map, .. } => map,
        }
    }
}

impl BlockBytes {
    pub fn mapping(&self) -> Option<&Mmap> {
        match self {
            BlockBytes::Memory(_) => None,
            BlockBytes::File { map, .. } => Some(map),
        }
    }

    /// Checks that all bytes that were read so far were those that were written.
    pub fn verify(&self) -> Result<()> {
        match self {
            BlockBytes::File { guard, directory, .. } if guard.lost() => Err(failed(directory)(Errno::IO.into())),
            BlockBytes::Memory(_) | BlockBytes::File { .. } => Ok(()),
        }
    }
}

/// The block that is being collected.
#[derive(Debug)]
pub struct Collected<'r> {
    buffers: &'r Buffers,
    files: Option<&'r BlockFiles>,
    /// Where the block in the file begins in the source.
    file: Option<(u64, BlockFile<'r>)>,
}

impl<'r> Collected<'r> {
    pub fn new(buffers: &'r Buffers, files: Option<&'r BlockFiles>) -> Self {
        Collected { buffers, files, file: None }
    }

    /// Whether records of the block are in a file.
    pub fn has_some(&self) -> bool {
        self.file.is_some()
    }

    /// Takes the first `len` bytes of what `reading` holds, which are whole records. Returns the block and where it
    /// begins in the source, once the block is large enough, or if `is_more` is false. There may be nothing to return.
    pub fn take(&mut self, reading: &mut Reading, len: usize, is_more: bool) -> Result<Option<(u64, BlockBytes)>> {
        let offset = reading.offset;
        let first = self.buffers.lend(reading.split_off(len, self.buffers.take()));
        let Some(files) = self.files.filter(|_| is_more || self.has_some()) else {
            return Ok((!first.is_empty()).then_some((offset, BlockBytes::Memory(first))));
        };
        if !first.is_empty() {
            // The disk may be slow, and that isn't the source's time.
            reading.stop_waiting();
            let (_, file) = match &mut self.file {
                Some(file) => file,
                none => none.insert((offset, files.create()?)),
            };
            file.append(&first)?;
            reading.go_on_waiting();
        }
        let done = self.file.take_if(|(_, file)| !is_more || file.len >= files.bytes);
        done.map(|(offset, file)| Ok((offset, file.finish()?))).transpose()
    }
}

#[cfg(test)]
#[path = "collected_tests.rs"]
mod tests;
