//! A directory's part files: the output cut after rows, so that `cat part-*` is the output.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::TempDir;

use super::writer::Chunk;

#[derive(Debug)]
pub struct Parts {
    staging: TempDir,
    /// Goes after what was staged in it.
    _made: Option<MadeDirectory>,
    part: File,
    part_bytes: u64,
    part_size: u64,
    parts: usize,
    header: Vec<u8>,
}

/// A directory that was made for the output, and goes away if nothing came to be in it.
#[derive(Debug)]
struct MadeDirectory(PathBuf);

impl Drop for MadeDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn part_name(n: usize) -> String {
    format!("part-{n:05}")
}

/// Renames to a name that nothing has.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can be asked for that.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Err(io::ErrorKind::AlreadyExists.into()),
        renamed => Ok(renamed?),
    }
}

impl Parts {
    /// Begins the first part in a hidden directory inside `directory`, which is made if it isn't there. `header` begins every
    /// part; a part is full at `part_size` bytes of rows.
    pub fn create(directory: &Path, header: &[u8], part_size: u64) -> io::Result<Parts> {
        let made = match fs::create_dir(directory) {
            Ok(()) => Some(MadeDirectory(directory.to_owned())),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
            Err(e) => return Err(e),
        };
        let staging = tempfile::Builder::new().prefix("_temporary.").tempdir_in(directory)?;
        let mut part = File::create_new(staging.path().join(part_name(0)))?;
        part.write_all(header)?;
        let (part_size, header) = (part_size.max(1), header.into());
        Ok(Parts { staging, _made: made, part, part_bytes: 0, part_size, parts: 1, header })
    }

    /// The directory in which parts wait.
    pub fn staging(&self) -> &Path {
        self.staging.path()
    }

    /// Writes the chunk, beginning a new part after the row with which a part reaches its size: so the cuts depend on
    /// the output alone.
    pub fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        let mut from = 0;
        while from < chunk.bytes.len() {
            if self.part_bytes >= self.part_size {
                self.part = File::create_new(self.staging.path().join(part_name(self.parts)))?;
                self.part.write_all(&self.header)?;
                (self.part_bytes, self.parts) = (0, self.parts + 1);
            }
            let full = from + (self.part_size - self.part_bytes) as usize;
            let to = match chunk.ends.partition_point(|&end| end < full) {
                i if i < chunk.ends.len() => chunk.ends[i],
                _ => chunk.bytes.len(),
            };
            self.part.write_all(&chunk.bytes.as_slice()[from..to])?;
            self.part_bytes += (to - from) as u64;
            from = to;
        }
        Ok(())
    }

    /// Replaces an older result only if that was asked for, its mark of success first; never what somebody else put there
    /// while the job ran. All parts come to be there, or none.
    pub fn commit(self, directory: &Path, force: bool) -> io::Result<()> {
        if force {
            match fs::remove_file(directory.join("_SUCCESS")) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with("part-") || name == "_SUCCESS" || name == "_REPORT.json" {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        for n in 0..self.parts {
            let name = part_name(n);
            if let Err(error) = rename_new(&self.staging.path().join(&name), &directory.join(&name)) {
                for n in 0..n {
                    let _ = fs::remove_file(directory.join(part_name(n)));
                }
                return Err(error);
            }
        }
        Ok(())
    }
}
