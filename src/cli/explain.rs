//! `mapfold explain`: describes what a job does with its inputs, and predicts its counters, memory and time from a
//! sample. The sample runs the job itself on pieces of the files.
//!
//! ```text
//! spec, inputs ─► plan ─► description                                     plan.rs
//!                   ├───► sample ─► engine ─► findings ─► prediction      sampling.rs, predict.rs, keys.rs
//! with --run        └───► engine ─► counters, beside the prediction       render.rs
//! ```

mod keys;
mod plan;
mod predict;
mod render;
mod sampling;
mod wording;

use std::ffi::OsString;

use anyhow::Context;
use clap::ArgAction;
use serde::Serialize;

use super::job::{AskedJob, JobArgs};
use super::{closed, help, line, signals, stdout_is_closed, to_stderr, to_stdout, warn_of_left};
use crate::engine;
use crate::error::{Error, Result, shown};
use crate::input::sources::Stdin;
use crate::map::Combiner;
use crate::output::TerminalGuard;
use crate::plan::{self as planned, Invocation, Rows};
use crate::report::{Status, summary};
use crate::run::Control;
use crate::schema::size;
use crate::spec::Input;
use plan::Description;
use predict::{Figures, Prediction};
use sampling::{Sampled, Sampler};

const EXAMPLES: &str = "\
Examples:
  mapfold explain wordcount book.txt
  mapfold explain my.json --combiner off logs/
  mapfold explain my.json --run -o out.tsv logs/   compare with the job
Commands and pipes are not part of the sample.";

/// Show the plan of a job, and predict from a sample what it will take
#[derive(clap::Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = help::after_long(EXAMPLES),
    disable_help_flag = true
)]
pub struct Args {
    #[command(flatten)]
    job: JobArgs,

    /// Also run the job, and compare with the prediction
    ///
    /// The job's result goes where mapfold run would write it. The output of explain goes to standard error.
    #[arg(long, help_heading = help::WHAT_HAPPENED, display_order = 0)]
    run: bool,

    /// Print the plan and the prediction as JSON
    #[arg(long, help_heading = help::WHAT_HAPPENED, display_order = 1)]
    json: bool,

    /// Size of the sample  [default: half a second of reading]
    ///
    /// A larger sample makes a better prediction; with all of the input the counts are exact. By default the sample is as
    /// much as can be read in half a second, at most 64 MiB.
    #[arg(long, value_name = "SIZE", help_heading = help::WHAT_HAPPENED, display_order = 2)]
    sample: Option<String>,

    /// Where --run writes the result  [default: stdout]
    #[arg(short, long, value_name = "PATH", help_heading = help::OUTPUT, display_order = 0)]
    output: Option<OsString>,

    /// Replace an output that exists
    #[arg(long, help_heading = help::OUTPUT, display_order = 101)]
    force: bool,

    /// Print a short help; --help prints a long one
    #[arg(short, long, action = ArgAction::Help, help_heading = help::WHAT_HAPPENED)]
    help: Option<bool>,
}

