//! The tally: adds up a run's events to its tasks, attempts at sources and workers, and completes its counters.

use std::collections::HashMap;

use super::event::{AttemptId, Event, Extent, PhaseName, ReadStep, What};
use super::{Counters, Outcome, SourceAttempt, TaskAttempt, WorkerReport};

/// The sums over the events of one run.
#[derive(Debug, Default)]
pub struct Tally {
    pub counters: Counters,
    /// Attempts that ended, sorted by phase, number and attempt. The names of their inputs are filled in later.
    pub tasks: Vec<(AttemptId, Extent, TaskAttempt)>,
    /// Attempts at reading sources, sorted by source and attempt. The names of the sources are filled in later.
    pub source_attempts: Vec<(usize, SourceAttempt)>,
    /// Seconds until the map attempts were discarded and made again; 0 if they weren't.
    pub forgotten_s: f64,
}

/// Attempts at reading one source: when they began, and how many haven't ended.
struct Begun {
    at_s: Vec<f64>,
    going: usize,
}

impl Tally {
    /// `won` is the sum of the counters of the attempts that won.
    pub fn of(events: &[Event], won: &Counters) -> Tally {
        let mut tally = Tally::default();
        let mut begun = HashMap::new();
        let mut sources: HashMap<usize, Begun> = HashMap::new();
        for Event { at_s, what } in events {
            let (attempt, outcome, records, error) = match what {
                What::Begun { attempt, worker, seeded, extent } => {
                    let task = TaskAttempt {
                        id: attempt.task.to_string(),
                        attempt: attempt.attempt,
                        worker: *worker,
                        seeded_worker: *seeded,
                        start_s: *at_s,
                        bytes: extent.bytes,
                        ..TaskAttempt::default()
                    };
                    begun.insert(*attempt, (*extent, task));
                    continue;
                }
                What::Won { attempt, records } => (attempt, Outcome::Won, *records, None),
                What::Lost { attempt } => (attempt, Outcome::Lost, 0, None),
                What::Failed { attempt, error } => {
                    tally.counters.failed_attempts += 1;
                    (attempt, Outcome::Failed, 0, Some(error.clone()))
                }
                What::SourceBegun { source } => {
                    sources.insert(*source, Begun { at_s: vec![*at_s], going: 1 });
                    continue;
                }
                What::SourceStep { source, attempt, step } => {
                    if let Some(begun) = sources.get_mut(source) {
                        tally.source_step(*source, *attempt, step, *at_s, begun);
                    }
                    continue;
                }
                What::Speculated { .. } => {
                    tally.counters.speculative_attempts += 1;
                    continue;
                }
                What::Remade { .. } | What::PhaseBegun(_) | What::PhaseEnded(_) | What::SourceEnded { .. } => continue,
                What::Discarded => {
                    tally = Tally { forgotten_s: *at_s, ..Tally::default() };
                    continue;
                }
                What::Written { rows } => {
                    tally.counters.reduce_output_records += rows;
                    continue;
                }
            };
            if let Some((extent, task)) = begun.remove(attempt)
                && attempt.task.phase != PhaseName::Output
            {
                tally.tasks.push((*attempt, extent, TaskAttempt { outcome, records, error, end_s: *at_s, ..task }));
            }
        }
        let Tally { counters, tasks, source_attempts, .. } = &mut tally;
        counters.add(won);
        source_attempts.sort_by_key(|(source, attempt)| (*source, attempt.attempt));
        tasks.sort_by_key(|(id, ..)| (id.task.phase as usize, id.task.number, id.attempt));
        counters.shuffle_bytes_saved = counters.map_output_bytes as i64 - counters.reduce_shuffle_bytes as i64;
        counters.stolen_tasks = tasks.iter().filter(|(.., task)| task.was_stolen()).count() as u64;
        tally
    }

    fn source_step(&mut self, source: usize, attempt: u32, step: &ReadStep, at_s: f64, begun: &mut Begun) {
        let (outcome, error) = match step {
            ReadStep::Speculated => {
                self.counters.speculative_attempts += 1;
                begun.at_s.push(at_s);
                begun.going += 1;
                return;
            }
            ReadStep::Won => (Outcome::Won, None),
            ReadStep::Lost => (Outcome::Lost, None),
            ReadStep::Failed(error) => {
                self.counters.failed_attempts += 1;
                (Outcome::Failed, Some(error.clone()))
            }
        };
        let start_s = begun.at_s.get(attempt as usize).copied().unwrap_or(at_s);
        if outcome == Outcome::Failed {
            begun.going = begun.going.saturating_sub(1);
            // When no attempt is going on, the next one is made.
            if begun.going == 0 {
                begun.going = 1;
                begun.at_s.push(at_s);
            }
        }
        let of = SourceAttempt { source: String::new(), attempt, outcome, error, start_s, end_s: at_s };
        self.source_attempts.push((source, of));
    }

