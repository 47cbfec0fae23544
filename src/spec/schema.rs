//! Every key that a spec may have, as a table.
//!
//! The checker, `--set` and the suggestions read it, so a key is named in one place besides its type in [`super::Spec`].

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
    Key::optional("name", Shape::Text),
    Key::optional("description", Shape::Text),
    Key::optional("params", params::SHAPE),
    Key::optional("input", Shape::OneOrMore(&input::written::SHAPE)),
    Key::optional("read", Shape::Object(READ)),
    Key::optional("map", Shape::List(&steps::SHAPE)),
    Key::optional("where", Shape::Variants(&PREDICATES)),
    Key::optional("group_by", Shape::List(&Shape::Name)),
    Key::optional("aggregate", Shape::List(&aggregate::SHAPE)),
    Key::optional("having", Shape::Variants(&PREDICATES)),
    Key::optional("select", Shape::List(&Shape::Name)),
    Key::optional("sort", Shape::List(&Shape::Name)),
    Key::optional("limit", Shape::Whole { least: 0, most: u64::MAX }),
    Key::later("limit_per_group"),
    Key::optional("output", Shape::Object(OUTPUT)),
    Key::optional("deadline", Shape::Object(DEADLINE)),
    Key::optional("run", Shape::Object(RUN)),
];

const READ: &[Key] = &[
    Key::optional("format", Shape::Choice(Choice::of(ReadFormat::NAMES))),
    Key::optional("record_separator", Shape::Separator),
    Key::optional("fields", Shape::List(&Shape::Name)),
    Key::optional("header", Shape::Flag),
    Key::optional("delimiter", Shape::Delimiter),
    Key::optional("null", Shape::List(&Shape::Text)),
    Key::optional("pattern", Shape::Pattern),
    Key::optional("preset", Shape::Choice(Choice::of(Preset::NAMES))),
    Key::optional("types", Shape::Map(&TYPE)),
    Key::optional("zone", Shape::Name),
    Key::optional("on_error", Shape::WordOr(Choice::of(&["fail", "skip"]), SKIP)),
    Key::optional("max_record", Shape::Size),
];

/// What a field may be declared to be.
pub static TYPE: Shape = Shape::Choice(Choice::of(Type::NAMES));

const SKIP: &[Key] = &[Key::required("skip_up_to", Shape::Share), Key::optional("save_to", Shape::Name)];

const OUTPUT: &[Key] = &[
    Key::optional("path", Shape::Name),
    Key::optional("format", Shape::Choice(Choice::of(Format::NAMES))),
    Key::optional("header", Shape::Flag),
    Key::optional("columns", Shape::List(&Shape::Name)),
    Key::optional("part_size", Shape::Size),
    Key::later("partitions"),
];

/// More threads or partitions than these are a slip of the finger.
const MOST_THREADS: u64 = 4096;
const MOST_PARTITIONS: u64 = 65_536;
const MOST_ATTEMPTS: u64 = 100;

const DEADLINE: &[Key] =
    &[Key::optional("timeout", Shape::Span), Key::optional("on_timeout", Shape::Choice(Choice::of(OnTimeout::NAMES)))];

const RUN: &[Key] = &[
    Key::optional("threads", Shape::Whole { least: 1, most: MOST_THREADS }),
    Key::optional("memory", Shape::Size),
    Key::optional("split_size", Shape::Size),
    Key::optional("partitions", Shape::Whole { least: 1, most: MOST_PARTITIONS }),
    Key::optional("spill_dir", Shape::Name),
    Key::later("spill_limit"),
    Key::optional("scheduler", Shape::Choice(Choice::of(Scheduler::NAMES))),
    Key::optional("combiner", Shape::Choice(Choice::of(Combiner::NAMES))),
    Key::optional("attempts", Shape::Whole { least: 1, most: MOST_ATTEMPTS }),
];
