//! The report of a run: its events, and the counters, tasks and workers that are added up from them. It is written as
//! JSON for scripts, as a summary for people, as a trace, and as a history of the sources.
//!
//! Counter names are Hadoop's where Hadoop has one. `map_output_bytes` counts every map output record as the value row
//! that the shuffle would carry without a combiner. `reduce_shuffle_bytes` counts the rows that it did carry. Both add
//! up encoded row lengths, without page headers and index, of winning attempts, so their difference is what the
//! combiner saved. (Hadoop's "map output bytes" are serialised records without their length prefix, and its "reduce
//! shuffle bytes" are counted after compression and with the run's framing. There the difference mixes codec and
//! combiner.)

pub mod event;
#[cfg(test)]
mod example;
pub mod history;
pub mod json;
pub mod summary;
pub mod tally;
pub mod trace;

#[cfg(test)]
pub use example::example;

use serde::{Deserialize, Serialize};

use event::Event;

/// Counts of records, rows and bytes at each stage, of one attempt or of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub map_input_bytes: u64,
    pub map_input_records: u64,
    pub map_output_records: u64,
    pub map_output_bytes: u64,
    pub map_output_materialized_bytes: u64,
    pub combine_input_records: u64,
    pub combine_output_records: u64,
    pub reduce_shuffle_bytes: u64,
    /// `map_output_bytes - reduce_shuffle_bytes`; negative if states are longer than the records that they combine.
    pub shuffle_bytes_saved: i64,
    pub spilled_records: u64,
    pub spilled_bytes: u64,
    pub reduce_input_records: u64,
    pub reduce_input_groups: u64,
    pub reduce_output_records: u64,
    /// Sorted runs that reducing and sorting wrote because a partition didn't fit their memory.
    pub reduce_spills: u64,
    /// How often rows were divided into portions before they were folded.
    pub reduce_divisions: u64,
    /// Folds of some runs' rows of a partition that had more rows than one worker should fold alone.
    pub reduce_shares: u64,
    pub bad_records: u64,
    pub failed_attempts: u64,
    pub speculative_attempts: u64,
    pub stolen_tasks: u64,
}

impl Counters {
    /// Adds an attempt's counts.
    pub fn add(&mut self, more: &Counters) {
        self.map_input_bytes += more.map_input_bytes;
        self.map_input_records += more.map_input_records;
        self.map_output_records += more.map_output_records;
        self.map_output_bytes += more.map_output_bytes;
        self.map_output_materialized_bytes += more.map_output_materialized_bytes;
        self.combine_input_records += more.combine_input_records;
        self.combine_output_records += more.combine_output_records;
        self.reduce_shuffle_bytes += more.reduce_shuffle_bytes;
        self.shuffle_bytes_saved += more.shuffle_bytes_saved;
        self.spilled_records += more.spilled_records;
        self.spilled_bytes += more.spilled_bytes;
        self.reduce_input_records += more.reduce_input_records;
        self.reduce_input_groups += more.reduce_input_groups;
        self.reduce_output_records += more.reduce_output_records;
        self.reduce_spills += more.reduce_spills;
        self.reduce_divisions += more.reduce_divisions;
        self.reduce_shares += more.reduce_shares;
        self.bad_records += more.bad_records;
        self.failed_attempts += more.failed_attempts;
        self.speculative_attempts += more.speculative_attempts;
        self.stolen_tasks += more.stolen_tasks;
    }
}

/// How an attempt at a task, or at reading a source, ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its result counts.
    #[default]
    Won,
    /// Another attempt had won, or the task wasn't wanted any more.
    Lost,
    Failed,
}

/// An attempt at a task.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TaskAttempt {
    /// `map-00003` or `reduce-00012`.
    pub id: String,
    /// Counted from 0 for each task.
    pub attempt: u32,
    pub outcome: Outcome,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub worker: usize,
    /// The worker that the task was dealt to; `worker` if the scheduler deals nothing.
    pub seeded_worker: usize,
    pub start_s: f64,
    pub end_s: f64,
    /// First input of a map task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Bytes to read: of input by a map task, of runs by a reduce task.
    pub bytes: u64,
    /// Records read: of input by a map task, rows of runs by a reduce task. Counted only if the attempt won.
    pub records: u64,
}

