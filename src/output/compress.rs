//! Compressed output: gzip and zstd, by the ending of the output's name.
//!
//! ```text
//! chunks of rows ─► blocks of a fixed size ─► compressor, a thread of its own ─► file
//! ```
//!
//! The same rows make the same file, whatever chunks they come in: what a compressor makes of its input may depend on how the input
//! was cut, so it is cut anew. A gzip file holds neither a name nor a time. Two compressors of other versions may differ.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use flate2::GzBuilder;
use flate2::write::GzEncoder;

use crate::failpoint::{self, Point};
use crate::panics;

/// What a compressor is given at once; only the last block is shorter.
const BLOCK: usize = 128 << 10;
/// Blocks that wait for it.
const AHEAD: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    /// RFC 1952, one member, as `gzip -n` writes it.
    Gzip,
    /// RFC 8878, one frame with a checksum, as `zstd` writes it.
    Zstd,
}

impl Compression {
    /// What the name of a file asks for: `x.gz`, `x.zst`.
    pub fn of(path: &Path) -> Compression {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Compression::Gzip,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// A file that is written from its beginning on.
#[derive(Debug)]
pub enum Stream {
    Plain(File),
    Compressed(Compressor),
}

impl Stream {
    pub fn new(file: File, compression: Compression) -> io::Result<Stream> {
        Ok(match compression {
            Compression::None => Stream::Plain(file),
            Compression::Gzip => {
                let encoder = GzBuilder::new().write(Vec::new(), flate2::Compression::new(6));
                Stream::Compressed(Compressor::start(encoder, file)?)
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
                encoder.include_checksum(true)?;
                Stream::Compressed(Compressor::start(encoder, file)?)
            }
        })
    }

    /// Copies up to `most` bytes from a file. Returns how many: 0 at its end.
    pub fn copy(&mut self, from: &mut File, most: u64) -> io::Result<u64> {
        let mut from = from.take(most);
        match self {
            // By the system, without a way through memory here.
            Stream::Plain(to) => failpoint::hit(Point::OutputWrite).and_then(|()| io::copy(&mut from, to)),
            Stream::Compressed(to) => io::copy(&mut from, to),
        }
    }

    /// All is written that was handed over, to the file if not to the disk.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Stream::Plain(_) => Ok(()),
            Stream::Compressed(compressor) => compressor.finish(),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(file) => failpoint::hit(Point::OutputWrite).and_then(|()| file.write(bytes)),
            Stream::Compressed(compressor) => compressor.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands blocks to a thread that compresses and writes them. Dropped unfinished it leaves a file that ends early.
#[derive(Debug)]
pub struct Compressor {
    block: Vec<u8>,
    /// One that isn't full is the last.
    blocks: Sender<Vec<u8>>,
    /// Blocks to be filled again, and the error if there was one, with which the thread ended.
    back: Receiver<io::Result<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Compressor {
    fn start(encoder: impl Encoder, file: File) -> io::Result<Compressor> {
        let (blocks, to_compress) = bounded(AHEAD);
        let (give_back, back) = unbounded();
        let work = move || {
            if let Err(error) = panics::quietly(|| compress(encoder, file, to_compress, &give_back)) {
                let _ = give_back.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name("compress".into()).spawn(work)?;
        Ok(Compressor { block: Vec::with_capacity(BLOCK), blocks, back, thread })
    }

    fn finish(self) -> io::Result<()> {
        // A thread that has failed takes nothing.
        let _ = self.blocks.send(self.block);
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
        self.back.try_iter().find_map(Result::err).map_or(Ok(()), Err)
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            let next = self.back.try_recv().unwrap_or_else(|_| Ok(Vec::with_capacity(BLOCK)))?;
            let full = std::mem::replace(&mut self.block, next);
            if self.blocks.send(full).is_err() {
                let error = self.back.iter().find_map(Result::err);
                return Err(error.unwrap_or_else(|| io::Error::other("the compressor is gone")));
            }
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses to memory: one that wrote to the file would end it well when it is dropped, also where the job has failed.
trait Encoder: Write + Send + 'static {
    fn compressed(&mut self) -> &mut Vec<u8>;
    fn end(self) -> io::Result<Vec<u8>>;
}

impl Encoder for GzEncoder<Vec<u8>> {
    fn compressed(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn end(self) -> io::Result<Vec<u8>> {
        self.finish()
    }
}

impl Encoder for zstd::Encoder<'static, Vec<u8>> {
    fn compressed(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn end(self) -> io::Result<Vec<u8>> {
        self.finish()
    }
}

/// Until the last block is written, or until none comes any more.
fn compress(
    mut encoder: impl Encoder,
    mut file: File,
    blocks: Receiver<Vec<u8>>,
    back: &Sender<io::Result<Vec<u8>>>,
) -> io::Result<()> {
    for mut block in blocks {
        encoder.write_all(&block)?;
        failpoint::hit(Point::OutputWrite)?;
        if block.len() < BLOCK {
            return file.write_all(&encoder.end()?);
        }
        file.write_all(encoder.compressed())?;
        encoder.compressed().clear();
        block.clear();
        let _ = back.send(Ok(block));
    }
    Ok(())
}

#[cfg(test)]
#[path = "compress_tests.rs"]
mod tests;
