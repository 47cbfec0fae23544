//! Tells whether standard input or output was closed when the process started (`<&-`, `>&-`).
//!
//! Before `main`, Rust opens /dev/null in place of a closed stream, so a result would be lost with exit code 0. So this
//! module looks at the streams earlier, in one of the initialisers that the system runs before anything else.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

static STDIN: AtomicBool = AtomicBool::new(false);
static STDOUT: AtomicBool = AtomicBool::new(false);

pub fn stdin() -> bool {
    STDIN.load(Ordering::Relaxed)
}

pub fn stdout() -> bool {
    STDOUT.load(Ordering::Relaxed)
}

// SAFETY: the section holds pointers to functions of this signature, which run once, on the only thread. This function
// makes two system calls and stores to atomics. Neither needs what Rust sets up before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for (number, closed) in [(0, &STDIN), (1, &STDOUT)] {
        // SAFETY: the call only asks for a flag of a descriptor. If the descriptor isn't open, the call returns an
        // error.
        closed.store(unsafe { libc::fcntl(number, libc::F_GETFD) } == -1, Ordering::Relaxed);
    }
}
