//! Aggregates: commutative monoids over the records of a group.
//!
//! An aggregate's state is a few `u64` words that live beside the key in a table, and, where it needs one, a tail of
//! bytes in the table's arena. The engine moves states between tables and rows by copying words and tails, so
//! an aggregate is only its algebra: identity, observe, merge, finish. `merge` is the combiner, and because the laws of
//! a commutative monoid hold (see `laws`) no setting can change an answer.
//!
//! What the aggregates of a job observe is a set of columns, each field once however many of them look at it. An aggregate
//! knows its columns by their index in that set.

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

use crate::data::{Column, Kind, Value};
use crate::schema::predicate::PREDICATES;
use crate::schema::{Key, Shape, Tagged, Variant};
use crate::table::{StateColumn, States, TailPlace};
use summary::Statistic;

/// An op of a spec: one a file.
pub struct Op {
    pub name: &'static str,
    /// Its keys, `op`, `as` and `where` among them.
    pub keys: &'static [Key],
    pub observes: Observes,
    pub make: Make,
}

/// What an op makes of what it observes.
pub type Make = fn(&Observed, &Options) -> Made;

/// Indices of observed columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observed {
    /// The op's field, and what it is.
    pub field: Option<(usize, Kind)>,
    /// What `by` names.
    pub by: Option<usize>,
    /// Where the record is in the input.
    pub position: Option<usize>,
}

impl Observed {
    /// Of an op whose keys ask for a field.
    pub fn column(&self) -> (usize, Kind) {
        self.field.expect("its keys ask for a field")
    }
}

/// What the keys of an op's own say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Which quantile, from 0 to 1.
    pub q: Option<f64>,
}

#[derive(Debug)]
pub enum Made {
    /// An aggregate of its own, with one value.
    Own(Box<dyn Aggregate>),
    /// A value of the column's summary, which all ops that want one share.
    Statistic { column: usize, kind: Kind, statistic: Statistic },
    /// A quantile of the column's sketch, which all quantiles of the column share.
    Quantile { column: usize, q: f64 },
}

/// What an op wants of its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observes {
    /// Whether it has a value; the op may do without a field.
    Presence,
    /// A number.
    Number,
    /// A number, or text or a timestamp where the field was declared to be that.
    Order,
    /// A value of the type that the field was declared to have: what was read where nobody declared it.
    Declared,
    /// The same, and the place of its record in the input; and if it has a `by`, what that names as [`Observes::Order`].
    Placed,
}

/// The ops that there are.
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

/// What an aggregate in a spec looks like.
pub static SHAPE: Shape = Shape::Tagged(&WRITTEN);

/// Its kinds, by op.
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

const FIELD: Key = Key::required("field", Shape::Name).about("The field that it is over");
const AS: Key =
    Key::optional("as", Shape::Name).about("The name of its column, which else is op_field, or op without a field");
const WHERE: Key =
    Key::optional("where", Shape::Variants(&PREDICATES)).about("The records that it sees: those for which this holds");

/// The key that names the op, which says what that is for.
const fn op_key(about: &'static str) -> Key {
    Key::required("op", Shape::Text).about(about)
}

/// The keys of an op over one field.
const fn of_a_field(about: &'static str) -> [Key; 4] {
    [op_key(about), FIELD, AS, WHERE]
}

/// The keys of an op over one field that looks at another.
const fn by_a_field(about: &'static str) -> [Key; 5] {
    [op_key(about), FIELD, Key::required("by", Shape::Name).about("The field that a record is chosen by"), AS, WHERE]
}

/// The op of this name.
///
/// # Panics
/// If there is none: the schema has been through it.
pub fn op(name: &str) -> &'static Op {
    OPS.iter().find(|op| op.name == name).expect("the schema knows no other op")
}

/// What a value has too many digits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sum has more than 38 digits")]
pub struct Overflow;

/// How much of an arena the tails of an aggregate may take when it is given records or states, besides as many bytes as
/// those have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailGrowth {
    /// Bytes for each record or state.
    pub each: usize,
    /// How often the bytes that the arena has, and those that come, may be taken again: where tails become longer by being
    /// copied to twice the length.
    pub copies: usize,
}

impl TailGrowth {
    /// Of aggregates of numbers whose tails are exact sums of doubles, two at most.
    pub const OF_NUMBERS: TailGrowth = TailGrowth { each: 2 * exact::LONGEST_TAIL + 2, copies: 0 };

    /// Whether a tail may be so long that few of them fill an arena.
    pub fn is_of_long_tails(self) -> bool {
        self.each > Self::OF_NUMBERS.each || self.copies > 0
    }

    /// Most bytes that an arena of `held` bytes has more when so many records or states of `bytes` bytes in all have come.
    pub fn most(self, held: usize, bytes: usize, count: usize) -> usize {
        let copied = held.saturating_add(bytes).saturating_mul(self.copies);
        bytes.saturating_add(copied).saturating_add(count.saturating_mul(self.each))
    }
}

pub trait Aggregate: Debug + Send + Sync {
    /// What its value of this number is. An aggregate of its own has one value, number 0; a [`summary`] numbers its values by
    /// [`Statistic`].
    fn kind(&self, number: usize) -> Kind;

    /// Number of `u64` words of fixed state: at least one.
    fn words(&self) -> usize;

    /// Where a state says that it has a tail of bytes besides its words, if one ever has.
    fn tail(&self) -> Option<TailPlace> {
        None
    }

    /// How much of an arena its tails may take.
    fn tail_growth(&self) -> TailGrowth {
        TailGrowth::OF_NUMBERS
    }

    /// The words of the state that has observed nothing. It has no tail.
    fn identity(&self, words: &mut [u64]);

    /// The words of a state that has observed one record, if they are the same for every record. Such a state
    /// travels as a value row, which is shorter.
    fn unit(&self) -> Option<&[u64]> {
        None
    }

    /// Whether its value is how many of some records there are: no record lowers it, and none adds more than 1.
    fn counts(&self) -> bool {
        false
    }

    /// Adds record `i` to the state of group `slots[i]`. `observed` are the columns that the job's aggregates observe.
    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]);

    /// Merges `others[i]` into the state of group `slots[i]`.
    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>);

    /// The value, of this number, of a state. An error says what is wrong with it, such as that it is too large for its type.
    fn finish<'a>(&self, number: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow>;
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
