//! The summary of a column of decimals. A state has a narrow form, all in words, and a wide form with a tail.
//!
//! ```text
//! narrow   word 0     the number of values · 0 · their scale, 7 bits
//!          others     one word for each of sum, least and greatest that the job asks for: a mantissa at that scale
//! wide     word 0     the number of values · 1 · 0
//!          word 1     where the tail lies
//!          tail       the sum: 320 bits, two's complement, in units of 10^-38
//!                     least, greatest: a mantissa of 128 bits and a scale each
//! ```
//!
//! A state stays narrow while its values fit. Its scale is the greatest scale among its values. The sum of a wide state
//! can't overflow: 2^56 values of less than 10^38, in units of 10^-38, add up to less than 2^(56 + 253) units.

use super::super::{Aggregate, Overflow};
use super::Statistic;
use crate::data::decimal::{DIGITS, LIMIT, power};
use crate::data::wide::Wide;
use crate::data::{Column, Decimal, Kind, Numbers, Value};
use crate::table::{StateColumn, States, TailPlace};

/// The summary of a column. States have `WORDS` words, with the parts that the flags name.
#[derive(Debug)]
pub struct Decimals<const WORDS: usize, const SUM: bool, const LEAST: bool, const GREATEST: bool> {
    pub column: usize,
    /// Kind of the column. The least of timestamps is a timestamp.
    pub kind: Kind,
}

/// One value, in the word that the number of values shares with the scale.
const ONE: u64 = 1 << 8;
/// Flag of a wide state.
const WIDE: u64 = 1 << 7;
const SCALE: u64 = WIDE - 1;

const PLACE: TailPlace = TailPlace { word: 1, flag_word: 0, flag: WIDE };

/// The content of a narrow state with values, or one value of 64 bits.
#[derive(Clone, Copy)]
struct Narrow {
    scale: u8,
    sum: i64,
    least: i64,
    greatest: i64,
}

impl Narrow {
    /// Converts to a greater scale. `None` if the numbers don't fit.
    fn at(self, scale: u8) -> Option<Narrow> {
        if scale == self.scale {
            return Some(self);
        }
        let factor = i64::try_from(power(u32::from(scale - self.scale))).ok()?;
        Some(Narrow {
            scale,
            sum: self.sum.checked_mul(factor)?,
            least: self.least.checked_mul(factor)?,
            greatest: self.greatest.checked_mul(factor)?,
        })
    }

    /// Adds another state's content. `None` if the result doesn't fit.
    fn plus(self, other: Narrow) -> Option<Narrow> {
        let scale = self.scale.max(other.scale);
        let (own, other) = (self.at(scale)?, other.at(scale)?);
        Some(Narrow {
            scale,
            sum: own.sum.checked_add(other.sum)?,
            least: own.least.min(other.least),
            greatest: own.greatest.max(other.greatest),
        })
    }
}

type Total = Wide<5>;

/// The content of a state in units that fit every value.
struct Whole {
    total: Total,
    least: Decimal,
    greatest: Decimal,
}

const TOTAL: usize = size_of::<Total>();
const END: usize = size_of::<i128>() + 1;

impl Whole {
    const BYTES: usize = TOTAL + 2 * END;

    fn plus(self, other: Whole) -> Whole {
        Whole {
            total: self.total.plus(&other.total),
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
        }
    }

    /// Reads what [`bytes`](Self::bytes) returned.
    fn get(tail: &[u8]) -> Whole {
        let end = |bytes: &[u8]| {
            let (mantissa, scale) = bytes.split_last_chunk::<1>().expect("a scale behind it");
            let mantissa = i128::from_le_bytes(mantissa.try_into().expect("16 bytes"));
            Decimal { mantissa, scale: scale[0] }
        };
        let (total, ends) = tail.split_at(TOTAL);
        let (least, greatest) = ends.split_at(END);
        Whole { total: Total::get(total), least: end(least), greatest: end(greatest) }
    }

    fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (total, ends) = bytes.split_at_mut(TOTAL);
        self.total.put(total);
        for (out, end) in ends.chunks_exact_mut(END).zip([self.least, self.greatest]) {
            let (mantissa, scale) = out.split_at_mut(END - 1);
            mantissa.copy_from_slice(&end.mantissa.to_le_bytes());
            scale[0] = end.scale;
        }
        bytes
    }
}

