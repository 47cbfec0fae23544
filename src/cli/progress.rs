//! How far a run has come, on standard error: a bar a phase, by bytes.
//!
//! A thread of its own looks at the engine's meters ten times a second, so that the engine only ever adds to a number.
//! A run that is over in half a second shows nothing. A bar is taken away in the end: the summary says the same better.

use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::tcgetwinsize;

use super::to_stderr;
use crate::engine::{Meter, Progress};
use crate::report::summary::data;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

const FIRST_AFTER: Duration = Duration::from_millis(500);
/// Columns that a bar and all there is to say beside it need.
const NARROW: u16 = 80;
const EVERY: Duration = Duration::from_millis(100);
/// Where bars can't be drawn lines are written, less often.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Runs `work`, showing its progress.
pub fn show<T>(when: When, quiet: bool, progress: &Progress, work: impl FnOnce() -> T) -> T {
    let terminal = io::stderr().is_terminal();
    let wanted = match when {
        When::Always => true,
        When::Auto => terminal && !quiet,
        When::Never => false,
    };
    if !wanted {
        return work();
    }
    thread::scope(|scope| {
        let (done, is_done) = bounded::<()>(0);
        let watch = move || if terminal { draw(progress, &is_done) } else { write(progress, &is_done) };
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

fn phases(progress: &Progress) -> [(&'static str, &Meter); 3] {
    [("map", &progress.map), ("reduce", &progress.reduce), ("output", &progress.output)]
}

fn read(meter: &Meter) -> (u64, u64) {
    (meter.done.load(Ordering::Relaxed), meter.total.load(Ordering::Relaxed))
}

fn draw(progress: &Progress, is_done: &Receiver<()>) {
    let begun = Instant::now();
    if !goes_on(is_done, FIRST_AFTER) {
        return;
    }
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let mut bars: [Option<ProgressBar>; 3] = [const { None }; 3];
    while goes_on(is_done, EVERY) {
        let mut later_begun = false;
        for ((name, meter), bar) in phases(progress).into_iter().zip(&mut bars).rev() {
            let (done, total) = read(meter);
            if done == 0 && total == 0 {
                continue;
            }
            let bar = bar.get_or_insert_with(|| {
                let elapsed = if name == "map" { begun.elapsed() } else { Duration::ZERO };
                let bar = ProgressBar::no_length().with_elapsed(elapsed).with_prefix(name).with_style(style(false));
                // The phase before may show only now, together with this one.
                if later_begun { all.insert(0, bar) } else { all.add(bar) }
            });
            if !bar.is_finished() {
                if total > 0 && bar.length() != Some(total.max(done)) {
                    bar.set_length(total.max(done));
                    bar.set_style(style(true));
                }
                bar.set_position(done);
                // A phase that is over keeps the rate that it had.
                if later_begun { bar.abandon() } else { bar.tick() }
            }
            later_begun = true;
        }
    }
    let _ = all.clear();
}

fn style(known_total: bool) -> ProgressStyle {
    let columns = tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
    let template = if known_total && (1..NARROW).contains(&columns) {
        "{prefix:<6} {decimal_bytes:>9} of {decimal_total_bytes:<9} {eta:>4}"
    } else if known_total {
        "{prefix:<6} {wide_bar} {decimal_bytes:>9} of {decimal_total_bytes:<9} {decimal_bytes_per_sec:>11}  {eta:>4} left"
    } else {
        "{prefix:<6} {spinner} {decimal_bytes:>9} {decimal_bytes_per_sec:>11}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ ")
}

fn write(progress: &Progress, is_done: &Receiver<()>) {
    let mut wait = FIRST_AFTER;
    while goes_on(is_done, wait) {
        wait = LINE_EVERY;
        let begun =
            phases(progress).into_iter().map(|(name, meter)| (name, read(meter))).rfind(|(_, at)| *at != (0, 0));
        if let Some((name, (done, total))) = begun {
            to_stderr(&line(name, done, total));
        }
    }
}

fn line(name: &str, done: u64, total: u64) -> String {
    match total {
        0 => format!("{name}: {}\n", data(done)),
        total => format!(
            "{name}: {} of {}, {} %\n",
            data(done),
            data(total),
            100 * u128::from(done.min(total)) / u128::from(total)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(line("map", 5_000_000, 0), "map: 5.00 MB\n");
        assert_eq!(line("map", 5_000_000, 20_000_000), "map: 5.00 MB of 20.0 MB, 25 %\n");
        assert_eq!(line("map", u64::MAX, u64::MAX - 1), "map: 18446744 TB of 18446744 TB, 100 %\n");
    }

    #[test]
    fn templates_are_right() {
        for known in [true, false] {
            style(known);
        }
        assert!(ProgressStyle::with_template("{wide_bar} {decimal_total_bytes:<9}").is_ok());
    }

    #[test]
    fn the_work_is_done_and_its_result_handed_on() {
        let progress = Progress::default();
        for when in [When::Auto, When::Always, When::Never] {
            assert_eq!(show(when, false, &progress, || 5), 5);
        }
    }
}
