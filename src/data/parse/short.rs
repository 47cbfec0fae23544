//! Numbers of up to 16 bytes, read in a word: sign, digits, and a point among them.
//!
//! ```text
//! "-12.3" and what lies behind it    - 1 2 . 3 ? ? ?
//! without the sign, at the end       0 0 0 0 1 2 . 3
//! the point taken out                0 0 0 0 0 1 2 3     scale 1
//! pairs, fours, eights added up      123
//! ```
//!
//! Every step is arithmetic on all bytes at once (Langdale and Lemire, Parsing Gigabytes of JSON per Second, 2019, for
//! the last), so that values of mixed lengths and scales cost no branch that the processor mispredicts. What isn't of
//! this form (spaces, a plus, an exponent, an error) is `None`, and read byte by byte elsewhere.

/// A number of at most 16 digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Short {
    pub mantissa: i64,
    pub scale: u8,
    /// Also one with no digit behind it.
    pub has_point: bool,
}

/// Writes a function that lines the digits up at the end of a word, without sign and point. It returns them as values
/// 0 to 9, the scale, whether there is a point, and whether the number is negative.
macro_rules! line_up {
    ($name:ident, $word:ty) => {
        #[inline(always)]
        fn $name(word: $word, len: u32) -> Option<($word, u8, bool, bool)> {
            const BYTES: u32 = <$word>::BITS / 8;
            const EACH: $word = <$word>::MAX / 255;
            const HIGH: $word = EACH * 0x80;
            // A byte above 9 sets its high bit, and may carry into bytes above it. So the lowest is known for sure.
            let above_nine = |bytes: $word| (bytes.wrapping_add(EACH * 0x76) | bytes) & HIGH;

            let negative = word as u8 == b'-';
            let len = len - u32::from(negative);
            let word = word >> (8 * u32::from(negative));
            // "-" alone would be shifted by the whole width, which wraps. It is refused below.
            let bytes = (word ^ EACH * 0x30).wrapping_shl(8 * (BYTES - len));

            let other = above_nine(bytes);
            // 1 in the byte of the point, or 0 if all are digits.
            let point = (other & other.wrapping_neg()) >> 7;
            let has_point = point != 0;
            let at_point = point.wrapping_mul(0xff);
            let below = point.wrapping_sub(1);
            let is_point = bytes & at_point == point.wrapping_mul(<$word>::from(b'.' ^ b'0'));
            let digits = bytes & !(below | at_point) | (bytes & below) << (8 * u32::from(has_point));

            // The point's distance from the end. Without one `trailing_zeros` is the width, and the rest makes it 0.
            let scale = (BYTES - 1 + u32::from(!has_point)) - point.trailing_zeros() / 8;
            let is_number = is_point & (above_nine(digits) == 0) & (len > u32::from(has_point));
            is_number.then_some((digits, scale as u8, has_point, negative))
        }
    };
}

line_up!(line_up_8, u64);
line_up!(line_up_16, u128);

/// The number that eight digits make, the first in the lowest byte.
#[inline(always)]
fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

#[inline(always)]
fn signed(size: u64, negative: bool) -> i64 {
    if negative { -(size as i64) } else { size as i64 }
}

/// The number that the first `len` bytes are, 1 to 8. The others may be anything.
#[inline(always)]
pub fn read_8(bytes: [u8; 8], len: u32) -> Option<Short> {
    let (digits, scale, has_point, negative) = line_up_8(u64::from_le_bytes(bytes), len)?;
    Some(Short { mantissa: signed(eight_digits(digits), negative), scale, has_point })
}

/// The number that the first `len` bytes are, 1 to 16. The others may be anything.
#[inline(always)]
pub fn read_16(bytes: [u8; 16], len: u32) -> Option<Short> {
    let (digits, scale, has_point, negative) = line_up_16(u128::from_le_bytes(bytes), len)?;
    let size = eight_digits(digits as u64) * 100_000_000 + eight_digits((digits >> 64) as u64);
    Some(Short { mantissa: signed(size, negative), scale, has_point })
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
    fn text(most: usize) -> impl Strategy<Value = Vec<u8>> {
        let digit = || prop_oneof![Just(b'0'), Just(b'9'), b'0'..=b'9'];
        let byte = prop_oneof![30 => digit(), 1 => Just(b'.'), 1 => Just(b'-'), 1 => any::<u8>()];
        let point = prop::option::of(any::<prop::sample::Index>());
        (any::<bool>(), prop::collection::vec(byte, 0..=most), point).prop_map(move |(negative, mut bytes, point)| {
            if negative {
                bytes.insert(0, b'-');
            }
            if let Some(at) = point.filter(|_| !bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] = b'.';
            }
            bytes.truncate(most);
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn eight_bytes(text in text(8), behind in any::<[u8; 8]>()) {
            prop_assume!(!text.is_empty());
            let mut bytes = behind;
            bytes[..text.len()].copy_from_slice(&text);
            prop_assert_eq!(read_8(bytes, text.len() as u32), slowly(&text));
        }

        #[test]
        fn sixteen_bytes(text in text(16), behind in any::<[u8; 16]>()) {
            prop_assume!(!text.is_empty());
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
        let alphabet = *b"-.05:\0";
        for len in 1..=5u32 {
            for mut number in 0..alphabet.len().pow(len) {
                let mut bytes = [b'7'; 16];
                for byte in &mut bytes[..len as usize] {
                    *byte = alphabet[number % alphabet.len()];
                    number /= alphabet.len();
                }
                let expected = slowly(&bytes[..len as usize]);
                assert_eq!(read_8(*bytes.first_chunk().unwrap(), len), expected, "{:?}", &bytes[..len as usize]);
                assert_eq!(read_16(bytes, len), expected);
            }
        }
    }
}
