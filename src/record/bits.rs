//! Blocks of 64 bytes of text as bit masks, one bit per byte.
//!
//! ```text
//! block     k,"a,b",7⏎
//! delimiter .1..1..1...
//! quote     ..1...1....
//! inside    ..1111.....    the parity of the quotes up to each byte
//! ```
//!
//! A loop over blocks is a [`VectorWork`]. It is compiled twice, for AVX2 and for any processor. [`Level`] says which
//! of the two runs on this processor.

#![allow(unsafe_code)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
pub use x86::put_places;

/// Bytes in a block, one for each bit of a mask.
pub const BLOCK: usize = 64;

/// A block in the registers of a processor.
pub trait Vector: Copy {
    /// # Safety
    /// The processor must have the features that the implementation is written for. A value proves to the other methods
    /// that it has them.
    unsafe fn load(block: &[u8; BLOCK]) -> Self;

    /// Returns the mask of the bytes that equal `byte`.
    fn equal(self, byte: u8) -> u64;

    /// Returns the parities of `bits`: bit i is the parity of the bits up to and including i.
    fn parity(self, bits: u64) -> u64;

    /// Writes the place of each set bit plus `base`, in order. What follows in `out` is arbitrary.
    #[inline(always)]
    fn places(self, mut bits: u64, base: u32, out: &mut [u32; BLOCK]) {
        // Eight places at a time. A test for each place would be mispredicted at the end of nearly every block.
        for eight in out.as_chunks_mut::<8>().0 {
            for place in eight {
                *place = base.wrapping_add(bits.trailing_zeros());
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
    }
}

/// A loop over the blocks of some text.
pub trait VectorWork {
    type Output;

    /// # Safety
    /// The same as for [`Vector::load`].
    unsafe fn run<V: Vector>(self) -> Self::Output;
}

/// Returns the block of `text` that begins at `at`, and how many of its bytes belong to the text. The last block is
/// filled up with `filler`, in `padded`.
#[inline(always)]
pub fn block<'a>(
    text: &'a [u8],
    at: usize,
    filler: u8,
    padded: &'a mut [u8; BLOCK],
) -> Option<(&'a [u8; BLOCK], usize)> {
    let rest = &text[at..];
    match rest.first_chunk() {
        Some(block) => Some((block, BLOCK)),
        None if rest.is_empty() => None,
        None => {
            *padded = [filler; BLOCK];
            padded[..rest.len()].copy_from_slice(rest);
            Some((padded, rest.len()))
        }
    }
}

/// Returns a byte that is neither `delimiter` nor a byte to which any format gives a meaning.
pub fn filler(delimiter: u8) -> u8 {
    if delimiter == b' ' { b'_' } else { b' ' }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vectors {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

/// The vectors that the processor can use. Only detection makes a level other than the portable one, and [`Level::run`]
/// relies on that.
#[derive(Clone, Copy, Debug)]
pub struct Level(Vectors);

impl Level {
    /// Returns all levels that work on this processor, the fastest last.
    pub fn available() -> impl DoubleEndedIterator<Item = Level> {
        #[cfg(target_arch = "x86_64")]
        let vectors = x86::detected().then_some(Level(Vectors::Avx2));
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = None;
        std::iter::once(Level(Vectors::Portable)).chain(vectors)
    }

    /// Returns the fastest level.
    pub fn detect() -> Level {
        Level::available().next_back().unwrap_or(Level(Vectors::Portable))
    }

    pub fn run<W: VectorWork>(self, work: W) -> W::Output {
        match self.0 {
            // SAFETY: this vector is plain integers and needs no feature.
            Vectors::Portable => unsafe { work.run::<portable::Words8>() },
            // SAFETY: the level was detected.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { x86::run(work) },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Masks<'a>(&'a [u8; BLOCK], u8, u64);

    impl VectorWork for Masks<'_> {
        type Output = (u64, u64, Vec<u32>);

        unsafe fn run<V: Vector>(self) -> Self::Output {
            // SAFETY: the caller's promise.
            let vector = unsafe { V::load(self.0) };
            let mut places = [0; BLOCK];
            vector.places(self.2, 1000, &mut places);
            let places = places[..self.2.count_ones() as usize].to_vec();
            (vector.equal(self.1), vector.parity(self.2), places)
        }
    }

    proptest! {
        #[test]
        fn masks_are_what_they_say(
            block in prop::array::uniform32(prop_oneof![any::<u8>(), Just(b','), Just(0xac)]),
            byte in prop_oneof![any::<u8>(), Just(b','), Just(0xac)],
            bits in prop_oneof![any::<u64>(), any::<[u64; 3]>().prop_map(|[a, b, c]| a & b & c), Just(u64::MAX)],
        ) {
            let block: [u8; BLOCK] = [block, block.map(|byte| byte.rotate_left(3))].concat().try_into().unwrap();
            let mask = |test: &dyn Fn(usize) -> bool| (0..BLOCK).map(|i| u64::from(test(i)) << i).sum::<u64>();
            let equal = mask(&|i| block[i] == byte);
            let parity = mask(&|i| (bits << (63 - i)).count_ones() % 2 == 1);
            let places: Vec<u32> = (0..64).filter(|i| bits >> i & 1 == 1).map(|i| 1000 + i).collect();
            for level in Level::available() {
                prop_assert_eq!(level.run(Masks(&block, byte, bits)), (equal, parity, places.clone()), "{:?}", level);
            }
        }
    }
}
