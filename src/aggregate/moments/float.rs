//! The moments of a column of doubles. A state has two exact sums:
//!
//! ```text
//! word 0 to 3   the exact sum, see `exact`: the number of values last
//! word 4 to 7   the exact sum of the squares: twice as many values, as each square is two doubles
//! word 8        where the tail lies, or 0
//! tail          the length of the first sum's tail, 2 bytes, that tail, and that of the squares
//! ```
//!
//! The square of a value is kept as two doubles: the double nearest to the square, and what that double lacks. A value
//! of more than 1e154 in size has no finite double as its square, and makes the variance infinite. What is lacking
//! below 1e-323 is lost.

use super::super::exact;
use super::super::{Aggregate, Overflow};
use super::{Spread, numerator};
use crate::data::wide::Wide;
use crate::data::{Column, Kind, Value};
use crate::table::{StateColumn, States, TailPlace};

/// The aggregate of a column of doubles whose value is computed from the column's moments.
#[derive(Debug)]
pub struct Moments {
    pub column: usize,
    pub spread: Spread,
}

/// Number of words of an exact sum.
const EXACT: usize = size_of::<exact::State>() / size_of::<u64>();
const WORDS: usize = 2 * EXACT + 1;
const PLACE: TailPlace = TailPlace::in_word(2 * EXACT);

/// Returns the two sums of a state.
fn sums(state: &mut [u64; WORDS]) -> (&mut exact::State, &mut exact::State) {
    let (sum, rest) = state.split_first_chunk_mut().expect("two exact sums");
    (sum, rest.first_chunk_mut().expect("two exact sums"))
}

/// Splits a state's tail into the tails of its two sums.
fn tails(tail: &[u8]) -> (&[u8], &[u8]) {
    match tail.split_first_chunk() {
        Some((len, tails)) => tails.split_at(u16::from_le_bytes(*len).into()),
        None => (&[], &[]),
    }
}

/// Calls `change` with a state's sums and their tails, and stores the tails.
#[cold]
fn outside(
    states: &mut States<'_>,
    slot: u32,
    change: impl FnOnce((&mut exact::State, &mut Vec<u8>), (&mut exact::State, &mut Vec<u8>)),
) {
    let (first, second) = tails(states.tail(slot, PLACE.word));
    let (mut first, mut second) = (first.to_vec(), second.to_vec());
    let (sum, squares) = sums(states.array(slot));
    change((sum, &mut first), (squares, &mut second));
    if !first.is_empty() || !second.is_empty() {
        let len = (first.len() as u16).to_le_bytes();
        states.set_tail(slot, PLACE.word, &[&len[..], &first, &second].concat());
    }
}

/// Adds a value to an exact sum, inside or outside the window.
fn add(state: &mut exact::State, tail: &mut Vec<u8>, value: f64) {
    if !exact::add(state, value) {
        exact::add_outside(state, tail, value);
    }
}

/// Returns the square as two doubles.
#[inline]
fn square(value: f64) -> [f64; 2] {
    let nearest = value * value;
    let lacking = if nearest.is_finite() { value.mul_add(value, -nearest) } else { 0.0 };
    [nearest, lacking]
}

impl Aggregate for Moments {
    fn kind(&self, _: usize) -> Kind {
        Kind::Float
    }

    fn words(&self) -> usize {
        WORDS
    }

    fn tail(&self) -> Option<TailPlace> {
        Some(PLACE)
    }

