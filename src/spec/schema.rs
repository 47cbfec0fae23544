//! The table of all keys that a spec may have.
//!
//! The checker, `--set`, the suggestions, the JSON Schema, docs/spec.md and the completions are derived from it. So a
//! key is named in one place besides its type in [`super::Spec`].

use super::read::{Preset, ReadFormat};
use super::{OnTimeout, Scheduler};
use crate::aggregate;
use crate::input;
use crate::map::{Combiner, Type, steps};
use crate::output::Format;
use crate::schema::predicate::PREDICATES;
use crate::schema::{Choice, Key, Shape, params};

pub static SPEC: Shape = Shape::Object(TOP);

const TOP: &[Key] = &[
    Key::optional("name", Shape::Text).about("What the job is called in summaries and reports"),
    Key::optional("description", Shape::Text).about("What the job is for; mapfold jobs prints it of built-in jobs"),
    Key::optional("params", params::SHAPE).about(
        "What the job leaves open: {\"param\": NAME} stands for the value of one, in the place of any value below",
    ),
    Key::optional("input", Shape::OneOrMore(&input::written::SHAPE))
        .about("What is read, in this order; inputs on the command line replace it"),
    Key::optional("read", Shape::Object(READ)).about("How records are read"),
    Key::optional("map", Shape::List(&steps::SHAPE)).about("Steps that make fields and records, applied in order"),
    Key::optional("where", Shape::Variants(&PREDICATES))
        .about("Drops the records for which this doesn't hold, behind the steps"),
    Key::optional("group_by", Shape::List(&Shape::Name))
        .about("The fields that make up the key of a group; without it all records are one group"),
    Key::optional("aggregate", Shape::List(&aggregate::SHAPE))
        .about("What is worked out for each group, a column each"),
    Key::optional("having", Shape::Variants(&PREDICATES))
        .about("Drops the groups for which this doesn't hold: it is about columns of the result"),
    Key::optional("select", Shape::List(&Shape::Name))
        .about("With neither groups nor aggregates records pass through: the fields to write, all by default"),
    Key::optional("sort", Shape::List(&Shape::Name)).about(
        "Columns to sort by, - before descending ones; ties break by the other columns, of records by input order",
    ),
    Key::optional("limit", Shape::Whole { least: 0, most: u64::MAX }).about("The first so many rows"),
    Key::later("limit_per_group"),
    Key::optional("output", Shape::Object(OUTPUT)).about("How and where the result is written"),
    Key::optional("deadline", Shape::Object(DEADLINE))
        .about("When the answer is to be out, and what becomes of the job else"),
    Key::optional("run", Shape::Object(RUN)).about("Settings that never change the result"),
    Key::optional("$schema", Shape::Text)
        .about("Where an editor finds the schema of this file, which mapfold schema prints"),
];

const READ: &[Key] = &[
    Key::optional("format", Shape::Choice(Choice::of(ReadFormat::NAMES)))
        .about("What the inputs are: by default what the endings of their names say, else text"),
    Key::optional("record_separator", Shape::Separator)
        .about("Of text: the character that ends a record")
        .by_default("\\n"),
    Key::optional("fields", Shape::List(&Shape::Name))
        .about("Of csv and tsv: names of the columns, where no row has them"),
    Key::optional("header", Shape::Flag)
        .about("Of csv and tsv: whether a file's first row names its columns; else fields does, or they are $1, $2, …"),
    Key::optional("delimiter", Shape::Delimiter).about("Of csv: what stands between two fields").by_default(","),
    Key::optional("null", Shape::List(&Shape::Text))
        .about("Of csv and tsv: cells that are null, besides what the format has for it"),
    Key::optional("pattern", Shape::Pattern).about("Of regex: its named groups are the fields"),
    Key::optional("preset", Shape::Choice(Choice::of(Preset::NAMES))).about("Of regex: a pattern by its name"),
    Key::optional("types", Shape::Map(&TYPE))
        .about("Types by field, also of those that steps make; without one a field is a number where that is wanted"),
    Key::optional("zone", Shape::Name)
        .about("The zone of timestamps that have no offset, by its IANA name")
        .by_default("UTC"),
    Key::optional("on_error", Shape::WordOr(Choice::of(&["fail", "skip"]), SKIP))
        .about("What becomes of the job where a record is bad")
        .by_default("fail"),
    Key::optional("max_record", Shape::Size)
        .about("The longest record that isn't an error, at most 2G")
        .by_default("256M"),
];

/// The types that a field may be declared to have.
pub static TYPE: Shape = Shape::Choice(Choice::of(Type::NAMES));

const SKIP: &[Key] = &[
    Key::required("skip_up_to", Shape::Share).about("The share of all records that may be bad"),
    Key::optional("save_to", Shape::Name).about("A file that keeps the bad records as they were read"),
];

const OUTPUT: &[Key] = &[
    Key::optional("path", Shape::Name).about("A file, or a directory, which ends in /; by default standard output"),
    Key::optional("format", Shape::Choice(Choice::of(Format::NAMES)))
        .about("How rows are written: by default text where text is read, else tsv"),
    Key::optional("header", Shape::Flag).about("Whether names of the columns come first: by default of csv alone"),
    Key::optional("columns", Shape::List(&Shape::Name)).about("The columns to write, in this order; by default all"),
    Key::optional("part_size", Shape::Size).about("Of a directory: about how large a part file gets"),
    Key::later("partitions"),
];

/// The most threads, partitions and attempts accepted. A larger number is a mistake in typing.
const MOST_THREADS: u64 = 4096;
const MOST_PARTITIONS: u64 = 65_536;
const MOST_ATTEMPTS: u64 = 100;

const DEADLINE: &[Key] = &[
    Key::optional("timeout", Shape::Span).about("When the answer is to be out, from when the job is asked for"),
    Key::optional("on_timeout", Shape::Choice(Choice::of(OnTimeout::NAMES)))
        .about("What then: the job fails, or answers from what was read by then, exactly")
        .by_default("fail"),
];

const RUN: &[Key] = &[
    Key::optional("threads", Shape::Whole { least: 1, most: MOST_THREADS })
        .about("Worker threads, one a core by default; at most 256 are started, or one a core where there are more"),
    Key::optional("memory", Shape::Size)
        .about("A bound for tables and buffers: by default half of what the process may use"),
    Key::optional("split_size", Shape::Size)
        .about("Bytes of one map task: by default chosen by the size of the input, threads and memory"),
    Key::optional("partitions", Shape::Whole { least: 1, most: MOST_PARTITIONS })
        .about("Parts of the shuffle: by default chosen by the size of the input"),
    Key::optional("spill_dir", Shape::Name).about("Where runs are kept: by default in $TMPDIR, else in /var/tmp"),
    Key::later("spill_limit"),
    Key::optional("scheduler", Shape::Choice(Choice::of(Scheduler::NAMES)))
        .about(
            "How tasks get to workers: the idle take from others, each keeps to its share, or all take from one queue",
        )
        .by_default("stealing"),
    Key::optional("combiner", Shape::Choice(Choice::of(Combiner::NAMES)))
        .about("Whether records of one key are merged before the shuffle; auto does it while it pays")
        .by_default("auto"),
    Key::optional("attempts", Shape::Whole { least: 1, most: MOST_ATTEMPTS })
        .about("How often a task, or an input that can be read again, is tried before the job fails")
        .by_default("4"),
];
