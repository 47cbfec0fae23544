//! Aggregates: commutative monoids over the records of a group.
//!
//! An aggregate's state is a few `u64` words that live beside the key in a table, and, where it needs one, a tail of
//! bytes in the table's arena. The engine moves states between tables and rows by copying words and tails, so
//! an aggregate is only its algebra: identity, observe, merge, finish. `merge` is the combiner, and because the laws of
//! a commutative monoid hold (see `laws`) no setting can change an answer.
//!
//! To add one: a file here with a type that implements [`Aggregate`], its name in `spec`, its laws in the file's tests.

mod count;
pub mod exact;
#[cfg(test)]
pub mod laws;

pub use count::Count;

use std::fmt::Debug;

use crate::data::{Bytes, Value};
use crate::table::{StateColumn, States};

/// What a value row carries for one aggregate: its observation of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The record's existence is all that is observed.
    Nothing,
    /// The bytes of a field, a tail of the row.
    Bytes,
}

pub trait Aggregate: Debug + Send + Sync {
    fn input(&self) -> Input;

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

    /// Adds record `i` to the state of group `slots[i]`. `values` is empty for [`Input::Nothing`].
    fn observe(&self, states: &mut States<'_>, slots: &[u32], values: Bytes<'_>);

    /// Merges `others[i]` into the state of group `slots[i]`.
    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>);

    fn finish<'a>(&self, words: &[u64], tail: &'a [u8]) -> Value<'a>;
}
