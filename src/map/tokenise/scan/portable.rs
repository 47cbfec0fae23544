//! A block as eight integers of eight bytes each, for processors that have neither AVX2 nor AVX-512. The vector
//! versions are tested against this one.

use super::{BLOCK, Vector};

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * LOW;

#[derive(Clone, Copy)]
pub struct Words8([u64; 8]);

impl Words8 {
    /// Makes a mask from the top bit of every byte that `test` returns for eight bytes.
    #[inline(always)]
    fn mask(self, test: impl Fn(u64) -> u64) -> u64 {
        let mut mask = 0;
        for (i, &eight) in self.0.iter().enumerate() {
            // The multiplication brings the eight bits together in the top byte.
            let bits = (test(eight) & HIGH) >> 7;
            mask |= bits.wrapping_mul(0x0102_0408_1020_4080) >> 56 << (8 * i);
        }
        mask
    }
}

impl Vector for Words8 {
    #[inline(always)]
    unsafe fn load(block: &[u8; BLOCK]) -> Self {
        let eights = block.as_chunks::<8>().0;
        Words8(std::array::from_fn(|i| u64::from_le_bytes(eights[i])))
    }

    #[inline(always)]
    fn store(self, block: &mut [u8; BLOCK]) {
        for (out, eight) in block.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *out = eight.to_le_bytes();
        }
    }

    #[inline(always)]
    fn lower(self) -> Self {
        Words8(self.0.map(|eight| eight | (0x20 * LOW)))
    }

    #[inline(always)]
    fn lower_ascii(self) -> Self {
        Words8(self.0.map(|eight| eight | ((!eight & HIGH) >> 2)))
    }

    #[inline(always)]
    fn within(self, first: u8, last: u8) -> u64 {
        // The top bits are cleared, so no sum carries into the next byte. The top bit of a sum then says whether the
        // byte was at least some value.
        let at_least_first = u64::from(0x80 - first) * LOW;
        let above_last = u64::from(0x7f - last) * LOW;
        self.mask(|eight| {
            let ascii = eight & !HIGH;
            (ascii + at_least_first) & !(ascii + above_last) & !eight
        })
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        self.within(byte, byte)
    }

    #[inline(always)]
    fn high(self) -> u64 {
        self.mask(|eight| eight)
    }

    #[inline(always)]
    fn leads(self) -> u64 {
        self.mask(|eight| eight & (eight << 1))
    }
}
