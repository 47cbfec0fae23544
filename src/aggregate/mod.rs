//! Aggregates: commutative monoids over the records of a group. This module defines the ops that a spec can name and
//! the trait [`Aggregate`] that they implement.
//!
//! An aggregate's state is a few `u64` words that live beside the key in a table and, if the aggregate needs one, a
//! tail of bytes in the table's arena. The engine moves states between tables and rows by copying words and tails, so
//! an aggregate is only its algebra: identity, observe, merge, finish. `merge` combines the states of two parts of a
//! group. Because the laws of a commutative monoid hold (see `laws`), no setting can change an answer.
//!
//! The aggregates of a job observe a set of columns. Each field is in the set once, however many aggregates observe it.
//! An aggregate knows its columns by their index in the set.

mod approx_distinct;
mod approx_quantile;
mod argmax;
mod argmin;
mod chosen;
mod count;
pub mod exact;
mod extreme;
mod first;
mod last;
#[cfg(test)]
pub mod laws;
mod max;
mod mean;
mod min;
pub mod moments;
mod stddev;
mod stddev_pop;
mod sum;
pub mod summary;
mod variance;
mod variance_pop;

pub use approx_quantile::Quantiles;
pub use count::Count;

use std::fmt::Debug;

use crate::data::buffer::Buffer;
use crate::data::columns::Growing;
use crate::data::{Column, Kind, Value};
use crate::schema::predicate::PREDICATES;
use crate::schema::{Key, Shape, Tagged, Variant};
use crate::table::{HeldStates, StateColumn, States, TailPlace};
use summary::Statistic;

/// An op that a spec can name. Each op has a file of its own.
pub struct Op {
    pub name: &'static str,
    /// The keys that an aggregate with this op has in a spec, including `op`, `as` and `where`.
    pub keys: &'static [Key],
    pub observes: Observes,
    pub make: Make,
}

/// Makes an op's aggregate, or its part in a shared one, from the columns that it observes and its options.
pub type Make = fn(&Observed, &Options) -> Made;

/// The columns that one op observes, by their index in the job's set of observed columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observed {
    /// Index and kind of the op's field.
    pub field: Option<(usize, Kind)>,
    /// Index of the field that the key `by` names.
    pub by: Option<usize>,
    /// Index of the column that has each record's position in the input.
    pub position: Option<usize>,
}

impl Observed {
    /// Returns index and kind of the field of an op whose keys require a field.
    pub fn column(&self) -> (usize, Kind) {
        self.field.expect("its keys ask for a field")
    }
}

/// Values of the keys that only some ops have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Which quantile, from 0 to 1.
    pub q: Option<f64>,
}

/// What a [`Make`] returns: an aggregate of its own, or a value of a shared one.
#[derive(Debug)]
pub enum Made {
    /// An aggregate that isn't shared. It has one value.
    Own(Box<dyn Aggregate>),
    /// A value of the column's summary. All ops that want such a value share the summary.
    Statistic { column: usize, kind: Kind, statistic: Statistic },
    /// A quantile of the column's sketch. All quantiles of the column share the sketch.
    Quantile { column: usize, q: f64 },
}

/// What an op observes of its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observes {
    /// Whether the field has a value. The op doesn't require a field.
    Presence,
    /// A number.
    Number,
    /// A number, unless the field was declared to be text or a timestamp.
    Comparable,
    /// A value of the field's declared type. If no type was declared, the value as it was read.
    Declared,
    /// The same as [`Observes::Declared`], and the record's position in the input. If the op has a `by`, the field that
    /// `by` names is observed as [`Observes::Comparable`].
    DeclaredWithPosition,
}

/// All ops.
pub static OPS: &[&Op] = &[
    &count::OP,
    &sum::OP,
    &min::OP,
    &max::OP,
    &mean::OP,
    &variance::OP,
    &variance_pop::OP,
    &stddev::OP,
    &stddev_pop::OP,
    &approx_distinct::OP,
    &approx_quantile::OP,
    &first::OP,
    &last::OP,
    &argmin::OP,
    &argmax::OP,
];

/// The shape of an aggregate in a spec.
pub static SHAPE: Shape = Shape::Tagged(&WRITTEN);

/// The aggregates that a spec can have, told apart by `op`.
pub static WRITTEN: Tagged = Tagged {
    what: "an aggregate",
    tag: "op",
    all: &[
        Variant { name: count::OP.name, keys: count::OP.keys },
        Variant { name: sum::OP.name, keys: sum::OP.keys },
        Variant { name: min::OP.name, keys: min::OP.keys },
        Variant { name: max::OP.name, keys: max::OP.keys },
        Variant { name: mean::OP.name, keys: mean::OP.keys },
        Variant { name: variance::OP.name, keys: variance::OP.keys },
        Variant { name: variance_pop::OP.name, keys: variance_pop::OP.keys },
        Variant { name: stddev::OP.name, keys: stddev::OP.keys },
        Variant { name: stddev_pop::OP.name, keys: stddev_pop::OP.keys },
        Variant { name: approx_distinct::OP.name, keys: approx_distinct::OP.keys },
        Variant { name: approx_quantile::OP.name, keys: approx_quantile::OP.keys },
        Variant { name: first::OP.name, keys: first::OP.keys },
        Variant { name: last::OP.name, keys: last::OP.keys },
        Variant { name: argmin::OP.name, keys: argmin::OP.keys },
        Variant { name: argmax::OP.name, keys: argmax::OP.keys },
        Variant::later("distinct"),
        Variant::later("median"),
        Variant::later("quantile"),
        Variant::later("list"),
    ],
};

