//! Interrupts: the first asks the job to end and clean up, the second ends it there and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::{fs, io};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Has the number of the first signal stored in `signal`.
pub fn watch(signal: &Arc<AtomicUsize>) -> io::Result<()> {
    let once = Arc::new(AtomicBool::new(false));
    for number in [SIGHUP, SIGINT, SIGTERM] {
        if ignored(number) {
            continue;
        }
        // In this order: the first signal finds `once` unset, the second doesn't.
        flag::register_conditional_default(number, Arc::clone(&once))?;
        flag::register(number, Arc::clone(&once))?;
        flag::register_usize(number, Arc::clone(signal), number as usize)?;
    }
    Ok(())
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
