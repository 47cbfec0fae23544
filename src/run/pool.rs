//! The pool: workers, and attempts handed out to them by one of three schedulers.
//!
//! ```text
//!              dealt before any runs         a worker with none left     what comes later
//! stealing     as a static split would be    takes another worker's      to whoever is free
//! static       likewise                      is done                     dealt round
//! shared       not at all: one queue         takes the next              the end of the queue
//! ```
//!
//! What a scheduler decides is who runs an attempt and when (`schedulers`). What becomes of it ([`coordinator`]) is the
//! same under each, so they can be compared, and none changes the output.
//!
//! [`coordinator`]: super::coordinator

use std::io;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::schedulers;
use crate::error::{Error, Result, reason};
use crate::plan::Scheduler;

#[derive(Debug)]
pub struct Pool {
    workers: ThreadPool,
    threads: usize,
    scheduler: Scheduler,
}

/// Where an attempt runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub worker: usize,
    /// The worker it was dealt to. What nobody dealt counts as the worker's own.
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
    /// The worker that task `number` goes to, of `tasks` that are there from the start.
    fn worker(self, number: usize, tasks: usize, workers: usize) -> usize {
        match self {
            Deal::Split => number * workers / tasks,
            Deal::Round => number % workers,
        }
    }
}

/// What is handed out.
pub(super) trait Handed: Send {
    /// The worker that is to run what comes later, of so many, where one is to be chosen.
    fn worker(&self, workers: usize) -> usize;
    /// Whether it goes before others.
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

    /// Runs `first`, and what `coordinate`, called on this thread, hands over meanwhile.
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
