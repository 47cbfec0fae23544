//! `mean`: the exact sum of a group's values over their number, rounded once; null where there is none.
//! See `total` for its state.

use super::total::{Of, make};
use super::{OF_A_FIELD, Observes, Op};

pub const OP: Op = Op {
    name: "mean",
    keys: OF_A_FIELD,
    observes: Observes::Number,
    make: |column| make(Of::Mean, column.expect("its keys ask for a field")),
};
