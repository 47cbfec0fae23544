//! The table of all keys that a spec may have.
//!
//! The checker, `--set`, the suggestions, the JSON Schema, docs/spec.md and the completions are derived from it. So a
//! key is named in one place besides its type in [`super::Spec`].

use super::read::{Preset, ReadFormat};
use super::{OnTimeout, Scheduler, sort};
use crate::aggregate;
use crate::input;
use crate::map::{Combiner, Type, steps};
use crate::output::Format;
use crate::schema::predicate::PREDICATES;
use crate::schema::{Choice, Key, Shape, params};
use crate::shuffle::PageCompression;

pub static SPEC: Shape = Shape::Object(TOP);

const TOP: &[Key] = &[
    Key::optional("name", Shape::Text).about("The job's name in summaries and reports"),
    Key::optional("description", Shape::Text)
        .about("What the job is for; mapfold jobs prints the description of each built-in job"),
    Key::optional("params", params::SHAPE).about(
        "Values to choose: {\"param\": NAME}, in the place of any value below, means the value of this param",
    ),
    Key::optional("input", Shape::OneOrMore(&input::written::SHAPE))
        .about("The inputs, read in this order; inputs on the command line replace them"),
    Key::optional("read", Shape::Object(READ)).about("How records are read"),
    Key::optional("map", Shape::List(&steps::SHAPE)).about("Steps that make fields and records, applied in order"),
    Key::optional("where", Shape::Variants(&PREDICATES))
        .about("After the steps: drops the records for which this predicate doesn't hold"),
    Key::optional("group_by", Shape::List(&Shape::Name))
        .about("The fields that make up the key of a group; without group_by all records are one group"),
    Key::optional("aggregate", Shape::List(&aggregate::SHAPE))
        .about("The values to compute for each group; each is a column of the result"),
    Key::optional("having", Shape::Variants(&PREDICATES))
        .about("Drops the groups for which this predicate, about columns of the result, doesn't hold"),
    Key::optional("select", Shape::List(&Shape::Name))
        .about("The fields to write, by default all, in a job that writes records, not groups"),
    Key::optional("sort", Shape::List(&sort::SHAPE)).about(
        "Columns to sort by, - in front for descending; equal rows: by the other columns, equal records: in input order",
    ),
    Key::optional("limit", Shape::Whole { least: 0, most: u64::MAX }).about("The number of rows to write"),
    Key::optional("limit_per_group", Shape::Whole { least: 0, most: u64::MAX }).about(
        "The number of rows to write of each group: of equal group_by, but for its last column if there is an aggregate",
    ),
    Key::optional("output", Shape::Object(OUTPUT)).about("How and where the result is written"),
    Key::optional("deadline", Shape::Object(DEADLINE))
        .about("When the answer must be out, and what happens if the job takes longer"),
    Key::optional("run", Shape::Object(RUN)).about("Settings that never change the result"),
    Key::optional("$schema", Shape::Text)
        .about("Where an editor finds the schema of this file; mapfold schema prints the schema"),
];

const READ: &[Key] = &[
    Key::optional("format", Shape::Choice(Choice::of(ReadFormat::NAMES)))
        .about("The format of the inputs: by default what the endings of their names say, or else text"),
    Key::optional("record_separator", Shape::Separator)
        .about("For text: the character that ends a record")
        .by_default("\\n"),
    Key::optional("fields", Shape::List(&Shape::Name))
        .about("For csv and tsv: names of the columns, if the files have no header row"),
    Key::optional("header", Shape::Flag).about(
        "For csv and tsv: whether files begin with a row of column names; if not, see fields, or columns are $1, $2, …",
    ),
    Key::optional("delimiter", Shape::Delimiter).about("For csv: the character between two fields").by_default(","),
    Key::optional("null", Shape::List(&Shape::Text))
        .about("For csv and tsv: texts that mean null, besides the format's own null"),
    Key::optional("pattern", Shape::Pattern)
        .about("For regex: a pattern that each line must match; its named groups are the fields"),
    Key::optional("preset", Shape::Choice(Choice::of(Preset::NAMES)))
        .about("For regex: the name of a ready-made pattern"),
    Key::optional("types", Shape::Map(&TYPE)).about(
        "Types of fields, also of those that steps make; without one a field is read as a number where one is needed",
    ),
    Key::optional("zone", Shape::Name)
        .about("The time zone of timestamps that have no offset, by its IANA name")
        .by_default("UTC"),
    Key::optional("on_error", Shape::WordOr(Choice::of(&["fail", "skip"]), SKIP))
        .about("What happens if a record is bad")
        .by_default("fail"),
    Key::optional("max_record", Shape::Size)
        .about("The greatest length of a record; a longer one is an error; at most 2G")
        .by_default("256M"),
];

