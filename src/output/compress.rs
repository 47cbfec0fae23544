//! Compressed output: gzip or zstd, chosen by the ending of the output's name. Rows go in, and a compressed file comes
//! out.
//!
//! ```text
//! chunks of rows ─► blocks of a fixed size ─► compressor in its own thread ─► file
//! ```
//!
//! The same rows make the same file, whatever chunks they come in. A compressor's output may depend on how its input is
//! cut, so rows are cut into blocks of one size first. A gzip file holds neither a name nor a time. Other versions of a
//! compressor may make another file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use flate2::GzBuilder;
use flate2::write::GzEncoder;

use crate::failpoint::{self, Point};
use crate::panics;

/// Bytes of a block, which a compressor gets at once. Only the last block is shorter.
const BLOCK: usize = 128 << 10;
/// The most blocks that wait for the compressor.
const AHEAD: usize = 8;

/// How an output file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    /// RFC 1952, one member, as `gzip -n` writes it.
    Gzip,
    /// RFC 8878, one frame with a checksum, as `zstd` writes it.
    Zstd,
}

impl Compression {
    /// Returns the compression that a file's name asks for: `x.gz`, `x.zst`.
    pub fn of(path: &Path) -> Compression {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Compression::Gzip,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// A file that is written from its beginning on, compressed or not.
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

    /// Copies up to `most` bytes from a file. Returns how many; 0 at its end.
    pub fn copy(&mut self, from: &mut File, most: u64) -> io::Result<u64> {
        let mut from = from.take(most);
        match self {
            // The system copies the bytes, without a buffer of ours.
            Stream::Plain(to) => failpoint::hit(Point::OutputWrite).and_then(|()| io::copy(&mut from, to)),
            Stream::Compressed(to) => io::copy(&mut from, to),
        }
    }

    /// Writes all that was handed over to the file, though not necessarily to the disk.
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

/// Hands blocks to a thread that compresses and writes them. If it is dropped unfinished, the file lacks its end.
#[derive(Debug)]
pub struct Compressor {
    block: Vec<u8>,
    /// Blocks to compress. A block that isn't full is the last one.
    blocks: Sender<Vec<u8>>,
    /// Blocks to fill again, and the error that ended the thread, if there was one.
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
        // If the thread has failed, the block isn't taken.
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

/// An encoder that compresses to memory. An encoder that wrote to the file would complete the file when it is dropped,
/// even if the job failed.
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

/// Compresses and writes blocks until the last block is written, or until no more come.
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
