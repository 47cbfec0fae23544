//! `max`: the greatest of a group's values; null where there is none. See `summary` for its state, and
//! `extreme` where the values are text.

use super::extreme;
use super::summary::Statistic;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "max",
    keys: &of_a_field("The greatest value"),
    observes: Observes::Order,
    make: |observed, _| extreme::of(Statistic::Greatest, observed.column()),
};
