//! `min`: the least of a group's values; null where there is none. See `summary` for its state, and
//! `extreme` where the values are text.

use super::extreme;
use super::summary::Statistic;
use super::{OF_A_FIELD, Observes, Op};

pub const OP: Op = Op {
    name: "min",
    keys: OF_A_FIELD,
    observes: Observes::Order,
    make: |observed, _| extreme::of(Statistic::Least, observed.column()),
};
