//! An allocator for processes whose memory is limited, as by `ulimit -v`: when an allocation fails, mapfold prints a
//! message and exits with code 1 instead of aborting.
//!
//! The thread whose allocation failed can't go on, and it can't unwind out of an allocator. So the thread waits, while
//! the watch thread of the job removes what the job would have removed, prints the message, and ends the process. If
//! there is no watch thread, or the watch thread is stuck too, the waiting thread prints the message and ends the
//! process.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::any::Any;
use std::cell::Cell;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{panic, thread};

use super::last_words;
use crate::error::{Error, LESS_MEMORY};

/// The system's allocator, except that a failed allocation ends the process.
pub struct Allocator;

// SAFETY: every call is handed to `System` unchanged, and what `System` returns is returned unchanged. A null pointer
// is never returned.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller makes the promises that `System` asks for.
        given(|| unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(|| unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; `memory` came from `System`.
        given(|| unsafe { System.realloc(memory, layout, size) }, size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[inline]
fn given(ask: impl FnOnce() -> *mut u8, bytes: usize) -> *mut u8 {
    // Once an allocation has failed, the memory that is left is for the watch thread. No other thread may make files
    // that the watch thread is about to remove.
    if MISSING.load(Ordering::Relaxed) > 0 && !IS_WATCH.get() {
        end(bytes);
    }
    let memory = ask();
    if memory.is_null() {
        end(bytes);
    }
    memory
}

thread_local! {
    /// Whether this thread is the watch thread.
    static IS_WATCH: Cell<bool> = const { Cell::new(false) };
}

/// Bytes of the first allocation that failed; 0 if none has.
static MISSING: AtomicUsize = AtomicUsize::new(0);
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
/// Memory that is freed for the watch thread, which needs some to clean up.
static RESERVE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
const RESERVED: usize = 256 << 10;

/// How long the watch thread may take until it begins to clean up, and then until it is done.
const PATIENCE: Duration = Duration::from_secs(3);
const PATIENCE_OF_CLEANING: Duration = Duration::from_secs(30);
static IS_CLEANING: AtomicBool = AtomicBool::new(false);

/// A guard of the watch thread: while it lives, its thread looks at [`missing`] now and then.
pub struct Watching;

impl Watching {
    pub fn begin() -> Watching {
        if let Ok(mut reserve) = RESERVE.lock() {
            reserve.reserve_exact(RESERVED);
        }
        IS_WATCH.set(true);
        IS_WATCHED.store(true, Ordering::Release);
        Watching
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        IS_WATCHED.store(false, Ordering::Release);
    }
}

/// Tells waiting threads that the watch thread has begun to clean up, and ends the process afterwards. There may be
/// much to remove.
pub fn cleans_up() {
    IS_CLEANING.store(true, Ordering::Release);
}

/// Waits for the watch thread to end the process. Returns if that takes too long.
fn give_way(is_cleaning: &AtomicBool, wait: impl Fn(Duration)) {
    wait(PATIENCE);
    if is_cleaning.load(Ordering::Acquire) {
        wait(PATIENCE_OF_CLEANING);
    }
}

/// Gives memory of large pieces back to the system when they are freed. Otherwise the system's allocator keeps ever
/// larger pieces, and the process takes several times what it uses. To be called before any thread is started.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        /// Bytes of a piece that has a mapping of its own. Pieces that haven't are kept by each thread. With 1 MiB,
        /// sixteen threads in 44 MiB took 61 MiB, and now 37; no job measured was slower.
        const LARGE: i32 = 64 << 10;
        // SAFETY: the calls set parameters of the allocator, and no other thread exists that could use the allocator.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
        }
    }
}

/// Makes all threads share one heap if the address space is limited. Otherwise the system's allocator sets 64 MiB of
/// addresses aside for each thread, and a thread that finds none left when it is started ends the process in its own
/// way. To be called before any thread is started.
pub fn share_addresses() {
    #[cfg(target_env = "gnu")]
    if rustix::process::getrlimit(rustix::process::Resource::As).current.is_some() {
        // SAFETY: the call sets a parameter of the allocator, and no other thread exists that could use the allocator.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}

/// Returns the error of the allocation that failed, if one did.
pub fn missing() -> Option<Error> {
    let bytes = MISSING.load(Ordering::Acquire);
    (bytes > 0).then_some(Error::OutOfMemory { bytes })
}

/// Installs a panic hook that ends the process when a thread finds no memory for the stack of its signal handlers: such
/// a thread panics where nobody can catch the panic.
pub fn end_for_want_of_stacks() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if is_for_want_of_a_stack(panic.payload()) {
            end(libc::SIGSTKSZ);
        }
        before(panic);
    }));
}

fn is_for_want_of_a_stack(panic: &dyn Any) -> bool {
    panic.downcast_ref::<String>().is_some_and(|text| text.starts_with("failed to allocate an alternative stack"))
}

#[cold]
fn end(bytes: usize) -> ! {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    let _ = MISSING.compare_exchange(0, bytes.max(1), Ordering::AcqRel, Ordering::Relaxed);
    if IS_WATCHED.load(Ordering::Acquire) && !IS_WATCH.get() {
        if let Ok(mut reserve) = RESERVE.try_lock() {
            *reserve = Vec::new();
        }
        give_way(&IS_CLEANING, thread::sleep);
    }
    if !IS_SAID.swap(true, Ordering::AcqRel) {
        let mut text = [0; 256];
        let mut rest = &mut text[..];
        let first = Error::OutOfMemory { bytes: MISSING.load(Ordering::Acquire) };
        let _ = write!(rest, "error: {first}\nhint: {LESS_MEMORY}\n");
        let left = rest.len();
        last_words::put(&text[..text.len() - left]);
    }
    // SAFETY: the call does nothing but end the process.
    unsafe { libc::_exit(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise only a part of the files would be removed, and the error would be printed twice.
    #[test]
    fn who_cleans_up_is_given_time() {
        let is_cleaning = AtomicBool::new(false);
        let waits = || {
            let waited = Cell::new(Duration::ZERO);
            // Adds up the time instead of waiting.
            give_way(&is_cleaning, |time| waited.set(waited.get() + time));
            waited.get()
        };
        assert_eq!(waits(), PATIENCE);
        is_cleaning.store(true, Ordering::Release);
        assert_eq!(waits(), PATIENCE + PATIENCE_OF_CLEANING);
    }

    /// The text is the standard library's, and nothing guarantees it.
    #[test]
    fn other_panics_are_none_of_it() {
        let text = "failed to allocate an alternative stack: Cannot allocate memory (os error 12)".to_owned();
        assert!(is_for_want_of_a_stack(&text));
        assert!(!is_for_want_of_a_stack(&"index out of bounds".to_owned()) && !is_for_want_of_a_stack(&"a word"));
    }
}