impl From<Narrow> for Whole {
    fn from(Narrow { scale, sum, least, greatest }: Narrow) -> Whole {
        let end = |mantissa: i64| Decimal { mantissa: mantissa.into(), scale };
        Whole {
            total: Total::signed(sum.into()).times_power_of_ten(DIGITS - u32::from(scale)),
            least: end(least),
            greatest: end(greatest),
        }
    }
}

impl From<Decimal> for Whole {
    fn from(value: Decimal) -> Whole {
        let total = Total::signed(value.mantissa).times_power_of_ten(DIGITS - u32::from(value.scale));
        Whole { total, least: value, greatest: value }
    }
}

impl<const WORDS: usize, const SUM: bool, const LEAST: bool, const GREATEST: bool>
    Decimals<WORDS, SUM, LEAST, GREATEST>
{
    /// Index of each part's word. The index of a part that the state doesn't have is never used.
    const SUM_AT: usize = 1;
    const LEAST_AT: usize = 1 + SUM as usize;
    const GREATEST_AT: usize = Self::LEAST_AT + LEAST as usize;
    const FIT: () = assert!(Self::GREATEST_AT + GREATEST as usize == WORDS);

    /// Adds `value / 10^scale` to a narrow state of that scale. Returns false, with nothing changed, if the state isn't
    /// one or the sum doesn't fit.
    #[inline(always)]
    fn add_alike(state: &mut [u64; WORDS], value: i64, scale: u8) -> bool {
        Self::merge_alike(state, u64::from(scale) + ONE, Narrow { scale, sum: value, least: value, greatest: value })
    }

    /// Adds a narrow state, whose word 0 is `head`, to one of the same scale. Returns false as
    /// [`add_alike`](Self::add_alike) does.
    #[inline(always)]
    fn merge_alike(state: &mut [u64; WORDS], head: u64, other: Narrow) -> bool {
        if (state[0] ^ head) & (SCALE | WIDE) != 0 {
            return false;
        }
        if SUM {
            let Some(sum) = state[Self::SUM_AT].cast_signed().checked_add(other.sum) else { return false };
            state[Self::SUM_AT] = sum.cast_unsigned();
        }
        if LEAST {
            let least = &mut state[Self::LEAST_AT];
            *least = least.cast_signed().min(other.least).cast_unsigned();
        }
        if GREATEST {
            let greatest = &mut state[Self::GREATEST_AT];
            *greatest = greatest.cast_signed().max(other.greatest).cast_unsigned();
        }
        state[0] += head & !SCALE;
        true
    }

    /// Returns the content of a narrow state, with 0 for parts that the state doesn't have. `None` if the state is
    /// wide.
    fn narrow(state: &[u64; WORDS]) -> Option<Narrow> {
        let part = |there: bool, at: usize| if there { state[at].cast_signed() } else { 0 };
        (state[0] & WIDE == 0).then(|| Narrow {
            scale: (state[0] & SCALE) as u8,
            sum: part(SUM, Self::SUM_AT),
            least: part(LEAST, Self::LEAST_AT),
            greatest: part(GREATEST, Self::GREATEST_AT),
        })
    }

    fn put(state: &mut [u64; WORDS], narrow: Narrow, count: u64) {
        state[0] = (count * ONE) | u64::from(narrow.scale);
        for (there, at, part) in [
            (SUM, Self::SUM_AT, narrow.sum),
            (LEAST, Self::LEAST_AT, narrow.least),
            (GREATEST, Self::GREATEST_AT, narrow.greatest),
        ] {
            if there {
                state[at] = part.cast_unsigned();
            }
        }
    }

    /// Adds `count` values whose summary is `other`.
    #[inline(never)]
    fn add(states: &mut States<'_>, slot: u32, count: u64, other: Narrow) {
        let state = states.array::<WORDS>(slot);
        let held = state[0] / ONE;
        let together = match held {
            0 => Some(other),
            _ => Self::narrow(state).and_then(|own| own.plus(other)),
        };
        match together {
            Some(narrow) => Self::put(state, narrow, held + count),
            None => Self::add_whole(states, slot, count, other.into()),
        }
    }

    /// Adds `count` values whose summary is `other`, which may not fit a narrow state.
    #[cold]
    fn add_whole(states: &mut States<'_>, slot: u32, count: u64, mut other: Whole) {
        let state = states.array::<WORDS>(slot);
        let held = state[0] / ONE;
        if let Some(own) = Self::narrow(state) {
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
            Ok(part) => {
                let narrow = Narrow { scale: value.scale, sum: part, least: part, greatest: part };
                Self::add(states, slot, 1, narrow);
            }
            Err(_) => Self::add_whole(states, slot, 1, value.into()),
        }
    }
}