    /// Returns what each worker did, given the `seconds` of the phases that have tasks.
    pub fn workers(&self, threads: usize, seconds: f64) -> Vec<WorkerReport> {
        let mut workers = vec![WorkerReport::default(); threads];
        for (.., task) in &self.tasks {
            let worker = &mut workers[task.worker];
            worker.busy_s += task.end_s - task.start_s;
            worker.tasks += u64::from(task.outcome == Outcome::Won);
            worker.stolen += u64::from(task.was_stolen());
        }
        for worker in &mut workers {
            worker.idle_s = (seconds - self.forgotten_s - worker.busy_s).max(0.0);
        }
        workers
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::TaskId;
    use super::*;

    #[test]
    fn all_attempts_are_told_and_what_won_counts() {
        let id = |number, attempt| AttemptId { task: TaskId { phase: PhaseName::Map, number }, attempt };
        let begun = |attempt, worker| What::Begun {
            attempt,
            worker,
            seeded: 0,
            extent: Extent { from: Some((0, 5)), bytes: 7 },
        };
        let won = |attempt| What::Won { attempt, records: 3 };
        let whats = [
            begun(id(0, 0), 0),
            won(id(0, 0)),
            What::Discarded,
            begun(id(1, 0), 1),
            begun(id(0, 0), 0),
            What::Failed { attempt: id(0, 0), error: "gone".into() },
            begun(id(0, 1), 1),
            won(id(1, 0)),
            begun(id(0, 2), 0),
            won(id(0, 2)),
            What::Lost { attempt: id(0, 1) },
            What::Written { rows: 4 },
        ];
        let events: Vec<_> = whats.into_iter().enumerate().map(|(i, what)| Event { at_s: i as f64, what }).collect();
        let won = Counters { map_input_bytes: 30, reduce_output_records: 5, ..Counters::default() };
        let tally = Tally::of(&events, &won);
        assert_eq!(tally.counters.map_input_bytes, 30);
        assert_eq!(tally.counters.reduce_output_records, 9);
        assert_eq!((tally.counters.failed_attempts, tally.counters.stolen_tasks), (1, 1));
        assert_eq!(tally.forgotten_s, 2.0);
        let told =
            |(.., task): &(_, _, TaskAttempt)| (task.id.clone(), task.attempt, task.outcome, task.start_s, task.end_s);
        assert_eq!(
            tally.tasks.iter().map(told).collect::<Vec<_>>(),
            [
                ("map-00000".into(), 0, Outcome::Failed, 4.0, 5.0),
                ("map-00000".into(), 1, Outcome::Lost, 6.0, 10.0),
                ("map-00000".into(), 2, Outcome::Won, 8.0, 9.0),
                ("map-00001".into(), 0, Outcome::Won, 3.0, 7.0),
            ]
        );
        assert_eq!(tally.tasks[0].2.error.as_deref(), Some("gone"));
        assert_eq!((tally.tasks[0].2.records, tally.tasks[2].2.records), (0, 3));
        let workers = tally.workers(2, 12.0);
        assert_eq!((workers[1].tasks, workers[1].stolen, workers[1].busy_s), (1, 1, 8.0));
        assert_eq!((workers[0].tasks, workers[0].busy_s), (1, 2.0));
        assert_eq!(workers[1].idle_s, 2.0);
    }

    #[test]
    fn attempts_at_sources_begin_beside_another_or_after_the_last_has_failed() {
        let step = |attempt, step| What::SourceStep { source: 3, attempt, step };
        let failed = || ReadStep::Failed("gone".into());
        let whats = [
            What::SourceBegun { source: 3 },
            step(0, failed()),
            step(2, ReadStep::Speculated),
            step(2, failed()),
            step(1, failed()),
            step(3, ReadStep::Won),
            What::SourceBegun { source: 4 },
        ];
        let events: Vec<_> = whats.into_iter().enumerate().map(|(i, what)| Event { at_s: i as f64, what }).collect();
        let tally = Tally::of(&events, &Counters::default());
        assert_eq!((tally.counters.failed_attempts, tally.counters.speculative_attempts), (3, 1));
        let told = |(source, of): &(usize, SourceAttempt)| (*source, of.attempt, of.outcome, of.start_s, of.end_s);
        assert_eq!(
            tally.source_attempts.iter().map(told).collect::<Vec<_>>(),
            [
                (3, 0, Outcome::Failed, 0.0, 1.0),
                (3, 1, Outcome::Failed, 1.0, 4.0),
                (3, 2, Outcome::Failed, 2.0, 3.0),
                (3, 3, Outcome::Won, 4.0, 5.0),
            ]
        );
    }
}
