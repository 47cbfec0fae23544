//! The progress line on standard error: how far a run has come, and when it will end.
//!
//! ```text
//! map     43 % ━━━━━━━━──────────── 1.24 GB/s, 12 s left
//! map 0.62 GB of 1.30 GB, 1.24 GB/s
//! map 5.21 GB, 1.24 GB/s, waiting for web1, web2 and 3 more
//! ```
//!
//! The percentage, the bar and the time left, which [`TimeLeft`] predicts, are those of the whole run. The word is the
//! current phase. The whole isn't known before the first map task has ended, nor while streams are read. Then the line
//! says how much was read, and which streams are waited for. Input per second is the average since the run began.
//!
//! A thread of its own reads the engine's meters a few times a second, so the engine only ever adds to numbers. A run
//! that is over in half a second shows nothing. The line is erased at the end, because the summary says the same
//! better.

use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::line::{self, Line};
use super::time_left::{MeterReading, PHASES, Readings, TimeLeft};
use crate::error::shown;
use crate::input::Source;
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
/// Intervals for an output on which a line can't be redrawn: there a line is written every second, and every ten
/// seconds after [`MANY_LINES`].
const LINE_EVERY: Duration = Duration::from_secs(1);
const LATER_LINE_EVERY: Duration = Duration::from_secs(10);
const MANY_LINES: usize = 30;
/// A stream that has brought nothing for this long is named as waited for.
const SILENT: Duration = Duration::from_secs(2);

/// Runs `work`, which reads `sources`, and shows its progress.
pub fn show<T>(when: When, quiet: bool, sources: &[Source], progress: &Progress, work: impl FnOnce() -> T) -> T {
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
        let mut view = View::new(progress, sources);
        let tell = move || if can_draw { draw(&mut view, &is_done) } else { write(&mut view, &is_done) };
        // If no thread can be started, nothing is shown.
        let _ = thread::Builder::new().name("progress".into()).spawn_scoped(scope, tell);
        let result = work();
        drop(done); // if `work` panics, unwinding drops it
        result
    })
}

/// Waits for `wait`. Returns false once the work is done.
fn goes_on(is_done: &Receiver<()>, wait: Duration) -> bool {
    is_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout)
}

fn draw(view: &mut View<'_>, is_done: &Receiver<()>) {
    let mut wait = FIRST_AFTER;
    while goes_on(is_done, wait) {
        wait = EVERY;
        let Some(line) = view.look() else { continue };
        if !line::draw(&line) {
            return;
        }
    }
    line::end();
}

fn write(view: &mut View<'_>, is_done: &Receiver<()>) {
    let mut wait = FIRST_AFTER;
    let mut lines = 0;
    while goes_on(is_done, wait) {
        if let Some(line) = view.look() {
            line::put(&format!("{}\n", line.text()));
            lines += 1;
        }
        wait = if lines < MANY_LINES { LINE_EVERY } else { LATER_LINE_EVERY };
    }
}

/// Reads the meters of one run, and makes the line to show.
struct View<'p> {
    progress: &'p Progress,
    sources: &'p [Source],
    begun: Instant,
    time_left: TimeLeft,
    /// The share of the whole run that is done, once it is known. The share only grows, whatever the predicted time
    /// left.
    share: Option<f64>,
}

impl<'p> View<'p> {
    fn new(progress: &'p Progress, sources: &'p [Source]) -> Self {
        View { progress, sources, begun: Instant::now(), time_left: TimeLeft::default(), share: None }
    }

    /// Returns the line to show. None while no phase has begun.
    fn look(&mut self) -> Option<Line> {
        let silent = self.progress.silent(SILENT);
        let silent: Vec<_> = silent.into_iter().map(|source| shown(self.sources[source].path())).collect();
        self.line(self.begun.elapsed().as_secs_f64(), &Readings::of(self.progress), &silent)
    }

    /// Returns the line for `readings` taken `seconds` after the run began.
    fn line(&mut self, seconds: f64, readings: &Readings, silent: &[String]) -> Option<Line> {
        let what = PHASES[readings.current()?].into();
        let MeterReading { done: read, total: all, .. } = readings.phases[0];
        let mut said = Vec::new();
        let left = self.time_left.look(seconds, readings);
        if let Some(left) = left {
            self.share = Some(self.share.unwrap_or(0.0).max(seconds / (seconds + left)));
        }
        // 100 % is never shown, because there is no line once all is done.
        let percent = self.share.map(|share| ((100.0 * share) as u64).min(99));
        said.extend(match (percent, all) {
            (Some(_), _) => None,
            (None, 0) => Some(data(read)),
            (None, _) => Some(format!("{} of {}", data(read), data(all))),
        });
        said.push(rate(read, seconds));
        said.extend(left.map(|seconds| format!("{} left", rounded_seconds(seconds))));
        said.extend(waiting_for(silent));
        Some(Line { what, percent, more: said.join(", ") })
    }
}

