//! The trace: draws a run as Chrome trace events, which Perfetto and chrome://tracing show. There is one process, with
//! one thread for the phases, one for each worker, and one for each source that has a reader of its own.
//!
//! The format is the [JSON object format][format]. Attempts, phases and the reading of sources are complete events
//! (`X`). A moment is an instant event (`i`). Times are microseconds since the run began.
//!
//! [format]: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::event::{AttemptId, Event, Extent, PhaseName, ReadStep, SourceEnd, SourceRead, What};
use super::{Report, json};
use crate::error::{Error, Result};

/// The only process.
const PROCESS: usize = 1;
/// The thread of the phases. The threads of workers come after it, and then those of sources.
const PHASES: usize = 1;

#[derive(Debug, Serialize)]
struct Trace<'a> {
    #[serde(rename = "traceEvents")]
    events: Vec<TraceEvent>,
    #[serde(rename = "displayTimeUnit")]
    unit: &'static str,
    #[serde(rename = "otherData")]
    about: About<'a>,
}

#[derive(Debug, Serialize)]
struct About<'a> {
    mapfold: &'a str,
    status: super::Status,
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct TraceEvent {
    name: String,
    #[serde(flatten)]
    when: When,
    pid: usize,
    tid: usize,
    args: Value,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "ph")]
enum When {
    /// An event with a beginning and a duration.
    #[serde(rename = "X")]
    Complete { cat: &'static str, ts: f64, dur: f64 },
    /// A moment. `s` is `t` to mark its thread, and `p` to mark the whole process.
    #[serde(rename = "i")]
    Instant { cat: &'static str, ts: f64, s: char },
    /// The name of a process or thread, or its place in the list.
    #[serde(rename = "M")]
    Metadata,
}

/// Writes the trace of a run. `inputs` are the names of its sources. A file that exists is replaced.
pub fn write(report: &Report, inputs: &[String], path: &Path) -> Result<()> {
    let text = serde_json::to_vec(&trace(report, inputs));
    let mut text = text.map_err(|e| Error::Output { path: path.to_owned(), source: e.into() })?;
    text.push(b'\n');
    json::replace(path, &text)
}

fn trace<'a>(report: &'a Report, inputs: &[String]) -> Trace<'a> {
    let mut drawing = Drawing::new(report.settings.threads, inputs);
    for event in &report.events {
        drawing.draw(event);
    }
    drawing.name_threads();
    Trace {
        events: drawing.events,
        unit: "ms",
        about: About { mapfold: report.mapfold, status: report.status, error: report.error.as_deref() },
    }
}

/// Events drawn so far, and the beginnings of what hasn't ended yet.
struct Drawing<'a> {
    threads: usize,
    inputs: &'a [String],
    attempts: HashMap<AttemptId, Begun>,
    phases: HashMap<PhaseName, f64>,
    /// When each source began to be read, by its index.
    sources: HashMap<usize, f64>,
    events: Vec<TraceEvent>,
}

struct Begun {
    at: f64,
    worker: usize,
    seeded: usize,
    extent: Extent,
}

impl<'a> Drawing<'a> {
    fn new(threads: usize, inputs: &'a [String]) -> Self {
        Drawing {
            threads,
            inputs,
            attempts: HashMap::new(),
            phases: HashMap::new(),
            sources: HashMap::new(),
            events: Vec::new(),
        }
    }

    fn draw(&mut self, event: &Event) {
        let at = 1e6 * event.at_s;
        match &event.what {
            &What::Begun { attempt, worker, seeded, extent } => {
                if worker != seeded {
                    let args = json!({"from": format!("worker-{seeded}")});
                    self.instant(at, 't', worker_thread(worker), format!("stolen {}", attempt.task), args);
                }
                self.attempts.insert(attempt, Begun { at, worker, seeded, extent });
            }
            What::Won { attempt, records, .. } => self.attempt(at, *attempt, "won", Some(*records), None),
            What::Lost { attempt } => self.attempt(at, *attempt, "lost", None, None),
            What::Failed { attempt, error } => self.attempt(at, *attempt, "failed", None, Some(error)),
            What::Speculated { attempt } => self.instant(at, 't', PHASES, format!("{attempt} speculated"), json!({})),
            What::Remade { attempt } => self.instant(at, 't', PHASES, format!("{attempt} remade"), json!({})),
            What::Discarded => self.instant(at, 'p', PHASES, "forgotten".into(), json!({})),
            What::Written { rows } => self.instant(at, 't', PHASES, "written".into(), json!({"rows": rows})),
            What::PhaseBegun(phase) => drop(self.phases.insert(*phase, at)),
            What::PhaseEnded(phase) => {
                let begun = self.phases.remove(phase).unwrap_or(at);
                self.complete(("phase", begun, at), PHASES, phase.name().into(), json!({}));
            }
            What::SourceBegun { source } => drop(self.sources.insert(*source, at)),
            What::SourceEnded { source, read } => {
                let begun = self.sources.remove(source).unwrap_or(at);
                self.source(begun, at, *source, read);
            }
            What::SourceStep { source, attempt, step } => {
                let (what, args) = match step {
                    ReadStep::Speculated => ("speculated", json!({"attempt": attempt})),
                    ReadStep::Won => ("won", json!({"attempt": attempt})),
                    ReadStep::Lost => ("lost", json!({"attempt": attempt})),
                    ReadStep::Failed(error) => ("failed", json!({"attempt": attempt, "error": error})),
                };
                self.instant(at, 't', self.source_thread(*source), format!("attempt {attempt} {what}"), args);
            }
        }
    }

