//! [`Stretch`]: the bytes of one block, with which records belong to the block and which source each byte is from.
//! Bytes of the next block's records may follow the block's own.

use std::ops::Range;
use std::slice;

use memmap2::Mmap;

/// The position of a byte: its source, and its offset in the decompressed source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into the plan's sources.
    pub source: usize,
    pub offset: u64,
}

/// A part of a stretch that is from one source: the bytes from `start` on are those of the source from `place` on.
#[derive(Clone, Copy, Debug)]
pub struct StretchPart {
    pub start: usize,
    pub place: Place,
}

/// The bytes of a block's records. Small files may be joined in one stretch, but a record is always from one source.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'b> {
    pub bytes: &'b [u8],
    /// The records that begin in the first `owned` bytes belong to this stretch. The bytes after these are there to
    /// complete the last record.
    pub owned: usize,
    /// Whether `bytes` start at the source's first record, which is the header if files have one.
    pub is_first: bool,
    /// Newlines in the source before `bytes`. `None` for blocks of files, and for streams whose newlines weren't
    /// [counted](super::Counted).
    pub lines_before: Option<u64>,
    /// Bytes of the source, before decompression, that were read for this stretch.
    pub stored_len: u64,
    /// In the order of `bytes`. The first part is at the beginning.
    pub(super) parts: &'b [StretchPart],
    /// The mapping that `bytes` are the end of, if they are mapped.
    pub(super) mapping: Option<&'b Mmap>,
}

impl<'b> Stretch<'b> {
    pub fn new(bytes: &'b [u8], is_first: bool, parts: &'b [StretchPart]) -> Self {
        let stored_len = bytes.len() as u64;
        Stretch { bytes, owned: bytes.len(), is_first, lines_before: None, stored_len, parts, mapping: None }
    }

    pub fn of_one(bytes: &'b [u8], is_first: bool, part: &'b StretchPart) -> Self {
        Stretch::new(bytes, is_first, slice::from_ref(part))
    }

    /// Returns which bytes of which sources hold the records before `at`, which must be the end of a record. Bytes
    /// before a file's first record, such as a byte order mark, count as part of that record.
    pub fn covered(&self, at: usize) -> impl Iterator<Item = (usize, Range<u64>)> {
        self.parts.iter().enumerate().filter(move |(_, part)| part.start <= at).map(move |(i, part)| {
            let end = self.parts.get(i + 1).map_or(at, |next| next.start.min(at));
            let Place { source, offset } = part.place;
            (source, if self.is_first { 0 } else { offset }..offset + (end - part.start) as u64)
        })
    }

    /// Returns the source and the offset of the byte at `at`.
    pub fn place(&self, at: usize) -> Place {
        let part = &self.parts[self.parts.partition_point(|part| part.start <= at) - 1];
        Place { offset: part.place.offset + (at - part.start) as u64, ..part.place }
    }

    /// Returns where the part begins that holds the byte at `at`.
    pub fn part_start(&self, at: usize) -> usize {
        self.parts[self.parts.partition_point(|part| part.start <= at) - 1].start
    }

    /// Returns the index in `bytes` of the byte at `place`, if it is one of this stretch.
    pub fn find(&self, place: Place) -> Option<usize> {
        self.parts.iter().enumerate().filter(|(_, part)| part.place.source == place.source).find_map(|(i, part)| {
            let end = self.parts.get(i + 1).map_or(self.bytes.len(), |next| next.start);
            let at = part.start + usize::try_from(place.offset.checked_sub(part.place.offset)?).ok()?;
            (at < end).then_some(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_found_by_its_place() {
        let part = |start, source, offset| StretchPart { start, place: Place { source, offset } };
        let parts = [part(0, 3, 7), part(4, 5, 0), part(6, 3, 20)];
        let stretch = Stretch::new(b"0123456789", false, &parts);
        for at in 0..10 {
            assert_eq!(stretch.find(stretch.place(at)), Some(at));
        }
        for (source, offset) in [(3, 6), (3, 11), (3, 19), (3, 24), (4, 7), (5, 2)] {
            assert_eq!(stretch.find(Place { source, offset }), None, "{source}, {offset}");
        }
    }
}
