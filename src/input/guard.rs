//! Guards mapped files whose bytes get lost while they are read, because a file is cut shorter or its disk fails.
//!
//! The system then raises SIGBUS. That would end the process without a message, and leave the spill directory behind.
//! The handler here puts zeros where the bytes were, so that the attempt reads on, and marks the mapping. When the
//! attempt has read its block, it asks for the mark and fails. A SIGBUS from anywhere else goes to whoever handled it
//! before.

#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::{mem, ptr};

use crate::failpoint::{self, Point};

/// Mappings that can be guarded at a time. Each worker has one, and so has each block of a stream that is in a file. A
/// mapping beyond these isn't guarded.
const MOST: usize = 4096;

/// An address range that is guarded. `start` is 0 if the place is free, and [`TAKEN`] while `end` is being written.
struct GuardedRange {
    start: AtomicUsize,
    end: AtomicUsize,
    lost: AtomicBool,
}

const TAKEN: usize = 1;

static GUARDED: [GuardedRange; MOST] =
    [const { GuardedRange { start: AtomicUsize::new(0), end: AtomicUsize::new(0), lost: AtomicBool::new(false) } };
        MOST];

/// The action that handled SIGBUS before. Written once, never freed.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());
static SYSTEM_PAGE: AtomicUsize = AtomicUsize::new(4096);

/// Guards a mapping until the guard is dropped, which must be before the mapping is unmapped.
#[derive(Debug)]
pub struct Guard {
    place: Option<usize>,
}

impl Guard {
    pub fn new(mapping: &[u8]) -> Guard {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(install);
        let Range { start, end } = mapping.as_ptr_range();
        let place = GUARDED
            .iter()
            .position(|place| place.start.compare_exchange(0, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok());
        if let Some(place) = place.map(|place| &GUARDED[place]) {
            place.lost.store(false, Ordering::Relaxed);
            place.end.store(end.addr(), Ordering::Relaxed);
            place.start.store(start.addr(), Ordering::Release);
        }
        Guard { place }
    }

    /// Whether bytes that were read from the mapping weren't the file's.
    pub fn lost(&self) -> bool {
        let lost = self.place.is_some_and(|place| GUARDED[place].lost.load(Ordering::Acquire));
        lost || failpoint::hit(Point::InputLost).is_err()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            GUARDED[place].start.store(0, Ordering::Release);
        }
    }
}

fn install() {
    // SAFETY: `sysconf` reads a constant. A zeroed `sigaction` is valid: it has an empty mask and no flags. The handler
    // has the signature that SA_SIGINFO calls for, and does nothing that a signal handler may not do.
    unsafe {
        if let Ok(page @ 1..) = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)) {
            SYSTEM_PAGE.store(page, Ordering::Relaxed);
        }
        let mut before: Box<libc::sigaction> = Box::new(mem::zeroed());
        if libc::sigaction(libc::SIGBUS, ptr::null(), &mut *before) != 0 {
            return;
        }
        BEFORE.store(Box::into_raw(before), Ordering::Release);
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handle as extern "C" fn(_, _, _) as usize;
        // SA_ONSTACK: the handler runs on the stack that Rust's own handler has for threads that overflowed theirs.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, &action, ptr::null_mut());
    }
}

/// Handles SIGBUS. Does only what is safe in a signal handler: atomics and system calls.
extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the system passes a valid `info`, which for SIGBUS has an address.
    let at = unsafe { (*info).si_addr() }.addr();
    let guarded = GUARDED.iter().find_map(|place| {
        let start = place.start.load(Ordering::Acquire);
        let end = place.end.load(Ordering::Relaxed);
        (start > TAKEN && (start..end).contains(&at)).then_some((place, end))
    });
    if let Some((place, end)) = guarded {
        place.lost.store(true, Ordering::Release);
        let page = SYSTEM_PAGE.load(Ordering::Relaxed);
        let from = at - at % page;
        // SAFETY: the pages from here to the mapping's end are part of a private mapping, which only attempts at its
        // block read. The pages are replaced by readable pages of zeros, and the mark says so to each attempt.
        let zeros = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            libc::mmap(ptr::with_exposed_provenance_mut(from), end - from, libc::PROT_READ, flags, -1, 0)
        };
        if zeros != libc::MAP_FAILED {
            return;
        }
    }
    // Returning raises the signal again, and the handler from before gets it.
    let before = BEFORE.load(Ordering::Acquire);
    // SAFETY: `before` was filled in by `sigaction` before this handler was installed, and is never freed.
    unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
}
