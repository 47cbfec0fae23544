//! Tests of the scan: every kernel against the portable one.

use super::*;

#[test]
fn places_are_those_of_the_bits() {
    for bits in [0, 1, 1 << 63, 0x8000_0000_0000_0001, 0xf0f0_1234_5678_9abc, u64::MAX] {
        let mut out = [0; BLOCK];
        places(bits, 100, &mut out);
        let expected: Vec<u32> = (0..64).filter(|i| bits >> i & 1 == 1).map(|i| 100 + i).collect();
        assert_eq!(&out[..bits.count_ones() as usize], expected);
    }
}

/// All kernels give the same for every byte value at every place of a block, and for random text with many edges.
#[test]
fn kernels_agree() {
    fn run<C: Class>(kernel: Kernel, text: &[u8]) -> (Vec<u8>, Vec<u32>, ScanEnd, usize, usize, bool, bool) {
        let mut folded = vec![0; text.len() + 2 * BLOCK];
        let mut edges = [0; 2 * MOST_TOKENS + BLOCK];
        let mut cursor = Cursor::default();
        let limit = text.len() + BLOCK;
        let stop = kernel.scan::<C>(text, &mut folded, &mut edges, limit, &mut cursor);
        folded.truncate(cursor.at);
        let edges = edges[..cursor.edges].to_vec();
        (folded, edges, stop, cursor.read, cursor.at, cursor.open, cursor.joinable)
    }
    fn check(text: &[u8]) {
        let portable = Kernel(Level::Portable);
        for kernel in Kernel::available() {
            assert_eq!(run::<WordClass>(kernel, text), run::<WordClass>(portable, text));
            assert_eq!(run::<LetterClass>(kernel, text), run::<LetterClass>(portable, text));
            assert_eq!(run::<NonSpaceClass>(kernel, text), run::<NonSpaceClass>(portable, text));
        }
    }
    for byte in 0..=255 {
        for place in 0..BLOCK {
            for filler in [b'x', b' '] {
                let mut text = [filler; 2 * BLOCK];
                text[place] = byte;
                check(&text);
            }
        }
    }
    let mut seed = 1u64;
    for length in 0..600 {
        let text: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                b"aZ09 '\t\n_\xc3"[(seed >> 33) as usize % 10]
            })
            .collect();
        check(&text);
    }
}
