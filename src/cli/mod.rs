//! The command line: turns what a user types into a checked plan or a message, carries the plan out, and returns an
//! exit code.
//!
//! ```text
//! 0         done; also when the reader of the output closed its pipe, without a message
//! 1         the job failed
//! 2         something was found wrong before anything was read
//! 3         done with a part of the input
//! 130, 143  interrupted
//! ```
//!
//! Standard output carries results and nothing else. Everything else goes to standard error. An error is one line that
//! says what is wrong. If the user can do something about it, a second line says what.

mod accounts;
mod agg;
mod allocator;
mod bench;
mod closed;
mod completions;
mod digest;
mod explain;
mod help;
mod history;
mod job;
mod jobs;
mod last_words;
mod line;
mod man;
mod names;
mod params;
mod progress;
mod rounds;
mod run;
mod schema;
mod settings;
mod side_files;
mod signals;
mod time_left;
mod trial;
mod usage;
mod verify;

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::data::temporary::Temporaries;
use crate::error::{Error, Result, STDOUT, one_line, reason, shown};
use crate::panics;
pub use allocator::Allocator;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// MapReduce in one binary: group and count the records of files, on every core, in bounded memory
#[derive(Parser)]
#[command(
    name = "mapfold",
    version,
    long_about = help::LONG_ABOUT,
    after_help = help::EXAMPLES,
    after_long_help = [help::EXAMPLES, help::EXIT_CODES, help::ENVIRONMENT].join("\n\n"),
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<run::Args>),
    Agg(Box<agg::Args>),
    Jobs(jobs::Args),
    Explain(Box<explain::Args>),
    Bench(Box<bench::Args>),
    Verify(Box<verify::Args>),
    History(history::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
}

