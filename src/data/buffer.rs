//! A growable byte buffer that always has [`SLACK`] writable bytes behind its end.
//!
//! Rows and lines are built from many short pieces. With slack, a short row takes a few stores of fixed size, and a
//! short piece is copied in two overlapping moves, instead of a chain of length-checked appends and calls to `memcpy`.
//! A buffer keeps its memory when it is cleared, unless the memory is very large.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::prefetch::prefetch;

/// Bytes that [`Buffer::slack`] returns. They are more than any short row has.
pub const SLACK: usize = 128;

const CACHE_LINE: usize = 64;

/// Bytes of a large buffer, which grows by less than others, and isn't kept however much memory there is.
pub const LARGE: usize = 32 << 20;

/// The most bytes that a buffer keeps when it is cleared.
static KEPT: AtomicUsize = AtomicUsize::new(LARGE);

/// Says how many bytes buffers keep, from now on, when they are cleared. There are many buffers, so where memory is
/// short they must not keep what one long row made them grow to. It changes nothing but memory and speed.
pub fn keep_at_most(bytes: usize) {
    KEPT.store(bytes, Ordering::Relaxed);
}

/// A growable byte buffer that always has [`SLACK`] writable bytes behind its end.
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

    /// Returns the number of bytes in the buffer's memory, used or not.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub fn clear(&mut self) {
        self.used = 0;
        self.shrink(KEPT.load(Ordering::Relaxed));
    }

    /// Frees the memory if the buffer is empty and holds more than `most` bytes.
    pub fn shrink(&mut self, most: usize) {
        if self.used == 0 && self.bytes.len() > most {
            self.bytes = Vec::new();
        }
    }

    /// Gives an empty buffer new memory for `bytes` bytes if it has less. Without that it is doubled when it is full, and
    /// all of the old memory is in use. Short pieces need [`SLACK`] more than they are long.
    pub fn make_room(&mut self, bytes: usize) {
        debug_assert!(self.is_empty());
        if self.bytes.len() < bytes {
            // The old memory is freed first. The new memory isn't in use before something is written there.
            self.bytes = Vec::new();
            self.bytes = vec![0; bytes];
        }
    }

    pub fn truncate(&mut self, len: usize) {
        self.used = self.used.min(len);
    }

    /// Removes the first `len` bytes.
    pub fn drop_front(&mut self, len: usize) {
        self.bytes.copy_within(len..self.used, 0);
        self.used -= len;
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.used]
    }

    /// Returns the next bytes to be written, whose content is arbitrary. Write some of them, then
    /// [`advance`](Self::advance) over these.
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

    /// Has the cache line loaded that follows the one at the buffer's end. Where many buffers are appended to in turn,
    /// the line is there when it is written.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(&self.bytes, self.used + CACHE_LINE);
    }

    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.slack()[0] = byte;
        self.used += 1;
    }

    #[inline]
    pub fn extend(&mut self, more: &[u8]) {
        if more.len() <= SHORT {
            copy_short(self.slack(), more);
            self.used += more.len();
        } else {
            self.extend_long(more);
        }
    }

    fn extend_long(&mut self, more: &[u8]) {
        if self.bytes.len() - self.used < more.len() {
            // A long piece is written once, without zeroing the memory first.
            let len = self.reserve(more.len());
            self.bytes.truncate(self.used);
            self.bytes.extend_from_slice(more);
            self.bytes.resize(len, 0);
        } else {
            self.bytes[self.used..][..more.len()].copy_from_slice(more);
        }
        self.used += more.len();
    }

    /// Appends `len` zero bytes.
    pub fn extend_zeroed(&mut self, len: usize) {
        if self.bytes.len() - self.used < len {
            self.grow(len);
        }
        self.bytes[self.used..][..len].fill(0);
        self.used += len;
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let len = self.reserve(more);
        self.bytes.resize(len, 0);
    }

    /// Reserves memory for `more` bytes, for some short pieces behind them, and for growth. Returns the new length: at
    /// least twice the old one, or, for a large buffer, a quarter more than the old one. A large buffer may be one long
    /// line, and this way at most a quarter of it is idle.
    fn reserve(&mut self, more: usize) -> usize {
        let len = self.bytes.len();
        let grown = if len < LARGE { 2 * len } else { len + len / 4 };
        let wanted = (self.used + more + 4 * SLACK).max(grown);
        self.bytes.reserve_exact(wanted - len);
        wanted
    }
}

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Length of the longest piece that [`copy_short`] copies.
pub const SHORT: usize = 64;

/// Copies at most [`SHORT`] bytes to the front of `to`, by two overlapping moves of a fixed size.
#[inline]
pub fn copy_short(to: &mut [u8], from: &[u8]) {
    fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<()> {
        let to = to.get_mut(..from.len())?;
        let (first, last) = (from.first_chunk::<N>()?, from.last_chunk::<N>()?);
        *to.first_chunk_mut()? = *first;
        *to.last_chunk_mut()? = *last;
        Some(())
    }
    let copied = match from.len() {
        0 => Some(()),
        1..4 => {
            let middle = from.len() / 2;
            to[0] = from[0];
            to[middle] = from[middle];
            to[from.len() - 1] = from[from.len() - 1];
            Some(())
        }
        4..8 => ends::<4>(to, from),
        8..16 => ends::<8>(to, from),
        16..32 => ends::<16>(to, from),
        _ => ends::<32>(to, from),
    };
    debug_assert!(copied.is_some() && from.len() <= SHORT);
}

/// Whether two slices are equal. For slices of 16 to 32 bytes, this needs no call.
#[inline]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        16..=32 => a.first_chunk::<16>() == b.first_chunk::<16>() && a.last_chunk::<16>() == b.last_chunk::<16>(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn extends_as_a_vec(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut buffer = Buffer::default();
            for piece in &pieces {
                buffer.extend(piece);
            }
            prop_assert_eq!(buffer.as_slice(), pieces.concat());
        }

        #[test]
        fn zeros_are_zeros_whatever_was_there(before in 0usize..300, pieces in prop::collection::vec(0usize..300, 0..8)) {
            let mut buffer = Buffer::default();
            buffer.extend(&vec![7; before]);
            buffer.clear();
            let mut expected = Vec::new();
            for (i, &len) in pieces.iter().enumerate() {
                buffer.push(i as u8);
                buffer.extend_zeroed(len);
                expected.push(i as u8);
                expected.resize(expected.len() + len, 0);
            }
            prop_assert_eq!(buffer.as_slice(), expected);
        }

        #[test]
        fn equal_is_equal(a in prop::collection::vec(0u8..2, 0..40), b in prop::collection::vec(0u8..2, 0..40)) {
            prop_assert_eq!(equal(&a, &b), a == b);
            prop_assert!(equal(&a, &a.clone()));
        }

        #[test]
        fn one_byte_makes_a_difference(a in prop::collection::vec(any::<u8>(), 1..70), at in any::<prop::sample::Index>()) {
            let mut b = a.clone();
            b[at.index(a.len())] ^= 1;
            prop_assert!(!equal(&a, &b));
        }
    }

    #[test]
    fn copies_every_short_length() {
        let from: Vec<u8> = (1..=SHORT as u8).collect();
        for len in 0..=SHORT {
            let mut to = [0; SLACK];
            copy_short(&mut to, &from[..len]);
            assert_eq!(to[..len], from[..len]);
            assert!(to[len..].iter().all(|&byte| byte == 0));
        }
    }
}
