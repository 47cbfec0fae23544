//! Computes expressions a column at a time where every number fits 64 bits at one scale, as in most tables. The results
//! are the same as those of [`exact`](super::exact), which computes one record at a time and takes all other numbers.

use super::grammar::{Expression, Operator};
use crate::data::{Batch, Column, Decimals, Numbers};
use crate::map::Field;

/// A computed column: mantissas at one scale.
#[derive(Debug)]
pub struct Narrow {
    mantissas: Vec<i64>,
    scale: u8,
    /// Which records are null. Their mantissas are 0.
    nulls: Option<Vec<bool>>,
}

/// Computes `expression` for all records of `batch`. Returns `None` if a number or an intermediate result needs more than 64
/// bits or has no common scale with the others, or if a quotient isn't whole at its scale.
pub fn narrow(expression: &Expression<Field>, batch: &Batch<'_>) -> Option<Narrow> {
    let all = |mantissa: i64, scale| Narrow { mantissas: vec![mantissa; batch.rows], scale, nulls: None };
    match expression {
        Expression::Number(number) => Some(all(number.mantissa.try_into().ok()?, number.scale)),
        Expression::Name(field) => match batch.columns[*field] {
            Column::Decimal(Decimals { numbers: Numbers::Narrow { mantissas, scale }, nulls }) => {
                let column = Narrow { mantissas: mantissas.to_vec(), scale, nulls: nulls.map(<[bool]>::to_vec) };
                Some(column.with_zeros())
            }
            _ => None,
        },
        Expression::Minus(of) => all(0, 0).at_one_scale(narrow(of, batch)?, i64::checked_sub),
        Expression::Floor(of, step) => {
            let step = all(step.mantissa.try_into().ok()?, step.scale);
            narrow(of, batch)?.at_one_scale(step, |number, step| number.div_euclid(step).checked_mul(step))
        }
        Expression::Two(operator, a, b) => {
            let (a, b) = (narrow(a, batch)?, narrow(b, batch)?);
            match operator {
                Operator::Plus => a.at_one_scale(b, i64::checked_add),
                Operator::Minus => a.at_one_scale(b, i64::checked_sub),
                Operator::Times => {
                    let scale = a.scale.checked_add(b.scale).filter(|&scale| scale <= 38)?;
                    Some(Narrow { scale, ..a.with(b, i64::checked_mul)? })
                }
                Operator::Over => a.over(b),
            }
        }
    }
}

impl Narrow {
    pub fn column(&self) -> Decimals<'_> {
        let numbers = Numbers::Narrow { mantissas: &self.mantissas, scale: self.scale };
        Decimals { numbers, nulls: self.nulls.as_deref() }
    }

    fn with_zeros(mut self) -> Narrow {
        if let Some(nulls) = &self.nulls {
            self.mantissas.iter_mut().zip(nulls).filter(|(_, null)| **null).for_each(|(mantissa, _)| *mantissa = 0);
        }
        self
    }

    /// Brings the column to a scale that isn't smaller.
    fn at(mut self, scale: u8) -> Option<Narrow> {
        if scale > self.scale {
            let factor = 10i64.checked_pow(u32::from(scale - self.scale))?;
            self.mantissas = each(self.mantissas.iter().map(|mantissa| mantissa.checked_mul(factor)))?;
            self.scale = scale;
        }
        Some(self)
    }

    /// Computes `f` of both columns' mantissas at a common scale.
    fn at_one_scale(self, other: Narrow, f: impl Fn(i64, i64) -> Option<i64>) -> Option<Narrow> {
        let scale = self.scale.max(other.scale);
        self.at(scale)?.with(other.at(scale)?, f)
    }

    /// Computes `f` of both columns' mantissas, whatever their scales. The result has the scale of `self`.
    fn with(self, other: Narrow, f: impl Fn(i64, i64) -> Option<i64>) -> Option<Narrow> {
        let mantissas = each(self.mantissas.iter().zip(&other.mantissas).map(|(&a, &b)| f(a, b)))?;
        let nulls = match (self.nulls, other.nulls) {
            (Some(mut a), Some(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
                Some(a)
            }
            (a, b) => a.or(b),
        };
        Some(Narrow { mantissas, scale: self.scale, nulls }.with_zeros())
    }

    /// The quotient, which is null where `other` is 0.
    fn over(self, mut other: Narrow) -> Option<Narrow> {
        let a = self.at(other.scale)?;
        let scale = a.scale - other.scale;
        if other.mantissas.contains(&0) {
            let nulls = other.nulls.get_or_insert_with(|| vec![false; other.mantissas.len()]);
            for (divisor, null) in other.mantissas.iter_mut().zip(nulls).filter(|(divisor, _)| **divisor == 0) {
                (*divisor, *null) = (1, true);
            }
        }
        let whole = |a: i64, b: i64| if a.checked_rem(b)? == 0 { a.checked_div(b) } else { None };
        Some(Narrow { scale, ..a.with(other, whole)? })
    }
}

