//! Decompresses zstd data (RFC 8878), one frame after the other.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::{fmt, io};

use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, get_error_name};

use super::decoders::DecoderMemory;
use super::origin::Failure;
use super::unpack::DecompressStep;

/// What the header of a frame says: the sizes of its window, and of its content if they are known, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub window: u64,
    pub content: Option<u64>,
}

/// The beginning of data that may be a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Frame(Frame),
    /// A frame of so many bytes that has no data.
    Skippable(u64),
    /// Nothing that a decoder takes memory for.
    Other,
    /// More bytes will tell.
    Short,
}

/// Bytes of the longest header.
const LONGEST_HEADER: usize = 18;

impl Header {
    fn of(start: &[u8]) -> Header {
        Header::whole(start).unwrap_or(Header::Short)
    }

    /// Returns `None` if the header isn't there as a whole.
    fn whole(start: &[u8]) -> Option<Header> {
        const SINGLE_SEGMENT: u8 = 1 << 5;
        let (magic, rest) = start.split_first_chunk::<4>()?;
        match u32::from_le_bytes(*magic) {
            0xfd2f_b528 => {}
            0x184d_2a50..=0x184d_2a5f => {
                let len = u32::from_le_bytes(*rest.first_chunk()?);
                return Some(Header::Skippable(8 + u64::from(len)));
            }
            _ => return Some(Header::Other),
        }
        let (&descriptor, mut rest) = rest.split_first()?;
        let is_single = descriptor & SINGLE_SEGMENT != 0;
        let mut window = None;
        if !is_single {
            let (&byte, after) = rest.split_first()?;
            let base = 1u64 << (10 + (byte >> 3));
            window = Some(base + base / 8 * u64::from(byte & 7));
            rest = after;
        }
        let rest = rest.get([0, 1, 2, 4][usize::from(descriptor & 3)]..)?;
        let content = match descriptor >> 6 {
            0 if !is_single => None,
            0 => Some(u64::from(*rest.first()?)),
            1 => Some(256 + u64::from(u16::from_le_bytes(*rest.first_chunk()?))),
            2 => Some(u64::from(u32::from_le_bytes(*rest.first_chunk()?))),
            _ => Some(u64::from_le_bytes(*rest.first_chunk()?)),
        };
        Some(Header::Frame(Frame { window: window.or(content)?, content }))
    }
}

/// Returns the first frame of a file that has data, if the file begins with such a frame or with few others.
pub fn first_frame(file: &File) -> io::Result<Option<Frame>> {
    const FEW: usize = 16;
    let mut at = 0u64;
    for _ in 0..FEW {
        let mut start = [0; LONGEST_HEADER];
        let read = file.read_at(&mut start, at)?;
        match Header::of(&start[..read]) {
            Header::Frame(frame) => return Ok(Some(frame)),
            Header::Skippable(len) => at += len,
            Header::Other | Header::Short => break,
        }
    }
    Ok(None)
}

/// A decompressor of zstd data.
pub struct Zstd {
    context: DCtx<'static>,
    memory: DecoderMemory,
    /// Whether a part of a frame was taken, and not all of it.
    is_within: bool,
    /// Whether the header of the next frame was looked at.
    is_known: bool,
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd").field("is_within", &self.is_within).finish_non_exhaustive()
    }
}

impl Zstd {
    pub fn new(memory: DecoderMemory) -> io::Result<Self> {
        let context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Zstd { context, memory, is_within: false, is_known: false })
    }

    /// Takes bytes from `held`, the compressed data that is there, and appends to `out`, which has room.
    pub fn step(&mut self, held: &[u8], out: &mut Vec<u8>) -> Result<DecompressStep, Failure> {
        if !self.is_within && !self.is_known {
            match Header::of(held) {
                Header::Frame(frame) => {
                    if let Some(needs) = self.memory.lacks(frame) {
                        return Err(Failure::Window { window: frame.window, needs });
                    }
                }
                Header::Skippable(_) | Header::Other => {}
                Header::Short => return Ok(DecompressStep::More),
            }
            self.is_known = true;
        }
        Ok(self.decompress(held, out)?)
    }

    fn decompress(&mut self, held: &[u8], out: &mut Vec<u8>) -> io::Result<DecompressStep> {
        let made = out.len();
        let mut from = InBuffer::around(held);
        let mut to = OutBuffer::around_pos(out, made);
        let left = self.context.decompress_stream(&mut to, &mut from).map_err(corrupt)?;
        let (taken, is_more) = (from.pos(), to.pos() > made);
        if taken == 0 && !is_more {
            return Ok(DecompressStep::More);
        }
        self.is_within = left > 0;
        self.is_known &= self.is_within;
        Ok(DecompressStep::Took(taken))
    }

    /// Takes the last bytes of the data, which are too few to be a header, and returns how many they are.
    pub fn rest(&mut self, held: &[u8]) -> io::Result<usize> {
        if !held.is_empty() {
            self.decompress(held, &mut Vec::new())?;
        }
        Ok(held.len())
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn frame(content: &[u8], log: u32, pledged: bool) -> Vec<u8> {
        let mut to = zstd::Encoder::new(Vec::new(), 1).unwrap();
        to.window_log(log).unwrap();
        to.set_pledged_src_size(pledged.then_some(content.len() as u64)).unwrap();
        to.write_all(content).unwrap();
        to.finish().unwrap()
    }

    #[test]
    fn headers_say_how_large_windows_are() {
        for log in [10, 17, 23, 27] {
            let header = Header::of(&frame(b"some content", log, false));
            assert_eq!(header, Header::Frame(Frame { window: 1 << log, content: None }), "{log}");
        }
        for len in [0, 1, 255, 256, 300, 65_791, 65_792, 70_000] {
            let packed = frame(&vec![b'x'; len], 20, true);
            let Header::Frame(Frame { content: Some(content), window }) = Header::of(&packed) else { panic!("{len}") };
            assert_eq!((content, window), (len as u64, len as u64));
            // A part of a header doesn't tell.
            let header = (0..).find(|&part| Header::of(&packed[..part]) != Header::Short).unwrap();
            assert!((6..=LONGEST_HEADER).contains(&header), "{header}");
        }
        // A window of 10 and a half MiB, and the number of a dictionary in two bytes.
        let header = Header::of(&[0x28, 0xb5, 0x2f, 0xfd, 2, 13 << 3 | 2, 0, 0]);
        assert_eq!(header, Header::Frame(Frame { window: 10 << 20, content: None }));
        assert_eq!(Header::of(b"\x5a\x2a\x4d\x18\x04\0\0\0data"), Header::Skippable(12));
        assert_eq!(Header::of(b"text"), Header::Other);
    }

    #[test]
    fn the_first_frame_of_a_file_may_follow_others_without_data() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"\x5a\x2a\x4d\x18\x04\0\0\0data\x50\x2a\x4d\x18\0\0\0\0").unwrap();
        assert_eq!(first_frame(&file).unwrap(), None);
        file.write_all(&frame(b"x", 21, false)).unwrap();
        assert_eq!(first_frame(&file).unwrap(), Some(Frame { window: 1 << 21, content: None }));
    }
}
