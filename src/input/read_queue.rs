//! A list of sources that a few readers take one after the other. It also decides which of the readers' errors is sent.

use std::collections::VecDeque;
use std::sync::Mutex;

use crossbeam_channel::Sender;

use super::Source;
use super::stream::StreamBlock;
use crate::error::{Error, Result};
use crate::panics::lock;

/// A source to be read, and where to send its blocks.
pub struct ReadTask {
    pub index: usize,
    pub source: Source,
    pub to: Sender<Result<StreamBlock>>,
}

/// The sources that are left to read, in the order in which readers take them.
pub struct ReadQueue(Mutex<List>);

struct List {
    left: VecDeque<ReadTask>,
    /// Indices of the sources that are being read.
    running: Vec<usize>,
    /// The error of the earliest source that failed, until the error is sent.
    failed: Option<(Error, ReadTask)>,
}

impl List {
    /// Notes an error. Sources after one that failed aren't begun.
    fn fail(&mut self, error: Error, task: ReadTask) {
        if self.failed.as_ref().is_none_or(|(_, earliest)| task.index < earliest.index) {
            // The result may do without a source that timed out.
            if !matches!(error, Error::TimedOut { .. }) {
                self.left.retain(|left| left.index < task.index);
            }
            self.failed = Some((error, task));
        }
    }

    /// Takes the error out, once no earlier source is being read or is left to be read.
    fn take_failed(&mut self) -> Option<(Error, ReadTask)> {
        let running = self.running.iter().copied();
        let mut open = running.chain(self.left.iter().map(|task| task.index));
        self.failed.take_if(|(_, task)| !open.any(|other| other < task.index))
    }
}

impl ReadQueue {
    /// Makes a list that is taken in this order.
    pub fn new(left: VecDeque<ReadTask>) -> Self {
        ReadQueue(Mutex::new(List { left, running: Vec::new(), failed: None }))
    }

    /// Takes read tasks from the queue and calls `read` for each, until none is left. Of several errors, the one that
    /// is earliest in the input is sent first, whichever source was begun first.
    pub fn run(&self, read: impl Fn(&ReadTask) -> Result<()>) {
        while let Some(task) = self.begin() {
            let read = read(&task);
            let mut list = lock(&self.0);
            list.running.retain(|&other| other != task.index);
            if let Err(error) = read {
                list.fail(error, task);
            }
            let failed = list.take_failed();
            drop(list);
            if let Some((error, task)) = failed {
                // If the receiver is gone, nobody wants the error.
                let _ = task.to.send(Err(error));
            }
        }
    }

    fn begin(&self) -> Option<ReadTask> {
        let mut list = lock(&self.0);
        let task = list.left.pop_front()?;
        list.running.push(task.index);
        Some(task)
    }
}
