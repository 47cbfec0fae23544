//! The moments of a column of decimals. A state has a narrow form, all in words, and a wide form with a tail.
//!
//! ```text
//! narrow   word 0       the number of values · 0 · their scale s, 7 bits
//!          word 1       the sum: a mantissa at that scale
//!          word 2, 3    the sum of the squares, low word first: in units of 10^-2s
//! wide     word 0       the number of values · 1 · 0
//!          word 1       where the tail lies
//!          tail         the sum: 320 bits, two's complement, in units of 10^-38
//!                       the sum of the squares: 576 bits, in units of 10^-76
//! ```
//!
//! A state stays narrow while its values fit. Its scale is the greatest scale among its values. The sums of a wide
//! state can't overflow: 2^56 squares of less than 10^76, in units of 10^-76, add up to less than 2^(56 + 505) units.

use super::super::{Aggregate, Overflow};
use super::{Spread, numerator};
use crate::data::decimal::{DIGITS, power};
use crate::data::wide::Wide;
use crate::data::{Column, Decimal, Kind, Numbers, Value};
use crate::table::{StateColumn, States, TailPlace};

/// The aggregate of a column of decimals whose value is computed from the column's moments.
#[derive(Debug)]
pub struct Moments {
    pub column: usize,
    pub spread: Spread,
}

const WORDS: usize = 4;
type State = [u64; WORDS];

/// One value, in the word that the number of values shares with the scale.
const ONE: u64 = 1 << 8;
/// Flag of a wide state.
const WIDE: u64 = 1 << 7;
const SCALE: u64 = WIDE - 1;

const PLACE: TailPlace = TailPlace { word: 1, flag_word: 0, flag: WIDE };

/// The content of a narrow state, or one value of 64 bits.
#[derive(Clone, Copy)]
struct Narrow {
    scale: u8,
    sum: i64,
    squares: u128,
}

impl Narrow {
    fn of(value: i64, scale: u8) -> Narrow {
        let size = u128::from(value.unsigned_abs());
        Narrow { scale, sum: value, squares: size * size }
    }

    /// Converts to a greater scale. `None` if the numbers don't fit.
    fn at(self, scale: u8) -> Option<Narrow> {
        let factor = i64::try_from(power(u32::from(scale - self.scale))).ok()?;
        let of_squares = u128::from(factor.unsigned_abs()).pow(2);
        Some(Narrow { scale, sum: self.sum.checked_mul(factor)?, squares: self.squares.checked_mul(of_squares)? })
    }

    /// Adds another state's content. `None` if the result doesn't fit.
    fn plus(self, other: Narrow) -> Option<Narrow> {
        let scale = self.scale.max(other.scale);
        let (own, other) = (self.at(scale)?, other.at(scale)?);
        let sum = own.sum.checked_add(other.sum)?;
        Some(Narrow { scale, sum, squares: own.squares.checked_add(other.squares)? })
    }
}

type Total = Wide<5>;
type Squares = Wide<9>;

/// The content of a state in units that fit every value.
struct Whole {
    total: Total,
    squares: Squares,
}

const TOTAL: usize = size_of::<Total>();

impl Whole {
    const BYTES: usize = TOTAL + size_of::<Squares>();

    fn plus(self, other: Whole) -> Whole {
        Whole { total: self.total.plus(&other.total), squares: self.squares.plus(&other.squares) }
    }

    /// Reads what [`bytes`](Self::bytes) returned.
    fn get(tail: &[u8]) -> Whole {
        let (total, squares) = tail.split_at(TOTAL);
        Whole { total: Total::get(total), squares: Squares::get(squares) }
    }

    fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (total, squares) = bytes.split_at_mut(TOTAL);
        self.total.put(total);
        self.squares.put(squares);
        bytes
    }
}

impl From<Narrow> for Whole {
    fn from(Narrow { scale, sum, squares }: Narrow) -> Whole {
        let missing = DIGITS - u32::from(scale);
        Whole {
            total: Total::signed(sum.into()).times_power_of_ten(missing),
            squares: Squares::unsigned(squares).times_power_of_ten(2 * missing),
        }
    }
}

impl From<Decimal> for Whole {
    fn from(value: Decimal) -> Whole {
        let missing = DIGITS - u32::from(value.scale);
        Whole {
            total: Total::signed(value.mantissa).times_power_of_ten(missing),
            squares: super::squared(&Squares::unsigned(value.mantissa.unsigned_abs())).times_power_of_ten(2 * missing),
        }
    }
}

