//! Readers: the records of a window to batches.

mod delimited;
mod json;
mod lines;
mod pattern;

pub use delimited::Delimited;
pub use json::Json;
pub use lines::{Lines, Separated};
pub use pattern::Matching;

use std::fmt::Debug;

use super::Next;
use crate::data::Span;
use crate::error::Result;
use crate::input::{Newlines, Place, Source, Stretch};
use crate::record::Taken;
use crate::record::delimited::Layout;

/// Where a window lies.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    pub sources: &'a [Source],
    pub stretch: Stretch<'a>,
    /// The byte of the stretch at which it begins.
    pub begin: usize,
    pub newlines: &'a Newlines,
}

impl Home<'_> {
    /// Where a record of the window begins.
    pub fn place(&self, record: Span) -> Place {
        self.stretch.place(self.begin + record.start as usize)
    }

    /// Where a record of the window begins, and how many newlines its source has before it. `known` is how many there are
    /// before another place.
    pub fn lines_before(&self, record: Span, known: Option<(Place, u64)>) -> Result<(Place, u64)> {
        let at = self.begin + record.start as usize;
        let place = self.stretch.place(at);
        let earlier = known.filter(|(known, _)| known.source == place.source && known.offset <= place.offset);
        let between = earlier.and_then(|(known, lines)| {
            let start = at.checked_sub(usize::try_from(place.offset - known.offset).ok()?)?;
            let is_here = start >= self.stretch.part_start(at);
            is_here.then(|| lines + memchr::memchr_iter(b'\n', &self.stretch.bytes[start..at]).count() as u64)
        });
        let lines = match between {
            Some(lines) => lines,
            None => self.newlines.before(self.sources, self.stretch, at)?,
        };
        Ok((place, lines))
    }
}

/// Records of one source.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    pub bytes: &'a [u8],
    pub home: Home<'a>,
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
