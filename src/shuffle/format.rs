//! The bytes of a run on disk, version 3. All integers little-endian.
//!
//! ```text
//! header   magic "mapfold run\n" · u32 format version · u32 hash version · u32 partitions · u64 id
//! page     u32 partition · u32 rows · u32 length · u32 crc32 of id, offset, the 12 bytes before and the payload
//!          payload: rows, whole
//! …
//! index    one entry a page, by partition:  u64 offset of the page · u32 partition · u32 rows · u32 length
//! footer   u64 offset of the index · u32 entries · u32 crc32 of header, index and the 12 bytes before · magic
//! ```
//!
//! Every byte is covered: by the magic, by a checksum, or by the requirement that pages and index fill the file. So is its
//! place: a page of another run, or of another place of the same run, has another checksum. Who reads a run knows its id from
//! who wrote it, not from the file.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub const MAGIC: &[u8; 12] = b"mapfold run\n";
pub const VERSION: u32 = 3;

pub const HEADER: usize = 12 + 3 * 4 + 8;
/// Where the header has the number of partitions.
pub const PARTITIONS_AT: usize = 12 + 2 * 4;
pub const PAGE_HEADER: usize = 4 * 4;
pub const ENTRY: usize = 8 + 3 * 4;
pub const FOOTER: usize = 8 + 4 + 4 + 12;

/// Which run it is: no other run of this process has the same, and hardly one of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId(u64);

impl RunId {
    pub fn next() -> RunId {
        /// Numbers go on from one that the system drew.
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().build_hasher().finish()));
        RunId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// One page, as the index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Of its header, from the start of the file.
    pub offset: u64,
    pub partition: u32,
    pub rows: u32,
    /// Of its payload.
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

/// Header of a page of a run, with this payload. Its checksum covers where it belongs and its other fields too.
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
    /// Bytes in the file, its header included.
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
