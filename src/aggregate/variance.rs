//! `variance`: the variance of a group's values as a sample of a larger population; null for fewer than two values. See
//! `moments` for its state.

use super::moments::Spread;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "variance",
    keys: &of_a_field("The variance of a sample; null if there is only one value"),
    observes: Observes::Number,
    make: |observed, _| Spread { is_of_all: false, is_root: false }.of(observed.column()),
};
