//! Hands out tasks whose output is written in their order, not too far ahead of what is written.

use std::task::Poll;
use std::vec;

use crossbeam_channel::{Receiver, RecvError, never};

use super::job::Job;
use crate::error::Result;
use crate::output::sequence::Sequencer;
use crate::run::Inflow;

/// How many tasks beyond one per worker may be ahead of what is written. Their lines are held in memory while the
/// reader of the output is slow.
const AHEAD: usize = 8;

/// Tasks that are handed out in order.
#[derive(Debug)]
pub struct InOrder<'s, W> {
    works: vec::IntoIter<W>,
    handed_out: usize,
    ahead: usize,
    sequencer: &'s Sequencer,
}

impl<'s, W> InOrder<'s, W> {
    pub fn new(job: &Job<'_>, works: Vec<W>, sequencer: &'s Sequencer) -> Self {
        InOrder { works: works.into_iter(), handed_out: 0, ahead: job.pool.threads() + AHEAD, sequencer }
    }
}

impl<W> Inflow<W> for InOrder<'_, W> {
    type Message = ();

    fn poll(&mut self) -> Poll<Option<Result<W>>> {
        if self.works.len() == 0 || self.sequencer.is_complete() {
            return Poll::Ready(None);
        }
        if self.handed_out >= self.sequencer.written() + self.ahead {
            return Poll::Pending;
        }
        self.handed_out += 1;
        Poll::Ready(self.works.next().map(Ok))
    }

    fn messages(&self) -> Receiver<()> {
        never()
    }

    fn arrived(&mut self, _: Result<(), RecvError>) -> Result<()> {
        Ok(())
    }

    fn is_wanted(&self) -> bool {
        !self.sequencer.is_complete()
    }
}
