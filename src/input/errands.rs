//! Sources that a few readers take one after the other, and which of their errors is told.

use std::collections::VecDeque;
use std::sync::Mutex;

use crossbeam_channel::Sender;

use super::Source;
use super::stream::StreamBlock;
use crate::error::{Error, Result};
use crate::panics::lock;

/// A source that is to be read, and who is to have its blocks.
pub struct Errand {
    pub index: usize,
    pub source: Source,
    pub to: Sender<Result<StreamBlock>>,
}

pub struct Errands(Mutex<List>);

struct List {
    left: VecDeque<Errand>,
    /// Sources that are read.
    running: Vec<usize>,
    /// The earliest source that failed, until that is sent.
    failed: Option<(Error, Errand)>,
}

impl List {
    /// What is later than a source that failed isn't begun.
    fn fail(&mut self, error: Error, errand: Errand) {
        if self.failed.as_ref().is_none_or(|(_, earliest)| errand.index < earliest.index) {
            // An answer may do without a source that is late.
            if !matches!(error, Error::TimedOut { .. }) {
                self.left.retain(|left| left.index < errand.index);
            }
            self.failed = Some((error, errand));
        }
    }

    /// The error, once nothing before it is read any more or will be.
    fn take_failed(&mut self) -> Option<(Error, Errand)> {
        let running = self.running.iter().copied();
        let mut open = running.chain(self.left.iter().map(|errand| errand.index));
        self.failed.take_if(|(_, errand)| !open.any(|other| other < errand.index))
    }
}

impl Errands {
    /// To be taken in this order.
    pub fn new(left: VecDeque<Errand>) -> Self {
        Errands(Mutex::new(List { left, running: Vec::new(), failed: None }))
    }

    /// Does one after the other. Of several errors the one that is earliest in the input is the first that is sent, whichever was
    /// begun first.
    pub fn run(&self, read: impl Fn(&Errand) -> Result<()>) {
        while let Some(errand) = self.begin() {
            let read = read(&errand);
            let mut list = lock(&self.0);
            list.running.retain(|&other| other != errand.index);
            if let Err(error) = read {
                list.fail(error, errand);
            }
            let failed = list.take_failed();
            drop(list);
            if let Some((error, errand)) = failed {
                // A receiver that is gone wants no error either.
                let _ = errand.to.send(Err(error));
            }
        }
    }

    fn begin(&self) -> Option<Errand> {
        let mut list = lock(&self.0);
        let errand = list.left.pop_front()?;
        list.running.push(errand.index);
        Some(errand)
    }
}
