//! The steps of `map`, one file a kind.

mod candidates;
pub mod extract;
pub mod filter;
pub mod gather;
pub mod lines;
pub mod ngrams;
pub mod pieces;
pub mod split;

pub use extract::{Extract, ExtractAll};
pub use filter::Filter;
pub use ngrams::Ngrams;
pub use split::Split;
