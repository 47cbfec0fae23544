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
//! whole window. Where nothing else wants the line, it sees the window.

mod combining;
pub mod emit;
pub mod key;
pub mod pass;
mod pieces;
mod scan;
mod split;
mod step;
pub mod tokens;
mod unicode;

pub use combining::Combiner;
pub use key::KeyFields;
pub use split::{Cutter, Splitter};
pub use step::Step;

use crate::column::{BATCH, Column};
use crate::error::Result;
use crate::record;
use step::{Stage, run};

/// Index of a field of a record: 0 is the record's own `line`, and steps add the next ones.
pub type Field = usize;

/// Where mapped records go.
pub trait Records {
    /// Takes a batch of records, one column a field.
    fn take(&mut self, records: &[Column<'_>]) -> Result<()>;

    /// Whether more records change anything.
    fn wants_more(&self) -> bool {
        true
    }
}

/// Runs a job's steps over windows of records. Holds scratch memory: one a worker.
#[derive(Debug)]
pub struct Mapper {
    stages: Vec<Stage>,
    /// Tokenises windows in place of the first stage.
    fused: Option<Cutter>,
}

impl Mapper {
    /// `read` are the fields of mapped records that are of use behind the steps.
    pub fn new(steps: &[Step], read: &[Field]) -> Self {
        let (fused, rest) = match steps.split_first() {
            Some((Step::Split { input: 0, on }, rest)) if on.may_see_lines_joined() => {
                let line_is_read = read.contains(&0) || rest.iter().any(|step| step.reads(0));
                if line_is_read { (None, steps) } else { (Some(Cutter::new(on)), rest) }
            }
            _ => (None, steps),
        };
        Mapper { stages: rest.iter().map(Stage::new).collect(), fused }
    }

    /// Maps the records of `window`. Returns how many there were.
    pub fn map(&mut self, window: &[u8], out: &mut impl Records) -> Result<u64> {
        let mut result = Ok(());
        let Mapper { stages, fused } = self;
        let Some(first) = fused else {
            let mut records = 0;
            record::lines(window, |lines| {
                records += lines.spans.len() as u64;
                if result.is_ok() {
                    result = run(stages, &[lines], out);
                }
            });
            return result.map(|()| records);
        };
        first.cut(window, |data, spans| {
            for spans in spans.chunks(BATCH) {
                if result.is_ok() {
                    let pieces = Column { data, spans };
                    // Nobody reads the line: the pieces stand in for it.
                    result = run(stages, &[pieces, pieces], out);
                }
            }
        });
        result.map(|()| record::count(window))
    }
}
