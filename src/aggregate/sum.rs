//! `sum`: the sum of a group's values, exact; null where there is none. More than 38 digits are an overflow, of the whole sum only.
//! See `summary` for its state.

use super::summary::Statistic;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "sum",
    keys: &of_a_field("The sum, exact also of floats"),
    observes: Observes::Number,
    make: |observed, _| Statistic::Sum.of(observed.column()),
};
