//! Formats the measurements of `bench` for people: as a table of 80 columns, or as Markdown.

use std::env;
use std::fmt::Write;

use super::super::line::is_utf8;
use super::MOST_RUNS;
use super::results::{Bench, Comparison, Summary};
use super::statistics::{Ratio, Spread};
use crate::units::{binary, count, data, percent, rate, three, time_unit};

const COLUMNS: usize = 80;

/// The characters that bars are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Look {
    Blocks,
    Ascii,
}

impl Look {
    /// Returns the look for standard output. Blocks need a locale with UTF-8, and a terminal that isn't dumb.
    pub fn of_stdout() -> Look {
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        if is_utf8(|name| env::var_os(name)) && !is_dumb { Look::Blocks } else { Look::Ascii }
    }

    fn bar(self, part: u64, whole: u64, width: usize) -> String {
        let length = (part as f64 / whole.max(1) as f64 * width as f64).round() as usize;
        // A part that is not zero has a bar.
        let length = length.clamp(usize::from(part > 0), width);
        match self {
            Look::Blocks => "█".repeat(length),
            Look::Ascii => "#".repeat(length),
        }
    }
}

pub fn render(bench: &Bench, title: &str, look: Look) -> String {
    let mut out = format!("{}\n", wrapped(&head(bench, title)));
    out.push('\n');
    out.push_str(&aligned(&times(bench)));
    out.push('\n');
    for sentence in comparisons(bench) {
        let _ = writeln!(out, "{}", wrapped(&sentence));
    }
    out.extend(more_runs(bench).map(|sentence| format!("{}\n", wrapped(&sentence))));
    out.push('\n');
    out.push_str(&shuffle(bench, look));
    let notes = notes(bench);
    if !notes.is_empty() {
        out.push('\n');
    }
    for note in notes {
        let _ = writeln!(out, "{}", wrapped(&note));
    }
    out.push('\n');
    for line in outputs(bench) {
        let _ = writeln!(out, "{}", wrapped(&line));
    }
    out
}

pub fn markdown(bench: &Bench, title: &str) -> String {
    let mut out = format!("{}\n\n", head(bench, title));
    let mut rows = times(bench);
    rows[0].extend(["shuffle", "saved", "on disk"].map(str::to_owned));
    for (row, summary) in rows[1..].iter_mut().zip(&bench.summary) {
        let c = &summary.counters;
        let saved = format!("{} ({})", signed(c.shuffle_bytes_saved), saved_part(summary));
        row.extend([data(c.reduce_shuffle_bytes), saved, data(c.map_output_materialized_bytes)]);
    }
    rows.insert(1, vec!["---".to_owned(); rows[0].len()]);
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
    for sentence in comparisons(bench).into_iter().chain(notes(bench)).chain(outputs(bench)) {
        let _ = writeln!(out, "- {}", sentence.trim_start());
    }
    out
}

fn head(bench: &Bench, title: &str) -> String {
    let input = bench.summary.first().map_or(0, |summary| summary.counters.map_input_bytes);
    format!(
        "{title}, {} of input: {} {} in turn, {} runs each after one to warm up",
        data(input),
        bench.vary,
        listed(&bench.values),
        bench.rounds
    )
}

/// Returns a row of names and one row per value.
fn times(bench: &Bench) -> Vec<Vec<String>> {
    let names = [bench.vary, "wall (min to max)", "CPU (min to max)", "rate", "memory"];
    let rows = bench.summary.iter().map(|summary| {
        vec![
            summary.value.clone(),
            spread(&summary.wall_seconds),
            spread(&summary.cpu_seconds),
            rate(summary.counters.map_input_bytes, summary.wall_seconds.median),
            binary(summary.peak_rss_bytes),
        ]
    });
    std::iter::once(names.map(str::to_owned).to_vec()).chain(rows).collect()
}

/// Formats the median with its unit, and the least and greatest in the same unit.
fn spread(seconds: &Spread) -> String {
    let (scale, unit) = time_unit(seconds.median);
    let [median, min, max] = [seconds.median, seconds.min, seconds.max].map(|s| three(s * scale));
    format!("{median} {unit} ({min} to {max})")
}

fn comparisons(bench: &Bench) -> Vec<String> {
    let sentences = |comparison: &Comparison| {
        [("wall", &comparison.wall), ("CPU", &comparison.cpu)].map(|(time, ratio)| {
            let Comparison { value, baseline, .. } = comparison;
            let interval = format!("95 % interval {} to {}", factor(ratio.low), factor(ratio.high));
            if ratio.differs() {
                format!("{value} takes {} × the {time} time of {baseline} ({interval}).", factor(ratio.ratio))
            } else {
                format!(
                    "{value} and {baseline}: no difference in {time} time that {} ({interval}).",
                    shown_by(bench, ratio)
                )
            }
        })
    };
    bench.comparisons.iter().flat_map(sentences).collect()
}

/// Returns what to do about a difference that the runs could not show.
fn more_runs(bench: &Bench) -> Option<String> {
    let shows = |comparison: &Comparison| comparison.wall.differs() && comparison.cpu.differs();
    let more = (bench.rounds * 4).min(MOST_RUNS);
    (!bench.comparisons.iter().all(shows) && more > bench.rounds)
        .then(|| format!("More runs can tell smaller differences: --runs {more}."))
}

