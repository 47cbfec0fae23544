//! Predicts the whole job's counters, time and memory from a run on a sample of its input.
//!
//! ```text
//! bytes, records, mapped records     in proportion to the bytes of input
//! keys                               estimated in `keys`
//! rows to shuffle                    the rows of a task, times the tasks. If the sample's tasks are shorter than the
//!                                    job's: a table that was full goes on writing rows at the same rate; any other
//!                                    writes the rows that it would, as it grows, for so many more keys
//! bytes to shuffle, on disk          in proportion to the rows; output runs in proportion to the keys
//! time                               map in proportion to the bytes, divided among the threads; reduce in proportion
//!                                    to the rows; output in proportion to the keys
//! memory                             the sample's, and what longer tasks map and buffer in addition
//! ```

use serde::Serialize;

use super::keys::{Estimate, Keys};
use super::sampling::{Sampled, Sampler};
use crate::map::Combiner;
use crate::map::emit::{CurvePoint, OutputCurve};
use crate::plan::{Plan, Rows};
use crate::report::Report;

/// The figures of a run, counted or predicted. Their names are those of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub map_input_bytes: f64,
    pub map_input_records: f64,
    pub bad_records: f64,
    pub map_output_records: f64,
    /// The number of keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduce_input_groups: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_output_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduce_input_records: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduce_shuffle_bytes: Option<f64>,
    pub spilled_bytes: f64,
    pub peak_rss_bytes: f64,
    pub wall_seconds: f64,
}

/// Rows and bytes to shuffle with one setting of the combiner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shuffle {
    pub rows: f64,
    pub bytes: f64,
}

/// What the job would shuffle with each setting of the combiner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Combining {
    /// The job's setting.
    pub set: &'static str,
    pub on: Shuffle,
    pub off: Shuffle,
    pub auto: Shuffle,
    /// The share of the mapped records that `auto` combines.
    pub auto_combines: f64,
}

/// The figures predicted for the whole job, and how much was read to predict them.
#[derive(Clone, Debug, Serialize)]
pub struct Prediction {
    /// Whether everything was read.
    pub is_exact: bool,
    pub sample_bytes: u64,
    pub sample_seconds: f64,
    pub pieces: usize,
    pub figures: Figures,
    /// The bounds of the number of keys. If everything was read, both are the number of keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combiner: Option<Combining>,
    /// The first bad record, and why it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_bad: Option<(String, String)>,
    /// The share of the input after which a limit has its rows, if the job ends there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_share: Option<f64>,
}

impl Figures {
    /// Returns the figures that a run counted.
    pub fn of(report: &Report, is_grouped: bool) -> Figures {
        let c = &report.counters;
        let of_groups = |n: u64| is_grouped.then_some(n as f64);
        Figures {
            map_input_bytes: c.map_input_bytes as f64,
            map_input_records: c.map_input_records as f64,
            bad_records: c.bad_records as f64,
            map_output_records: c.map_output_records as f64,
            reduce_input_groups: of_groups(c.reduce_input_groups),
            map_output_bytes: of_groups(c.map_output_bytes),
            reduce_input_records: of_groups(c.reduce_input_records),
            reduce_shuffle_bytes: of_groups(c.reduce_shuffle_bytes),
            spilled_bytes: c.spilled_bytes as f64,
            peak_rss_bytes: report.peak_rss_bytes as f64,
            wall_seconds: report.wall_seconds,
        }
    }
}

/// The extent of the whole job, to scale the sample's figures by.
struct Whole<'a> {
    plan: &'a Plan,
    sampler: &'a Sampler<'a>,
    /// Bytes of input, decompressed.
    bytes: f64,
    /// Numbers of map tasks, each with the bytes that every one of these tasks reads.
    tasks: Vec<(f64, f64)>,
}

impl<'a> Whole<'a> {
    fn new(plan: &'a Plan, sampler: &'a Sampler<'a>, sampled: &Sampled) -> Self {
        let unpacked = sampler.packed as f64 * ratio(sampled.unpacked as f64, sampled.packed as f64);
        let (split, block) = (sampler.sizes.split as f64, sampler.sizes.block as f64);
        let plain = sampler.plain as f64;
        let packed_files = plan.sources.iter().filter(|source| source.is_file() && source.is_stream()).count();
        let blocks = (unpacked / block).ceil().max(packed_files as f64);
        let tasks = [((plain / split).floor(), split), (1.0, plain % split), (blocks, ratio(unpacked, blocks))];
        let tasks = tasks.into_iter().filter(|(number, bytes)| number * bytes > 0.0).collect();
        Whole { plan, sampler, bytes: plain + unpacked, tasks }
    }

    /// Returns the number of map tasks, at least 1.
    fn number(&self) -> f64 {
        self.tasks.iter().map(|(number, _)| number).sum::<f64>().max(1.0)
    }

