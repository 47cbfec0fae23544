//! `variance_pop`: the variance of a group's values as the whole population; null if there are none. See `moments` for
//! its state.

use super::moments::Spread;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "variance_pop",
    keys: &of_a_field("The variance of a whole population"),
    observes: Observes::Number,
    make: |observed, _| Spread { is_of_all: true, is_root: false }.of(observed.column()),
};