    fn identity(&self, words: &mut [u64]) {
        words.fill(0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Float(column) = observed[self.column] else { unreachable!("a column of floats") };
        for (i, (&slot, &value)) in slots.iter().zip(column.values).enumerate() {
            if column.is_null(i) {
                continue;
            }
            let parts = square(value);
            let state = states.array::<WORDS>(slot);
            let before = *state;
            let (sum, squares) = sums(state);
            let fits = exact::add(sum, value) && parts.into_iter().all(|part| exact::add(squares, part));
            if !fits {
                *state = before;
                outside(states, slot, |(sum, tail), (squares, squares_tail)| {
                    add(sum, tail, value);
                    parts.into_iter().for_each(|part| add(squares, squares_tail, part));
                });
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            let mut other: [u64; WORDS] = others.words(i);
            let (other_sum, other_squares) = sums(&mut other);
            let (tail, squares_tail) = tails(others.tail(i));
            let state = states.array::<WORDS>(slot);
            let before = *state;
            let (sum, squares) = sums(state);
            let fits = exact::merge(sum, other_sum, tail) && exact::merge(squares, other_squares, squares_tail);
            if !fits {
                *state = before;
                outside(states, slot, |(sum, own), (squares, own_squares)| {
                    if !exact::merge(sum, other_sum, tail) {
                        exact::merge_outside(sum, own, other_sum, tail);
                    }
                    if !exact::merge(squares, other_squares, squares_tail) {
                        exact::merge_outside(squares, own_squares, other_squares, squares_tail);
                    }
                });
            }
        }
    }

    fn finish<'a>(&self, _: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        let mut state: [u64; WORDS] = *words.first_chunk().expect("its words");
        let (sum, squares) = sums(&mut state);
        let count = sum[EXACT - 1];
        let Some(divisor) = self.spread.divisor(count) else { return Ok(Value::Null) };
        let (tail, squares_tail) = tails(tail);
        let variance = if !exact::are_finite(tail) {
            f64::NAN
        } else if !exact::are_finite(squares_tail) {
            f64::INFINITY
        } else if tail.is_empty() && squares_tail.is_empty() {
            of_windows(sum, squares, count, divisor)
        } else {
            of_totals(&exact::total(sum, tail), &exact::total(squares, squares_tail), count, divisor)
        };
        Ok(Value::Float(self.spread.finish(variance)))
    }
}

/// Returns the variance from sums that have no tails: whole numbers of 192 bits in units of [`exact::WINDOW_UNIT`].
fn of_windows(sum: &exact::State, squares: &exact::State, count: u64, divisor: u64) -> f64 {
    // n·Σx² has less than 192 + 64 bits, and (Σx)² has 384. Both are in units of the square of the window's unit.
    type Number = Wide<8>;
    let number = |state: &exact::State| {
        let sign = (state[2].cast_signed() >> 63).cast_unsigned();
        let mut words = [sign; 8];
        words[..3].copy_from_slice(&state[..3]);
        Wide(words).magnitude().1
    };
    let squares: Number = number(squares).shifted_up(exact::WINDOW_UNIT.unsigned_abs());
    quotient(numerator(count, &number(sum), squares), count, divisor, 2 * exact::WINDOW_UNIT)
}

/// Returns the variance from sums that have tails, which are in units of [`exact::UNIT`].
fn of_totals(sum: &exact::Total, squares: &exact::Total, count: u64, divisor: u64) -> f64 {
    // (Σx)² has less than 2 · 2176 bits, and n·Σx² as many as 64 + 2176 + 1074. A quotient needs 66 more.
    type Number = Wide<72>;
    let number = |total: &exact::Total| {
        let mut words = [0; 72];
        let (_, size) = total.magnitude();
        words[..size.0.len()].copy_from_slice(&size.0);
        Wide(words)
    };
    let squares: Number = number(squares).shifted_up(exact::UNIT.unsigned_abs());
    quotient(numerator(count, &number(sum), squares), count, divisor, 2 * exact::UNIT)
}

/// Returns the double nearest to `above · 2^exponent / (count · divisor)`.
fn quotient<const N: usize>(above: Wide<N>, count: u64, divisor: u64, exponent: i32) -> f64 {
    let mut quotient = above;
    // The shift gives the quotient more bits than a double has.
    let up = (64 * N as u32 - above.bits()).min(192) / 64 * 64;
    quotient = quotient.shifted_up(up);
    // Dividing by one and then by the other gives the same as dividing by both. If either division leaves a remainder,
    // the exact quotient is greater.
    let rests = [quotient.divide_by(count), quotient.divide_by(divisor)];
    quotient.to_f64(false, exponent - up as i32, rests != [0, 0])
}

#[cfg(test)]
mod tests {
    use num_bigint::{BigInt, BigUint};
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::laws::{self, Cell};