/// Adds a narrow state, whose word 0 is `head`, to one of the same scale. Returns false, with nothing changed, if the
/// state isn't one or the result doesn't fit.
#[inline(always)]
fn merge_alike(state: &mut State, head: u64, other: Narrow) -> bool {
    if (state[0] ^ head) & (SCALE | WIDE) != 0 {
        return false;
    }
    let (Some(sum), Some(squares)) =
        (state[1].cast_signed().checked_add(other.sum), squares(state).checked_add(other.squares))
    else {
        return false;
    };
    state[0] += head & !SCALE;
    state[1] = sum.cast_unsigned();
    (state[2], state[3]) = (squares as u64, (squares >> 64) as u64);
    true
}

#[inline(always)]
fn squares(state: &State) -> u128 {
    u128::from(state[3]) << 64 | u128::from(state[2])
}

/// Returns the content of a narrow state. `None` if the state is wide.
fn narrow(state: &State) -> Option<Narrow> {
    let scale = (state[0] & SCALE) as u8;
    (state[0] & WIDE == 0).then(|| Narrow { scale, sum: state[1].cast_signed(), squares: squares(state) })
}

/// Adds `count` values whose moments are `other`.
#[inline(never)]
fn add(states: &mut States<'_>, slot: u32, count: u64, other: Narrow) {
    let state = states.array::<WORDS>(slot);
    let held = state[0] / ONE;
    let together = match held {
        0 => Some(other),
        _ => narrow(state).and_then(|own| own.plus(other)),
    };
    match together {
        Some(Narrow { scale, sum, squares }) => {
            let head = ((held + count) * ONE) | u64::from(scale);
            *state = [head, sum.cast_unsigned(), squares as u64, (squares >> 64) as u64];
        }
        None => add_whole(states, slot, count, other.into()),
    }
}

/// Adds `count` values whose moments are `other`, which may not fit a narrow state.
#[cold]
fn add_whole(states: &mut States<'_>, slot: u32, count: u64, mut other: Whole) {
    let state = states.array::<WORDS>(slot);
    let held = state[0] / ONE;
    if let Some(own) = narrow(state) {
        if held > 0 {
            other = other.plus(own.into());
        }
        *state = [0; WORDS];
    } else {
        other = other.plus(Whole::get(states.tail(slot, PLACE.word)));
    }
    states.array::<WORDS>(slot)[0] = ((held + count) * ONE) | WIDE;
    states.set_tail(slot, PLACE.word, &other.bytes());
}

#[inline(never)]
fn add_value(states: &mut States<'_>, slot: u32, value: Decimal) {
    match i64::try_from(value.mantissa) {
        Ok(part) => add(states, slot, 1, Narrow::of(part, value.scale)),
        Err(_) => add_whole(states, slot, 1, value.into()),
    }
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
        let Column::Decimal(column) = observed[self.column] else { unreachable!("a column of decimals") };
        match (column.numbers, column.nulls) {
            (Numbers::Narrow { mantissas, scale }, None) => {
                for (&slot, &value) in slots.iter().zip(mantissas) {
                    let one = Narrow::of(value, scale);
                    if !merge_alike(states.array(slot), u64::from(scale) + ONE, one) {
                        add(states, slot, 1, one);
                    }
                }
            }
            _ => {
                for (i, &slot) in slots.iter().enumerate() {
                    if let Some(value) = column.value(i) {
                        add_value(states, slot, value);
                    }
                }
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            let other: State = others.words(i);
            let count = other[0] / ONE;
            match narrow(&other) {
                Some(_) if count == 0 => {}
                Some(narrow) => {
                    if !merge_alike(states.array(slot), other[0], narrow) {
                        add(states, slot, count, narrow);
                    }
                }
                None => add_whole(states, slot, count, Whole::get(others.tail(i))),
            }
        }
    }

    fn finish<'a>(&self, _: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        let state = words.first_chunk().expect("its words");
        let count = state[0] / ONE;
        let Some(divisor) = self.spread.divisor(count) else { return Ok(Value::Null) };
        let variance = match narrow(state) {
            Some(narrow) => of_narrow(narrow, count, divisor),
            None => of_whole(&Whole::get(tail), count, divisor),
        };
        Ok(Value::Float(self.spread.finish(variance)))
    }
}

fn of_narrow(Narrow { scale, sum, squares }: Narrow, count: u64, divisor: u64) -> f64 {
    // The numerator is below 2^(128 + 56). The divisor is below 10^76 · 2^112. The ratio needs 66 bits more.
    type Number = Wide<7>;
    // Doubles hold whole numbers up to 2^53 exactly, so only the quotient is rounded.
    const MOST: u128 = 1 << f64::MANTISSA_DIGITS;
    let sum = u128::from(sum.unsigned_abs());
    let numbers = u128::from(count) * u128::from(divisor);
    let in_words = || {
        let above = squares.checked_mul(count.into())?.checked_sub(sum * sum)?;
        let unit = power(2 * u32::from(scale.min(9))).unsigned_abs();
        let below = numbers.checked_mul(unit)?;
        (scale <= 9 && above <= MOST && below <= MOST).then(|| above as f64 / below as f64)
    };
    in_words().unwrap_or_else(|| {
        let above = numerator(count, &Number::unsigned(sum), Number::unsigned(squares));
        above.ratio(&Number::unsigned(numbers).times_power_of_ten(2 * u32::from(scale)), false)
    })
}

