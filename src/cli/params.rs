//! A job's params as flags of their own: `mapfold run grep --pattern rabbit book.txt`.
//!
//! ```text
//! words ──► JOB ──its spec──► params ──► the command with a flag for each param ──► parsed
//! ```
//!
//! The JOB decides which flags there are, so the JOB is looked for first. If another flag has the name of a param, the
//! param can only be given by `--param`.

use std::ffi::{OsStr, OsString};

use clap::error::Error as ClapError;
use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use super::{help, job};
use crate::error::{Result, one_line};
use crate::spec::{Document, Param};

/// The beginning of the ids that these flags have in clap.
const ID: &str = "param:";

/// The params that were given by flags of their own.
#[derive(Debug, Default)]
pub struct ParamFlags {
    /// Names and values.
    given: Vec<(String, String)>,
}

impl ParamFlags {
    pub fn apply(&self, document: &mut Document) {
        self.given.iter().for_each(|(name, value)| document.param_flag(name, value));
    }
}

/// Returns `root` with a flag for each param of the JOB among `words`, and an error if that JOB is wrong. `words`
/// begins with the program's name.
pub fn with_flags(root: Command, words: &[OsString]) -> (Command, Result<()>) {
    let Some(name) = words.get(1).and_then(|word| word.to_str()) else { return (root, Ok(())) };
    let Some(job) = root.find_subcommand(name).and_then(|command| find_job(command, &words[2..])) else {
        return (root, Ok(()));
    };
    let params = match job::params(job) {
        Ok(params) => params,
        Err(wrong) => return (root, Err(wrong)),
    };
    let add = |command: Command, param: Param| match can_be_flag(&command, &param.name) {
        true => command.arg(flag(&param)),
        false => command,
    };
    let root = root.mut_subcommand(name, |command| params.into_iter().fold(command, add));
    (root, Ok(()))
}

/// Returns the first of `words` that is neither a flag nor a flag's value, if the command takes a JOB. None if an
/// unknown flag comes before it, because the word after that flag may be the flag's value.
fn find_job<'w>(command: &Command, words: &'w [OsString]) -> Option<&'w OsStr> {
    command.get_positionals().find(|arg| arg.get_id() == "job")?;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let bytes = word.as_encoded_bytes();
        if bytes == b"--" {
            return words.next().map(OsString::as_os_str);
        }
        if bytes == b"-" || !bytes.starts_with(b"-") {
            return Some(word);
        }
        let text = word.to_str()?;
        let takes_value = |arg: &Arg| arg.get_action().takes_values();
        match text.strip_prefix("--") {
            Some(long) if long.contains('=') => {}
            Some(long) => {
                if takes_value(command.get_arguments().find(|arg| arg.get_long() == Some(long))?) {
                    words.next();
                }
            }
            None => {
                // Among several short flags in one word, the first that takes a value takes the rest of the word. If
                // nothing is left of the word, that flag takes the next word.
                for (at, short) in text.char_indices().skip(1) {
                    if takes_value(command.get_arguments().find(|arg| arg.get_short() == Some(short))?) {
                        if at + short.len_utf8() == text.len() {
                            words.next();
                        }
                        break;
                    }
                }
            }
        }
    }
    None
}

/// Whether `name` can be the name of a flag, and isn't the name of one yet.
fn can_be_flag(command: &Command, name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let taken = command.get_arguments().any(|arg| arg.get_long() == Some(name));
    !taken && !name.starts_with('-') && name.chars().all(is_plain)
}

fn flag(param: &Param) -> Arg {
    let about = param.description.as_deref().unwrap_or("a value for the job");
    let mut chars = about.chars();
    let about: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    let about = match &param.default {
        Some(Value::String(text)) => format!("{about}  [default: {text}]"),
        Some(default) => format!("{about}  [default: {default}]"),
        None => format!("{about}; must be given"),
    };
    let about = one_line(&about).into_owned();
    Arg::new(format!("{ID}{}", param.name))
        .long(param.name.clone())
        .value_name("VALUE")
        .help(about)
        .help_heading(help::INPUT_AND_JOB)
        .display_order(7)
        .allow_negative_numbers(true)
}

impl clap::Args for ParamFlags {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl clap::FromArgMatches for ParamFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ClapError> {
        let mut flags = ParamFlags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ClapError> {
        let given = |id: &clap::Id| {
            let name = id.as_str().strip_prefix(ID)?;
            Some((name.to_owned(), matches.get_one::<String>(id.as_str())?.clone()))
        };
        self.given = matches.ids().filter_map(given).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Cli;
    use super::*;

    fn job(words: &[&str]) -> Option<String> {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        let root = Cli::command();
        find_job(root.find_subcommand("run").unwrap(), &words).map(|job| job.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_job_is_the_first_word_that_is_no_flags() {
        for words in [
            &["grep", "f"][..],
            &["--threads", "2", "grep"],
            &["--threads=2", "-q", "grep"],
            &["-o", "out", "-qv", "grep"],
            &["-oout", "-vn", "5", "grep"],
            &["--pattern=x", "grep"],
            &["--", "grep"],
            &["--sort", "-count", "grep"],
        ] {
            assert_eq!(job(words).as_deref(), Some("grep"), "{words:?}");
        }
        assert_eq!(job(&["-", "f"]).as_deref(), Some("-"));
        for words in [&[][..], &["-q"], &["--pattern", "x", "grep"], &["-x", "grep"], &["--threads", "2"]] {
            assert_eq!(job(words), None, "{words:?}");
        }
    }

    #[test]
    fn only_what_no_flag_is_called_becomes_one() {
        let root = Cli::command();
        let run = root.find_subcommand("run").unwrap();
        for (name, can) in [("pattern", true), ("min_x", true), ("limit", false), ("help", false), ("a b", false)] {
            assert_eq!(can_be_flag(run, name), can, "{name}");
        }
        assert!(!can_be_flag(run, "-x"));
    }
}
