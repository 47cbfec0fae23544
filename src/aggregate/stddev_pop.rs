//! `stddev_pop`: the standard deviation of a group's values as the whole population; null if there are none. See
//! `moments` for its state.

use super::moments::Spread;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "stddev_pop",
    keys: &of_a_field("The standard deviation of a whole population"),
    observes: Observes::Number,
    make: |observed, _| Spread { is_of_all: true, is_root: true }.of(observed.column()),
};
