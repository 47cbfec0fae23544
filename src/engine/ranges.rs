//! Looks at a few places of the input, and cuts the keys that are found there into ranges. Rows are then divided among
//! partitions so that the output is in order when each partition is.
//!
//! ```text
//! files     ▏  ▏  ▏  ▏  ▏  ▏     a few records at each of many places, before anything is mapped
//! streams   ▏▏▏▏▏▏               the same, in the block that is mapped first
//! ```
//!
//! A key counts once for each place, because the combiner leaves one row of it there. What the look finds never changes
//! the output, so errors are passed over: the map phase meets them again.

use std::ops::Range;

use ahash::AHashSet;

use super::Grouping;
use super::job::Job;
use super::read::{begin, mapper, measured};
use crate::data::key::Encoder;
use crate::data::{Batch, Sink};
use crate::error::Result;
use crate::input::block::{Bounds, FileBlock, FileBuffer};
use crate::input::edges::Edges;
use crate::input::splits::Piece;
use crate::input::{Source, Stretch};
use crate::map::emit::GroupFields;
use crate::map::{Mapper, Window};
use crate::panics;
use crate::shuffle::Ranges;
use crate::shuffle::ranges::LONGEST_BOUND;

/// Keys that are looked at for each range. With 32, the largest of a thousand ranges has about twice the keys of an
/// average one.
const KEYS_A_RANGE: usize = 32;

/// The most places that are looked at. Each costs some 10 µs, or a seek of a disk.
const MOST_PLACES: usize = 256;

/// Input bytes for each place.
const BYTES_A_PLACE: u64 = 64 << 10;

/// Bytes that are read at a place, unless a record is longer.
const LOOK: usize = 16 << 10;

/// The longest record that is looked at.
const LONGEST: usize = 1 << 20;

/// Looks at the files among the sources. Returns `None` if there is none.
pub fn of_files(job: &Job<'_>, grouping: &Grouping<'_>, wanted: usize) -> Result<Option<Ranges>> {
    let files: Vec<(usize, &Source)> =
        job.plan.sources.iter().enumerate().filter(|(_, from)| !from.is_stream()).collect();
    let bytes: u64 = files.iter().map(|(_, file)| file.bytes()).sum();
    if bytes == 0 {
        return Ok(None);
    }
    let mut look = Look::new(job, grouping, wanted, bytes);
    let mut memory = FileBuffer::default();
    let (mut number, mut before) = (0, 0);
    for (source, file) in files {
        let end = before + file.bytes();
        // Several places may be in one file, and many files may have none.
        while let Some(at) = look.place(number, bytes).filter(|at| *at < end) {
            job.check()?;
            let offset = at - before;
            let piece = Piece { source, offset, len: (LOOK as u64).min(file.bytes() - offset) };
            let bounds = Bounds { end_of: job.record_end(), edges: Edges::Assumed, joins: false };
            if let Ok(block) = FileBlock::open(&job.plan.sources, &mut &[piece][..], bounds, &mut memory) {
                look.at(block.stretch(), 0);
            }
            number += 1;
        }
        before = end;
    }
    Ok(Some(look.ranges()))
}

/// Looks at a block of a stream.
pub fn of_block(job: &Job<'_>, grouping: &Grouping<'_>, wanted: usize, stretch: Stretch<'_>) -> Ranges {
    let bytes = stretch.owned as u64;
    let mut look = Look::new(job, grouping, wanted, bytes);
    let terminator = job.record_end().framing.terminator();
    for number in 0.. {
        let Some(place) = look.place(number, bytes) else { break };
        let place = place as usize;
        // A terminator in quotes is taken for the end of a record. The keys found then are odd, and no more than that.
        let begin = match place {
            0 => Some(0),
            _ => memchr::memchr(terminator, &stretch.bytes[place..]).map(|end| place + end + 1),
        };
        if let Some(begin) = begin.filter(|begin| *begin < stretch.owned) {
            look.at(stretch, begin);
        }
    }
    look.ranges()
}

struct Look<'a> {
    job: &'a Job<'a>,
    mapper: Mapper,
    keys: Keys<'a>,
    /// Keys wanted of each place.
    each: usize,
    places: usize,
    wanted: usize,
}

impl<'a> Look<'a> {
    fn new(job: &'a Job<'a>, grouping: &'a Grouping<'a>, wanted: usize, bytes: u64) -> Self {
        let places = (bytes / BYTES_A_PLACE + 1).min(MOST_PLACES as u64) as usize;
        let fields: Vec<_> = grouping.fields.key.fields().collect();
        Look {
            job,
            mapper: mapper(job, &fields),
            keys: Keys {
                fields: &grouping.fields,
                encoder: Encoder::default(),
                found: Vec::new(),
                here: AHashSet::new(),
                wanted: 0,
            },
            each: (wanted * KEYS_A_RANGE).div_ceil(places),
            places,
            wanted,
        }
    }

    /// Returns where place `number` is in `bytes` bytes, if there are so many places.
    fn place(&self, number: usize, bytes: u64) -> Option<u64> {
        (number < self.places).then(|| (u128::from(bytes) * number as u128 / self.places as u128) as u64)
    }

    /// Looks at the records of a stretch from `at` on.
    fn at(&mut self, stretch: Stretch<'_>, at: usize) {
        let Look { job, mapper, keys, each, .. } = self;
        keys.here.clear();
        keys.wanted = *each;
        let (layout, first) = begin(job, stretch);
        let mut at = if at == 0 { first } else { at };
        let end = stretch.owned.min(at + LOOK);
        while at < end && keys.wants_more() {
            let rest = &stretch.bytes[at..];
            let bytes = measured(job, rest, end - at);
            if bytes == 0 || bytes > LONGEST {
                break;
            }
            let window = Window { bytes: &rest[..bytes], home: job.home(stretch, at), is_whole: true, layout };
            let mapped = panics::caught(|| "a look at the input".into(), || mapper.map(window, keys));
            mapper.rejects().take();
            match mapped {
                Ok(taken) if taken.bytes > 0 => at += taken.bytes,
                _ => break,
            }
        }
    }

    fn ranges(self) -> Ranges {
        Ranges::of_sample(self.keys.found.iter().map(|key| &**key).collect(), self.wanted)
    }
}

/// Collects the keys of mapped records.
struct Keys<'a> {
    fields: &'a GroupFields,
    encoder: Encoder,
    found: Vec<Box<[u8]>>,
    /// Hashes of the keys that were found at this place.
    here: AHashSet<u64>,
    /// Keys that are still wanted of this place.
    wanted: usize,
}

impl Sink for Keys<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        let key = &self.fields.key;
        for i in 0..batch.rows {
            if self.wanted == 0 {
                break;
            }
            let records: Range<usize> = i..i + 1;
            if Encoder::copies(batch, key, records.clone()) > LONGEST as u64 {
                continue;
            }
            let encoded = self.encoder.encode(batch, key, records)?;
            let key = encoded.get(0);
            if self.here.insert(crate::table::hash::hash(key)) {
                self.found.push(key[..key.len().min(LONGEST_BOUND)].into());
                self.wanted -= 1;
            }
        }
        Ok(())
    }

    fn wants_more(&self) -> bool {
        self.wanted > 0
    }
}
