//! What events add up to.

use std::collections::HashMap;

use super::event::{AttemptId, Event, Extent, PhaseName, Step, What};
use super::{Counters, Task, Worker};

/// Of one run.
#[derive(Debug, Default)]
pub struct Tally {
    pub counters: Counters,
    /// Of the attempts that count, without the names of their inputs. By phase and number.
    pub tasks: Vec<(AttemptId, Extent, Task)>,
    /// Seconds until all that was made was forgotten.
    pub forgotten_s: f64,
}

impl Tally {
    pub fn of(events: &[Event]) -> Tally {
        let mut tally = Tally::default();
        let mut begun = HashMap::new();
        for Event { at_s, what } in events {
            match what {
                What::Begun { attempt, worker, seeded, extent } => {
                    begun.insert(*attempt, (*at_s, *worker, *seeded, *extent));
                }
                What::Won { attempt, records, counters } => {
                    tally.counters.add(counters);
                    if let Some((start_s, worker, seeded_worker, extent)) = begun.remove(attempt)
                        && attempt.task.phase != PhaseName::Output
                    {
                        let task = Task {
                            id: attempt.task.to_string(),
                            attempt: attempt.attempt,
                            worker,
                            seeded_worker,
                            start_s,
                            end_s: *at_s,
                            bytes: extent.bytes,
                            records: *records,
                            ..Task::default()
                        };
                        tally.tasks.push((*attempt, extent, task));
                    }
                }
                What::Failed { .. } | What::SourceStep { step: Step::Failed(_), .. } => {
                    tally.counters.failed_attempts += 1;
                }
                What::Speculated { .. } | What::SourceStep { step: Step::Speculated, .. } => {
                    tally.counters.speculative_attempts += 1;
                }
                What::Lost { .. }
                | What::Remade { .. }
                | What::PhaseBegun(_)
                | What::PhaseEnded(_)
                | What::SourceBegun { .. }
                | What::SourceEnded { .. }
                | What::SourceStep { step: Step::Won | Step::Lost, .. } => {}
                What::Forgotten => tally = Tally { forgotten_s: *at_s, ..Tally::default() },
                What::Written { rows } => tally.counters.reduce_output_records += rows,
            }
        }
        let Tally { counters, tasks, .. } = &mut tally;
        tasks.sort_by_key(|(attempt, ..)| (attempt.task.phase as usize, attempt.task.number));
        counters.shuffle_bytes_saved = counters.map_output_bytes as i64 - counters.reduce_shuffle_bytes as i64;
        counters.stolen_tasks = tasks.iter().filter(|(.., task)| task.worker != task.seeded_worker).count() as u64;
        tally
    }

    /// What each of so many workers did in the `seconds` of the phases that have tasks.
    pub fn workers(&self, threads: usize, seconds: f64) -> Vec<Worker> {
        let mut workers = vec![Worker::default(); threads];
        for (.., task) in &self.tasks {
            let worker = &mut workers[task.worker];
            worker.busy_s += task.end_s - task.start_s;
            worker.tasks += 1;
            worker.stolen += u64::from(task.worker != task.seeded_worker);
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
    fn only_what_won_counts() {
        let id = |number, attempt| AttemptId { task: TaskId { phase: PhaseName::Map, number }, attempt };
        let counters = |bytes| Box::new(Counters { map_input_bytes: bytes, ..Counters::default() });
        let begun = |attempt, worker| What::Begun {
            attempt,
            worker,
            seeded: 0,
            extent: Extent { from: Some((0, 5)), bytes: 7 },
        };
        let won = |attempt, bytes| What::Won { attempt, records: 3, counters: counters(bytes) };
        let whats = [
            begun(id(0, 0), 0),
            won(id(0, 0), 100),
            What::Forgotten,
            begun(id(1, 0), 1),
            begun(id(0, 0), 0),
            What::Failed { attempt: id(0, 0), error: "gone".into() },
            begun(id(0, 1), 1),
            won(id(1, 0), 20),
            begun(id(0, 2), 0),
            won(id(0, 2), 10),
            What::Lost { attempt: id(0, 1) },
            What::Written { rows: 4 },
        ];
        let events: Vec<_> = whats.into_iter().enumerate().map(|(i, what)| Event { at_s: i as f64, what }).collect();
        let tally = Tally::of(&events);
        assert_eq!(tally.counters.map_input_bytes, 30);
        assert_eq!(tally.counters.reduce_output_records, 4);
        assert_eq!((tally.counters.failed_attempts, tally.counters.stolen_tasks), (1, 1));
        assert_eq!(tally.forgotten_s, 2.0);
        let tasks: Vec<_> = tally.tasks.iter().map(|(.., task)| (&*task.id, task.attempt, task.start_s)).collect();
        assert_eq!(tasks, [("map-00000", 2, 8.0), ("map-00001", 0, 3.0)]);
        let workers = tally.workers(2, 12.0);
        assert_eq!((workers[1].tasks, workers[1].stolen, workers[1].busy_s), (1, 1, 4.0));
        assert_eq!(workers[1].idle_s, 6.0);
    }
}
