//! What `min` and `max` have in common: the value of a group that no other is beyond.
//!
//! ```text
//! decimal   mantissa, 2 words · 0 for none, else 1 + scale
//! float     bits · 0 for none, else 1
//! string    0 for none, else 1 · tail: the string
//! ```

use std::cmp::Ordering;

use super::{Aggregate, Overflow};
use crate::data::{Column, Decimal, Kind, Numbers, Value, float};
use crate::table::{StateColumn, States};

/// The least, or the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Least,
    Greatest,
}

impl End {
    /// Whether a value that compares so with the one held is to be held instead.
    #[inline]
    fn is_beyond(self, ordering: Ordering) -> bool {
        match self {
            End::Least => ordering.is_lt(),
            End::Greatest => ordering.is_gt(),
        }
    }
}

/// The aggregate over an observed column of this index and kind.
pub fn make(end: End, (column, kind): (usize, Kind)) -> Box<dyn Aggregate> {
    match kind {
        Kind::Bytes => Box::new(ExtremeBytes { end, column }),
        Kind::Decimal => match end {
            End::Least => Box::new(ExtremeDecimal::<false> { column }),
            End::Greatest => Box::new(ExtremeDecimal::<true> { column }),
        },
        Kind::Float => Box::new(ExtremeFloat { end, column }),
    }
}

/// Compiled for each end: its loop runs for every record of many a job.
#[derive(Debug)]
struct ExtremeDecimal<const GREATEST: bool> {
    column: usize,
}

const DECIMAL_WORDS: usize = 3;

fn decimal(words: &[u64]) -> Option<Decimal> {
    let mantissa = i128::from(words[1] as i64) << 64 | i128::from(words[0]);
    (words[2] != 0).then(|| Decimal { mantissa, scale: (words[2] - 1) as u8 })
}

impl<const GREATEST: bool> ExtremeDecimal<GREATEST> {
    const END: End = if GREATEST { End::Greatest } else { End::Least };

    #[inline(never)]
    fn offer(words: &mut [u64], number: Decimal) {
        if decimal(words).is_none_or(|held| Self::END.is_beyond(number.cmp(&held))) {
            words[0] = number.mantissa as u64;
            words[1] = (number.mantissa >> 64) as u64;
            words[2] = 1 + u64::from(number.scale);
        }
    }

    /// The same for a number of the scale that the group's has, as nearly all are.
    #[inline]
    fn offer_narrow(words: &mut [u64; DECIMAL_WORDS], mantissa: i64, scale: u8) {
        let held = words[0] as i64;
        let is_alike = words[2] == 1 + u64::from(scale) && words[1] == (held >> 63) as u64;
        if !is_alike {
            return Self::offer(words, Decimal { mantissa: i128::from(mantissa), scale });
        }
        if Self::END.is_beyond(mantissa.cmp(&held)) {
            words[0] = mantissa as u64;
            words[1] = (mantissa >> 63) as u64;
        }
    }
}

impl<const GREATEST: bool> Aggregate for ExtremeDecimal<GREATEST> {
    fn kind(&self) -> Kind {
        Kind::Decimal
    }

    fn words(&self) -> usize {
        DECIMAL_WORDS
    }

    fn identity(&self, words: &mut [u64]) {
        words.fill(0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Decimal(column) = observed[self.column] else { unreachable!("a column of decimals") };
        match (column.numbers, column.nulls) {
            (Numbers::Narrow { mantissas, scale }, None) => {
                for (&slot, &mantissa) in slots.iter().zip(mantissas) {
                    Self::offer_narrow(states.array(slot), mantissa, scale);
                }
            }
            _ => {
                for (i, &slot) in slots.iter().enumerate() {
                    if let Some(number) = column.value(i) {
                        Self::offer(states.words(slot), number);
                    }
                }
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            if let Some(number) = decimal(&[others.word(i, 0), others.word(i, 1), others.word(i, 2)]) {
                Self::offer(states.words(slot), number);
            }
        }
    }

    fn finish<'a>(&self, words: &[u64], _: &'a [u8]) -> Result<Value<'a>, Overflow> {
        Ok(decimal(words).map_or(Value::Null, Value::Decimal))
    }
}

#[derive(Debug)]
struct ExtremeFloat {
    end: End,
    column: usize,
}

impl ExtremeFloat {
    fn offer(&self, words: &mut [u64], number: f64) {
        let held = (words[1] != 0).then(|| f64::from_bits(words[0]));
        if held.is_none_or(|held| self.end.is_beyond(float::compare(number, held))) {
            words[0] = number.to_bits();
            words[1] = 1;
        }
    }
}

