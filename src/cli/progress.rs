//! How far a run has come and when it will end, in one line on standard error.
//!
//! ```text
//! map 43 %, 1.24 GB/s        ━━━━━━━━━━━━━━━━━━━━━                                   12 s left
//! ```
//!
//! The phase with the part of it that is done, input per second since the run began, and the whole run: the bar, and
//! the time that [`TimeLeft`] says. Of streams no end is known: `map 5.21 GB, 1.24 GB/s`. A thread of its own looks at
//! the engine's meters a few times a second, so that the engine only ever adds to a number. A run that is over in half a
//! second shows nothing; the line is taken away in the end, as the summary says the same better.

use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::line;
use super::time_left::{PHASES, Reading, Readings, TimeLeft};
use crate::run::Progress;
use crate::units::{data, rate, rounded_seconds};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

const FIRST_AFTER: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(200);
/// Where no line can be drawn over, lines are written: every second, and every ten once there have been many.
const LINE_EVERY: Duration = Duration::from_secs(1);
const LATER_LINE_EVERY: Duration = Duration::from_secs(10);
const MANY_LINES: usize = 30;
/// Columns below which there is no room for a bar.
const NARROW: usize = 60;

/// Runs `work`, showing its progress.
pub fn show<T>(when: When, quiet: bool, progress: &Progress, work: impl FnOnce() -> T) -> T {
    let can_draw = line::can_draw();
    let wanted = match when {
        When::Always => true,
        When::Auto => can_draw && !quiet,
        When::Never => false,
    };
    if !wanted {
        return work();
    }
    thread::scope(|scope| {
        let (done, is_done) = bounded::<()>(0);
        line::begin();
        let watch = move || if can_draw { draw(progress, &is_done) } else { write(progress, &is_done) };
        // Where no thread is to be had nothing is shown.
        let _ = thread::Builder::new().name("progress".into()).spawn_scoped(scope, watch);
        let result = work();
        drop(done); // which, if `work` panics, unwinding does
        result
    })
}

/// Waits. False once the work is done.
fn goes_on(is_done: &Receiver<()>, wait: Duration) -> bool {
    is_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout)
}

fn draw(progress: &Progress, is_done: &Receiver<()>) {
    let mut watch = Watch::new(progress);
    let mut wait = FIRST_AFTER;
    while goes_on(is_done, wait) {
        wait = EVERY;
        let Some(view) = watch.look() else { continue };
        if !line::draw(&view.to_fit(line::room())) {
            return;
        }
    }
    line::end();
}

fn write(progress: &Progress, is_done: &Receiver<()>) {
    let mut watch = Watch::new(progress);
    let mut wait = FIRST_AFTER;
    let mut lines = 0;
    while goes_on(is_done, wait) {
        if let Some(view) = watch.look() {
            line::put(&format!("{}\n", view.text()));
            lines += 1;
        }
        wait = if lines < MANY_LINES { LINE_EVERY } else { LATER_LINE_EVERY };
    }
}

/// Looks at the meters of one run.
struct Watch<'p> {
    progress: &'p Progress,
    begun: Instant,
    time_left: TimeLeft,
    /// Part of the whole run, which only grows, whatever is thought of the time left.
    part: f64,
}

impl<'p> Watch<'p> {
    fn new(progress: &'p Progress) -> Self {
        Watch { progress, begun: Instant::now(), time_left: TimeLeft::default(), part: 0.0 }
    }

    /// None while no phase has begun.
    fn look(&mut self) -> Option<View> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let readings = Readings::of(self.progress);
        let phase = readings.current()?;
        let left = self.time_left.look(seconds, &readings);
        if let Some(left) = left {
            self.part = self.part.max(seconds / (seconds + left));
        }
        let whole = left.map(|left| (self.part, left));
        Some(View {
            phase: PHASES[phase],
            of_phase: readings.phases[phase],
            input: readings.phases[0].done,
            seconds,
            whole,
        })
    }
}

/// What there is to say at one moment.
struct View {
    phase: &'static str,
    of_phase: Reading,
    /// Bytes read so far.
    input: u64,
    seconds: f64,
    /// The part of the whole run, and seconds left.
    whole: Option<(f64, f64)>,
}

impl View {
    fn text(&self) -> String {
        match self.whole {
            Some((_, seconds)) => format!("{}, {}", self.of_phase(), left(seconds)),
            None => self.of_phase(),
        }
    }

    fn of_phase(&self) -> String {
        let Reading { done, total, .. } = self.of_phase;
        let done = match total {
            // A hundred per cent is said only of all.
            1.. => format!("{} %", (100 * u128::from(done.min(total)) / u128::from(total))),
            0 => data(done),
        };
        format!("{} {done}, {}", self.phase, rate(self.input, self.seconds))
    }

    /// In one line with room for so many columns.
    fn to_fit(&self, room: usize) -> String {
        let (Some((part, seconds)), true) = (self.whole, room >= NARROW) else {
            return self.text().chars().take(room).collect();
        };
        let (start, end) = (format!("{:<26} ", self.of_phase()), format!("{:>17}", left(seconds)));
        let bar = room.saturating_sub(start.chars().count() + end.chars().count());
        let filled = (part * bar as f64) as usize;
        format!("{start}{}{}{end}", "━".repeat(filled), " ".repeat(bar - filled))
    }
}

fn left(seconds: f64) -> String {
    format!("{} left", rounded_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(done: u64, total: u64, whole: Option<(f64, f64)>) -> View {
        let of_phase = Reading { begun: true, done, total };
        View { phase: "map", of_phase, input: 5_000_000_000, seconds: 4.0, whole }
    }

    #[test]
    fn lines() {
        assert_eq!(view(5_000_000_000, 0, None).text(), "map 5.00 GB, 1.25 GB/s");
        assert_eq!(view(5, 20, None).text(), "map 25 %, 1.25 GB/s");
        assert_eq!(view(5, 20, Some((0.2, 11.2))).text(), "map 25 %, 1.25 GB/s, 12 s left");
        assert_eq!(view(u64::MAX - 1, u64::MAX, None).text(), "map 99 %, 1.25 GB/s");
    }

    #[test]
    fn a_line_fits_its_terminal() {
        let view = view(5, 20, Some((0.5, 3599.0)));
        for room in 0..200 {
            let line = view.to_fit(room);
            assert!(line.chars().count() <= room, "{room}: {line}");
        }
        assert_eq!(view.to_fit(39), "map 25 %, 1.25 GB/s, 60 min left");
        assert_eq!(view.to_fit(60), "map 25 %, 1.25 GB/s        ━━━━━━━━              60 min left");
    }

    #[test]
    fn the_work_is_done_and_its_result_handed_on() {
        let progress = Progress::default();
        for when in [When::Auto, When::Always, When::Never] {
            assert_eq!(show(when, false, &progress, || 5), 5);
        }
    }
}
