//! Sorts byte strings by numbers that hold their beginnings.
//!
//! What is sorted is a number of 128 bits for each string: twelve of its bytes, and below them the string's own number.
//! Comparing numbers needs no branches and doesn't read the strings. Strings that agree in the twelve bytes are sorted
//! by the bytes behind those.

use super::buffer::copy_short;

/// Bytes of a string in a number that is sorted.
pub const PREFIX: usize = 12;

/// Bits of the string's own number.
const NUMBER_BITS: u32 = 8 * (16 - PREFIX) as u32;

/// The fewest strings that agree in a prefix for which new prefixes are worthwhile.
const MANY: usize = 16;

/// How often a stretch gets new prefixes. Strings made to agree in one prefix after the other are then compared whole.
const DEEPEST: usize = 32;

/// Strings that are known by numbers.
pub trait Numbered {
    fn with<T>(&self, number: u32, get: impl FnOnce(&[u8]) -> T) -> T;
}

/// Puts a prefix, in the low bits of `prefix`, above a string's number.
#[inline]
pub fn above(prefix: u128, number: u32) -> u128 {
    prefix << NUMBER_BITS | u128::from(number)
}

/// Returns the number of the string that a sorted number stands for.
#[inline]
pub fn number(sorted: u128) -> u32 {
    sorted as u32
}

/// Returns the first [`PREFIX`] bytes as a number, zero padded.
#[inline]
pub fn prefix(bytes: &[u8]) -> u128 {
    let padded = match bytes.first_chunk() {
        Some(first) => *first,
        None => {
            let mut padded = [0; 16];
            copy_short(&mut padded, bytes);
            padded
        }
    };
    u128::from_be_bytes(padded) >> NUMBER_BITS
}

/// Sorts the strings. `sorted` has the [`prefix`] of each, behind `common` bytes that all of them begin with. Strings
/// that are equal come in the order of their numbers.
pub fn sort(sorted: &mut [u128], common: usize, strings: &impl Numbered) {
    sorted.sort_unstable();
    break_ties(sorted, common + PREFIX, strings, 0);
}

/// Sorts each stretch of equal prefixes by the bytes of the strings from byte `from` on.
fn break_ties(sorted: &mut [u128], from: usize, strings: &impl Numbered, depth: usize) {
    for tied in sorted.chunk_by_mut(|a, b| a >> NUMBER_BITS == b >> NUMBER_BITS).filter(|tied| tied.len() > 1) {
        if tied.len() < MANY || depth == DEEPEST {
            tied.sort_unstable_by(|&a, &b| {
                strings.with(number(a), |a| strings.with(number(b), |b| compare(a, b, from))).then(a.cmp(&b))
            });
            continue;
        }
        // Zeros of a prefix may be padding, so of strings that end before `from` the shorter one is less.
        let (first, mut common, mut is_padded) = (number(tied[0]), usize::MAX, false);
        strings.with(first, |first| {
            for &other in &tied[1..] {
                strings.with(number(other), |other| {
                    is_padded |= first.len() < from || other.len() < from;
                    common = common.min(shared(rest(first, from), rest(other, from), common));
                });
            }
        });
        if is_padded {
            tied.sort_by(|&a, &b| strings.with(number(a), |a| strings.with(number(b), |b| compare(a, b, from))));
            continue;
        }
        let from = from + common;
        for sorted in &mut *tied {
            *sorted = above(strings.with(number(*sorted), |string| prefix(rest(string, from))), number(*sorted));
        }
        tied.sort_unstable();
        break_ties(tied, from + PREFIX, strings, depth + 1);
    }
}

fn rest(string: &[u8], from: usize) -> &[u8] {
    string.get(from..).unwrap_or_default()
}

/// Compares strings whose first `from` bytes are equal but for padding.
fn compare(a: &[u8], b: &[u8], from: usize) -> std::cmp::Ordering {
    rest(a, from).cmp(rest(b, from)).then(a.len().cmp(&b.len()))
}

/// Returns how many of the first `most` bytes are the same in both.
fn shared(a: &[u8], b: &[u8], most: usize) -> usize {
    let len = a.len().min(b.len()).min(most);
    let (a, b) = (&a[..len], &b[..len]);
    // Long strings are compared in pieces first.
    let pieces = a.chunks_exact(64).zip(b.chunks_exact(64)).take_while(|(a, b)| a == b).count() * 64;
    pieces + a[pieces..].iter().zip(&b[pieces..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Strings(Vec<Vec<u8>>);

    impl Numbered for Strings {
        fn with<T>(&self, number: u32, get: impl FnOnce(&[u8]) -> T) -> T {
            get(&self.0[number as usize])
        }
    }

    fn sorted(strings: &Strings, common: usize) -> Vec<u32> {
        let numbers = strings.0.iter().zip(0..).map(|(string, number)| above(prefix(&string[common..]), number));
        let mut numbers: Vec<_> = numbers.collect();
        sort(&mut numbers, common, strings);
        numbers.into_iter().map(number).collect()
    }

    proptest! {
        /// A stable sort by the strings does the same.
        #[test]
        fn sorts_and_keeps_what_is_equal_in_order(
            ends in prop::collection::vec("(a{25}){0,2}[ab\\x00]{0,7}|b{11,20}|\\x00{0,30}", 0..200),
            common in "a{0,20}",
        ) {
            let strings = Strings(ends.iter().map(|end| format!("{common}{end}").into_bytes()).collect());
            let mut expected: Vec<u32> = (0..ends.len() as u32).collect();
            expected.sort_by_key(|number| &strings.0[*number as usize]);
            prop_assert_eq!(sorted(&strings, common.len()), expected);
        }
    }

    /// The depth of the recursion doesn't depend on how much the strings have in common.
    #[test]
    fn long_common_beginnings() {
        let same = "x".repeat(300_000);
        let strings = Strings((0..300u32).rev().map(|i| format!("{same}{:03}{same}", i % 100).into_bytes()).collect());
        let mut expected: Vec<u32> = (0..300).collect();
        expected.sort_by_key(|number| &strings.0[*number as usize]);
        assert_eq!(sorted(&strings, 0), expected);
        let chain = Strings((0..2000).rev().map(|i| vec![b'a'; 13 * i]).collect());
        assert!(sorted(&chain, 0).into_iter().eq((0..2000).rev()));
    }
}
