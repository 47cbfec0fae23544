//! Every key that a spec may have, as a table.
//!
//! The checker, `--set` and the suggestions read it, so a key is named in one place besides its type in [`super::Spec`].
//! Keys and values that are promised but not built yet are in it too, as [`Shape::Later`] and `later`: a user who
//! writes one has made no spelling mistake and is told so.

/// What a value must look like.
pub enum Shape {
    /// Any string.
    Text,
    /// A string that isn't empty.
    Name,
    /// The `on` of a split: the name of a tokeniser, or a literal that isn't empty.
    Splitter,
    /// Bytes, as a number or as a string such as `512M`; at least 1.
    Size,
    Whole {
        least: u64,
        most: u64,
    },
    Flag,
    /// One of some words.
    Choice(Choice),
    List(&'static Shape),
    /// A list, or the only thing in it.
    OneOrMore(&'static Shape),
    Object(&'static [Key]),
    /// One of several objects, told apart by a key of their own.
    Variants(&'static [Variant]),
    /// Promised, not built.
    Later,
}

pub struct Choice {
    pub built: &'static [&'static str],
    pub later: &'static [&'static str],
}

pub struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
}

pub struct Variant {
    pub key: &'static str,
    /// All its keys, its own among them; empty for one that isn't built yet.
    pub keys: &'static [Key],
}

const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, required: false }
}

const fn required(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, required: true }
}

const fn later(name: &'static str) -> Key {
    Key { name, shape: Shape::Later, required: false }
}

const fn later_step(key: &'static str) -> Variant {
    Variant { key, keys: &[] }
}

pub static SPEC: Shape = Shape::Object(TOP);

const TOP: &[Key] = &[
    key("name", Shape::Text),
    key("description", Shape::Text),
    later("params"),
    key("input", Shape::OneOrMore(&Shape::Name)),
    key("read", Shape::Object(READ)),
    key("map", Shape::List(&Shape::Variants(STEPS))),
    later("where"),
    key("group_by", Shape::List(&Shape::Name)),
    key("aggregate", Shape::List(&Shape::Object(AGGREGATE))),
    later("having"),
    later("select"),
    key("sort", Shape::List(&Shape::Name)),
    key("limit", Shape::Whole { least: 0, most: u64::MAX }),
    later("limit_per_group"),
    key("output", Shape::Object(OUTPUT)),
    later("deadline"),
    key("run", Shape::Object(RUN)),
];

const READ: &[Key] = &[
    key("format", Shape::Choice(Choice { built: &["text"], later: &["csv", "tsv", "jsonl", "regex"] })),
    later("record_separator"),
    later("fields"),
    later("delimiter"),
    later("null"),
    later("pattern"),
    later("types"),
    later("on_error"),
    later("max_record"),
];

const STEPS: &[Variant] = &[
    Variant { key: "split", keys: SPLIT },
    later_step("ngrams"),
    later_step("lower"),
    later_step("upper"),
    later_step("trim"),
    later_step("extract"),
    later_step("derive"),
    later_step("bin"),
    later_step("time"),
    later_step("explode"),
    later_step("filter"),
];

const SPLIT: &[Key] = &[required("split", Shape::Name), required("on", Shape::Splitter), required("as", Shape::Name)];

/// The names that `on` has besides literals.
pub const SPLITTERS: Choice = Choice { built: &["words", "whitespace", "letters"], later: &["chars"] };

const AGGREGATE: &[Key] = &[
    required("op", Shape::Choice(OPS)),
    key("as", Shape::Name),
    later("field"),
    later("by"),
    later("q"),
    later("method"),
    later("distinct"),
    later("where"),
];

const OPS: Choice = Choice {
    built: &["count"],
    later: &[
        "sum",
        "min",
        "max",
        "mean",
        "variance",
        "stddev",
        "distinct",
        "approx_distinct",
        "median",
        "quantile",
        "approx_quantile",
        "first",
        "last",
        "list",
        "argmin",
        "argmax",
    ],
};

const OUTPUT: &[Key] = &[
    key("path", Shape::Name),
    key("format", Shape::Choice(Choice { built: &["text", "tsv", "csv", "jsonl"], later: &[] })),
    key("header", Shape::Flag),
    key("columns", Shape::List(&Shape::Name)),
    key("part_size", Shape::Size),
    later("partitions"),
];

/// More threads or partitions than these are a slip of the finger.
const MOST_THREADS: u64 = 4096;
const MOST_PARTITIONS: u64 = 65_536;

const RUN: &[Key] = &[
    key("threads", Shape::Whole { least: 1, most: MOST_THREADS }),
    key("memory", Shape::Size),
    key("split_size", Shape::Size),
    key("partitions", Shape::Whole { least: 1, most: MOST_PARTITIONS }),
    key("spill_dir", Shape::Name),
    later("spill_limit"),
    key("scheduler", Shape::Choice(Choice { built: &["stealing", "static", "shared"], later: &[] })),
    key("combiner", Shape::Choice(Choice { built: &["auto", "on", "off"], later: &[] })),
    later("attempts"),
];
