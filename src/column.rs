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
    /// Of a field that has no value.
    pub const NULL: Span = Span { start: u32::MAX, end: u32::MAX };

    pub fn of(range: std::ops::Range<usize>) -> Self {
        Span { start: range.start as u32, end: range.end as u32 }
    }

    pub fn is_null(self) -> bool {
        self == Self::NULL
    }

    /// The same bytes where they lie `by` further on, modulo 2^32.
    pub fn shifted(self, by: u32) -> Self {
        match self.is_null() {
            true => self,
            false => Span { start: self.start.wrapping_add(by), end: self.end.wrapping_add(by) },
        }
    }

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
    /// The field of record `i`, `None` for null.
    #[inline]
    pub fn value(&self, i: usize) -> Option<&'a [u8]> {
        (!self.spans[i].is_null()).then(|| self.get(i))
    }

    /// The field of record `i`, which is not null.
    #[inline]
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
