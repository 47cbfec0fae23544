//! Splits: the byte ranges of files that one map task reads. [`cut`] cuts the files of a job into splits.
//!
//! A split has a target size in bytes, not in records. A record belongs to the split that holds its first byte (see
//! [`block`](super::block)). If newlines may stand in quotes, `edges` finds where that byte is. Small files share a
//! split, so a job over many of them has few tasks.

use super::Source;

/// A byte range of one source. The records whose first byte lies in it belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Index into the plan's sources.
    pub source: usize,
    pub offset: u64,
    pub len: u64,
}

/// The pieces that one map task reads, in input order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub pieces: Vec<Piece>,
}

impl Split {
    /// Index of the split's first source.
    pub fn source(&self) -> usize {
        self.pieces[0].source
    }

    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len).sum()
    }
}

/// Bytes of the largest split that is chosen automatically, unless there would be more than [`MOST`] splits.
const LARGEST: u64 = 64 << 20;
const SMALLEST: u64 = 1 << 20;
/// The most splits that are chosen automatically. Each makes a run, and every reduce task opens every run.
const MOST: u64 = 4096;

/// Chooses a split size in bytes. Each thread gets several tasks to balance the load, and a task stays worth its
/// overhead: in a large input, the runs of smaller splits have pages so small that reading them costs time. Where memory
/// is short, pages are that small anyway, and a split has no more of them than `share` bytes suffice to write an index of.
pub fn choose_size(sources: &[Source], threads: usize, share: u64) -> u64 {
    let bytes: u64 = sources.iter().filter(|source| !source.is_stream()).map(Source::bytes).sum();
    let threads = threads as u64;
    let largest = LARGEST.min(share.saturating_mul(8)).max(bytes / MOST).max(SMALLEST);
    (bytes / (8 * threads)).clamp(SMALLEST, largest)
}

/// Cuts the files among `sources` into splits of about `size` bytes. Streams are cut as they are read.
pub fn cut(sources: &[Source], size: u64) -> Vec<Split> {
    let mut splits: Vec<Split> = Vec::new();
    // Bytes that the last split still has room for.
    let mut room = 0;
    for (source, from) in sources.iter().enumerate() {
        if from.is_stream() {
            // Files before a stream and files after it aren't neighbours, so they don't share a split.
            room = 0;
            continue;
        }
        let mut offset = 0;
        while offset < from.bytes() {
            if room == 0 {
                splits.push(Split { pieces: Vec::new() });
                room = size;
            }
            let piece = Piece { source, offset, len: (from.bytes() - offset).min(room) };
            splits.last_mut().expect("one was begun").pieces.push(piece);
            offset += piece.len;
            room -= piece.len;
        }
    }
    splits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(lens: &[u64]) -> Vec<Source> {
        let Source::File { path, id, reach, .. } = Source::file("/dev/null".as_ref()).unwrap() else { unreachable!() };
        lens.iter().map(|&len| Source::File { path: path.clone(), len, id, codec: None, reach }).collect()
    }

    #[test]
    fn every_byte_once_and_in_order() {
        for size in 1..30 {
            let sources = files(&[10, 0, 3, 1, 25, 7]);
            let splits = cut(&sources, size);
            let mut seen = vec![];
            for piece in splits.iter().flat_map(|split| &split.pieces) {
                assert!(piece.len > 0);
                seen.extend((piece.offset..piece.offset + piece.len).map(|at| (piece.source, at)));
            }
            let all = sources.iter().enumerate().flat_map(|(i, s)| (0..s.bytes()).map(move |at| (i, at)));
            assert!(seen.iter().copied().eq(all));
            assert!(splits.iter().rev().skip(1).all(|split| split.bytes() == size));
        }
    }

    #[test]
    fn size_is_chosen_within_bounds() {
        assert_eq!(choose_size(&files(&[10]), 2, 1 << 30), SMALLEST);
        assert_eq!(choose_size(&files(&[1 << 37]), 2, 1 << 30), LARGEST);
        assert_eq!(choose_size(&files(&[1 << 40]), 2, 1 << 30), 256 << 20);
        assert_eq!(choose_size(&files(&[160 << 20, 160 << 20]), 4, 1 << 30), 10 << 20);
        assert_eq!(choose_size(&files(&[1 << 30]), 2, 2 << 20), 16 << 20);
        assert_eq!(choose_size(&files(&[1 << 37]), 2, 2 << 20), 32 << 20);
    }
}
