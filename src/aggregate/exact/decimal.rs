//! Exact sums of decimals.
//!
//! ```text
//! word 0, 1   a mantissa of 128 bits, two's complement, low word first
//! word 2      its scale in the low 8 bits; the number of values in the others
//! tail        40 bytes: a number of 320 bits, two's complement, in units of 10^-38
//! ```
//!
//! The window has the greatest scale that it has seen. Where a value doesn't fit it, what it holds goes to the tail and
//! it starts again. 2^56 values of less than 10^38 in units of 10^-38 have less than 2^(56 + 253) units.

use super::Overflow;
use crate::data::Decimal;
use crate::data::decimal::{DIGITS, LIMIT, power};
use crate::data::wide::Wide;

/// The state of no values is all 0, and its tail is empty.
pub type State = [u64; 3];

/// A number of values, in the word that it shares with the scale.
const ONE: u64 = 1 << 8;

type Total = Wide<5>;

/// How many values there are.
#[inline]
pub fn count(state: &State) -> u64 {
    state[2] / ONE
}

#[inline]
fn mantissa(state: &State) -> i128 {
    (u128::from(state[1]) << 64 | u128::from(state[0])).cast_signed()
}

#[inline]
fn set_mantissa(state: &mut State, mantissa: i128) {
    (state[0], state[1]) = (mantissa as u64, (mantissa >> 64) as u64);
}

#[inline]
fn scale(state: &State) -> u8 {
    state[2] as u8
}

/// Adds `value / 10^scale`. False if it doesn't fit the window, and nothing has changed: see [`add_outside`].
#[inline]
#[must_use]
pub fn add_narrow(state: &mut State, value: i64, scale: u8) -> bool {
    if self::scale(state) == scale
        && let Some(sum) = mantissa(state).checked_add(value.into())
    {
        set_mantissa(state, sum);
        state[2] += ONE;
        return true;
    }
    add(state, Decimal { mantissa: value.into(), scale })
}

/// Adds a value. False if it doesn't fit the window, and nothing has changed: see [`add_outside`].
#[must_use]
pub fn add(state: &mut State, value: Decimal) -> bool {
    add_window(state, value.mantissa, value.scale, 1)
}

/// Adds what doesn't fit the window.
#[cold]
pub fn add_outside(state: &mut State, tail: &mut Vec<u8>, value: Decimal) {
    let total = total(state, tail);
    put_total(state, tail, &total, count(state) + 1);
    // Below 10^38, it fits the empty window.
    set_mantissa(state, value.mantissa);
    state[2] |= u64::from(value.scale);
}

/// Adds another sum. False if that doesn't fit the window, and nothing has changed: see [`merge_outside`].
#[inline]
#[must_use]
pub fn merge(state: &mut State, other: &State, other_tail: &[u8]) -> bool {
    other_tail.is_empty() && add_window(state, mantissa(other), scale(other), count(other))
}

/// Adds another sum that doesn't fit the window.
#[cold]
pub fn merge_outside(state: &mut State, tail: &mut Vec<u8>, other: &State, other_tail: &[u8]) {
    let total = total(state, tail).plus(&self::total(other, other_tail));
    put_total(state, tail, &total, count(state) + count(other));
}

fn add_window(state: &mut State, value: i128, value_scale: u8, count: u64) -> bool {
    let own_scale = scale(state);
    let common = own_scale.max(value_scale);
    let scaled = |number: i128, scale: u8| match common - scale {
        0 => Some(number),
        _ if number == 0 => Some(0),
        more => number.checked_mul(power(more.into())),
    };
    let sum = scaled(mantissa(state), own_scale)
        .zip(scaled(value, value_scale))
        .and_then(|(own, value)| own.checked_add(value));
    let Some(sum) = sum else { return false };
    set_mantissa(state, sum);
    state[2] += u64::from(common - own_scale) + count * ONE;
    true
}

/// Window and tail together, in units of 10^-38.
fn total(state: &State, tail: &[u8]) -> Total {
    let window = Wide::signed(mantissa(state)).times_power_of_ten(DIGITS - u32::from(scale(state)));
    if tail.is_empty() { window } else { window.plus(&Wide::get(tail)) }
}

/// Makes the window empty and its scale 0: the tail holds it all.
fn put_total(state: &mut State, tail: &mut Vec<u8>, total: &Total, count: u64) {
    tail.clear();
    total.put(tail);
    *state = [0, 0, count * ONE];
}

/// The sum in normal form; `None` of no values. Only the whole sum is held to 38 digits.
pub fn sum(state: &State, tail: &[u8]) -> Result<Option<Decimal>, Overflow> {
    if count(state) == 0 {
        return Ok(None);
    }
    let (mantissa, scale) = (mantissa(state), scale(state));
    if tail.is_empty() && -LIMIT < mantissa && mantissa < LIMIT {
        return Ok(Some(Decimal { mantissa, scale }.normalised()));
    }
    let (negative, size) = total(state, tail).magnitude();
    Decimal::from_wide(negative, size, DIGITS).map(Some).ok_or(Overflow)
}

