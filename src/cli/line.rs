//! One line on the terminal, on standard error, that is drawn again and again and erased at the end.
//!
//! indicatif draws the line on a [`Screen`] of this module, which leaves the cursor at the beginning of the line. On a
//! screen of indicatif's the cursor stays after a line that is full. A ^C that the terminal echoes then goes to the
//! next line, and the bar is left where it was. On [`Screen`] the ^C stands in the line and is erased with it. A line
//! that wrapped when its terminal was made narrower is erased too, because erasing begins where the line begins.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::sync::{Mutex, MutexGuard};

use crate::panics::lock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use rustix::termios::tcgetwinsize;

/// The contents of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What is going on, such as the phase.
    pub what: String,
    /// How much of that is done, in per cent, if that is known.
    pub percent: Option<u64>,
    pub more: String,
}

impl Line {
    /// Returns the contents in words, without a bar.
    pub fn text(&self) -> String {
        let Line { what, percent, more } = self;
        match percent {
            Some(percent) => format!("{what} {percent} %, {more}"),
            None => format!("{what} {more}"),
        }
    }
}

/// Columns of a terminal below which there is no room for a bar.
const NARROW: u16 = 64;
const WITH_BAR: &str = "{prefix:6} {percent:>3} % {bar:20} {wide_msg}";
const WORDS: &str = "{wide_msg}";

#[derive(Debug)]
enum Display {
    None,
    Drawn(ProgressBar),
    /// The line has ended: other text comes now.
    Ended,
}

static DISPLAY: Mutex<Display> = Mutex::new(Display::None);

fn state() -> MutexGuard<'static, Display> {
    lock(&DISPLAY)
}

impl Display {
    fn bar(&mut self) -> Option<&ProgressBar> {
        if let Display::None = self {
            // No rate limit is needed, because callers draw seldom enough.
            let target = ProgressDrawTarget::term_like(Box::new(Screen::default()));
            *self = Display::Drawn(ProgressBar::with_draw_target(Some(100), target));
        }
        match self {
            Display::Drawn(bar) => Some(bar),
            Display::None | Display::Ended => None,
        }
    }

    fn erase(&mut self) {
        if let Display::Drawn(bar) = self {
            bar.finish_and_clear();
            *self = Display::None;
        }
    }
}

/// Whether a line can be drawn over on standard error.
pub fn can_draw() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Allows lines to be drawn from now on.
pub fn begin() {
    *state() = Display::None;
}

/// Draws `line` in place of what was drawn. Returns false once the line has [`end`]ed.
pub fn draw(line: &Line) -> bool {
    let mut state = state();
    let Some(bar) = state.bar() else { return false };
    draw_on(bar, line, Screen::default().width(), is_utf8(|name| env::var_os(name)));
    true
}

fn draw_on(bar: &ProgressBar, line: &Line, width: u16, is_utf8: bool) {
    let (template, message) = match line.percent {
        Some(_) if width >= NARROW => (WITH_BAR, line.more.clone()),
        _ => (WORDS, line.text()),
    };
    let ascii = |text: String| match is_utf8 {
        true => text,
        false => text.replace(|c: char| !c.is_ascii(), "?"),
    };
    let style = ProgressStyle::with_template(template).expect("it is one of two");
    bar.set_style(style.progress_chars(if is_utf8 { "━─" } else { "#-" }));
    // Of the calls from here on, only `set_message` draws.
    let bar = bar.clone().with_prefix(ascii(line.what.clone())).with_position(line.percent.unwrap_or(0));
    bar.set_message(ascii(message));
}

/// Calls `write` with the line erased. What `write` writes must be whole lines.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    let mut state = state();
    state.erase();
    // The lock is held, so that nobody draws in between.
    write()
}

/// Erases the line, if there is one, and lets no more lines be drawn, because other text comes now.
pub fn end() {
    let mut state = state();
    state.erase();
    *state = Display::Ended;
}

/// Like [`end`], but does nothing if another thread is just drawing or writing: that thread may be stuck.
pub fn try_end() {
    if let Ok(mut state) = DISPLAY.try_lock() {
        state.erase();
        *state = Display::Ended;
    }
}

