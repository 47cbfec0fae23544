//! Integers of several words, for numbers that don't fit 128 bits: exact sums, exact products, and quotients that are
//! rounded once.
//!
//! A [`Wide`] is `N` words, least significant first. Sums read the words as two's complement. Products and quotients
//! work on magnitudes and read the words as unsigned. Each caller chooses `N` so that nothing overflows, and says why.

use std::cmp::Ordering;

use super::decimal::power;

/// An integer of `N` words, least significant first, signed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide<const N: usize>(pub [u64; N]);

impl<const N: usize> Wide<N> {
    pub const ZERO: Self = Wide([0; N]);

    pub fn signed(number: i128) -> Self {
        let mut words = [if number < 0 { u64::MAX } else { 0 }; N];
        (words[0], words[1]) = (number as u64, (number >> 64) as u64);
        Wide(words)
    }

    pub fn unsigned(number: u128) -> Self {
        let mut words = [0; N];
        (words[0], words[1]) = (number as u64, (number >> 64) as u64);
        Wide(words)
    }

    /// Reads a number that [`put`](Self::put) wrote in `8 * N` bytes.
    pub fn get(bytes: &[u8]) -> Self {
        debug_assert_eq!(bytes.len(), 8 * N);
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        }
        Wide(words)
    }

    /// Writes the number in `8 * N` bytes, least significant first.
    pub fn put(&self, out: &mut [u8]) {
        debug_assert_eq!(out.len(), 8 * N);
        for (bytes, word) in out.chunks_exact_mut(8).zip(self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }

    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub fn is_negative(&self) -> bool {
        self.0[N - 1] >> 63 == 1
    }

    /// Returns whether the number is negative, and its magnitude as an unsigned number.
    pub fn magnitude(self) -> (bool, Self) {
        match self.is_negative() {
            true => (true, Wide(self.0.map(|word| !word)).plus(&Self::unsigned(1))),
            false => (false, self),
        }
    }

    /// Returns the sum, modulo 2^(64 N).
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        let mut carry = false;
        for (word, &other) in self.0.iter_mut().zip(&other.0) {
            (*word, carry) = word.carrying_add(other, carry);
        }
        self
    }

    /// Returns the difference, modulo 2^(64 N).
    #[must_use]
    pub fn minus(mut self, other: &Self) -> Self {
        let mut borrow = false;
        for (word, &other) in self.0.iter_mut().zip(&other.0) {
            (*word, borrow) = word.borrowing_sub(other, borrow);
        }
        self
    }

    /// Returns the product, modulo 2^(64 N). The number may be signed or unsigned.
    #[must_use]
    pub fn times(mut self, factor: u64) -> Self {
        let mut carry = 0;
        for word in &mut self.0 {
            let product = u128::from(*word) * u128::from(factor) + carry;
            *word = product as u64;
            carry = product >> 64;
        }
        self
    }

    /// Returns the number times 10^`exponent`, modulo 2^(64 N).
    #[must_use]
    pub fn times_power_of_ten(mut self, mut exponent: u32) -> Self {
        while exponent > 0 {
            let step = exponent.min(19);
            self = self.times(power(step) as u64);
            exponent -= step;
        }
        self
    }

    /// Returns the number of bits up to the highest that is set.
    pub fn bits(&self) -> u32 {
        let top = self.0.iter().rposition(|&word| word != 0);
        top.map_or(0, |top| 64 * top as u32 + 64 - self.0[top].leading_zeros())
    }

    /// Returns the number shifted up by `by` bits, fewer than 64 N. Bits that leave at the top are lost.
    #[must_use]
    pub fn shifted_up(self, by: u32) -> Self {
        let (words, bits) = ((by / 64) as usize, by % 64);
        let mut shifted = Self::ZERO;
        for i in words..N {
            let low = if i > words { self.0[i - words - 1] } else { 0 };
            shifted.0[i] =
                (u128::from(self.0[i - words]) << 64 | u128::from(low)).wrapping_shl(bits).wrapping_shr(64) as u64;
        }
        shifted
    }

    fn halved(mut self) -> Self {
        let mut above = 0;
        for word in self.0.iter_mut().rev() {
            (*word, above) = (*word >> 1 | above << 63, *word & 1);
        }
        self
    }

    /// Divides by a word that isn't 0, in place. Returns the remainder.
    pub fn divide_by(&mut self, divisor: u64) -> u64 {
        let mut remainder = 0;
        for word in self.0.iter_mut().rev() {
            if remainder == 0 && *word == 0 {
                continue;
            }
            let part = u128::from(remainder) << 64 | u128::from(*word);
            *word = (part / u128::from(divisor)) as u64;
            remainder = (part % u128::from(divisor)) as u64;
        }
        remainder
    }

    /// Returns quotient and remainder of unsigned numbers. The division takes one step for each bit of the quotient.
    /// Callers use it only for numbers that don't fit 128 bits.
    pub fn divide(self, divisor: &Self) -> (Self, Self) {
        debug_assert!(!divisor.is_zero());
        let (mut quotient, mut rest) = (Self::ZERO, self);
        let Some(steps) = self.bits().checked_sub(divisor.bits()) else { return (quotient, rest) };
        let mut part = divisor.shifted_up(steps);
        for bit in (0..=steps).rev() {
            if part.compare(&rest).is_le() {
                rest = rest.minus(&part);
                quotient.0[bit as usize / 64] |= 1 << (bit % 64);
            }
            part = part.halved();
        }
        (quotient, rest)
    }

    /// Compares as unsigned numbers.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }

    pub fn to_u128(self) -> Option<u128> {
        let fits = self.0[2..].iter().all(|&word| word == 0);
        fits.then(|| u128::from(self.0[1]) << 64 | u128::from(self.0[0]))
    }

    /// Returns the double nearest to this unsigned number times 2^`exponent`, ties to even, with a sign. `has_more`
    /// says that the true number is a little larger, by less than 1. With `has_more`, the number must have at least 55
    /// bits or the result must be subnormal.
    pub fn to_f64(self, negative: bool, exponent: i32, has_more: bool) -> f64 {
        // The 128 bits from the highest set bit down decide the result. Of the lower bits it only matters whether all
        // are 0.
        let drop = self.bits().saturating_sub(128);
        let (words, bits) = ((drop / 64) as usize, drop % 64);
        let word = |i: usize| self.0.get(words + i).copied().unwrap_or(0);
        let mut top = u128::from(word(1)) << 64 | u128::from(word(0));
        let mut has_more = has_more || self.0[..words].iter().any(|&word| word != 0);
        if bits > 0 {
            has_more |= word(0) << (64 - bits) != 0;
            top = top >> bits | u128::from(word(2)) << (128 - bits);
        }
        nearest(negative, top, exponent + drop as i32, has_more)
    }

    /// Returns the double nearest to the quotient of two unsigned numbers, ties to even, with a sign. The divisor isn't
    /// 0 and leaves 66 bits of the width free.
    pub fn ratio(self, divisor: &Self, negative: bool) -> f64 {
        let up = divisor.bits() as i32 + 66 - self.bits() as i32;
        debug_assert!(divisor.bits() as usize + 66 <= 64 * N);
        let (quotient, rest) = match up > 0 {
            true if self.is_zero() => return 0.0,
            true => self.shifted_up(up.unsigned_abs()).divide(divisor),
            false => self.divide(&divisor.shifted_up(up.unsigned_abs())),
        };
        quotient.to_f64(negative, -up, !rest.is_zero())
    }
}

