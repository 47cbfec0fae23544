//! Memory of blocks that goes round: from a reader to a worker, and back when the block is dropped. Fresh memory costs a
//! page fault every 4 KiB, which for large blocks is as much time as zstd takes to fill them.

use std::mem;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use crate::panics::lock;

#[derive(Clone, Debug)]
pub struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    /// How many are kept, and the bytes of the largest that is kept: the block of a long record is given up.
    most: usize,
    largest: usize,
}

impl Buffers {
    pub fn new(most: usize, largest: usize) -> Self {
        Buffers { free: Arc::default(), most, largest }
    }

    /// An empty one, or one that has held a block.
    pub fn take(&self) -> Vec<u8> {
        lock(&self.free).pop().unwrap_or_default()
    }

    fn give(&self, buffer: Vec<u8>) {
        let mut free = lock(&self.free);
        if free.len() < self.most && buffer.capacity() <= self.largest {
            free.push(buffer);
        }
    }

    pub fn lend(&self, bytes: Vec<u8>) -> Lent {
        Lent { bytes, to: self.clone() }
    }
}

/// Bytes whose memory goes back when they are dropped.
#[derive(Debug)]
pub struct Lent {
    bytes: Vec<u8>,
    to: Buffers,
}

impl Deref for Lent {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.to.give(mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_round() {
        let buffers = Buffers::new(1, 100);
        let lent = [10, 20, 1000].map(|len| buffers.lend(vec![b'a'; len]));
        assert_eq!(&lent[0][..], [b'a'; 10]);
        let first = lent[0].as_ptr();
        drop(lent);
        // The second was one too many, the third too large.
        let taken = buffers.take();
        assert_eq!((taken.as_ptr(), taken.capacity()), (first, 10));
        assert_eq!(buffers.take().capacity(), 0);
    }
}
