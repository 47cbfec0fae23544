//! A worker: takes a ticket, makes the attempt, places its result if it won, and tells the coordinator how it ended.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::attempt::{Attempt, Cancel, Done, Task, Work};
use super::phase::Phase;
use super::pool::{Assignment, Handed};
use crate::error::{Error, Result};
use crate::panics;
use crate::report::Counters;
use crate::report::event::{AttemptId, What};

/// Permission to make one attempt at a task.
#[derive(Debug)]
pub(super) struct Ticket<W> {
    pub task: Arc<Task<W>>,
    pub attempt: u32,
    /// A worker that failed at the task, or that is at it now.
    pub not_by: Option<usize>,
    pub goes_first: bool,
}

impl<W> Ticket<W> {
    /// A ticket for one attempt more, by a worker other than `not_by`.
    pub fn again(task: &Arc<Task<W>>, attempts: &mut u32, not_by: usize) -> Self {
        let attempt = *attempts;
        *attempts += 1;
        Ticket { task: task.clone(), attempt, not_by: Some(not_by), goes_first: false }
    }
}

impl<W: Work> Handed for Ticket<W> {
    fn worker(&self, workers: usize) -> usize {
        self.not_by.map_or(self.task.number, |worker| worker + 1) % workers
    }

    fn goes_first(&self) -> bool {
        self.goes_first
    }
}

/// A worker's message to the coordinator.
pub(super) enum Message<W, U> {
    Begun {
        number: usize,
        worker: usize,
    },
    Ended {
        number: usize,
        worker: usize,
        seconds: f64,
        end: End<U>,
    },
    /// The ticket goes back, because another worker should have it.
    Declined(Ticket<W>),
}

/// How an attempt ended.
pub(super) enum End<U> {
    Won(U),
    Lost,
    Failed(Error),
    /// The attempt won, but placing what it made failed.
    Misplaced(Error),
}

/// State that all workers of a phase share.
pub(super) struct Worker<'a, W, U, A, P> {
    pub phase: &'a Phase<'a>,
    pub failed: &'a AtomicUsize,
    pub workers: usize,
    pub to: &'a Sender<Message<W, U>>,
    pub attempt: A,
    pub place: P,
}

impl<W, T, U, A, P> Worker<'_, W, U, A, P>
where
    W: Work,
    A: Fn(&Attempt<'_>, &W) -> Result<Done<T>>,
    P: Fn(usize, T) -> Result<U>,
{
    pub fn run(&self, ticket: Ticket<W>, place: Assignment) {
        let Ticket { task, attempt, not_by, goes_first } = ticket;
        let message = if not_by == Some(place.worker) && self.workers > 1 {
            Message::Declined(Ticket { task, attempt, not_by: None, goes_first })
        } else {
            let _ = self.to.send(Message::Begun { number: task.number, worker: place.worker });
            let begun = Instant::now();
            let end = self.attempt(&task, attempt, place);
            let seconds = begun.elapsed().as_secs_f64();
            let number = task.number;
            // If nothing else holds the task, its memory is free before the coordinator gets the message.
            drop(task);
            Message::Ended { number, worker: place.worker, seconds, end }
        };
        // Sending fails if the coordinator is gone, and then nobody needs the message.
        let _ = self.to.send(message);
    }

    fn attempt(&self, task: &Task<W>, attempt: u32, place: Assignment) -> End<U> {
        let Phase { control, log, meter, .. } = *self.phase;
        let cut = self.phase.cut.map(|cut| cut.is_made);
        let cancel = Cancel::of(task, control, self.failed, cut);
        // The coordinator finds out by itself why the run should end.
        if cancel.is_cut() || cancel.check().is_err() {
            return End::Lost;
        }
        let id = AttemptId { task: self.phase.task(task.number), attempt };
        let Assignment { worker, seeded } = place;
        log.note(What::Begun { attempt: id, worker, seeded, extent: task.work.extent() });
        let of_task = Attempt { id, place, cancel, meter, metered: Cell::new(0), runs_written: Arc::default() };
        let lost = || {
            of_task.take_back();
            log.note(What::Lost { attempt: id });
            End::Lost
        };
        match panics::caught(|| id.task.to_string(), || (self.attempt)(&of_task, &task.work)) {
            Ok(Done { made, records, counters }) if task.win(attempt) => {
                let written = &of_task.runs_written;
                let counters = Counters { spilled_records: written.rows(), spilled_bytes: written.bytes(), ..counters };
                log.note_won(id, records, &counters);
                match panics::caught(|| id.task.to_string(), || (self.place)(task.number, made)) {
                    Ok(placed) => End::Won(placed),
                    Err(error) => End::Misplaced(error),
                }
            }
            Ok(_) | Err(Error::Cancelled) => lost(),
            // The run ends for another reason, or another attempt has won.
            Err(_) if control.check().is_err() || !task.is_open() => lost(),
            Err(error) => {
                of_task.take_back();
                log.note(What::Failed { attempt: id, error: error.to_string() });
                End::Failed(error)
            }
        }
    }
}
