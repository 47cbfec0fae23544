//! Spec, inputs and what only a command line says, to a [`Plan`]: every name resolved, everything checked that can be
//! checked before reading.

use serde_json::Value;

use super::aggregates::Aggregates;
use super::columns::{self, Columns};
use super::{Format, Groups, Output, Plan, Read, Rows, Settings, machine, target};
use crate::error::{LONGEST_RECORD, Result};
use crate::input::sources::{self, Stdin};
use crate::map::Scope;
use crate::map::scope::Source;
use crate::map::steps::{self, Filter};
use crate::predicate;
use crate::schema::Blame;
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
    let source = Source { fields: vec!["line"], may_be_null: false, record: Some(0) };
    let mut scope = Scope::new(&source, &spec.read.types, blame);
    let (rows, columns) = rows(spec, call, &mut scope)?;
    let steps = scope.finish()?;
    let sources = sources::resolve(&spec.input, call.stdin)?;
    let format = spec.output.format.unwrap_or(Format::Text);
    Ok(Plan {
        job: serde_json::to_value(spec).unwrap_or(Value::Null),
        max_record: max_record(&spec.read, &blame)?,
        read: Read::Text,
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

/// Works out the steps, and what becomes of the records behind them.
fn rows(spec: &Spec, call: &Invocation, scope: &mut Scope<'_>) -> Result<(Rows, Columns)> {
    let blame = scope.blame;
    steps::resolve(&spec.map, scope)?;
    if let Some(filter) = &spec.filter {
        let predicate = scope.predicate(filter, "where")?;
        scope.push(Filter(predicate));
    }
    if spec.group_by.is_empty() && spec.aggregate.is_empty() {
        let columns = Columns::of_records(spec, scope)?;
        let sort = columns::sort_keys(spec, &columns, &blame)?;
        return Ok((Rows::Records { sort: Some(sort).filter(|keys| !keys.is_empty()) }, columns));
    }
    let aggregates = Aggregates::resolve(&spec.aggregate, scope)?;
    let (key, columns) = Columns::of_groups(spec, &aggregates, scope)?;
    let having = spec.having.as_ref();
    let having = having.map(|having| predicate::resolve(having, "having", &mut (&columns, blame), &blame));
    let groups = Groups {
        order: columns::group_order(spec, &columns, call.unordered, &blame)?,
        having: having.transpose()?,
        key,
        observed: aggregates.observed,
        aggregates: aggregates.all,
        names: aggregates.names,
    };
    Ok((Rows::Groups(groups), columns))
}

/// Refuses what the spec has and a plan can't say.
fn not_yet(spec: &Spec, blame: &Blame<'_>) -> Result<()> {
    if let Some(format @ (ReadFormat::Csv | ReadFormat::Tsv)) = spec.read.format {
        return Err(blame.error("read.format", &format!("{:?} is not supported yet", format.name()), None));
    }
    spec.read.fits(ReadFormat::Text).map_err(|wrong| wrong.into_error(blame.origin))
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
