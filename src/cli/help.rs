//! Texts that the help of several commands shares, and the headings that group flags by task.

pub const INPUT_AND_JOB: &str = "Input and job";
pub const OUTPUT: &str = "Output";
pub const SETTINGS: &str = "Settings that never change the result";
pub const WHAT_HAPPENED: &str = "What happened";

pub const LONG_ABOUT: &str = "\
MapReduce in one binary: group and count what is in files, on every core, in bounded memory

A job is a few lines of JSON, or the name of a built-in one. Its inputs are cut in splits and mapped on every core; what \
comes of that is combined, shuffled through files on disk, reduced, and put in order. The bytes of the result depend on \
the input and the job alone, never on threads or memory.

The result goes to standard output, or to where -o says, and nothing else does. Progress, summary and errors go to \
standard error. Nothing of a grouped result shows before all of it is there; records that only pass through show as \
they come.";

/// Examples for the help. Lines have at most 80 columns, because they aren't wrapped.
pub const EXAMPLES: &str = "\
Examples:
  mapfold run wordcount book.txt              most frequent words first
  mapfold run uniq -o out.txt logs/*.log      each line once, with its count
  mapfold jobs show wordcount > my.json       a job to start from
  mapfold run my.json -n 20 book.txt
  mapfold agg -g region 'sum(amount), count' sales.csv
  mapfold explain wordcount book.txt          the plan, and what it will take
  mapfold bench wordcount book.txt            what the combiner saves";

pub const EXIT_CODES: &str = "\
Exit codes:
  0         done; also when the reader of standard output has had enough
  1         the job failed
  2         the command line, the spec or an input was found wrong before
            anything was read
  3         done with a part of the input, as --on-timeout partial asks for
  130, 143  interrupted by Ctrl-C, by SIGTERM";

pub const ENVIRONMENT: &str = "\
Environment:
  TMPDIR           where runs are kept, unless --spill-dir says
  MAPFOLD_HISTORY  a history for all runs, where --history names none
  NO_COLOR         set: no colours; CLICOLOR_FORCE=1: colours even in a pipe";

const SIZES: &str = "\
Sizes:
  A SIZE is a number of bytes, alone or with a unit: K M G T, or KiB to TiB,
  are powers of 1024; KB MB GB TB are powers of 1000.";

/// Returns the end of the long help of a command that runs jobs.
pub fn after_long(examples: &str) -> String {
    [examples, SIZES, EXIT_CODES].join("\n\n")
}
