//! The bytes of a run on disk, version 3. All integers are little-endian.
//!
//! ```text
//! header   magic "mapfold run\n" · u32 format version · u32 hash version · u32 partitions · u64 id
//! page     u32 partition · u32 rows · u32 length · u32 crc32 of id, offset, the 12 bytes before and the payload
//!          payload: whole rows
//! …
//! index    one entry per page, by partition:  u64 offset of the page · u32 partition · u32 rows · u32 length
//! footer   u64 offset of the index · u32 entries · u32 crc32 of header, index and the 12 bytes before · magic
//! ```
//!
//! Every byte is covered: by the magic, by a checksum, or by the requirement that pages and index fill the file. A
//! page's place is covered, too: a page of another run, or from elsewhere in the same run, has another checksum. A
//! reader knows the run's id from its writer, not from the file.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub const MAGIC: &[u8; 12] = b"mapfold run\n";
pub const VERSION: u32 = 3;

pub const HEADER: usize = 12 + 3 * 4 + 8;
/// Offset of the number of partitions in the header.
pub const PARTITIONS_AT: usize = 12 + 2 * 4;
pub const PAGE_HEADER: usize = 4 * 4;
pub const ENTRY: usize = 8 + 3 * 4;
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
    /// Bytes of the page's payload.
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

/// Returns the header of a page with this payload. The checksum also covers the page's place and the header's other
/// fields.
pub fn page_header(id: RunId, page: &Page, payload: &[u8]) -> [u8; PAGE_HEADER] {
    let mut bytes = [0; PAGE_HEADER];
    bytes[..4].copy_from_slice(&page.partition.to_le_bytes());
    bytes[4..8].copy_from_slice(&page.rows.to_le_bytes());
    bytes[8..12].copy_from_slice(&page.len.to_le_bytes());
    let mut place = [0; 8 + 8 + 12];
    place[..8].copy_from_slice(&id.0.to_le_bytes());
    place[8..16].copy_from_slice(&page.offset.to_le_bytes());
    place[16..].copy_from_slice(&bytes[..12]);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&place);
    crc.update(payload);
    bytes[12..].copy_from_slice(&crc.finalize().to_le_bytes());
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
    /// Returns the page's bytes in the file, including its header.
    pub fn stored(&self) -> usize {
        PAGE_HEADER + self.len as usize
    }

    pub fn entry(&self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.partition.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.rows.to_le_bytes());
        bytes[16..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    pub fn from_entry(bytes: &[u8; ENTRY]) -> Page {
        Page {
            offset: u64::from_le_bytes(*bytes.first_chunk().expect("8 of 20")),
            partition: u32_at(bytes, 8),
            rows: u32_at(bytes, 12),
            len: u32_at(bytes, 16),
        }
    }
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
