//! The job spec, as a user writes it.
//!
//! ```text
//! bytes ──json──► Value ──--set──► Value ──schema──► Spec
//!         syntax          overrides        every key, type and range
//! ```
//!
//! A [`Document`] is a spec being read: JSON text with the name that messages call it by. [`Document::finish`] holds it to
//! the schema, a table of every key there is, and hands out a [`Spec`] of plain values. Whether the names in it mean
//! anything (fields, columns, files) is the plan's to say. A built-in job is a spec like any other.

pub mod builtin;
mod check;
mod json;
mod schema;
mod set;
pub mod size;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::error::{Error, Result};

/// A spec being read.
#[derive(Clone, Debug)]
pub struct Document {
    /// What messages call it: a path, a built-in's name, `stdin`.
    pub origin: String,
    value: Value,
}

impl Document {
    pub fn parse(origin: impl Into<String>, text: &[u8]) -> Result<Self> {
        let origin = origin.into();
        let value = json::parse(&origin, text)?;
        Ok(Document { origin, value })
    }

    /// Overrides one field: `PATH=VALUE` as given to `--set`.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        set::assignment(&mut self.value, assignment)
    }

    /// Overrides the field at the dotted `path` by a flag of its own, which messages name.
    pub fn set_flag(&mut self, flag: &str, path: &str, value: &str) -> Result<()> {
        set::flag(&mut self.value, flag, path, value)
    }

    /// The spec, if everything in it is right.
    pub fn finish(self) -> Result<Spec> {
        check::document(&self.value).map_err(|wrong| wrong.into_error(&self.origin))?;
        Spec::deserialize(self.value).map_err(|e| Error::usage(format!("{}: {e}", self.origin)))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Names as the user gave them; what they name is for `input::sources` to find.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_more", serialize_with = "lossy_list")]
    pub input: Vec<PathBuf>,
    pub read: Read,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<Step>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aggregate: Vec<Aggregate>,
    /// Output columns, `-` before those in descending order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sort: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(skip_serializing_if = "Output::is_default")]
    pub output: Output,
    #[serde(skip_serializing_if = "Run::is_default")]
    pub run: Run,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Read {
    pub format: ReadFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadFormat {
    #[default]
    Text,
}

/// A step of `map`, told from the others by its first key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Step {
    Split {
        split: String,
        /// `words`, `whitespace`, `letters`, or the text between the pieces.
        on: String,
        #[serde(rename = "as")]
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    pub op: String,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Text,
    Tsv,
    Csv,
    Jsonl,
}

/// What never changes the output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "size::option")]
    pub memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "size::option")]
    pub split_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lossy_option")]
    pub spill_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combiner: Option<Combiner>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combiner {
    Auto,
    On,
    Off,
}

/// How tasks get to workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheduler {
    /// Dealt as a static split of the input; a worker that has none left takes another's.
    #[default]
    Stealing,
    /// Dealt likewise; each worker runs its own and no others.
    Static,
    /// One queue that every worker takes from.
    Shared,
}

impl Output {
    fn is_default(&self) -> bool {
        *self == Output::default()
    }
}

impl Run {
    fn is_default(&self) -> bool {
        *self == Run::default()
    }
}

/// `"a"` for `["a"]`.
fn one_or_more<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(PathBuf),
        More(Vec<PathBuf>),
    }
    Ok(match OneOrMore::deserialize(input)? {
        OneOrMore::One(name) => vec![name],
        OneOrMore::More(names) => names,
    })
}

/// Names from the command line need not be UTF-8; the report's JSON must be.
fn lossy_list<S: Serializer>(paths: &[PathBuf], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

fn lossy_option<S: Serializer>(path: &Option<PathBuf>, out: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(|path| path.to_string_lossy()).serialize(out)
}
