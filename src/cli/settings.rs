//! The flags that stand for a field of the spec, in one table with one row per flag. The flags that are given override
//! those fields.

use clap::error::Error as ClapError;
use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use super::{help, names};
use crate::error::Result;
use crate::map::Combiner;
use crate::output::Format;
use crate::shuffle::PageCompression;
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

/// What kind of value a flag takes.
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
    Setting {
        takes: Takes::One(Format::NAMES),
        ..setting("format", "output.format", "F", "Row format: text, tsv, csv or jsonl")
    },
    Setting { short: Some('n'), ..setting("limit", "limit", "N", "Write only the first N rows") },
    Setting { takes: Takes::Names, ..setting("sort", "sort", "KEYS", "Columns to sort by; - in front: descending") },
    Setting {
        takes: Takes::One(Combiner::NAMES),
        ..setting("combiner", "run.combiner", "WHEN", "Merge records before the shuffle: auto, on or off")
    },
    setting("timeout", "deadline.timeout", "TIME", "Deadline for the answer, such as 500ms or 2s"),
    Setting {
        takes: Takes::One(OnTimeout::NAMES),
        ..setting("on-timeout", "deadline.on_timeout", "WHAT", "At the deadline: fail, or partial: answer anyway")
    },
    setting("threads", "run.threads", "N", "Worker threads  [default: one per core]"),
    setting("memory", "run.memory", "SIZE", "Bound for tables and buffers  [default: half of RAM]"),
    setting("split-size", "run.split_size", "SIZE", "Input bytes of one map task"),
    setting("partitions", "run.partitions", "N", "Parts of the shuffle, for reduce tasks"),
    Setting {
        takes: Takes::One(Scheduler::NAMES),
        ..setting("scheduler", "run.scheduler", "HOW", "How workers get tasks: stealing, static or shared")
    },
    setting("spill-limit", "run.spill_limit", "SIZE", "Bound for the temporary files of all tasks"),
    Setting {
        takes: Takes::One(PageCompression::NAMES),
        ..setting("compress", "run.compress", "HOW", "Compress temporary files: auto, none, lz4 or zstd")
    },
    setting("attempts", "run.attempts", "N", "How often a task is tried  [default: 4]"),
];

/// The flags that only the long help has.
const SELDOM: &[&str] = &["on-timeout", "split-size", "partitions", "scheduler", "spill-limit", "compress", "attempts"];

/// What the long help adds to the help of a flag.
const LONGER: &[(&str, &str)] = &[
    (
        "format",
        "text separates columns by tabs and writes bytes unchanged. tsv escapes tabs and newlines. csv quotes cells where \
         needed and has a header row. jsonl writes one JSON object per line. Default: text for jobs that read text, \
         otherwise tsv.",
    ),
    (
        "limit",
        "The first rows in the order of --sort or of the job's own sort, or else in the order of the groups or of the input.",
    ),
    (
        "sort",
        "Separate columns by commas: --sort=-count,word. A name with a comma in it must be in double quotes, unless the \
         comma is in parentheses. Equal rows are sorted by the other columns; equal records stay in the order of the input.",
    ),
    (
        "combiner",
        "The combiner merges records with the same key in a map task before they are written to temporary files: there is \
         less to shuffle, but map tasks have more work. auto, the default, combines while that saves work.",
    ),
    (
        "memory",
        "Bounds the tables, arenas and buffers of tasks; data that doesn't fit goes to files in --spill-dir. The default \
         is half of the memory that this process may use: the machine's memory or the limit of its cgroup, whichever is \
         less.",
    ),
    (
        "threads",
        "At most 256 threads are started, or one per core if there are more than 256 cores, since idle threads only cost \
         time. The report says how many there were.",
    ),
    (
        "timeout",
        "The time is counted from the start of the command until the answer is out. Reading stops early enough that the \
         records read so far can be reduced and written in time; mapfold estimates this from the run so far.",
    ),
    (
        "on-timeout",
        "fail, the default: the job fails. partial: the job answers exactly from what it has read so far. Standard error \
         and the report then say what is missing, the exit code is 3, and an output directory gets no _SUCCESS. This also \
         applies to inputs that have a timeout of their own.",
    ),
    ("split-size", "Default: chosen by the size of the input, threads and memory."),
    (
        "partitions",
        "Every run (the temporary file of a map task) is divided into this many parts by the hash of the key. A reduce task \
         reads the same few parts of every run. Default: chosen by the size of the input.",
    ),
    (
        "scheduler",
        "stealing, the default: every worker gets a share of the tasks, and idle workers take tasks from others. static: \
         every worker runs only its share. shared: all workers take tasks from one queue.",
    ),
    (
        "spill-limit",
        "The most bytes that all runs (the temporary files of map and reduce tasks) together may take on disk at a time. If \
         they would take more, the job fails. The space of what is reduced is given back before the job ends. Default: no \
         limit.",
    ),
    (
        "compress",
        "Runs are compressed page by page. auto, the default: compresses them where that saves time, which is where the disk \
         is slow; each worker measures this while it writes. zstd makes them smallest. The summary and the report count \
         bytes of runs as they are on disk, and shuffled bytes as they are uncompressed.",
    ),
    (
        "attempts",
        "A task is tried again if reading or writing fails in it, or if its temporary file is found damaged. Another worker \
         tries it if one is free. An input that can be read again, such as a compressed file or a command with \"retry\": \
         true, is read again in the same way. If all attempts fail the job fails, and says why each of them did.",
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
