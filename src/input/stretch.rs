//! A block as its reader sees it: the records that are its own, and where each byte is from. Bytes of the next one's records may
//! follow them.

use std::ops::Range;
use std::slice;

/// A byte of what a source holds, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into the plan's sources.
    pub source: usize,
    pub offset: u64,
}

/// Bytes from `start` on are those of one source from `place` on.
#[derive(Clone, Copy, Debug)]
pub struct StretchPart {
    pub start: usize,
    pub place: Place,
}

/// Records. Small files may be joined in one; a record is of one source.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'b> {
    pub bytes: &'b [u8],
    /// The records that begin in so many bytes are this stretch's. What lies behind them it may have, so that the last is whole.
    pub owned: usize,
    /// Whether `bytes` begin with the first record of their source: where there is a header a file, this is it.
    pub is_first: bool,
    /// How many newlines their source has before `bytes`, where that was asked for and they are unpacked or can't be read again.
    pub lines_before: Option<u64>,
    /// Bytes of the input that were read for them, packed as they are.
    pub packed_len: u64,
    /// In order; the first is at the beginning.
    pub(super) parts: &'b [StretchPart],
}

impl<'b> Stretch<'b> {
    pub fn new(bytes: &'b [u8], is_first: bool, parts: &'b [StretchPart]) -> Self {
        Stretch { bytes, owned: bytes.len(), is_first, lines_before: None, packed_len: bytes.len() as u64, parts }
    }

    pub fn of_one(bytes: &'b [u8], is_first: bool, part: &'b StretchPart) -> Self {
        Stretch::new(bytes, is_first, slice::from_ref(part))
    }

    /// Which bytes of which sources the records before `at` are, which is where one ends. What a file begins with that is no
    /// part of its first record counts as that.
    pub fn covered(&self, at: usize) -> impl Iterator<Item = (usize, Range<u64>)> {
        self.parts.iter().enumerate().filter(move |(_, part)| part.start <= at).map(move |(i, part)| {
            let end = self.parts.get(i + 1).map_or(at, |next| next.start.min(at));
            let Place { source, offset } = part.place;
            (source, if self.is_first { 0 } else { offset }..offset + (end - part.start) as u64)
        })
    }

    /// Which byte of which source the one at `at` is.
    pub fn place(&self, at: usize) -> Place {
        let part = &self.parts[self.parts.partition_point(|part| part.start <= at) - 1];
        Place { offset: part.place.offset + (at - part.start) as u64, ..part.place }
    }

    /// Where the bytes of the source begin that the one at `at` is of.
    pub fn part_start(&self, at: usize) -> usize {
        self.parts[self.parts.partition_point(|part| part.start <= at) - 1].start
    }

    /// Which byte that of a source is, if it is one of these.
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
