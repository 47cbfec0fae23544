//! `count`: the number of a group's records, or of the records whose field isn't null. The state is one word. It would
//! take 2^64 records to overflow.

use super::{AS, Aggregate, Made, Observes, Op, Overflow, WHERE, op_key};
use crate::data::buffer::Buffer;
use crate::data::columns::Growing;
use crate::data::{Column, Decimal, Kind, Value};
use crate::schema::{Key, Shape};
use crate::table::{HeldStates, StateColumn, States};

pub const OP: Op = Op {
    name: "count",
    keys: &[
        op_key("The number of records; with a field, only of those in which the field isn't null"),
        Key::optional("field", Shape::Name).about("A field: records in which it is null aren't counted"),
        AS,
        WHERE,
    ],
    observes: Observes::Presence,
    make: |observed, _| Made::Own(Box::new(Count { column: observed.field.map(|(column, _)| column) })),
};

/// Counts records, or the values of an observed column that aren't null.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    pub column: Option<usize>,
}

impl Aggregate for Count {
    fn kind(&self, _: usize) -> Kind {
        Kind::Decimal
    }

    fn words(&self) -> usize {
        1
    }

    fn identity(&self, words: &mut [u64]) {
        words[0] = 0;
    }

    fn unit(&self) -> Option<&[u64]> {
        self.column.is_none().then_some(&[1])
    }

    fn is_count(&self) -> bool {
        true
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let nulls = match self.column.map(|column| observed[column]) {
            None => None,
            Some(Column::Bytes(column) | Column::Json(column)) => {
                for (&slot, span) in slots.iter().zip(column.spans) {
                    *states.word(slot) += u64::from(!span.is_null());
                }
                return;
            }
            Some(Column::Decimal(column)) => column.nulls,
            Some(Column::Float(column)) => column.nulls,
        };
        match nulls {
            None => slots.iter().for_each(|&slot| *states.word(slot) += 1),
            Some(nulls) => {
                slots.iter().zip(nulls).for_each(|(&slot, &null)| *states.word(slot) += u64::from(!null));
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            *states.word(slot) += others.word(i, 0);
        }
    }

    fn finish<'a>(&self, _: usize, words: &[u64], _: &'a [u8]) -> Result<Value<'a>, Overflow> {
        Ok(Value::Decimal(Decimal::from(words[0])))
    }

    fn finish_all(
        &self,
        _: usize,
        states: HeldStates<'_>,
        column: &mut Growing,
        _: &mut Buffer,
    ) -> Result<(), (usize, Overflow)> {
        column.extend_whole(states.each().map(|(words, _)| words[0]));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cell};
    use crate::data::Kind;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn obeys_the_laws(deal in prop::collection::vec(0usize..3, 0..12)) {
            laws::hold(&Count { column: None }, 0, &[], &vec![Vec::new(); deal.len()], &deal);
        }

        #[test]
        fn of_values_obeys_the_laws(nulls in prop::collection::vec(any::<bool>(), 0..12), deal in prop::collection::vec(0usize..3, 12)) {
            for (kind, cell) in [
                (Kind::Bytes, Cell::Bytes(b"x".to_vec())),
                (Kind::Decimal, Cell::Decimal(Decimal::from(7u64))),
                (Kind::Float, Cell::Float(0.5)),
            ] {
                let records: Vec<_> = nulls.iter().map(|&null| vec![if null { Cell::Null } else { cell.clone() }]).collect();
                let finished = laws::hold(&Count { column: Some(0) }, 0, &[kind], &records, &deal);
                let values = nulls.iter().filter(|null| !**null).count() as u64;
                prop_assert_eq!(finished, format!("{:?}", Ok::<_, Overflow>(Value::Decimal(Decimal::from(values)))));
            }
        }
    }
}
