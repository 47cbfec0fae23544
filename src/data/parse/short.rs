//! Numbers of up to 16 bytes, read in a word: sign, digits, and a point among them.
//!
//! ```text
//! "-12.3" and what lies behind it     - 1 2 . 3 ? ? ?
//! at the end, as values               0 0 0 0 1 2 . 3     the sign is 0 as are the bytes in front
//! the point taken out                 0 0 0 0 0 1 2 3     scale 1
//! pairs, fours, eights added up       123
//! ```
//!
//! Every step is arithmetic on all bytes at once (the last after Langdale and Lemire, Parsing Gigabytes of JSON per
//! Second, 2019), so that values of mixed lengths and scales cost no branch that the processor mispredicts. What isn't
//! of this form (spaces, a plus, an exponent, an error) is `None`, and read byte by byte elsewhere.

/// A number of at most 16 digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Short {
    pub mantissa: i64,
    pub scale: u8,
    /// Also one with no digit behind it.
    pub has_point: bool,
}

/// The digits of a text at the end of a word, first to last from its lowest byte, as values 0 to 9.
struct Digits<W> {
    word: W,
    scale: u8,
    has_point: bool,
    negative: bool,
}

/// Writes a function that finds the digits in the first `len` bytes of a word: 1 to 8 of 8, or 9 to 16 of 16.
macro_rules! line_up {
    ($name:ident, $word:ty) => {
        #[inline(always)]
        fn $name(word: $word, len: u32) -> Option<Digits<$word>> {
            const BITS: u32 = <$word>::BITS;
            const EACH: $word = <$word>::MAX / 255;

            let negative = word as u8 == b'-';
            // The sign becomes 0, as a zero does.
            let values = word ^ (EACH * 0x30 - <$word>::from(negative) * <$word>::from(b'0' - b'-'));
            // Fewer than 64, which the mask makes known.
            let values = values << ((BITS - 8 * len) % 64);

            // This bit is clear in 0 to 9, and set in what a point became.
            let suspects = values & (EACH * 0x10);
            let has_point = suspects != 0;
            let point = suspects & suspects.wrapping_neg();
            // A point becomes 0 too.
            let values = values ^ ((point << 1) - (point >> 3));
            // A byte above 9 sets its high bit; in the point's place one above 0 does. It may carry into others, which
            // are refused with it.
            let reach = EACH * 0x76 + (point >> 4) * 9;
            let others = (values.wrapping_add(reach) | values) & (EACH * 0x80);
            if others != 0 || len <= u32::from(negative) + u32::from(has_point) {
                return None;
            }
            // What is below the point moves up by a byte: nothing if there is none.
            let below = values & ((point >> 4) - <$word>::from(has_point));
            let word = values + (below << 8) - below;
            let scale = (BITS - 1 - (suspects | 1 << (BITS - 1)).trailing_zeros()) / 8;
            Some(Digits { word, scale: scale as u8, has_point, negative })
        }
    };
}

line_up!(line_up_8, u64);
line_up!(line_up_16, u128);

/// The number that eight digits make, the first in the lowest byte.
#[inline(always)]
pub fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

impl<W> Digits<W> {
    #[inline(always)]
    fn number(&self, size: u64) -> Short {
        let mantissa = if self.negative { -(size as i64) } else { size as i64 };
        Short { mantissa, scale: self.scale, has_point: self.has_point }
    }
}

/// The number that the first `len` bytes are, 1 to 8. The others may be anything.
#[inline(always)]
pub fn read_8(bytes: [u8; 8], len: u32) -> Option<Short> {
    let digits = line_up_8(u64::from_le_bytes(bytes), len)?;
    Some(digits.number(eight_digits(digits.word)))
}

/// The number that the first `len` bytes are, 9 to 16. The others may be anything.
#[inline(always)]
pub fn read_16(bytes: [u8; 16], len: u32) -> Option<Short> {
    let digits = line_up_16(u128::from_le_bytes(bytes), len)?;
    let (first, last) = (eight_digits(digits.word as u64), eight_digits((digits.word >> 64) as u64));
    Some(digits.number(first * 100_000_000 + last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Decimal;
    use proptest::prelude::*;

    /// The same byte by byte.
    fn slowly(text: &[u8]) -> Option<Short> {
        let form = text.strip_prefix(b"-").unwrap_or(text);
        let points = form.iter().filter(|&&byte| byte == b'.').count();
        let digits = form.iter().filter(|byte| byte.is_ascii_digit()).count();
        if points > 1 || digits == 0 || digits + points != form.len() {
            return None;
        }
        let mantissa = form.iter().filter(|&&byte| byte != b'.').fold(0, |all, byte| 10 * all + i64::from(byte - b'0'));
        let scale = form.iter().rev().position(|&byte| byte == b'.').unwrap_or(0) as u8;
        Some(Short {
            mantissa: if form.len() < text.len() { -mantissa } else { mantissa },
            scale,
            has_point: points == 1,
        })
    }

    /// Mostly numbers, some broken.
    fn text(least: usize, most: usize) -> impl Strategy<Value = Vec<u8>> {
        let digit = || prop_oneof![Just(b'0'), Just(b'9'), b'0'..=b'9'];
        let byte = prop_oneof![30 => digit(), 1 => Just(b'.'), 1 => Just(b'-'), 1 => any::<u8>()];
        let point = prop::option::of(any::<prop::sample::Index>());
        (any::<bool>(), prop::collection::vec(byte, least..=most), point).prop_map(
            move |(negative, mut bytes, point)| {
                if negative {
                    bytes.insert(0, b'-');
                }
                if let Some(at) = point {
                    let at = at.index(bytes.len());
                    bytes[at] = b'.';
                }
                bytes.truncate(most);
                bytes
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn eight_bytes(text in text(1, 8), behind in any::<[u8; 8]>()) {
            let mut bytes = behind;
            bytes[..text.len()].copy_from_slice(&text);
            prop_assert_eq!(read_8(bytes, text.len() as u32), slowly(&text));
        }

        #[test]
        fn sixteen_bytes(text in text(9, 16), behind in any::<[u8; 16]>()) {
            let mut bytes = behind;
            bytes[..text.len()].copy_from_slice(&text);
            let read = read_16(bytes, text.len() as u32);
            prop_assert_eq!(read, slowly(&text));
            if let Some(Short { mantissa, scale, .. }) = read {
                prop_assert_eq!(Decimal::parse(&text), Ok(Decimal { mantissa: mantissa.into(), scale }));
            }
        }
    }

    #[test]
    fn every_short_text_of_few_bytes() {
        let alphabet = *b"-.05:\0\x1e\xae";
        for len in 1..=5 {
            for mut number in 0..alphabet.len().pow(len) {
                let mut bytes = [b'7'; 24];
                for byte in &mut bytes[8..][..len as usize] {
                    *byte = alphabet[number % alphabet.len()];
                    number /= alphabet.len();
                }
                let text = &bytes[8..][..len as usize];
                assert_eq!(read_8(*bytes[8..].first_chunk().unwrap(), len), slowly(text), "{text:?}");
                let text = &bytes[..8 + len as usize];
                assert_eq!(read_16(*bytes.first_chunk().unwrap(), 8 + len), slowly(text), "{text:?}");
            }
        }
    }
}