/// Collects the values, if all are there. The loop has no early exit, so that it can be vectorised.
fn each(values: impl ExactSizeIterator<Item = Option<i64>>) -> Option<Vec<i64>> {
    let mut all = true;
    let values = values.map(|value| {
        all &= value.is_some();
        value.unwrap_or_default()
    });
    let values = values.collect();
    all.then_some(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{TooLong, exact};
    use super::*;
    use crate::data::Decimal;

    fn expression() -> impl Strategy<Value = Expression<Field>> {
        let number = (-20i64..400, 0u8..4).prop_map(|(mantissa, scale)| Decimal { mantissa: mantissa.into(), scale });
        let leaf = prop_oneof![number.clone().prop_map(Expression::Number), (0..3usize).prop_map(Expression::Name)];
        leaf.prop_recursive(3, 8, 2, move |inner| {
            let step = number.clone().prop_filter("above 0", |step| step.mantissa > 0);
            let operator = prop::sample::select(vec![Operator::Plus, Operator::Minus, Operator::Times, Operator::Over]);
            prop_oneof![
                inner.clone().prop_map(|of| Expression::Minus(Box::new(of))),
                (inner.clone(), step).prop_map(|(of, step)| Expression::Floor(Box::new(of), step)),
                (operator, inner.clone(), inner).prop_map(|(operator, a, b)| Expression::Two(
                    operator,
                    Box::new(a),
                    Box::new(b)
                )),
            ]
        })
    }

    fn mantissa() -> impl Strategy<Value = i64> {
        prop_oneof![4 => -1000i64..1000, 2 => (-30i64..30).prop_map(|n| n * 400), 1 => any::<i64>(), 1 => Just(i64::MIN)]
    }

    proptest! {
        #[test]
        fn the_same_as_record_by_record(
            expression in expression(),
            columns in prop::array::uniform3((prop::collection::vec((mantissa(), any::<bool>()), 5), 0u8..5, any::<bool>())),
        ) {
            let columns = columns.map(|(cells, scale, has_nulls)| {
                let (mantissas, nulls): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
                (mantissas, scale, has_nulls.then_some(nulls))
            });
            let columns: Vec<_> = columns
                .iter()
                .map(|(mantissas, scale, nulls)| {
                    let numbers = Numbers::Narrow { mantissas, scale: *scale };
                    Column::Decimal(Decimals { numbers, nulls: nulls.as_deref() })
                })
                .collect();
            let batch = Batch { rows: 5, columns: &columns };
            let Some(computed) = narrow(&expression, &batch) else { return Ok(()) };
            for row in 0..batch.rows {
                let expected = exact(&expression, &batch, row).unwrap_or_else(|TooLong| panic!("64 bits are enough"));
                let value = computed.column().value(row);
                prop_assert_eq!(value.map(Decimal::normalised), expected.map(Decimal::normalised));
            }
        }
    }

    #[test]
    fn common_expressions_of_tables_are_computed_here() {
        let prices = [199, 250, 0, 100_000];
        let amounts = [3, 400, 0, 800];
        let numbers =
            |mantissas, scale| Column::Decimal(Decimals { numbers: Numbers::Narrow { mantissas, scale }, nulls: None });
        let columns = [numbers(&prices, 2), numbers(&amounts, 0)];
        let batch = Batch { rows: 4, columns: &columns };
        let of = |text: &str| {
            let named = super::super::grammar::parse(text).unwrap();
            let expression = named.map_names(&mut |name| Ok(usize::from(name == "amount"))).unwrap();
            narrow(&expression, &batch).map(|column| (column.mantissas, column.scale, column.nulls))
        };
        assert_eq!(of("price * amount"), Some((vec![597, 100_000, 0, 80_000_000], 2, None)));
        assert_eq!(of("1 - price"), Some((vec![-99, -150, 100, -99_900], 2, None)));
        assert_eq!(of("price / price"), Some((vec![1, 1, 0, 1], 0, Some(vec![false, false, true, false]))));
        assert_eq!(of("amount / 2"), None);
    }
}
