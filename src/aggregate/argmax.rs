//! `argmax`: the value of the record that has the greatest of another field, `by`; of several such the first in the input. See `chosen` for its state.

use super::chosen::Rule;
use super::{Observes, Op, by_a_field};

pub const OP: Op = Op {
    name: "argmax",
    keys: &by_a_field("The value in the record that has the greatest of another field"),
    observes: Observes::Placed,
    make: |observed, _| Rule { greatest: true, last: false }.of(observed),
};
