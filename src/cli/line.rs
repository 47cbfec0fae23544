//! One line on the terminal, on standard error, that is drawn again and again and erased in the end.
//!
//! indicatif draws it on a [`Screen`] of ours, which leaves the cursor where the line begins. On a screen of indicatif's the
//! cursor stays behind a line that is full: a ^C that the terminal echoes goes to the next line, and the bar is left where it
//! was. Here the ^C stands in the line and goes with it. So does a line that wrapped when its terminal was made narrower:
//! erasing begins where the line does.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::sync::{Mutex, MutexGuard};

use crate::panics::lock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use rustix::termios::tcgetwinsize;

/// What a line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What goes on.
    pub what: String,
    /// How much of it is done, in hundredths, where that is known.
    pub percent: Option<u64>,
    pub more: String,
}

impl Line {
    /// All of it in words.
    pub fn text(&self) -> String {
        let Line { what, percent, more } = self;
        match percent {
            Some(percent) => format!("{what} {percent} %, {more}"),
            None => format!("{what} {more}"),
        }
    }
}

/// Columns below which there is no room for a bar.
const NARROW: u16 = 64;
const WITH_BAR: &str = "{prefix:6} {percent:>3} % {bar:20} {wide_msg}";
const WORDS: &str = "{wide_msg}";

#[derive(Debug)]
enum Display {
    None,
    Drawn(ProgressBar),
    /// What comes now is said by others.
    Ended,
}

static DISPLAY: Mutex<Display> = Mutex::new(Display::None);

fn state() -> MutexGuard<'static, Display> {
    lock(&DISPLAY)
}

impl Display {
    fn bar(&mut self) -> Option<&ProgressBar> {
        if let Display::None = self {
            // Whoever draws does so seldom enough.
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

/// Whether standard error is where a line can be drawn over.
pub fn can_draw() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Lines may be drawn from now on.
pub fn begin() {
    *state() = Display::None;
}

/// Draws `line` in place of what was drawn. False once the line has [`end`]ed.
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
    // Only the last of these draws.
    let bar = bar.clone().with_prefix(ascii(line.what.clone())).with_position(line.percent.unwrap_or(0));
    bar.set_message(ascii(message));
}

/// Writes with the line out of the way. What is written are whole lines.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    let mut state = state();
    state.erase();
    // Under the lock, so that nobody draws in between.
    write()
}

/// Erases the line, if there is one, and draws no more: something else is to be said.
pub fn end() {
    let mut state = state();
    state.erase();
    *state = Display::Ended;
}

/// The same, unless somebody is just drawing or writing, who may be stuck.
pub fn try_end() {
    if let Ok(mut state) = DISPLAY.try_lock() {
        state.erase();
        *state = Display::Ended;
    }
}

/// To standard error as it is. Nobody is left to tell if it is gone.
pub fn put(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether a terminal shows UTF-8, as the locale says that these `variable`s set.
pub fn is_utf8(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    let locale = set.unwrap_or_default().to_string_lossy().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// One line of the terminal on standard error. Each drawing is one write over what was there. Then it erases what is left of
/// that, also in rows below, and takes the cursor back to where the line begins. Nothing is erased from a screen's first column
/// on: tmux would keep it as if it had been scrolled away.
#[derive(Debug, Default)]
struct Screen(Mutex<String>);

impl Screen {
    fn text(&self) -> MutexGuard<'_, String> {
        lock(&self.0)
    }
}

impl TermLike for Screen {
    /// The last of the terminal's columns stays free: some wrap there.
    fn width(&self) -> u16 {
        /// Of a terminal that doesn't say.
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
        // indicatif fills the line. So it would wrap in a narrower terminal in which what it says has room.
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

    /// A terminal of so many columns.
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

    /// Of the letters that are used here.
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

    /// All that can be said of a run whose whole is known has room beside the bar.
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
