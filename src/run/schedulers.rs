//! The three schedulers: functions that hand attempts out to the pool's workers.
//!
//! Each function runs every attempt that it is handed, and returns when all have ended. It calls `coordinate` on the
//! calling thread; `coordinate` hands over attempts, and after it returns no more come. A worker without an attempt
//! waits for `coordinate` only. If `coordinate` panics, its end of the queues is dropped and the workers end.

use std::sync::Mutex;

use crossbeam_channel::unbounded;
use rayon::{Scope, ThreadPool};

use super::pool::Assignment;
use crate::panics::lock;

/// Work stealing with rayon's deques: a worker takes its own `seeds` in order. A worker that has none left takes from
/// the other end of another worker's deque. Attempts handed over later go to any free worker.
pub fn stealing<I: Send>(
    workers: &ThreadPool,
    seeds: Vec<Vec<I>>,
    coordinate: impl FnOnce(&mut dyn FnMut(I)),
    run: impl Fn(I, Assignment) + Sync,
) {
    let seeds: Vec<_> = seeds.into_iter().map(Mutex::new).collect();
    let (seeds, run) = (&seeds, &run);
    let this_worker = || rayon::current_thread_index().unwrap_or(0);
    workers.in_place_scope(|scope: &Scope<'_>| {
        scope.spawn_broadcast(move |scope, worker| {
            let seeded = worker.index();
            // The deque is last in, first out for its owner.
            for item in lock(&seeds[seeded]).drain(..).rev() {
                scope.spawn(move |_| run(item, Assignment { worker: this_worker(), seeded }));
            }
        });
        coordinate(&mut |item| {
            scope.spawn(move |_| run(item, Assignment { worker: this_worker(), seeded: this_worker() }));
        });
    });
}

/// One queue per worker: a worker runs only what is dealt to it, in order. `dealt` returns the worker of an attempt
/// that comes later.
pub fn fixed<I: Send>(
    workers: &ThreadPool,
    seeds: Vec<Vec<I>>,
    dealt: impl Fn(&I) -> usize,
    coordinate: impl FnOnce(&mut dyn FnMut(I)),
    run: impl Fn(I, Assignment) + Sync,
) {
    let (to, queues): (Vec<_>, Vec<_>) = (0..workers.current_num_threads()).map(|_| unbounded()).unzip();
    let hand_over = |worker: usize, item: I| to[worker].send(item).expect("the queues are open");
    for (worker, seeds) in seeds.into_iter().enumerate() {
        seeds.into_iter().for_each(|item| hand_over(worker, item));
    }
    let (queues, run) = (&queues, &run);
    workers.in_place_scope(move |scope| {
        scope.spawn_broadcast(move |_, worker| {
            let worker = worker.index();
            queues[worker].iter().for_each(|item| run(item, Assignment { worker, seeded: worker }));
        });
        let to = to;
        coordinate(&mut |item| to[dealt(&item)].send(item).expect("the queues are open"));
    });
}

/// One queue for all, in the order of the input: a free worker takes the next attempt. Nothing is dealt, so nothing is
/// stolen.
pub fn shared<I: Send>(
    workers: &ThreadPool,
    coordinate: impl FnOnce(&mut dyn FnMut(I)),
    run: impl Fn(I, Assignment) + Sync,
) {
    let (to, queue) = unbounded();
    let (queue, run) = (&queue, &run);
    workers.in_place_scope(move |scope| {
        scope.spawn_broadcast(move |_, worker| {
            let worker = worker.index();
            queue.iter().for_each(|item| run(item, Assignment { worker, seeded: worker }));
        });
        let to = to;
        coordinate(&mut |item| to.send(item).expect("the queue is open"));
    });
}
