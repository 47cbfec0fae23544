//! The flags that stand for a field of the spec, in one table with one row per flag. The flags that are given override
//! those fields.

use clap::error::Error as ClapError;
use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use super::{help, names};
use crate::error::Result;
use crate::map::Combiner;
use crate::output::Format;
use crate::spec::{Document, OnTimeout, Scheduler};

/// A flag that takes one value, which is the value of a field of the spec.
#[derive(Debug)]
pub struct Setting {
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// The dotted path of the field.
    pub path: &'static str,
    pub value: &'static str,
    pub help: &'static str,
    pub short: Option<char>,
    pub takes: Takes,
}

#[derive(Debug, PartialEq)]
pub enum Takes {
    /// Any value that the schema allows.
    Value,
    /// One of these words.
    One(&'static [&'static str]),
    /// A list of names, with commas between them.
    Names,
}

const fn setting(flag: &'static str, path: &'static str, value: &'static str, help: &'static str) -> Setting {
    Setting { flag, path, value, help, short: None, takes: Takes::Value }
}

/// Returns the setting whose flag has that name.
pub fn find(flag: &str) -> Option<&'static Setting> {
    ALL.iter().find(|setting| setting.flag == flag)
}

/// All settings, in the order of the help. Those that are fields of `run` never change what a job prints.
pub const ALL: &[Setting] = &[
    Setting { takes: Takes::One(Format::NAMES), ..setting("format", "output.format", "F", "text, tsv, csv or jsonl") },
    Setting { short: Some('n'), ..setting("limit", "limit", "N", "The first so many rows") },
    Setting { takes: Takes::Names, ..setting("sort", "sort", "KEYS", "Columns to sort by, - before descending ones") },
    Setting {
        takes: Takes::One(Combiner::NAMES),
        ..setting("combiner", "run.combiner", "WHEN", "Combine before the shuffle: auto, on or off")
    },
    setting("timeout", "deadline.timeout", "TIME", "When the answer is to be out: 500ms, 2s"),
    Setting {
        takes: Takes::One(OnTimeout::NAMES),
        ..setting("on-timeout", "deadline.on_timeout", "WHAT", "Then: fail, or partial: what was read")
    },
    setting("threads", "run.threads", "N", "Worker threads  [default: one a core]"),
    setting("memory", "run.memory", "SIZE", "Tables and buffers  [default: half of what's allowed]"),
    setting("split-size", "run.split_size", "SIZE", "Input of one map task"),
    setting("partitions", "run.partitions", "N", "Parts of the shuffle"),
    Setting {
        takes: Takes::One(Scheduler::NAMES),
        ..setting("scheduler", "run.scheduler", "HOW", "Tasks to workers: stealing, static or shared")
    },
    setting("attempts", "run.attempts", "N", "Tries at a task that fails  [default: 4]"),
];

/// The flags that only the long help has.
const SELDOM: &[&str] = &["on-timeout", "split-size", "partitions", "scheduler", "attempts"];

