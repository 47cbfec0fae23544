//! Decompresses zstd data (RFC 8878), one frame after the other.

use std::{fmt, io};

use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, get_error_name};

use super::unpack::DecompressStep;

/// A decompressor of zstd data.
pub struct Zstd {
    context: DCtx<'static>,
    /// Whether a part of a frame was taken, and not all of it.
    is_within: bool,
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd").field("is_within", &self.is_within).finish_non_exhaustive()
    }
}

impl Zstd {
    pub fn new() -> io::Result<Self> {
        let context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Zstd { context, is_within: false })
    }

    /// Takes bytes from `held`, the compressed data that is there, and appends to `out`, which has room.
    pub fn step(&mut self, held: &[u8], out: &mut Vec<u8>) -> io::Result<DecompressStep> {
        let made = out.len();
        let mut from = InBuffer::around(held);
        let mut to = OutBuffer::around_pos(out, made);
        let left = self.context.decompress_stream(&mut to, &mut from).map_err(corrupt)?;
        let (taken, is_more) = (from.pos(), to.pos() > made);
        if taken == 0 && !is_more {
            return Ok(DecompressStep::More);
        }
        self.is_within = left > 0;
        Ok(DecompressStep::Took(taken))
    }

    /// Checks that the data may end here.
    pub fn end(&self) -> io::Result<()> {
        if self.is_within { Err(io::Error::other("the zstd data ends early")) } else { Ok(()) }
    }
}

fn corrupt(code: usize) -> io::Error {
    let why = get_error_name(code);
    // Zstd's own tool asks for the same option, in the same words.
    let hint = if why.contains("too much memory") { ": zstd -dc --long=31 decompresses it" } else { "" };
    let why = why.strip_suffix(" detected").unwrap_or(why).to_lowercase();
    io::Error::other(format!("the zstd data is corrupt: {why}{hint}"))
}
