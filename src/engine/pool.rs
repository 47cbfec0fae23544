//! The pool: tasks seeded to workers as a static split would place them, and stolen by whoever is idle.
//!
//! Rayon's deques do the stealing. A worker takes its own tasks in order; a thief takes from the other end. What a
//! task does when another fails: one that comes later in the input isn't run, one that comes earlier is, since of
//! several errors the earliest in the input is the one to report.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::{Scope, ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result, reason};

#[derive(Debug)]
pub struct Pool {
    pool: ThreadPool,
    threads: usize,
}

/// Where a task runs.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub worker: usize,
    /// The worker it was given to.
    pub seeded: usize,
}

/// A task and its number in the input's order.
#[derive(Debug)]
pub struct Numbered<I> {
    pub number: usize,
    pub item: I,
}

struct Outcome<T> {
    done: Mutex<Vec<(usize, T)>>,
    error: Mutex<Option<(usize, Error)>>,
    /// Number of the earliest failed task.
    failed: AtomicUsize,
}

impl Pool {
    pub fn new(threads: usize) -> Result<Pool> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("worker-{i}")).build();
        let pool = pool.map_err(|error| {
            let why = reason(&io::Error::other(error.to_string()));
            Error::usage_hint(format!("cannot start {threads} threads: {why}"), "ask for fewer with --threads")
        })?;
        Ok(Pool { pool, threads })
    }

    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Neighbouring tasks to the same worker: the static split of an input.
    pub fn split<I>(&self, items: Vec<I>) -> Vec<Vec<Numbered<I>>> {
        let n = items.len();
        self.seed(items, |i| i * self.threads / n)
    }

    /// Tasks dealt round, as cards are: for tasks sorted largest first.
    pub fn deal<I>(&self, items: Vec<I>) -> Vec<Vec<Numbered<I>>> {
        self.seed(items, |i| i % self.threads)
    }

    fn seed<I>(&self, items: Vec<I>, worker: impl Fn(usize) -> usize) -> Vec<Vec<Numbered<I>>> {
        let mut seeds: Vec<Vec<_>> = (0..self.threads).map(|_| Vec::new()).collect();
        for (number, item) in items.into_iter().enumerate() {
            seeds[worker(number)].push(Numbered { number, item });
        }
        seeds
    }

    /// Runs the seeded tasks, and those that `late` brings while they run, numbered after them. Gives what `work` made
    /// of each, by number; or the error of the earliest task that failed. `late` says `None` now and then while it has
    /// nothing, so that a task that fails is heard of before a slow stream goes on.
    pub fn run<I: Send, T: Send>(
        &self,
        seeds: Vec<Vec<Numbered<I>>>,
        late: impl Iterator<Item = Result<Option<I>>>,
        name: &str,
        work: impl Fn(usize, I, Place) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let seeded: usize = seeds.iter().map(Vec::len).sum();
        let seeds: Vec<_> = seeds.into_iter().map(Mutex::new).collect();
        let outcome = Outcome { done: Mutex::default(), error: Mutex::default(), failed: AtomicUsize::new(usize::MAX) };
        let one = |task: Numbered<I>, seeded: Option<usize>| {
            let number = task.number;
            if number > outcome.failed.load(Ordering::Relaxed) {
                return;
            }
            let worker = rayon::current_thread_index().unwrap_or(0);
            let place = Place { worker, seeded: seeded.unwrap_or(worker) };
            match catch_unwind(AssertUnwindSafe(|| work(number, task.item, place))) {
                Ok(Ok(made)) => lock(&outcome.done).push((number, made)),
                Ok(Err(error)) => outcome.fail(number, error),
                Err(panic) => {
                    let task = format!("{name}-{number:05}");
                    outcome.fail(number, Error::Panic { task, message: panic_message(&*panic) });
                }
            }
        };
        let one = &one;
        self.pool.in_place_scope(|scope: &Scope<'_>| {
            scope.spawn_broadcast(|scope, worker| {
                // The deque is last in, first out for its owner.
                let worker = worker.index();
                for task in lock(&seeds[worker]).drain(..).rev() {
                    scope.spawn(move |_| one(task, Some(worker)));
                }
            });
            let mut number = seeded;
            for item in late {
                match item {
                    Ok(Some(item)) => {
                        scope.spawn(move |_| one(Numbered { number, item }, None));
                        number += 1;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        outcome.fail(number, error);
                        break;
                    }
                }
                if outcome.failed.load(Ordering::Relaxed) < number {
                    break;
                }
            }
        });
        if let Some((_, error)) = outcome.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut done = outcome.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(number, _)| *number);
        Ok(done.into_iter().map(|(_, made)| made).collect())
    }
}

impl<T> Outcome<T> {
    fn fail(&self, number: usize, error: Error) {
        let mut first = lock(&self.error);
        if first.as_ref().is_none_or(|(earliest, _)| number < *earliest) {
            *first = Some((number, error));
            self.failed.fetch_min(number, Ordering::Relaxed);
        }
    }
}

/// What is behind these locks is whole at every unlock, also one that a panic made.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
