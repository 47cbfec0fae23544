//! The coordinator: the thread that started the job. It alone decides what is attempted, again if need be.
//!
//! ```text
//! tasks ──────────┐                      ┌─► worker: attempt ─► won? ─► placed ─┐
//!                 ├─► slab ─► tickets ───┤                                      │
//! inflow ─────────┘    ▲                 └─► worker: attempt ─► …               │
//! (streams' blocks)    └──────────────── ended: won, lost, failed ◄─────────────┘
//! ```
//!
//! A task stays in the slab until one of the attempts at it has won, and attempts borrow it. An attempt that failed for a
//! reason that may pass is made again, by another worker if one is free. One that takes far longer than its peers gets a
//! second attempt beside it when a worker has nothing else to do: the first to finish wins. Of several errors the one earliest in the input is
//! the one to report: when a task has failed for good, those that come later in the input are given up, and those that
//! come earlier go on.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvError, Sender, never, select, unbounded};

use super::attempt::{Attempt, Cancel, Done, Task, Work};
use super::control::{Control, Meter};
use super::deadline::{Deadline, Moment, Pace};
use super::log::Log;
use super::pool::{Deal, Handed, Place, Pool};
use crate::error::{Error, Result};
use crate::input::Source;
use crate::panics;
use crate::report::event::{AttemptId, PhaseName, TaskId, What};

/// What the tasks of a phase have in common.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a> {
    pub name: PhaseName,
    pub deal: Deal,
    /// Attempts that a task may have.
    pub attempts: u32,
    /// To name what a task works on.
    pub sources: &'a [Source],
    pub meter: &'a Meter,
    pub control: &'a Control,
    pub log: &'a Log,
    /// Where what is read by then is answered.
    pub cut: Option<Cut<'a>>,
}

/// When attempts end before they have read all that they are to read.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    pub deadline: Deadline,
    pub is_made: &'a AtomicBool,
}

/// Tasks that come while others run.
pub trait Inflow<W> {
    type Message;
    /// The next task; `None` if no more will come. Pending: a message has to arrive, or a task to end, before there is one.
    fn poll(&mut self) -> Poll<Option<W>>;
    /// Where messages come from while `poll` is pending.
    fn messages(&self) -> Receiver<Self::Message>;
    /// Takes what came from there.
    fn arrived(&mut self, message: Result<Self::Message, RecvError>) -> Result<()>;
    /// Whoever sends messages is to send what there is, and to end.
    fn stop(&mut self) {}
}

/// None come.
#[derive(Debug)]
pub struct NoMore;

impl<W> Inflow<W> for NoMore {
    type Message = ();

    fn poll(&mut self) -> Poll<Option<W>> {
        Poll::Ready(None)
    }

    fn messages(&self) -> Receiver<()> {
        never()
    }

    fn arrived(&mut self, _: Result<(), RecvError>) -> Result<()> {
        Ok(())
    }
}

/// How often a signal is looked for while nothing happens.
const LOOK: Duration = Duration::from_millis(50);

impl Pool {
    /// Attempts the tasks, and those that flow in meanwhile, numbered after them, until each is won. What an attempt made is
    /// placed by the worker that won. Gives what `place` made of each, by number; or the error of the earliest task that
    /// failed.
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

/// Leave to attempt a task.
#[derive(Debug)]
struct Ticket<W> {
    task: Arc<Task<W>>,
    attempt: u32,
    /// A worker that failed at it, or is at it.
    not_by: Option<usize>,
}

impl<W: Work> Handed for Ticket<W> {
    fn worker(&self, workers: usize) -> usize {
        self.not_by.map_or(self.task.number, |worker| worker + 1) % workers
    }
}

/// What a worker tells the coordinator.
enum Message<W, U> {
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
    /// Another worker should have it.
    Declined(Ticket<W>),
}

enum End<U> {
    Won(U),
    Lost,
    Failed(Error),
    /// It won, and what it made could not be placed.
    Misplaced(Error),
}

/// What all workers know of a phase.
struct Worker<'a, W, U, A, P> {
    phase: &'a Phase<'a>,
    failed: &'a AtomicUsize,
    workers: usize,
    to: &'a Sender<Message<W, U>>,
    attempt: A,
    place: P,
}

