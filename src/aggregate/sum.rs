//! `sum`: the exact sum of a group's values; null if there are none. Of decimals, only the final sum is limited to 38
//! digits; more are an overflow. See `summary` for its state.

use super::summary::Statistic;
use super::{Observes, Op, of_a_field};

pub const OP: Op = Op {
    name: "sum",
    keys: &of_a_field("The sum, which is exact for floats too"),
    observes: Observes::Number,
    make: |observed, _| Statistic::Sum.of(observed.column()),
};
