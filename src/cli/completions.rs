//! `mapfold completions`: what makes a shell complete mapfold's commands, flags, their values, built-in jobs and files.
//!
//! Scripts are made from the commands themselves, so that they can't fall behind. What clap_complete doesn't know is
//! that a JOB is a name as well as a file; that is added here.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, CommandFactory, ValueEnum, ValueHint};
use clap_complete::Shell;

use super::{Cli, to_stdout};
use crate::spec::builtin;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum For {
    Bash,
    Zsh,
    Fish,
}

/// Those that there are scripts for.
pub const SHELLS: &str = "bash, zsh, fish";

const EXAMPLES: &str = "\
Examples:
  source <(mapfold completions bash)                            in ~/.bashrc
  mapfold completions zsh > \"${fpath[1]}/_mapfold\"              once
  mapfold completions fish > ~/.config/fish/completions/mapfold.fish";

/// Print what makes a shell complete mapfold: bash, zsh or fish
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// bash, zsh or fish
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
        For::Fish => script + &fish()?,
    })
}

/// The command with what is to be completed where. What a value is, its name says.
fn hinted(command: Command) -> Command {
    let hint = |arg: Arg| match arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()) {
        Some("PATH" | "INPUT") => arg.value_hint(ValueHint::AnyPath),
        Some("DIR") => arg.value_hint(ValueHint::DirPath),
        // A hint that nothing else has: zsh's action for it is replaced.
        Some("JOB") => arg.value_hint(ValueHint::CommandString),
        Some("NAME") if arg.is_positional() => arg.value_parser(PossibleValuesParser::new(names())),
        _ => arg,
    };
    command.mut_args(hint).mut_subcommands(hinted)
}

fn names() -> impl Iterator<Item = &'static str> {
    builtin::ALL.iter().map(|job| job.name)
}

/// Names and descriptions of the built-in jobs.
fn jobs() -> anyhow::Result<Vec<(&'static str, String)>> {
    builtin::ALL.iter().map(|job| Ok((job.name, job.document()?.description().to_owned()))).collect()
}

/// The commands that take a JOB.
fn commands() -> Vec<String> {
    let root = Cli::command();
    let takes_job = |command: &&Command| command.get_positionals().any(|arg| arg.get_id() == "job");
    root.get_subcommands().filter(takes_job).map(|command| command.get_name().to_owned()).collect()
}

fn bash() -> String {
    let names: Vec<_> = names().collect();
    let commands: Vec<_> = commands().iter().map(|name| format!("*,{name},*\" --help \"*")).collect();
    include_str!("completions/words.bash")
        .replace("*,@COMMANDS@,*\" --help \"*", &commands.join(" | "))
        .replace("@JOBS_OR@", &names.join(" | "))
        .replace("@JOBS@", &names.join(" "))
}

fn zsh(script: &str) -> anyhow::Result<String> {
    let job = |(name, description): (&str, String)| {
        // Quoted for the array, and a colon for `_describe`.
        format!("        '{name}:{}'", description.replace('\\', "\\\\").replace('\'', "'\\''").replace(':', "\\:"))
    };
    let jobs: Vec<_> = jobs()?.into_iter().map(job).collect();
    let function = include_str!("completions/jobs.zsh").replace("@JOBS@", &jobs.join("\n"));
    // Before what the script does when it is loaded.
    let (head, rest) = script.split_once('\n').unwrap_or((script, ""));
    Ok(format!("{head}\n{function}{}", rest.replace(":_cmdstring'", ":_mapfold_jobs'")))
}

fn fish() -> anyhow::Result<String> {
    let commands = commands().join(" ");
    let mut out = String::new();
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
            assert!(!script.contains("@JOBS") && !script.contains("@COMMANDS") && !script.contains("_cmdstring"));
            assert!(script.contains("wordcount") && script.contains("split-size"));
        }
    }

    #[test]
    fn commands_that_take_a_job() {
        assert!(commands().contains(&"run".to_owned()) && !commands().contains(&"jobs".to_owned()));
    }
}
