//! Exact sums of doubles that are rounded once: the result is that of Python's `math.fsum`, in any order and any split.
//! The state is a fixed-point number of three words, called the window, and a count of the values. Values that don't
//! fit in the window are summed in a tail, and a window that is full is emptied into it.
//!
//! ```text
//! word 0, 1, 2   192 bits, two's complement, low word first, in units of 2^-114: sums up to 2^77
//! word 3         the number of values
//! tail           1 byte: whether there were NaN, +infinity, -infinity
//!                and 272 bytes, or none: 2176 bits, two's complement, in units of 2^-1074
//! ```
//!
//! A double has at most 53 significant bits somewhere in a fixed-point number (Kulisch; Neal, arXiv 1505.05571). The
//! window takes 0 and the doubles whose last bit is in the window's lower 128 bits: all from 2^-62 to 2^66 in size,
//! about 2e-19 to 7e19. Other doubles go to the tail, which has room for 2^64 of the greatest doubles.

use crate::data::float::canonical;
use crate::data::wide::Wide;

/// The words of a sum. A sum of no values is all 0, and its tail is empty.
pub type State = [u64; 4];

/// Difference between a double's biased exponent and the place of the double's last bit in the window.
const BIAS: u32 = 1075 - 114;
/// Index of the window's lowest word in the tail's number.
const WINDOW_AT: usize = (1074 - 114) / 64;
/// Unit of the tail's number, as a power of 2.
pub const UNIT: i32 = -1074;
/// Unit of the window, as a power of 2.
pub const WINDOW_UNIT: i32 = -114;

const NAN: u8 = 1;
const INFINITY: u8 = 2;
const NEG_INFINITY: u8 = 4;

/// A sum in units of [`UNIT`].
pub type Total = Wide<34>;

/// Most bytes that the tails of one sum take of an arena: the longest tail, and the 1-byte tail that it may have
/// replaced.
pub const MOST_TAIL_BYTES: usize = 2 + size_of::<Total>();

/// Splits a normal double into a whole number of 53 bits and the biased exponent: the double is number · 2^(exponent -
/// 1075).
#[inline]
fn parts(value: f64) -> (i64, u32) {
    let bits = value.to_bits();
    let exponent = (bits >> 52) as u32 & 0x7ff;
    let size = (bits & ((1 << 52) - 1) | 1 << 52).cast_signed();
    (if value < 0.0 { -size } else { size }, exponent)
}

/// Adds three words with carry. `None` if the sum doesn't fit 192 bits.
#[inline]
fn plus(state: &State, other: [u64; 3]) -> Option<[u64; 3]> {
    let (low, carry) = state[0].overflowing_add(other[0]);
    let (middle, carry) = state[1].carrying_add(other[1], carry);
    let (high, _) = state[2].carrying_add(other[2], carry);
    let overflows = ((state[2] ^ high) & (other[2] ^ high)) >> 63 == 1;
    (!overflows).then_some([low, middle, high])
}

/// Adds a value. Returns false, with nothing changed, if the value or the sum doesn't fit the window: see
/// [`add_outside`].
#[inline]
#[must_use]
pub fn add(state: &mut State, value: f64) -> bool {
    let (size, exponent) = parts(value);
    let place = exponent.wrapping_sub(BIAS);
    if place >= 128 {
        state[3] += u64::from(value == 0.0);
        return value == 0.0;
    }
    let bits = i128::from(size) << (place % 64);
    let (low, high, sign) = (bits as u64, (bits >> 64) as u64, (bits >> 127) as u64);
    let shifted = if place < 64 { [low, high, sign] } else { [0, low, high] };
    let Some(sum) = plus(state, shifted) else { return false };
    state[..3].copy_from_slice(&sum);
    state[3] += 1;
    true
}

