//! Waits for commands to end. Each thread that runs a command holds a [`RunsCommand`]; dropping the [`Ending`] waits
//! until all of these are dropped.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// How long to wait. Ending commands takes a fraction of a second. If it takes longer, more may be wrong with the
/// system.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits, when it is dropped, until nobody runs a command any more. Commands are ended side by side, in the time that
/// one takes.
#[derive(Debug)]
pub struct Ending {
    /// Taken when the `Ending` is dropped.
    runs_command: Option<Sender<()>>,
    /// Disconnected when every command has ended. Nothing is ever sent.
    commands: Receiver<()>,
}

/// A token that whoever runs a command holds until the command has ended.
#[derive(Debug)]
pub struct RunsCommand {
    _held: Sender<()>,
}

impl Default for Ending {
    fn default() -> Self {
        let (runs_command, commands) = bounded(0);
        Ending { runs_command: Some(runs_command), commands }
    }
}

impl Ending {
    pub fn runs_command(&self) -> RunsCommand {
        RunsCommand { _held: self.runs_command.clone().expect("it is there until this is dropped") }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.runs_command = None;
        let _ = self.commands.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_waits_for_whoever_runs_a_command() {
        let (ending, begun) = (Ending::default(), Instant::now());
        let time = Duration::from_millis(50);
        for runs_command in [ending.runs_command(), ending.runs_command()] {
            thread::spawn(move || {
                thread::sleep(time);
                drop(runs_command);
            });
        }
        drop(ending);
        assert!(begun.elapsed() >= time);
        drop(Ending::default());
    }
}
