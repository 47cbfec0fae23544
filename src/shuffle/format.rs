//! The bytes of a run on disk, version 4. All integers are little-endian.
//!
//! ```text
//! header   magic "mapfold run\n" · u32 format version · u32 hash version · u32 partitions · u64 id
//! page     about the page · u32 crc32 of id, offset, about the page, and the payload
//!          payload: whole rows, plain or compressed
//! …
//! index    one entry per page, by partition:  u64 offset of the page · about the page
//! footer   u64 offset of the index · u32 entries · u32 crc32 of header, index and the 12 bytes before · magic
//!
//! about the page:  u32 partition · u32 rows · u32 bytes of the rows · u32 bytes of the payload · u32 codec
//! ```
//!
//! The codec is 0 if the payload is the rows themselves, 1 if it is a block of LZ4, 2 if it is a frame of zstd. A page
//! that doesn't shrink isn't compressed.
//!
//! Every byte is covered: by the magic, by a checksum, or by the requirement that pages and index fill the file. A
//! page's place is covered, too: a page of another run, or from elsewhere in the same run, has another checksum. A
//! reader knows the run's id from its writer, not from the file.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::codec::Codec;

pub const MAGIC: &[u8; 12] = b"mapfold run\n";
pub const VERSION: u32 = 4;

pub const HEADER: usize = 12 + 3 * 4 + 8;
/// Offset of the number of partitions in the header.
pub const PARTITIONS_AT: usize = 12 + 2 * 4;
/// Bytes that say what a page holds.
const ABOUT: usize = 5 * 4;
pub const PAGE_HEADER: usize = ABOUT + 4;
pub const ENTRY: usize = 8 + ABOUT;
pub const FOOTER: usize = 8 + 4 + 4 + 12;

/// Identifies a run. No other run of this process has the same id, and hardly any run of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId(u64);

impl RunId {
    pub fn next() -> RunId {
        /// The next id. Ids count up from a number that the system drew at random.
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().build_hasher().finish()));
        RunId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A page's entry in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Offset of the page's header from the start of the file.
    pub offset: u64,
    pub partition: u32,
    pub rows: u32,
    /// Bytes of the page's rows, which are plain when they are read.
    pub len: u32,
    /// How the rows are compressed in the file. `None` if they are stored as they are.
    pub compressed: Option<Compressed>,
}

/// A compressed payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compressed {
    pub codec: Codec,
    /// Bytes of the payload, fewer than those of the rows.
    pub len: u32,
}

pub fn header(id: RunId, partitions: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..12].copy_from_slice(MAGIC);
    bytes[12..16].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..20].copy_from_slice(&crate::table::hash::VERSION.to_le_bytes());
    bytes[PARTITIONS_AT..24].copy_from_slice(&partitions.to_le_bytes());
    bytes[24..].copy_from_slice(&id.0.to_le_bytes());
    bytes
}

/// Returns the header of a page with this payload, which is as it is stored. The checksum also covers the page's place
/// and the header's other fields.
pub fn page_header(id: RunId, page: &Page, payload: &[u8]) -> [u8; PAGE_HEADER] {
    let mut bytes = [0; PAGE_HEADER];
    bytes[..ABOUT].copy_from_slice(&page.about());
    let mut place = [0; 8 + 8 + ABOUT];
    place[..8].copy_from_slice(&id.0.to_le_bytes());
    place[8..16].copy_from_slice(&page.offset.to_le_bytes());
    place[16..].copy_from_slice(&bytes[..ABOUT]);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&place);
    crc.update(payload);
    bytes[ABOUT..].copy_from_slice(&crc.finalize().to_le_bytes());
    bytes
}

pub fn footer(index_offset: u64, entries: u32, header: &[u8; HEADER], index: &[u8]) -> [u8; FOOTER] {
    let mut bytes = [0; FOOTER];
    bytes[..8].copy_from_slice(&index_offset.to_le_bytes());
    bytes[8..12].copy_from_slice(&entries.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(index);
    crc.update(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
    bytes[16..].copy_from_slice(MAGIC);
    bytes
}

impl Page {
    /// Returns the bytes of the page's payload in the file.
    fn payload(&self) -> u32 {
        self.compressed.map_or(self.len, |compressed| compressed.len)
    }

    /// Returns the page's bytes in the file, including its header.
    pub fn stored(&self) -> usize {
        PAGE_HEADER + self.payload() as usize
    }

    /// Returns the offset behind the page.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.stored() as u64)
    }

    fn about(&self) -> [u8; ABOUT] {
        let codec = self.compressed.map_or(0, |compressed| compressed.codec as u32);
        let mut bytes = [0; ABOUT];
        for (i, field) in [self.partition, self.rows, self.len, self.payload(), codec].into_iter().enumerate() {
            bytes[4 * i..][..4].copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    pub fn entry(&self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..].copy_from_slice(&self.about());
        bytes
    }

    /// Returns the page of an entry. `None` if the entry contradicts itself.
    pub fn from_entry(bytes: &[u8; ENTRY]) -> Option<Page> {
        let [partition, rows, len, payload, codec] = [0, 1, 2, 3, 4].map(|i| u32_at(bytes, 8 + 4 * i));
        let compressed = match codec {
            0 if payload == len => None,
            0 => return None,
            _ if payload >= len => return None,
            _ => Some(Compressed { codec: Codec::of_number(codec)?, len: payload }),
        };
        let offset = u64::from_le_bytes(*bytes.first_chunk().expect("8 of 28"));
        Some(Page { offset, partition, rows, len, compressed })
    }
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
