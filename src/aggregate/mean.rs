//! `mean`: the exact sum of a group's values over their number, rounded once; null where there is none.
//! See `summary` for its state.

use super::summary::Statistic;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "mean",
    keys: &of_a_field("The mean"),
    observes: Observes::Number,
    make: |observed, _| Statistic::Mean.of(observed.column()),
};
