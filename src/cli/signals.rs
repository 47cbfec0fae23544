//! Interrupts: the first asks the job to end and clean up, a second one, a second later, ends it there and then. What
//! comes sooner is the same request once more: `timeout` signals the process and then its group.
//!
//! A job that can't hear the first, because a system call doesn't return (a full pipe that nobody reads, a FIFO that nobody
//! opens, a dead network disk), is cleaned up after and ended by [`watched`], with the commands that it reads. So is one
//! that doesn't hear that its time is over, and one that has no memory left.

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

/// How often the watch looks for a signal, and at the clock.
const LOOK: Duration = Duration::from_millis(200);

/// How long work that was asked to end may take.
#[derive(Clone, Copy, Debug)]
pub struct Grace {
    /// From then on the next signal ends the process. Nothing hears it any more, so commands are ended before.
    armed: Duration,
    /// How long after that the work is held to be stuck.
    stuck: Duration,
}

pub const RUNNING: Grace = Grace { armed: SECOND, stuck: Duration::from_secs(2) };
/// To make a plan is soon over, unless a disk doesn't answer, and leaves nothing behind.
pub const PLANNING: Grace = Grace { armed: LOOK, stuck: Duration::ZERO };

/// How long after the first signal another one means that the user won't wait.
pub const SECOND: Duration = Duration::from_secs(1);

/// Set: the next signal ends the process there and then.
pub type Armed = Arc<AtomicBool>;

/// Has the number of a signal stored in `signal`.
pub fn watch(signal: &Arc<AtomicUsize>) -> io::Result<Armed> {
    let armed = Armed::default();
    for number in [SIGHUP, SIGINT, SIGTERM] {
        if ignored(number) {
            continue;
        }
        flag::register_conditional_default(number, Arc::clone(&armed))?;
        flag::register_usize(number, Arc::clone(signal), number as usize)?;
    }
    // A file that outgrows `ulimit -f` is then an error of the write, as a full disk is.
    flag::register(SIGXFSZ, Arc::default())?;
    Ok(armed)
}

/// Runs `work`, which ends soon after a signal; if it doesn't, removes what it would have removed and ends the process.
pub fn watched<T>(control: &Control, armed: &Armed, grace: Grace, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, is_done) = bounded::<()>(0);
        // Where no thread is to be had the job runs unwatched.
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
            // Its time is over, which who works has heard by now.
            Err(error) => {
                if goes_on(grace.stuck.max(LOOK)) {
                    end(control, error);
                }
            }
        }
    }
}

/// Ends the process as the job would have: with its commands, and what it made removed.
fn end(control: &Control, error: Error) -> ! {
    allocator::cleans_up();
    command::end_all();
    control.temporaries.remove_all();
    let error = error.into();
    last_words::say(&(warnings(&control.temporaries) + &message(&error)));
    process::exit(i32::from(exit_code(&error)))
}

/// `nohup` and shells that start jobs in the background have a signal ignored, and a handler would undo that.
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
