//! Texts that the help of several commands shares, and the headings that group flags by task.

pub const INPUT_AND_JOB: &str = "Input and job";
pub const OUTPUT: &str = "Output";
pub const SETTINGS: &str = "Settings that never change the result";
pub const WHAT_HAPPENED: &str = "What happened";

pub const LONG_ABOUT: &str = "\
MapReduce in one binary: group and count the records of files, on every core, in bounded memory

A job is a few lines of JSON (a spec), or the name of a built-in job. Its inputs are cut into splits, which map tasks read \
on every core. Their records are combined, shuffled through files on disk, reduced to groups, and sorted. The bytes of \
the result depend only on the input and the job, never on threads or memory.

Only the result goes to standard output, or to the path that -o gives. Progress, summary and errors go to standard \
error. A result with groups is written when all of it is complete; a job that neither groups nor sorts writes records \
while it runs.";

/// Examples for the help. Lines have at most 80 columns, because they aren't wrapped.
pub const EXAMPLES: &str = "\
Examples:
  mapfold run wordcount book.txt              most frequent words first
  mapfold run uniq -o out.txt logs/*.log      each line once, with its count
  mapfold jobs show wordcount > my.json       a job to start from
  mapfold run my.json -n 20 book.txt
  mapfold agg -g region 'sum(amount), count' sales.csv
  mapfold explain wordcount book.txt          the plan, and the time it will take
  mapfold bench wordcount book.txt            what the combiner saves";

pub const EXIT_CODES: &str = "\
Exit codes:
  0         success; also if the reader of standard output stops early
  1         the job failed
  2         the command line, the spec or an input was wrong, found before
            anything was read
  3         success with a part of the input, as --on-timeout partial allows
  130, 143  interrupted by Ctrl-C or by SIGTERM";

pub const ENVIRONMENT: &str = "\
Environment:
  TMPDIR           the directory of temporary files, without --spill-dir
  MAPFOLD_HISTORY  the history file of runs that have no --history
  NO_COLOR         set: no colours; CLICOLOR_FORCE=1: colours even in a pipe";

const SIZES: &str = "\
Sizes:
  A SIZE is a number of bytes, with or without a unit. K M G T and KiB MiB GiB
  TiB are powers of 1024; KB MB GB TB are powers of 1000.";

/// Returns the end of the long help of a command that runs jobs.
pub fn after_long(examples: &str) -> String {
    [examples, SIZES, EXIT_CODES].join("\n\n")
}
