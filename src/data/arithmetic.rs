//! Arithmetic of decimals. Results are exact, or `None` if they need more than 38 digits. Only quotients are rounded.

use super::decimal::{DIGITS, Decimal, LIMIT, power};
use super::wide::Wide;

/// The least number of digits after the point, and of significant digits, in a rounded quotient that has room for them.
const QUOTIENT: u32 = 18;

impl Decimal {
    /// Returns `size / 10^scale` in normal form, with a sign. Returns `None` if that form has more than 38 digits.
    pub fn from_wide<const N: usize>(negative: bool, mut size: Wide<N>, mut scale: u32) -> Option<Decimal> {
        if size.is_zero() {
            return Some(Self::ZERO);
        }
        while scale > 0 {
            let mut tenth = size;
            if tenth.divide_by(10) != 0 {
                break;
            }
            (size, scale) = (tenth, scale - 1);
        }
        let size = size.to_u128().filter(|&size| size < LIMIT as u128)? as i128;
        (scale <= DIGITS).then_some(Decimal { mantissa: if negative { -size } else { size }, scale: scale as u8 })
    }

    fn from_size(negative: bool, size: u128, scale: u32) -> Option<Decimal> {
        match size < LIMIT as u128 && scale <= DIGITS {
            true => {
                let size = size as i128;
                Some(Decimal { mantissa: if negative { -size } else { size }, scale: scale as u8 })
            }
            false => Self::from_wide(negative, Wide::<2>::unsigned(size), scale),
        }
    }

    #[must_use]
    pub fn negated(self) -> Decimal {
        Decimal { mantissa: -self.mantissa, ..self }
    }

    /// Returns the sum, or `None` if it has more than 38 digits.
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        let scale = self.scale.max(other.scale);
        let at_scale = |number: Decimal| number.mantissa.checked_mul(power((scale - number.scale).into()));
        let sum = at_scale(self).zip(at_scale(other)).and_then(|(a, b)| a.checked_add(b));
        match sum {
            Some(sum) => Self::from_size(sum < 0, sum.unsigned_abs(), scale.into()),
            None => {
                // At this scale a number is below 10^76, which has 253 bits.
                let wide = |number: Decimal| {
                    Wide::<5>::signed(number.mantissa).times_power_of_ten(DIGITS - u32::from(number.scale))
                };
                let (negative, size) = wide(self).plus(&wide(other)).magnitude();
                Self::from_wide(negative, size, DIGITS)
            }
        }
    }

    /// Returns the difference, or `None` if it has more than 38 digits.
    pub fn checked_sub(self, other: Decimal) -> Option<Decimal> {
        self.checked_add(other.negated())
    }

    /// Returns the product, or `None` if it has more than 38 digits.
    pub fn checked_mul(self, other: Decimal) -> Option<Decimal> {
        let scale = u32::from(self.scale) + u32::from(other.scale);
        match self.mantissa.checked_mul(other.mantissa) {
            Some(product) => Self::from_size(product < 0, product.unsigned_abs(), scale),
            None => {
                // The product is below 10^76, which has 253 bits.
                let negative = (self.mantissa < 0) != (other.mantissa < 0);
                let (size, factor) = (Wide::<4>::unsigned(self.mantissa.unsigned_abs()), other.mantissa.unsigned_abs());
                let high = size.times((factor >> 64) as u64).shifted_up(64);
                Self::from_wide(negative, size.times(factor as u64).plus(&high), scale)
            }
        }
    }

    /// Returns the greatest multiple of `step` that isn't above the number. `step` is above 0. Returns `None` if the
    /// two need more than 38 digits between them.
    pub fn checked_floor(self, step: Decimal) -> Option<Decimal> {
        let scale = self.scale.max(step.scale);
        let at_scale = |number: Decimal| number.mantissa.checked_mul(power((scale - number.scale).into()));
        let (number, step) = (at_scale(self)?, at_scale(step)?);
        let floor = number.div_euclid(step).checked_mul(step)?;
        Self::from_size(floor < 0, floor.unsigned_abs(), scale.into())
    }

    /// Returns the quotient. It is exact if it has at most 38 digits. Otherwise it is rounded, half to even, to 18
    /// digits after the point: to more if zeros follow the point, so that 18 digits are significant, and to fewer if
    /// the whole part leaves less room. Returns `None` if `other` is zero or the whole part has more than 38 digits.
    pub fn checked_div(self, other: Decimal) -> Option<Decimal> {
        let (own, other) = (self.normalised(), other.normalised());
        if other.mantissa == 0 {
            return None;
        }
        let division = Division {
            size: own.mantissa.unsigned_abs(),
            divisor: other.mantissa.unsigned_abs(),
            scale: i32::from(own.scale) - i32::from(other.scale),
        };
        let negative = (own.mantissa < 0) != (other.mantissa < 0);
        let first = division.at(QUOTIENT);
        if let Some((size, true)) = first
            && let Some(quotient) = Self::from_size(negative, size, QUOTIENT)
        {
            return Some(quotient.normalised());
        }
        if division.ends()
            && let (quotient, rest) = division.wide(DIGITS)
            && rest.is_zero()
            && let Some(quotient) = Self::from_wide(negative, quotient, DIGITS)
        {
            return Some(quotient);
        }
        let mut scale = match first {
            Some((0, _)) => DIGITS,
            Some((quotient, _)) => 2 * QUOTIENT - (quotient.ilog10() + 1).min(QUOTIENT),
            None => QUOTIENT,
        };
        // A whole part of more than 20 digits leaves room for fewer than 18 others. A carry may take one more place.
        loop {
            if let Some((size, _)) = division.at(scale).filter(|&(size, _)| size < LIMIT as u128) {
                return Self::from_size(negative, size, scale).map(Decimal::normalised);
            }
            scale = scale.checked_sub(1)?;
        }
    }
}

