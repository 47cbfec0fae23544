//! Looks at a few places of the input, and cuts the keys that are found there into ranges. Rows are then divided among
//! partitions so that the output is in order when each partition is.
//!
//! ```text
//! files     ▏  ▏  ▏  ▏  ▏  ▏     a few records at each of many places, before anything is mapped
//! streams   ▏▏▏▏▏▏               the same, in the block that is mapped first
//! ```
//!
//! The key of a group counts once for each place, because the combiner leaves one row of it there. What the look finds
//! never changes the output, so errors are passed over: the map phase meets them again.

use std::sync::OnceLock;

use ahash::AHashSet;

use super::job::Job;
use super::read::{begin, mapper, measured};
use crate::data::buffer::Buffer;
use crate::data::key::{Encoder, KeyFields};
use crate::data::{Batch, Sink};
use crate::error::Result;
use crate::failpoint;
use crate::input::block::{Bounds, FileBlock, FileBuffer};
use crate::input::edges::Edges;
use crate::input::feed::MapWork;
use crate::input::splits::Piece;
use crate::input::{Source, Stretch};
use crate::map::{Mapper, Window};
use crate::output::SortKeys;
use crate::panics;
use crate::shuffle::ranges::{KEYS_A_RANGE, LONGEST_BOUND};
use crate::shuffle::{Partitioner, Ranges};
use crate::table::hash;

/// The most places that are looked at. Each costs some 10 µs, or a seek of a disk.
const MOST_PLACES: usize = 256;

/// Input bytes for each place.
const BYTES_A_PLACE: u64 = 64 << 10;

/// Bytes that are read at a place, unless a record is longer.
const LOOK: usize = 16 << 10;

/// The longest record that is looked at.
const LONGEST: usize = 1 << 20;

/// The keys that rows are divided by.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    OfGroups(&'a KeyFields),
    /// What sort keys begin with, as [`SortKeys::put_dividing`] says.
    OfSort(&'a SortKeys),
}

/// How the rows of a phase are divided. If that depends on keys, the first attempt that needs to know it looks at its own
/// input, unless files were looked at before.
#[derive(Debug)]
pub struct Decided<'a> {
    /// What to look for, and the number of ranges that are wanted.
    look: Option<(Keys<'a>, usize)>,
    partitioner: OnceLock<Partitioner>,
}

impl<'a> Decided<'a> {
    pub fn by_hash(partitions: usize) -> Self {
        Decided { look: None, partitioner: Partitioner::Hash(partitions).into() }
    }

    /// Decides by a look at the files among the sources, if there are files.
    pub fn by_keys(job: &Job<'_>, keys: Keys<'a>, wanted: usize) -> Result<Self> {
        let of_files = failpoint::uncounted(|| of_files(job, keys, wanted))?;
        let partitioner = of_files.map_or_else(OnceLock::new, |ranges| Partitioner::Ranges(ranges).into());
        Ok(Decided { look: Some((keys, wanted)), partitioner })
    }

    /// Returns how the rows of this work are divided.
    pub fn partitioner(&self, job: &Job<'_>, work: &MapWork) -> &Partitioner {
        self.partitioner.get_or_init(|| match (work, self.look) {
            (MapWork::Block(block, _), Some((keys, wanted))) => {
                Partitioner::Ranges(failpoint::uncounted(|| of_block(job, keys, wanted, block.stretch())))
            }
            _ => Partitioner::default(),
        })
    }

    /// Returns how rows were divided. If there were none, there is one range.
    pub fn get(&self) -> &Partitioner {
        self.partitioner.get_or_init(Partitioner::default)
    }

    pub fn into_partitioner(self) -> Partitioner {
        self.partitioner.into_inner().unwrap_or_default()
    }
}

