//! `variance`: the variance of a group's values as a sample of more; null of fewer than two.
//! See `moments` for its state.

use super::moments::Spread;
use super::{OF_A_FIELD, Observes, Op};

pub const OP: Op = Op {
    name: "variance",
    keys: OF_A_FIELD,
    observes: Observes::Number,
    make: |observed, _| Spread { is_of_all: false, is_root: false }.of(observed.column()),
};
