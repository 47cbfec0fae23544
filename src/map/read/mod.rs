//! Readers: the records of a window to batches.

mod delimited;
mod json;
mod lines;
mod pattern;

pub use delimited::Delimited;
pub use json::Json;
pub use lines::Lines;
pub use pattern::Matching;

use std::fmt::Debug;

use super::Next;
use crate::error::Result;
use crate::record::Taken;
use crate::record::delimited::Layout;

/// Records of one source.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    pub bytes: &'a [u8],
    /// Whether they end with a record. Else the last one may go on behind them, and is left then.
    pub is_whole: bool,
    /// Where the source has which field, for formats in which each source says so.
    pub layout: Option<&'a Layout>,
}

impl Window<'_> {
    /// That all of it was read: so many records. Only for formats whose records end wherever their terminator is.
    pub fn taken(&self, records: u64) -> Taken {
        Taken { records, bytes: self.bytes.len() }
    }
}

/// Makes batches of the records of a window. Holds scratch memory: one a worker.
pub trait Reader: Debug + Send {
    /// Hands the records on, and says which are bad. Returns what it took, bad ones included.
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<Taken>;
}
