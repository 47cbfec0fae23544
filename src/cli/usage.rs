//! What clap finds wrong, said as everything else is said: `error: …`, `hint: …`, exit code 2.

use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Cli, fail, say, to_stderr, to_stdout_styled};
use crate::error::nearest;
use crate::spec::builtin;

/// Prints help and versions where they were asked for, else an error.
pub fn answer(error: clap::Error) -> ExitCode {
    let rendered = || error.render().ansi().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match to_stdout_styled(&rendered()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.into()),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            to_stderr(&rendered());
            ExitCode::from(2)
        }
        _ => {
            let (message, hint) = explain(&error);
            say(&message, Some(&hint));
            ExitCode::from(2)
        }
    }
}

fn explain(error: &clap::Error) -> (String, String) {
    let context = |kind| error.get(kind).and_then(text).unwrap_or_default();
    let flag = context(ContextKind::InvalidArg);
    let flag_name = flag.split([' ', '=']).next().unwrap_or_default();
    let value = context(ContextKind::InvalidValue);
    let see_help = || "mapfold --help, mapfold run --help".to_owned();
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let right = error.get(ContextKind::SuggestedArg).and_then(text).unwrap_or_default();
            let right = right.split([' ', '=']).next().unwrap_or_default();
            // What clap finds similar is often far off.
            let near = nearest(&flag, [right]).filter(|right| !right.is_empty());
            let hint = match (field(&flag), near) {
                _ if let Some(job) = with_param(&flag) => {
                    format!("a param of {job}, and comes after it: mapfold run {job} {flag} VALUE")
                }
                (Some(how), _) => format!("a field of the spec: {how}"),
                (None, Some(right)) => format!("did you mean {right}?"),
                (None, None) if flag.starts_with('-') => {
                    let is_number = flag[1..].starts_with(|c: char| c.is_ascii_digit());
                    let help = match command(error) {
                        Some("run" | "agg") if is_number => "-n takes a whole number from 0".to_owned(),
                        command => format!("mapfold {} --help lists the flags", command.unwrap_or("run")),
                    };
                    format!("{help}; a file of that name is ./{flag}")
                }
                (None, None) => see_help(),
            };
            let what = if flag.starts_with('-') { "flag" } else { "argument" };
            (format!("unknown {what} {flag:?}"), hint)
        }
        ErrorKind::InvalidSubcommand => {
            let name = context(ContextKind::InvalidSubcommand);
            let hint = match nearest_command(&name) {
                _ if builtin::find(&name).is_ok() && usage(error).starts_with("mapfold jobs") => {
                    format!("did you mean mapfold jobs show {name}?")
                }
                _ if builtin::find(&name).is_ok() => format!("did you mean mapfold run {name}?"),
                Some(right) => format!("did you mean mapfold {right}?"),
                None => see_help(),
            };
            (format!("unknown command {name:?}"), hint)
        }
        ErrorKind::MissingRequiredArgument if flag.contains("JOB") => {
            ("no JOB".into(), "mapfold run wordcount book.txt; mapfold jobs lists the built-in jobs".into())
        }
        ErrorKind::MissingRequiredArgument if flag.contains("AGGS") => {
            ("no AGGS".into(), "mapfold agg -g region 'sum(amount), count' sales.csv".into())
        }
        ErrorKind::MissingRequiredArgument => {
            let hint = match usage(error).as_str() {
                "" => see_help(),
                usage => format!("usage: {usage}"),
            };
            (format!("missing {flag}"), hint)
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            (format!("{flag_name}: a value is missing"), format!("usage: {flag}"))
        }
        ErrorKind::InvalidValue => {
            let valid = context(ContextKind::ValidValue);
            let hint = match nearest(&value, valid.split(", ")) {
                Some(right) => format!("did you mean {right:?}?"),
                None => format!("usage: {flag}"),
            };
            (format!("{flag_name}: must be one of {valid}, is {value:?}"), hint)
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg);
            let other = other.split([' ', '=']).next().unwrap_or_default();
            if other == flag_name || other.is_empty() {
                (format!("{flag_name} is given twice"), "give it once".into())
            } else {
                (format!("{flag_name} and {other} exclude each other"), "give one of them".into())
            }
        }
        ErrorKind::InvalidUtf8 => ("an argument is not UTF-8".into(), "only names of files need not be".into()),
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            (first.strip_prefix("error: ").unwrap_or(first).to_owned(), see_help())
        }
    }
}

fn usage(error: &clap::Error) -> String {
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    usage.trim().strip_prefix("Usage:").unwrap_or_default().trim().to_owned()
}

/// The command that the words are about.
fn command(error: &clap::Error) -> Option<&'static str> {
    let usage = usage(error);
    ["run", "agg", "bench", "verify", "history"].into_iter().find(|name| usage.split(' ').nth(1) == Some(name))
}