/// Returns the double nearest to `number * 2^exponent`, or to a slightly larger number if `has_more`; ties to even.
fn nearest(negative: bool, number: u128, exponent: i32, has_more: bool) -> f64 {
    const DIGITS: i32 = f64::MANTISSA_DIGITS as i32;
    /// The exponents of the last bit of the least and of the greatest doubles.
    const LEAST: i32 = -1074;
    const GREATEST: i32 = 971;
    if number == 0 {
        return 0.0;
    }
    let bits = 128 - number.leading_zeros() as i32;
    let last = (exponent + bits - DIGITS).max(LEAST);
    let drop = last - exponent;
    let mut mantissa = match drop {
        ..=0 => (number << -drop) as u64,
        1..=128 => {
            let kept = number.unbounded_shr(drop as u32) as u64;
            let half = 1 << (drop - 1);
            let rest = number & (half | (half - 1));
            let up = rest > half || rest == half && (has_more || kept & 1 == 1);
            kept + u64::from(up)
        }
        // The number is less than half of the least double.
        _ => 0,
    };
    let mut last = last;
    if mantissa == 1 << DIGITS {
        (mantissa, last) = (mantissa >> 1, last + 1);
    }
    let sign = u64::from(negative) << 63;
    if last > GREATEST {
        return f64::from_bits(sign | f64::INFINITY.to_bits());
    }
    // A subnormal double has no leading bit, and its exponent field is 0 instead of 1.
    let biased = match mantissa >> (DIGITS - 1) {
        0 => 0,
        _ => (last - LEAST + 1) as u64,
    };
    f64::from_bits(sign | biased << (DIGITS - 1) | mantissa & ((1 << (DIGITS - 1)) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::{BigInt, BigUint, Sign};
    use proptest::prelude::*;

    fn unsigned<const N: usize>(wide: Wide<N>) -> BigUint {
        let mut bytes = vec![0; 8 * N];
        wide.put(&mut bytes);
        assert_eq!(Wide::get(&bytes), wide);
        BigUint::from_bytes_le(&bytes)
    }

    fn signed<const N: usize>(wide: Wide<N>) -> BigInt {
        let (negative, size) = wide.magnitude();
        BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, unsigned(size))
    }

    /// Numbers of any length, with runs of equal bits.
    fn wide<const N: usize>() -> impl Strategy<Value = Wide<N>> {
        let word = prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
        (prop::collection::vec(word, N), 0..64 * N as u32).prop_map(|(words, drop)| {
            let mut wide = Wide(words.try_into().expect("N words"));
            (0..drop).for_each(|_| wide = wide.halved());
            wide
        })
    }

    /// Does what `to_f64` does, by shifts of a number that may have any length.
    fn nearest_slowly(number: &BigUint, exponent: i32, has_more: bool) -> f64 {
        let number = (number << 2200u32) + u32::from(has_more);
        // The standard library rounds decimal text correctly: n * 2^e = n * 5^-e * 10^e.
        let exponent = exponent - 2200;
        let (digits, tens) = match exponent < 0 {
            true => (number * BigUint::from(5u32).pow(exponent.unsigned_abs()), exponent),
            false => (number << exponent as u32, 0),
        };
        format!("{digits}e{tens}").parse().expect("a number")
    }

    proptest! {
        #[test]
        fn calculates(a in wide::<5>(), b in wide::<5>(), factor in any::<u64>(), by in 0u32..320) {
            let modulus = BigUint::from(1u32) << 320u32;
            prop_assert_eq!(unsigned(a.plus(&b)), (unsigned(a) + unsigned(b)) % &modulus);
            prop_assert_eq!(unsigned(a.minus(&b)), (unsigned(a) + &modulus - unsigned(b)) % &modulus);
            prop_assert_eq!(unsigned(a.times(factor)), unsigned(a) * factor % &modulus);
            prop_assert_eq!(unsigned(a.shifted_up(by)), (unsigned(a) << by) % &modulus);
            prop_assert_eq!(u64::from(a.bits()), unsigned(a).bits());
            prop_assert_eq!(a.compare(&b), unsigned(a).cmp(&unsigned(b)));
            prop_assert_eq!(a.to_u128(), u128::try_from(unsigned(a)).ok());
            prop_assert_eq!(unsigned(a.times_power_of_ten(by % 77)), unsigned(a) * BigUint::from(10u32).pow(by % 77) % &modulus);
        }

        #[test]
        fn divides(a in wide::<5>(), b in wide::<5>(), word in 1..u64::MAX) {
            let mut quotient = a;
            prop_assert_eq!(BigUint::from(quotient.divide_by(word)), unsigned(a) % word);
            prop_assert_eq!(unsigned(quotient), unsigned(a) / word);
            prop_assume!(!b.is_zero());
            let (quotient, rest) = a.divide(&b);
            prop_assert_eq!(unsigned(quotient), unsigned(a) / unsigned(b));
            prop_assert_eq!(unsigned(rest), unsigned(a) % unsigned(b));
        }

        #[test]
        fn has_signs(a in any::<i128>(), b in any::<i128>(), factor in any::<u64>()) {
            let sum = Wide::<5>::signed(a).plus(&Wide::signed(b));
            prop_assert_eq!(signed(sum), BigInt::from(a) + BigInt::from(b));
            prop_assert_eq!(signed(Wide::<5>::signed(a).times(factor)), BigInt::from(a) * factor);
        }

        #[test]
        fn rounds_to_the_nearest_double(a in wide::<5>(), exponent in -1500i32..1100, more in any::<bool>()) {
            let more = more && a.bits() >= 55;
            let expected = nearest_slowly(&unsigned(a), exponent, more);
            prop_assert_eq!(a.to_f64(false, exponent, more).to_bits(), expected.to_bits());
            if expected != 0.0 {
                prop_assert_eq!(a.to_f64(true, exponent, more).to_bits(), (-expected).to_bits());
            }
        }

        #[test]
        fn rounds_what_lies_near_a_tie(odd in any::<u64>(), up in 1u32..200, off in -1i128..2, exponent in -1300i32..700) {
            // A number of 54 bits whose last is set lies on a tie. The number tested is equal, a little more or a
            // little less.
            let tie = Wide::<5>::unsigned(u128::from(odd >> 10 | 1 << 53 | 1)).shifted_up(up).plus(&Wide::signed(off));
            let expected = nearest_slowly(&unsigned(tie), exponent, false);
            prop_assert_eq!(tie.to_f64(false, exponent, false).to_bits(), expected.to_bits());
        }

        #[test]
        fn ratios_of_whole_doubles_are_as_the_processor_has_them(a in 0u64..1 << 53, b in 1u64..1 << 53) {
            let ratio = Wide::<5>::unsigned(a.into()).ratio(&Wide::unsigned(b.into()), false);
            prop_assert_eq!(ratio, a as f64 / b as f64);
        }

        #[test]
        fn ratios_by_powers_of_ten(a in wide::<5>(), scale in 0u32..58) {
            let ratio = a.ratio(&Wide::unsigned(1).times_power_of_ten(scale), true);
            let expected: f64 = format!("-{}e-{scale}", unsigned(a)).parse().expect("a number");
            prop_assert_eq!(ratio, expected);
        }
    }
}
