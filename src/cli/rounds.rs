//! Progress of a command that runs one job several times (`bench`, `verify`): one line on standard error, erased at the
//! end.

use std::time::{Duration, Instant};

use clap::ArgAction;

use super::help;
use super::line::{self, Line};
use super::progress::When;
use crate::units::whole_seconds;

/// Flags of a command that runs a job many times, about what it shows.
#[derive(clap::Args)]
pub struct RoundsArgs {
    /// Show progress: auto (on a terminal), always, never
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

    /// Print a short help; --help prints a long one
    #[arg(short, long, action = ArgAction::Help, help_heading = help::WHAT_HAPPENED)]
    help: Option<bool>,
}

/// The runs of a job that a command makes one after the other, and the line that shows them.
pub struct Rounds {
    total: usize,
    begun: usize,
    started: Instant,
    shown: Shown,
    /// The line that is drawn, if one is.
    line: Option<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Redrawn,
    Lines,
    Nothing,
}

impl Rounds {
    pub fn new(when: When, total: usize) -> Self {
        let shown = match when {
            When::Auto | When::Always if line::can_draw() => Shown::Redrawn,
            When::Always => Shown::Lines,
            When::Auto | When::Never => Shown::Nothing,
        };
        line::begin();
        Rounds { total, begun: 0, started: Instant::now(), shown, line: None }
    }

    /// Begins the next run, and shows it.
    pub fn next(&mut self, what: &str) {
        let left = left(self.begun, self.total, self.started.elapsed());
        self.begun += 1;
        let run = format!("run {} of {}:", self.begun, self.total);
        match self.shown {
            Shown::Redrawn => {
                line::draw(self.line.insert(Line { what: run, percent: None, more: format!("{what}{left}") }));
            }
            Shown::Lines => line::put(&format!("{run} {what}\n")),
            Shown::Nothing => {}
        }
    }

    /// Calls `write` with the line erased, and draws the line again.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        let Some(line) = &self.line else { return write() };
        let written = line::aside(write);
        line::draw(line);
        written
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        line::end();
    }
}

/// Returns how long the rest takes if the command goes on as before. Empty while nothing is done.
fn left(done: usize, total: usize, elapsed: Duration) -> String {
    if done == 0 {
        return String::new();
    }
    let left = elapsed.as_secs_f64() / done as f64 * (total - done) as f64;
    format!(", about {} left", whole_seconds(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left() {
        assert_eq!(left(0, 10, Duration::from_secs(3)), "");
        assert_eq!(left(2, 10, Duration::from_secs(3)), ", about 12 s left");
        assert_eq!(left(1, 21, Duration::from_secs(9)), ", about 3 min 0 s left");
    }

    #[test]
    fn what_is_written_aside_is_written() {
        for when in [When::Auto, When::Always, When::Never] {
            let mut rounds = Rounds::new(when, 2);
            rounds.next("one");
            assert_eq!(rounds.aside(|| 5), 5);
            rounds.next("two");
        }
    }
}
