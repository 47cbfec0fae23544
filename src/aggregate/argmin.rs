//! `argmin`: the value in the record whose field `by` is the least. If several such records tie, the first in the input
//! wins. See `chosen` for its state.

use super::chosen::Rule;
use super::{Observes, Op, by_a_field};

pub const OP: Op = Op {
    name: "argmin",
    keys: &by_a_field("The value of field in the record in which another field (by) is least"),
    observes: Observes::DeclaredWithPosition,
    make: |observed, _| Rule { greatest: false, last: false }.of(observed),
};
