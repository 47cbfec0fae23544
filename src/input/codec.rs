//! Tells by the first bytes of a source how it is compressed, whatever its name.

use super::Source;
use crate::error::{Error, shown};

/// Compression formats that are decompressed while a source is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// RFC 1952, with any number of members.
    Gzip,
    /// RFC 8878, with any number of frames, including skippable ones.
    Zstd,
}

/// What the first bytes of a source say about its compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    Plain,
    Compressed(Codec),
    Refused(UnsupportedCodec),
    /// More bytes may change the answer.
    Undecided,
}

/// A compression format that isn't decompressed here, and the tool that decompresses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedCodec {
    name: &'static str,
    tool: &'static str,
}

impl UnsupportedCodec {
    pub fn refuse(self, source: &Source) -> Error {
        let (name, UnsupportedCodec { name: codec, tool }) = (shown(source.path()), self);
        let hint = match source {
            Source::Stdin { .. } => format!("decompress it first: … | {tool} | mapfold …"),
            Source::Command { .. } => format!("decompress it in the command, with a shell: sh -c '… | {tool}'"),
            Source::File { .. } | Source::Stream { .. } | Source::Silent { .. } => {
                format!("{tool} {name} | mapfold … -")
            }
        };
        Error::usage_hint(format!("{name}: is compressed by {codec}, which is not supported"), hint)
    }
}

/// Number of first bytes that always decide.
pub const ENOUGH: usize = 10;

/// The lowest and the highest value that a byte may have.
type ByteRange = (u8, u8);

const MAGICS: [(&[ByteRange], Detected); 5] = [
    (&only([0x1f, 0x8b, 0x08]), Detected::Compressed(Codec::Gzip)),
    (&only([0x28, 0xb5, 0x2f, 0xfd]), Detected::Compressed(Codec::Zstd)),
    // A skippable frame. Data that other tools compress with zstd may begin with one.
    (&[(0x50, 0x5f), (0x2a, 0x2a), (0x4d, 0x4d), (0x18, 0x18)], Detected::Compressed(Codec::Zstd)),
    (&only([0xfd, b'7', b'z', b'X', b'Z', 0x00]), Detected::Refused(UnsupportedCodec { name: "xz", tool: "xzcat" })),
    (&BZIP2, Detected::Refused(UnsupportedCodec { name: "bzip2", tool: "bzcat" })),
];

/// The first bytes of bzip2 data. The fourth is a digit, which says how large the blocks are.
const BZIP2: [ByteRange; ENOUGH] = {
    let mut magic = only([b'B', b'Z', b'h', b'1', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59]);
    magic[3] = (b'1', b'9');
    magic
};

const fn only<const N: usize>(bytes: [u8; N]) -> [ByteRange; N] {
    let mut ranges = [(0, 0); N];
    let mut i = 0;
    while i < N {
        ranges[i] = (bytes[i], bytes[i]);
        i += 1;
    }
    ranges
}

/// Returns what `start`, the first bytes of a source, says.
pub fn packing(start: &[u8]) -> Detected {
    let fits = |magic: &[ByteRange]| start.iter().zip(magic).all(|(byte, (low, high))| (low..=high).contains(&byte));
    match MAGICS.iter().find(|(magic, _)| fits(magic)) {
        Some((magic, packing)) if start.len() >= magic.len() => *packing,
        Some(_) => Detected::Undecided,
        None => Detected::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_by_content() {
        let of = |start: &[u8]| packing(start);
        assert_eq!(of(b"\x1f\x8b\x08\x00"), Detected::Compressed(Codec::Gzip));
        assert_eq!(of(b"\x28\xb5\x2f\xfd"), Detected::Compressed(Codec::Zstd));
        assert_eq!(of(b"\x5a\x2a\x4d\x18more"), Detected::Compressed(Codec::Zstd));
        for (start, name) in [(&b"\xfd7zXZ\x00\x00"[..], "xz"), (b"BZh71AY&SY", "bzip2"), (b"BZh11AY&SY..", "bzip2")] {
            assert!(matches!(of(start), Detected::Refused(unread) if unread.name == name), "{name}");
        }
        for start in
            [&b"\x1f\x8b\x07"[..], b"BZh01AY&SY", b"BZhello", b"P*M", b"\x60\x2a\x4d\x18", b"text", b"\xfd7zip"]
        {
            assert_eq!(of(start), if start == b"P*M" { Detected::Undecided } else { Detected::Plain }, "{start:?}");
        }
        for start in [&b""[..], b"\x1f", b"\x1f\x8b", b"B", b"BZh9", b"BZh91AY&S", b"\xfd", b"Q", b"\x28\xb5\x2f"] {
            assert_eq!(of(start), Detected::Undecided, "{start:?}");
        }
        let longest = MAGICS.iter().map(|(magic, _)| magic.len()).max();
        assert_eq!(longest, Some(ENOUGH));
    }
}
