//! Spec, inputs and what only a command line says, to a [`Plan`]: every name resolved, everything checked that can be
//! checked before reading.

use serde_json::Value;

use super::columns::{self, Columns};
use super::steps::steps;
use super::{AggregateColumn, Format, Groups, Output, Plan, Rows, Settings, machine, predicates, target};
use crate::aggregate::Count;
use crate::error::{Error, LONGEST_RECORD, Result, suggestion};
use crate::input::sources::{self, Stdin};
use crate::spec::{self, ReadFormat, Spec};

/// What a command line says besides the spec.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// What messages call the spec.
    pub origin: String,
    /// Rows in any sequence.
    pub unordered: bool,
    /// Replace an output that exists.
    pub force: bool,
    pub stdin: Stdin,
}

/// Bytes of the longest record, where the spec doesn't say: no line of a text is as long, and memory holds some.
const MAX_RECORD: u64 = 256 << 20;

/// Bytes of a part file.
const PART_SIZE: u64 = 128 << 20;

pub fn resolve(spec: &Spec, call: &Invocation) -> Result<Plan> {
    let blame = Blame { origin: &call.origin };
    not_yet(spec, &blame)?;
    let (fields, steps) = steps(spec, &blame)?;
    let (rows, columns) = if spec.group_by.is_empty() && spec.aggregate.is_empty() {
        let columns = Columns::of_records(spec, &fields, &blame)?;
        let sort = columns::sort_keys(spec, &columns, &blame)?;
        (Rows::Records { sort: Some(sort).filter(|keys| !keys.is_empty()) }, columns)
    } else {
        let (key, columns) = Columns::of_groups(spec, &fields, &blame)?;
        let groups = Groups {
            order: columns::group_order(spec, &columns, call.unordered, &blame)?,
            having: spec.having.as_ref().map(|having| predicates::having(having, &columns, &blame)).transpose()?,
            aggregates: spec.aggregate.iter().map(aggregate).collect(),
            key,
        };
        (Rows::Groups(groups), columns)
    };
    let sources = sources::resolve(&spec.input, call.stdin)?;
    let format = spec.output.format.unwrap_or(Format::Text);
    Ok(Plan {
        job: serde_json::to_value(spec).unwrap_or(Value::Null),
        max_record: max_record(&spec.read, &blame)?,
        steps,
        rows,
        columns: columns::output(spec, &columns, &blame)?,
        limit: spec.limit,
        output: Output {
            target: target::resolve(spec.output.path.as_deref(), call.force, &sources)?,
            format,
            header: spec.output.header.unwrap_or(format == Format::Csv),
            force: call.force,
            part_size: spec.output.part_size.unwrap_or(PART_SIZE),
        },
        settings: settings(&spec.run)?,
        sources,
    })
}

fn max_record(read: &spec::Read, blame: &Blame<'_>) -> Result<u64> {
    match read.max_record {
        None => Ok(MAX_RECORD),
        Some(bytes) if bytes > LONGEST_RECORD => {
            Err(blame.error("read.max_record", &format!("must be at most {}G", LONGEST_RECORD >> 30), None))
        }
        Some(bytes) => Ok(bytes),
    }
}

/// Says which spec, and where in it, a name is wrong.
pub(super) struct Blame<'a> {
    origin: &'a str,
}

impl Blame<'_> {
    pub fn error(&self, path: &str, what: &str, hint: Option<String>) -> Error {
        Error::Usage { message: format!("{}: {path}: {what}", self.origin), hint }
    }

    /// The index of `name` in `names`.
    pub fn find(&self, path: &str, what: &str, name: &str, names: &[&str]) -> Result<usize> {
        names.iter().position(|known| *known == name).ok_or_else(|| match name {
            "@file" | "@offset" => self.error(path, &format!("{name:?} is not supported yet"), None),
            _ => self.error(path, &format!("no {what} {name:?}"), Some(suggestion(name, &format!("{what}s"), names))),
        })
    }
}

/// Refuses what the spec has and a plan can't say.
fn not_yet(spec: &Spec, blame: &Blame<'_>) -> Result<()> {
    if let Some(format @ (ReadFormat::Csv | ReadFormat::Tsv)) = spec.read.format {
        return Err(blame.error("read.format", &format!("{:?} is not supported yet", format.name()), None));
    }
    spec.read.fits(ReadFormat::Text).map_err(|wrong| wrong.into_error(blame.origin))?;
    for (i, aggregate) in spec.aggregate.iter().enumerate() {
        if aggregate.op != "count" || aggregate.field.is_some() || aggregate.filter.is_some() {
            let what = format!("{:?} is not supported yet", aggregate.column());
            return Err(blame.error(&format!("aggregate.{i}"), &what, None));
        }
    }
    Ok(())
}

fn aggregate(_: &spec::Aggregate) -> AggregateColumn {
    AggregateColumn { field: None, aggregate: Box::new(Count) }
}

fn settings(run: &spec::Run) -> Result<Settings> {
    Ok(Settings {
        threads: run.threads.unwrap_or_else(machine::threads),
        memory: machine::memory(run.memory)?,
        split_size: run.split_size,
        partitions: run.partitions,
        combiner: run.combiner.unwrap_or_default(),
        scheduler: run.scheduler.unwrap_or_default(),
        spill_dir: machine::spill_dir(run.spill_dir.as_deref())?,
        table_slots: None,
        hash_mask: u64::MAX,
    })
}
