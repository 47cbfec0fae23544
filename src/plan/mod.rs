//! The plan: a job with nothing left to interpret.
//!
//! A spec and a command line become a [`Plan`] in one checked step: every name is resolved to a number, every input to
//! a source, every size to bytes. The engine reads nothing but plans, so a built-in job, a user's spec and a library
//! caller's plan have the same powers.

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
pub use crate::output::{Format, Order, PerGroup, SortKey, SortKeys, Target};
use crate::predicate::Predicate;
use crate::reduce::ResultColumn;
pub use crate::shuffle::PageCompression;
pub use crate::spec::{OnError, OnTimeout, Scheduler};
use crate::table::KeyOrder;
use crate::units::Span;
pub use read::Read;
pub use resolve::{Invocation, resolve};
pub use target::writable_parent;

/// All that the engine needs to run a job, with every name resolved.
#[derive(Debug)]
pub struct Plan {
    /// The spec as run, for the report.
    pub job: serde_json::Value,
    /// The sources, read in this order.
    pub sources: Sources,
    /// How long each source takes to begin, by its index in `sources`. Empty if nothing is known.
    pub latencies: Vec<Latency>,
    /// Names of sources that took too long while the plan was made, each with the reason. If there are any, the result
    /// is partial.
    pub left_out: Vec<(String, String)>,
    /// The longest record allowed, in bytes.
    pub max_record: u64,
    /// What to do with bad records.
    pub on_error: OnError,
    pub read: Read,
    /// The fields that the reader makes of a record.
    pub fields: FieldNames,
    pub steps: Vec<Box<dyn Step>>,
    /// For each step, the dotted path of the part of the spec that it comes from.
    pub origins: Vec<String>,
    /// Names of fields that are needed as numbers.
    pub numbers: BTreeSet<String>,
    pub rows: Rows,
    /// Names of the columns that rows are sorted by, with `-` before descending ones.
    pub sorted_by: Vec<String>,
    pub limit: Option<u64>,
    /// Whether the spec has a `sort`: a limit then takes the first ranks.
    pub is_ranked: bool,
    /// Time from the request for the job until the answer must be out.
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
    /// Names of the fields that are read, by field number.
    pub read: Vec<String>,
    /// Names of the fields that nothing uses; `None` if records may have fields of any name.
    pub unread: Option<Vec<String>>,
}

impl Plan {
    /// Whether the job may answer from a part of its input.
    pub fn may_be_partial(&self) -> bool {
        self.on_timeout == OnTimeout::Partial
    }

    /// Returns which blocks must know the number of their first line: all of them if a step tells lines; those of
    /// sources that can't be read again if records may be bad, for the message about a bad record.
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
    /// One row per group.
    Groups(Groups),
    /// The mapped records themselves, in input order or sorted; ties stay in input order.
    Records { sort: Option<SortKeys> },
}

/// A job's groups. The cells of a group are those of the key's fields, followed by those of the aggregates.
#[derive(Debug)]
pub struct Groups {
    pub key: KeyFields,
    /// The fields of mapped records that the aggregates observe, each once, with their kinds.
    pub observed: Vec<(Field, Kind)>,
    pub aggregates: Vec<Box<dyn Aggregate>>,
    /// One column for each aggregate of the spec.
    pub results: Vec<ResultColumn>,
    /// A condition on the cells of a group.
    pub having: Option<Predicate>,
    pub order: Order,
}

impl Groups {
    /// The columns that rows are sorted by, unless rows may come in any order.
    pub fn sort_keys(&self) -> Option<&SortKeys> {
        match &self.order {
            Order::Free => None,
            Order::By(keys) => Some(keys),
        }
    }

    /// Returns the direction in which the groups are in the order of their keys' bytes, if their order is that.
    pub fn key_order(&self) -> Option<KeyOrder> {
        let SortKeys { keys: order, per_group: None } = self.sort_keys()? else { return None };
        let first = order.first()?;
        let is_key = order.len() == self.key.len()
            && order.iter().enumerate().all(|(i, key)| key.index == i && key.descending == first.descending);
        is_key.then_some(if first.descending { KeyOrder::Descending } else { KeyOrder::Ascending })
    }

    /// Whether the rows are sorted after they were made, because their order isn't that of the keys.
    pub fn are_sorted_later(&self) -> bool {
        self.sort_keys().is_some() && self.key_order().is_none()
    }
}

/// A column of the result.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Index of a group's cell, or of a record's field.
    pub index: usize,
    pub name: String,
    pub kind: Kind,
}

/// Where the result is written, and in which form.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub target: Target,
    pub format: Format,
    /// Whether the first row has the names of the columns.
    pub header: bool,
    /// Whether to replace an output that exists.
    pub force: bool,
    /// Bytes after which a directory's next part file begins.
    pub part_size: u64,
}

/// Settings that never change the output.
#[derive(Clone, Debug)]
pub struct Settings {
    pub threads: usize,
    /// Bytes for tables, arenas and buffers.
    pub memory: u64,
    /// Bytes of a split; `None`: chosen from the input's size.
    pub split_size: Option<u64>,
    /// Number of partitions; `None`: chosen from the input's size.
    pub partitions: Option<usize>,
    pub combiner: Combiner,
    pub scheduler: Scheduler,
    /// The most attempts at a task, if the earlier ones failed for a reason that may pass.
    pub attempts: u32,
    /// The directories, at least one, in each of which the job makes a directory of its own for runs.
    pub spill_dirs: Vec<PathBuf>,
    /// The most bytes that all runs together may take at a time.
    pub spill_limit: Option<u64>,
    pub compress: PageCompression,
    /// For tests: slots of every table, instead of a size that fits the caches.
    pub table_slots: Option<usize>,
    /// For tests: every hash is masked with this; 0 makes all keys collide.
    pub hash_mask: u64,
}
