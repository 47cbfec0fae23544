//! Decimals: exact numbers of up to 38 digits, `mantissa / 10^scale`.
//!
//! A number may have several forms (1.0 and 1.00). Equality, order, hash and the written text depend on the number and
//! not on its form. Arithmetic is in `arithmetic.rs`, reading in [`parse`](super::parse).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::buffer::Buffer;
use super::wide::Wide;

/// The most digits that a decimal can have, and the most digits after its point.
pub const DIGITS: u32 = 38;

/// The magnitude of every mantissa is less than this.
pub const LIMIT: i128 = power(DIGITS);

const POWERS: [i128; DIGITS as usize + 1] = {
    let mut powers = [1; DIGITS as usize + 1];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = 10 * powers[i - 1];
        i += 1;
    }
    powers
};

/// Returns 10^`exponent`. The exponent is at most [`DIGITS`].
#[inline]
pub const fn power(exponent: u32) -> i128 {
    POWERS[exponent as usize]
}

/// An exact number, `mantissa / 10^scale`. The same number may have several forms.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// The magnitude is less than 10^38.
    pub mantissa: i128,
    /// At most 38.
    pub scale: u8,
}

impl Decimal {
    pub const ZERO: Decimal = Decimal { mantissa: 0, scale: 0 };

    /// Returns the form without zeros at the end of the fraction. Equal numbers have the same such form.
    pub fn normalised(self) -> Self {
        let Decimal { mantissa, mut scale } = self;
        if scale == 0 {
            return self;
        }
        if mantissa == 0 {
            return Self::ZERO;
        }
        if let Ok(mut narrow) = i64::try_from(mantissa) {
            while scale > 0 && narrow % 10 == 0 {
                (narrow, scale) = (narrow / 10, scale - 1);
            }
            return Decimal { mantissa: narrow.into(), scale };
        }
        let mut mantissa = mantissa;
        for step in [32, 16, 8, 4, 2, 1] {
            if scale >= step && mantissa % power(step.into()) == 0 {
                (mantissa, scale) = (mantissa / power(step.into()), scale - step);
            }
        }
        Decimal { mantissa, scale }
    }

    /// Whether the number has no fraction.
    pub fn is_whole(self) -> bool {
        self.mantissa % power(self.scale.into()) == 0
    }

    /// Returns the nearest double, ties to even.
    pub fn to_f64(self) -> f64 {
        // Doubles hold mantissa and power without loss, so the quotient is rounded only once.
        if self.mantissa.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS && self.scale <= 22 {
            return self.mantissa as f64 / power(self.scale.into()) as f64;
        }
        // The divisor has at most 127 bits.
        Wide::<4>::unsigned(self.mantissa.unsigned_abs())
            .ratio(&Wide::unsigned(power(self.scale.into()) as u128), self.mantissa < 0)
    }

    /// Compares with a double exactly. NaN is greater than every number, as in
    /// [`float::compare`](super::float::compare).
    pub fn compare_f64(self, other: f64) -> Ordering {
        // Rounding keeps the order. So the nearest double decides, unless it equals `other`.
        let nearest = self.to_f64();
        if nearest != other {
            return nearest.partial_cmp(&other).unwrap_or(Ordering::Less);
        }
        if self.mantissa == 0 {
            return Ordering::Equal;
        }
        // 10^-38 <= |other| <= 10^38. So 2^down has at most 180 bits. Each side has at most 53 + 127 bits, or as many
        // bits as the other side, which is nearly equal.
        let bits = other.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as i32 - 1075;
        let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
        let (up, down) = (exponent.max(0).unsigned_abs(), exponent.min(0).unsigned_abs());
        let own = Wide::<5>::unsigned(self.mantissa.unsigned_abs()).shifted_up(down);
        let other = Wide::unsigned(mantissa.into()).shifted_up(up).times_power_of_ten(self.scale.into());
        match self.mantissa < 0 {
            true => other.compare(&own),
            false => own.compare(&other),
        }
    }

    /// Appends the number in plain notation, without zeros at the end of the fraction: `-1.5`, `20`, `0.001`.
    #[inline]
    pub fn write(self, out: &mut Buffer) {
        match u64::try_from(self.mantissa) {
            // Most counts are small.
            Ok(number @ ..=9) if self.scale == 0 => out.push(b'0' + number as u8),
            Ok(number) if self.scale == 0 => out.extend(itoa::Buffer::new().format(number).as_bytes()),
            _ => self.write_any(out),
        }
    }

    #[inline(never)]
    fn write_any(self, out: &mut Buffer) {
        let mut buffer = itoa::Buffer::new();
        let size = self.mantissa.unsigned_abs();
        let digits = match u64::try_from(size) {
            Ok(size) => buffer.format(size),
            Err(_) => buffer.format(size),
        };
        let scale = usize::from(self.scale);
        let (whole, fraction) = match digits.len().checked_sub(scale) {
            None | Some(0) => ("0", digits),
            Some(whole) => digits.split_at(whole),
        };
        let zeros = scale.saturating_sub(digits.len());
        let fraction = match scale {
            0 => "",
            _ => fraction.trim_end_matches('0'),
        };
        if self.mantissa < 0 {
            out.push(b'-');
        }
        out.extend(whole.as_bytes());
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend(&[b'0'; DIGITS as usize][..zeros]);
            out.extend(fraction.as_bytes());
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Buffer::default();
        self.write(&mut out);
        f.pad(std::str::from_utf8(out.as_slice()).expect("digits"))
    }
}

