//! Three ways to hand out tasks, on the same threads.
//!
//! Each function runs every task once and returns when all have ended. `late` is called on the calling thread once the
//! first tasks are handed out; it hands over those that come late, and when it returns no more will. A worker that waits
//! for such tasks waits for it alone, and it looks for failures and interrupts itself, so no worker waits for ever. Should
//! it panic, its end of the queues goes with it and the workers end.

use std::sync::Mutex;

use crossbeam_channel::unbounded;
use rayon::{Scope, ThreadPool};

use super::{Place, lock};

/// A task and its number in the input's order.
#[derive(Debug)]
pub struct Numbered<I> {
    pub number: usize,
    pub item: I,
}

/// Rayon's deques: a worker takes its own tasks in order, and one that has none left takes from the other end of
/// another's.
pub fn stealing<I: Send>(
    workers: &ThreadPool,
    tasks: impl Iterator<Item = Numbered<I>>,
    dealt: impl Fn(usize) -> usize,
    late: impl FnOnce(&mut dyn FnMut(Numbered<I>)),
    run: impl Fn(Numbered<I>, Place) + Sync,
) {
    let mut seeds: Vec<_> = (0..workers.current_num_threads()).map(|_| Vec::new()).collect();
    tasks.for_each(|task| seeds[dealt(task.number)].push(task));
    let seeds: Vec<_> = seeds.into_iter().map(Mutex::new).collect();
    let (seeds, run) = (&seeds, &run);
    let this_worker = || rayon::current_thread_index().unwrap_or(0);
    workers.in_place_scope(|scope: &Scope<'_>| {
        scope.spawn_broadcast(move |scope, worker| {
            let seeded = worker.index();
            // The deque is last in, first out for its owner.
            for task in lock(&seeds[seeded]).drain(..).rev() {
                scope.spawn(move |_| run(task, Place { worker: this_worker(), seeded }));
            }
        });
        late(&mut |task| {
            scope.spawn(move |_| run(task, Place { worker: this_worker(), seeded: this_worker() }));
        });
    });
}

/// One queue a worker: it runs the tasks dealt to it, in order, and no others.
pub fn fixed<I: Send>(
    workers: &ThreadPool,
    tasks: impl Iterator<Item = Numbered<I>>,
    dealt: impl Fn(usize) -> usize,
    late: impl FnOnce(&mut dyn FnMut(Numbered<I>)),
    run: impl Fn(Numbered<I>, Place) + Sync,
) {
    let (to, queues): (Vec<_>, Vec<_>) = (0..workers.current_num_threads()).map(|_| unbounded()).unzip();
    let mut hand_over = move |task: Numbered<I>| to[dealt(task.number)].send(task).expect("the queues are open");
    tasks.for_each(&mut hand_over);
    let (queues, run) = (&queues, &run);
    workers.in_place_scope(move |scope| {
        scope.spawn_broadcast(move |_, worker| {
            let worker = worker.index();
            queues[worker].iter().for_each(|task| run(task, Place { worker, seeded: worker }));
        });
        late(&mut hand_over);
    });
}

/// One queue for all, in the order of the input: who is free takes the next task. Nothing is dealt, so nothing is stolen.
pub fn shared<I: Send>(
    workers: &ThreadPool,
    tasks: impl Iterator<Item = Numbered<I>>,
    late: impl FnOnce(&mut dyn FnMut(Numbered<I>)),
    run: impl Fn(Numbered<I>, Place) + Sync,
) {
    let (to, queue) = unbounded();
    let mut hand_over = move |task| to.send(task).expect("the queue is open");
    tasks.for_each(&mut hand_over);
    let (queue, run) = (&queue, &run);
    workers.in_place_scope(move |scope| {
        scope.spawn_broadcast(move |_, worker| {
            let worker = worker.index();
            queue.iter().for_each(|task| run(task, Place { worker, seeded: worker }));
        });
        late(&mut hand_over);
    });
}
