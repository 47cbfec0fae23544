//! The engine: runs a plan on the machine's cores and returns a [`Report`] of what happened.
//!
//! [`run`] follows the drawing in the crate's docs. Each phase is a module here. The code that tasks run on bytes is in
//! the modules below: `input`, `record`, `map`, `shuffle`, `reduce`, `output`.

mod bad;
mod certain;
mod coverage;
mod folding;
mod in_order;
mod job;
mod map;
mod output;
mod overflow;
mod panicking;
mod ranges;
mod read;
mod reduce;
mod runs;
mod sample;
mod sizes;
mod sorted;
mod space;
mod ungrouped;

use std::time::Instant;

use crate::error::{Error, Result};
use crate::input::planned;
use crate::map::emit::GroupFields;
use crate::output::sequence::Sequencer;
use crate::output::{Committed, Order, SortKeys};
use crate::panics;
use crate::plan::{Groups, Plan, Rows};
use crate::report::event::PhaseName::{self, Map, Output, Reduce};
use crate::report::event::What;
use crate::report::tally::Tally;
use crate::report::{PhaseSeconds, Report, SettingsAsRun, SourceAttempt, Status, TaskAttempt};
pub use crate::run::Control;
use crate::shuffle::Aggregation;
use crate::table::KeyOrder;
use job::{Job, JobRecord};
pub use sample::{Findings, Sample};
pub use sizes::Sizes;
use sorted::SortedRuns;

/// A job that failed: the error, and the report of what happened until then.
#[derive(Debug)]
pub struct Failed {
    pub error: Error,
    pub report: Box<Report>,
}

/// Runs the plan and publishes its result as the last step. A result directory is published together with the report.
pub fn run(plan: &Plan, control: &Control) -> Result<Report, Failed> {
    run_on(plan, control, None).map(|(report, _)| report)
}

/// Runs the plan on a part of its input, and returns what the sample shows beside the report.
pub fn sample(plan: &Plan, control: &Control, sample: Sample) -> Result<(Report, Findings), Failed> {
    run_on(plan, control, Some(sample))
}

fn run_on(plan: &Plan, control: &Control, sample: Option<Sample>) -> Result<(Report, Findings), Failed> {
    let started = Instant::now();
    let mut phases = PhaseSeconds::default();
    let mut findings = Findings::default();
    let (result, sizes, record) = match caught(|| Job::new(plan, control)) {
        Ok(mut job) => {
            if let Some(sample) = sample {
                job.sizes.block = job.sizes.block.min(sample.block);
                job.sizes.fill = job.sizes.fill.min(job.sizes.block);
                job.sample = Some(sample);
            }
            let result = caught(|| pipeline(&job, &mut phases));
            findings = job.sample.take().map(Sample::into_findings).unwrap_or_default();
            (result, Some(job.sizes), job.into_record())
        }
        Err(error) => (Err(error), None, JobRecord::default()),
    };
    let mut report = report(plan, sizes, record, phases);
    report.wall_seconds = started.elapsed().as_secs_f64();
    let sealed = result.and_then(|committed| caught(|| committed.seal(&report)));
    match sealed {
        Ok(()) => Ok((report, findings)),
        Err(error) => {
            (report.status, report.error) = (Status::Failed, Some(error.to_string()));
            Err(Failed { error, report: Box::new(report) })
        }
    }
}

/// Turns a panic outside of any attempt into an error of the job.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    panics::caught(|| "the job".into(), work)
}

/// Splits ─► runs ─► parts ─► commit. In a job without groups: splits ─► parts ─► commit.
fn pipeline(job: &Job<'_>, phases: &mut PhaseSeconds) -> Result<Committed> {
    space::check(job)?;
    let parts = match &job.plan.rows {
        Rows::Groups(groups) => {
            let grouping = Grouping::new(groups);
            let runs = timed(job, Map, &mut phases.map, || map::map(job, &grouping))?;
            bad::judge(job, true)?;
            if let Some(sample) = &job.sample {
                sample.observe(job, &runs, map::growth(job, &grouping))?;
            }
            timed(job, Reduce, &mut phases.reduce, || reduce::reduce(job, &grouping, &runs))?
        }
        Rows::Records { sort } => timed(job, Map, &mut phases.map, || ungrouped::map(job, sort.as_ref()))?,
    };
    timed(job, Output, &mut phases.output, || {
        planned::check_all(&job.plan.sources, job.pool.threads())?;
        output::output(job, parts)
    })
}

/// The rows that the reduce phase, or the map phase of a job without groups, hands to the output phase.
#[derive(Debug)]
enum FinishedRows {
    /// `Sequenced`: lines already written to the target. `Staged`: lines written to a file of the spill directory,
    /// because the target can't be taken back and the job may still fail. `Sorted`: runs of rows that are yet to be
    /// sorted.
    Sequenced(Sequencer),
    Staged(Sequencer),
    Sorted(SortedRuns),
}

