//! Reading: hands a map task's records to its mapper, one window of whole records at a time. Bad records, progress and
//! the bytes covered are noted on the way.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bad::Bad;
use super::job::Job;
use super::panicking::Panicking;
use crate::data::Sink;
use crate::error::{Error, Result};
use crate::input::block::{self, FileBlock};
use crate::input::edges::{Edges, PieceRead, Records};
use crate::input::feed::MapWork;
use crate::input::{RecordEnd, Stretch};
use crate::map::read::{Delimited, Json, Matching, Separated};
use crate::map::{Field, Mapper, Reject, Rejects, Why, Window};
use crate::plan;
use crate::record::delimited::{self, Layout};
use crate::record::{TERMINATOR, Taken, json, pattern};
use crate::run::Attempt;

/// The most bytes of records that the mapper gets at once. The progress meter moves, and a signal is noticed, between two
/// windows.
pub const WINDOW: usize = 1 << 20;

/// Totals of what an attempt has read.
#[derive(Debug, Default)]
pub struct AttemptRead {
    pub bytes: u64,
    pub records: u64,
    /// Bytes of input, counted as they are stored (compressed or not).
    pub stored_bytes: u64,
    pub bad: Bad,
    /// The byte ranges of the whole records read, by source. Empty unless the result may be partial.
    pub covered: Vec<(usize, Range<u64>)>,
}

impl AttemptRead {
    /// Notes that the records of `stretch` before `end` were read.
    fn cover(&mut self, job: &Job<'_>, stretch: Stretch<'_>, end: usize) {
        if job.plan.may_be_partial() {
            self.covered.extend(stretch.covered(end));
        }
    }
}

/// Makes one worker's mapper. `wanted` are the fields of mapped records that are needed after the steps.
pub fn mapper(job: &Job<'_>, wanted: &[Field]) -> Mapper {
    let steps = &job.plan.steps;
    let rejects = Rejects::new(job.plan.on_error == plan::OnError::Fail);
    match &job.plan.read {
        plan::Read::Text { separator: TERMINATOR } => Mapper::of_lines(steps, wanted, rejects),
        plan::Read::Text { separator } => Mapper::new(Box::new(Separated { by: *separator }), steps, rejects),
        plan::Read::Delimited { dialect, .. } => {
            Mapper::new(Box::new(Delimited(delimited::Reader::new(dialect))), steps, rejects)
        }
        plan::Read::Json { fields, verbatim } => {
            Mapper::new(Box::new(Json(json::Reader::new(fields, *verbatim))), steps, rejects)
        }
        plan::Read::Matching { pattern, verbatim } => {
            Mapper::new(Box::new(Matching(pattern::Reader::new(pattern, *verbatim))), steps, rejects)
        }
    }
}

/// The input of a map task.
#[derive(Clone, Copy, Debug)]
pub struct MapTask<'a> {
    pub work: &'a MapWork,
    pub edges: Edges,
}

/// Records for a mapper.
#[derive(Clone, Copy, Debug)]
pub enum Portion<'a> {
    /// A task's records. Those in `without` are known to panic and count as bad.
    MapTask { task: MapTask<'a>, without: &'a Panicking },
    /// The records of one window, mapped only to see whether they panic. The result is thrown away.
    Trial(Window<'a>),
}

impl Portion<'_> {
    pub fn is_trial(&self) -> bool {
        matches!(self, Portion::Trial(_))
    }
}

/// Hands records to `mapper` and the mapped records to `out`.
pub fn read(
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    records: &Portion<'_>,
    mapper: &mut Mapper,
    out: &mut dyn Sink,
) -> Result<AttemptRead> {
    let mut read = AttemptRead::default();
    match *records {
        Portion::Trial(window) => {
            mapper.map(window, out)?;
            mapper.rejects().take();
        }
        Portion::MapTask { task, without } => {
            each_block(job, attempt, task, &mut |stretch| {
                let end = windows(job, attempt, stretch, &without.within(stretch), mapper, out, &mut read)?;
                read.cover(job, stretch, end);
                Ok(end)
            })?;
        }
    }
    read.bad.finish()?;
    Ok(read)
}

