//! The sources of a job, with what was begun of them to plan it.

use std::ops::{Deref, DerefMut};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Source;

/// Commands take a fraction of a second to be ended. More may be wrong with the system.
const PATIENCE: Duration = Duration::from_secs(2);

/// Read in this order. Dropped, what was begun of them is ended, and so is what was left out: no command outlives them.
#[derive(Debug)]
pub struct Sources {
    all: Vec<Source>,
    ending: Ending,
}

impl Sources {
    /// For whoever reads some of them to plan the job: held until a command that isn't wanted has ended.
    pub(super) fn runs_command(&self) -> Sender<()> {
        self.ending.runs_command.clone()
    }

    /// Leaves out those of which `is_left_out` says so, by index. They are ended beside the job.
    pub fn leave_out(&mut self, is_left_out: impl Fn(usize) -> bool) -> Vec<Source> {
        let mut index = 0..;
        let left_out: Vec<_> = self.all.extract_if(.., |_| index.next().is_some_and(&is_left_out)).collect();
        self.ending.end(&left_out);
        left_out
    }

    /// Ends what was begun of them: each is read again from its beginning, if it can be.
    pub fn forget_begun(&self) {
        let ending = Ending::default();
        ending.end(&self.all);
        ending.wait();
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.ending.end(&self.all);
        std::mem::take(&mut self.ending).wait();
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(all: I) -> Self {
        Sources { all: all.into_iter().collect(), ending: Ending::default() }
    }
}

impl Deref for Sources {
    type Target = [Source];

    fn deref(&self) -> &[Source] {
        &self.all
    }
}

impl DerefMut for Sources {
    fn deref_mut(&mut self) -> &mut [Source] {
        &mut self.all
    }
}

/// Commands that are being ended: all of them in the time that one takes.
#[derive(Debug)]
struct Ending {
    runs_command: Sender<()>,
    /// Disconnected when every command has ended. Nothing is sent.
    commands: Receiver<()>,
}

impl Default for Ending {
    fn default() -> Self {
        let (runs_command, commands) = bounded(0);
        Ending { runs_command, commands }
    }
}

impl Ending {
    /// Ends what was begun of the sources, if anything was.
    fn end(&self, sources: &[Source]) {
        for source in sources {
            let Some(begun) = source.take_begun() else { continue };
            if let Source::Command { .. } = source {
                let runs_command = self.runs_command.clone();
                // Where no thread is to be had it is ended here.
                let _ = thread::Builder::new().name("end".into()).spawn(move || {
                    drop(begun);
                    drop(runs_command);
                });
            }
        }
    }

    fn wait(self) {
        drop(self.runs_command);
        let _ = self.commands.recv_timeout(PATIENCE);
    }
}