/// Writes `text` to standard error as it is. An error is ignored, because it couldn't be reported anywhere.
pub fn put(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether the terminal shows UTF-8, according to the locale that the variables set. `variable` looks a variable up.
pub fn is_utf8(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    let locale = set.unwrap_or_default().to_string_lossy().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// One line of the terminal on standard error. Each drawing is one write over the old line. The write then erases what
/// is left of the old line, also in rows below, and takes the cursor back to the beginning of the line. Nothing is
/// erased from a screen's first column on: tmux would keep the text as if it had been scrolled away.
#[derive(Debug, Default)]
struct Screen(Mutex<String>);

impl Screen {
    fn text(&self) -> MutexGuard<'_, String> {
        lock(&self.0)
    }
}

impl TermLike for Screen {
    /// Returns the columns of the terminal without the last, which stays free because some terminals wrap there.
    fn width(&self) -> u16 {
        /// Columns of a terminal that doesn't say how many it has.
        const COLUMNS: u16 = 80;
        let columns = tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
        (if columns == 0 { COLUMNS } else { columns }).saturating_sub(1).max(1)
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.text().push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let text = mem::take(&mut *self.text());
        // indicatif fills the line with spaces, which are cut off here. With them the line would wrap in a narrower
        // terminal that has room for the text.
        put(&match text.trim_end() {
            "" => "\r \x1b[J\r\x1b[K".into(),
            text => format!("\r{text}\x1b[J\r"),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A terminal with this number of columns.
    #[derive(Clone, Debug)]
    struct Narrow(u16, Arc<Mutex<String>>);

    impl TermLike for Narrow {
        fn width(&self) -> u16 {
            self.0
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            assert_eq!(n, 0, "it is one line");
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            unreachable!("it is one line")
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            unreachable!("it is drawn from its beginning")
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            unreachable!("it is drawn from its beginning")
        }
        fn write_line(&self, _: &str) -> io::Result<()> {
            unreachable!("it doesn't end")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.1.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.1.lock().unwrap().clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn drawn(line: &Line, width: u16, is_utf8: bool) -> String {
        let screen = Narrow(width, Arc::default());
        let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::term_like(Box::new(screen.clone())));
        draw_on(&bar, line, width, is_utf8);
        let text = screen.1.lock().unwrap().clone();
        bar.finish_and_clear();
        assert_eq!(*screen.1.lock().unwrap(), "");
        text
    }

    fn half(more: &str) -> Line {
        Line { what: "map".into(), percent: Some(50), more: more.into() }
    }

    #[test]
    fn a_line_fits_its_terminal() {
        let unknown =
            Line { what: "map".into(), percent: None, more: "5.21 GB, waiting for 端末, größe and é".into() };
        for line in [half("1.25 GB/s, 25 h 10 min left"), unknown] {
            for width in 1..200 {
                for is_utf8 in [true, false] {
                    let text = drawn(&line, width, is_utf8);
                    assert!(console_width(&text) <= usize::from(width), "{width}: {text:?}");
                    assert!(is_utf8 || text.is_ascii(), "{text}");
                }
            }
        }
    }

    /// Returns the columns of a text, if it has only letters that are used here.
    fn console_width(text: &str) -> usize {
        text.chars().map(|c| if "端末".contains(c) { 2 } else { 1 }).sum()
    }

    #[test]
    fn what_is_drawn() {
        let line = half("1.25 GB/s, 12 s left");
        let shown = |width, is_utf8| drawn(&line, width, is_utf8).trim_end().to_owned();
        assert_eq!(shown(79, true), "map     50 % ━━━━━━━━━━────────── 1.25 GB/s, 12 s left");
        assert_eq!(shown(79, false), "map     50 % ##########---------- 1.25 GB/s, 12 s left");
        assert_eq!(shown(63, true), "map 50 %, 1.25 GB/s, 12 s left");
        assert_eq!(shown(19, true), "map 50 %, 1.25 GB/s");
    }

    /// The longest line of a run whose whole is known has room beside the bar.
    #[test]
    fn nothing_is_cut_beside_a_bar() {
        let line = Line { what: "output".into(), percent: Some(99), more: "0.58 GB/s, 125 h 10 min left".into() };
        assert!(drawn(&line, NARROW, true).trim_end().ends_with(&line.more));
    }

    #[test]
    fn locales() {
        let says = |set: &[(&str, &str)]| {
            is_utf8(|name| set.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into()))
        };
        assert!(says(&[("LANG", "de_DE.UTF-8")]) && says(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!says(&[]) && !says(&[("LANG", "C")]) && !says(&[("LC_ALL", "POSIX"), ("LANG", "en_US.UTF-8")]));
    }
}