/// The types that a field may be declared to have.
pub static TYPE: Shape = Shape::Choice(Choice::of(Type::NAMES));

const SKIP: &[Key] = &[
    Key::required("skip_up_to", Shape::Share)
        .about("The share of all records that may be bad; if there are more, the job fails"),
    Key::optional("save_to", Shape::Name).about("A file to which the bad records are written as they were read"),
];

const OUTPUT: &[Key] = &[
    Key::optional("path", Shape::Name)
        .about("A file, or a directory, whose name ends with /; by default standard output"),
    Key::optional("format", Shape::Choice(Choice::of(Format::NAMES)))
        .about("How rows are written: by default text if text is read, or else tsv"),
    Key::optional("header", Shape::Flag)
        .about("Whether the first row has the names of the columns; by default only in csv"),
    Key::optional("columns", Shape::List(&Shape::Name)).about("The columns to write, in this order; by default all"),
    Key::optional("part_size", Shape::Size).about("For a directory: the approximate size of a part file"),
    Key::later("partitions"),
];

/// The most threads, partitions and attempts accepted. A larger number is a mistake in typing.
const MOST_THREADS: u64 = 4096;
const MOST_PARTITIONS: u64 = 65_536;
const MOST_ATTEMPTS: u64 = 100;

const DEADLINE: &[Key] = &[
    Key::optional("timeout", Shape::Span).about("When the answer must be out, counted from the start of the command"),
    Key::optional("on_timeout", Shape::Choice(Choice::of(OnTimeout::NAMES)))
        .about("What happens then: the job fails, or answers exactly from what it has read so far (partial)")
        .by_default("fail"),
];

const RUN: &[Key] = &[
    Key::optional("threads", Shape::Whole { least: 1, most: MOST_THREADS }).about(
        "Worker threads, by default one per core; at most 256 are started, or one per core if there are more cores",
    ),
    Key::optional("memory", Shape::Size)
        .about("A bound for tables and buffers: by default half of the memory that the process may use"),
    Key::optional("split_size", Shape::Size)
        .about("Input bytes of one map task: by default chosen by the size of the input, threads and memory"),
    Key::optional("partitions", Shape::Whole { least: 1, most: MOST_PARTITIONS })
        .about("Parts that the shuffle is divided into, for reduce tasks: by default chosen by the size of the input"),
    Key::optional("spill_dir", Shape::OneOrMore(&Shape::Name)).about(
        "The directory of temporary files, or several that the runs are spread over: by default $TMPDIR, or else /var/tmp",
    ),
    Key::optional("spill_limit", Shape::Size)
        .about("The most bytes that all runs, those of every phase, may take on disk at a time; if they would take more, the job fails"),
    Key::optional("compress", Shape::Choice(Choice::of(PageCompression::NAMES)))
        .about("Whether runs are compressed, and how; auto compresses them where that saves time, as measured")
        .by_default("auto"),
    Key::optional("scheduler", Shape::Choice(Choice::of(Scheduler::NAMES)))
        .about(
            "How workers get tasks: from others when idle (stealing), only their share (static), or from one queue (shared)",
        )
        .by_default("stealing"),
    Key::optional("combiner", Shape::Choice(Choice::of(Combiner::NAMES)))
        .about(
            "Whether records with the same key are merged before the shuffle; auto merges them while that \
            saves work",
        )
        .by_default("auto"),
    Key::optional("attempts", Shape::Whole { least: 1, most: MOST_ATTEMPTS })
        .about("How often a task, or reading an input that can be read again, is tried before the job fails")
        .by_default("4"),
];