    /// Returns the bytes of the largest map task.
    fn largest(&self) -> f64 {
        self.tasks.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max)
    }

    /// Returns how many times as large as the sample the whole job is.
    fn times(&self, sampled: &Sampled) -> f64 {
        if sampled.is_all { 1.0 } else { ratio(self.bytes, sampled.report.counters.map_input_bytes as f64).max(1.0) }
    }

    /// Returns the number of pieces, as large as the sample's, in the whole input.
    fn pieces(&self, sampled: &Sampled) -> f64 {
        self.times(sampled) * sampled.findings.met.len() as f64
    }

    /// Predicts the rows and bytes in the runs of all tasks.
    fn shuffle(&self, sampled: &Sampled, keys: &Keys) -> Shuffle {
        let c = &sampled.report.counters;
        let (rows, bytes) = (c.reduce_input_records as f64, c.reduce_shuffle_bytes as f64);
        let times = self.times(sampled);
        if sampled.is_all || sampled.by_splits {
            return Shuffle { rows: rows * times, bytes: bytes * times };
        }
        let mapped = c.map_output_records as f64 * times;
        let curves = &sampled.findings.curves;
        let rows_of = |&(number, bytes): &(f64, f64)| {
            let records = mapped * ratio(bytes, self.bytes);
            number * curves.iter().map(|curve| rows_after(sampled, curve, keys, records)).sum::<f64>()
        };
        let all = self.tasks.iter().map(rows_of).sum::<f64>() / (curves.len() as f64).max(1.0);
        // Every key has at least one row, because no task combines what other tasks have. Every mapped record has at
        // most one row.
        let all = all.min(mapped).max(keys.of(self.pieces(sampled)).found.min(mapped));
        Shuffle { rows: all, bytes: all * ratio(bytes, rows) }
    }
}

/// Predicts the rows that a task makes of `records` records if it goes on as the sample's task with this curve began.
fn rows_after(sampled: &Sampled, curve: &OutputCurve, keys: &Keys, records: f64) -> f64 {
    let Some(&last) = curve.last() else { return 0.0 };
    if last.records == 0 {
        return 0.0;
    }
    let (seen, end) = (last.records as f64, rows_of(&last));
    if records <= seen {
        return at(curve, records);
    }
    if last.written > 0 {
        // The table was full, so the task goes on writing rows as it did in its second half.
        let half = curve.iter().find(|reached| reached.records * 2 >= last.records).unwrap_or(&last);
        let slope = ratio(end - rows_of(half), seen - half.records as f64);
        let slope = if slope > 0.0 { slope } else { end / seen };
        return end + slope * (records - seen);
    }
    let growth = sampled.findings.growth;
    let one = keys.of(1.0).found.max(1.0);
    // The task gets as many more keys as other pieces bring. Other pieces may be less like this piece than what comes
    // next to it.
    let keys_of = |r: f64| if r <= seen { at(curve, r) } else { end * keys.of(r / seen).found / one };
    growth.map_or(keys_of(records), |growth| growth.rows(records, keys_of))
}

fn rows_of(reached: &CurvePoint) -> f64 {
    (reached.written + reached.held) as f64
}

/// Returns a task's rows after `records` records.
fn at(curve: &OutputCurve, records: f64) -> f64 {
    let mut before = CurvePoint { records: 0, written: 0, held: 0 };
    for reached in curve {
        if reached.records as f64 >= records {
            let share = ratio(records - before.records as f64, (reached.records - before.records) as f64);
            return rows_of(&before) + share * (rows_of(reached) - rows_of(&before));
        }
        before = *reached;
    }
    rows_of(&before)
}

fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

