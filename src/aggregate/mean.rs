//! `mean`: the exact sum of a group's values over their number, rounded once; null where there is none.
//! See `summary` for its state.

use super::summary::Statistic;
use super::{OF_A_FIELD, Observes, Op};

pub const OP: Op = Op {
    name: "mean",
    keys: OF_A_FIELD,
    observes: Observes::Number,
    make: |observed, _| Statistic::Mean.of(observed.column()),
};
