//! Spec, inputs and what only a command line says, to a [`Plan`]: every name resolved, everything checked that can be
//! checked before reading.

use serde_json::Value;

use super::columns::{self, Columns};
use super::{AggregateColumn, Combiner, Format, Output, Plan, Settings, machine, target};
use crate::aggregate::Count;
use crate::error::{Error, Result, suggestion};
use crate::input::sources::{self, Stdin};
use crate::map::{self, Splitter};
use crate::spec::{self, Spec};

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

/// Bytes of a part file.
const PART_SIZE: u64 = 128 << 20;

pub fn resolve(spec: &Spec, call: &Invocation) -> Result<Plan> {
    let blame = Blame { origin: &call.origin };
    if spec.group_by.is_empty() && spec.aggregate.is_empty() {
        return Err(Error::usage_hint(
            format!("{}: neither group_by nor aggregate: passing records through is not supported yet", call.origin),
            r#"to count records: "aggregate": [{"op": "count"}]"#,
        ));
    }
    let (fields, steps) = steps(&spec.map, &blame)?;
    let columns = Columns::new(spec, &fields, &blame)?;
    let sources = sources::resolve(&spec.input, call.stdin)?;
    let format = match spec.output.format {
        None | Some(spec::Format::Text) => Format::Text,
        Some(spec::Format::Tsv) => Format::Tsv,
        Some(spec::Format::Csv) => Format::Csv,
        Some(spec::Format::Jsonl) => Format::Jsonl,
    };
    Ok(Plan {
        job: serde_json::to_value(spec).unwrap_or(Value::Null),
        steps,
        order: columns::order(spec, &columns, call.unordered, &blame)?,
        columns: columns::output(spec, &columns, &blame)?,
        aggregates: spec.aggregate.iter().map(aggregate).collect(),
        limit: spec.limit,
        output: Output {
            target: target::resolve(spec.output.path.as_deref(), call.force, &sources)?,
            format,
            header: spec.output.header.unwrap_or(format == Format::Csv),
            force: call.force,
            part_size: spec.output.part_size.unwrap_or(PART_SIZE),
        },
        settings: settings(&spec.run)?,
        group_by: columns.group_by,
        sources,
    })
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

/// The steps, and the names of all fields: the record's own, then one a step.
fn steps<'a>(steps: &'a [spec::Step], blame: &Blame<'_>) -> Result<(Vec<&'a str>, Vec<map::Step>)> {
    let mut fields = vec!["line"];
    let mut resolved = Vec::new();
    for (i, spec::Step::Split { split, on, name }) in steps.iter().enumerate() {
        let input = blame.find(&format!("map.{i}.split"), "field", split, &fields)?;
        if fields.contains(&name.as_str()) {
            let hint = Some("choose another name".into());
            return Err(blame.error(&format!("map.{i}.as"), &format!("there is a field {name:?} already"), hint));
        }
        fields.push(name);
        resolved.push(map::Step::Split { input, on: splitter(on) });
    }
    Ok((fields, resolved))
}

fn splitter(on: &str) -> Splitter {
    match on {
        "words" => Splitter::Words,
        "whitespace" => Splitter::Whitespace,
        "letters" => Splitter::Letters,
        literal => Splitter::Literal(literal.as_bytes().to_vec()),
    }
}

/// The spec's schema admits no other op.
fn aggregate(aggregate: &spec::Aggregate) -> AggregateColumn {
    debug_assert_eq!(aggregate.op, "count");
    AggregateColumn { field: None, aggregate: Box::new(Count) }
}

fn settings(run: &spec::Run) -> Result<Settings> {
    Ok(Settings {
        threads: run.threads.unwrap_or_else(machine::threads),
        memory: machine::memory(run.memory)?,
        split_size: run.split_size,
        partitions: run.partitions,
        combiner: match run.combiner {
            None | Some(spec::Combiner::Auto) => Combiner::Auto,
            Some(spec::Combiner::On) => Combiner::On,
            Some(spec::Combiner::Off) => Combiner::Off,
        },
        scheduler: run.scheduler.unwrap_or_default(),
        spill_dir: machine::spill_dir(run.spill_dir.as_deref())?,
        table_slots: None,
        hash_mask: u64::MAX,
    })
}
