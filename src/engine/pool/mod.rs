//! The pool: workers, and the tasks of a phase handed out to them by one of three schedulers.
//!
//! ```text
//!              dealt before any runs         a worker with none left     streams' late blocks
//! stealing     as a static split would be    takes another worker's      to whoever is free
//! static       likewise                      is done                     dealt round
//! shared       not at all: one queue         takes the next              the end of the queue
//! ```
//!
//! What a scheduler decides is who runs a task and when ([`schedulers`]). What a task is, what becomes of its result and
//! what its failure means ([`outcome`]) is the same under each, so they can be compared, and none changes the output.

mod outcome;
mod schedulers;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result, reason};
use crate::plan::Scheduler;
use outcome::Outcome;
use schedulers::Numbered;

#[derive(Debug)]
pub struct Pool {
    workers: ThreadPool,
    threads: usize,
    scheduler: Scheduler,
}

/// Where a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub worker: usize,
    /// The worker it was dealt to. Tasks that nobody dealt count as the worker's own.
    pub seeded: usize,
}

/// How tasks are dealt to workers by the schedulers that deal.
#[derive(Clone, Copy, Debug)]
pub enum Deal {
    /// Neighbouring tasks to the same worker: the static split of an input.
    Split,
    /// In turn, as cards are: for tasks sorted largest first.
    Round,
}

impl Deal {
    /// The worker that task `number` goes to, of `tasks` that are there from the start. Those that come late are dealt
    /// round in any case: how many there will be is not known.
    fn worker(self, number: usize, tasks: usize, workers: usize) -> usize {
        match self {
            Deal::Split if number < tasks => number * workers / tasks,
            _ => number % workers,
        }
    }
}

impl Pool {
    pub fn new(threads: usize, scheduler: Scheduler) -> Result<Pool> {
        let workers = ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("worker-{i}")).build();
        let workers = workers.map_err(|error| {
            let why = reason(&io::Error::other(error.to_string()));
            Error::usage_hint(format!("cannot start {threads} threads: {why}"), "ask for fewer with --threads")
        })?;
        Ok(Pool { workers, threads, scheduler })
    }

    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs the tasks, and those that `late` brings while they run, numbered after them. Gives what `work` made of each,
    /// by number; or the error of the earliest task that failed. `late` says `None` now and then while it has nothing,
    /// so that a task that fails is heard of before a slow stream goes on.
    pub fn run<I: Send, T: Send>(
        &self,
        tasks: Vec<I>,
        deal: Deal,
        late: impl Iterator<Item = Result<Option<I>>>,
        name: &str,
        work: impl Fn(usize, I, Place) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let count = tasks.len();
        let outcome = Outcome::new(name);
        let run = |task: Numbered<I>, place| outcome.attempt(task.number, || work(task.number, task.item, place));
        let late = |hand_over: &mut dyn FnMut(Numbered<I>)| {
            let mut number = count;
            for item in late {
                match item {
                    Ok(Some(item)) => {
                        hand_over(Numbered { number, item });
                        number += 1;
                    }
                    Ok(None) => {}
                    Err(error) => outcome.fail(number, error),
                }
                if outcome.has_failed() {
                    break;
                }
            }
        };
        let tasks = tasks.into_iter().enumerate().map(|(number, item)| Numbered { number, item });
        let dealt = |number| deal.worker(number, count, self.threads);
        match self.scheduler {
            Scheduler::Stealing => schedulers::stealing(&self.workers, tasks, dealt, late, run),
            Scheduler::Static => schedulers::fixed(&self.workers, tasks, dealt, late, run),
            Scheduler::Shared => schedulers::shared(&self.workers, tasks, late, run),
        }
        outcome.into_result()
    }
}

/// What is behind these locks is whole at every unlock, also one that a panic made.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
