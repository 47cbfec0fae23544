//! `mean`: the exact sum of a group's values divided by their number, rounded once; null if there are no values. See
//! `summary` for its state.

use super::summary::Statistic;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "mean",
    keys: &of_a_field("The mean"),
    observes: Observes::Number,
    make: |observed, _| Statistic::Mean.of(observed.column()),
};
