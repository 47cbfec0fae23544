//! The summary: tells a person about a report, in one line or in a few.

use std::fmt::Write;

use super::{CertainRanks, Coverage, Missing, Outcome, Report, Status, TaskAttempt};
use crate::units::{binary, count, data, percent, plural, rate, seconds};

/// Tells about a run in one line, without its line end. `title` is the job's name.
pub fn line(report: &Report, title: &str) -> String {
    let c = &report.counters;
    let mut line = format!("{}, {} of input", head(report, title), data(c.map_input_bytes));
    if c.bad_records > 0 {
        let _ = write!(line, ", {}", plural(c.bad_records, "bad record"));
    }
    if report.settings.combiner != "off" && report.status != Status::Failed {
        let share = percent(c.shuffle_bytes_saved.unsigned_abs(), c.map_output_bytes);
        match c.shuffle_bytes_saved {
            0 => {}
            ..0 => line.push_str(&format!(", {share} more to shuffle with the combiner")),
            1.. => line.push_str(&format!(", {share} of the shuffle saved by the combiner")),
        }
    }
    line
}

/// Tells about a run in a few lines, ended by newlines. `title` is the job's name.
pub fn render(report: &Report, title: &str) -> String {
    let mut out = String::new();
    let mut line = |label: &str, text: String| {
        let _ = writeln!(out, "  {label:<8}  {text}");
    };
    line("read", read(report));
    line("wrote", wrote(report));
    if grouped(report) {
        line("shuffle", shuffle(report));
    }
    line("on disk", on_disk(report));
    line("tasks", tasks(report));
    if let Some(task) = slowest(&report.tasks) {
        line("slowest", slowest_line(task));
    }
    line("memory", memory(report));
    format!("{}\n{out}", head(report, title))
}

/// Tells what part of the input a partial result is made from, and what is missing.
pub fn partial(report: &Report) -> String {
    const NAMED: usize = 5;
    let mut text = String::new();
    if let Some(Coverage { bytes, of_bytes, sources, of_sources }) = report.coverage {
        let of_bytes = of_bytes.map_or_else(String::new, |all| format!(" of {} ({})", data(all), percent(bytes, all)));
        let _ =
            write!(text, "{sources} of {} whole, {}{of_bytes} read", plural(of_sources as u64, "source"), data(bytes));
    }
    for (i, Missing { source, from, to, cause }) in report.missing.iter().take(NAMED).enumerate() {
        let range = match (from, to) {
            (0, None) => String::new(),
            (from, None) => format!(" from byte {from}"),
            (from, Some(to)) => format!(" bytes {from} to {to}"),
        };
        let _ = write!(text, "{}{source}{range} ({cause})", if i == 0 { "; missing: " } else { ", " });
    }
    if let more @ 1.. = report.missing.len().saturating_sub(NAMED) {
        let _ = write!(text, " and {more} more");
    }
    if let Some(ranks) = &report.certain_ranks {
        let _ = write!(text, "; certain ranks: {}", certain(ranks));
    }
    text
}

fn certain(CertainRanks { ranges, unknown }: &CertainRanks) -> String {
    const NAMED: usize = 5;
    let mut named: Vec<_> = ranges
        .iter()
        .take(NAMED)
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}–{last}") })
        .collect();
    named.extend((ranges.len() > NAMED).then(|| "…".to_owned()));
    match (unknown, named.is_empty()) {
        (Some(why), _) => format!("none ({why})"),
        (None, true) => "none".into(),
        (None, false) => named.join(", "),
    }
}

/// Whether the job has groups. Without groups there is nothing to shuffle.
fn grouped(report: &Report) -> bool {
    report.counters.map_output_records == 0 || report.counters.map_output_bytes > 0
}

fn head(report: &Report, title: &str) -> String {
    let took = seconds(report.wall_seconds);
    let rate = rate(report.counters.map_input_bytes, report.wall_seconds);
    match report.status {
        Status::Succeeded => format!("{title}: {took}, {rate}"),
        Status::Partial => format!("{title}: partial, {took}, {rate}"),
        Status::Failed => format!("{title}: failed after {took}"),
    }
}

fn read(report: &Report) -> String {
    let c = &report.counters;
    let mut text = format!("{}, {}", data(c.map_input_bytes), plural(c.map_input_records, "record"));
    if c.map_output_records != c.map_input_records {
        let _ = write!(text, ", mapped to {}", count(c.map_output_records));
    }
    if c.bad_records > 0 {
        let _ = write!(text, ", {} bad", count(c.bad_records));
    }
    text
}

fn wrote(report: &Report) -> String {
    let c = &report.counters;
    let rows = plural(c.reduce_output_records, "row");
    if c.reduce_output_records == c.reduce_input_groups || !grouped(report) {
        rows
    } else {
        format!("{rows} of {}", plural(c.reduce_input_groups, "group"))
    }
}

fn shuffle(report: &Report) -> String {
    let (with, without) = (report.counters.reduce_shuffle_bytes, report.counters.map_output_bytes);
    if report.settings.combiner == "off" {
        return format!("{}, combiner off", data(with));
    }
    let effect = match report.counters.shuffle_bytes_saved {
        0 => "nothing saved".to_owned(),
        saved if saved < 0 => format!("{} more", percent(saved.unsigned_abs(), without)),
        saved => format!("{} saved", percent(saved.unsigned_abs(), without)),
    };
    format!("{} with the combiner, {} without: {effect}", data(with), data(without))
}

fn on_disk(report: &Report) -> String {
    let c = &report.counters;
    let mut text = format!("{} of runs", data(c.map_output_materialized_bytes));
    // Bytes that were spilled beyond the runs themselves.
    if c.spilled_bytes > c.map_output_materialized_bytes {
        let _ = write!(text, ", {} spilled", data(c.spilled_bytes));
    }
    text
}

fn tasks(report: &Report) -> String {
    let of = |phase: &str| won(&report.tasks, phase).count();
    let c = &report.counters;
    let threads = plural(report.settings.threads as u64, "thread");
    let mut text =
        format!("{} map, {} reduce on {threads}, {} stolen", of("map-"), of("reduce-"), count(c.stolen_tasks));
    if c.failed_attempts > 0 {
        let _ = write!(text, ", {} failed", plural(c.failed_attempts, "attempt"));
    }
    text
}

/// The attempts of a phase that won.
fn won<'a>(tasks: &'a [TaskAttempt], phase: &'a str) -> impl Iterator<Item = &'a TaskAttempt> {
    tasks.iter().filter(move |task| task.outcome == Outcome::Won && task.id.starts_with(phase))
}

/// The map task that took longest.
fn slowest(tasks: &[TaskAttempt]) -> Option<&TaskAttempt> {
    won(tasks, "map-").max_by(|a, b| took(a).total_cmp(&took(b)))
}

fn slowest_line(task: &TaskAttempt) -> String {
    let mut text = format!("{}, {} for {}", task.id, seconds(took(task)), data(task.bytes));
    match (&task.input, task.offset) {
        (Some(input), Some(offset)) => {
            let _ = write!(text, " of {} at byte {offset}", crate::error::shown(input));
        }
        (Some(input), None) => {
            let _ = write!(text, " of {}", crate::error::shown(input));
        }
        _ => {}
    }
    text
}

fn memory(report: &Report) -> String {
    format!("{} peak, {} for the job", binary(report.peak_rss_bytes), binary(report.settings.memory_bytes))
}

fn took(task: &TaskAttempt) -> f64 {
    task.end_s - task.start_s
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
