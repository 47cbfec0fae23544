//! Readers: turn the records of a window into batches, and say which records are bad. There is one reader for each
//! input format. A window also knows where it lies in the input, for steps that add a record's file, line or offset.

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

/// Where a window lies in the input.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    pub sources: &'a [Source],
    pub stretch: Stretch<'a>,
    /// The byte of the stretch at which the window begins.
    pub begin: usize,
    pub newlines: &'a Newlines,
}

impl Home<'_> {
    /// Returns where a record of the window begins.
    pub fn place(&self, record: Span) -> Place {
        self.stretch.place(self.begin + record.start as usize)
    }

    /// Returns where a record of the window begins, and how many newlines come before it in its source. `known` is
    /// another place with the number of newlines before it. If that place is earlier in the same bytes, only the
    /// newlines in between are counted.
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

/// A window of records, all of one source.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    pub bytes: &'a [u8],
    pub home: Home<'a>,
    /// Whether `bytes` end with the end of a record. If not, the last record may go on behind them, and is then left
    /// for the next window.
    pub is_whole: bool,
    /// Where each field is in the source's records, for formats in which each source says so.
    pub layout: Option<&'a Layout>,
}

impl Window<'_> {
    /// Returns that the whole window was read and had this many records. Only for formats whose records end at every
    /// terminator.
    pub fn taken(&self, records: u64) -> Taken {
        Taken { records, bytes: self.bytes.len() }
    }
}

/// Makes batches of the records of a window. Each worker has a reader of its own, since it holds scratch memory.
pub trait Reader: Debug + Send {
    /// Hands the records to `next` and adds the bad ones to its rejects. Returns how much was taken, bad records
    /// included.
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<Taken>;
}
