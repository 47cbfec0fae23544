//! The coordinator: the thread that started the job. It alone decides which tasks are attempted, and which are
//! attempted again.
//!
//! ```text
//! tasks ──────────┐                      ┌─► worker: attempt ─► won? ─► placed ─┐
//!                 ├─► slab ─► tickets ───┤                                      │
//! inflow ─────────┘    ▲                 └─► worker: attempt ─► …               │
//! (streams' blocks)    └──────────────── ended: won, lost, failed ◄─────────────┘
//! ```
//!
//! A task stays in the slab until an attempt at it has won; attempts borrow the task. If an attempt fails for a reason
//! that may pass, the task is attempted again, by another worker if one is free. If an attempt takes far longer than
//! its peers, and a worker has nothing else to do, a second attempt is made beside it: the first to finish wins. Of
//! several errors, the one earliest in the input is reported: when a task has failed for good, tasks after it are given
//! up and tasks before it go on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select, unbounded};

use super::attempt::{Attempt, Done, Task, Work};
use super::deadline::Moment;
use super::pace::Pace;
use super::phase::{Inflow, Phase};
use super::pool::Pool;
use super::worker::{End, Message, Ticket, Worker};
use crate::error::{Error, Result};
use crate::report::event::{AttemptId, What};

/// How long the coordinator waits at most before it looks for a signal.
const LOOK: Duration = Duration::from_millis(50);

impl Pool {
    /// Attempts `tasks`, and the tasks that `inflow` brings meanwhile, which are numbered after them, until each is
    /// won. The worker whose attempt won places its result. Returns what `place` made of each task, by number; or the
    /// error of the earliest task that failed.
    pub fn run<W: Work, T, U: Send>(
        &self,
        phase: &Phase<'_>,
        tasks: Vec<W>,
        inflow: impl Inflow<W>,
        attempt: impl Fn(&Attempt<'_>, &W) -> Result<Done<T>> + Sync,
        place: impl Fn(usize, T) -> Result<U> + Sync,
    ) -> Result<Vec<U>> {
        let (to, messages) = unbounded();
        let failed = AtomicUsize::new(usize::MAX);
        let worker = Worker { phase, failed: &failed, workers: self.threads(), to: &to, attempt, place };
        let mut coordinator = Coordinator {
            phase,
            failed: &failed,
            workers: self.threads(),
            inflow,
            messages,
            slab: Vec::new(),
            open: 0,
            running: 0,
            alone: BTreeSet::new(),
            pace: Pace::default(),
            error: None,
        };
        let first: Vec<_> = tasks.into_iter().map(|work| coordinator.begin(work)).collect();
        self.hand_out(
            first,
            phase.deal,
            |hand_over| coordinator.coordinate(hand_over),
            |ticket, place| worker.run(ticket, place),
        );
        coordinator.into_result()
    }
}

struct Coordinator<'a, W, U, I> {
    phase: &'a Phase<'a>,
    /// Number of the earliest task that failed for good.
    failed: &'a AtomicUsize,
    workers: usize,
    inflow: I,
    messages: Receiver<Message<W, U>>,
    /// Indexed by task number.
    slab: Vec<Slot<W, U>>,
    /// How many slots are open.
    open: usize,
    /// How many attempts are going on.
    running: usize,
    /// Tasks with a first attempt going on and no second attempt beside it.
    alone: BTreeSet<usize>,
    pace: Pace,
    /// The error of the earliest task that failed.
    error: Option<Error>,
}

enum Slot<W, U> {
    Open {
        task: Arc<Task<W>>,
        /// How many attempts were handed out, and how many of those haven't ended.
        attempts: u32,
        running: u32,
        /// Those of them that haven't begun.
        waiting: u32,
        /// When the first attempt began, and on which worker.
        begun: Option<(Instant, usize)>,
        failures: Vec<Error>,
    },
    Placed(U),
    /// The task failed, or an earlier task did, or the task isn't wanted.
    GivenUp,
}

