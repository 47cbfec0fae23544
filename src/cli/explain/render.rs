//! Formats for people what `explain` says, in 80 columns.

use std::fmt::Write;

use super::Explained;
use super::predict::{Combining, Figures, Prediction, Shuffle};
use crate::units::{binary, count, data, percent, plural, seconds, three};

const COLUMNS: usize = 80;
const LABEL: usize = 10;

/// Formats what the job does.
pub fn plan(explained: &Explained) -> String {
    section(&explained.job, explained.plan.lines())
}

/// Formats the prediction.
pub fn prediction(explained: &Explained) -> String {
    let Explained { not_sampled, predicted, plan, .. } = explained;
    let mut text = String::from("\n");
    if let Some(prediction) = predicted {
        let mut lines = foreseen(prediction, plan.read.on_error);
        if !not_sampled.is_empty() {
            lines.push(("missing", format!("these inputs were not sampled: {}", not_sampled.join(", "))));
        }
        text.push_str(&section(&heading(prediction), lines));
    } else {
        let names = not_sampled.join(", ");
        text.push_str(&wrapped(
            &format!("No sample: commands, pipes and files that may hang are read only by the job ({names})."),
            0,
        ));
    }
    text
}

/// Formats the actual figures beside the predicted ones. Empty if the job wasn't run.
pub fn comparison(explained: &Explained) -> String {
    let Explained { predicted, actual: Some(actual), .. } = explained else { return String::new() };
    let foreseen = predicted.as_ref().map(|prediction| &prediction.figures);
    let mut rows = vec![["", "predicted", "actual", "ratio"].map(str::to_owned)];
    for ((name, actual, unit), (_, foreseen, _)) in figures(actual).into_iter().zip(figures(foreseen.unwrap_or(actual)))
    {
        let Some(actual) = actual else { continue };
        let told = predicted.is_some().then_some(foreseen).flatten();
        let ratio = match told {
            Some(told) if told == actual => "1.00".to_owned(),
            Some(told) if actual > 0.0 => three(told / actual),
            _ => "-".to_owned(),
        };
        rows.push([name.to_owned(), told.map_or("-".into(), |told| unit.say(told)), unit.say(actual), ratio]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    let mut out = String::from("\n");
    for [name, foreseen, actual, ratio] in &rows {
        let [a, b, c, d] = widths;
        let _ = writeln!(out, "{name:a$}  {foreseen:>b$}  {actual:>c$}  {ratio:>d$}");
    }
    out
}

#[derive(Clone, Copy)]
enum Unit {
    Number,
    Data,
    Memory,
    Time,
}

impl Unit {
    fn say(self, x: f64) -> String {
        match self {
            Unit::Number => count(x.round() as u64),
            Unit::Data => data(x.round() as u64),
            Unit::Memory => binary(x.round() as u64),
            Unit::Time => seconds(x),
        }
    }
}

fn figures(figures: &Figures) -> [(&'static str, Option<f64>, Unit); 11] {
    let f = figures;
    [
        ("input", Some(f.map_input_bytes), Unit::Data),
        ("records", Some(f.map_input_records), Unit::Number),
        ("bad records", Some(f.bad_records), Unit::Number),
        ("mapped records", Some(f.map_output_records), Unit::Number),
        ("keys", f.reduce_input_groups, Unit::Number),
        ("uncombined", f.map_output_bytes, Unit::Data),
        ("rows to shuffle", f.reduce_input_records, Unit::Number),
        ("shuffle", f.reduce_shuffle_bytes, Unit::Data),
        ("spilled", Some(f.spilled_bytes), Unit::Data),
        ("peak memory", Some(f.peak_rss_bytes), Unit::Memory),
        ("time", Some(f.wall_seconds), Unit::Time),
    ]
}

fn heading(prediction: &Prediction) -> String {
    let Prediction { is_exact, sample_bytes, sample_seconds, pieces, .. } = prediction;
    let read = data(*sample_bytes);
    let took = seconds(*sample_seconds);
    match is_exact {
        true => format!("All {read} were read: counts are exact, time and memory are estimates"),
        false => format!("From {read} in {}, read in {took}: about", plural(*pieces as u64, "piece")),
    }
}

fn foreseen(prediction: &Prediction, on_error: &str) -> Vec<(&'static str, String)> {
    let Prediction { is_exact, figures: f, keys, combiner, first_bad, read_share, .. } = prediction;
    let number = |x: f64| rounded(x, *is_exact);
    let mut lines = Vec::new();
    if let Some(share) = read_share {
        lines.push(("limit", format!("is reached after {} of the input", percent((share * 1e4) as u64, 10_000))));
    }
    lines.push(("records", number(f.map_input_records)));
    let bad = match first_bad {
        None => "none".into(),
        Some((place, why)) if on_error == "ends the job" => {
            format!("{}; the first ends the job: {place}: {why}", number(f.bad_records))
        }
        Some((place, why)) => format!("{}; the first: {place}: {why}", number(f.bad_records)),
    };
    lines.push(("bad", bad));
    lines.push(("mapped", number(f.map_output_records)));
    if let (Some(found), Some((low, high))) = (f.reduce_input_groups, keys) {
        let between = match (*low, *high) {
            _ if *is_exact => String::new(),
            (low, high) if low / high > 0.97 => String::new(),
            (low, high) => format!(", from {} to {}", number(low), number(high)),
        };
        lines.push(("keys", number(found) + &between));
    }
    if let Some(combining) = combiner {
        lines.extend(shuffle(combining, f.map_output_records, &number));
    }
    lines.push(("spilled", data(f.spilled_bytes.round() as u64)));
    lines.push(("memory", format!("{} at its peak", binary(f.peak_rss_bytes.round() as u64))));
    lines.push(("time", seconds(f.wall_seconds)));
    lines
}

fn shuffle(combining: &Combining, mapped: f64, number: &dyn Fn(f64) -> String) -> Vec<(&'static str, String)> {
    let Combining { set, on, off, auto, auto_combines } = combining;
    let line = |name: &str, Shuffle { rows, bytes }: &Shuffle, how: &str| {
        let is_set = if name == *set { "*" } else { " " };
        let left = percent(rows.round() as u64, (mapped.round() as u64).max(1));
        format!(
            "{is_set} {name:<4}  {} in {}, {left} of mapped records{how}",
            data(bytes.round() as u64),
            if *rows == 1.0 { "1 row".to_owned() } else { format!("{} rows", number(*rows)) }
        )
    };
    let how = match *auto_combines {
        _ if mapped == 0.0 => String::new(),
        share if share >= 1.0 => ": all combined".into(),
        share if share < 0.005 => ": nearly none combined".into(),
        share => format!(": {} combined", percent((share * 1e4) as u64, 10_000)),
    };
    vec![("shuffle", line("on", on, "")), ("", line("off", off, "")), ("", line("auto", auto, &how))]
}

/// Formats a number, with three figures if it isn't exact.
fn rounded(x: f64, is_exact: bool) -> String {
    if is_exact || x < 1000.0 {
        return count(x.round() as u64);
    }
    let unit = 10f64.powi(x.log10().floor() as i32 - 2);
    count(((x / unit).round() * unit) as u64)
}

fn section(title: &str, lines: Vec<(&'static str, String)>) -> String {
    let mut out = wrapped(title, 0);
    for (label, text) in lines {
        let _ = write!(out, "  {label:LABEL$}{}", wrapped(&text, LABEL + 2));
    }
    out
}

/// Wraps text to lines of 80 columns, and indents all but the first. In the first line `indent` columns are already
/// taken. Text that is aligned by spaces stays aligned.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut at = indent;
    for (i, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if i > 0 && at + 1 + width > COLUMNS && at > indent + 2 {
            let _ = write!(out, "\n{:1$}", "", indent + 2);
            at = indent + 2;
        } else if i > 0 {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += width;
    }
    let lines: Vec<_> = out.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_figures_of_an_estimate() {
        for (x, exact, about) in
            [(999.4, "999", "999"), (12_345.0, "12,345", "12,300"), (9_999_999.0, "9,999,999", "10,000,000")]
        {
            assert_eq!((rounded(x, true), rounded(x, false)), (exact.to_owned(), about.to_owned()));
        }
    }

    #[test]
    fn long_lines_are_wrapped() {
        let text = section("title", vec![("input", "word ".repeat(30)), ("", "* on    x".into())]);
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert!(text.contains("\n              word"), "{text}");
        assert!(text.ends_with("\n            * on    x\n"), "{text}");
    }
}