/// Looks at the files among the sources. Returns `None` if there is none.
fn of_files(job: &Job<'_>, keys: Keys<'_>, wanted: usize) -> Result<Option<Ranges>> {
    let files: Vec<(usize, &Source)> =
        job.plan.sources.iter().enumerate().filter(|(_, from)| !from.is_stream()).collect();
    let bytes: u64 = files.iter().map(|(_, file)| file.bytes()).sum();
    if bytes == 0 {
        return Ok(None);
    }
    let mut look = Look::new(job, keys, wanted, bytes);
    let mut memory = FileBuffer::default();
    let (mut number, mut before) = (0, 0);
    for (source, file) in files {
        let end = before + file.bytes();
        // Several places may be in one file, and many files may have none.
        while let Some(at) = look.place(number, bytes).filter(|at| *at < end) {
            job.check()?;
            let offset = at - before;
            let piece = Piece { source, offset, len: (LOOK as u64).min(file.bytes() - offset) };
            let bounds = Bounds { end_of: job.record_end(), edges: Edges::Assumed, joins: false, resident: None };
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
fn of_block(job: &Job<'_>, keys: Keys<'_>, wanted: usize, stretch: Stretch<'_>) -> Ranges {
    let bytes = stretch.owned as u64;
    let mut look = Look::new(job, keys, wanted, bytes);
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
        stretch.release(0..stretch.bytes.len());
    }
    look.ranges()
}

struct Look<'a> {
    job: &'a Job<'a>,
    mapper: Mapper,
    found: Found<'a>,
    /// Keys wanted of each place.
    each: usize,
    places: usize,
    wanted: usize,
}

impl<'a> Look<'a> {
    fn new(job: &'a Job<'a>, keys: Keys<'a>, wanted: usize, bytes: u64) -> Self {
        // One range needs no bounds.
        let places = if wanted > 1 { (bytes / BYTES_A_PLACE + 1).min(MOST_PLACES as u64) as usize } else { 0 };
        let fields: Vec<_> = match keys {
            Keys::OfGroups(key) => key.fields().collect(),
            Keys::OfSort(order) => order.dividing().iter().map(|key| key.index).collect(),
        };
        Look {
            job,
            mapper: mapper(job, &fields),
            found: Found::new(keys, wanted, job.sizes.look_memory),
            each: (wanted * KEYS_A_RANGE).div_ceil(places.max(1)),
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
        let Look { job, mapper, found, each, .. } = self;
        found.here.clear();
        found.wanted = *each;
        let (layout, first) = begin(job, stretch);
        let mut at = if at == 0 { first } else { at };
        let end = stretch.owned.min(at + LOOK);
        while at < end && found.wants_more() {
            let rest = &stretch.bytes[at..];
            let bytes = measured(job, rest, end - at);
            if bytes == 0 || bytes > LONGEST {
                break;
            }
            let window = Window { bytes: &rest[..bytes], home: job.home(stretch, at), is_whole: true, layout };
            let mapped = panics::caught(|| "a look at the input".into(), || mapper.map(window, found));
            mapper.rejects().take();
            match mapped {
                Ok(taken) if taken.bytes > 0 => at += taken.bytes,
                _ => break,
            }
        }
    }

    fn ranges(self) -> Ranges {
        self.found.ranges(self.wanted)
    }
}

/// Collects the keys of records or rows.
pub struct Found<'a> {
    keys: Keys<'a>,
    encoder: Encoder,
    found: Vec<Box<[u8]>>,
    /// Bytes that the keys found take, and how many they may take.
    bytes: usize,
    memory: usize,
    /// The number of keys seen so far, and of how many one is kept.
    seen: usize,
    one_of: usize,
    /// Hashes of the groups' keys that were found at this place.
    here: AHashSet<u64>,
    /// Keys that are still wanted here.
    wanted: usize,
}

impl<'a> Found<'a> {
    /// Collects as many keys as suffice for so many ranges, in so many bytes of memory. One range needs none.
    pub fn new(keys: Keys<'a>, ranges: usize, memory: usize) -> Self {
        let wanted = if ranges > 1 { ranges * KEYS_A_RANGE } else { 0 };
        let (encoder, found, here) = (Encoder::default(), Vec::new(), AHashSet::new());
        Found { keys, encoder, found, bytes: 0, memory, seen: 0, one_of: 1, here, wanted }
    }

    /// Keeps a key, or every so many of them: long keys are thinned out evenly if memory is short.
    fn keep(&mut self, key: Box<[u8]>) {
        self.seen += 1;
        if !self.seen.is_multiple_of(self.one_of) {
            return;
        }
        let bytes = |key: &[u8]| key.len() + size_of::<Box<[u8]>>();
        self.bytes += bytes(&key);
        self.found.push(key);
        while self.bytes > self.memory && self.found.len() > 1 {
            let mut number = 0;
            self.found.retain(|_| {
                number += 1;
                number % 2 == 0
            });
            self.bytes = self.found.iter().map(|key| bytes(key)).sum();
            self.one_of *= 2;
        }
    }

    /// Cuts the keys into so many ranges, or fewer.
    pub fn ranges(&self, wanted: usize) -> Ranges {
        Ranges::of_sample(self.found.iter().map(|key| &**key).collect(), wanted)
    }
}

impl Sink for Found<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        let mut sort_key = Buffer::default();
        for i in 0..batch.rows {
            if self.wanted == 0 {
                break;
            }
            let key = match self.keys {
                Keys::OfGroups(key) if Encoder::copies(batch, key, i..i + 1) <= LONGEST as u64 => {
                    let key = self.encoder.encode(batch, key, i..i + 1)?.get(0);
                    Some(key).filter(|key| self.here.insert(hash::hash(key)))
                }
                Keys::OfGroups(_) => None,
                Keys::OfSort(order) => {
                    sort_key.clear();
                    order.put_dividing(&mut sort_key, |field| batch.columns[field].value(i));
                    Some(sort_key.as_slice())
                }
            };
            if let Some(key) = key {
                let key = key[..key.len().min(LONGEST_BOUND)].into();
                self.wanted -= 1;
                self.keep(key);
            }
        }
        Ok(())
    }

    fn wants_more(&self) -> bool {
        self.wanted > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys that are kept are spread evenly, and few enough for the memory.
    #[test]
    fn long_keys_are_thinned_out() {
        const MEMORY: usize = 100_000;
        let fields = KeyFields::Composite(Vec::new());
        for (keys, kept) in [(40, 40), (1000, 62)] {
            let mut found = Found::new(Keys::OfGroups(&fields), 2, MEMORY);
            let key = |i: usize| format!("{i:01000}").into_bytes().into_boxed_slice();
            (0..keys).for_each(|i| found.keep(key(i)));
            assert!(found.bytes <= MEMORY);
            assert_eq!(found.found.len(), kept);
            let every = keys / kept;
            assert!(found.found.iter().enumerate().all(|(i, found)| *found == key((i + 1) * every - 1)));
        }
    }
}
