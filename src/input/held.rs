//! [`Sources`]: the sources of a job, together with commands and reads that were already started to plan the job.
//! Dropping it ends them.

use std::ops::{Deref, DerefMut};
use std::thread;

use super::Source;
use super::ending::{Ending, RunsCommand};

/// Sources in the order in which they are read. When they are dropped, whatever was begun of them or of the sources
/// that were left out is ended: no command outlives them.
#[derive(Debug)]
pub struct Sources {
    all: Vec<Source>,
    ending: Ending,
}

impl Sources {
    /// Returns a token for a thread that reads some of the sources to plan the job. The thread holds it until a command
    /// that isn't wanted has ended.
    pub(super) fn runs_command(&self) -> RunsCommand {
        self.ending.runs_command()
    }

    /// Removes the sources for whose index `is_left_out` is true, and returns them. They are ended beside the job.
    pub fn leave_out(&mut self, is_left_out: impl Fn(usize) -> bool) -> Vec<Source> {
        let mut index = 0..;
        let left_out: Vec<_> = self.all.extract_if(.., |_| index.next().is_some_and(&is_left_out)).collect();
        end(&left_out, &self.ending);
        left_out
    }

    /// Ends what was begun of the sources. Each source is then read again from its beginning, if it can be.
    pub fn forget_begun(&self) {
        end(&self.all, &Ending::default());
    }
}

/// Ends what was begun of the sources, if anything was. All commands are ended at the same time.
fn end(sources: &[Source], ending: &Ending) {
    for source in sources {
        let Some(begun) = source.take_begun() else { continue };
        if let Source::Command { .. } = source {
            let runs_command = ending.runs_command();
            // If no thread can be started, the command is ended here.
            let _ = thread::Builder::new().name("end".into()).spawn(move || {
                drop(begun);
                drop(runs_command);
            });
        }
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        end(&self.all, &self.ending);
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
