//! What `sum` and `mean` have in common: the exact sum of a group's values and their number. See [`exact`](super::exact) for
//! the states.

use super::exact::{self, decimal, float};
use super::{Aggregate, Overflow};
use crate::data::{Column, Decimal, Kind, Numbers, Value};
use crate::table::{StateColumn, States};

/// What becomes of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Sum,
    /// Over the number of values.
    Mean,
}

/// The aggregate over an observed column of this index and kind.
pub fn make(of: Of, (column, kind): (usize, Kind)) -> Box<dyn Aggregate> {
    match kind {
        Kind::Decimal => Box::new(TotalDecimal { of, column }),
        Kind::Float => Box::new(TotalFloat { of, column }),
        Kind::Bytes => unreachable!("an op of numbers observes numbers"),
    }
}

#[derive(Debug)]
struct TotalDecimal {
    of: Of,
    column: usize,
}

/// Does `change` to a state and its tail.
#[cold]
fn outside<const N: usize>(states: &mut States<'_>, slot: u32, change: impl FnOnce(&mut [u64; N], &mut Vec<u8>)) {
    let mut tail = states.tail(slot).to_vec();
    change(states.array(slot), &mut tail);
    states.set_tail(slot, &tail);
}

fn add_decimal(states: &mut States<'_>, slot: u32, number: Decimal) {
    if !decimal::add(states.array(slot), number) {
        outside(states, slot, |state, tail| decimal::add_outside(state, tail, number));
    }
}

impl Aggregate for TotalDecimal {
    fn kind(&self) -> Kind {
        match self.of {
            Of::Sum => Kind::Decimal,
            Of::Mean => Kind::Float,
        }
    }

    fn words(&self) -> usize {
        size_of::<decimal::State>() / size_of::<u64>()
    }

    fn has_tail(&self) -> bool {
        true
    }

    fn identity(&self, words: &mut [u64]) {
        words.fill(0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Decimal(column) = observed[self.column] else { unreachable!("a column of decimals") };
        match (column.numbers, column.nulls) {
            (Numbers::Narrow { mantissas, scale }, None) => {
                for (&slot, &mantissa) in slots.iter().zip(mantissas) {
                    if !decimal::add_narrow(states.array(slot), mantissa, scale) {
                        add_decimal(states, slot, Decimal { mantissa: mantissa.into(), scale });
                    }
                }
            }
            _ => {
                for (i, &slot) in slots.iter().enumerate() {
                    if let Some(number) = column.value(i) {
                        add_decimal(states, slot, number);
                    }
                }
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            let (other, tail) = (others.words(i), others.tail(i));
            if !decimal::merge(states.array(slot), &other, tail) {
                outside(states, slot, |state, own| decimal::merge_outside(state, own, &other, tail));
            }
        }
    }

    fn finish<'a>(&self, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        let state = words.first_chunk().expect("its words");
        Ok(match self.of {
            Of::Sum => decimal::sum(state, tail)?.map_or(Value::Null, Value::Decimal),
            Of::Mean => decimal::mean(state, tail).map_or(Value::Null, Value::Float),
        })
    }
}

#[derive(Debug)]
struct TotalFloat {
    of: Of,
    column: usize,
}

impl Aggregate for TotalFloat {
    fn kind(&self) -> Kind {
        Kind::Float
    }

    fn words(&self) -> usize {
        size_of::<float::State>() / size_of::<u64>()
    }

    fn has_tail(&self) -> bool {
        true
    }

    fn identity(&self, words: &mut [u64]) {
        words.fill(0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Float(column) = observed[self.column] else { unreachable!("a column of floats") };
        for (i, (&slot, &number)) in slots.iter().zip(column.values).enumerate() {
            if !column.is_null(i) && !float::add(states.array(slot), number) {
                outside(states, slot, |state, tail| float::add_outside(state, tail, number));
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            let (other, tail) = (others.words(i), others.tail(i));
            if !float::merge(states.array(slot), &other, tail) {
                outside(states, slot, |state, own| float::merge_outside(state, own, &other, tail));
            }
        }
    }

    fn finish<'a>(&self, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        let state = words.first_chunk().expect("its words");
        let value = match self.of {
            Of::Sum => exact::float::sum(state, tail),
            Of::Mean => exact::float::mean(state, tail),
        };
        Ok(value.map_or(Value::Null, Value::Float))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::extreme::tests::cell;
    use crate::aggregate::laws::{self, Cell};
    use crate::data::wide::Wide;
    use proptest::prelude::*;

    fn column() -> impl Strategy<Value = (Kind, Vec<Cell>)> {
        prop::sample::select(vec![Kind::Decimal, Kind::Float])
            .prop_flat_map(|kind| (Just(kind), prop::collection::vec(cell(kind), 0..12)))
    }

    proptest! {
        #[test]
        fn obeys_the_laws((kind, cells) in column(), deal in prop::collection::vec(0usize..3, 12)) {
            let records: Vec<_> = cells.iter().map(|cell| vec![cell.clone()]).collect();
            for of in [Of::Sum, Of::Mean] {
                laws::hold(&*make(of, (0, kind)), &[kind], &records, &deal);
            }
        }

        #[test]
        fn sums_are_exact(cells in prop::collection::vec(cell(Kind::Decimal), 0..12), deal in prop::collection::vec(0usize..3, 12)) {
            let records: Vec<_> = cells.iter().map(|cell| vec![cell.clone()]).collect();
            let found = laws::hold(&*make(Of::Sum, (0, Kind::Decimal)), &[Kind::Decimal], &records, &deal);
            // All at the scale of 38, in 320 bits.
            let numbers: Vec<_> =
                cells.iter().filter_map(|cell| if let Cell::Decimal(number) = cell { Some(*number) } else { None }).collect();
            let total = numbers.iter().fold(Wide::<5>::signed(0), |total, number| {
                total.plus(&Wide::signed(number.mantissa).times_power_of_ten(38 - u32::from(number.scale)))
            });
            let (negative, size) = total.magnitude();
            let expected = match Decimal::from_wide(negative, size, 38) {
                _ if numbers.is_empty() => Ok(Value::Null),
                None => Err(Overflow),
                Some(sum) => Ok(Value::Decimal(sum)),
            };
            prop_assert_eq!(found, format!("{:?}", expected));
        }
    }
}
