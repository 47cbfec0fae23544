//! `max`: the greatest of a group's values; null where there is none. See `extreme` for its state.

use super::extreme::{End, make};
use super::{OF_A_FIELD, Observes, Op};

pub const OP: Op = Op {
    name: "max",
    keys: OF_A_FIELD,
    observes: Observes::Order,
    make: |column| make(End::Greatest, column.expect("its keys ask for a field")),
};
