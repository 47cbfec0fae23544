//! Resolves a spec, its inputs and the rest of a command line to a [`Plan`]: every name is resolved, and everything is
//! checked that can be checked before reading.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use ahash::AHashSet;
use serde_json::Value;

use super::aggregates::Aggregates;
use super::columns::{self, NamedColumns};
use super::target::{Asked, By};
use super::{
    FieldNames, Format, Groups, Output, OutputColumn, Plan, Read, Rows, Settings, Target, machine, read, target,
};
use crate::data::{Kind, Zone};
use crate::error::{Error, LONGEST_RECORD, Result, shown};
use crate::input;
use crate::input::sources::{self, Stdin};
use crate::input::{Hedging, Latency, Patience, Sources};
use crate::map::Scope;
use crate::map::scope::{OwnBytes, ReaderField, RecordSource};
use crate::map::steps;
use crate::predicate;
use crate::record::{TERMINATOR, json};
use crate::schema::Blame;
use crate::spec::{self, OnTimeout, ReadFormat, Spec};

/// What a command line says besides the spec.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The name of the spec in messages.
    pub origin: String,
    /// Whether rows may come in any order.
    pub unordered: bool,
    /// The output's path, in place of the spec's.
    pub output: Option<PathBuf>,
    /// Whether to replace an output that exists.
    pub force: bool,
    pub stdin: Stdin,
    /// Number of the signal that asked for the end; 0 for none. Making a plan may have to wait for inputs.
    pub signal: Arc<AtomicUsize>,
    /// When the job was asked for, if it has a deadline.
    pub begun: Option<Instant>,
    /// How slow sources were in earlier runs, by their lasting names.
    pub latencies: HashMap<String, Latency>,
}

impl Invocation {
    fn check(&self, deadline: &spec::Deadline) -> Result<()> {
        Error::unless_interrupted(&self.signal)?;
        // If sources may be left out, the plan doesn't wait as long as that.
        let timeout = deadline.timeout.filter(|_| deadline.on_timeout != Some(OnTimeout::Partial));
        match (self.begun, timeout) {
            (Some(begun), Some(after)) if begun.elapsed() >= after.duration() => Err(Error::Deadline { after }),
            _ => Ok(()),
        }
    }

    /// The latency of each source; empty if nothing is known of any.
    fn latencies(&self, sources: &[input::Source]) -> Vec<Latency> {
        if self.latencies.is_empty() {
            return Vec::new();
        }
        let of = |source: &input::Source| self.latencies.get(&source.lasting_name()).copied().unwrap_or_default();
        sources.iter().map(of).collect()
    }

    /// How long a plan that may leave sources out waits for them. The other half of the time is for the job.
    fn until(&self, deadline: &spec::Deadline) -> Option<Instant> {
        Some(self.begun? + deadline.timeout?.duration() / 2)
    }
}

/// The longest record in bytes, if the spec doesn't say. No line of a text is that long, and memory holds a few such
/// records.
const MAX_RECORD: u64 = 256 << 20;

/// The most steps of a job: each step calls the next one with its records, which takes stack.
const MOST_STEPS: usize = 1000;

/// Bytes of a part file, if the spec doesn't say.
const PART_SIZE: u64 = 128 << 20;