impl<W, T, U, A, P> Worker<'_, W, U, A, P>
where
    W: Work,
    A: Fn(&Attempt<'_>, &W) -> Result<Done<T>>,
    P: Fn(usize, T) -> Result<U>,
{
    fn run(&self, ticket: Ticket<W>, place: Place) {
        let Ticket { task, attempt, not_by } = ticket;
        let message = if not_by == Some(place.worker) && self.workers > 1 {
            Message::Declined(Ticket { task, attempt, not_by: None })
        } else {
            let _ = self.to.send(Message::Begun { number: task.number, worker: place.worker });
            let begun = Instant::now();
            let end = self.attempt(&task, attempt, place);
            let seconds = begun.elapsed().as_secs_f64();
            let number = task.number;
            // If nobody else holds the task its memory is free before the coordinator hears of it.
            drop(task);
            Message::Ended { number, worker: place.worker, seconds, end }
        };
        // A coordinator that is gone wants no message.
        let _ = self.to.send(message);
    }

    fn attempt(&self, task: &Task<W>, attempt: u32, place: Place) -> End<U> {
        let Phase { name, control, log, meter, .. } = *self.phase;
        let cut = self.phase.cut.map(|cut| cut.is_made);
        let cancel = Cancel::of(task, control, self.failed, cut);
        if cancel.is_cut() || matches!(cancel.check(), Err(Error::Cancelled)) {
            return End::Lost;
        }
        let id = AttemptId { task: TaskId { phase: name, number: task.number }, attempt };
        let Place { worker, seeded } = place;
        log.note(What::Begun { attempt: id, worker, seeded, extent: task.work.extent() });
        let of_task = Attempt { id, place, cancel, meter, metered: Cell::new(0) };
        let lost = || {
            of_task.take_back();
            log.note(What::Lost { attempt: id });
            End::Lost
        };
        match panics::caught(|| id.task.to_string(), || (self.attempt)(&of_task, &task.work)) {
            Ok(Done { made, records, counters }) if task.win(attempt) => {
                log.note(What::Won { attempt: id, records, counters: Box::new(counters) });
                match panics::caught(|| id.task.to_string(), || (self.place)(task.number, made)) {
                    Ok(placed) => End::Won(placed),
                    Err(error) => End::Misplaced(error),
                }
            }
            Ok(_) | Err(Error::Cancelled) => lost(),
            Err(_) if !task.is_open() => lost(),
            Err(error) => {
                of_task.take_back();
                log.note(What::Failed { attempt: id, error: error.to_string() });
                End::Failed(error)
            }
        }
    }
}

struct Coordinator<'a, W, U, I> {
    phase: &'a Phase<'a>,
    /// Number of the earliest task that failed for good.
    failed: &'a AtomicUsize,
    workers: usize,
    inflow: I,
    messages: Receiver<Message<W, U>>,
    /// By number.
    slab: Vec<Slot<W, U>>,
    /// Slots that are open.
    open: usize,
    /// Attempts that go on.
    running: usize,
    pace: Pace,
    /// That of the earliest task that failed.
    error: Option<Error>,
}

enum Slot<W, U> {
    Open {
        task: Arc<Task<W>>,
        /// Attempts that were asked for, and those of them that haven't ended.
        attempts: u32,
        running: u32,
        /// When the first began, and by whom.
        begun: Option<(Instant, usize)>,
        failures: Vec<Error>,
    },
    Placed(U),
    /// It failed, or one before it did, or nobody wants it.
    GivenUp,
}

