//! Whether the process was started without a standard input or output (`<&-`, `>&-`).
//!
//! Rust opens /dev/null in their place before `main`, so that a result would go nowhere with exit code 0. So they are
//! looked at earlier, among the initialisers that the system runs before anything else.

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

// SAFETY: the section holds pointers to functions of this signature, which run once, on the only thread. This one makes
// two system calls and stores to atomics, none of which needs what Rust sets up before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for (number, closed) in [(0, &STDIN), (1, &STDOUT)] {
        // SAFETY: asks for a flag of a descriptor; of one that isn't open it is an error.
        closed.store(unsafe { libc::fcntl(number, libc::F_GETFD) } == -1, Ordering::Relaxed);
    }
}
