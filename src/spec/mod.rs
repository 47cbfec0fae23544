//! The job spec, as a user writes it. JSON text and overrides go in, and a checked [`Spec`] of plain values comes out.
//!
//! ```text
//! bytes ──json──► Value ──--set──► Value ──params──► Value ──check──► Spec
//!         syntax          overrides        --param           every key, type and range
//! ```
//!
//! A [`Document`] is a spec being read: JSON text with the name that messages use for it. [`Document::finish`] checks
//! it against [`schema::SPEC`], a table of all keys, and returns a [`Spec`]. Whether the names in it mean anything
//! (fields, columns, files) is checked by the plan. A built-in job is a spec like any other.

pub mod builtin;
#[cfg(test)]
mod input_tests;
#[cfg(test)]
mod params_tests;
mod read;
#[cfg(test)]
mod read_tests;
pub mod schema;
mod sort;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::input::written::one_or_more;
use crate::map::Combiner;
use crate::output::Format;
use crate::predicate::written::Predicate;
use crate::schema::check::check;
use crate::schema::params::{self, Given};
use crate::schema::{Wrong, choices, json, set, size};
use crate::shuffle::PageCompression;
use crate::units::Span;
use schema::SPEC;

pub use crate::input::written::{Command, Input};
pub use crate::map::Type;
pub use crate::schema::params::Param;
pub use read::{OnError, Preset, Read, ReadFormat};
pub use sort::SortBy;

/// A spec being read.
#[derive(Clone, Debug)]
pub struct Document {
    /// The name of the spec in messages: a path, a built-in's name, `stdin`.
    pub origin: String,
    value: Value,
    given: Given,
}

impl Document {
    pub fn parse(origin: impl Into<String>, text: &[u8]) -> Result<Self> {
        let origin = origin.into();
        let value = json::parse(&origin, text)?;
        Ok(Document { origin, value, given: Given::default() })
    }

    /// A document that was made by the program, not written by a user.
    pub fn new(origin: impl Into<String>, object: Map<String, Value>) -> Self {
        Document { origin: origin.into(), value: object.into(), given: Given::default() }
    }

    /// Overrides one key: `PATH=VALUE` as given to `--set`.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        set::assignment(&mut self.value, &SPEC, assignment)
    }

    /// Overrides the key at the dotted `path`, by a flag of its own that messages name.
    pub fn set_flag(&mut self, flag: &str, path: &str, value: &str) -> Result<()> {
        set::flag(&mut self.value, &SPEC, flag, path, value)
    }

    /// Gives a param its value: `NAME=VALUE` as given to `--param`.
    pub fn param(&mut self, assignment: &str) -> Result<()> {
        self.given.add(assignment)
    }

    /// Gives a param its value by a flag that has the param's name.
    pub fn param_flag(&mut self, name: &str, value: &str) {
        self.given.add_flag(name, value);
    }

    /// The description that the spec gives of the job.
    pub fn description(&self) -> &str {
        self.value.get("description").and_then(Value::as_str).unwrap_or_default()
    }

    /// The params that the spec declares.
    pub fn params(&self) -> Result<Vec<Param>> {
        params::declared(&self.value).map_err(|wrong| wrong.into_error(&self.origin))
    }

    /// Returns the spec if everything in it is valid.
    pub fn finish(mut self) -> Result<Spec> {
        params::resolve(&mut self.value, &SPEC, &self.given, &self.origin)?;
        check(&self.value, &SPEC, &mut Vec::new()).map_err(|wrong| wrong.into_error(&self.origin))?;
        check_groups(&self.value).map_err(|wrong| wrong.into_error(&self.origin))?;
        let spec = Spec::deserialize(self.value).map_err(|e| Error::usage(format!("{}: {e}", self.origin)))?;
        spec.read.check().and_then(|()| spec.output.check()).map_err(|wrong| wrong.into_error(&self.origin))?;
        Ok(spec)
    }
}

/// Fails if a spec asks for one group of all records without an aggregate: the row would have no columns.
fn check_groups(spec: &Value) -> Result<(), Wrong> {
    let is_empty = spec.get("group_by").and_then(Value::as_array).is_some_and(Vec::is_empty);
    // If both are given and empty, records pass through.
    if !is_empty || spec.get("aggregate").is_some() {
        return Ok(());
    }
    let hint = r#"for one group of all records: "aggregate": [{"op": "count"}]; to write the records themselves, leave it out"#;
    Err(Wrong::new(&["group_by".into()], "must not be empty without an aggregate", Some(hint.into())))
}