impl<W: Work, U, I: Inflow<W>> Coordinator<'_, W, U, I> {
    fn coordinate(&mut self, hand_over: &mut dyn FnMut(Ticket<W>)) {
        let mut may_come = true;
        loop {
            while may_come {
                may_come = !self.has_failed();
                match if may_come { self.inflow.poll() } else { Poll::Ready(None) } {
                    Poll::Ready(Some(work)) => hand_over(self.begin(work)),
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
            let inflow = if may_come { self.inflow.messages() } else { never() };
            select! {
                recv(self.messages) -> message => self.hear(message.expect("workers can send"), hand_over),
                recv(inflow) -> message => {
                    if let Err(error) = self.inflow.arrived(message) {
                        self.fail(self.slab.len(), error);
                    }
                }
                default(wait) => {}
            }
            if let Err(interrupted) = self.phase.control.check() {
                self.fail(self.slab.len(), interrupted);
            }
        }
    }

    /// What the deadline asks for now, if there is one.
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
        let task = Arc::new(Task::new(self.slab.len(), work));
        let failures = Vec::new();
        self.slab.push(Slot::Open { task: task.clone(), attempts: 1, running: 1, begun: None, failures });
        self.open += 1;
        Ticket { task, attempt: 0, not_by: None }
    }

    /// A second attempt at each task whose first takes far longer than its peers did, if a worker has nothing to do.
    fn speculate(&mut self, hand_over: &mut dyn FnMut(Ticket<W>)) {
        let mut idle = self.workers.saturating_sub(self.running);
        if self.phase.attempts < 2 || self.has_failed() {
            return;
        }
        for slot in &mut self.slab {
            if idle == 0 {
                return;
            }
            if let Slot::Open { task, attempts, running: running @ 1, begun: Some((begun, worker)), .. } = slot
                && *attempts == 1
                && self.pace.is_beyond(begun.elapsed(), task.work.extent().bytes)
            {
                let id = AttemptId { task: TaskId { phase: self.phase.name, number: task.number }, attempt: *attempts };
                self.phase.log.note(What::Speculated { attempt: id });
                hand_over(Ticket { task: task.clone(), attempt: *attempts, not_by: Some(*worker) });
                *attempts += 1;
                *running += 1;
                idle -= 1;
            }
        }
    }

    fn hear(&mut self, message: Message<W, U>, hand_over: &mut dyn FnMut(Ticket<W>)) {
        let (number, worker, seconds, end) = match message {
            Message::Declined(ticket) => return hand_over(ticket),
            Message::Begun { number, worker } => {
                self.running += 1;
                if let Slot::Open { begun, .. } = &mut self.slab[number] {
                    begun.get_or_insert((Instant::now(), worker));
                }
                return;
            }
            Message::Ended { number, worker, seconds, end } => (number, worker, seconds, end),
        };
        self.running -= 1;
        let Slot::Open { task, attempts, running, failures, .. } = &mut self.slab[number] else { return };
        *running -= 1;
        match end {
            End::Won(placed) => {
                self.pace.note(seconds, task.work.extent().bytes);
                self.close(number, Slot::Placed(placed));
            }
            // One that was lost to another is closed by it.
            End::Lost if *running == 0 && task.is_open() => self.close(number, Slot::GivenUp),
            End::Lost => {}
            End::Misplaced(error) => {
                self.close(number, Slot::GivenUp);
                self.fail(number, error);
            }
            End::Failed(error) => {
                let may_pass = error.may_pass();
                failures.push(error);
                let is_wanted = number < self.failed.load(Ordering::Relaxed);
                if may_pass && is_wanted && failures.len() < self.phase.attempts as usize {
                    hand_over(Ticket { task: task.clone(), attempt: *attempts, not_by: Some(worker) });
                    *attempts += 1;
                    *running += 1;
                } else if *running == 0 {
                    let error = self.of_all_attempts(number);
                    self.close(number, Slot::GivenUp);
                    self.fail(number, error);
                }
            }
        }
    }

    fn close(&mut self, number: usize, slot: Slot<W, U>) {
        self.slab[number] = slot;
        self.open -= 1;
    }

    /// What the failures of a task come to.
    fn of_all_attempts(&mut self, number: usize) -> Error {
        let Slot::Open { task, failures, .. } = &mut self.slab[number] else { unreachable!("it is open") };
        let mut causes = std::mem::take(failures);
        // If the last may not pass, making it again didn't help, and it alone is what is wrong.
        if causes.len() == 1 || causes.last().is_some_and(|last| !last.may_pass()) {
            return causes.pop().expect("it has failed");
        }
        let from = task.work.extent().from.map(|(source, at)| (self.phase.sources[source].path().to_owned(), at));
        let task = TaskId { phase: self.phase.name, number }.to_string();
        Error::Attempts { task, from, causes }
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
        // Without an error only what nobody wanted any more was given up.
        let placed = self.slab.into_iter().filter_map(|slot| match slot {
            Slot::Placed(placed) => Some(placed),
            Slot::Open { .. } | Slot::GivenUp => None,
        });
        Ok(placed.collect())
    }
}
