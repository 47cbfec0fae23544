//! Map: blocks of records to keys and values, or to lines of output.
//!
//! ```text
//! block ─► windows of whole records ─► batches of fields ─► steps ─┬─► keys, values ─► table ─► run      (emit)
//!                    └────────── fused: a tokeniser reads ──▲      └─► lines ─► run                      (pass)
//!                                the window as it is
//! ```
//!
//! A step adds a field to each record, makes several records of one, or drops some. One that cuts `line` at something
//! that a line's end always is too (white space, what is no letter) gives the same pieces whether it sees lines or the
//! whole window. Where nothing else wants the line, it sees the window. Where the first step is a filter by a pattern,
//! only lines that may match it are looked at.

mod candidates;
mod combining;
pub mod emit;
pub mod pass;
mod pieces;
mod scan;
mod split;
mod step;
pub mod tokens;
mod unicode;

pub use combining::Combiner;
pub use split::{Cutter, Splitter};
pub use step::Step;

use crate::data::{BATCH, Bytes, Span, Value};
use crate::error::Result;
use crate::predicate::{Predicate, Test};
use crate::record;
use candidates::Candidates;
use step::{Stage, run};

/// Index of a field of a record: 0 is the record's own `line`, and steps add the next ones.
pub type Field = usize;

/// A field of a record, for a predicate or a row.
fn cell<'a>(records: &[Bytes<'a>], field: Field, record: usize) -> Value<'a> {
    records[field].value(record).map_or(Value::Null, Value::Bytes)
}

/// The columns of the records of these numbers, each as often as it is named. `spans` is scratch.
fn gather<'a>(records: &[Bytes<'a>], numbers: &[u32], spans: &'a mut Vec<Vec<Span>>) -> Vec<Bytes<'a>> {
    spans.resize_with(records.len(), Vec::new);
    let columns = records.iter().zip(spans);
    columns
        .map(|(column, spans)| {
            spans.clear();
            spans.extend(numbers.iter().map(|&i| column.spans[i as usize]));
            Bytes { data: column.data, spans }
        })
        .collect()
}

/// Where mapped records go.
pub trait Records {
    /// Takes a batch of records, one column a field.
    fn take(&mut self, records: &[Bytes<'_>]) -> Result<()>;

    /// Whether more records change anything.
    fn wants_more(&self) -> bool {
        true
    }
}

/// Runs a job's steps over windows of records. Holds scratch memory: one a worker.
#[derive(Debug)]
pub struct Mapper {
    front: Front,
    stages: Vec<Stage>,
}

/// What makes the first batches of a window.
#[derive(Debug)]
enum Front {
    Lines,
    /// Tokenises the window in place of the first step.
    Fused(Cutter),
    /// The lines that may pass the first step.
    Candidates(Candidates),
}

impl Front {
    /// Also whether the first step is done with it.
    fn new(steps: &[Step], read: &[Field]) -> (Self, bool) {
        let Some((first, rest)) = steps.split_first() else { return (Front::Lines, false) };
        let line_is_read = || read.contains(&0) || rest.iter().any(|step| step.reads(0));
        match first {
            Step::Split { input: 0, on } if on.may_see_lines_joined() && !line_is_read() => {
                (Front::Fused(Cutter::new(on)), true)
            }
            Step::Filter(Predicate::Cell { index: 0, test: Test::Matches(pattern) }) => {
                (Candidates::new(pattern).map_or(Front::Lines, Front::Candidates), false)
            }
            _ => (Front::Lines, false),
        }
    }

    /// Calls `each` with batches of the records of `window`, or of what stands in for them. Returns how many it has.
    fn batches(&mut self, window: &[u8], mut each: impl FnMut(&[Bytes<'_>])) -> u64 {
        match self {
            Front::Lines => {
                let mut records = 0;
                record::lines(window, |lines| {
                    records += lines.spans.len() as u64;
                    each(&[lines]);
                });
                records
            }
            Front::Candidates(candidates) => {
                let records = record::count(window);
                candidates.lines(window, |lines| each(&[lines]));
                records
            }
            Front::Fused(cutter) => {
                // First: it brings the window into the cache faster than a tokeniser does. Counting behind it took
                // wordcount a twentieth more time.
                let records = record::count(window);
                cutter.cut(window, |data, spans| {
                    for spans in spans.chunks(BATCH) {
                        let pieces = Bytes { data, spans };
                        // Nobody reads the line: the pieces stand in for it.
                        each(&[pieces, pieces]);
                    }
                });
                records
            }
        }
    }
}

impl Mapper {
    /// `read` are the fields of mapped records that are of use behind the steps.
    pub fn new(steps: &[Step], read: &[Field]) -> Self {
        let (front, first_is_done) = Front::new(steps, read);
        Mapper { front, stages: steps[usize::from(first_is_done)..].iter().map(Stage::new).collect() }
    }

    /// Maps the records of `window`. Returns how many there were.
    pub fn map(&mut self, window: &[u8], out: &mut impl Records) -> Result<u64> {
        let mut result = Ok(());
        let Mapper { front, stages } = self;
        let records = front.batches(window, |records| {
            if result.is_ok() {
                result = run(stages, records, out);
            }
        });
        result.map(|()| records)
    }
}
