//! `last`: the value of the last record in the input that has one; null where none has. See `chosen` for its state.

use super::chosen::Choice;
use super::{OF_A_FIELD, Observes, Op};

pub const OP: Op = Op {
    name: "last",
    keys: OF_A_FIELD,
    observes: Observes::Placed,
    make: |observed, _| Choice { greatest: false, last: true }.of(observed),
};
