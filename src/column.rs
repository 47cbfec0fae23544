//! The unit that every stage hands to the next: a batch of fields as columns of byte slices.
//!
//! A column points into bytes that somebody else owns (a mapped file, a tokeniser's scratch), so a field costs
//! eight bytes and no allocation. About [`BATCH`] records travel together, so that what must be decided (which
//! tokeniser, which aggregate) is decided once a batch.

use crate::buffer::Buffer;

/// Records in a full batch. Their keys, hashes and slots stay in the first-level cache together.
pub const BATCH: usize = 256;

/// A half-open range of bytes in a column's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn is_empty(self) -> bool {
        self.end == self.start
    }
}

/// One field of a batch of records: `spans[i]` says where record `i` has its bytes in `data`.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    pub data: &'a [u8],
    pub spans: &'a [Span],
}

impl<'a> Column<'a> {
    pub fn get(&self, i: usize) -> &'a [u8] {
        let span = self.spans[i];
        &self.data[span.start as usize..span.end as usize]
    }
}

/// Appends bytes so that what follows sorts after them: 00 as 00 FF, then 00 00.
pub fn put_escaped(out: &mut Buffer, mut bytes: &[u8]) {
    while let Some(at) = memchr::memchr(0, bytes) {
        out.extend(&bytes[..=at]);
        out.push(0xff);
        bytes = &bytes[at + 1..];
    }
    out.extend(bytes);
    out.extend(&[0, 0]);
}
