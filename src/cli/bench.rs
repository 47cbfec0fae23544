//! `mapfold bench`: runs the same job with several values of a setting in turn, and shows how the values differ.
//!
//! ```text
//! warm-up   round 1   round 2   …        A, B: values of the setting; each run is a process of its own
//!  A  B      A  B      A  B
//! ```
//!
//! The result is a table on standard output. [`statistics`] says what the table claims and on what grounds. [`results`]
//! has the same figures for JSON.

mod results;
mod statistics;
pub(super) mod table;
mod vary;

use std::path::{Path, PathBuf};

use super::job::JobArgs;
use super::progress::When;
use super::rounds::{Rounds, RoundsArgs};
use super::trial::Trials;
use super::{closed, help, side_files, stdout_is_closed, to_stdout};
use crate::error::{Error, Result, shown};
use crate::plan::Rows;
use crate::report::json;
use results::{Bench, TimedRun};
use vary::Vary;

const EXAMPLES: &str = "\
Examples:
  mapfold bench wordcount book.txt
  mapfold bench wordcount books/ --vary combiner=on,off,auto --runs 9
  mapfold bench my.json --vary threads=1,2,4 --export-json threads.json";

const COMPARISON: &str = "What is compared";

/// Run a job with different settings and compare time, memory and shuffle
#[derive(clap::Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = help::after_long(EXAMPLES),
    disable_help_flag = true
)]
pub struct Args {
    /// Setting to vary  [default: combiner=on,off]
    ///
    /// WHAT is a setting that has a flag: combiner, scheduler, threads, memory, split-size or partitions. The other values
    /// are compared with the first one.
    #[arg(
        long,
        value_name = "WHAT=A,B",
        help_heading = COMPARISON,
        display_order = 0,
        default_value = "combiner=on,off",
        hide_default_value = true
    )]
    vary: String,

    /// Runs per value, after a warm-up  [default: 5]
    ///
    /// The values take turns, and each run is a process of its own. With more runs smaller differences can be told from
    /// noise.
    #[arg(
        long,
        value_name = "N",
        help_heading = COMPARISON,
        display_order = 1,
        allow_negative_numbers = true,
        default_value = "5",
        hide_default_value = true
    )]
    runs: String,

    /// Write all runs and the summary as JSON
    ///
    /// For each run: times, counters, settings and the digest of the output. For each value: the medians, and the ratios to
    /// the first value with their intervals.
    #[arg(long, value_name = "PATH", help_heading = COMPARISON, display_order = 2)]
    export_json: Option<PathBuf>,

    /// Write the tables as Markdown
    #[arg(long, value_name = "PATH", help_heading = COMPARISON, display_order = 3)]
    export_md: Option<PathBuf>,

    #[command(flatten)]
    job: JobArgs,

    #[command(flatten)]
    rounds: RoundsArgs,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let vary = Vary::parse(&args.vary)?;
    let rounds = rounds(&args.runs)?;
    if let Some(given) = args.job.changes.gives(vary.setting) {
        let message = format!("{given} and --vary {} can't be used together", vary.setting.flag);
        return Err(Error::usage_hint(message, "give only one of them").into());
    }
    if closed::stdout() {
        return Err(stdout_is_closed().into());
    }
    let trials = Trials::new(&args.job, "bench")?;
    vary.check(&trials)?;
    if let (Rows::Records { .. }, what @ ("combiner" | "partitions")) = (&trials.plan.rows, vary.setting.flag) {
        return Err(Error::usage_hint(
            format!("{} has no groups, so there is nothing to shuffle and {what} changes nothing", trials.title()),
            "vary another setting, such as --vary threads=1,2",
        )
        .into());
    }
    check_exports(&args, &trials)?;

    let mut bench = Bench {
        mapfold: env!("CARGO_PKG_VERSION"),
        job: trials.plan.job.clone(),
        vary: vary.setting.flag,
        values: vary.values.clone(),
        rounds,
        runs: Vec::new(),
        summary: Vec::new(),
        comparisons: Vec::new(),
        same_output: false,
        error: None,
    };
    let outcome = measure(&mut bench, &trials, &vary, args.rounds.progress);
    bench.same_output = bench.outputs_agree();
    if let Err(error) = outcome {
        bench.error = Some(error.to_string());
        // Why a run failed matters more than an error in exporting the runs before it.
        let _ = args.export_json.as_deref().map(|path| json::write(&bench, path));
        return Err(error.into());
    }
    bench.summarise();
    let text = table::render(&bench, &trials.title(), table::Look::of_stdout());
    let printed = to_stdout(&text);
    if let Some(path) = &args.export_json {
        json::write(&bench, path)?;
    }
    if let Some(path) = &args.export_md {
        json::replace(path, table::markdown(&bench, &trials.title()).as_bytes())?;
    }
    printed?;
    if !bench.same_output {
        return Err(Error::Differ { message: "the runs did not all write the same".into() }.into());
    }
    Ok(())
}

fn measure(bench: &mut Bench, trials: &Trials, vary: &Vary, progress: When) -> Result<()> {
    let mut rounds = Rounds::new(progress, vary.values.len() * (bench.rounds + 1));
    for round in 0..=bench.rounds {
        for value in &vary.values {
            rounds.next(&match round {
                0 => format!("{value} to warm up"),
                round => format!("{value}, round {round} of {}", bench.rounds),
            });
            let trial = trials.run(&[(vary.setting, value)])?;
            bench.runs.push(TimedRun::new(value, round, &trial));
        }
    }
    Ok(())
}

const MOST_RUNS: usize = 1000;

/// Parses the number of rounds. Fewer than two rounds have no spread, and so no interval.
fn rounds(text: &str) -> Result<usize> {
    match text.parse::<usize>() {
        Ok(n @ ..2) => Err(Error::usage_hint(
            format!("--runs: must be at least 2, is {n}"),
            "one run can't tell a difference from noise; for its counters alone: mapfold run JOB --report r.json",
        )),
        Ok(n) if n > MOST_RUNS => Err(Error::usage(format!("--runs: must be at most {MOST_RUNS}, is {n}"))),
        Ok(n) => Ok(n),
        Err(_) => Err(Error::usage(format!("--runs: must be a whole number, is {text:?}"))),
    }
}

fn check_exports(args: &Args, trials: &Trials) -> Result<()> {
    let exports = [("--export-json", &args.export_json), ("--export-md", &args.export_md)];
    for (flag, path) in exports {
        path.iter().try_for_each(|path| side_files::check(flag, path, trials.file.as_deref(), &trials.plan))?;
    }
    match exports.map(|(_, path)| path.as_deref()) {
        [Some(one), Some(other)] if same(one, other) => Err(Error::usage_hint(
            format!("--export-md {}: is also the file of --export-json", shown(other)),
            "name another file",
        )),
        _ => Ok(()),
    }
}

fn same(one: &Path, other: &Path) -> bool {
    one == other || side_files::same_file(one, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_runs() {
        assert_eq!((rounds("2").unwrap(), rounds("1000").unwrap()), (2, 1000));
        for (text, message) in [
            ("1", "--runs: must be at least 2, is 1"),
            ("0", "--runs: must be at least 2, is 0"),
            ("1001", "--runs: must be at most 1000, is 1001"),
            ("-1", "--runs: must be a whole number, is \"-1\""),
            ("many", "--runs: must be a whole number, is \"many\""),
        ] {
            assert_eq!(rounds(text).unwrap_err().to_string(), message);
        }
    }
}
