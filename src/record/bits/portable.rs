//! A block as eight integers of eight bytes each, for processors without the vector instructions of the other modules.
//! The tests compare those modules with this one.

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
            // `differs` is zero in each byte that equals `byte`. The top bit of a byte's sum tells whether one of its
            // seven low bits is set. The sums don't carry into other bytes.
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