/// How to give what has no flag, but is a field of the spec that people expect one for.
fn field(flag: &str) -> Option<&'static str> {
    match flag {
        "--select" | "--columns" => Some(r#"--set 'output.columns=["word"]'"#),
        "--where" => Some(r#"--set 'where={"field": "line", "matches": "error"}'"#),
        "--having" => Some(r#"--set 'having={"field": "count", "gte": 2}'"#),
        "--group-by" => Some(r#"--set 'group_by=["word"]'"#),
        "--header" => Some("--set output.header=true"),
        _ => None,
    }
}

/// A built-in job that takes a param of this name.
fn with_param(flag: &str) -> Option<&'static str> {
    let name = flag.strip_prefix("--")?;
    let params = |job: &builtin::Builtin| job.document().and_then(|document| document.params()).unwrap_or_default();
    let takes = |job: &&builtin::Builtin| params(job).iter().any(|param| param.name == name);
    builtin::ALL.iter().find(takes).map(|job| job.name)
}

/// Of the commands and of those below them, as `jobs show`.
fn nearest_command(name: &str) -> Option<String> {
    let root = Cli::command();
    let mut commands: Vec<(String, String)> = Vec::new();
    for command in root.get_subcommands() {
        let above = command.get_name();
        commands.push((above.to_owned(), above.to_owned()));
        commands.extend(command.get_subcommands().map(|below| {
            let below = below.get_name();
            (below.to_owned(), format!("{above} {below}"))
        }));
    }
    let right = nearest(name, commands.iter().map(|(last, _)| last.as_str()))?.to_owned();
    commands.into_iter().find(|(last, _)| *last == right).map(|(_, whole)| whole)
}

fn text(value: &ContextValue) -> Option<String> {
    match value {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) if !texts.is_empty() => Some(texts.join(", ")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::{params, parse};
    use super::*;

    #[track_caller]
    fn refused(args: &[&str], message: &str, hint: &str) {
        let words: Vec<_> = [&["mapfold"], args].concat().iter().map(OsString::from).collect();
        let (command, _) = params::with_flags(Cli::command(), &words);
        let error = parse(command, &words).err().unwrap();
        assert_eq!(explain(&error), (message.to_owned(), hint.to_owned()));
    }

    #[test]
    fn unknown_flags_and_commands_name_the_nearest() {
        let hint = "a param of grep, and comes after it: mapfold run grep --pattern VALUE";
        refused(&["run", "wordcount", "--pattern", "x"], "unknown flag \"--pattern\"", hint);
        refused(&["run", "--pattern", "x", "grep"], "unknown flag \"--pattern\"", hint);
        refused(&["run", "grep", "--patern", "x"], "unknown flag \"--patern\"", "did you mean --pattern?");
        refused(&["run", "wordcount", "--memroy", "1G"], "unknown flag \"--memroy\"", "did you mean --memory?");
        refused(&["rnu"], "unknown command \"rnu\"", "did you mean mapfold run?");
        refused(&["wordcount", "f"], "unknown command \"wordcount\"", "did you mean mapfold run wordcount?");
        refused(&["jobs", "shwo", "x"], "unknown command \"shwo\"", "did you mean mapfold jobs show?");
        refused(&["jobs", "uniq"], "unknown command \"uniq\"", "did you mean mapfold jobs show uniq?");
        let header = "a field of the spec: --set output.header=true";
        refused(&["run", "wordcount", "--header"], "unknown flag \"--header\"", header);
        refused(
            &["run", "--frob"],
            "unknown flag \"--frob\"",
            "mapfold run --help lists the flags; a file of that name is ./--frob",
        );
        refused(
            &["agg", "count", "--frob"],
            "unknown flag \"--frob\"",
            "mapfold agg --help lists the flags; a file of that name is ./--frob",
        );
        for command in ["agg", "run"] {
            refused(
                &[command, "uniq", "-n", "-1"],
                "unknown flag \"-1\"",
                "-n takes a whole number from 0; a file of that name is ./-1",
            );
        }
        refused(&["jobs", "list"], "unknown command \"list\"", "mapfold --help, mapfold run --help");
        refused(
            &["run", "wordcount", "-x"],
            "unknown flag \"-x\"",
            "mapfold run --help lists the flags; a file of that name is ./-x",
        );
        refused(&["jobs", "show", "a", "b"], "unknown argument \"b\"", "mapfold --help, mapfold run --help");
    }

    #[test]
    fn missing_and_wrong_values() {
        refused(&["completions"], "missing <SHELL>", "usage: mapfold completions <SHELL>");
        refused(&["run"], "no JOB", "mapfold run wordcount book.txt; mapfold jobs lists the built-in jobs");
        refused(&["run", "wordcount", "--threads"], "--threads: a value is missing", "usage: --threads <N>");
        refused(
            &["run", "wordcount", "--combiner", "offf"],
            "--combiner: must be one of auto, on, off, is \"offf\"",
            "did you mean \"off\"?",
        );
        refused(&["run", "wordcount", "-q", "-v"], "--quiet and --verbose exclude each other", "give one of them");
        refused(&["run", "wordcount", "--threads", "1", "--threads", "2"], "--threads is given twice", "give it once");
    }
}
