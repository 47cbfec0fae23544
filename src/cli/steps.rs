//! How far a command has come that runs a job many times: a line on standard error, gone in the end.

use std::time::{Duration, Instant};

use clap::ArgAction;

use super::progress::When;
use super::{help, line};
use crate::units::whole_seconds;

/// What such a command takes about what it shows.
#[derive(clap::Args)]
pub struct StepsArgs {
    /// On stderr: auto (on a terminal), always or never
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = help::WHAT_HAPPENED
    )]
    pub progress: When,

    /// Print help; the long one with --help
    #[arg(short, long, action = ArgAction::Help, help_heading = help::WHAT_HAPPENED)]
    help: Option<bool>,
}

/// Steps to go, one run each.
pub struct Steps {
    total: usize,
    begun: usize,
    started: Instant,
    shown: Shown,
    /// What the line says, while there is one.
    line: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Redrawn,
    Lines,
    Nothing,
}

impl Steps {
    pub fn new(when: When, total: usize) -> Self {
        let shown = match when {
            When::Auto | When::Always if line::can_draw() => Shown::Redrawn,
            When::Always => Shown::Lines,
            When::Auto | When::Never => Shown::Nothing,
        };
        line::begin();
        Steps { total, begun: 0, started: Instant::now(), shown, line: String::new() }
    }

    /// The next run begins.
    pub fn next(&mut self, what: &str) {
        let left = left(self.begun, self.total, self.started.elapsed());
        self.begun += 1;
        let text = format!("run {} of {}: {what}", self.begun, self.total);
        match self.shown {
            Shown::Redrawn => {
                self.line = shortened(&format!("{text}{left}"), line::room());
                line::draw(&self.line);
            }
            Shown::Lines => line::put(&format!("{text}\n")),
            Shown::Nothing => {}
        }
    }

    /// Writes with the line out of the way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        if self.line.is_empty() {
            return write();
        }
        line::erase();
        let written = write();
        line::draw(&self.line);
        written
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        line::end();
    }
}

/// How long the rest takes if it goes on as before; nothing while nothing is done.
fn left(done: usize, total: usize, elapsed: Duration) -> String {
    if done == 0 {
        return String::new();
    }
    let left = elapsed.as_secs_f64() / done as f64 * (total - done) as f64;
    format!(", about {} left", whole_seconds(left))
}

fn shortened(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_never_full() {
        assert_eq!(shortened("run 1 of 2: on", 20), "run 1 of 2: on");
        assert_eq!(shortened(&"é".repeat(99), 56), format!("{}…", "é".repeat(55)));
    }

    #[test]
    fn time_left() {
        assert_eq!(left(0, 10, Duration::from_secs(3)), "");
        assert_eq!(left(2, 10, Duration::from_secs(3)), ", about 12 s left");
        assert_eq!(left(1, 21, Duration::from_secs(9)), ", about 3 min 0 s left");
    }

    #[test]
    fn what_is_written_aside_is_written() {
        for when in [When::Auto, When::Always, When::Never] {
            let mut steps = Steps::new(when, 2);
            steps.next("one");
            assert_eq!(steps.aside(|| 5), 5);
            steps.next("two");
        }
    }
}