impl Aggregate for ExtremeFloat {
    fn kind(&self) -> Kind {
        Kind::Float
    }

    fn words(&self) -> usize {
        2
    }

    fn identity(&self, words: &mut [u64]) {
        words.fill(0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Float(column) = observed[self.column] else { unreachable!("a column of floats") };
        for (i, &slot) in slots.iter().enumerate() {
            if let Some(number) = column.value(i) {
                self.offer(states.words(slot), number);
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            if others.word(i, 1) != 0 {
                self.offer(states.words(slot), f64::from_bits(others.word(i, 0)));
            }
        }
    }

    fn finish<'a>(&self, words: &[u64], _: &'a [u8]) -> Result<Value<'a>, Overflow> {
        Ok(if words[1] == 0 { Value::Null } else { Value::Float(f64::from_bits(words[0])) })
    }
}

#[derive(Debug)]
struct ExtremeBytes {
    end: End,
    column: usize,
}

impl ExtremeBytes {
    fn offer(&self, states: &mut States<'_>, slot: u32, bytes: &[u8]) {
        if *states.word(slot) == 0 || self.end.is_beyond(bytes.cmp(states.tail(slot))) {
            *states.word(slot) = 1;
            states.set_tail(slot, bytes);
        }
    }
}

impl Aggregate for ExtremeBytes {
    fn kind(&self) -> Kind {
        Kind::Bytes
    }

    fn words(&self) -> usize {
        1
    }

    fn has_tail(&self) -> bool {
        true
    }

    fn identity(&self, words: &mut [u64]) {
        words[0] = 0;
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Bytes(column) = observed[self.column] else { unreachable!("a column of bytes") };
        for (i, &slot) in slots.iter().enumerate() {
            if let Some(bytes) = column.value(i) {
                self.offer(states, slot, bytes);
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            if others.word(i, 0) != 0 {
                self.offer(states, slot, others.tail(i));
            }
        }
    }

    fn finish<'a>(&self, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        Ok(if words[0] == 0 { Value::Null } else { Value::Bytes(tail) })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cell};
    use proptest::prelude::*;

    /// A cell of this kind, or null.
    pub fn cell(kind: Kind) -> BoxedStrategy<Cell> {
        let value = match kind {
            Kind::Bytes => "[ab]{0,3}".prop_map(|text| Cell::Bytes(text.into_bytes())).boxed(),
            Kind::Decimal => (any::<i64>(), 0u32..64, 0u8..=38)
                .prop_map(|(mantissa, bits, scale)| {
                    Cell::Decimal(Decimal { mantissa: i128::from(mantissa >> bits), scale })
                })
                .boxed(),
            Kind::Float => prop_oneof![any::<f64>(), Just(f64::NAN), Just(0.0), Just(-0.0), -2.0..2.0]
                .prop_map(|number| Cell::Float(float::canonical(number)))
                .boxed(),
        };
        prop_oneof![1 => Just(Cell::Null), 4 => value].boxed()
    }

    fn column() -> impl Strategy<Value = (Kind, Vec<Cell>)> {
        prop::sample::select(vec![Kind::Bytes, Kind::Decimal, Kind::Float])
            .prop_flat_map(|kind| (Just(kind), prop::collection::vec(cell(kind), 0..12)))
    }

    proptest! {
        #[test]
        fn obeys_the_laws((kind, cells) in column(), deal in prop::collection::vec(0usize..3, 12)) {
            let records: Vec<_> = cells.iter().map(|cell| vec![cell.clone()]).collect();
            for end in [End::Least, End::Greatest] {
                let found = laws::hold(&*make(end, (0, kind)), &[kind], &records, &deal);
                let mut values: Vec<_> = cells.iter().filter_map(value).collect();
                values.sort();
                let expected = match end {
                    End::Least => values.first(),
                    End::Greatest => values.last(),
                };
                let expected = expected.copied().unwrap_or(Value::Null);
                // Equal numbers have several forms.
                let found_is = |value: &Value<'_>| found == format!("{:?}", Ok::<_, Overflow>(*value));
                let equal = values.iter().chain([&expected]).filter(|value| **value == expected);
                prop_assert!(equal.clone().any(found_is), "{} is none of {:?}", found, equal.collect::<Vec<_>>());
            }
        }
    }

    fn value(cell: &Cell) -> Option<Value<'_>> {
        match cell {
            Cell::Null => None,
            Cell::Bytes(bytes) => Some(Value::Bytes(bytes)),
            Cell::Decimal(number) => Some(Value::Decimal(*number)),
            Cell::Float(number) => Some(Value::Float(*number)),
        }
    }
}
