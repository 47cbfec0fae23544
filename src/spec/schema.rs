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
    /// A string or a number: what a field is compared with.
    Literal,
    /// A regular expression.
    Pattern,
    /// The number of a group of a regular expression, or its name.
    Group,
    /// Anything: what a param stands for is held to the place where it stands.
    Any,
    Object(&'static [Key]),
    /// An object whose keys the user chooses.
    Map(&'static Shape),
    Variants(&'static Variants),
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

/// One of several objects, told apart by a key of their own.
pub struct Variants {
    /// What one of them is, with its article.
    pub what: &'static str,
    pub example: &'static str,
    pub all: &'static [Variant],
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

const fn test(key: &'static str, keys: &'static [Key]) -> Variant {
    Variant { key, keys }
}

pub static SPEC: Shape = Shape::Object(TOP);

const TOP: &[Key] = &[
    key("name", Shape::Text),
    key("description", Shape::Text),
    key("params", Shape::Map(&Shape::Object(PARAM))),
    key("input", Shape::OneOrMore(&Shape::Name)),
    key("read", Shape::Object(READ)),
    key("map", Shape::List(&STEP)),
    key("where", Shape::Variants(&PREDICATES)),
    key("group_by", Shape::List(&Shape::Name)),
    key("aggregate", Shape::List(&Shape::Object(AGGREGATE))),
    key("having", Shape::Variants(&PREDICATES)),
    key("select", Shape::List(&Shape::Name)),
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
    key("max_record", Shape::Size),
];

const PARAM: &[Key] = &[key("default", Shape::Any), key("description", Shape::Text)];

static STEP: Shape = Shape::Variants(&STEPS);
static PREDICATE: Shape = Shape::Variants(&PREDICATES);

static STEPS: Variants = Variants {
    what: "a step",
    example: r#"{"split": "line", "on": "words", "as": "word"}"#,
    all: &[
        Variant { key: "split", keys: SPLIT },
        Variant { key: "ngrams", keys: NGRAMS },
        later_step("lower"),
        later_step("upper"),
        later_step("trim"),
        Variant { key: "extract", keys: EXTRACT },
        later_step("derive"),
        later_step("bin"),
        later_step("time"),
        later_step("explode"),
        Variant { key: "filter", keys: &[required("filter", Shape::Variants(&PREDICATES))] },
    ],
};

const SPLIT: &[Key] = &[required("split", Shape::Name), required("on", Shape::Splitter), required("as", Shape::Name)];

const NGRAMS: &[Key] = &[
    required("ngrams", Shape::Name),
    required("of", Shape::Splitter),
    required("n", Shape::Whole { least: 1, most: MOST_WORDS }),
    required("as", Shape::Name),
];

const EXTRACT: &[Key] = &[
    required("extract", Shape::Name),
    required("pattern", Shape::Pattern),
    required("as", Shape::Name),
    key("group", Shape::Group),
    key("all", Shape::Flag),
];

/// Words of a longer n-gram than this hardly ever occur twice.
const MOST_WORDS: u64 = 1000;

/// The names that `on` has besides literals.
pub const SPLITTERS: Choice = Choice { built: &["words", "whitespace", "letters", "chars"], later: &[] };

static PREDICATES: Variants = Variants {
    what: "a predicate",
    example: r#"{"field": "line", "matches": "error|warning"}"#,
    all: &[
        test("equal", &[required("field", Shape::Name), required("equal", Shape::Literal)]),
        test("lt", &[required("field", Shape::Name), required("lt", Shape::Literal)]),
        test("lte", &[required("field", Shape::Name), required("lte", Shape::Literal)]),
        test("gt", &[required("field", Shape::Name), required("gt", Shape::Literal)]),
        test("gte", &[required("field", Shape::Name), required("gte", Shape::Literal)]),
        test("in", &[required("field", Shape::Name), required("in", Shape::List(&Shape::Literal))]),
        test("matches", &[required("field", Shape::Name), required("matches", Shape::Pattern)]),
        test("valid", &[required("field", Shape::Name), required("valid", Shape::Flag)]),
        test("and", &[required("and", Shape::List(&PREDICATE))]),
        test("or", &[required("or", Shape::List(&PREDICATE))]),
        test("not", &[required("not", Shape::Variants(&PREDICATES))]),
    ],
};

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