pub fn main() -> ExitCode {
    panics::hush();
    allocator::share_addresses();
    allocator::give_back();
    allocator::end_for_want_of_stacks();
    let words: Vec<_> = env::args_os().collect();
    let (command, job) = params::with_flags(Cli::command(), &words);
    let cli = match parse(command, &words) {
        Ok(cli) => cli,
        Err(error) => {
            return match job {
                // The JOB couldn't be read, so the flags of its params aren't known.
                Err(wrong) if error.kind() == ErrorKind::UnknownArgument => fail(&wrong.into()),
                _ => usage::answer(error),
            };
        }
    };
    let result = panics::caught(|| "the command".into(), || Ok(run_command(cli.command)));
    match result.unwrap_or_else(|panic| Err(panic.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run_command(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => run::run(*args),
        Command::Agg(args) => agg::run(*args),
        Command::Jobs(args) => jobs::run(args),
        Command::Explain(args) => explain::run(*args),
        Command::Bench(args) => bench::run(*args),
        Command::Verify(args) => verify::run(*args),
        Command::History(args) => history::run(args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

fn parse(command: clap::Command, words: &[OsString]) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command.try_get_matches_from(words)?)
}

/// Prints what went wrong, and returns the exit code.
fn fail(error: &anyhow::Error) -> ExitCode {
    match typed(error) {
        // The process is to end now, so the message must not wait for a reader.
        Some(Error::Interrupted { .. } | Error::Deadline { .. } | Error::Overdue { .. }) => {
            last_words::say(&message(error));
        }
        Some(Error::ClosedPipe) => {}
        _ => to_stderr(&message(error)),
    }
    ExitCode::from(exit_code(error))
}

fn typed(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

fn exit_code(error: &anyhow::Error) -> u8 {
    typed(error).map_or(1, Error::exit_code)
}

/// Returns the message for an error: one line, and a second one if there is something to do about it.
fn message(error: &anyhow::Error) -> String {
    let cause = match typed(error) {
        None => return said(&format!("{error:#}"), None),
        Some(Error::Partial(what)) => return format!("{WARNING}partial result:{WARNING:#} {}\n", readable(what)),
        Some(cause) => cause,
    };
    // An `Error`'s own message includes its causes.
    let context = error.chain().take_while(|cause| !cause.is::<Error>()).map(|context| format!("{context}: "));
    said(&format!("{}{cause}", context.collect::<String>()), cause.hint().as_deref())
}

fn say(message: &str, hint: Option<&str>) {
    to_stderr(&said(message, hint));
}

fn said(message: &str, hint: Option<&str>) -> String {
    let mut text = format!("{ERROR}error:{ERROR:#} {}\n", readable(message));
    if let Some(hint) = hint {
        text.push_str(&format!("{HINT}hint:{HINT:#} {}\n", readable(hint)));
    }
    text
}

/// Returns `message` as one line of limited length. A message quotes what the user gave, which may be a whole file in
/// place of a name, or hold characters that control a terminal.
fn readable(message: &str) -> Cow<'_, str> {
    const LONGEST: usize = 2000;
    const END: usize = 200;
    let message = one_line(message);
    if message.len() <= LONGEST {
        return message;
    }
    let (start, end) = (message.floor_char_boundary(LONGEST - END), message.ceil_char_boundary(message.len() - END));
    format!("{} … {}", &message[..start], &message[end..]).into()
}

/// Writes `text` to standard error. Its styles show only on a terminal, unless NO_COLOR or TERM=dumb is set. An error
/// is ignored, because it couldn't be reported anywhere.
fn to_stderr(text: &str) {
    line::end();
    let _ = AutoStream::auto(io::stderr().lock()).write_all(text.as_bytes());
}

/// Warns of files that should have been removed and weren't. The command's result stays as it is.
fn warn_of_left(temporaries: &Temporaries) {
    let text = warnings(temporaries);
    if !text.is_empty() {
        to_stderr(&text);
    }
}

fn warnings(temporaries: &Temporaries) -> String {
    let left = temporaries.take_unremoved().into_iter();
    left.map(|(path, why)| warning(&format!("cannot remove {}: {}", shown(path), reason(&why)))).collect()
}

/// Warns of something that is not as it should be, but does no harm to the result.
fn warn(message: &str) {
    to_stderr(&warning(message));
}

/// Warns while a job runs, whose progress is drawn again below the warning.
fn warn_meanwhile(message: &str) {
    let text = warning(message);
    line::aside(|| drop(AutoStream::auto(io::stderr().lock()).write_all(text.as_bytes())));
}

fn warning(message: &str) -> String {
    format!("{WARNING}warning:{WARNING:#} {}\n", readable(message))
}

fn stdout_is_closed() -> Error {
    Error::usage_hint("standard output is closed", "redirect it, or name a file with -o")
}

fn to_stdout(text: &str) -> Result<()> {
    write_to_stdout(text, |stdout| stdout)
}

/// Writes `text` to standard output, with its styles if they show there.
fn to_stdout_styled(text: &str) -> Result<()> {
    write_to_stdout(text, AutoStream::auto)
}

fn write_to_stdout<W: Write>(text: &str, stream: impl FnOnce(io::StdoutLock<'static>) -> W) -> Result<()> {
    if closed::stdout() {
        return Err(stdout_is_closed());
    }
    let mut stdout = stream(io::stdout().lock());
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|source| match source.kind() {
        io::ErrorKind::BrokenPipe => Error::ClosedPipe,
        _ => Error::Output { path: STDOUT.into(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_message_has_an_end() {
        assert_eq!(readable("short"), "short");
        assert_eq!(readable("--x\u{202e}\x1b[1m"), "--x\\u{202e}\\u{1b}[1m");
        let long = readable(&format!("spec.json: no field {:?}", "é".repeat(1 << 20))).into_owned();
        assert!(long.len() < 2010 && long.starts_with("spec.json: no") && long.ends_with("é\""), "{long}");
    }

    #[test]
    fn help_fits_a_screen() {
        let screen = |text: String| {
            assert!(text.lines().count() <= 40, "{} lines:\n{text}", text.lines().count());
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(widest <= 80, "{widest} columns:\n{text}");
        };
        let mut command = Cli::command().term_width(80);
        screen(command.render_help().to_string());
        for command in command.get_subcommands_mut() {
            screen(command.render_help().to_string());
        }
    }
}