pub fn resolve(spec: &Spec, call: &Invocation) -> Result<Plan> {
    let blame = Blame { origin: &call.origin };
    let max_record = max_record(&spec.read, &blame)?;
    let zone = spec.read.zone.as_ref().map_or(Ok(Zone::UTC), |name| blame.zone("read.zone", name))?;
    let leaves_out = spec.deadline.on_timeout == Some(OnTimeout::Partial);
    let until = call.until(&spec.deadline).filter(|_| leaves_out);
    let mut settings = settings(&spec.run)?;
    let check = || call.check(&spec.deadline);
    let patience = Patience { check: &check, leaves_out, until };
    let mut sources: Sources = sources::resolve(&spec.input, call.stdin, &patience)?.into_iter().collect();
    machine::limit_decoders(&mut sources, spec.run.threads.is_some(), &mut settings)?;
    let mut latencies = call.latencies(&sources);
    let mut left_out: Vec<(String, String)> = Vec::new();
    let read_format = read::format(&spec.read, &sources)?;
    spec.read.fits(read_format).map_err(|wrong| wrong.into_error(blame.origin))?;
    let work_out = |source: RecordSource<'_>| {
        let mut scope = Scope::new(&source, &spec.read.types, zone, blame);
        let outcome = outcome(spec, call, &mut scope)?;
        Ok::<_, Error>((scope, outcome))
    };
    // Works the job out twice. The first time shows which fields are used, and the second time only these are read.
    // Without `names`, a record may have fields of any name.
    let of_used = |names: Option<Vec<&str>>, read: &dyn Fn(&[ReaderField<'_>], bool) -> Result<Read>| {
        let is_open = names.is_none();
        let all = names.clone();
        let names = names.unwrap_or_default();
        let fields = names.iter().map(|name| ReaderField::text(name)).collect();
        let (scope, _) = work_out(RecordSource { fields, is_open, may_be_null: true, record: OwnBytes::Behind })?;
        scope.check_types()?;
        let named_fields = scope.named_fields();
        let used: Vec<_> = match &named_fields {
            Some(named_fields) => {
                let kind = |keeps_type: &bool| if *keeps_type { Kind::Json } else { Kind::Bytes };
                named_fields.iter().map(|(name, keeps_type)| ReaderField { name, kind: kind(keeps_type) }).collect()
            }
            None => {
                let is_used = |(field, name)| scope.is_used(field).then(|| ReaderField::text(name));
                names.into_iter().enumerate().filter_map(is_used).collect()
            }
        };
        let verbatim = scope.wants_record();
        let record = if verbatim { OwnBytes::Behind } else { OwnBytes::Nowhere };
        let read = read(&used, verbatim)?;
        let known: AHashSet<_> = used.iter().map(|used| used.name).collect();
        let unread = all.map(|all| all.into_iter().filter(|name| !known.contains(name)).map(str::to_owned).collect());
        let fields = FieldNames { read: named(&used).into_iter().map(str::to_owned).collect(), unread };
        let (scope, outcome) = work_out(RecordSource { fields: used, is_open: false, may_be_null: true, record })?;
        Ok::<_, Error>((read, fields, scope, outcome))
    };
    let (read, fields, scope, Outcome { rows, columns, sorted_by }) = match read_format {
        ReadFormat::Text => {
            let line = RecordSource {
                fields: vec![ReaderField::text("line")],
                is_open: false,
                may_be_null: false,
                record: OwnBytes::Field(0),
            };
            let (scope, outcome) = work_out(line)?;
            scope.check_types()?;
            let separator = spec.read.record_separator.unwrap_or(TERMINATOR);
            (
                Read::Text { separator },
                FieldNames { read: vec!["line".into()], unread: Some(Vec::new()) },
                scope,
                outcome,
            )
        }
        ReadFormat::Csv | ReadFormat::Tsv => {
            let hedging = Hedging::new(settings.attempts, &latencies, &sources);
            let (fields, late) =
                read::FieldsOfSources::of(&spec.read, read_format, &sources, max_record, hedging, &patience)?;
            let late_ones = sources.leave_out(|index| late.contains_key(&index));
            let mut index = 0..;
            latencies.retain(|_| index.next().is_none_or(|index| !late.contains_key(&index)));
            left_out = late_ones.iter().map(|source| shown(source.path())).zip(late.into_values()).collect();
            if let ([], Some((name, why))) = (&sources[..], left_out.first()) {
                return Err(Error::Source { name: name.clone(), why: why.clone() });
            }
            let names = fields.names(&sources)?;
            of_used(Some(names), &|used, verbatim| fields.layouts(&sources, &named(used), verbatim))?
        }
        ReadFormat::Jsonl => of_used(None, &|used, verbatim| {
            let field = |used: &ReaderField<'_>| json::WantedField {
                path: json::path(used.name),
                keeps_type: used.kind == Kind::Json,
            };
            Ok(Read::Json { fields: used.iter().map(field).collect(), verbatim })
        })?,
        ReadFormat::Regex => {
            let pattern = read::pattern(&spec.read, &blame)?;
            let names = pattern.capture_names().flatten().collect();
            of_used(Some(names), &|used, verbatim| read::matching(&pattern, &named(used), verbatim, &blame))?
        }
    };
    let (steps, origins, numbers) = scope.into_steps();
    if steps.len() > MOST_STEPS {
        let what = format!("takes {} steps, more than the {MOST_STEPS} that a record may go through", steps.len());
        return Err(blame.error(
            "map",
            &what,
            Some("each step of map is one, and so is each aggregate's own where".into()),
        ));
    }
    let format = spec.output.format.unwrap_or(match read_format {
        ReadFormat::Text => Format::Text,
        ReadFormat::Csv | ReadFormat::Tsv | ReadFormat::Jsonl | ReadFormat::Regex => Format::Tsv,
    });
    Ok(Plan {
        job: serde_json::to_value(spec).unwrap_or(Value::Null),
        max_record,
        on_error: spec.read.on_error.clone(),
        read,
        fields,
        steps,
        origins,
        numbers,
        rows,
        sorted_by,
        columns: written(columns::output(spec, &columns, &blame)?, read_format),
        limit: spec.limit,
        is_ranked: !spec.sort.is_empty(),
        left_out,
        timeout: spec.deadline.timeout,
        on_timeout: spec.deadline.on_timeout.unwrap_or_default(),
        output: Output {
            target: target(spec, call, &sources)?,
            format,
            header: spec.output.header.unwrap_or(format == Format::Csv),
            force: call.force,
            part_size: spec.output.part_size.unwrap_or(PART_SIZE),
        },
        settings,
        sources,
        latencies,
    })
}