    fn attempt(&mut self, at: f64, id: AttemptId, outcome: &str, records: Option<u64>, error: Option<&str>) {
        let Some(begun) = self.attempts.remove(&id) else { return };
        let Begun { worker, seeded, extent, .. } = begun;
        let mut args = Map::new();
        args.insert("attempt".into(), id.attempt.into());
        if let Some((source, offset)) = extent.from {
            args.insert("input".into(), self.inputs[source].as_str().into());
            args.insert("offset".into(), offset.into());
        }
        args.insert("bytes".into(), extent.bytes.into());
        if let Some(records) = records {
            args.insert("records".into(), records.into());
        }
        args.insert("stolen".into(), (worker != seeded).into());
        args.insert("outcome".into(), outcome.into());
        let thread = worker_thread(worker);
        if let Some(error) = error {
            args.insert("error".into(), error.into());
            self.instant(at, 't', thread, format!("failed {id}"), json!({"error": error}));
        }
        self.complete(("attempt", begun.at, at), thread, id.task.to_string(), args.into());
    }

    fn source(&mut self, begun: f64, at: f64, source: usize, read: &SourceRead) {
        let SourceRead { bytes, first_byte_s, reading_s, end } = *read;
        let outcome = match end {
            SourceEnd::Whole => "whole",
            SourceEnd::Stopped => "stopped",
            SourceEnd::TimedOut => "timed out",
            SourceEnd::Failed => "failed",
        };
        let args = json!({
            "bytes": bytes, "first_byte_s": first_byte_s, "reading_s": reading_s, "outcome": outcome,
        });
        let (thread, name) = (self.source_thread(source), self.inputs[source].clone());
        if let SourceEnd::TimedOut | SourceEnd::Failed = end {
            self.instant(at, 't', thread, format!("{outcome} {name}"), json!({"bytes": bytes}));
        }
        self.complete(("source", begun, at), thread, name, args);
    }

    fn source_thread(&self, source: usize) -> usize {
        worker_thread(self.threads) + source
    }

    fn complete(&mut self, (cat, begun, ended): (&'static str, f64, f64), tid: usize, name: String, args: Value) {
        let when = When::Complete { cat, ts: begun, dur: ended - begun };
        self.events.push(TraceEvent { name, when, pid: PROCESS, tid, args });
    }

    fn instant(&mut self, at: f64, s: char, tid: usize, name: String, args: Value) {
        let when = When::Instant { cat: "event", ts: at, s };
        self.events.push(TraceEvent { name, when, pid: PROCESS, tid, args });
    }

    /// Names the threads: one for each worker, even if it did nothing, and one for each source that was read.
    fn name_threads(&mut self) {
        let workers = (0..self.threads).map(|worker| (worker_thread(worker), format!("worker-{worker}")));
        let mut threads: Vec<_> = [(PHASES, "phases".to_owned())].into_iter().chain(workers).collect();
        let first = worker_thread(self.threads);
        let mut read: Vec<_> = self.events.iter().map(|event| event.tid).filter(|&thread| thread >= first).collect();
        read.sort_unstable();
        read.dedup();
        threads.extend(read.into_iter().map(|thread| (thread, self.inputs[thread - first].clone())));
        let metadata = |name: &str, tid, args| {
            let when = When::Metadata;
            TraceEvent { name: name.into(), when, pid: PROCESS, tid, args }
        };
        self.events.push(metadata("process_name", PHASES, json!({"name": "mapfold"})));
        for (thread, name) in threads {
            self.events.push(metadata("thread_name", thread, json!({"name": name})));
            self.events.push(metadata("thread_sort_index", thread, json!({"sort_index": thread})));
        }
    }
}

fn worker_thread(worker: usize) -> usize {
    PHASES + 1 + worker
}
