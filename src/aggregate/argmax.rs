//! `argmax`: the value in the record whose field `by` is the greatest. If several such records tie, the first in the
//! input wins. See `chosen` for its state.

use super::chosen::Rule;
use super::{Observes, Op, by_a_field};

pub const OP: Op = Op {
    name: "argmax",
    keys: &by_a_field("The value in the record that has the greatest of another field"),
    observes: Observes::Placed,
    make: |observed, _| Rule { greatest: true, last: false }.of(observed),
};
