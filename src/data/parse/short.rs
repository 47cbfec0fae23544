//! Parses a number of up to 16 bytes (a sign, digits and a point) by arithmetic on one integer, without a loop over the
//! bytes.
//!
//! ```text
//! "-12.3" and what lies behind it     - 1 2 . 3 ? ? ?
//! at the end, as values               0 0 0 0 1 2 . 3     the sign is 0 as are the bytes in front
//! the point taken out                 0 0 0 0 0 1 2 3     scale 1
//! pairs, fours, eights added up       123
//! ```
//!
//! Every step is arithmetic on all bytes at once, so that values of mixed lengths and scales cost no branch that the
//! processor mispredicts. The last step follows Langdale and Lemire, Parsing Gigabytes of JSON per Second, 2019. A text
//! of another form (spaces, a plus, an exponent, an error) gives `None`, and the caller reads it byte by byte.

/// A number of at most 16 digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Short {
    pub mantissa: i64,
    pub scale: u8,
    /// True even if no digit follows the point.
    pub has_point: bool,
}

/// The digits of a text as values from 0 to 9, at the end of a word. The first digit is in the lowest byte of these.
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
            // The sign becomes 0, as a digit 0 does.
            let values = word ^ (EACH * 0x30 - <$word>::from(negative) * <$word>::from(b'0' - b'-'));
            // The shift is less than 64. The modulo lets the compiler know.
            let values = values << ((BITS - 8 * len) % 64);

            // This bit is clear in the values 0 to 9. It is set in the value that a point has become.
            let suspects = values & (EACH * 0x10);
            let has_point = suspects != 0;
            let point = suspects & suspects.wrapping_neg();
            // The point becomes 0 too.
            let values = values ^ ((point << 1) - (point >> 3));
            // The sum sets the high bit of a byte above 9, and of a point's byte above 0. It may carry into other
            // bytes, but then the number is refused anyway.
            let reach = EACH * 0x76 + (point >> 4) * 9;
            let others = (values.wrapping_add(reach) | values) & (EACH * 0x80);
            if others != 0 || len <= u32::from(negative) + u32::from(has_point) {
                return None;
            }
            // The bytes below the point move up by a byte. If there is no point, none moves.
            let below = values & ((point >> 4) - <$word>::from(has_point));
            let word = values + (below << 8) - below;
            let scale = (BITS - 1 - (suspects | 1 << (BITS - 1)).trailing_zeros()) / 8;
            Some(Digits { word, scale: scale as u8, has_point, negative })
        }
    };
}

line_up!(line_up_8, u64);
line_up!(line_up_16, u128);

/// Returns the number that eight digits make. The first digit is in the lowest byte.
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

/// Returns the number in the first `len` bytes, 1 to 8. The other bytes may be anything.
#[inline(always)]
pub fn read_8(bytes: [u8; 8], len: u32) -> Option<Short> {
    let digits = line_up_8(u64::from_le_bytes(bytes), len)?;
    Some(digits.number(eight_digits(digits.word)))
}

/// Returns the number in the first `len` bytes, 9 to 16. The other bytes may be anything.
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

    /// Reads the number byte by byte.
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

    /// Texts that are mostly numbers. Some are invalid.
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
