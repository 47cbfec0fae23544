//! Aggregates: commutative monoids over the records of a group.
//!
//! An aggregate's state is a few `u64` words that live beside the key in a table, and, where it needs one, a tail of
//! bytes in the table's arena. The engine moves states between tables and rows by copying words and tails, so
//! an aggregate is only its algebra: identity, observe, merge, finish. `merge` is the combiner, and because the laws of
//! a commutative monoid hold (see `laws`) no setting can change an answer.
//!
//! What the aggregates of a job observe is a set of columns, each field once however many of them look at it. An aggregate
//! knows its columns by their index in that set.

mod count;
#[cfg(test)]
pub mod laws;

pub use count::Count;

use std::fmt::Debug;

use crate::data::{Column, Value};
use crate::table::{StateColumn, States};

pub trait Aggregate: Debug + Send + Sync {
    /// Number of `u64` words of fixed state.
    fn words(&self) -> usize;

    /// Whether the state has a tail of bytes besides its words.
    fn has_tail(&self) -> bool {
        false
    }

    /// The words of the state that has observed nothing; its tail is empty.
    fn identity(&self, words: &mut [u64]);

    /// The words of a state that has observed one record, if they are the same for every record. Such a state
    /// travels as a value row, which is shorter.
    fn unit(&self) -> Option<&[u64]> {
        None
    }

    /// Adds record `i` to the state of group `slots[i]`. `observed` are the columns that the job's aggregates observe.
    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]);

    /// Merges `others[i]` into the state of group `slots[i]`.
    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>);

    /// The value of a state. An error says what is wrong with it, such as that it is too large for its type.
    fn finish<'a>(&self, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow>;
}

/// A finished value is beyond what its type holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;