/// What the long help adds to the help of a flag.
const LONGER: &[(&str, &str)] = &[
    (
        "format",
        "text joins columns by tabs and writes bytes as they are; tsv escapes tabs and newlines; csv quotes and has a \
         header; jsonl is an object a line. Default: text for jobs that read text, else tsv.",
    ),
    ("limit", "Without --sort, and without the job's own sort, the first in the order that there is anyway."),
    (
        "sort",
        "With commas between them: --sort=-count,word. A name with a comma in it is in double quotes, unless the comma is \
         in parentheses. Ties break by the other columns, of records by input order.",
    ),
    (
        "combiner",
        "Combining merges what has the same key before it is written to a run: less to shuffle, more work in the map. \
         auto, the default, does it while it pays.",
    ),
    (
        "memory",
        "A bound for tables, arenas and buffers; what doesn't fit goes to files in --spill-dir. What this process may \
         use is the least of the machine's memory and the limits of its cgroup.",
    ),
    (
        "threads",
        "No more than 256 are started, or one a core where there are more cores: idle ones only cost time. The report says \
         how many there were.",
    ),
    (
        "timeout",
        "From when the job is asked for until its answer is out. Reading ends early enough that what was read by then can be \
         reduced and written, which is foreseen from what this run took so far.",
    ),
    (
        "on-timeout",
        "fail, the default: the job fails. partial: it answers from what was read by then, exactly; what is missing is said \
         on standard error and in the report, with exit code 3, and a directory gets no _SUCCESS. It holds for sources that \
         have a timeout of their own, too.",
    ),
    ("split-size", "Default: chosen by the size of the input, threads and memory."),
    (
        "partitions",
        "Every run is cut in so many parts by the hash of the key; a reduce task takes the same few parts of every run. \
         Default: chosen by the size of the input.",
    ),
    (
        "scheduler",
        "stealing, the default: every worker gets its share, and who is idle takes from others. static: each keeps to its \
         share. shared: all take from one queue.",
    ),
    (
        "attempts",
        "A task whose reading or writing fails, or whose run is found damaged, is tried again, by another worker if one is \
         free; and so is an input that can be read again, as a packed file or a command with \"retry\": true. When each of so many \
         attempts has failed the job fails, and says why each did.",
    ),
];

/// The settings that were given, with their values.
#[derive(Debug, Default)]
pub struct Settings {
    given: Vec<(&'static Setting, String)>,
}

impl Settings {
    /// Overrides the fields that the flags stand for.
    pub fn apply(&self, document: &mut Document) -> Result<()> {
        self.given
            .iter()
            .try_for_each(|(setting, value)| setting.apply(&format!("--{}", setting.flag), value, document))
    }

    pub fn has(&self, setting: &Setting) -> bool {
        self.given.iter().any(|(given, _)| given.flag == setting.flag)
    }
}

impl Setting {
    /// Overrides the field. `flag` is the flag that messages blame.
    pub fn apply(&self, flag: &str, value: &str, document: &mut Document) -> Result<()> {
        match self.takes {
            Takes::Names => {
                let names: Vec<_> = names::list(flag, value)?.into_iter().map(|name| name.text).collect();
                document.set_flag(flag, self.path, &Value::from(names).to_string())
            }
            Takes::Value | Takes::One(_) => document.set_flag(flag, self.path, value),
        }
    }

    /// Whether the setting never changes what a job prints.
    pub fn is_free(&self) -> bool {
        self.path.starts_with("run.")
    }

    /// Returns all values of the setting. Empty if the schema says what it takes.
    pub fn choices(&self) -> &'static [&'static str] {
        match self.takes {
            Takes::One(choices) => choices,
            Takes::Value | Takes::Names => &[],
        }
    }

    fn arg(&self) -> Arg {
        let heading = if self.path.starts_with("run.") { help::SETTINGS } else { help::OUTPUT };
        let arg = Arg::new(self.flag).long(self.flag).value_name(self.value).help(self.help).help_heading(heading);
        let arg = match LONGER.iter().find(|(flag, _)| *flag == self.flag) {
            Some((_, longer)) => arg.long_help(format!("{}\n\n{longer}", self.help)),
            None => arg,
        };
        let arg = self.short.into_iter().fold(arg, Arg::short).hide_short_help(SELDOM.contains(&self.flag));
        match self.takes {
            // Negative numbers get through, so that the schema says what is wrong with the value.
            Takes::Value => arg.allow_negative_numbers(true),
            Takes::One(choices) => arg.value_parser(choices.to_vec()).hide_possible_values(true),
            // The list may begin with the `-` of a descending name.
            Takes::Names => arg.allow_hyphen_values(true),
        }
    }
}

impl clap::Args for Settings {
    fn augment_args(command: Command) -> Command {
        command.args(ALL.iter().enumerate().map(|(i, setting)| setting.arg().display_order(10 + i)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ClapError> {
        let mut settings = Settings::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ClapError> {
        self.given = ALL
            .iter()
            .filter_map(|setting| Some((setting, matches.get_one::<String>(setting.flag)?.clone())))
            .collect();
        Ok(())
    }
}