const FIELD: Key = Key::required("field", Shape::Name).about("The field whose values are aggregated");
const AS: Key =
    Key::optional("as", Shape::Name).about("The name of the column; by default op_field, or op if there is no field");
const WHERE: Key = Key::optional("where", Shape::Variants(&PREDICATES))
    .about("A predicate: the aggregate sees only the records for which it holds");

/// The key `op`. `about` says what the op is for.
const fn op_key(about: &'static str) -> Key {
    Key::required("op", Shape::Text).about(about)
}

/// The keys of an op over one field.
const fn of_a_field(about: &'static str) -> [Key; 4] {
    [op_key(about), FIELD, AS, WHERE]
}

/// The keys of an op over one field that chooses a record by another field.
const fn by_a_field(about: &'static str) -> [Key; 5] {
    [op_key(about), FIELD, Key::required("by", Shape::Name).about("The field by which the record is chosen"), AS, WHERE]
}

/// Returns the op with this name.
///
/// # Panics
/// If there is no such op. The schema has ruled that out.
pub fn op(name: &str) -> &'static Op {
    OPS.iter().find(|op| op.name == name).expect("the schema knows no other op")
}

/// The error of a sum that has too many digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sum has more than 38 digits")]
pub struct Overflow;

/// How many bytes of an arena an aggregate's tails may take when the aggregate observes records or merges states,
/// beyond the bytes of those records or states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailGrowth {
    /// Bytes for each record or state.
    pub each: usize,
    /// How many more times the bytes that the arena has, and those that come, may be taken: as when a tail grows by
    /// being copied to twice its length.
    pub copies: usize,
}

impl TailGrowth {
    /// The growth of aggregates of numbers, whose tails are at most two exact sums of doubles.
    pub const OF_NUMBERS: TailGrowth = TailGrowth { each: 2 * exact::MOST_TAIL_BYTES + 2, copies: 0 };

    /// Whether a tail may be so long that a few tails fill an arena.
    pub fn is_of_long_tails(self) -> bool {
        self.each > Self::OF_NUMBERS.each || self.copies > 0
    }

    /// Returns how many bytes, at most, an arena of `held` bytes grows by for `count` records or states that have
    /// `bytes` bytes in all.
    pub fn most(self, held: usize, bytes: usize, count: usize) -> usize {
        let copied = held.saturating_add(bytes).saturating_mul(self.copies);
        bytes.saturating_add(copied).saturating_add(count.saturating_mul(self.each))
    }
}

/// A commutative monoid over the records of a group. It observes records into states, merges states, and finishes a
/// state to a value.
pub trait Aggregate: Debug + Send + Sync {
    /// Returns the kind of the value with this number. An aggregate that isn't shared has one value, number 0. A
    /// [`summary`] numbers its values by [`Statistic`].
    fn kind(&self, number: usize) -> Kind;

    /// Number of `u64` words of a state, at least one.
    fn words(&self) -> usize;

    /// Returns where a state keeps the place of its tail, or `None` if states never have a tail.
    fn tail(&self) -> Option<TailPlace> {
        None
    }

    /// Returns how much of an arena the aggregate's tails may take.
    fn tail_growth(&self) -> TailGrowth {
        TailGrowth::OF_NUMBERS
    }

    /// Writes the words of a state that has observed nothing. Such a state has no tail.
    fn identity(&self, words: &mut [u64]);

    /// Returns the words of a state that has observed one record, if they are the same for every record. Such a state
    /// is written as a value row, which is shorter than a state row.
    fn unit(&self) -> Option<&[u64]> {
        None
    }

    /// Whether the value is a number of records: no record lowers the value, and none raises it by more than 1.
    fn is_count(&self) -> bool {
        false
    }

    /// Adds record `i` to the state of group `slots[i]`. `observed` are the columns that the job's aggregates observe.
    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]);

    /// Merges `others[i]` into the state of group `slots[i]`.
    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>);

    /// Returns a state's value with this number. An error says what is wrong with the value, such as that it is too
    /// large for its type.
    fn finish<'a>(&self, number: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow>;

    /// Adds the values with this number of many states to a column, whose bytes are in `data`. Of an error it says at
    /// which of the states it is.
    fn finish_all(
        &self,
        number: usize,
        states: HeldStates<'_>,
        column: &mut Growing,
        data: &mut Buffer,
    ) -> Result<(), (usize, Overflow)> {
        // Compiled for each aggregate, so that the call for each state isn't a virtual one.
        for (i, (words, tail)) in states.each().enumerate() {
            column.push(self.finish(number, words, tail).map_err(|overflow| (i, overflow))?, data);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_that_the_schema_has_is_there() {
        let built: Vec<_> = WRITTEN.all.iter().filter(|op| op.is_built()).map(|op| op.name).collect();
        assert_eq!(built, OPS.iter().map(|op| op.name).collect::<Vec<_>>());
    }
}