impl From<u64> for Decimal {
    fn from(number: u64) -> Self {
        Decimal { mantissa: number.into(), scale: 0 }
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Decimal { mantissa: number.into(), scale: 0 }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        /// Compares `a / 10^(scale - by)` with `b / 10^scale`.
        fn scaled(a: i128, by: u8, b: i128) -> Ordering {
            match a.checked_mul(power(by.into())) {
                Some(a) => a.cmp(&b),
                // The product doesn't fit 128 bits, so its magnitude exceeds any mantissa's and its sign decides.
                None => a.cmp(&0),
            }
        }
        match self.scale.cmp(&other.scale) {
            Ordering::Equal => self.mantissa.cmp(&other.mantissa),
            Ordering::Less => scaled(self.mantissa, other.scale - self.scale, other.mantissa),
            Ordering::Greater => scaled(other.mantissa, self.scale - other.scale, self.mantissa).reverse(),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Decimal { mantissa, scale } = self.normalised();
        (mantissa, scale).hash(state);
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    /// Decimals of any size and scale, often with zeros at the end, often near a limit.
    pub fn decimal() -> impl Strategy<Value = Decimal> {
        let mantissa = prop_oneof![
            any::<i128>().prop_map(|mantissa| mantissa % LIMIT),
            (any::<i128>(), 0u32..39).prop_map(|(mantissa, digits)| mantissa % power(digits)),
            (-20i128..20, 0u32..37).prop_map(|(mantissa, zeros)| mantissa * power(zeros)),
            (0i128..4).prop_map(|below| LIMIT - 1 - below),
        ];
        (mantissa, prop_oneof![0u8..4, 0u8..=38]).prop_map(|(mantissa, scale)| Decimal { mantissa, scale })
    }

    /// Returns the number times 10^38.
    pub fn big(number: Decimal) -> BigInt {
        BigInt::from(number.mantissa) * BigInt::from(power(38 - u32::from(number.scale)))
    }

    fn hash(number: Decimal) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        number.hash(&mut hasher);
        hasher.finish()
    }

    proptest! {
        #[test]
        fn compares_by_value(a in decimal(), b in decimal()) {
            prop_assert_eq!(a.cmp(&b), big(a).cmp(&big(b)));
        }

        #[test]
        fn normal_forms_are_equal(a in decimal(), zeros in 0u8..39) {
            let normal = a.normalised();
            prop_assert_eq!(big(normal), big(a));
            prop_assert!(normal.scale == 0 || normal.mantissa % 10 != 0);
            prop_assert_eq!(a.is_whole(), normal.scale == 0);
            let more = normal.mantissa.checked_mul(power(zeros.into())).filter(|more| more.abs() < LIMIT);
            if let (Some(mantissa), scale @ ..=38) = (more, normal.scale + zeros) {
                let other = Decimal { mantissa, scale };
                prop_assert_eq!(other, a);
                prop_assert_eq!(hash(other), hash(a));
            }
        }

        #[test]
        fn is_written_as_it_is_read(a in decimal()) {
            let text = a.to_string();
            let normal = a.normalised();
            let read = Decimal::parse(text.as_bytes()).unwrap();
            prop_assert_eq!((read.mantissa, read.scale), (normal.mantissa, normal.scale));
            prop_assert!(!text.contains('.') || !text.ends_with(['0', '.']), "{}", text);
        }

        #[test]
        fn the_nearest_double_is_that_of_its_text(a in decimal()) {
            prop_assert_eq!(a.to_f64(), a.to_string().parse::<f64>().unwrap());
        }

        #[test]
        fn compares_with_doubles(a in decimal(), other in any::<f64>(), steps in -2i64..3) {
            let near = a.to_f64();
            let near = if near == 0.0 { near } else { f64::from_bits(near.to_bits().wrapping_add_signed(steps)) };
            for other in [other, near] {
                // Every double is a multiple of 2^-1074, and every decimal is a multiple of 10^-38.
                let bits = other.to_bits();
                let (exponent, fraction) = (bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
                let whole = BigInt::from(if exponent == 0 { fraction } else { fraction | 1 << 52 }) << (exponent.max(1) - 1);
                let whole = if other < 0.0 { -whole } else { whole };
                let expected = (big(a) << 1074u32).cmp(&(whole * BigInt::from(LIMIT)));
                prop_assert_eq!(a.compare_f64(other), expected, "{} {}", a, other);
            }
        }
    }

    #[test]
    fn writes_plain_notation() {
        let write = |mantissa, scale| Decimal { mantissa, scale }.to_string();
        assert_eq!(write(150, 2), "1.5");
        assert_eq!(write(200, 2), "2");
        assert_eq!(write(-200, 0), "-200");
        assert_eq!(write(0, 5), "0");
        assert_eq!(write(-5, 3), "-0.005");
        assert_eq!(write(1, 38), format!("0.{}1", "0".repeat(37)));
        assert_eq!(write(1 - LIMIT, 38), format!("-0.{}", "9".repeat(38)));
        assert_eq!(Decimal::from(u64::MAX).to_string(), u64::MAX.to_string());
        assert_eq!(Decimal::from(i64::MIN).to_string(), i64::MIN.to_string());
    }

    #[test]
    fn a_tenth_is_less_than_the_double_that_is_written_so() {
        let tenth = Decimal { mantissa: 1, scale: 1 };
        assert_eq!(tenth.compare_f64(0.1), Ordering::Less);
        assert_eq!(Decimal { mantissa: 5, scale: 1 }.compare_f64(0.5), Ordering::Equal);
        assert_eq!(Decimal::ZERO.compare_f64(-0.0), Ordering::Equal);
        assert_eq!(tenth.compare_f64(f64::NAN), Ordering::Less);
        assert_eq!(tenth.compare_f64(f64::NEG_INFINITY), Ordering::Greater);
    }
}