/// Sets the names under which columns are written. If a name in JSON is a path of one part, it is written without the
/// backslashes of the path, unless another column has that name.
fn written(mut columns: Vec<OutputColumn>, read: ReadFormat) -> Vec<OutputColumn> {
    let paths: Vec<_> = columns.iter().map(|column| json::path(&column.name)).collect();
    for (i, path) in paths.into_iter().enumerate().filter(|_| read == ReadFormat::Jsonl) {
        if let [name] = path.as_slice()
            && columns.iter().all(|column| column.name != *name)
        {
            columns[i].name.clone_from(name);
        }
    }
    columns
}

fn named<'a>(fields: &[ReaderField<'a>]) -> Vec<&'a str> {
    fields.iter().map(|field| field.name).collect()
}

fn target(spec: &Spec, call: &Invocation, sources: &[input::Source]) -> Result<Target> {
    let (path, by) = match &call.output {
        Some(path) => (Some(path), By::Flag),
        None => (spec.output.path.as_ref(), By::Spec),
    };
    path.map_or(Ok(Target::Stdout), |path| target::resolve(&Asked { path, by, force: call.force }, sources))
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

/// What becomes of the records after the steps.
struct Outcome {
    rows: Rows,
    columns: NamedColumns,
    /// Names of the columns that rows are sorted by.
    sorted_by: Vec<String>,
}

/// Works out the steps, and what becomes of the records after them.
fn outcome(spec: &Spec, call: &Invocation, scope: &mut Scope<'_>) -> Result<Outcome> {
    let blame = scope.blame;
    steps::resolve(&spec.map, scope)?;
    if let Some(filter) = &spec.filter {
        scope.filter(filter, "where")?;
    }
    if spec.writes_records() {
        let columns = NamedColumns::of_records(spec, scope)?;
        let (sort, sorted_by) = columns::record_order(spec, &columns, scope)?;
        return Ok(Outcome { rows: Rows::Records { sort }, columns, sorted_by });
    }
    let aggregates = Aggregates::resolve(&spec.aggregate, scope)?;
    let (key, columns) = NamedColumns::of_groups(spec, &aggregates, scope)?;
    let having = spec.having.as_ref();
    let having = having.map(|having| predicate::resolve(having, "having", &mut (&columns, blame), &blame));
    let (order, sorted_by) = columns::group_order(spec, &columns, call.unordered, &blame)?;
    let groups = Groups {
        order,
        having: having.transpose()?,
        key,
        observed: aggregates.observed,
        aggregates: aggregates.all,
        results: aggregates.results,
    };
    Ok(Outcome { rows: Rows::Groups(groups), columns, sorted_by })
}

/// The most attempts at a task, if the job doesn't say.
const ATTEMPTS: u32 = 4;

fn settings(run: &spec::RunSettings) -> Result<Settings> {
    let (threads, memory) = machine::threads_and_memory(run.threads, run.memory)?;
    Ok(Settings {
        threads,
        memory,
        split_size: run.split_size,
        partitions: run.partitions,
        combiner: run.combiner.unwrap_or_default(),
        scheduler: run.scheduler.unwrap_or_default(),
        attempts: run.attempts.unwrap_or(ATTEMPTS),
        spill_dirs: machine::spill_dirs(&run.spill_dir)?,
        spill_limit: run.spill_limit,
        compress: run.compress.unwrap_or_default(),
        table_slots: None,
        hash_mask: u64::MAX,
    })
}
