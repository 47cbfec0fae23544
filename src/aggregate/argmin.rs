//! `argmin`: the value of the record that has the least of another field, `by`; of several such the first in the input. See `chosen` for its state.

use super::chosen::Choice;
use super::{BY_A_FIELD, Observes, Op};

pub const OP: Op = Op {
    name: "argmin",
    keys: BY_A_FIELD,
    observes: Observes::Placed,
    make: |observed, _| Choice { greatest: false, last: false }.of(observed),
};