/// A job as its spec says, checked against the schema. The names of fields, columns and inputs in it aren't resolved
/// yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The inputs' names as the user gave them. `input::sources` finds what they mean.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_more")]
    pub input: Vec<Input>,
    #[serde(skip_serializing_if = "Read::is_default")]
    pub read: Read,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    /// The steps as written: each step knows its own keys.
    pub map: Vec<Map<String, Value>>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Predicate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aggregate: Vec<Aggregate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub having: Option<Predicate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sort: Vec<SortBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_per_group: Option<u64>,
    #[serde(skip_serializing_if = "Output::is_default")]
    pub output: Output,
    #[serde(skip_serializing_if = "Deadline::is_default")]
    pub deadline: Deadline,
    #[serde(skip_serializing_if = "RunSettings::is_default")]
    pub run: RunSettings,
}

/// The key `deadline` of a spec: how long the job may take, and what happens when the time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deadline {
    /// Time from the request for the job until the answer must be out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

/// One entry of the key `aggregate` of a spec: an op, and what it is applied to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    pub op: String,
    /// The field that is aggregated. `count` without a field counts records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The aggregate sees only records for which this holds; without it, all.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Predicate>,
    /// The field by which a record is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Which quantile, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
}

impl Aggregate {
    /// Returns the name of the aggregate's column: `as`, else `op_field`, else `op`.
    pub fn column(&self) -> Cow<'_, str> {
        self.name.as_deref().map_or_else(|| default_column(&self.op, self.field.as_deref()), Cow::from)
    }
}

/// Returns the name of an aggregate's column if there is no `as`.
pub fn default_column<'a>(op: &'a str, field: Option<&str>) -> Cow<'a, str> {
    match field {
        Some(field) => format!("{op}_{field}").into(),
        None => op.into(),
    }
}

/// The key `output` of a spec: where the result goes, and in which form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lossy_option")]
    pub path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "size::option")]
    pub part_size: Option<u64>,
}

/// Settings that never change the output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "size::option")]
    pub memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "size::option")]
    pub split_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_more", serialize_with = "lossy_list")]
    pub spill_dir: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "size::option")]
    pub spill_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compress: Option<PageCompression>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combiner: Option<Combiner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

choices! {
    /// How tasks get to workers.
    #[derive(Default)]
    pub enum Scheduler {
        /// Tasks are dealt as a static split of the input. A worker that has none left takes another worker's.
        #[default]
        Stealing = "stealing",
        /// Tasks are dealt in the same way. Each worker runs only its own.
        Static = "static",
        /// All workers take tasks from one queue.
        Shared = "shared",
    }
}

choices! {
    /// What happens when a job, or one of its sources, isn't done in its time.
    #[derive(Default)]
    pub enum OnTimeout {
        #[default]
        Fail = "fail",
        /// The job answers from what was read by then.
        Partial = "partial",
    }
}

impl Deadline {
    fn is_default(&self) -> bool {
        *self == Deadline::default()
    }
}

impl Spec {
    /// Whether records make the rows of the result, and not groups. Groups have aggregates, or are what `group_by`
    /// tells apart; to take some of each group's records, `limit_per_group` goes with `group_by` alone.
    pub fn writes_records(&self) -> bool {
        self.aggregate.is_empty() && (self.group_by.is_empty() || self.limit_per_group.is_some())
    }
}

impl Output {
    fn is_default(&self) -> bool {
        *self == Output::default()
    }

    fn check(&self) -> Result<(), Wrong> {
        match (self.format, self.header) {
            (Some(Format::Jsonl), Some(true)) => {
                let hint = "leave it out: the names of the columns are the keys of each object";
                let path = ["output".into(), "header".into()];
                Err(Wrong::new(&path, "is true, but jsonl has no header", Some(hint.into())))
            }
            _ => Ok(()),
        }
    }
}

impl RunSettings {
    fn is_default(&self) -> bool {
        *self == RunSettings::default()
    }
}

/// Writes paths as text, and one path without a list, as a user would.
fn lossy_list<S: Serializer>(paths: &[PathBuf], out: S) -> Result<S::Ok, S::Error> {
    match paths {
        [path] => path.to_string_lossy().serialize(out),
        paths => out.collect_seq(paths.iter().map(|path| path.to_string_lossy())),
    }
}

/// Writes a path as text. A path from the command line may not be UTF-8, but the report's JSON must be.
fn lossy_option<S: Serializer>(path: &Option<PathBuf>, out: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(|path| path.to_string_lossy()).serialize(out)
}
