//! Prints what clap finds wrong in the form of every other error: `error: …`, `hint: …`, exit code 2.

use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Cli, completions, fail, say, to_stderr, to_stdout_styled};
use crate::error::{meant, nearest};
use crate::spec::builtin;

/// Prints the help or the version if that was asked for, otherwise an error.
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
            // Names that clap finds similar are often far off.
            let near = nearest(&flag, [right]).filter(|right| !right.is_empty());
            let command = command(error);
            let takes_job = TAKE_JOBS.contains(&command.as_str());
            let hint = match (field(&flag), near) {
                _ if takes_job && let Some(job) = with_param(&flag) => {
                    format!(
                        "it is a param of {job}, and comes after the job's name: mapfold {command} {job} {flag} VALUE"
                    )
                }
                (Some(how), _) => format!("it is a field of the spec: {how}"),
                (None, Some(right)) => format!("did you mean {right}?"),
                (None, None) if flag.starts_with('-') => {
                    let is_number = flag[1..].starts_with(|c: char| c.is_ascii_digit());
                    let help = match command.as_str() {
                        "run" | "agg" if is_number => "for the first N rows write -n N".to_owned(),
                        command => format!("mapfold {command} --help lists the flags"),
                    };
                    match takes_job || command == "agg" {
                        true => format!("{help}; if it is a file, write ./{flag}"),
                        false => help,
                    }
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
                Some(right) if right != "jobs" => format!("did you mean mapfold {right}?"),
                _ if usage(error).starts_with("mapfold jobs") => {
                    "mapfold jobs lists the built-in jobs, and mapfold jobs show NAME prints one".to_owned()
                }
                Some(right) => format!("did you mean mapfold {right}?"),
                None => match meant(&name, builtin::ALL.iter().map(|job| job.name)) {
                    Some(job) => format!("did you mean mapfold run {job}?"),
                    None => see_help(),
                },
            };
            (format!("unknown command {name:?}"), hint)
        }
        ErrorKind::MissingRequiredArgument if flag.contains("JOB") => {
            let command = command(error);
            let hint = format!("mapfold {command} wordcount book.txt; mapfold jobs lists the built-in jobs");
            ("no JOB".into(), hint)
        }
        ErrorKind::MissingRequiredArgument if flag.contains("AGGS") => {
            ("no AGGS".into(), "mapfold agg -g region 'sum(amount), count' sales.csv".into())
        }
        ErrorKind::MissingRequiredArgument => {
            let hint = match usage(error).as_str() {
                "" => see_help(),
                usage => format!("usage: {}", usage.replace("<SHELL>", &choices(completions::SHELLS))),
            };
            (format!("missing {flag}"), hint)
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            (format!("{flag_name}: a value is missing"), usage_of(&flag, &context(ContextKind::ValidValue)))
        }
        ErrorKind::InvalidValue => {
            let valid = context(ContextKind::ValidValue);
            let hint = match meant(&value, valid.split(", ")) {
                Some(right) => format!("did you mean {right:?}?"),
                None => usage_of(&flag, &valid),
            };
            (format!("{flag_name}: must be one of {valid}, is {value:?}"), hint)
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg);
            let other = other.split([' ', '=']).next().unwrap_or_default();
            if other == flag_name || other.is_empty() {
                (format!("{flag_name} is given twice"), "give it once".into())
            } else {
                (format!("{flag_name} and {other} can't be used together"), "give only one of them".into())
            }
        }
        ErrorKind::InvalidUtf8 => ("an argument is not UTF-8".into(), "only file names may be other than UTF-8".into()),
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            (first.strip_prefix("error: ").unwrap_or(first).to_owned(), see_help())
        }
    }
}

/// Returns how to give a flag, or the argument of `completions`, which is the only argument with choices. `valid` lists
/// the choices; it is empty if any value is valid.
fn usage_of(flag: &str, valid: &str) -> String {
    match (flag.split_once(' '), valid) {
        (_, "") => format!("usage: {flag}"),
        (Some((name, _)), valid) => format!("usage: {name} {}", choices(valid)),
        (None, valid) => format!("usage: mapfold completions {}", choices(valid)),
    }
}

/// Turns `a, b` into `a|b`.
fn choices(listed: &str) -> String {
    listed.replace(", ", "|")
}

fn usage(error: &clap::Error) -> String {
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    usage.trim().strip_prefix("Usage:").unwrap_or_default().trim().to_owned()
}

/// The commands that take a JOB.
const TAKE_JOBS: [&str; 4] = ["run", "explain", "bench", "verify"];

/// Returns the command that the error is about, or `run` if the error names none.
fn command(error: &clap::Error) -> String {
    let usage = usage(error);
    let named = usage.split(' ').nth(1).filter(|name| Cli::command().find_subcommand(name).is_some());
    named.unwrap_or("run").to_owned()
}

/// Returns how to set a field of the spec that has no flag, if people expect a flag for it.
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

/// Returns a built-in job that takes a param of this name.
fn with_param(flag: &str) -> Option<&'static str> {
    let name = flag.strip_prefix("--")?;
    let params = |job: &builtin::Builtin| job.document().and_then(|document| document.params()).unwrap_or_default();
    let takes = |job: &&builtin::Builtin| params(job).iter().any(|param| param.name == name);
    builtin::ALL.iter().find(takes).map(|job| job.name)
}