fn shown_by(bench: &Bench, ratio: &Ratio) -> String {
    format!("{} runs could show: {} ×", bench.rounds, factor(ratio.ratio))
}

/// Formats a factor. Near 1 it has one figure more, so that one can see that an interval leaves 1 out.
fn factor(x: f64) -> String {
    match x {
        x if x < 0.0005 => "less than 0.001".into(),
        x if x >= 999.5 => "more than 999".into(),
        x if x < 1.1 => format!("{x:.3}"),
        x => three(x),
    }
}

fn shuffle(bench: &Bench, look: Look) -> String {
    /// Width of the columns other than the name and the bar, and of the gaps between all columns.
    const OTHERS: usize = 8 + 9 + 7 + 8 + 5 * 2;
    let without = bench.summary.iter().map(|summary| summary.counters.map_output_bytes).max().unwrap_or(0);
    if bench.summary.iter().all(|summary| summary.counters.reduce_shuffle_bytes == 0) {
        return "Nothing was shuffled.\n".into();
    }
    let longest = bench.summary.iter().map(|s| s.counters.reduce_shuffle_bytes).max().unwrap_or(0).max(without);
    let uncombined = "uncombined";
    let names = bench.values.iter().map(String::as_str).chain([uncombined, bench.vary]);
    let name_width = names.map(width).max().unwrap_or(0);
    let bar_width = COLUMNS.saturating_sub(OTHERS + name_width).clamp(8, 36);
    let mut out = format!(
        "{:name_width$}  {:bar_width$}  {:>8}  {:>9}  {:>7}  {:>8}\n",
        bench.vary, "shuffle", "", "saved", "", "on disk"
    );
    let mut line = |name: &str, bytes: u64, rest: [String; 3]| {
        let bar = look.bar(bytes, longest, bar_width);
        let [saved, part, disk] = rest;
        let text =
            format!("{name:name_width$}  {bar:bar_width$}  {:>8}  {saved:>9}  {part:>7}  {disk:>8}", data(bytes));
        let _ = writeln!(out, "{}", text.trim_end());
    };
    // A run without a combiner shuffles just that, and has a line of its own.
    let all_combine = bench.runs.iter().all(|run| run.settings["combiner"] != "off");
    if all_combine {
        line(uncombined, without, Default::default());
    }
    for summary in &bench.summary {
        let c = &summary.counters;
        let rest = [signed(c.shuffle_bytes_saved), saved_part(summary), data(c.map_output_materialized_bytes)];
        line(&summary.value, c.reduce_shuffle_bytes, rest);
    }
    out
}

fn signed(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    format!("{sign}{}", data(bytes.unsigned_abs()))
}

fn saved_part(summary: &Summary) -> String {
    let c = &summary.counters;
    let sign = if c.shuffle_bytes_saved < 0 { "-" } else { "" };
    format!("{sign}{}", percent(c.shuffle_bytes_saved.unsigned_abs(), c.map_output_bytes))
}

fn notes(bench: &Bench) -> Vec<String> {
    let mut notes = Vec::new();
    for summary in &bench.summary {
        let c = &summary.counters;
        if bench.vary == "combiner" && summary.value == "auto" {
            notes.push(format!(
                "auto combined {} of {} map output records ({}).",
                count(c.combine_input_records),
                count(c.map_output_records),
                percent(c.combine_input_records, c.map_output_records)
            ));
        }
        if summary.reduce_shuffle_bytes_min < summary.reduce_shuffle_bytes_max {
            notes.push(format!(
                "{} shuffled {} to {}, not the same in every run; the median is shown.",
                summary.value,
                data(summary.reduce_shuffle_bytes_min),
                data(summary.reduce_shuffle_bytes_max)
            ));
        }
    }
    notes
}

fn outputs(bench: &Bench) -> Vec<String> {
    let Some(first) = bench.runs.first() else { return Vec::new() };
    if bench.same_output {
        let what = format!("{} and {}", data(first.output_bytes), digest(first));
        return vec![format!("All {} runs wrote the same: {what}.", bench.runs.len())];
    }
    let mut lines = vec!["The runs did not all write the same:".to_owned()];
    lines.extend(bench.runs.iter().map(|run| {
        let round = if run.round == 0 { "warm-up".to_owned() } else { format!("round {}", run.round) };
        format!("  {}, {round}: {} and {}", run.value, data(run.output_bytes), digest(run))
    }));
    lines
}

fn digest(run: &super::results::TimedRun) -> String {
    format!("BLAKE3 {:.16}…", run.output_digest)
}

/// Formats a list: `a and b`, `a, b and c`.
fn listed(words: &[String]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<_> = (0..columns).map(|i| rows.iter().map(|row| width(&row[i])).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Wraps text to lines of 80 columns, and indents all but the first.
fn wrapped(text: &str) -> String {
    let indent = text.len() - text.trim_start().len();
    let mut out = " ".repeat(indent);
    let mut at = 0;
    for word in text.split_whitespace() {
        if at > 0 && at + 1 + width(word) > COLUMNS - indent {
            let _ = write!(out, "\n{:1$}", "", indent + 2);
            at = 2;
        } else if at > 0 {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += width(word);
    }
    out
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
