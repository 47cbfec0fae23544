//! `mapfold verify`: runs the same job under hostile settings, and checks that all runs write the same output.
//!
//! The first run has the settings that `mapfold run` would have. The output of every other run is compared with that of
//! the first. A setting given by a flag holds in all of them.

mod compare;
mod hostile;

use super::job::JobArgs;
use super::rounds::{Rounds, RoundsArgs};
use super::trial::{Chosen, Trial, Trials, named};
use super::{closed, help, stdout_is_closed, to_stdout};
use crate::error::{Error, Result};
use crate::units::{data, plural};
use compare::Difference;

const EXAMPLES: &str = "\
Examples:
  mapfold verify wordcount book.txt
  mapfold verify my.json --set map.0.on=letters logs/
  mapfold verify wordcount --unordered books/    compare rows in any order
The runs differ in threads, split size, memory, partitions, combiner,
scheduler and compression. A setting that is given by its flag stays the same
in every run.";

/// Run a job under many odd settings: every output must be the same
#[derive(clap::Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = help::after_long(EXAMPLES),
    disable_help_flag = true
)]
pub struct Args {
    #[command(flatten)]
    job: JobArgs,

    #[command(flatten)]
    rounds: RoundsArgs,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    if closed::stdout() {
        return Err(stdout_is_closed().into());
    }
    let trials = Trials::new(&args.job, "verify")?;
    let threads = trials.plan.settings.threads;
    let is_given = |setting: &_| args.job.changes.gives(setting).is_some();
    let hostile = hostile::settings(trials.input_bytes(), threads, |threads| trials.least_memory(threads), is_given);
    let mut rounds = Rounds::new(args.rounds.progress, hostile.len() + 1);
    rounds.aside(|| {
        to_stdout(&format!("{}, {} of input: what each run wrote\n", trials.title(), data(trials.input_bytes())))
    })?;

    let reference = next(&trials, &[], None, &mut rounds)?;
    let (mut differ, mut unfinished, mut first) = (0, 0, None);
    for row in &hostile {
        let chosen: Vec<_> = row.iter().map(|(setting, value)| (*setting, value.as_str())).collect();
        let trial = match next(&trials, &chosen, Some(&reference), &mut rounds) {
            Err(Error::Run { message, hint: Some(hint), code: 1 })
                if chosen.iter().any(|(what, _)| what.flag == "memory") && asks_for_memory(&hint) =>
            {
                // A setting may decide whether a job succeeds, but never what it prints.
                rounds.aside(|| to_stdout(&format!("- not done      {message}\n")))?;
                unfinished += 1;
                continue;
            }
            trial => trial?,
        };
        if trial.digest != reference.digest {
            differ += 1;
            if first.is_none() {
                let difference = Difference::between(&reference.output, &trial.output, args.job.changes.unordered)?;
                first = Some(explain(&difference, &named(&chosen)));
            }
        }
    }
    drop(rounds);
    let runs = hostile.len() + 1 - unfinished;
    let Some(explained) = first else {
        let rows = plural(reference.report.counters.reduce_output_records, "row");
        let size = data(reference.output_bytes);
        to_stdout(&format!("All {runs} runs wrote the same {rows}, {size}, BLAKE3\n{}\n", reference.digest))?;
        if unfinished > 0 {
            to_stdout(&format!("{} had too little memory to finish.\n", plural(unfinished as u64, "more run")))?;
        }
        return Ok(());
    };
    to_stdout(&explained)?;
    Err(Error::Differ {
        message: format!("{differ} of {runs} runs wrote a different result than the run with {}", named(&[])),
    }
    .into())
}

/// Runs the job once, and prints the digest of its output.
fn next(trials: &Trials, chosen: &Chosen<'_>, reference: Option<&Trial>, rounds: &mut Rounds) -> Result<Trial> {
    rounds.next(&named(chosen));
    let trial = trials.run(chosen)?;
    let mark = if reference.is_some_and(|reference| reference.digest != trial.digest) { '!' } else { ' ' };
    rounds.aside(|| to_stdout(&format!("{mark} {:.12}  {}\n", trial.digest, named(chosen))))?;
    Ok(trial)
}

/// Whether the run would have succeeded with more memory. A full disk or a changed input is another matter.
fn asks_for_memory(hint: &str) -> bool {
    hint.contains("--memory")
}

fn explain(difference: &Difference, settings: &str) -> String {
    let reference = named(&[]);
    let width = reference.len().max(settings.len());
    let Difference { line, expected, found } = difference;
    let at = line.map_or_else(|| "A row that differs".to_owned(), |line| format!("Line {line} differs"));
    format!("{at}:\n  {reference:width$}  {expected}\n  {settings:width$}  {found}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_is_asked_for_by_its_name() {
        let (bytes, needs) = (1 << 20, 8 << 20);
        let error = Error::RowTooLarge { bytes, needs };
        assert!(asks_for_memory(&error.hint().unwrap()), "{error}");
        let full = Error::Spill { path: "f".into(), source: std::io::ErrorKind::StorageFull.into() };
        for error in [full, Error::Changed { path: "f".into() }] {
            assert!(!asks_for_memory(&error.hint().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_difference_is_shown_with_both_rows() {
        let difference = Difference { line: Some(17), expected: "the\\t15".into(), found: "the\\t14".into() };
        assert_eq!(
            explain(&difference, "threads=3"),
            "Line 17 differs:\n  settings as given  the\\t15\n  threads=3          the\\t14\n"
        );
    }
}
