//! Reuses the memory of blocks: it goes from a reader to a worker, and comes back when the block is dropped. Fresh
//! memory costs a page fault every 4 KiB. For large blocks, these take as much time as zstd takes to fill the memory.

use std::mem;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use crate::panics::lock;

/// The free buffers. Copies share them.
#[derive(Clone, Debug)]
pub struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Number of buffers that are kept, and bytes of the largest buffer that is kept. The buffer of a long record's
    /// block is freed.
    most: usize,
    largest: usize,
}

impl Buffers {
    pub fn new(most: usize, largest: usize) -> Self {
        Buffers { free: Arc::default(), most, largest }
    }

    /// Returns a buffer that has held a block, or an empty one.
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

/// Bytes of a block, whose memory goes back to its [`Buffers`] when they are dropped.
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
        // The second buffer was one too many, and the third was too large.
        let taken = buffers.take();
        assert_eq!((taken.as_ptr(), taken.capacity()), (first, 10));
        assert_eq!(buffers.take().capacity(), 0);
    }
}
