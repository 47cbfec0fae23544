//! `mapfold run`: runs a job over its inputs, from the words of a command line to a committed result.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anstyle::Style;
use anyhow::Context;
use clap::ArgAction;

use super::accounts::Accounts;
use super::job::{AskedJob, JobArgs};
use super::progress::{self, When};
use super::{closed, help, history, line, signals, stdout_is_closed, to_stderr, warn_meanwhile, warn_of_left};
use crate::engine;
use crate::error::{Error, shown};
use crate::input::sources::Stdin;
use crate::output::TerminalGuard;
use crate::plan::{self, Invocation, Target};
use crate::report::{Status, summary};
use crate::run::Control;

const EXAMPLES: &str = "\
Examples:
  mapfold run wordcount -n 20 --format csv -o top.csv books/
  mapfold run grep --pattern '(?i)rabbit' book.txt
  cat access.log | mapfold run my.json --set map.0.on=whitespace -";

/// Run a job over files and write its result
#[derive(clap::Args)]
#[command(
    after_help = format!("{EXAMPLES}\nA SIZE is a number of bytes, such as 65536, 512M, 1GiB or 64KB."),
    after_long_help = help::after_long(EXAMPLES),
    disable_help_flag = true
)]
pub struct Args {
    #[command(flatten)]
    job: JobArgs,

    #[command(flatten)]
    result: ResultArgs,
}

/// Where the result goes, and what is said about it.
#[derive(clap::Args)]
pub struct ResultArgs {
    /// A file, a directory/, or - for stdout  [default: -]
    ///
    /// The path - is standard output, even if the spec has an output.path; a file with the name - is ./-. A directory, whose
    /// name ends with /, is made if it doesn't exist, and gets part files, _SUCCESS and _REPORT.json. An output that exists
    /// is replaced only with --force. A path that isn't a regular file, such as /dev/null or a FIFO, is written to directly.
    /// A file or a directory appears complete or not at all. Files called x.gz and x.zst are compressed; the parts of a
    /// directory are not.
    #[arg(short, long, value_name = "PATH", help_heading = help::OUTPUT, display_order = 0)]
    pub output: Option<OsString>,

    /// Replace an output that exists
    #[arg(long, help_heading = help::OUTPUT, display_order = 101)]
    force: bool,

    /// Write a report of the run as JSON; repeatable
    ///
    /// The report has times, counters, settings and tasks. An output directory always has a report, as _REPORT.json.
    #[arg(long, value_name = "PATH", help_heading = help::WHAT_HAPPENED)]
    pub report: Vec<PathBuf>,

    /// Write a trace of the run for Perfetto
    ///
    /// The trace is a JSON file of Chrome trace events, which ui.perfetto.dev and chrome://tracing open: the phases, what each
    /// worker did at what time, each attempt at a task, and how each pipe or command was read.
    #[arg(long, value_name = "PATH", hide_short_help = true, help_heading = help::WHAT_HAPPENED)]
    pub trace: Option<PathBuf>,

    /// Append to this file how long each input took
    ///
    /// A line of JSON is appended for each input, even if the run fails: bytes, seconds, and whether the input timed out.
    /// mapfold history sums the file up. The environment variable MAPFOLD_HISTORY names a file for all runs.
    #[arg(long, value_name = "PATH", hide_short_help = true, help_heading = help::WHAT_HAPPENED)]
    pub history: Option<PathBuf>,

    /// Show progress: auto (on a terminal), always, never
    ///
    /// Progress on standard error is how much of the whole run is done, and the time left. While a pipe is read these can't be
    /// known; then progress is how much was read, and which inputs the run waits for. If standard error is not a terminal,
    /// always writes lines.
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = help::WHAT_HAPPENED
    )]
    progress: When,

    /// Show neither summary nor progress
    #[arg(short, long, conflicts_with = "verbose", help_heading = help::WHAT_HAPPENED)]
    quiet: bool,

    /// Print a full summary on stderr
    ///
    /// Without this flag the summary is one line, and only on a terminal.
    #[arg(short, long, help_heading = help::WHAT_HAPPENED)]
    verbose: bool,

    /// Print a short help; --help prints a long one
    #[arg(short, long, action = ArgAction::Help, help_heading = help::WHAT_HAPPENED)]
    help: Option<bool>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    execute(args.job.load()?, args.job.changes.unordered, &args.result)
}

/// Runs a job and writes its result, with the rows in any order if `unordered`.
pub fn execute(mut job: AskedJob, unordered: bool, args: &ResultArgs) -> anyhow::Result<()> {
    let output = job.output(args.output.as_ref());
    let stdin = Stdin { is_terminal: io::stdin().is_terminal(), is_closed: closed::stdin(), held_spec: job.from_stdin };
    let mut control = Control::new(TerminalGuard(|write| line::aside(write)));
    control.warn = warn_meanwhile;
    let armed = signals::watch(&control.signal).context("cannot watch for signals")?;
    job.limit(&control);
    let signal = control.signal.clone();
    let call = Invocation {
        origin: job.origin.clone(),
        unordered,
        output,
        force: args.force,
        stdin,
        signal,
        begun: Some(control.begun),
        latencies: history::latencies(args.history.as_deref()),
    };
    let plan = signals::watched(&control, &armed, signals::PLANNING, || plan::resolve(&job.spec, &call))?;
    if plan.output.target == Target::Stdout && closed::stdout() {
        return Err(stdout_is_closed().into());
    }
    let accounts = Accounts::prepare(args, job.file.as_deref(), &plan)?;

    let outcome = signals::watched(&control, &armed, signals::RUNNING, || {
        progress::show(args.progress, args.quiet, &plan.sources, &control.progress, || engine::run(&plan, &control))
    });

    warn_of_left(&control.temporaries);
    let title = shown(job.spec.name.unwrap_or(job.origin));
    match outcome {
        Ok(report) => {
            if args.verbose {
                to_stderr(&styled(&summary::render(&report, &title)));
            } else if io::stderr().is_terminal() && !args.quiet {
                to_stderr(&format!("{}\n", titled(&summary::line(&report, &title), &title)));
            }
            accounts.write(&report, None)?;
            match report.status {
                Status::Partial => Err(Error::Partial(summary::partial(&report)).into()),
                Status::Succeeded | Status::Failed => Ok(()),
            }
        }
        Err(failed) => {
            if args.verbose {
                to_stderr(&styled(&summary::render(&failed.report, &title)));
            }
            // Why the job failed matters more than an error in writing its report.
            let _ = accounts.write(&failed.report, Some(&failed.error));
            Err(failed.error.into())
        }
    }
}

const TITLE: Style = Style::new().bold();

/// Formats a line that begins with its title, with the title bold.
fn titled(line: &str, title: &str) -> String {
    format!("{TITLE}{title}{TITLE:#}{}", line.strip_prefix(title).unwrap_or(line))
}

/// Formats the summary, with its title bold and its labels dim.
fn styled(summary: &str) -> String {
    const LABEL: Style = Style::new().dimmed();
    let line = |line: &str| match line.strip_prefix("  ").and_then(|rest| rest.split_once("  ")) {
        Some((label, text)) => format!("  {LABEL}{label}{LABEL:#}  {text}\n"),
        None => format!("{TITLE}{line}{TITLE:#}\n"),
    };
    summary.lines().map(line).collect()
}
