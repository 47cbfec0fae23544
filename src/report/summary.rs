//! The report as a few lines for a person.
//!
//! Data is in decimal units, so that GB and GB/s agree with each other and with `ls -l`; memory in binary ones, as
//! `--memory` takes it.

use std::fmt::Write;

use super::{Report, Status, Task};

/// The summary of a run, its lines ended by newlines. `title` is the job's name.
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

/// Whether there are groups, or records pass through: then there is nothing to shuffle.
fn grouped(report: &Report) -> bool {
    report.counters.map_output_records == 0 || report.counters.map_output_bytes > 0
}

fn head(report: &Report, title: &str) -> String {
    let took = seconds(report.wall_seconds);
    match report.status {
        Status::Succeeded => {
            let rate = rate(report.counters.map_input_bytes, report.wall_seconds);
            format!("{title}: {took}, {rate}")
        }
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
    // What was spilled again on its way, beyond the runs themselves.
    if c.spilled_bytes > c.map_output_materialized_bytes {
        let _ = write!(text, ", {} spilled", data(c.spilled_bytes));
    }
    text
}

fn tasks(report: &Report) -> String {
    let of = |phase: &str| report.tasks.iter().filter(|task| task.id.starts_with(phase)).count();
    let c = &report.counters;
    let threads = plural(report.settings.threads as u64, "thread");
    let mut text =
        format!("{} map, {} reduce on {threads}, {} stolen", of("map-"), of("reduce-"), count(c.stolen_tasks));
    if c.failed_attempts > 0 {
        let _ = write!(text, ", {} failed", plural(c.failed_attempts, "attempt"));
    }
    text
}

/// The split that took longest.
fn slowest(tasks: &[Task]) -> Option<&Task> {
    tasks.iter().filter(|task| task.id.starts_with("map-")).max_by(|a, b| took(a).total_cmp(&took(b)))
}

fn slowest_line(task: &Task) -> String {
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

fn took(task: &Task) -> f64 {
    task.end_s - task.start_s
}

/// `1.93 s`, `45 ms`, `2 min 5 s`.
pub fn seconds(s: f64) -> String {
    match s {
        s if s < 0.0995 => format!("{:.0} ms", s * 1e3),
        s if s < 59.995 => format!("{} s", three(s)),
        s => {
            let whole = s.round() as u64;
            match whole / 3600 {
                0 => format!("{} min {} s", whole / 60, whole % 60),
                hours => format!("{hours} h {} min", whole / 60 % 60),
            }
        }
    }
}

/// `1.93 GB`: three figures and a power of a thousand.
pub fn data(bytes: u64) -> String {
    scaled(bytes, 1000.0, ["B", "KB", "MB", "GB", "TB"])
}

/// `1.93 GiB`: three figures and a power of 1024.
pub fn binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, ["B", "KiB", "MiB", "GiB", "TiB"])
}

/// GB/s, in MB/s where that would be less than 0.1.
pub fn rate(bytes: u64, s: f64) -> String {
    let gb = if s > 0.0 { bytes as f64 / s / 1e9 } else { 0.0 };
    if gb < 0.0995 { format!("{} MB/s", three(gb * 1e3)) } else { format!("{} GB/s", three(gb)) }
}

fn scaled(bytes: u64, base: f64, units: [&str; 5]) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    // 999.6 would print as 1000.
    while value >= base.min(999.5) && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{} {}", three(value), units[unit]) }
}

/// Three figures: 1.93, 19.3, 193.
pub fn three(x: f64) -> String {
    match x {
        x if x < 9.995 => format!("{x:.2}"),
        x if x < 99.95 => format!("{x:.1}"),
        x => format!("{x:.0}"),
    }
}

pub fn percent(part: u64, whole: u64) -> String {
    let percent = if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    // A hundred per cent is said only of all.
    let shown = if part < whole { percent.min(99.99) } else { percent };
    if (99.0..100.0).contains(&shown) { format!("{shown:.2} %") } else { format!("{shown:.1} %") }
}

/// `12,345,678`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