/// Everything that the command says.
#[derive(Serialize)]
struct Explained {
    mapfold: &'static str,
    job: String,
    plan: Description,
    /// The inputs that are not in the sample.
    not_sampled: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted: Option<Prediction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<Figures>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut job = args.job.load()?;
    if job.spec.input.is_empty() || job.spec.input.iter().any(Input::is_stdin) {
        return Err(Error::usage_hint(
            "standard input can be read only once, but explain reads a sample before the job reads it",
            "name a file: mapfold explain wordcount book.txt",
        )
        .into());
    }
    if closed::stdout() {
        return Err(stdout_is_closed().into());
    }
    let output = job.output(args.output.as_ref());
    let bytes = args.sample.as_deref().map(sample_bytes).transpose()?;
    let control = Control::new(TerminalGuard(|write| line::aside(write)));
    let armed = signals::watch(&control.signal).context("cannot watch for signals")?;
    let call = Invocation {
        origin: job.origin.clone(),
        unordered: args.job.changes.unordered,
        output,
        force: args.force,
        stdin: Stdin { held_spec: job.from_stdin, ..Stdin::default() },
        signal: control.signal.clone(),
        ..Invocation::default()
    };
    let plan = signals::watched(&control, &armed, signals::PLANNING, || planned::resolve(&job.spec, &call))?;
    if !args.run {
        plan.sources.forget_begun();
    }
    let title = shown(job.spec.name.as_ref().unwrap_or(&job.origin));
    let sampler = Sampler::new(&job.spec, &call, &plan);
    let mut explained = Explained {
        mapfold: env!("CARGO_PKG_VERSION"),
        job: title,
        plan: Description::of(&plan),
        not_sampled: sampler.passed_over.iter().map(shown).collect(),
        predicted: None,
        actual: None,
    };
    let say = |text: &str| -> Result<()> {
        if args.run {
            to_stderr(text);
            return Ok(());
        }
        to_stdout(text)
    };
    let by_line = |text: String| if args.json { Ok(()) } else { say(&text) };
    by_line(render::plan(&explained))?;
    if sampler.has_any() {
        let foreseen =
            signals::watched(&control, &armed, signals::RUNNING, || foresee(&plan, &sampler, bytes, &control));
        explained.predicted = Some(foreseen?);
    }
    by_line(render::prediction(&explained))?;
    if args.run {
        explained.actual = Some(actual(&job, &plan, &control, &armed)?);
        by_line(render::comparison(&explained))?;
    }
    if args.json {
        let text = serde_json::to_string_pretty(&explained).context("what is explained can't be told as JSON")?;
        say(&(text + "\n"))?;
    }
    Ok(())
}

fn sample_bytes(text: &str) -> Result<u64> {
    match size::parse(text) {
        Ok(0) => Err(Error::usage("--sample: must be at least 1, is 0")),
        Ok(bytes) => Ok(bytes),
        Err(why) => Err(Error::usage(format!("--sample: {why}"))),
    }
}

/// Takes samples and predicts from them: one sample with the job's combiner, and one with each other combiner that
/// might have done otherwise.
fn foresee(plan: &planned::Plan, sampler: &Sampler<'_>, bytes: Option<u64>, control: &Control) -> Result<Prediction> {
    let (main, enough) = sampler.take(bytes, control)?;
    let mut others: Vec<Sampled> = Vec::new();
    if let Rows::Groups(_) = plan.rows {
        let combined_all = |sampled: &Sampled| {
            let c = &sampled.report.counters;
            c.combine_input_records == c.map_output_records
        };
        if main.combiner != Combiner::Auto {
            others.push(sampler.run(enough, Combiner::Auto, control)?);
        }
        let auto = others.last().unwrap_or(&main);
        if main.combiner != Combiner::On && !combined_all(auto) {
            others.push(sampler.run(enough, Combiner::On, control)?);
        }
    }
    Ok(predict::predict(plan, sampler, &main, &others))
}

/// Runs the job as `mapfold run` does, and returns its figures.
fn actual(job: &AskedJob, plan: &planned::Plan, planning: &Control, armed: &signals::Armed) -> anyhow::Result<Figures> {
    // The job's time counts from now.
    let mut control = Control::new(TerminalGuard(|write| line::aside(write)));
    control.signal = planning.signal.clone();
    job.limit(&control);
    engine::forget_peak();
    let outcome = signals::watched(&control, armed, signals::RUNNING, || engine::run(plan, &control));
    warn_of_left(&control.temporaries);
    let report = outcome.map_err(|failed| failed.error)?;
    if report.status == Status::Partial {
        return Err(Error::Partial(summary::partial(&report)).into());
    }
    Ok(Figures::of(&report, matches!(plan.rows, Rows::Groups(_))))
}