/// How records are grouped, in the form that map and reduce attempts need.
#[derive(Debug)]
struct Grouping<'p> {
    groups: &'p Groups,
    aggregation: Aggregation<'p>,
    fields: GroupFields,
}

impl<'p> Grouping<'p> {
    fn new(groups: &'p Groups) -> Self {
        let (observed, kinds): (Vec<_>, Vec<_>) = groups.observed.iter().copied().unzip();
        Grouping {
            groups,
            aggregation: Aggregation::new(groups.aggregates.iter().map(|aggregate| &**aggregate).collect(), &kinds),
            fields: GroupFields { key: groups.key.clone(), observed },
        }
    }

    /// Returns the order in which reduce tasks make rows. A sample is never divided by keys: its partitions must hold a
    /// random part of them.
    fn order(&self, job: &Job<'_>) -> RowOrder<'p> {
        match (&self.groups.order, self.groups.key_order()) {
            (Order::Free, _) => RowOrder::Free,
            (Order::By(_), Some(order)) if job.sample.is_none() => RowOrder::OfKeys(order),
            (Order::By(keys), _) => RowOrder::Sorted(keys),
        }
    }

    /// Whether all records make one group. That group exists even if there are no records.
    fn is_one_group(&self) -> bool {
        self.groups.key.is_empty()
    }
}

/// The order in which reduce tasks make rows.
#[derive(Clone, Copy, Debug)]
enum RowOrder<'p> {
    Free,
    /// The order of the keys, in which the partitions are, too.
    OfKeys(KeyOrder),
    /// Any order: the rows are sorted afterwards, by these.
    Sorted(&'p SortKeys),
}

impl RowOrder<'_> {
    fn of_keys(self) -> Option<KeyOrder> {
        match self {
            RowOrder::OfKeys(order) => Some(order),
            RowOrder::Free | RowOrder::Sorted(_) => None,
        }
    }
}

fn timed<T>(job: &Job<'_>, name: PhaseName, seconds: &mut f64, phase: impl FnOnce() -> Result<T>) -> Result<T> {
    job.note(What::PhaseBegun(name));
    let started = Instant::now();
    let result = phase();
    *seconds = started.elapsed().as_secs_f64();
    job.note(What::PhaseEnded(name));
    result
}

fn report(plan: &Plan, sizes: Option<Sizes>, record: JobRecord, phases: PhaseSeconds) -> Report {
    let JobRecord { events, won, mut bad, covered, certain_ranks } = record;
    bad.sort_by_key(|bad| bad.number);
    let reported = bad.iter().flat_map(|bad| &bad.reported).take(bad::MOST_REPORTED);
    let bad_records = reported.map(|record| record.told(&plan.sources)).collect();
    let (status, missing, coverage) = match covered {
        Some((missing, coverage)) if !missing.is_empty() => (Status::Partial, missing, Some(coverage)),
        _ => (Status::Succeeded, Vec::new(), None),
    };
    let tally = Tally::of(&events, &won);
    let workers = tally.workers(plan.settings.threads, phases.map + phases.reduce);
    let name = |source: usize| plan.sources[source].name().into_owned();
    let named = tally.tasks.into_iter().map(|(_, extent, task)| match extent.from {
        Some((source, offset)) => TaskAttempt { input: Some(name(source)), offset: Some(offset), ..task },
        None => task,
    });
    let source_attempts = tally.source_attempts.into_iter();
    let source_attempts = source_attempts.map(|(of, attempt)| SourceAttempt { source: name(of), ..attempt }).collect();
    Report {
        mapfold: env!("CARGO_PKG_VERSION"),
        job: plan.job.clone(),
        status,
        error: None,
        wall_seconds: 0.0,
        phase_seconds: phases,
        peak_rss_bytes: peak_rss(),
        settings: SettingsAsRun {
            threads: plan.settings.threads,
            memory_bytes: plan.settings.memory,
            split_size_bytes: sizes.map_or(0, |sizes| sizes.split),
            partitions: sizes.map_or(0, |sizes| sizes.partitions),
            combiner: plan.settings.combiner.name(),
            scheduler: plan.settings.scheduler.name(),
        },
        counters: tally.counters,
        tasks: named.collect(),
        source_attempts,
        workers,
        bad_records,
        missing,
        coverage,
        certain_ranks: certain_ranks.filter(|_| status == Status::Partial),
        events,
    }
}

/// Resets the peak of resident memory that `peak_rss` reads, on systems that can do so.
pub fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Returns the peak resident memory of this process in bytes, mapped files included; 0 if the system doesn't tell.
fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