/// Calls `each` with every stretch of a task. `each` returns where the last record that it took ends.
pub fn each_block(
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    MapTask { work, edges }: MapTask<'_>,
    each: &mut dyn FnMut(Stretch<'_>) -> Result<usize>,
) -> Result<()> {
    match work {
        MapWork::Split(split) => {
            let mut pieces = &split.pieces[..];
            let mut memory = job.small_files.take(block::FileBuffer::default);
            let joins = !matches!(job.plan.read, plan::Read::Delimited { .. });
            let cut = block::Bounds { end_of: job.record_end(), edges, joins, resident: job.sizes.resident() };
            while let Some(&piece) = pieces.first().filter(|_| !attempt.is_cut()) {
                let block = FileBlock::open(&job.plan.sources, &mut pieces, cut, &mut memory)?;
                let stretch = block.stretch();
                let begin = (stretch.owned > 0).then(|| stretch.place(0).offset);
                let mapped = each(stretch);
                // This comes first: if the file changed while it was read, the mapped records mean nothing.
                block.verify()?;
                if edges == Edges::Assumed {
                    let records = match (begin, &mapped) {
                        (None, _) => Some(Records::None),
                        (Some(begin), Ok(end)) => Some(Records::All(begin..begin + *end as u64)),
                        (Some(begin), Err(error)) if error.is_of_a_record() => Some(Records::Failed { begin }),
                        // An attempt that lost, or failed for another reason, doesn't tell about the records. Another
                        // attempt will.
                        (Some(_), Err(_)) => None,
                    };
                    if let Some(records) = records {
                        job.note_read(attempt.number(), PieceRead { piece, records });
                    }
                }
                mapped?;
            }
            job.small_files.keep(memory);
        }
        MapWork::Block(block, _) => {
            let mapped = each(block.stretch());
            block.verify()?;
            mapped?;
        }
    }
    Ok(())
}

/// Returns the layout of a stretch's fields, and where its records begin: after the header, if it has one.
pub fn begin<'a>(job: &'a Job<'_>, stretch: Stretch<'_>) -> (Option<&'a Layout>, usize) {
    match &job.plan.read {
        plan::Read::Delimited { layouts, header, .. } if !stretch.bytes.is_empty() => {
            let header = (*header && stretch.is_first).then(|| job.record_end().framing.first_end(stretch.bytes));
            let at = header.map_or(0, |end| end.unwrap_or(stretch.bytes.len()));
            (Some(&*layouts[stretch.place(0).source]), at)
        }
        _ => (None, 0),
    }
}

/// Returns where the next window of whole records ends in `rest`. The first `owned` bytes of `rest` are the stretch's
/// own.
pub fn measured(job: &Job<'_>, rest: &[u8], owned: usize) -> usize {
    let RecordEnd { framing, longest } = job.record_end();
    // The end of a record that doesn't fit the memory is searched when it is refused.
    let longest = longest.min(longest_record(job) + 1);
    framing.window(rest, job.sizes.window.min(owned), usize::try_from(longest).unwrap_or(usize::MAX))
}