impl<const WORDS: usize, const SUM: bool, const LEAST: bool, const GREATEST: bool> Aggregate
    for Decimals<WORDS, SUM, LEAST, GREATEST>
{
    fn kind(&self, number: usize) -> Kind {
        match Statistic::numbered(number) {
            Statistic::Sum => Kind::Decimal,
            Statistic::Least | Statistic::Greatest => self.kind,
            Statistic::Mean => Kind::Float,
        }
    }

    fn words(&self) -> usize {
        const { Self::FIT };
        WORDS
    }

    fn tail(&self) -> Option<TailPlace> {
        Some(PLACE)
    }

    fn identity(&self, words: &mut [u64]) {
        // With these ends, the first value of scale 0 is added like any other.
        let state = words.first_chunk_mut().expect("its words");
        Self::put(state, Narrow { scale: 0, sum: 0, least: i64::MAX, greatest: i64::MIN }, 0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Decimal(column) = observed[self.column] else { unreachable!("a column of decimals") };
        match (column.numbers, column.nulls) {
            (Numbers::Narrow { mantissas, scale }, None) => {
                for (&slot, &value) in slots.iter().zip(mantissas) {
                    if !Self::add_alike(states.array(slot), value, scale) {
                        Self::add_value(states, slot, Decimal { mantissa: value.into(), scale });
                    }
                }
            }
            _ => {
                for (i, &slot) in slots.iter().enumerate() {
                    if let Some(value) = column.value(i) {
                        Self::add_value(states, slot, value);
                    }
                }
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            let other: [u64; WORDS] = others.words(i);
            let count = other[0] / ONE;
            match Self::narrow(&other) {
                Some(_) if count == 0 => {}
                Some(narrow) => {
                    if !Self::merge_alike(states.array(slot), other[0], narrow) {
                        Self::add(states, slot, count, narrow);
                    }
                }
                None => Self::add_whole(states, slot, count, Whole::get(others.tail(i))),
            }
        }
    }

    fn finish<'a>(&self, number: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        let state = words.first_chunk().expect("its words");
        let count = state[0] / ONE;
        if count == 0 {
            return Ok(Value::Null);
        }
        let statistic = Statistic::numbered(number);
        debug_assert!(statistic.is_of(SUM, LEAST, GREATEST));
        let Some(narrow) = Self::narrow(state) else { return finish_whole(statistic, count, &Whole::get(tail)) };
        let decimal = |mantissa: i64| Decimal { mantissa: mantissa.into(), scale: narrow.scale };
        Ok(match statistic {
            Statistic::Mean => Value::Float(mean(narrow.sum, narrow.scale, count)),
            Statistic::Sum => Value::Decimal(decimal(narrow.sum).normalised()),
            Statistic::Least => Value::Decimal(decimal(narrow.least).normalised()),
            Statistic::Greatest => Value::Decimal(decimal(narrow.greatest).normalised()),
        })
    }
}

/// Returns a value of a wide state.
fn finish_whole<'a>(statistic: Statistic, count: u64, whole: &Whole) -> Result<Value<'a>, Overflow> {
    let (negative, size) = whole.total.magnitude();
    Ok(match statistic {
        // Only the final sum is limited to 38 digits.
        Statistic::Sum => Value::Decimal(Decimal::from_wide(negative, size, DIGITS).ok_or(Overflow)?),
        // The divisor has at most 127 + 56 bits.
        Statistic::Mean => Value::Float(size.ratio(&Total::unsigned(LIMIT.unsigned_abs()).times(count), negative)),
        Statistic::Least => Value::Decimal(whole.least.normalised()),
        Statistic::Greatest => Value::Decimal(whole.greatest.normalised()),
    })
}

/// Returns `sum / 10^scale / count`, rounded once to the nearest double, ties to even.
fn mean(sum: i64, scale: u8, count: u64) -> f64 {
    // Doubles hold whole numbers up to 2^53 exactly, so only the quotient is rounded.
    const MOST: u64 = 1 << f64::MANTISSA_DIGITS;
    let unit = power(scale.into()).unsigned_abs();
    let divisor = u64::try_from(unit).ok().and_then(|unit| unit.checked_mul(count));
    if let Some(divisor @ ..=MOST) = divisor
        && sum.unsigned_abs() <= MOST
    {
        return sum as f64 / divisor as f64;
    }
    let (negative, size) = Total::signed(sum.into()).magnitude();
    size.ratio(&Total::unsigned(unit).times(count), negative)
}
