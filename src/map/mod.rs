//! Map: blocks of records to keys and values.
//!
//! ```text
//! block ─► windows of whole records ─► batches of fields ─► steps add fields ─► keys, values ─► emit
//!                    └────────── fused: a tokeniser reads the window as it is ──────▲
//! ```
//!
//! A step that cuts `line` at something that a line's end always is too (white space, what is no letter) gives the
//! same pieces whether it sees lines or the whole window. Where nothing else wants the line, it sees the window.

mod combining;
pub mod emit;
pub mod key;
mod scan;
mod split;
pub mod tokens;
mod unicode;

pub use combining::Combiner;
pub use split::{Cutter, Splitter};

use crate::column::{BATCH, Column, Span};
use crate::error::Result;
use crate::record;
use emit::Emitter;

/// A step of `map`, its fields resolved. Each adds one field to the record.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// One record a piece of field `input`.
    Split { input: usize, on: Splitter },
}

/// What a record's fields are, and which of them go where.
#[derive(Clone, Debug)]
pub struct Fields {
    pub group_by: Vec<usize>,
    /// One for each aggregate that observes a field.
    pub values: Vec<usize>,
}

/// Runs a job's steps over windows of records. Holds scratch memory: one a worker.
#[derive(Debug)]
pub struct Mapper {
    cutters: Vec<(usize, Cutter)>,
    fused: bool,
    end: End,
}

/// Bytes of fields that are copied for the composite keys of a batch, unless one record has more.
const COPIED: u64 = 16 << 20;

/// The end of the steps: records become keys and values.
#[derive(Debug)]
struct End {
    fields: Fields,
    keys: key::Encoder,
}

impl Mapper {
    pub fn new(steps: &[Step], fields: Fields) -> Self {
        let mut read_later = fields.group_by.iter().chain(&fields.values).copied().collect::<Vec<_>>();
        read_later.extend(steps.iter().skip(1).map(|Step::Split { input, .. }| *input));
        let fused = matches!(steps.first(), Some(Step::Split { on, .. }) if on.may_see_lines_joined());
        let cutters = steps.iter().map(|Step::Split { input, on }| (*input, Cutter::new(on))).collect();
        Mapper { cutters, fused: fused && !read_later.contains(&0), end: End { fields, keys: key::Encoder::default() } }
    }

    /// Maps the records of `window`.
    pub fn map(&mut self, window: &[u8], out: &mut Emitter<'_>) -> Result<()> {
        let mut result = Ok(());
        let Mapper { cutters, fused, end } = self;
        if *fused {
            out.counters.map_input_records += record::count(window);
            let ((_, first), rest) = cutters.split_first_mut().expect("fused has a first step");
            first.cut(window, |data, spans| {
                for spans in spans.chunks(BATCH) {
                    if result.is_ok() {
                        let pieces = Column { data, spans };
                        // Nobody reads the line: the pieces stand in for it.
                        result = step(rest, &[pieces, pieces], end, out);
                    }
                }
            });
        } else {
            record::lines(window, |lines| {
                out.counters.map_input_records += lines.spans.len() as u64;
                if result.is_ok() {
                    result = step(cutters, &[lines], end, out);
                }
            });
        }
        result
    }
}

impl End {
    fn emit(&mut self, records: &[Column<'_>], out: &mut Emitter<'_>) -> Result<()> {
        let n = records[0].spans.len();
        let bytes =
            |field: &usize| records[*field].spans.iter().map(|span| u64::from(span.end - span.start)).sum::<u64>();
        if n > 1 && self.fields.group_by.len() > 1 && self.fields.group_by.iter().map(bytes).sum::<u64>() > COPIED {
            // One long line that is in the key of each of its words.
            for half in [0..n / 2, n / 2..n] {
                let half: Vec<_> =
                    records.iter().map(|c| Column { data: c.data, spans: &c.spans[half.clone()] }).collect();
                self.emit(&half, out)?;
            }
            return Ok(());
        }
        let values: Vec<_> = self.fields.values.iter().map(|&field| records[field]).collect();
        let keys = self.keys.encode(records, &self.fields.group_by);
        out.emit(keys, &values)
    }
}

/// Runs the steps that are left over a batch of records, one column a field.
fn step(steps: &mut [(usize, Cutter)], records: &[Column<'_>], end: &mut End, out: &mut Emitter<'_>) -> Result<()> {
    let Some(((input, cutter), rest)) = steps.split_first_mut() else {
        return end.emit(records, out);
    };
    let mut result = Ok(());
    let mut repeated = vec![[Span::default(); BATCH]; records.len()];
    for i in 0..records[0].spans.len() {
        cutter.cut(records[*input].get(i), |data, spans| {
            for spans in spans.chunks(BATCH) {
                for (copies, column) in repeated.iter_mut().zip(records) {
                    copies[..spans.len()].fill(column.spans[i]);
                }
                let columns = records.iter().zip(&repeated);
                let mut columns: Vec<_> =
                    columns.map(|(c, copies)| Column { data: c.data, spans: &copies[..spans.len()] }).collect();
                columns.push(Column { data, spans });
                if result.is_ok() {
                    result = step(rest, &columns, end, out);
                }
            }
        });
    }
    result
}