/// Maps the records of `stretch` except those that are known to panic. Returns where the last of them ends.
fn windows(
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    stretch: Stretch<'_>,
    panicking: &BTreeMap<usize, &str>,
    mapper: &mut Mapper,
    out: &mut dyn Sink,
    read: &mut AttemptRead,
) -> Result<usize> {
    let framing = job.record_end().framing;
    let save_as = || job.attempt_path(attempt, "bad");
    let (layout, mut at) = begin(job, stretch);
    let (len, mut stored_bytes, mut released) = (stretch.bytes.len(), 0, 0);
    read.bytes += at as u64;
    let mut is_too_short = false;
    while at < stretch.owned && out.wants_more() && !attempt.is_cut() {
        attempt.check()?;
        let next = panicking.range(at..).next();
        let rest = &stretch.bytes[at..next.map_or(len, |(&next, _)| next)];
        let taken = match next {
            Some((_, message)) if rest.is_empty() => {
                let rest = &stretch.bytes[at..];
                let bytes = framing.first_end(rest).unwrap_or(rest.len());
                let record = at..at + framing.unended(&rest[..bytes]).len();
                let why = Why::Panic { message: (*message).to_owned() };
                read.bad.add(job, Reject { record, why }, stretch, &save_as)?;
                Taken { records: 1, bytes }
            }
            _ => {
                let owned = stretch.owned - at;
                let likely = framing.likely_window(rest, job.sizes.window.min(owned)).filter(|_| !is_too_short);
                let bytes = likely.unwrap_or_else(|| measured(job, rest, owned));
                check(job, stretch, at..at + bytes)?;
                let window =
                    Window { bytes: &rest[..bytes], home: job.home(stretch, at), is_whole: likely.is_none(), layout };
                let taken = mapper.map(window, out);
                let taken = taken.map_err(|error| located(job, error, stretch, at..at + bytes))?;
                if !out.wants_more() {
                    // The limit was reached before the first bad record that would end the job.
                    mapper.rejects().forget_the_end();
                }
                read.bad.take(job, mapper.rejects(), stretch, at..at + taken.bytes, &save_as)?;
                taken
            }
        };
        // If the likely window held no whole record, the next window is measured exactly.
        is_too_short = taken.bytes == 0;
        let end = at + taken.bytes;
        read.records += taken.records;
        read.bytes += (end - at) as u64;
        // Each window counts its proportional share of the stretch's stored (compressed) bytes.
        let done = (u128::from(stretch.stored_len) * end as u128 / len as u128) as u64;
        attempt.advance(done - stored_bytes);
        released = stretch.release(released..end);
        read.stored_bytes += done - stored_bytes;
        (at, stored_bytes) = (end, done);
    }
    Ok(at)
}

/// The longest record that the memory allows. Windows are never larger than it, but for a longer record.
fn longest_record(job: &Job<'_>) -> u64 {
    job.sizes.longest_record.max(job.sizes.window as u64)
}

/// Fails if a record of the window is longer than records may be, or than one worker's share of the memory.
pub fn check(job: &Job<'_>, stretch: Stretch<'_>, window: Range<usize>) -> Result<()> {
    let most = job.plan.max_record;
    let framing = job.record_end().framing;
    let place = |at| {
        let place = stretch.place(window.start + at);
        (job.plan.sources[place.source].path().to_owned(), place.offset)
    };
    if let Some(at) = framing.too_long(&stretch.bytes[window.clone()], most) {
        let rest = &stretch.bytes[window.start + at..];
        let len = framing.first_end(&rest[..rest.len().min(WINDOW)]).map(|end| end as u64);
        let (path, at) = place(at);
        return Err(Error::RecordTooLong { path, at, most, len });
    }
    if window.len() as u64 > longest_record(job) {
        let mut released = 0;
        let give_back =
            |searched| released = stretch.release(window.start + released..window.start + searched) - window.start;
        let bytes = framing.long_record(&stretch.bytes[window.start..], give_back) as u64;
        let (path, at) = place(0);
        return Err(match bytes > most {
            true => Error::RecordTooLong { path, at, most, len: Some(bytes) },
            false => Error::RecordTooLarge { path, at, bytes, needs: job.sizes.needs_of_record(bytes) },
        });
    }
    Ok(())
}

/// Names the record whose row is too long, if the window has no other.
fn located(job: &Job<'_>, error: Error, stretch: Stretch<'_>, window: Range<usize>) -> Error {
    match error {
        Error::RowTooLarge { needs, .. } if window.len() > job.sizes.window => {
            let place = stretch.place(window.start);
            let path = job.plan.sources[place.source].path().to_owned();
            Error::RecordTooLarge { path, at: place.offset, bytes: window.len() as u64, needs }
        }
        error => error,
    }
}