/// Names the first two sources that are waited for, and counts the others.
fn waiting_for(names: &[String]) -> Option<String> {
    let names = match names {
        [] => return None,
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [one, other, more @ ..] => format!("{one}, {other} and {} more", more.len()),
    };
    Some(format!("waiting for {names}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(map: (u64, u64), reduce: Option<(u64, u64)>) -> Readings {
        let reading = |(done, total)| MeterReading { begun: true, done, total };
        let phases = [reading(map), reduce.map_or(MeterReading::default(), reading), MeterReading::default()];
        Readings { phases, in_runs: map.0 }
    }

    #[test]
    fn what_is_said() {
        let progress = Progress::default();
        let mut view = View::new(&progress, &[]);
        let mut text = |seconds, readings, silent: &[&str]| {
            let silent: Vec<_> = silent.iter().map(ToString::to_string).collect();
            view.line(seconds, &readings, &silent).map(|line| line.text())
        };
        assert_eq!(text(0.5, Readings::default(), &[]), None);
        // No run is written yet from which the phases after map could be predicted.
        let early = Readings { in_runs: 0, ..readings((5_000_000_000, 20_000_000_000), None) };
        assert_eq!(text(4.0, early, &[]).unwrap(), "map 5.00 GB of 20.0 GB, 1.25 GB/s");
        // The whole isn't known, because a stream is read.
        let stream = || readings((5_000_000_000, 0), None);
        assert_eq!(text(4.0, stream(), &[]).unwrap(), "map 5.00 GB, 1.25 GB/s");
        assert_eq!(text(4.0, stream(), &["web1"]).unwrap(), "map 5.00 GB, 1.25 GB/s, waiting for web1");
        assert_eq!(text(4.0, stream(), &["a", "b"]).unwrap(), "map 5.00 GB, 1.25 GB/s, waiting for a and b");
        let many = ["a", "b", "c", "d", "e"];
        assert_eq!(text(4.0, stream(), &many).unwrap(), "map 5.00 GB, 1.25 GB/s, waiting for a, b and 3 more");
    }

    /// Map takes ten seconds, reduce thirty.
    #[test]
    fn one_share_of_the_whole_that_never_goes_back() {
        let progress = Progress::default();
        let mut view = View::new(&progress, &[]);
        let mut last = 0;
        for tenth in 1..400u64 {
            let (mapped, reduced) = (tenth.min(100) * 10_000_000, tenth.saturating_sub(100) * 5_000_000);
            let reduce = (tenth > 100).then_some((reduced, 1_500_000_000));
            let mut readings = readings((mapped, 1_000_000_000), reduce);
            if tenth <= 100 {
                readings.phases[1].total = mapped * 3 / 2;
            }
            let line = view.line(tenth as f64 / 10.0, &readings, &[]).unwrap();
            assert_eq!(line.percent.is_some(), tenth >= 10, "{tenth}: {line:?}");
            let percent = line.percent.unwrap_or(0);
            assert!((last..=99).contains(&percent), "{tenth}: {line:?} after {last}");
            last = percent;
            if tenth == 96 {
                // 96 % of the map phase is done.
                assert!((15..40).contains(&percent), "{line:?}");
            }
        }
        // The output phase is yet to come.
        assert!(last >= 70, "{last}");
    }

    #[test]
    fn what_is_mapped_again_takes_nothing_back() {
        let progress = Progress::default();
        let mut view = View::new(&progress, &[]);
        let mut percent = |tenth: u64, mapped| {
            view.line(tenth as f64 / 10.0, &readings((mapped, 1_000_000_000), None), &[]).unwrap().percent
        };
        let last = (1..60).map(|tenth| percent(tenth, tenth * 10_000_000)).last().unwrap();
        assert_eq!(last, Some(59));
        assert_eq!((60..80).map(|tenth| percent(tenth, (tenth - 59) * 10_000_000)).min(), Some(last));
    }

    #[test]
    fn the_work_is_done_and_its_result_handed_on() {
        let progress = Progress::default();
        for when in [When::Auto, When::Always, When::Never] {
            assert_eq!(show(when, false, &[], &progress, || 5), 5);
        }
    }
}