/// Returns the command or subcommand that `name` most likely means, such as `jobs show`.
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
    let right = meant(name, commands.iter().map(|(last, _)| last.as_str()))?.to_owned();
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
        let hint = "it is a param of grep, and comes after the job's name: mapfold run grep --pattern VALUE";
        refused(&["run", "wordcount", "--pattern", "x"], "unknown flag \"--pattern\"", hint);
        refused(&["run", "--pattern", "x", "grep"], "unknown flag \"--pattern\"", hint);
        refused(&["run", "grep", "--patern", "x"], "unknown flag \"--patern\"", "did you mean --pattern?");
        refused(&["run", "wordcount", "--memroy", "1G"], "unknown flag \"--memroy\"", "did you mean --memory?");
        refused(&["rnu"], "unknown command \"rnu\"", "did you mean mapfold run?");
        refused(&["wordcount", "f"], "unknown command \"wordcount\"", "did you mean mapfold run wordcount?");
        refused(&["jobs", "shwo", "x"], "unknown command \"shwo\"", "did you mean mapfold jobs show?");
        refused(&["jobs", "uniq"], "unknown command \"uniq\"", "did you mean mapfold jobs show uniq?");
        let header = "it is a field of the spec: --set output.header=true";
        refused(&["run", "wordcount", "--header"], "unknown flag \"--header\"", header);
        refused(
            &["run", "--frob"],
            "unknown flag \"--frob\"",
            "mapfold run --help lists the flags; if it is a file, write ./--frob",
        );
        refused(
            &["agg", "count", "--frob"],
            "unknown flag \"--frob\"",
            "mapfold agg --help lists the flags; if it is a file, write ./--frob",
        );
        let hint = "it is a param of grep, and comes after the job's name: mapfold explain grep --pattern VALUE";
        refused(&["explain", "wordcount", "--pattern", "x"], "unknown flag \"--pattern\"", hint);
        let hint = "mapfold agg --help lists the flags; if it is a file, write ./--pattern";
        refused(&["agg", "count", "--pattern", "x"], "unknown flag \"--pattern\"", hint);
        refused(&["schema", "--md"], "unknown flag \"--md\"", "mapfold schema --help lists the flags");
        for command in ["agg", "run"] {
            let hint = "for the first N rows write -n N; if it is a file, write ./-5";
            refused(&[command, "uniq", "-5"], "unknown flag \"-5\"", hint);
        }
        let lists = "mapfold jobs lists the built-in jobs, and mapfold jobs show NAME prints one";
        refused(&["jobs", "list"], "unknown command \"list\"", lists);
        refused(&["jobs", "frobnicate"], "unknown command \"frobnicate\"", lists);
        refused(&["list"], "unknown command \"list\"", "did you mean mapfold jobs?");
        refused(&["wc"], "unknown command \"wc\"", "did you mean mapfold run wordcount?");
        refused(&["frobnicate"], "unknown command \"frobnicate\"", "mapfold --help, mapfold run --help");
        refused(
            &["run", "wordcount", "-x"],
            "unknown flag \"-x\"",
            "mapfold run --help lists the flags; if it is a file, write ./-x",
        );
        refused(&["jobs", "show", "a", "b"], "unknown argument \"b\"", "mapfold --help, mapfold run --help");
    }

    #[test]
    fn missing_and_wrong_values() {
        refused(&["completions"], "missing <SHELL>", "usage: mapfold completions bash|zsh|fish");
        refused(
            &["completions", "tcsh"],
            "<SHELL>: must be one of bash, zsh, fish, is \"tcsh\"",
            "usage: mapfold completions bash|zsh|fish",
        );
        refused(
            &["run", "wordcount", "--format"],
            "--format: a value is missing",
            "usage: --format text|tsv|csv|jsonl",
        );
        refused(
            &["run", "wordcount", "--format", "xml"],
            "--format: must be one of text, tsv, csv, jsonl, is \"xml\"",
            "usage: --format text|tsv|csv|jsonl",
        );
        refused(
            &["run", "wordcount", "--combiner", "yes"],
            "--combiner: must be one of auto, on, off, is \"yes\"",
            "did you mean \"on\"?",
        );
        refused(&["run"], "no JOB", "mapfold run wordcount book.txt; mapfold jobs lists the built-in jobs");
        refused(&["explain"], "no JOB", "mapfold explain wordcount book.txt; mapfold jobs lists the built-in jobs");
        refused(&["run", "wordcount", "--threads"], "--threads: a value is missing", "usage: --threads <N>");
        refused(
            &["run", "wordcount", "--combiner", "offf"],
            "--combiner: must be one of auto, on, off, is \"offf\"",
            "did you mean \"off\"?",
        );
        refused(
            &["run", "wordcount", "-q", "-v"],
            "--quiet and --verbose can't be used together",
            "give only one of them",
        );
        refused(&["run", "wordcount", "--threads", "1", "--threads", "2"], "--threads is given twice", "give it once");
    }
}
