//! `mapfold completions`: prints a script that makes a shell complete mapfold's commands, flags and their values,
//! built-in jobs and files.
//!
//! Scripts are made from the commands themselves and from the table of a spec's keys, so they can't fall behind. This
//! module adds what clap_complete doesn't know: that a JOB is a name or a file, and what may follow `--set` and
//! `--type`.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, CommandFactory, ValueEnum, ValueHint};
use clap_complete::Shell;

use super::{Cli, to_stdout};
use crate::schema::paths::{self, Path};
use crate::spec::schema::{SPEC, TYPE};
use crate::spec::{ReadFormat, builtin};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum For {
    Bash,
    Zsh,
    Fish,
}

/// The shells that there are scripts for.
pub const SHELLS: &str = "bash, zsh, fish";

const EXAMPLES: &str = "\
Examples:
  source <(mapfold completions bash)                            in ~/.bashrc
  mapfold completions zsh > \"${fpath[1]}/_mapfold\"              once
  mapfold completions fish > ~/.config/fish/completions/mapfold.fish";

/// Print a script that completes mapfold in bash, zsh or fish
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell: bash, zsh or fish
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    shell: For,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    Ok(to_stdout(&script(args.shell)?)?)
}

fn script(shell: For) -> anyhow::Result<String> {
    let generated = match shell {
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
    };
    let mut bytes = Vec::new();
    clap_complete::generate(generated, &mut hinted(Cli::command()), "mapfold", &mut bytes);
    let script = String::from_utf8(bytes)?;
    Ok(match shell {
        For::Bash => script + &bash(),
        For::Zsh => zsh(&script)?,
        For::Fish => fish(&script)?,
    })
}

/// Returns the command with hints that say what is completed for each argument. The name of an argument's value says
/// what the value is.
fn hinted(command: Command) -> Command {
    let hint = |arg: Arg| match arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()) {
        Some("PATH" | "INPUT") => arg.value_hint(ValueHint::AnyPath),
        Some("DIR") => arg.value_hint(ValueHint::DirPath),
        // No other argument has these hints. What zsh and fish do for them is replaced.
        Some("JOB") => arg.value_hint(ValueHint::CommandString),
        Some("PATH=VALUE") => arg.value_hint(ValueHint::Hostname),
        Some("COL=TYPE") => arg.value_hint(ValueHint::Username),
        Some("FORMAT") => arg.value_parser(PossibleValuesParser::new(ReadFormat::NAMES)),
        Some("NAME") if arg.is_positional() => arg.value_parser(PossibleValuesParser::new(names())),
        _ => arg,
    };
    command.mut_args(hint).mut_subcommands(hinted)
}

fn names() -> impl Iterator<Item = &'static str> {
    builtin::ALL.iter().map(|job| job.name)
}

/// Returns the names and descriptions of the built-in jobs.
fn jobs() -> anyhow::Result<Vec<(&'static str, String)>> {
    builtin::ALL.iter().map(|job| Ok((job.name, job.document()?.description().to_owned()))).collect()
}

/// Returns the commands that take a JOB.
fn commands() -> Vec<String> {
    let root = Cli::command();
    let takes_job = |command: &&Command| command.get_positionals().any(|arg| arg.get_id() == "job");
    root.get_subcommands().filter(takes_job).map(|command| command.get_name().to_owned()).collect()
}

/// Returns the fields of a spec that `--set` takes.
fn fields() -> Vec<Path> {
    // Fields that begin with a $ are for editors.
    paths::of(&SPEC).into_iter().filter(|field| !field.path.starts_with('$')).collect()
}

/// Fills a script that several shells use with the fields, their values and the types. `value` returns the shell code
/// that offers the given values.
fn filled(script: &str, value: impl Fn(&str) -> String) -> String {
    let fields = fields();
    let case = |field: &Path| format!("            {}) {} ;;", field.path, value(&field.words.join(" ")));
    let values: Vec<_> = fields.iter().filter(|field| !field.words.is_empty()).map(case).collect();
    let paths: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
    script
        .replace("@FIELDS@", &paths.join(" "))
        .replace("@VALUES@", &values.join("\n"))
        .replace("@TYPES@", &paths::words(&TYPE).join(" "))
}

