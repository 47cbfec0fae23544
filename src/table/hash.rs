//! The one hash of keys, for tables and for partitions. It is frozen: which partition of a run a key is in depends on
//! the hash, so any change is a new [`VERSION`] of the run format.
//!
//! The hash is a folded 64×64→128 multiplication over the key's words, as in wyhash (Wang Yi), finished with the
//! length. The lowest [`CODE_BITS`] bits of every hash are 0, so that tables can keep a code there. The top bits choose
//! the partition. Tables that hold the keys of one partition find their slots by the bottom bits. Portions of a partition's
//! keys are chosen by bits between these.

pub const VERSION: u32 = 1;

/// Number of low bits that are 0 in every hash.
pub const CODE_BITS: u32 = 5;

/// Bytes of the longest key that a slot holds inline.
pub const INLINE: usize = 16;

/// Number of top bits that choose the partition.
const PARTITION_BITS: u32 = 24;

/// Returns a hash whose top bits choose among the portions of a partition.
#[inline]
pub fn of_portion(hash: u64) -> u64 {
    hash << PARTITION_BITS
}

const S0: u64 = 0xa076_1d64_78bd_642f;
const S1: u64 = 0xe703_7ed1_a0b4_28db;
const S2: u64 = 0x8ebc_6af0_9c88_c6e3;

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn finish(acc: u64, len: usize) -> u64 {
    fold(acc, S2 ^ len as u64) & !((1 << CODE_BITS) - 1)
}

/// Returns the hash of a key of at most [`INLINE`] bytes, given as two zero-padded little-endian words.
#[inline]
pub fn hash_inline(words: [u64; 2], len: usize) -> u64 {
    finish(fold(words[0] ^ S0, words[1] ^ S1), len)
}

/// Returns the hash of any key.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    if key.len() <= INLINE {
        return hash_inline(inline_words(key), key.len());
    }
    let mut acc = S0;
    let (blocks, _) = key.as_chunks::<16>();
    // The last block overlaps the block before it, so the key's end needs no padding.
    let (_, last) = key.as_rchunks::<16>();
    for block in blocks.iter().chain(last.last()) {
        let (a, b) = halves(block);
        acc = fold(a ^ S1, b ^ acc);
    }
    finish(acc, key.len())
}

/// Returns a key of at most [`INLINE`] bytes as two zero-padded words.
pub fn inline_words(key: &[u8]) -> [u64; 2] {
    let mut bytes = [0; INLINE];
    bytes[..key.len()].copy_from_slice(key);
    let (a, b) = halves(&bytes);
    [a, b]
}

/// Returns the bytes of a key that [`inline_words`] made words of, with its padding.
#[inline]
pub fn inline_bytes(words: [u64; 2]) -> [u8; INLINE] {
    (u128::from(words[1]) << 64 | u128::from(words[0])).to_le_bytes()
}

#[inline]
pub fn halves(block: &[u8; 16]) -> (u64, u64) {
    let word = u128::from_le_bytes(*block);
    (word as u64, (word >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs on disk depend on these hashes: a change here is a new version of the run format.
    #[test]
    fn frozen() {
        let got = [&b""[..], b"a", b"sixteen bytes ok", b"seventeen bytes !", &[0; 100]].map(hash);
        assert_eq!(got, FROZEN);
    }

    const FROZEN: [u64; 5] =
        [11912144113143032832, 12591088683187223104, 5302813550109261760, 4841664935050765312, 1302224662797127296];

    #[test]
    fn length_counts() {
        assert_ne!(hash(b"a"), hash(b"a\0"));
        assert_ne!(hash(&[0; 17]), hash(&[0; 18]));
    }

    #[test]
    fn bits_spread_at_both_ends() {
        let n = 1 << 16;
        let mut top = vec![0u32; 256];
        let mut low = vec![0u32; 256];
        for i in 0..n {
            let h = hash(format!("key{i}").as_bytes());
            top[(h >> 56) as usize] += 1;
            low[(h >> CODE_BITS) as usize & 255] += 1;
        }
        for counts in [top, low] {
            assert!(counts.iter().all(|&c| (150..400).contains(&c)), "{counts:?}");
        }
    }
}
