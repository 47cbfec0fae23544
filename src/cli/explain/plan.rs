//! Describes what a plan does: as data, which `--json` prints as they are, and for people as a line or a few for each
//! part.

use serde::Serialize;
use serde_json::Value;

use super::wording;
use crate::engine::Sizes;
use crate::error::shown;
use crate::input::{Codec, Source};
use crate::map::{JobPart, growth};
use crate::plan::{Groups, OnError, PerGroup, Plan, Read, Rows, SortKey, SortKeys, Target};
use crate::units::{binary, count, data, plural, size};

/// What `explain` tells of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    pub sources: Sources,
    pub read: Reading,
    pub steps: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupsDescription>,
    /// Names of the sort columns, with `-` before descending ones. None if the rows aren't sorted.
    pub order: Option<Vec<String>>,
    pub limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_per_group: Option<LimitPerGroup>,
    pub output: Output,
    pub settings: Settings,
}

/// How many rows of each group the plan writes.
#[derive(Clone, Debug, Serialize)]
pub struct LimitPerGroup {
    /// The columns that make a group.
    pub group: Vec<String>,
    pub limit: u64,
}

/// The sources of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct Sources {
    pub number: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Names of the first sources.
    pub names: Vec<String>,
    pub packed: usize,
    /// Names of the sources that are not files.
    pub streams: Vec<String>,
}

/// How the plan reads records.
#[derive(Clone, Debug, Serialize)]
pub struct Reading {
    pub format: &'static str,
    pub header: bool,
    pub fields: Vec<String>,
    /// The fields of the sources that nothing reads. None if a record may have any fields.
    pub unread: Option<Vec<String>>,
    /// Fields that are read only in records that a filter left.
    pub lazy: Vec<String>,
    pub on_error: &'static str,
    /// The number of splits, one per map task, and the bytes of the largest split. Compressed files and streams aren't
    /// counted: they are cut into blocks as they are read.
    pub splits: u64,
    pub split_bytes: u64,
}

/// A step of the plan, in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub what: String,
    /// Whether the step sees only records that a filter left.
    pub is_behind_filter: bool,
}

/// How the plan groups records, and the states that it keeps of a group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupsDescription {
    pub key: Vec<String>,
    /// The aggregates, with those that share one state in one list.
    pub states: Vec<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub having: Option<String>,
    pub combiner: &'static str,
    pub table_bytes: usize,
    pub partitions: usize,
}

/// Where the plan writes the result, and in which form.
#[derive(Clone, Debug, Serialize)]
pub struct Output {
    pub to: String,
    pub format: &'static str,
    pub header: bool,
    pub columns: Vec<String>,
}

/// The settings that the plan runs with.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub threads: usize,
    pub memory_bytes: u64,
    pub scheduler: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    pub on_timeout: &'static str,
}

impl LimitPerGroup {
    fn of(order: &SortKeys, names: &[String]) -> Option<Self> {
        let PerGroup { columns, limit } = order.per_group?;
        let column = |(key, name): (&SortKey, &String)| name[usize::from(key.descending)..].to_owned();
        Some(LimitPerGroup { group: order.keys.iter().zip(names).take(columns).map(column).collect(), limit })
    }
}

impl Description {
    pub fn of(plan: &Plan) -> Description {
        let sizes = Sizes::choose(plan);
        let Plan { job, rows, output, settings, .. } = plan;
        let groups = match rows {
            Rows::Groups(groups) => Some(groups),
            Rows::Records { .. } => None,
        };
        let list = |key: &str| wording::names(&job[key]);
        let order = match rows {
            Rows::Records { sort } => sort.as_ref(),
            Rows::Groups(groups) => groups.sort_keys(),
        };
        Description {
            sources: sources(&plan.sources),
            read: reading(plan, &sizes),
            steps: steps(plan),
            groups: groups.map(|groups| GroupsDescription {
                key: list("group_by"),
                states: states(groups, &job["aggregate"]),
                having: groups.having.is_some().then(|| wording::predicate(&job["having"])),
                combiner: settings.combiner.name(),
                table_bytes: sizes.table.min(growth::MOST_TABLE_BYTES),
                partitions: sizes.partitions,
            }),
            order: order.is_some().then(|| plan.sorted_by.clone()),
            limit: plan.limit,
            limit_per_group: order.and_then(|order| LimitPerGroup::of(order, &plan.sorted_by)),
            output: Output {
                to: match &output.target {
                    Target::Stdout => "standard output".into(),
                    Target::Directory(path) => format!("part files in {}", shown(path)),
                    target => shown(target.path()),
                },
                format: output.format.name(),
                header: output.header,
                columns: plan.columns.iter().map(|column| column.name.clone()).collect(),
            },
            settings: Settings {
                threads: settings.threads,
                memory_bytes: settings.memory,
                scheduler: settings.scheduler.name(),
                timeout: plan.timeout.map(|timeout| timeout.to_string()),
                on_timeout: plan.on_timeout.name(),
            },
        }
    }

