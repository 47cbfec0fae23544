//! A result directory's part files: the output cut between rows, so that `cat part-*` prints the output. The files are
//! made in a staging directory and published together.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::publish::{self, RESULT};
use super::writer::Chunk;
use crate::data::scratch::Scratch;
use crate::data::temporary::{Temporaries, remove_with_retry};
use crate::failpoint::{self, Point};

/// The part files of a result directory, while they are written.
#[derive(Debug)]
pub struct Parts {
    staging: Scratch,
    /// Dropped after `staging`, which is inside of it.
    _made: Option<MadeDirectory>,
    part: File,
    part_bytes: u64,
    part_size: u64,
    parts: usize,
    header: Vec<u8>,
}

/// A directory that was made for the output. It is removed if it stays empty.
#[derive(Debug)]
struct MadeDirectory(PathBuf, Temporaries);

impl Drop for MadeDirectory {
    fn drop(&mut self) {
        match remove_with_retry(|| failpoint::hit(Point::Remove).and_then(|()| fs::remove_dir(&self.0))) {
            Err(e) if matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {}
            removed => self.1.removed(&self.0, removed),
        }
    }
}

fn part_name(n: usize) -> String {
    format!("part-{n:05}")
}

impl Parts {
    /// Begins the first part in a hidden directory inside `directory`, which is made if it doesn't exist. Every part
    /// begins with `header`. A part is full at `part_size` bytes of rows.
    pub fn create(directory: &Path, header: &[u8], part_size: u64, temporaries: &Temporaries) -> io::Result<Parts> {
        let made = match fs::create_dir(directory) {
            Ok(()) => Some(MadeDirectory(directory.to_owned(), temporaries.clone())),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
            Err(e) => return Err(e),
        };
        let staging = publish::stage(directory, temporaries)?;
        let mut part = File::create_new(staging.path().join(RESULT).join(part_name(0)))?;
        part.write_all(header)?;
        let (part_size, header) = (part_size.max(1), header.into());
        Ok(Parts { staging, _made: made, part, part_bytes: 0, part_size, parts: 1, header })
    }

    /// Writes the chunk. A new part begins after the row with which a part reaches its size, so the cuts depend only on
    /// the output.
    pub fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        let mut from = 0;
        while from < chunk.bytes.len() {
            if self.part_bytes >= self.part_size {
                self.part = self.new_file(&part_name(self.parts))?;
                self.part.write_all(&self.header)?;
                (self.part_bytes, self.parts) = (0, self.parts + 1);
            }
            let full = from + (self.part_size - self.part_bytes) as usize;
            let to = match chunk.ends.partition_point(|&end| end < full) {
                i if i < chunk.ends.len() => chunk.ends[i],
                _ => chunk.bytes.len(),
            };
            failpoint::hit(Point::OutputWrite)?;
            self.part.write_all(&chunk.bytes.as_slice()[from..to])?;
            self.part_bytes += (to - from) as u64;
            from = to;
        }
        Ok(())
    }

    fn new_file(&self, name: &str) -> io::Result<File> {
        failpoint::hit(Point::OutputCreate)?;
        File::create_new(self.staging.path().join(RESULT).join(name))
    }

    /// Adds a file beside the parts.
    pub fn add(&mut self, name: &str, text: &[u8]) -> io::Result<()> {
        failpoint::hit(Point::CommitAdd)?;
        self.new_file(name)?.write_all(text)
    }

    /// Publishes the staged files in `directory`. Replaces an older result only if `force` is set.
    pub fn publish(mut self, directory: &Path, force: bool, is_locked: bool) -> io::Result<()> {
        publish::publish(&mut self.staging, directory, force, is_locked)
    }
}
