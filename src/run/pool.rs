//! The pool: a fixed set of worker threads, and three schedulers that hand attempts out to them.
//!
//! ```text
//!              tasks known at the start     a worker with none left     tasks that come later
//! stealing     dealt to workers             takes another worker's      go to any free worker
//! static       dealt to workers             is done                     dealt in turn
//! shared       one queue, in order          takes the next              go to the end of the queue
//! ```
//!
//! A scheduler decides which worker runs an attempt, and when (`schedulers`). What happens with its result
//! ([`coordinator`]) is the same under each, so the schedulers can be compared. None of them changes the output.
//!
//! [`coordinator`]: super::coordinator

use std::io;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::schedulers;
use crate::error::{Error, Result, reason};
use crate::plan::Scheduler;

/// The worker threads, and the scheduler that hands attempts out to them.
#[derive(Debug)]
pub struct Pool {
    workers: ThreadPool,
    threads: usize,
    scheduler: Scheduler,
}

/// The worker that an attempt runs on, and the one that it was dealt to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub worker: usize,
    /// The worker that the task was dealt to. A task that wasn't dealt counts as dealt to `worker`.
    pub seeded: usize,
}

/// How tasks are dealt to workers, under the schedulers that deal.
#[derive(Clone, Copy, Debug)]
pub enum Deal {
    /// Neighbouring tasks go to the same worker: a static split of the input.
    Split,
    /// Tasks go to the workers in turn, as cards are dealt. For tasks sorted largest first.
    Round,
}

impl Deal {
    /// Returns the worker that task `number` goes to, if `tasks` tasks are there from the start.
    fn worker(self, number: usize, tasks: usize, workers: usize) -> usize {
        match self {
            Deal::Split => number * workers / tasks,
            Deal::Round => number % workers,
        }
    }
}

/// An attempt, as the schedulers see it: which worker it is meant for, and whether it goes first.
pub(super) trait Handed: Send {
    /// The worker, of `workers` many, that this goes to if it comes later and the scheduler deals.
    fn worker(&self, workers: usize) -> usize;
    /// Whether this goes before the others that are there.
    fn goes_first(&self) -> bool;
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

    /// Runs `first`, and whatever `coordinate` hands over meanwhile. `coordinate` is called on this thread.
    pub(super) fn hand_out<I: Handed>(
        &self,
        first: Vec<I>,
        deal: Deal,
        coordinate: impl FnOnce(&mut dyn FnMut(I)),
        run: impl Fn(I, Assignment) + Sync,
    ) {
        let dealt = |first: Vec<I>| {
            let tasks = first.len();
            let mut seeds: Vec<Vec<I>> = (0..self.threads).map(|_| Vec::new()).collect();
            for (number, item) in first.into_iter().enumerate() {
                seeds[deal.worker(number, tasks, self.threads)].push(item);
            }
            seeds.iter_mut().for_each(|seeds| seeds.sort_by_key(|item| !item.goes_first()));
            seeds
        };
        match self.scheduler {
            Scheduler::Stealing => schedulers::stealing(&self.workers, dealt(first), coordinate, run),
            Scheduler::Static => {
                schedulers::fixed(&self.workers, dealt(first), |item| item.worker(self.threads), coordinate, run);
            }
            Scheduler::Shared => {
                let mut first = first;
                first.sort_by_key(|item| !item.goes_first());
                let coordinate = |hand_over: &mut dyn FnMut(I)| {
                    first.into_iter().for_each(&mut *hand_over);
                    coordinate(hand_over);
                };
                schedulers::shared(&self.workers, coordinate, run);
            }
        }
    }
}