/// An attempt at reading a source that was read in several attempts, or failed.
#[derive(Clone, Debug, Serialize)]
pub struct SourceAttempt {
    pub source: String,
    /// Counted from 0 for each source.
    pub attempt: u32,
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub start_s: f64,
    pub end_s: f64,
}

impl TaskAttempt {
    /// Whether the attempt won on a worker that the task wasn't dealt to.
    pub fn was_stolen(&self) -> bool {
        self.outcome == Outcome::Won && self.worker != self.seeded_worker
    }
}

/// A bad record, which is not in the result.
#[derive(Clone, Debug, Serialize)]
pub struct BadRecord {
    /// Where the record begins: `FILE:LINE`.
    pub record: String,
    pub why: String,
}

/// How one worker spent the run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WorkerReport {
    /// Seconds spent in attempts, whichever way they ended.
    pub busy_s: f64,
    /// The rest of the map and reduce phases, in seconds: waiting for a stream or for the last tasks of other workers,
    /// and the time before and after the tasks of a phase. The output phase counts in neither.
    pub idle_s: f64,
    /// Attempts that won.
    pub tasks: u64,
    pub stolen: u64,
}

/// How long each phase took, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PhaseSeconds {
    pub map: f64,
    pub reduce: f64,
    pub output: f64,
}

/// The settings of `run` as they were in effect, given or chosen.
#[derive(Clone, Debug, Serialize)]
pub struct SettingsAsRun {
    pub threads: usize,
    pub memory_bytes: u64,
    pub split_size_bytes: u64,
    pub partitions: usize,
    pub combiner: &'static str,
    pub scheduler: &'static str,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Succeeded,
    /// The result is made from a part of the input.
    Partial,
    Failed,
}

/// All that a run tells about itself. `--report` writes it as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub mapfold: &'static str,
    pub job: serde_json::Value,
    pub status: Status,
    pub error: Option<String>,
    pub wall_seconds: f64,
    pub phase_seconds: PhaseSeconds,
    pub peak_rss_bytes: u64,
    pub settings: SettingsAsRun,
    pub counters: Counters,
    pub tasks: Vec<TaskAttempt>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_attempts: Vec<SourceAttempt>,
    pub workers: Vec<WorkerReport>,
    /// The first bad records, if bad records are skipped.
    pub bad_records: Vec<BadRecord>,
    /// Parts of the input that are not in the result.
    pub missing: Vec<Missing>,
    /// How much of the input is in the result, if the result may be partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// The certain ranks, if the result is partial, sorted and has a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certain_ranks: Option<CertainRanks>,
    /// The events that all of this is made from, for a trace.
    #[serde(skip)]
    pub events: Vec<Event>,
}

/// A range of a source's records that are not in the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Missing {
    pub source: String,
    /// The records missing are those that begin at this byte or later (of the decompressed source), ...
    pub from: u64,
    /// ... and before this byte; `None` if the end of the source wasn't seen.
    pub to: Option<u64>,
    pub cause: String,
}

/// Ranks of a partial result that are certain, whatever the missing bytes hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CertainRanks {
    /// The first and last rank of each sequence of certain ranks, counted from 1.
    pub ranges: Vec<(u64, u64)>,
    /// Why no rank is known to be certain.
    pub unknown: Option<String>,
}

/// How much of the input is in a partial result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Coverage {
    /// Bytes read, decompressed.
    pub bytes: u64,
    /// Bytes of the whole input, decompressed; `None` if the end of a source wasn't seen.
    pub of_bytes: Option<u64>,
    /// Sources of which nothing is missing.
    pub sources: usize,
    pub of_sources: usize,
}
