//! mapfold.
#![deny(unsafe_code)]

pub mod aggregate;
pub mod buffer;
pub mod cli;
pub mod column;
pub mod engine;
pub mod error;
pub mod input;
pub mod map;
pub mod output;
pub mod plan;
pub mod record;
pub mod reduce;
pub mod report;
pub mod shuffle;
pub mod spec;
pub mod table;

pub use error::{Error, Result};