fn bash() -> String {
    let names: Vec<_> = names().collect();
    let commands: Vec<_> = commands().iter().map(|name| format!("*,{name},*\" --help \"*")).collect();
    let offer = |words: &str| format!("mapfile -t COMPREPLY < <(compgen -W \"{words}\" -- \"$word\")");
    filled(include_str!("completions/words.bash"), offer)
        .replace("*,@COMMANDS@,*\" --help \"*", &commands.join(" | "))
        .replace("@JOBS_OR@", &names.join(" | "))
        .replace("@JOBS@", &names.join(" "))
}

fn zsh(script: &str) -> anyhow::Result<String> {
    let job = |(name, description): (&str, String)| {
        // Quotes are escaped for the array, and colons for `_describe`.
        format!("        '{name}:{}'", description.replace('\\', "\\\\").replace('\'', "'\\''").replace(':', "\\:"))
    };
    let jobs: Vec<_> = jobs()?.into_iter().map(job).collect();
    let functions = filled(include_str!("completions/values.zsh"), |words| format!("compadd {words}"));
    let functions = functions.replace("@JOBS@", &jobs.join("\n"));
    // The functions come before the code that the script runs when it is loaded.
    let (head, rest) = script.split_once('\n').unwrap_or((script, ""));
    let rest = [("cmdstring", "jobs"), ("hosts", "set"), ("users", "types")]
        .iter()
        .fold(rest.to_owned(), |rest, (hint, own)| rest.replace(&format!(":_{hint}'"), &format!(":_mapfold_{own}'")));
    Ok(format!("{head}\n{functions}{rest}"))
}

fn fish(script: &str) -> anyhow::Result<String> {
    // If a field has no fixed values, only the field and its `=` are completed: any value may follow.
    let assignments = |field: &Path| match field.words {
        [] => vec![format!("'{}='", field.path)],
        words => words.iter().map(|word| format!("{}={word}", field.path)).collect(),
    };
    let fields: Vec<_> = fields().iter().flat_map(assignments).collect();
    let functions = include_str!("completions/values.fish")
        .replace("@FIELDS@", &fields.join(" "))
        .replace("@TYPES@", &paths::words(&TYPE).join(","));
    let script = [("print_hostnames", "set"), ("complete_users", "types")]
        .iter()
        .fold(script.to_owned(), |script, (hint, own)| {
            script.replace(&format!("(__fish_{hint})"), &format!("(__mapfold_{own})"))
        });
    let commands = commands().join(" ");
    let mut out = functions + &script;
    for (name, description) in jobs()? {
        let description = description.replace('\\', "\\\\").replace('\'', "\\'");
        let runs = format!("__fish_mapfold_using_subcommand {commands}; and test (count (commandline -opc)) -eq 2");
        let shows = "__fish_mapfold_using_subcommand jobs; and __fish_seen_subcommand_from show";
        for (when, files) in [(&*runs, ""), (shows, " -f")] {
            out.push_str(&format!("complete -c mapfold -n \"{when}\"{files} -a {name} -d '{description}'\n"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_is_named() {
        let names = For::value_variants().iter().map(|shell| shell.to_possible_value().unwrap().get_name().to_owned());
        assert_eq!(names.collect::<Vec<_>>().join(", "), SHELLS);
    }

    #[test]
    fn every_placeholder_is_filled() {
        for shell in [For::Bash, For::Zsh, For::Fish] {
            let script = script(shell).unwrap();
            for left in ["@JOBS", "@COMMANDS", "@FIELDS", "@VALUES", "@TYPES", "_cmdstring", "hostname", "_users"] {
                assert!(!script.contains(left), "{left}");
            }
            assert!(script.contains("wordcount") && script.contains("split-size") && script.contains("read.on_error"));
        }
    }

    #[test]
    fn commands_that_take_a_job() {
        assert!(commands().contains(&"run".to_owned()) && !commands().contains(&"jobs".to_owned()));
    }
}