/// Predicts the whole job from the sample `main`. `others` are samples with other settings of the combiner, as far as
/// they were needed.
pub fn predict(plan: &Plan, sampler: &Sampler<'_>, main: &Sampled, others: &[Sampled]) -> Prediction {
    let whole = Whole::new(plan, sampler, main);
    let times = whole.times(main);
    let is_grouped = matches!(plan.rows, Rows::Groups(_));
    let seen = Figures::of(&main.report, is_grouped);
    let keys = Keys::new(&main.findings.met);
    let estimate = match &plan.rows {
        Rows::Groups(groups) if groups.key.is_empty() => Some(Estimate { low: 1.0, found: 1.0, high: 1.0 }),
        Rows::Groups(_) if main.is_all => {
            seen.reduce_input_groups.map(|found| Estimate { low: found, found, high: found })
        }
        Rows::Groups(_) => Some(bounded(keys.of(whole.pieces(main)), seen.map_output_records * times)),
        Rows::Records { .. } => None,
    };
    let combiner = is_grouped.then(|| combining(plan, &whole, main, others, &keys));
    let set = combiner.as_ref().map(|combining| match plan.settings.combiner {
        Combiner::On => combining.on,
        Combiner::Off => combining.off,
        Combiner::Auto => combining.auto,
    });
    // A limit without an order ends the reading.
    let mapped = seen.map_output_records * times;
    let read_share = match (&plan.rows, plan.limit) {
        (Rows::Records { sort: None }, Some(limit)) if (limit as f64) < mapped => Some(limit as f64 / mapped),
        _ => None,
    };
    let part = read_share.unwrap_or(1.0);
    let grown = ratio(estimate.map_or(0.0, |estimate| estimate.found), seen.reduce_input_groups.unwrap_or(0.0));
    let shuffled = set.map_or(times, |set| ratio(set.bytes, seen.reduce_shuffle_bytes.unwrap_or(0.0)));
    let c = &main.report.counters;
    let runs = c.map_output_materialized_bytes as f64;
    // The bytes of runs that aren't rows come once per task.
    let around = runs - seen.reduce_shuffle_bytes.unwrap_or(runs);
    let tasks = if main.is_all { 1.0 } else { ratio(whole.number(), main.pieces() as f64) };
    let is_sorted_later = matches!(&plan.rows, Rows::Groups(groups) if groups.are_sorted_later());
    let spilled = match set {
        _ if main.is_all => seen.spilled_bytes,
        Some(set) if is_sorted_later => set.bytes + around * tasks + (seen.spilled_bytes - runs) * grown,
        Some(set) => set.bytes + around * tasks,
        None => seen.spilled_bytes * times * part,
    };
    Prediction {
        is_exact: main.is_all && read_share.is_none() && sampler.passed_over.is_empty(),
        sample_bytes: c.map_input_bytes,
        sample_seconds: main.report.wall_seconds + others.iter().map(|other| other.report.wall_seconds).sum::<f64>(),
        pieces: main.pieces(),
        figures: Figures {
            map_input_bytes: if main.is_all { seen.map_input_bytes } else { whole.bytes } * part,
            map_input_records: seen.map_input_records * times * part,
            bad_records: seen.bad_records * times * part,
            map_output_records: mapped * part,
            reduce_input_groups: estimate.map(|estimate| estimate.found),
            map_output_bytes: seen.map_output_bytes.map(|bytes| bytes * times),
            reduce_input_records: set.map(|set| set.rows),
            reduce_shuffle_bytes: set.map(|set| set.bytes),
            spilled_bytes: spilled,
            peak_rss_bytes: memory(&whole, main, set),
            wall_seconds: seconds(&whole, main, part, shuffled, grown),
        },
        keys: estimate.map(|estimate| (estimate.low, estimate.high)),
        combiner,
        first_bad: main.report.bad_records.first().map(|bad| (bad.record.clone(), bad.why.clone())),
        read_share,
    }
}

/// Limits an estimate of keys to the number of records.
fn bounded(estimate: Estimate, records: f64) -> Estimate {
    let Estimate { low, found, high } = estimate;
    Estimate { low: low.min(records), found: found.min(records), high: high.min(records) }
}

fn combining(plan: &Plan, whole: &Whole<'_>, main: &Sampled, others: &[Sampled], keys: &Keys) -> Combining {
    let with = |combiner| std::iter::once(main).chain(others).find(|sampled| sampled.combiner == combiner);
    let c = &main.report.counters;
    let times = whole.times(main);
    let off = Shuffle { rows: c.map_output_records as f64 * times, bytes: c.map_output_bytes as f64 * times };
    let auto_sample = with(Combiner::Auto);
    let auto = auto_sample.map_or(off, |sampled| whole.shuffle(sampled, keys));
    Combining {
        set: plan.settings.combiner.name(),
        on: with(Combiner::On).map_or(auto, |sampled| whole.shuffle(sampled, keys)),
        off,
        auto,
        auto_combines: auto_sample.map_or(0.0, |sampled| {
            let c = &sampled.report.counters;
            ratio(c.combine_input_records as f64, c.map_output_records as f64)
        }),
    }
}

fn seconds(whole: &Whole<'_>, main: &Sampled, part: f64, shuffled: f64, grown: f64) -> f64 {
    let report = &main.report;
    if main.is_all && part == 1.0 {
        return report.wall_seconds;
    }
    let phases = report.phase_seconds;
    let busy: f64 = main.tasks().map(|task| task.end_s - task.start_s).sum();
    let threads = (report.settings.threads as f64).min(whole.number());
    let begin = (report.wall_seconds - phases.map - phases.reduce - phases.output).clamp(0.0, 0.01);
    let output = if grown > 0.0 { phases.output * grown } else { phases.output };
    begin + busy * whole.times(main) * part / threads + phases.reduce * shuffled + output
}

fn memory(whole: &Whole<'_>, main: &Sampled, set: Option<Shuffle>) -> f64 {
    if main.is_all {
        return main.peak as f64;
    }
    let sizes = &whole.sampler.sizes;
    let threads = (main.report.settings.threads as f64).min(whole.number());
    let c = &main.report.counters;
    let pieces = (main.pieces() as f64).max(1.0);
    // Files are mapped into memory, and a task's bytes count while the task reads them.
    let mapped = (whole.largest() - c.map_input_bytes as f64 / pieces).max(0.0);
    let most = (sizes.partitions * sizes.page(sizes.partitions)) as f64;
    let buffered = set
        .map_or(0.0, |set| (set.bytes / whole.number()).min(most) - (c.reduce_shuffle_bytes as f64 / pieces).min(most));
    (main.peak as f64 + threads * (mapped + buffered.max(0.0)))
        .min(main.peak as f64 + whole.plan.settings.memory as f64 + threads * whole.largest())
}
