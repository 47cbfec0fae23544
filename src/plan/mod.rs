//! The plan: a job with nothing left to interpret.
//!
//! A spec and a command line become a [`Plan`] in one checked step: every name is resolved to a number, every input to
//! a source, every size to bytes. The engine reads plans and nothing else, so a built-in job, a user's spec and a
//! library caller's plan have the same powers.

mod aggregates;
mod columns;
#[cfg(test)]
mod defaults_tests;
pub mod machine;
mod read;
mod resolve;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::aggregate::Aggregate;
use crate::data::Kind;
use crate::data::key::KeyFields;
use crate::input::{Counted, Latency, Sources};
pub use crate::map::Combiner;
use crate::map::{Field, Step};
pub use crate::output::{Format, Order, SortKey, Target};
use crate::predicate::Predicate;
use crate::reduce::ResultColumn;
pub use crate::spec::{OnError, OnTimeout, Scheduler};
use crate::units::Span;
pub use read::Read;
pub use resolve::{Invocation, resolve};
pub use target::writable_parent;

#[derive(Debug)]
pub struct Plan {
    /// The spec as run, for the report.
    pub job: serde_json::Value,
    /// Read in this order.
    pub sources: Sources,
    /// How long each takes to begin, by its place among them; none where nothing is known.
    pub latencies: Vec<Latency>,
    /// Names of sources that took too long for the plan, with why: the result is partial.
    pub left_out: Vec<(String, String)>,
    /// Bytes of the longest record that may be.
    pub max_record: u64,
    /// What becomes of bad records.
    pub on_error: OnError,
    pub read: Read,
    /// What its reader makes of a record.
    pub fields: FieldNames,
    pub steps: Vec<Box<dyn Step>>,
    /// Of each step, which part of the spec it is for, dotted.
    pub origins: Vec<String>,
    /// Names of fields that something can only take as numbers.
    pub numbers: BTreeSet<String>,
    pub rows: Rows,
    pub limit: Option<u64>,
    /// Whether the spec says in which order the rows are: then a limit takes the first ranks.
    pub is_ranked: bool,
    /// When the answer is to be out, from when the job was asked for.
    pub timeout: Option<Span>,
    pub on_timeout: OnTimeout,
    /// Columns to write.
    pub columns: Vec<OutputColumn>,
    pub output: Output,
    pub settings: Settings,
}

/// The fields of the sources' records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldNames {
    /// By number.
    pub read: Vec<String>,
    /// Those that nothing wants; none where records may have any.
    pub unread: Option<Vec<String>>,
}

impl Plan {
    /// Whether it may answer from a part of its input.
    pub fn may_be_partial(&self) -> bool {
        self.on_timeout == OnTimeout::Partial
    }

    /// Where it may be asked on which line a record is: everywhere by a step, or for a message if the record is bad.
    pub fn counted_lines(&self) -> Counted {
        let may_be_bad = match &self.read {
            Read::Text { .. } => self.steps.iter().any(|step| step.may_reject()),
            Read::Delimited { .. } | Read::Json { .. } | Read::Matching { .. } => true,
        };
        match () {
            () if self.steps.iter().any(|step| step.tells_lines()) => Counted::All,
            () if may_be_bad => Counted::ReadOnce,
            () => Counted::Nothing,
        }
    }
}

/// What the rows of the result are.
#[derive(Debug)]
pub enum Rows {
    /// One a group.
    Groups(Groups),
    /// The mapped records themselves: in input order, or sorted, ties in input order.
    Records { sort: Option<Vec<SortKey>> },
}

/// Cells of a group are those of the key's fields followed by those of the aggregates.
#[derive(Debug)]
pub struct Groups {
    pub key: KeyFields,
    /// What the aggregates observe: fields of mapped records, each once, with what they are.
    pub observed: Vec<(Field, Kind)>,
    pub aggregates: Vec<Box<dyn Aggregate>>,
    /// One for each aggregate of the spec.
    pub results: Vec<ResultColumn>,
    /// Over cells.
    pub having: Option<Predicate>,
    pub order: Order,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Which cell of a group, or field of a record.
    pub index: usize,
    pub name: String,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub target: Target,
    pub format: Format,
    /// First row of column names.
    pub header: bool,
    /// Replace what exists.
    pub force: bool,
    /// Bytes after which a directory's next part file begins.
    pub part_size: u64,
}

/// What never changes the output.
#[derive(Clone, Debug)]
pub struct Settings {
    pub threads: usize,
    /// Bytes for tables, arenas and buffers.
    pub memory: u64,
    /// `None`: chosen from the input's size.
    pub split_size: Option<u64>,
    /// `None`: chosen from the input's size.
    pub partitions: Option<usize>,
    pub combiner: Combiner,
    pub scheduler: Scheduler,
    /// Attempts that a task may have, if those before failed for a reason that may pass.
    pub attempts: u32,
    /// Directory in which the job makes its own spill directory.
    pub spill_dir: PathBuf,
    /// For tests: slots of every table, instead of what fits the caches.
    pub table_slots: Option<usize>,
    /// For tests: every hash is masked with this; 0 makes all keys collide.
    pub hash_mask: u64,
}
