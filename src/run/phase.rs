//! [`Phase`]: the settings that all tasks of a phase share. [`Inflow`]: tasks that arrive while others run.

use std::sync::atomic::AtomicBool;
use std::task::Poll;

use crossbeam_channel::{Receiver, RecvError, never};

use super::control::{Control, Meter};
use super::deadline::Deadline;
use super::log::Log;
use super::pool::Deal;
use crate::error::Result;
use crate::input::{Latency, Source};
use crate::report::event::{PhaseName, TaskId};

/// What the tasks of a phase have in common.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a> {
    pub name: PhaseName,
    /// The number of the first task.
    pub first: usize,
    pub deal: Deal,
    /// The most attempts at a task.
    pub attempts: u32,
    /// The sources, for names in error messages.
    pub sources: &'a [Source],
    /// What is known of how slow the sources are. Each worker takes its tasks of slow sources first.
    pub latencies: &'a [Latency],
    pub meter: &'a Meter,
    pub control: &'a Control,
    pub log: &'a Log,
    /// The deadline, if the job answers from what it has read by then.
    pub cut: Option<Cut<'a>>,
}

impl Phase<'_> {
    /// Returns the task in this place among the tasks that run together.
    pub fn task(&self, place: usize) -> TaskId {
        TaskId { phase: self.name, number: self.first + place }
    }
}

/// The deadline of a job that may answer from a part, and whether it has passed.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    pub deadline: Deadline,
    pub is_made: &'a AtomicBool,
}

/// Tasks that come while others run.
pub trait Inflow<W> {
    type Message;
    /// Returns the next task or an error; `None` if no more will come. While it is pending there is none before a
    /// message arrives, a task ends, or [`ready`](Self::ready) has a message.
    fn poll(&mut self) -> Poll<Option<Result<W>>>;
    /// Receives a message when `poll` may have more though no message came from [`messages`](Self::messages).
    fn ready(&self) -> Receiver<()> {
        never()
    }
    /// Where messages come from while `poll` is pending.
    fn messages(&self) -> Receiver<Self::Message>;
    /// Takes a message from [`messages`](Self::messages), or the error that there are no more.
    fn arrived(&mut self, message: Result<Self::Message, RecvError>) -> Result<()>;
    /// Whether all tasks are wanted.
    fn is_wanted(&self) -> bool {
        true
    }
    /// Asks the senders of messages to send what they have, and to end.
    fn stop(&mut self) {}
}

/// An inflow without tasks.
#[derive(Debug)]
pub struct NoMore;

impl<W> Inflow<W> for NoMore {
    type Message = ();

    fn poll(&mut self) -> Poll<Option<Result<W>>> {
        Poll::Ready(None)
    }

    fn messages(&self) -> Receiver<()> {
        never()
    }

    fn arrived(&mut self, _: Result<(), RecvError>) -> Result<()> {
        Ok(())
    }
}
