//! A growable byte buffer that always has [`SLACK`] writable bytes behind its end, so that a short row is a few stores
//! of fixed size instead of a chain of length-checked appends. Its memory is kept when it is emptied.

/// Bytes that [`Buffer::slack`] hands out: longer than any short row.
pub const SLACK: usize = 128;

#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    used: usize,
}

impl Buffer {
    pub fn len(&self) -> usize {
        self.used
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub fn clear(&mut self) {
        self.used = 0;
    }

    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// The next bytes to be written, of any content: write some, then [`advance`](Self::advance) over them.
    #[inline]
    pub fn slack(&mut self) -> &mut [u8; SLACK] {
        if self.bytes.len() - self.used < SLACK {
            self.grow(SLACK);
        }
        self.bytes[self.used..].first_chunk_mut().expect("grown")
    }

    #[inline]
    pub fn advance(&mut self, len: usize) {
        self.used += len;
        debug_assert!(self.used <= self.bytes.len());
    }

    pub fn extend(&mut self, more: &[u8]) {
        if self.bytes.len() - self.used < more.len() {
            self.grow(more.len());
        }
        self.bytes[self.used..][..more.len()].copy_from_slice(more);
        self.used += more.len();
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let len = (self.used + more).max(2 * self.bytes.len()).max(4 * SLACK);
        self.bytes.resize(len, 0);
    }
}