/// Adds a value that [`add`] refused.
#[cold]
pub fn add_outside(state: &mut State, tail: &mut Vec<u8>, value: f64) {
    state[3] += 1;
    if !value.is_finite() {
        if tail.is_empty() {
            tail.push(0);
        }
        tail[0] |= match canonical(value) {
            f64::INFINITY => INFINITY,
            f64::NEG_INFINITY => NEG_INFINITY,
            _ => NAN,
        };
        return;
    }
    let (mut size, mut exponent) = parts(value);
    if exponent.wrapping_sub(BIAS) < 128 {
        // The value's size is one for the window, but the window is full: it is emptied into the tail.
        add_at(tail, WINDOW_AT, &state[..3]);
        state[..3].fill(0);
    } else if exponent == 0 {
        // A subnormal number has no leading bit, and its last bit is where that of the least exponent is.
        size -= if size < 0 { -(1 << 52) } else { 1 << 52 };
        exponent = 1;
    }
    // The tail number's lowest bit is the last bit of a double with the least exponent, which is 1.
    let place = exponent - 1;
    let bits = i128::from(size) << (place % 64);
    add_at(tail, place as usize / 64, &[bits as u64, (bits >> 64) as u64]);
}

/// Adds a number in two's complement to the tail's number, with its lowest word at word `at`.
fn add_at(tail: &mut Vec<u8>, at: usize, words: &[u64]) {
    tail.resize(1 + 8 * Total::ZERO.0.len(), 0);
    let sign = (words[words.len() - 1].cast_signed() >> 63).cast_unsigned();
    let mut carry = false;
    for (i, bytes) in tail[1..].chunks_exact_mut(8).skip(at).enumerate() {
        let other = words.get(i).copied().unwrap_or(sign);
        if i >= words.len() && other.wrapping_add(carry.into()) == 0 {
            break;
        }
        let word = u64::from_le_bytes((&*bytes).try_into().expect("eight bytes"));
        let sum;
        (sum, carry) = word.carrying_add(other, carry);
        bytes.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Adds another sum. Returns false, with nothing changed, if the other sum or the result doesn't fit the window: see
/// [`merge_outside`].
#[inline]
#[must_use]
pub fn merge(state: &mut State, other: &State, other_tail: &[u8]) -> bool {
    if !other_tail.is_empty() {
        return false;
    }
    let Some(sum) = plus(state, [other[0], other[1], other[2]]) else { return false };
    state[..3].copy_from_slice(&sum);
    state[3] += other[3];
    true
}

/// Adds another sum that [`merge`] refused.
#[cold]
pub fn merge_outside(state: &mut State, tail: &mut Vec<u8>, other: &State, other_tail: &[u8]) {
    if let Some(flags) = other_tail.first() {
        if tail.is_empty() {
            tail.push(0);
        }
        tail[0] |= flags;
    }
    if let Some(number) = other_tail.get(1..).filter(|number| !number.is_empty()) {
        add_at(tail, 0, &Total::get(number).0);
    }
    match plus(state, [other[0], other[1], other[2]]) {
        Some(sum) => state[..3].copy_from_slice(&sum),
        None => {
            add_at(tail, WINDOW_AT, &state[..3]);
            state[..3].copy_from_slice(&other[..3]);
        }
    }
    state[3] += other[3];
}

/// Returns the exact sum, rounded to the nearest double, ties to even. The result is infinite if the sum is beyond the
/// greatest double. It is NaN if a value is NaN, or if infinities of both signs are among the values. It is 0 if there
/// are no values.
pub fn sum(state: &State, tail: &[u8]) -> f64 {
    rounded(state, tail, 1)
}

/// Returns the exact sum divided by the number of values, which must not be 0, rounded once. Special values are as in
/// [`sum`].
pub fn mean(state: &State, tail: &[u8]) -> f64 {
    rounded(state, tail, state[3])
}

/// Whether all values were finite numbers.
pub fn are_finite(tail: &[u8]) -> bool {
    tail.first().is_none_or(|&flags| flags == 0)
}

/// Returns the exact sum. All values must be finite.
pub fn total(state: &State, tail: &[u8]) -> Total {
    let mut sum = if tail.is_empty() { vec![0] } else { tail.to_vec() };
    add_at(&mut sum, WINDOW_AT, &state[..3]);
    Total::get(&sum[1..])
}

fn rounded(state: &State, tail: &[u8], divisor: u64) -> f64 {
    match tail.first().copied().unwrap_or(0) {
        0 => {}
        INFINITY => return f64::INFINITY,
        NEG_INFINITY => return f64::NEG_INFINITY,
        _ => return f64::NAN,
    }
    if tail.is_empty() {
        let mut words = [0; 5];
        words[2..].copy_from_slice(&state[..3]);
        return quotient(Wide(words), divisor, UNIT + 64 * WINDOW_AT as i32 - 128);
    }
    let mut words = [0; 36];
    words[2..].copy_from_slice(&total(state, tail).0);
    quotient(Wide(words), divisor, UNIT - 128)
}

/// Returns the double nearest to `sum * 2^exponent / divisor`. The lowest 128 bits of `sum` must be 0, so that the
/// quotient has more bits than a double.
fn quotient<const N: usize>(sum: Wide<N>, divisor: u64, exponent: i32) -> f64 {
    let (negative, mut size) = sum.magnitude();
    let rest = match divisor {
        1 => 0,
        _ => size.divide_by(divisor),
    };
    size.to_f64(negative, exponent, rest != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    #[derive(Clone, Default)]
    struct Sum {
        state: State,
        tail: Vec<u8>,
    }

    impl Sum {
        fn of(values: &[f64]) -> Self {
            let mut sum = Sum::default();
            values.iter().for_each(|&value| sum.add(value));
            sum
        }

        fn add(&mut self, value: f64) {
            let before = self.state;
            if !add(&mut self.state, value) {
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

        fn sum(&self) -> Option<f64> {
            (self.state[3] > 0).then(|| sum(&self.state, &self.tail))
        }

        fn mean(&self) -> Option<f64> {
            (self.state[3] > 0).then(|| mean(&self.state, &self.tail))
        }
    }

    /// A finite double in units of 2^-1074.
    fn big(value: f64) -> BigInt {
        let bits = value.to_bits();
        let (exponent, fraction) = (bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
        let size = BigInt::from(if exponent == 0 { fraction } else { fraction | 1 << 52 }) << (exponent.max(1) - 1);
        if value < 0.0 { -size } else { size }
    }

    /// Returns the double nearest to `sum * 2^-1074 / count`, by parsing its decimal digits.
    fn nearest(sum: &BigInt, count: u64) -> f64 {
        // The shift puts the bit that tells whether there is a remainder far below all others.
        let scaled: BigInt = sum << 200;
        let (quotient, rest) = (&scaled / count, &scaled % count);
        let more = match rest == BigInt::ZERO {
            true => 0,
            false => {
                if sum < &BigInt::ZERO {
                    -1
                } else {
                    1
                }
            }
        };
        let digits = (quotient * 2 + more) * BigInt::from(5).pow(1275);
        format!("{digits}e-1275").parse::<f64>().unwrap() + 0.0
    }

    fn floats() -> impl Strategy<Value = Vec<f64>> {
        let finite = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()).boxed();
        let usual = (-1e6..1e6).boxed();
        let size =
            |from: i32, to: i32| (-1.0..1.0, from..to).prop_map(|(value, power)| value * 2f64.powi(power)).boxed();
        let one_of = prop_oneof![
            Just(usual.clone()),
            Just(finite.clone()),
            Just(size(-80, 80)),
            Just(size(-1073, -1000)),
            Just(size(1000, 1023)),
            Just(prop_oneof![9 => usual, 1 => finite].boxed()),
        ];
        let values = one_of.prop_flat_map(|value| prop::collection::vec(value, 0..30));
        // Often all but a few values cancel out.
        (values, any::<bool>()).prop_map(|(mut values, cancel)| {
            if cancel {
                let negated: Vec<_> = values.iter().skip(2).map(|value| -value).collect();
                values.extend(negated);
            }
            values
        })
    }

    proptest! {
        #[test]
        fn is_exact_whatever_the_order(values in floats(), parts in prop::collection::vec(0usize..3, 60), shape in 0..3) {
            let mut sums = vec![Sum::default(); 3];
            values.iter().zip(&parts).for_each(|(&value, &part)| sums[part].add(value));
            let [a, b, c] = &mut sums[..] else { unreachable!() };
            let sum = match shape {
                0 => { a.merge(b); a.merge(c); a }
                1 => { b.merge(c); b.merge(a); b }
                _ => { a.merge(c); b.merge(a); b }
            };
            let total: BigInt = values.iter().map(|&value| big(value)).sum();
            let count = values.len() as u64;
            let expected = |divisor: u64| (count > 0).then(|| nearest(&total, divisor).to_bits());
            prop_assert_eq!(sum.sum().map(f64::to_bits), expected(1));
            prop_assert_eq!(sum.mean().map(f64::to_bits), expected(count));
        }

        #[test]
        fn the_window_runs_over_without_loss(value in 1e18..7e19, doublings in 1usize..20) {
            let mut sum = Sum::of(&[value]);
            (0..doublings).for_each(|_| { let other = sum.clone(); sum.merge(&other) });
            prop_assert_eq!(sum.sum(), Some(value * 2f64.powi(doublings as i32)));
            prop_assert_eq!(sum.mean(), Some(value));
        }
    }

    /// Expected values are those of Python 3.11: `math.fsum(values)`, and `Fraction` for the means.
    #[test]
    fn sums_as_python_does() {
        let tenths = [0.1; 10];
        let harmonic: Vec<f64> = (1..=1000).map(|i| 1.0 / f64::from(i)).collect();
        let powers: Vec<f64> = (-1074..1000).map(|i| 2f64.powi(i) * if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
        let roots: Vec<f64> = (1..=1000).map(|i| f64::from(i).sqrt() * if i % 2 == 0 { -1e17 } else { 1.0 }).collect();
        for (values, sum, mean) in [
            (&tenths[..], 1.0, 0.1),
            (&[1e100, 1.0, -1e100], 1.0, 0.3333333333333333),
            (&[1e16, 1.0, 1e-16], 10000000000000002.0, 3333333333333333.5),
            (&[0.1, 0.2, 0.3], 0.6, 0.2),
            (&harmonic, 7.485470860550345, 0.007485470860550345),
            (&powers, -1.5307265816946675e+300, -7.380552467187404e+296),
            (&roots, -1.0556445561907898e+21, -1.0556445561907898e+18),
        ] {
            assert_eq!(Sum::of(values).sum(), Some(sum));
            assert_eq!(Sum::of(values).mean(), Some(mean));
        }
    }

    #[test]
    fn special_values() {
        let sum = |values: &[f64]| format!("{:?}", Sum::of(values).sum().unwrap());
        assert_eq!(sum(&[1.0, f64::INFINITY, f64::MAX]), "inf");
        assert_eq!(sum(&[f64::NEG_INFINITY, 1e300]), "-inf");
        assert_eq!(sum(&[f64::NEG_INFINITY, f64::INFINITY]), "NaN");
        assert_eq!(sum(&[1e300, f64::NAN]), "NaN");
        assert_eq!(sum(&[-0.0, -0.0]), "0.0");
        assert_eq!(sum(&[1e-300, -1e-300]), "0.0");
        assert_eq!(sum(&[f64::MAX, f64::MAX]), "inf");
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), format!("{:?}", f64::MAX));
        assert_eq!(Sum::of(&[f64::MAX, f64::MAX]).mean(), Some(f64::MAX));
        assert_eq!(Sum::of(&[f64::from_bits(1), f64::from_bits(2)]).mean(), Some(f64::from_bits(2)));
        assert_eq!(Sum::default().sum(), None);

        let mut merged = Sum::of(&[1.0]);
        merged.merge(&Sum::of(&[f64::INFINITY]));
        assert_eq!((merged.sum(), merged.state[3]), (Some(f64::INFINITY), 2));
        merged.merge(&Sum::of(&[f64::NEG_INFINITY, 1e300]));
        assert!(merged.mean().unwrap().is_nan());
    }

    #[test]
    fn usual_sums_have_no_tail() {
        assert!(Sum::of(&[0.0, 1e-18, 1e19, -0.1, 123.456]).tail.is_empty());
    }
}
