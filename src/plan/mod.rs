//! The plan: a job with nothing left to interpret.
//!
//! A spec and a command line become a [`Plan`] in one checked step: every name is resolved to a number, every input to
//! a source, every size to bytes. The engine reads plans and nothing else, so a built-in job, a user's spec and a
//! library caller's plan have the same powers.

mod columns;
pub mod machine;
mod resolve;
mod target;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::aggregate::Aggregate;
use crate::input::Source;
pub use crate::map::Combiner;
use crate::map::Step;
pub use crate::output::{Format, Order, SortKey, Target};
pub use crate::spec::Scheduler;
pub use resolve::{Invocation, resolve};
pub use target::writable_parent;

/// Index of a field of a record: 0 is the record's own `line`, each map step adds the next.
pub type Field = usize;

#[derive(Debug)]
pub struct Plan {
    /// The spec as run, for the report.
    pub job: serde_json::Value,
    /// Read in this order.
    pub sources: Vec<Source>,
    pub steps: Vec<Step>,
    /// Fields that make the key. Empty: one group.
    pub group_by: Vec<Field>,
    pub aggregates: Vec<AggregateColumn>,
    pub order: Order,
    pub limit: Option<u64>,
    /// Columns to write, as indexes into `group_by` followed by `aggregates`, and their names.
    pub columns: Vec<OutputColumn>,
    pub output: Output,
    pub settings: Settings,
}

#[derive(Debug)]
pub struct AggregateColumn {
    /// The field observed, where the aggregate takes one.
    pub field: Option<Field>,
    pub aggregate: Box<dyn Aggregate>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Index into `group_by` followed by `aggregates`.
    pub index: usize,
    pub name: String,
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
    /// Directory in which the job makes its own spill directory.
    pub spill_dir: PathBuf,
    /// For tests: slots of every table, instead of what fits the caches.
    pub table_slots: Option<usize>,
    /// For tests: every hash is masked with this; 0 makes all keys collide.
    pub hash_mask: u64,
}
