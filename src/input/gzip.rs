//! Decompresses gzip data (RFC 1952): the contents of one member after the other, without headers and trailers.
//!
//! ```text
//! header  deflated ······  CRC32 length │ header  deflated ···  CRC32 length │ 0 0 0 ···
//! ```
//!
//! The members are taken apart here and not by a ready-made reader. Such a reader wouldn't say where in the data it
//! stopped. It wouldn't tell zeros that fill up a tape's block, which are fine, from bytes that were appended by
//! mistake.

use std::io;

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use super::unpack::DecompressStep;

/// Bytes of a header after which its end isn't looked for any more. No tool writes a header as long as this.
const LONGEST_HEADER: usize = 1 << 20;

/// A decompressor of gzip data.
#[derive(Debug)]
pub struct Gzip {
    inflate: Decompress,
    stage: Stage,
    crc: Hasher,
    /// Number of members that have ended.
    members: u64,
}

/// What comes next in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A member, zeros, or the end of the data.
    Member,
    Body,
    Trailer,
    /// Zeros to the end of the data.
    Zeros,
}

impl Gzip {
    pub fn new() -> Self {
        Gzip { inflate: Decompress::new(false), stage: Stage::Member, crc: Hasher::new(), members: 0 }
    }

    /// Takes bytes from `held`, the compressed data that is there, and appends to `out`, which has room.
    pub fn step(&mut self, held: &[u8], out: &mut Vec<u8>) -> io::Result<DecompressStep> {
        match self.stage {
            Stage::Body => self.inflate(held, out),
            _ if held.is_empty() => Ok(DecompressStep::More),
            Stage::Member if self.members > 0 && held[0] == 0 => {
                self.stage = Stage::Zeros;
                Ok(DecompressStep::Took(0))
            }
            Stage::Member => {
                let Some(len) = header(held, self.members > 0)? else { return Ok(DecompressStep::More) };
                self.stage = Stage::Body;
                self.crc = Hasher::new();
                self.inflate.reset(false);
                Ok(DecompressStep::Took(len))
            }
            Stage::Trailer => {
                let Some((sums, _)) = held.split_first_chunk::<8>() else { return Ok(DecompressStep::More) };
                let crc = self.crc.clone().finalize().to_le_bytes();
                let len = (self.inflate.total_out() as u32).to_le_bytes();
                if *sums != [crc, len].as_flattened() {
                    return Err(corrupt("its checksum doesn't match"));
                }
                self.members += 1;
                self.stage = Stage::Member;
                Ok(DecompressStep::Took(sums.len()))
            }
            Stage::Zeros if held.iter().all(|&byte| byte == 0) => Ok(DecompressStep::Took(held.len())),
            Stage::Zeros => Err(garbage()),
        }
    }

    fn inflate(&mut self, held: &[u8], out: &mut Vec<u8>) -> io::Result<DecompressStep> {
        let (taken, made) = (self.inflate.total_in(), out.len());
        let status = self.inflate.decompress_vec(held, out, FlushDecompress::None);
        let taken = (self.inflate.total_in() - taken) as usize;
        self.crc.update(&out[made..]);
        match status {
            Ok(Status::StreamEnd) => self.stage = Stage::Trailer,
            Ok(_) if taken == 0 && out.len() == made => return Ok(DecompressStep::More),
            Ok(_) => {}
            Err(_) => return Err(corrupt("the deflated data is invalid")),
        }
        Ok(DecompressStep::Took(taken))
    }

    /// Checks that the data may end here. `held` is the part that wasn't taken.
    pub fn end(&self, held: &[u8]) -> io::Result<()> {
        let whole = matches!(self.stage, Stage::Member | Stage::Zeros) && held.is_empty();
        if whole { Ok(()) } else { Err(io::Error::other("the gzip data ends early")) }
    }
}

/// Length of the header at the start of a member, once all of the header is there; `None` before.
fn header(held: &[u8], is_later: bool) -> io::Result<Option<usize>> {
    const MAGIC: [u8; 2] = [0x1f, 0x8b];
    const DEFLATE: u8 = 8;
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    const RESERVED: u8 = 0b1110_0000;
    if !held.iter().zip(&MAGIC).all(|(byte, expected)| byte == expected) {
        return Err(if is_later { garbage() } else { corrupt("the header is missing") });
    }
    let Some(&[_, _, method, flags, ..]) = held.first_chunk::<10>() else { return Ok(None) };
    if method != DEFLATE || flags & RESERVED != 0 {
        return Err(corrupt("the header is invalid"));
    }
    let mut at = 10;
    if flags & EXTRA != 0 {
        let Some(&len) = held.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes(len));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = held.get(at..).and_then(|rest| memchr::memchr(0, rest));
            match end {
                Some(end) => at += end + 1,
                None if held.len() > LONGEST_HEADER => return Err(corrupt("the header doesn't end")),
                None => return Ok(None),
            }
        }
    }
    if flags & HEADER_CRC != 0 {
        let Some(&sum) = held.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        if u16::from_le_bytes(sum) != crc32fast::hash(&held[..at]) as u16 {
            return Err(corrupt("the header's checksum doesn't match"));
        }
        at += 2;
    }
    Ok((at <= held.len()).then_some(at))
}

fn corrupt(how: &str) -> io::Error {
    io::Error::other(format!("the gzip data is corrupt: {how}"))
}

fn garbage() -> io::Error {
    io::Error::other("the gzip data is followed by other data")
}
