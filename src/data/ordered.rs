//! Numbers as bytes that sort as the numbers do, for keys and sort keys. Equal numbers have equal bytes. No encoding is
//! a prefix of another, so other bytes may follow it.
//!
//! ```text
//! decimal    80 + n · whole part, n bytes, big-endian · fraction, two digits a byte, plus 1 · 00
//!            a negative number: the bytes of its magnitude, complemented
//! float      8 bytes, big-endian: the bits with the sign flipped, or all bits flipped if the value is negative
//!
//! 0          80 00
//! 300        82 01 2c 00
//! 1.5        81 01 33 00
//! -1         7e fe ff
//! ```
//!
//! The first byte of a decimal lies between 6F and 90. The first byte of a float may be any byte.

use super::buffer::Buffer;
use super::decimal::{DIGITS, Decimal, LIMIT, power};

/// First byte of a decimal that isn't negative and has no whole part.
const POSITIVE: u8 = 0x80;

/// Appends a decimal.
#[inline]
pub fn put_decimal(out: &mut Buffer, number: Decimal) {
    match u64::try_from(number.mantissa) {
        Ok(whole) if number.scale == 0 => put_whole(out, whole),
        _ => put_any(out, number),
    }
}

/// Appends a whole number, encoded as a decimal.
#[inline]
pub fn put_whole(out: &mut Buffer, number: u64) {
    let len = 8 - number.leading_zeros() as usize / 8;
    let slack = out.slack();
    slack[0] = POSITIVE + len as u8;
    // The number is shifted to the front of its eight bytes. The bytes behind it are 0; the first of them ends the
    // number.
    slack[1..9].copy_from_slice(&number.unbounded_shl(64 - 8 * len as u32).to_be_bytes());
    slack[9] = 0;
    out.advance(len + 2);
}

#[inline(never)]
fn put_any(out: &mut Buffer, number: Decimal) {
    let Decimal { mantissa, scale } = number.normalised();
    let start = out.len();
    let unit = power(scale.into()).unsigned_abs();
    let (whole, mut fraction) = (mantissa.unsigned_abs() / unit, mantissa.unsigned_abs() % unit);
    let len = 16 - whole.leading_zeros() as usize / 8;
    out.push(POSITIVE + len as u8);
    out.extend(&whole.to_be_bytes()[16 - len..]);
    let mut unit = unit;
    while fraction > 0 {
        // If the number of digits is odd, the last pair is the last digit and a 0.
        let (pair, rest) = match unit {
            10 => (fraction * 10, 0),
            _ => (fraction / (unit / 100), fraction % (unit / 100)),
        };
        out.push(pair as u8 + 1);
        (fraction, unit) = (rest, unit / 100);
    }
    out.push(0);
    if mantissa < 0 {
        complement(&mut out.as_mut_slice()[start..]);
    }
}

