//! `max`: the greatest of a group's values; null if there are none. See `summary` for its state, or `extreme` if the
//! values are text.

use super::extreme;
use super::summary::Statistic;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "max",
    keys: &of_a_field("The greatest value"),
    observes: Observes::Comparable,
    make: |observed, _| extreme::of(Statistic::Greatest, observed.column()),
};
