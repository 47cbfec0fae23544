//! Sums that are exact whatever the order of what is summed, for the states of aggregates.
//!
//! ```text
//! state   a window: a fixed point number of a few words, beside the key      count
//! tail    what doesn't fit the window, in a number that holds any sum        empty while everything fits
//! ```
//!
//! The sum is the window plus the tail. How it is split between them depends on the order of what came; the sum doesn't,
//! and it is rounded once, where it is read. The functions that are called for every record touch only the window and
//! say whether that was enough; if not, the caller fetches the tail and calls the one that ends in `_outside`.
//!
//! [`decimal`] sums decimals, [`float`] doubles.

pub mod decimal;
pub mod float;

/// A sum of decimals has more than 38 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sum has more than 38 digits")]
pub struct Overflow;
