//! Phases: what their tasks have in common, and where tasks come from while others run.

use std::sync::atomic::AtomicBool;
use std::task::Poll;

use crossbeam_channel::{Receiver, RecvError, never};

use super::control::{Control, Meter};
use super::deadline::Deadline;
use super::log::Log;
use super::pool::Deal;
use crate::error::Result;
use crate::input::{Latency, Source};
use crate::report::event::PhaseName;

/// What the tasks of a phase have in common.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a> {
    pub name: PhaseName,
    pub deal: Deal,
    /// Attempts that a task may have.
    pub attempts: u32,
    /// To name what a task works on.
    pub sources: &'a [Source],
    /// What is known of them. Of each worker's tasks those of sources that are known to be slow come first.
    pub latencies: &'a [Latency],
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
    /// The next task, or why there is none; `None` if no more will come. Pending: a message has to arrive, a task to end, or
    /// [`ready`](Self::ready) to say so, before there is one.
    fn poll(&mut self) -> Poll<Option<Result<W>>>;
    /// Says that `poll` may have more, though no message came.
    fn ready(&self) -> Receiver<()> {
        never()
    }
    /// Where messages come from while `poll` is pending.
    fn messages(&self) -> Receiver<Self::Message>;
    /// Takes what came from there.
    fn arrived(&mut self, message: Result<Self::Message, RecvError>) -> Result<()>;
    /// Whether all tasks are wanted.
    fn is_wanted(&self) -> bool {
        true
    }
    /// Whoever sends messages is to send what there is, and to end.
    fn stop(&mut self) {}
}

/// None come.
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