    /// Returns the description for people: a label and a text for each line.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("input", self.sources.line()), ("read", self.read.line())];
        if !self.read.lazy.is_empty() {
            let lazy = self.read.lazy.join(", ");
            lines.push(("lazily", format!("{lazy}: read only in records that a filter left")));
        }
        lines.push(("splits", self.splits()));
        let label = |i| if i == 0 { "map" } else { "" };
        for (i, Step { what, is_behind_filter }) in self.steps.iter().enumerate() {
            let only = if *is_behind_filter { ", of the records left" } else { "" };
            lines.push((label(i), format!("{}. {what}{only}", i + 1)));
        }
        if let Some(groups) = &self.groups {
            groups.lines(&mut lines);
        }
        lines.push(("order", self.order()));
        let Output { to, format, header, columns } = &self.output;
        let header = if *header { " with a header" } else { "" };
        lines.push(("output", format!("{to}, {format}{header}: {}", columns.join(", "))));
        let Settings { threads, memory_bytes, scheduler, timeout, on_timeout } = &self.settings;
        let on = plural(*threads as u64, "thread");
        let timeout =
            timeout.as_ref().map_or_else(String::new, |timeout| format!("; {timeout} at most, then {on_timeout}"));
        lines.push(("run", format!("{on}, {} of memory, scheduler {scheduler}{timeout}", size(*memory_bytes))));
        lines
    }

    fn splits(&self) -> String {
        let Reading { splits, split_bytes, .. } = self.read;
        let mut text = match splits {
            0 => "none".to_owned(),
            n => format!("{} of at most {}", count(n), binary(split_bytes)),
        };
        let others = self.sources.packed + self.sources.streams.len();
        if others > 0 {
            text.push_str(&format!("; {} cut in blocks while read", plural(others as u64, "source")));
        }
        text
    }

    fn order(&self) -> String {
        let first = self.limit.map_or_else(String::new, |limit| format!("; the first {}", plural(limit, "row")));
        let of_each = self.limit_per_group.as_ref().map_or_else(String::new, |LimitPerGroup { group, limit }| {
            format!("; of each {} the first {}", group.join(", "), plural(*limit, "row"))
        });
        let order = match (&self.order, &self.groups) {
            (Some(keys), _) if keys.is_empty() => "one row".into(),
            (Some(keys), None) => format!("{}, then as in the input", keys.join(", ")),
            (Some(keys), Some(_)) => keys.join(", "),
            (None, None) => "as in the input, written while it is read".into(),
            (None, Some(_)) => "any".to_owned(),
        };
        order + &of_each + &first
    }
}

impl Sources {
    fn line(&self) -> String {
        let mut text = match self.names.as_slice() {
            [only] if self.number == 1 => only.clone(),
            names => format!("{} ({}{})", plural(self.number as u64, "source"), names.join(", "), self.more()),
        };
        if self.streams.len() < self.number {
            text.push_str(&format!(", {}", data(self.bytes)));
        }
        if self.packed > 0 {
            text.push_str(&format!("; {} compressed, read from front to back", count(self.packed as u64)));
        }
        if !self.streams.is_empty() {
            text.push_str(&format!("; not files, so their length isn't known: {}", self.streams.join(", ")));
        }
        text
    }

    fn more(&self) -> &'static str {
        if self.number > self.names.len() { ", …" } else { "" }
    }
}

impl Reading {
    fn line(&self) -> String {
        let header = if self.header { " with a header" } else { "" };
        let mut text = format!("{}{header}", self.format);
        match (&self.unread, self.fields.as_slice()) {
            (_, []) => text.push_str(": no fields, records are only counted"),
            (Some(unread), fields) if unread.is_empty() => text.push_str(&format!(": {}", fields.join(", "))),
            (Some(unread), fields) => {
                let all = fields.len() + unread.len();
                text.push_str(&format!(": {} of {all} fields; ignored: {}", fields.join(", "), few(unread)));
            }
            (None, fields) => text.push_str(&format!(": {}; other fields are ignored", fields.join(", "))),
        }
        text + &format!("; a bad record: {}", self.on_error)
    }
}

