//! Turns panics into errors. Every panic is a bug in mapfold, and the error says so; [`hush`] suppresses Rust's own
//! message. [`lock`] ignores poisoning: no code panics in the middle of a change to locked data. If a record makes a
//! map attempt panic, the engine makes it a bad record.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::env;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

thread_local! {
    /// Whether a caller turns the panics of this thread into errors.
    static ARE_CAUGHT: Cell<bool> = const { Cell::new(false) };
    /// The source location of this thread's last panic.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`, and returns a panic in it as [`Error::Panic`]. `task` gives the name of the work for messages.
pub fn caught<T>(task: impl FnOnce() -> String, work: impl FnOnce() -> Result<T>) -> Result<T> {
    quietly(|| catch_unwind(AssertUnwindSafe(work)))
        .unwrap_or_else(|panic| Err(Error::Panic { task: task(), message: message(&*panic) }))
}

/// Runs `work` on a thread whose panics another thread turns into errors: they print nothing.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let before = ARE_CAUGHT.replace(true);
    let made = work();
    ARE_CAUGHT.set(before);
    made
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into());
    match PLACE.take() {
        Some(place) => format!("{text} ({place})"),
        None => text,
    }
}

/// Locks `mutex`, even if a thread panicked while it held the lock.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the data of `mutex`, even if a thread panicked while it held the lock.
pub fn unlocked<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Installs a panic hook that prints nothing for panics that become errors, unless RUST_BACKTRACE asks for it.
pub fn hush() {
    let before = panic::take_hook();
    let is_wanted = env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    panic::set_hook(Box::new(move |panic| {
        PLACE.set(panic.location().map(ToString::to_string));
        if is_wanted || !ARE_CAUGHT.get() {
            before(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let failed = |work: fn() -> Result<()>| caught(|| "map-00007".into(), work).unwrap_err().to_string();
        assert_eq!(failed(|| panic!("on purpose")), "internal error in map-00007: on purpose");
        assert_eq!(failed(|| panic!("at {}", 3)), "internal error in map-00007: at 3");
        assert_eq!(failed(|| panic::panic_any(3)), "internal error in map-00007: no message");
        assert_eq!(failed(|| Err(Error::usage("x"))), "x");
        assert!(!ARE_CAUGHT.get());
    }
}