/// The division `size / divisor / 10^scale`.
struct Division {
    size: u128,
    divisor: u128,
    scale: i32,
}

impl Division {
    /// Returns the quotient, rounded half to even to `digits` digits after the point, and whether it is exact. Returns
    /// `None` if it doesn't fit 128 bits.
    fn at(&self, digits: u32) -> Option<(u128, bool)> {
        let up = digits as i32 - self.scale;
        let tens = |by: i32| power(by.unsigned_abs()) as u128;
        let narrow = match up {
            0..=38 => self.size.checked_mul(tens(up)).map(|size| (size, self.divisor)),
            -38..0 => self.divisor.checked_mul(tens(up)).map(|divisor| (self.size, divisor)),
            _ => None,
        };
        let (quotient, is_exact, half) = match narrow {
            Some((size, divisor)) => {
                let (quotient, rest) = (size / divisor, size % divisor);
                (quotient, rest == 0, rest.cmp(&(divisor - rest)))
            }
            None => {
                let (quotient, rest) = self.wide(digits);
                let divisor = self.wide_divisor(digits);
                (quotient.to_u128()?, rest.is_zero(), rest.compare(&divisor.minus(&rest)))
            }
        };
        let goes_up = half.is_gt() || half.is_eq() && quotient % 2 == 1;
        Some((quotient.checked_add(goes_up.into())?, is_exact))
    }

    /// Returns quotient and remainder in units of 10^-`digits`. The size is below 10^38 and is multiplied by at most
    /// 10^76, so it needs 379 bits.
    fn wide(&self, digits: u32) -> (Wide<6>, Wide<6>) {
        let up = (digits as i32 - self.scale).max(0).unsigned_abs();
        Wide::unsigned(self.size).times_power_of_ten(up).divide(&self.wide_divisor(digits))
    }

    fn wide_divisor(&self, digits: u32) -> Wide<6> {
        let up = (self.scale - digits as i32).max(0).unsigned_abs();
        Wide::unsigned(self.divisor).times_power_of_ten(up)
    }

