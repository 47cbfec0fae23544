//! Signals that interrupt a job. The first signal asks the job to end and clean up. A signal that comes a second later
//! or more ends the process at once. A signal that comes sooner only repeats the request, because `timeout` signals the
//! process and then its group.
//!
//! A job may not notice the first signal, because a system call doesn't return (a full pipe that nobody reads, a FIFO
//! that nobody opens, a dead network disk). Then [`watched`] cleans up after the job, and ends the process and the
//! commands that the job reads. It does the same if a job doesn't notice that its time is over, or has no memory left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io, process, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use super::{allocator, exit_code, last_words, message, warnings};
use crate::error::Error;
use crate::input::command;
use crate::run::Control;

/// How often the watch thread looks for a signal, and at the clock.
const LOOK: Duration = Duration::from_millis(200);

/// How long work may take to end after it was asked to.
#[derive(Clone, Copy, Debug)]
pub struct Grace {
    /// After this time the next signal ends the process. No handler runs then, so commands are ended before.
    armed: Duration,
    /// How long after `armed` the work is assumed to be stuck.
    stuck: Duration,
}

pub const RUNNING: Grace = Grace { armed: SECOND, stuck: Duration::from_secs(2) };
/// Planning is soon over, unless a disk doesn't answer, and leaves nothing behind.
pub const PLANNING: Grace = Grace { armed: LOOK, stuck: Duration::ZERO };

/// How long after the first signal another signal means that the user won't wait.
pub const SECOND: Duration = Duration::from_secs(1);

/// If set, the next signal ends the process at once.
pub type Armed = Arc<AtomicBool>;

/// Installs handlers that store a signal's number in `signal`.
pub fn watch(signal: &Arc<AtomicUsize>) -> io::Result<Armed> {
    let armed = Armed::default();
    for number in [SIGHUP, SIGINT, SIGTERM] {
        if ignored(number) {
            continue;
        }
        flag::register_conditional_default(number, Arc::clone(&armed))?;
        flag::register_usize(number, Arc::clone(signal), number as usize)?;
    }
    // With a handler, a file that outgrows `ulimit -f` is an error of the write, as a full disk is.
    flag::register(SIGXFSZ, Arc::default())?;
    Ok(armed)
}

/// Runs `work`, which should end soon after a signal. If it doesn't, removes what `work` would have removed and ends
/// the process.
pub fn watched<T>(control: &Control, armed: &Armed, grace: Grace, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, is_done) = bounded::<()>(0);
        // If no thread can be started, the job runs unwatched.
        let _ = thread::Builder::new().name("watch".into()).spawn_scoped(scope, move || {
            let _watched = allocator::Watching::begin();
            watch_over(control, armed, grace, &is_done);
        });
        let result = work();
        drop(done);
        result
    })
}

fn watch_over(control: &Control, armed: &Armed, grace: Grace, is_done: &Receiver<()>) {
    let goes_on = |wait| is_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout);
    while goes_on(LOOK) {
        if let Some(error) = allocator::missing() {
            end(control, error);
        }
        match control.check() {
            Ok(()) => {}
            Err(error @ Error::Interrupted { .. }) => {
                if goes_on(grace.armed) {
                    command::end_all();
                    armed.store(true, Ordering::Relaxed);
                    if goes_on(grace.stuck) {
                        end(control, error);
                    }
                }
            }
            // The job's time is over, and its workers have noticed that by now.
            Err(error) => {
                if goes_on(grace.stuck.max(LOOK)) {
                    end(control, error);
                }
            }
        }
    }
}

/// Ends the process as the job would have ended: with its commands ended and its files removed.
fn end(control: &Control, error: Error) -> ! {
    allocator::cleans_up();
    command::end_all();
    control.temporaries.remove_all();
    let error = error.into();
    last_words::say(&(warnings(&control.temporaries) + &message(&error)));
    process::exit(i32::from(exit_code(&error)))
}

/// Whether the process was started with this signal ignored. `nohup` and shells that start jobs in the background do
/// so, and a handler would undo that.
fn ignored(number: i32) -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| is_in_mask(&status, number))
}

fn is_in_mask(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask >> (number - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\n";
        assert!(is_in_mask(status, SIGHUP));
        assert!(!is_in_mask(status, SIGINT));
        assert!(!is_in_mask("", SIGHUP));
    }
}
