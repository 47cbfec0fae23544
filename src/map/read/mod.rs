//! Readers: the records of a window to batches.

mod delimited;
mod lines;

pub use delimited::Delimited;
pub use lines::Lines;

use std::fmt::Debug;

use super::Next;
use crate::error::Result;
use crate::record::delimited::Layout;

/// Whole records of one source.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    pub bytes: &'a [u8],
    /// Where the source has which field, for formats in which each source says so.
    pub layout: Option<&'a Layout>,
}

/// Makes batches of the records of a window. Holds scratch memory: one a worker.
pub trait Reader: Debug + Send {
    /// Hands the records on, and says which are bad. Returns how many the window has, bad ones included.
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<u64>;
}