    /// Whether the quotient has finitely many digits: in lowest terms, its divisor has no prime factors but 2 and 5.
    fn ends(&self) -> bool {
        let mut rest = self.divisor >> self.divisor.trailing_zeros();
        while rest.is_multiple_of(5) {
            rest /= 5;
        }
        self.size.is_multiple_of(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::decimal::tests::{big, decimal};
    use num_bigint::BigInt;
    use proptest::prelude::*;

    fn parse(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    /// Returns `size / 10^scale`, computed with big integers.
    fn fitting(mut size: BigInt, mut scale: u32) -> Option<Decimal> {
        while scale > 0 && &size % 10 == BigInt::ZERO {
            (size, scale) = (size / 10, scale - 1);
        }
        let mantissa = i128::try_from(size).ok().filter(|size| size.abs() < LIMIT)?;
        (scale <= 38).then_some(Decimal { mantissa, scale: scale as u8 })
    }

    /// Returns the quotient by the rule as the docs state it.
    fn quotient(a: Decimal, b: Decimal) -> Option<Decimal> {
        let (a, b) = (big(a), big(b));
        if b == BigInt::ZERO {
            return None;
        }
        let negative = (a < BigInt::ZERO) != (b < BigInt::ZERO);
        let (a, b) = (BigInt::from(a.magnitude().clone()), BigInt::from(b.magnitude().clone()));
        let at = |scale: u32| (&a * BigInt::from(10).pow(scale), b.clone());
        let signed = |size: BigInt| if negative { -size } else { size };
        let (size, divisor) = at(38);
        if &size % &divisor == BigInt::ZERO
            && let Some(exact) = fitting(signed(size / divisor), 38)
        {
            return Some(exact);
        }
        let rounded = |scale| {
            let (size, divisor) = at(scale);
            let (quotient, rest) = (&size / &divisor, &size % &divisor);
            let half = (rest * 2u32).cmp(&divisor);
            let goes_up = half.is_gt() || half.is_eq() && quotient.bit(0);
            quotient + u32::from(goes_up)
        };
        let first = rounded(18);
        let digits = first.to_string().len() as u32;
        let most = match first == BigInt::ZERO {
            true => 38,
            false => 18 + 18u32.saturating_sub(digits),
        };
        (0..=most).rev().find_map(|scale| {
            let size = rounded(scale);
            (size < BigInt::from(LIMIT)).then(|| fitting(signed(size), scale).expect("38 digits"))
        })
    }

    proptest! {
        #[test]
        fn adds(a in decimal(), b in decimal()) {
            prop_assert_eq!(a.checked_add(b), fitting(big(a) + big(b), 38));
            prop_assert_eq!(a.checked_sub(b), fitting(big(a) - big(b), 38));
        }

        #[test]
        fn multiplies(a in decimal(), b in decimal()) {
            prop_assert_eq!(a.checked_mul(b), fitting(big(a) * big(b), 76));
        }

        #[test]
        fn divides(a in decimal(), b in decimal()) {
            prop_assert_eq!(a.checked_div(b), quotient(a, b));
        }

        #[test]
        fn divides_small_numbers(a in -9999i64..10000, b in -9999i64..10000, scale in 0u8..3) {
            let (a, b) = (Decimal { mantissa: a.into(), scale }, Decimal::from(b));
            prop_assert_eq!(a.checked_div(b), quotient(a, b));
        }

        #[test]
        fn a_product_divided_is_the_other_factor(a in decimal(), b in decimal()) {
            prop_assume!(b.mantissa != 0);
            if let Some(product) = a.checked_mul(b) {
                prop_assert_eq!(product.checked_div(b), Some(a));
            }
        }
    }

    #[test]
    fn quotients() {
        let divide = |a, b| parse(a).checked_div(parse(b)).map(|quotient| quotient.to_string());
        assert_eq!(divide("10", "4").as_deref(), Some("2.5"));
        assert_eq!(divide("1", "3").as_deref(), Some("0.333333333333333333"));
        assert_eq!(divide("-2", "3").as_deref(), Some("-0.666666666666666667"));
        assert_eq!(divide("1", "30").as_deref(), Some("0.0333333333333333333"));
        assert_eq!(divide("1", "1024").as_deref(), Some("0.0009765625"));
        assert_eq!(divide("1e36", "7").as_deref(), Some("142857142857142857142857142857142857.14"));
        assert_eq!(divide("0", "7").as_deref(), Some("0"));
        assert_eq!(divide("7", "0"), None);
        assert_eq!(divide("1e37", "1e-1"), None);
    }
}
