//! One line on the terminal, on standard error, that is drawn over again and again and erased in the end.
//!
//! The cursor waits where the line begins. So a terminal made narrower, which wraps the line, still has it there, and
//! erasing from the cursor on erases all of it; and a ^C that the terminal echoes stands in it, and goes with it. (A bar of
//! indicatif's fills the line and leaves the cursor behind it: a ^C goes to the next line, and the bar stays.)

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::tcgetwinsize;

/// Of a terminal that doesn't say.
const COLUMNS: usize = 80;
const ERASE: &str = "\r\x1b[J";

#[derive(Debug, PartialEq, Eq)]
enum State {
    None,
    Drawn,
    /// What comes now is said by others.
    Ended,
}

static STATE: Mutex<State> = Mutex::new(State::None);

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether standard error is where a line can be drawn over.
pub fn can_draw() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns that a line may have. The last of the terminal's stays free: some wrap there.
pub fn room() -> usize {
    let columns = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    (if columns == 0 { COLUMNS } else { columns }) - 1
}

/// Lines may be drawn from now on.
pub fn begin() {
    *state() = State::None;
}

/// Draws `text`, which fits, in place of what was drawn. False once the line has [`end`]ed.
pub fn draw(text: &str) -> bool {
    let mut state = state();
    if *state == State::Ended {
        return false;
    }
    put(&format!("{ERASE}{text}\r"));
    *state = State::Drawn;
    true
}

/// Erases the line, if there is one.
pub fn erase() {
    wipe(&mut state());
}

/// Erases the line, if there is one, and draws no more: something else is to be said.
pub fn end() {
    // Under one lock, so that nobody draws in between.
    let mut state = state();
    wipe(&mut state);
    *state = State::Ended;
}

fn wipe(state: &mut State) {
    if *state == State::Drawn {
        put(ERASE);
        *state = State::None;
    }
}

/// To standard error as it is. Nobody is left to tell if it is gone.
pub fn put(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
