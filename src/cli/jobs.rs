//! `mapfold jobs`: lists the built-in jobs, and prints their specs to read and start from.

use clap::Subcommand;

use super::to_stdout;
use crate::error::Result;
use crate::spec::{Param, builtin};

/// List the built-in jobs, or show the spec of one
#[derive(clap::Args)]
#[command(disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print the spec of a built-in job, to start your own from
    Show { name: String },
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        None => to_stdout(&list()?)?,
        Some(Command::Show { name }) => to_stdout(builtin::find(&name)?.text)?,
    }
    Ok(())
}

/// Returns one line per job: what the job reads, answers and takes.
fn list() -> Result<String> {
    let widest = builtin::ALL.iter().map(|job| job.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for job in builtin::ALL {
        let document = job.document()?;
        let params: Vec<_> = document.params()?.iter().map(usage).collect();
        let separator = if params.is_empty() { "" } else { "; " };
        let (name, description, params) = (job.name, document.description(), params.join(" "));
        out.push_str(&format!("{name:<widest$}  {description}{separator}{params}\n"));
    }
    Ok(out)
}

/// Formats a param as a usage line does, in brackets if it may be left out.
fn usage(param: &Param) -> String {
    match &param.default {
        Some(default) => format!("[--{}={default}]", param.name),
        None => format!("--{}=…", param.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_job() {
        let list = list().unwrap();
        assert_eq!(list.lines().count(), builtin::ALL.len());
        assert!(list.contains("\nwordcount       text files: how often each word"), "{list}");
        assert!(list.contains("most frequent first; [--n=2]\n"), "{list}");
        assert!(list.contains("most frequent first; --pattern=…\n"), "{list}");
    }
}
