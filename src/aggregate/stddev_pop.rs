//! `stddev_pop`: the standard deviation of a group's values as all there are; null of none.
//! See `moments` for its state.

use super::moments::Spread;
use super::{OF_A_FIELD, Observes, Op};

pub const OP: Op = Op {
    name: "stddev_pop",
    keys: OF_A_FIELD,
    observes: Observes::Number,
    make: |observed, _| Spread { is_of_all: true, is_root: true }.of(observed.column()),
};