impl<W: Work, U, I: Inflow<W>> Coordinator<'_, W, U, I> {
    fn coordinate(&mut self, hand_over: &mut dyn FnMut(Ticket<W>)) {
        let mut may_come = true;
        loop {
            while may_come {
                may_come = !self.has_failed();
                match if may_come { self.inflow.poll() } else { Poll::Ready(None) } {
                    Poll::Ready(Some(Ok(work))) => hand_over(self.begin(work)),
                    Poll::Ready(Some(Err(error))) => self.fail(self.slab.len(), error),
                    Poll::Ready(None) => may_come = false,
                    Poll::Pending => break,
                }
            }
            if self.open == 0 && !may_come {
                return;
            }
            self.speculate(hand_over);
            let wait = match self.moment() {
                Moment::Wait(wait) => wait,
                Moment::StopReaders(wait) => {
                    self.inflow.stop();
                    wait
                }
                Moment::Cut => {
                    self.inflow.stop();
                    may_come = false;
                    LOOK
                }
            };
            let (inflow, ready) = match may_come {
                true => (self.inflow.messages(), self.inflow.ready()),
                false => (never(), never()),
            };
            select! {
                recv(self.messages) -> message => self.hear(message.expect("workers can send"), hand_over),
                recv(inflow) -> message => {
                    if let Err(error) = self.inflow.arrived(message) {
                        self.fail(self.slab.len(), error);
                    }
                }
                recv(ready) -> _ => {}
                default(wait) => {}
            }
            if let Err(interrupted) = self.phase.control.check() {
                self.fail(self.slab.len(), interrupted);
            }
        }
    }

    /// Returns what the deadline asks for now, if there is one.
    fn moment(&self) -> Moment {
        let Some(cut) = self.phase.cut else { return Moment::Wait(LOOK) };
        if cut.is_made.load(Ordering::Relaxed) {
            return Moment::Cut;
        }
        let moment = cut.deadline.moment(Instant::now(), &self.phase.control.progress, &self.pace, self.workers);
        cut.is_made.store(moment == Moment::Cut, Ordering::Relaxed);
        moment
    }

    /// Puts a task in the slab.
    fn begin(&mut self, work: W) -> Ticket<W> {
        let is_consistently_slow =
            |source: usize| self.phase.latencies.get(source).is_some_and(|latency| latency.is_consistently_slow);
        let goes_first = work.extent().from.is_some_and(|(source, _)| is_consistently_slow(source));
        let task = Arc::new(Task::new(self.slab.len(), work));
        let failures = Vec::new();
        self.slab.push(Slot::Open { task: task.clone(), attempts: 1, running: 1, waiting: 1, begun: None, failures });
        self.open += 1;
        Ticket { task, attempt: 0, not_by: None, goes_first }
    }

    /// Hands out a second attempt at each task whose first attempt takes far longer than its peers did, as far as
    /// workers have nothing to do.
    fn speculate(&mut self, hand_over: &mut dyn FnMut(Ticket<W>)) {
        let idle = self.workers.saturating_sub(self.running);
        if idle == 0 || self.phase.attempts < 2 || self.has_failed() {
            return;
        }
        let (slab, pace) = (&self.slab, &self.pace);
        let is_consistently_slow = |number: &&usize| match &slab[**number] {
            Slot::Open { task, begun: Some((begun, _)), .. } => {
                pace.is_beyond(begun.elapsed(), task.work.extent().bytes)
            }
            _ => false,
        };
        let slow: Vec<usize> = self.alone.iter().filter(is_consistently_slow).take(idle).copied().collect();
        for number in slow {
            self.alone.remove(&number);
            let Slot::Open { task, attempts, running, waiting, begun: Some((_, worker)), .. } = &mut self.slab[number]
            else {
                continue;
            };
            let id = AttemptId { task: self.phase.task(number), attempt: *attempts };
            self.phase.log.note(What::Speculated { attempt: id });
            hand_over(Ticket::again(task, attempts, *worker));
            *running += 1;
            *waiting += 1;
        }
    }

    fn hear(&mut self, message: Message<W, U>, hand_over: &mut dyn FnMut(Ticket<W>)) {
        let (number, worker, seconds, end) = match message {
            Message::Declined(ticket) => return hand_over(ticket),
            Message::Begun { number, worker } => {
                self.running += 1;
                if let Slot::Open { begun, attempts, waiting, .. } = &mut self.slab[number] {
                    *waiting -= 1;
                    begun.get_or_insert((Instant::now(), worker));
                    if *attempts == 1 {
                        self.alone.insert(number);
                    }
                }
                return;
            }
            Message::Ended { number, worker, seconds, end } => (number, worker, seconds, end),
        };
        self.running -= 1;
        self.alone.remove(&number);
        let Slot::Open { task, attempts, running, waiting, failures, .. } = &mut self.slab[number] else { return };
        *running -= 1;
        match end {
            End::Won(placed) => {
                self.pace.note(seconds, task.work.extent().bytes);
                self.close(number, Slot::Placed(placed));
            }
            // The task is still attempted, or the winner closes it.
            End::Lost if *running > 0 || !task.is_open() => {}
            // A task that failed, and wasn't tried again because of the deadline, counts as failed, not as merely late.
            End::Lost if !failures.is_empty() && self.phase.control.check().is_ok() => self.fail_for_good(number),
            End::Lost => self.close(number, Slot::GivenUp),
            End::Misplaced(error) => {
                self.close(number, Slot::GivenUp);
                self.fail(number, error);
            }
            End::Failed(error) => {
                let may_pass = error.may_pass();
                failures.push(error);
                let is_wanted = number < self.failed.load(Ordering::Relaxed);
                if may_pass && is_wanted && *attempts < self.phase.attempts {
                    hand_over(Ticket::again(task, attempts, worker));
                    *running += 1;
                    *waiting += 1;
                } else if *running == 0 || !may_pass && *running == *waiting {
                    // An attempt that waits behind other tasks would only fail in the same way.
                    self.fail_for_good(number);
                }
            }
        }
    }

    fn fail_for_good(&mut self, number: usize) {
        let error = self.of_all_attempts(number);
        self.close(number, Slot::GivenUp);
        self.fail(number, error);
    }

    fn close(&mut self, number: usize, slot: Slot<W, U>) {
        self.slab[number] = slot;
        self.open -= 1;
    }

    /// Joins the errors of all attempts at a task into one.
    fn of_all_attempts(&mut self, number: usize) -> Error {
        let Slot::Open { task, failures, .. } = &mut self.slab[number] else { unreachable!("it is open") };
        let causes = std::mem::take(failures);
        let from = task.work.extent().from.map(|(source, at)| (self.phase.sources[source].path().to_owned(), at));
        let task = self.phase.task(number).to_string();
        let may_pass = causes.last().is_some_and(Error::may_pass);
        Error::of_attempts(task, from, causes, may_pass)
    }

    fn fail(&mut self, number: usize, error: Error) {
        let earliest = self.failed.load(Ordering::Relaxed);
        if number < earliest {
            self.failed.store(number, Ordering::Relaxed);
            self.error = Some(error);
        }
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn into_result(self) -> Result<Vec<U>> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let is_cut = self.phase.cut.is_some_and(|cut| cut.is_made.load(Ordering::Relaxed));
        let may_leave_out = is_cut || !self.inflow.is_wanted();
        let mut placed = Vec::with_capacity(self.slab.len());
        for (number, slot) in self.slab.into_iter().enumerate() {
            match slot {
                Slot::Placed(made) => placed.push(made),
                Slot::Open { .. } | Slot::GivenUp if may_leave_out => {}
                Slot::Open { .. } | Slot::GivenUp => {
                    let task = self.phase.task(number).to_string();
                    return Err(Error::Panic { task, message: "it was given up and nothing stands in for it".into() });
                }
            }
        }
        Ok(placed)
    }
}