fn of_whole(Whole { total, squares }: &Whole, count: u64, divisor: u64) -> f64 {
    // Squares of sums have less than 2 · 309 bits.
    type Number = Wide<11>;
    fn widened<const N: usize>(number: &Wide<N>) -> Number {
        let mut wide = Number::ZERO;
        wide.0[..N].copy_from_slice(&number.0);
        wide
    }
    let (_, total) = total.magnitude();
    let above = numerator(count, &widened(&total), widened(squares));
    let numbers = Number::unsigned(u128::from(count) * u128::from(divisor));
    above.ratio(&numbers.times_power_of_ten(2 * DIGITS), false)
}

#[cfg(test)]
mod tests {
    use num_bigint::{BigInt, BigUint};
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::laws::{self, Cell};

    /// Returns the double nearest to a quotient, by its decimal digits. The last digit, far below, tells whether there
    /// is a remainder.
    fn nearest(above: &BigUint, below: &BigUint) -> f64 {
        let scaled = above * BigUint::from(10u8).pow(400);
        let (quotient, rest) = (&scaled / below, &scaled % below);
        let more = if rest == BigUint::ZERO { "0" } else { "1" };
        format!("{quotient}{more}e-401").parse().unwrap()
    }

    fn variance(values: &[Decimal], is_of_all: bool) -> Option<f64> {
        let count = values.len() as u64;
        let divisor = if is_of_all { count } else { count.checked_sub(1)? };
        if divisor == 0 {
            return None;
        }
        let whole = |value: &Decimal| BigInt::from(value.mantissa) * BigInt::from(10).pow(38 - u32::from(value.scale));
        let sum: BigInt = values.iter().map(whole).sum();
        let squares: BigInt = values.iter().map(|value| whole(value).pow(2)).sum();
        let above = (squares * count - sum.pow(2)).to_biguint().unwrap();
        Some(nearest(&above, &(BigUint::from(10u8).pow(76) * count * divisor)))
    }

    fn decimals() -> impl Strategy<Value = Decimal> {
        let mantissa = prop_oneof![-9i128..=9, -99_999i128..=99_999, any::<i64>().prop_map(i128::from), any::<i128>()];
        (mantissa, 0u8..=38).prop_map(|(mantissa, scale)| Decimal { mantissa: mantissa % power(DIGITS), scale })
    }

    proptest! {
        #[test]
        fn obeys_the_laws_and_is_rounded_once(
            values in prop::collection::vec(prop::option::of(prop_oneof![
                decimals(), (-999i128..=999).prop_map(|mantissa| Decimal { mantissa, scale: 2 }),
            ]), 0..12),
            deal in prop::collection::vec(0usize..3, 12),
        ) {
            let cells: Vec<_> = values.iter().map(|value| vec![value.map_or(Cell::Null, Cell::Decimal)]).collect();
            let present: Vec<_> = values.into_iter().flatten().collect();
            for is_of_all in [false, true] {
                for is_root in [false, true] {
                    let moments = Moments { column: 0, spread: Spread { is_of_all, is_root } };
                    let found = laws::hold(&moments, 0, &[Kind::Decimal], &cells, &deal);
                    let expected = variance(&present, is_of_all).map(|value| if is_root { value.sqrt() } else { value });
                    let expected = expected.map_or(Value::Null, Value::Float);
                    prop_assert_eq!(found, format!("{:?}", Ok::<_, Overflow>(expected)));
                }
            }
        }
    }

    /// A sum of squares in doubles gets these values wrong.
    #[test]
    fn nothing_cancels() {
        let values: Vec<_> = [4, 7, 13, 16].map(|n| Decimal::from(10u64.pow(9) + n)).to_vec();
        let cells: Vec<_> = values.iter().map(|&value| vec![Cell::Decimal(value)]).collect();
        let spread = Spread { is_of_all: false, is_root: false };
        let found = laws::hold(&Moments { column: 0, spread }, 0, &[Kind::Decimal], &cells, &[0; 4]);
        assert_eq!(found, format!("{:?}", Ok::<_, Overflow>(Value::Float(30.0))));
    }
}