/// The exact sum over the number of values, rounded once to the nearest double, ties to even; `None` of no values.
pub fn mean(state: &State, tail: &[u8]) -> Option<f64> {
    let count = count(state);
    if count == 0 {
        return None;
    }
    let (mantissa, scale) = (mantissa(state), u32::from(scale(state)));
    if tail.is_empty() {
        // Doubles hold whole numbers up to 2^53 without loss, so that the quotient is rounded once.
        const MOST: u64 = 1 << f64::MANTISSA_DIGITS;
        let divisor = u64::try_from(power(scale)).ok().and_then(|unit| unit.checked_mul(count));
        if let Some(divisor @ ..=MOST) = divisor
            && mantissa.unsigned_abs() <= MOST.into()
        {
            return Some(mantissa as f64 / divisor as f64);
        }
    }
    let (total, scale) = match tail {
        [] => (Wide::signed(mantissa), scale),
        _ => (total(state, tail), DIGITS),
    };
    let (negative, size) = total.magnitude();
    // The divisor has at most 127 + 56 bits.
    Some(size.ratio(&Total::unsigned(power(scale).unsigned_abs()).times(count), negative))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::decimal::tests::{big, decimal};
    use num_bigint::{BigInt, Sign};
    use proptest::prelude::*;

    #[derive(Clone, Default)]
    struct Sum {
        state: State,
        tail: Vec<u8>,
    }

    impl Sum {
        fn add(&mut self, value: Decimal) {
            let before = self.state;
            let fits = match i64::try_from(value.mantissa) {
                Ok(narrow) => add_narrow(&mut self.state, narrow, value.scale),
                Err(_) => add(&mut self.state, value),
            };
            if !fits {
                assert_eq!(self.state, before);
                add_outside(&mut self.state, &mut self.tail, value);
            }
        }

        fn merge(&mut self, other: &Sum) {
            let before = self.state;
            if !merge(&mut self.state, &other.state, &other.tail) {
                assert_eq!(self.state, before);
                merge_outside(&mut self.state, &mut self.tail, &other.state, &other.tail);
            }
        }
    }

    fn decimals() -> impl Strategy<Value = Vec<Decimal>> {
        let amount = (-100_000i128..100_000, 0u8..4).prop_map(|(mantissa, scale)| Decimal { mantissa, scale });
        prop_oneof![
            prop::collection::vec(decimal(), 0..30),
            prop::collection::vec(amount.clone(), 0..30),
            prop::collection::vec(prop_oneof![9 => amount, 1 => decimal()], 0..30),
        ]
    }

    proptest! {
        #[test]
        fn is_exact_whatever_the_order(values in decimals(), parts in prop::collection::vec(0usize..3, 30), shape in 0..3) {
            let mut sums = vec![Sum::default(); 3];
            values.iter().zip(&parts).for_each(|(&value, &part)| sums[part].add(value));
            let [a, b, c] = &mut sums[..] else { unreachable!() };
            let sum = match shape {
                0 => { a.merge(b); a.merge(c); a }
                1 => { b.merge(c); b.merge(a); b }
                _ => { a.merge(c); b.merge(a); b }
            };
            let expected: BigInt = values.iter().map(|&value| big(value)).sum();
            prop_assert_eq!(count(&sum.state), values.len() as u64);
            let (mut short, mut scale) = (expected.clone(), 38);
            while scale > 0 && &short % 10 == BigInt::ZERO {
                (short, scale) = (short / 10, scale - 1);
            }
            let fits = BigInt::from(-LIMIT) < short && short < BigInt::from(LIMIT);
            match self::sum(&sum.state, &sum.tail) {
                Ok(None) => prop_assert!(values.is_empty()),
                Ok(Some(sum)) => {
                    prop_assert_eq!((BigInt::from(sum.mantissa), sum.scale), (short, scale));
                }
                Err(Overflow) => prop_assert!(!fits),
            }
            let mean = mean(&sum.state, &sum.tail);
            prop_assert_eq!(mean.is_none(), values.is_empty());
            if let Some(mean) = mean {
                // So many digits that a last one, which says whether there is a rest, is far below all others.
                let scaled = &expected * BigInt::from(10).pow(400);
                let (quotient, rest) = (&scaled / values.len(), &scaled % values.len());
                let more = match rest.sign() {
                    Sign::NoSign => 0,
                    Sign::Plus => 1,
                    Sign::Minus => -1,
                };
                prop_assert_eq!(mean, format!("{}e-439", quotient * 10 + more).parse::<f64>().unwrap());
            }
        }
    }

    #[test]
    fn only_the_whole_sum_is_held_to_38_digits() {
        let most = Decimal { mantissa: LIMIT - 1, scale: 0 };
        let mut sum = Sum::default();
        (0..5).for_each(|_| sum.add(most));
        assert_eq!(super::sum(&sum.state, &sum.tail), Err(Overflow));
        assert_eq!(mean(&sum.state, &sum.tail), Some(1e38));
        (0..5).for_each(|_| sum.add(most.negated()));
        sum.add(Decimal { mantissa: 1, scale: 38 });
        assert_eq!(super::sum(&sum.state, &sum.tail), Ok(Some(Decimal { mantissa: 1, scale: 38 })));
    }

    #[test]
    fn small_sums_have_no_tail() {
        let mut sum = Sum::default();
        for (mantissa, scale) in [(125, 1), (3, 0), (-25, 2), (i64::MAX.into(), 3)] {
            sum.add(Decimal { mantissa, scale });
        }
        assert!(sum.tail.is_empty());
        assert_eq!(count(&sum.state), 4);
        assert_eq!(super::sum(&sum.state, &[]).unwrap().unwrap().to_string(), "9223372036854791.057");
    }
}