    /// A finite double in units of 2^-1074.
    fn big(value: f64) -> BigInt {
        let bits = value.to_bits();
        let (exponent, fraction) = (bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
        let size = BigInt::from(if exponent == 0 { fraction } else { fraction | 1 << 52 }) << (exponent.max(1) - 1);
        if value < 0.0 { -size } else { size }
    }

    fn variance(values: &[f64], is_of_all: bool) -> Option<f64> {
        let count = values.len() as u64;
        let divisor = if is_of_all { count } else { count.checked_sub(1)? };
        if divisor == 0 {
            return None;
        }
        let sum: BigInt = values.iter().map(|&value| big(value)).sum();
        let squares: BigInt = values.iter().map(|&value| big(value).pow(2)).sum();
        let above: BigUint = (squares * count - sum.pow(2)).to_biguint().unwrap();
        // 2^-2148 = 5^2148 / 10^2148
        let scaled = above * BigUint::from(5u8).pow(2148) * BigUint::from(10u8).pow(400);
        let below = BigUint::from(count) * divisor;
        let (quotient, rest) = (&scaled / &below, &scaled % &below);
        let more = if rest == BigUint::ZERO { "0" } else { "1" };
        Some(format!("{quotient}{more}e-2549").parse().unwrap())
    }

    fn doubles() -> impl Strategy<Value = f64> {
        let sized = |exponents: std::ops::Range<i32>| {
            (-1.0f64..1.0, exponents).prop_map(|(value, exponent)| value * 2f64.powi(exponent))
        };
        prop_oneof![
            Just(0.1),
            Just(-0.0),
            (-9i32..9).prop_map(f64::from),
            sized(-30..30),
            // Beyond the windows, as far as squares can be represented.
            sized(-450..500)
        ]
    }

    proptest! {
        #[test]
        fn obeys_the_laws_and_is_rounded_once(
            values in prop::collection::vec(prop::option::of(doubles()), 0..12),
            deal in prop::collection::vec(0usize..3, 12),
        ) {
            let cells: Vec<_> = values.iter().map(|value| vec![value.map_or(Cell::Null, Cell::Float)]).collect();
            let present: Vec<_> = values.into_iter().flatten().collect();
            for is_of_all in [false, true] {
                let moments = Moments { column: 0, spread: Spread { is_of_all, is_root: false } };
                let found = laws::hold(&moments, 0, &[Kind::Float], &cells, &deal);
                let expected = variance(&present, is_of_all).map_or(Value::Null, Value::Float);
                prop_assert_eq!(found, format!("{:?}", Ok::<_, Overflow>(expected)));
            }
        }
    }

    #[test]
    fn what_is_no_number() {
        let of = |values: &[f64]| {
            let cells: Vec<_> = values.iter().map(|&value| vec![Cell::Float(value)]).collect();
            let spread = Spread { is_of_all: true, is_root: true };
            laws::hold(&Moments { column: 0, spread }, 0, &[Kind::Float], &cells, &vec![0; values.len()])
        };
        let told = |value: f64| format!("{:?}", Ok::<_, Overflow>(Value::Float(value)));
        assert_eq!(of(&[f64::NAN, 1.0]), told(f64::NAN));
        assert_eq!(of(&[f64::INFINITY, 1.0]), told(f64::NAN));
        assert_eq!(of(&[1e200, -1e200]), told(f64::INFINITY));
        assert_eq!(of(&[3.0, 3.0]), told(0.0));
    }
}
