//! A block as eight integers of eight bytes each, for processors without the vectors we know. The vectors are tested
//! against it.

use super::{BLOCK, Vector};

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * LOW;

#[derive(Clone, Copy)]
pub struct Words8([u64; 8]);

impl Vector for Words8 {
    #[inline(always)]
    unsafe fn load(block: &[u8; BLOCK]) -> Self {
        let eights = block.as_chunks::<8>().0;
        Words8(std::array::from_fn(|i| u64::from_le_bytes(eights[i])))
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        let mut mask = 0;
        for (i, &eight) in self.0.iter().enumerate() {
            // Zero where the byte is. A sum's top bit tells that one of the seven low bits is set, and carries nowhere.
            let differs = eight ^ (u64::from(byte) * LOW);
            let equals = !(((differs & !HIGH) + !HIGH) | differs) & HIGH;
            // The multiplication brings the eight bits together in the top byte.
            mask |= (equals >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56 << (8 * i);
        }
        mask
    }

    #[inline(always)]
    fn parity(self, mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }
}