impl GroupsDescription {
    fn lines(&self, lines: &mut Vec<(&'static str, String)>) {
        let key = if self.key.is_empty() { "none: one group".into() } else { self.key.join(", ") };
        lines.push(("key", key));
        let shared = |state: &Vec<String>| match state.as_slice() {
            [one] => one.clone(),
            several => format!("{} (one state)", several.join(", ")),
        };
        lines.push(("aggregate", self.states.iter().map(shared).collect::<Vec<_>>().join("; ")));
        let combine = match self.combiner {
            "off" => "off: each mapped record is a row".to_owned(),
            set => {
                let when = if set == "auto" { "auto: while it pays" } else { "on: all records" };
                format!("{when}, in a table of at most {} a thread", binary(self.table_bytes as u64))
            }
        };
        lines.push(("combine", combine));
        lines.push(("shuffle", plural(self.partitions as u64, "partition")));
        lines.extend(self.having.iter().map(|having| ("having", having.clone())));
    }
}

/// Lists the names, or only the first few of many.
fn few(names: &[String]) -> String {
    const FEW: usize = 8;
    match names.len().checked_sub(FEW + 1) {
        None => names.join(", "),
        Some(_) => format!("{} and {} more", names[..FEW].join(", "), names.len() - FEW),
    }
}

fn sources(all: &[Source]) -> Sources {
    const NAMED: usize = 3;
    let name = |source: &Source| shown(source.path());
    Sources {
        number: all.len(),
        bytes: all.iter().map(Source::bytes).sum(),
        names: all.iter().take(NAMED).map(name).collect(),
        packed: all.iter().filter(|source| codec(source).is_some()).count(),
        streams: all.iter().filter(|source| !source.is_file()).map(name).collect(),
    }
}

fn codec(source: &Source) -> Option<Codec> {
    match source {
        Source::File { codec, .. } => *codec,
        _ => None,
    }
}

fn reading(plan: &Plan, sizes: &Sizes) -> Reading {
    let (format, header) = match &plan.read {
        Read::Text { .. } => ("text", false),
        Read::Delimited { dialect, header, .. } => (if dialect.delimiter == b'\t' { "tsv" } else { "csv" }, *header),
        Read::Json { .. } => ("jsonl", false),
        Read::Matching { .. } => ("regex", false),
    };
    let first_filter = plan.steps.iter().position(|step| matches!(step.part(), JobPart::Filters)).unwrap_or(usize::MAX);
    let is_lazy = |field: &usize| {
        let early = plan.steps.iter().take(first_filter.saturating_add(1));
        first_filter < plan.steps.len() && !early.into_iter().any(|step| step.reads().contains(field))
    };
    let fields = &plan.fields.read;
    let bytes: u64 = plan.sources.iter().filter(|source| !source.is_stream()).map(Source::bytes).sum();
    Reading {
        format,
        header,
        fields: fields.clone(),
        unread: plan.fields.unread.clone(),
        lazy: (0..fields.len()).filter(is_lazy).map(|field| fields[field].clone()).collect(),
        on_error: match &plan.on_error {
            OnError::Fail => "ends the job",
            OnError::Skip => "is skipped",
            OnError::SkipUpTo { .. } => "is skipped, up to a share",
        },
        splits: bytes.div_ceil(sizes.split),
        split_bytes: sizes.split,
    }
}

fn steps(plan: &Plan) -> Vec<Step> {
    let mut told = Vec::new();
    let mut is_behind_filter = false;
    for (step, origin) in plan.steps.iter().zip(&plan.origins) {
        let value = wording::at(&plan.job, origin);
        let what = match step.part() {
            JobPart::Written => wording::step(value),
            JobPart::Filters => format!("filter {}", wording::predicate(value)),
            JobPart::Converts(fields) => {
                let fields = fields.iter().map(|field| format!("{} as {}", field.name, field.to.name()));
                format!("read {}", fields.collect::<Vec<_>>().join(", "))
            }
            JobPart::Hides if origin.starts_with("aggregate.") => {
                let column = wording::column(value);
                format!("for {column}: where {}", wording::predicate(&value["where"]))
            }
            // The other steps aren't in the spec. They hide fields in records for which a part of an `or` isn't
            // reached, or add fields that later steps read: another form of a field, a member, or where the record is
            // from.
            JobPart::Hides | JobPart::Prepares => continue,
        };
        let step_told = Step { what, is_behind_filter };
        // An aggregate with a condition may read two fields. The condition is described once.
        if !matches!(step.part(), JobPart::Hides) || told.last() != Some(&step_told) {
            told.push(step_told);
        }
        is_behind_filter |= matches!(step.part(), JobPart::Filters);
    }
    told
}

fn states(groups: &Groups, aggregates: &Value) -> Vec<Vec<String>> {
    let mut states = vec![Vec::new(); groups.aggregates.len()];
    for (result, aggregate) in groups.results.iter().zip(aggregates.as_array().into_iter().flatten()) {
        states[result.aggregate].push(wording::aggregate(aggregate));
    }
    states
}