fn complement(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

/// Reads a decimal from the front of `bytes`, in normal form. Returns the decimal and the bytes behind it, or `None` if
/// `bytes` don't begin with a decimal.
pub fn get_decimal(bytes: &[u8]) -> Option<(Decimal, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let (flip, negative) = if first < POSITIVE { (0xff, true) } else { (0, false) };
    let len = usize::from((first ^ flip) - POSITIVE);
    if len > 16 {
        return None;
    }
    let (whole, behind) = rest.split_at_checked(len)?;
    rest = behind;
    let whole = whole.iter().fold(0u128, |whole, byte| whole << 8 | u128::from(byte ^ flip));
    let mut mantissa = i128::try_from(whole).ok().filter(|&whole| whole < LIMIT)?;
    let mut scale = 0;
    loop {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        let Some(pair) = (byte ^ flip).checked_sub(1) else { break };
        let next = rest.first()? ^ flip;
        // The last pair may stand for one digit, and it isn't 0.
        let (digits, pair) = if next == 0 && pair % 10 == 0 { (1, pair / 10) } else { (2, pair) };
        scale += digits;
        if pair > 99 || pair == 0 && next == 0 || scale > DIGITS {
            return None;
        }
        mantissa =
            mantissa.checked_mul(power(digits))?.checked_add(pair.into()).filter(|&mantissa| mantissa < LIMIT)?;
    }
    Some((Decimal { mantissa: if negative { -mantissa } else { mantissa }, scale: scale as u8 }, rest))
}

/// Appends a float. -0 is encoded as 0, and NaN sorts after all other values.
#[inline]
pub fn put_float(out: &mut Buffer, value: f64) {
    let bits = super::float::canonical(value).to_bits();
    let flip = (bits.cast_signed() >> 63).cast_unsigned() | 1 << 63;
    out.extend(&(bits ^ flip).to_be_bytes());
}

/// Reads a float from the front of `bytes`. Returns the float and the bytes behind it, or `None` if there are fewer
/// than eight bytes.
pub fn get_float(bytes: &[u8]) -> Option<(f64, &[u8])> {
    let (bytes, rest) = bytes.split_first_chunk()?;
    let bits = u64::from_be_bytes(*bytes);
    let flip = !(bits.cast_signed() >> 63).cast_unsigned() | 1 << 63;
    Some((f64::from_bits(bits ^ flip), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::decimal::tests::decimal;
    use crate::data::float;
    use proptest::prelude::*;

    fn bytes(number: Decimal) -> Vec<u8> {
        let mut out = Buffer::default();
        // The slack may hold any bytes.
        out.slack().fill(0xaa);
        put_decimal(&mut out, number);
        out.as_slice().to_vec()
    }

    fn float_bytes(value: f64) -> Vec<u8> {
        let mut out = Buffer::default();
        put_float(&mut out, value);
        out.as_slice().to_vec()
    }

    proptest! {
        #[test]
        fn decimals_sort(a in decimal(), b in decimal()) {
            prop_assert_eq!(bytes(a).cmp(&bytes(b)), a.cmp(&b));
            prop_assert!(a == b || !bytes(a).starts_with(&bytes(b)));
        }

        #[test]
        fn near_decimals_sort(a in decimal(), off in -100i128..100) {
            let b = Decimal { mantissa: (a.mantissa + off) % LIMIT, ..a };
            prop_assert_eq!(bytes(a).cmp(&bytes(b)), a.cmp(&b));
        }

        #[test]
        fn whole_numbers_sort(a in any::<u64>(), b in any::<u64>(), drop_a in 0u32..64, drop_b in 0u32..64) {
            let (a, b): (u64, u64) = (a >> drop_a, b >> drop_b);
            prop_assert_eq!(bytes(Decimal::from(a)).cmp(&bytes(Decimal::from(b))), a.cmp(&b));
            let as_any = { let mut out = Buffer::default(); put_any(&mut out, a.into()); out.as_slice().to_vec() };
            prop_assert_eq!(bytes(a.into()), as_any);
        }

        #[test]
        fn decimals_come_back(a in decimal(), behind in prop::collection::vec(any::<u8>(), 0..3)) {
            let normal = a.normalised();
            let (back, rest) = get_decimal(&[bytes(a), behind.clone()].concat()).map(|(a, rest)| (a, rest.to_vec())).unwrap();
            prop_assert_eq!((back.mantissa, back.scale), (normal.mantissa, normal.scale));
            prop_assert_eq!(rest, behind);
            let whole = bytes(a);
            (0..whole.len()).for_each(|len| assert!(get_decimal(&whole[..len]).is_none()));
        }

        #[test]
        fn any_bytes_are_a_decimal_or_not(bytes in prop::collection::vec(any::<u8>(), 0..30), first in 0x6e_u8..0x92) {
            if let Some((number, _)) = get_decimal(&[&[first][..], &bytes].concat()) {
                prop_assert!(number.mantissa.abs() < LIMIT && number.scale <= 38);
            }
        }

        #[test]
        fn floats_sort_and_come_back(a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            prop_assert_eq!(float_bytes(a).cmp(&float_bytes(b)), float::compare(a, b));
            let bytes = float_bytes(a);
            let (back, rest) = get_float(&bytes).unwrap();
            prop_assert_eq!(back.to_bits(), float::canonical(a).to_bits());
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn bytes_are_as_drawn() {
        let parse = |text: &str| bytes(Decimal::parse(text.as_bytes()).unwrap());
        assert_eq!(parse("0"), [0x80, 0]);
        assert_eq!(parse("300"), [0x82, 1, 0x2c, 0]);
        assert_eq!(parse("1.50"), [0x81, 1, 51, 0]);
        assert_eq!(parse("0.005"), [0x80, 1, 51, 0]);
        assert_eq!(parse("-1"), [0x7e, 0xfe, 0xff]);
        assert_eq!(bytes(u64::MAX.into()).len(), 10);
    }

    #[test]
    fn special_floats_sort() {
        let values = [f64::NEG_INFINITY, f64::MIN, -1.0, -f64::from_bits(1), 0.0, f64::from_bits(1), 1.0, f64::MAX];
        let mut last = Vec::new();
        for value in values.into_iter().chain([f64::INFINITY, f64::NAN]) {
            let next = float_bytes(value);
            assert!(last < next, "{value}");
            last = next;
        }
        assert_eq!(float_bytes(-0.0), float_bytes(0.0));
    }
}
