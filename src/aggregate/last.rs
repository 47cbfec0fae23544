//! `last`: the value of the last record in the input whose value isn't null; null if there is no such record. See
//! `chosen` for its state.

use super::chosen::Rule;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "last",
    keys: &of_a_field("The last value in the order of the input"),
    observes: Observes::DeclaredWithPosition,
    make: |observed, _| Rule { greatest: false, last: true }.of(observed),
};
