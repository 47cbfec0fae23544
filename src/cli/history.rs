//! `mapfold history`: shows how inputs were read in earlier runs, from the history file that runs append to. `mapfold
//! run` and `mapfold agg` find and check that file here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use serde::Serialize;

use super::bench::table::aligned;
use super::{help, to_stdout, warn};
use crate::error::{Error, Result, reason, shown};
use crate::input::Latency;
use crate::report::history::Account;
use crate::report::history::file::{self, Held};
use crate::report::json;
use crate::units::{count, data, plural, seconds};

const EXAMPLES: &str = "\
Examples:
  mapfold agg count --from-command 'ssh web1 cat log' --history h.jsonl
  mapfold history h.jsonl
  export MAPFOLD_HISTORY=~/.mapfold.jsonl     for all runs";

/// Show how long inputs took in earlier runs, and which are slow
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file of --history  [default: $MAPFOLD_HISTORY]
    #[arg(value_name = "PATH", help_heading = help::INPUT_AND_JOB)]
    path: Option<PathBuf>,

    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// A history file, and the flag or variable that named it.
pub struct Named {
    pub path: PathBuf,
    pub by: &'static str,
}

const VARIABLE: &str = "MAPFOLD_HISTORY";

/// Returns the history file that a run is to append to. An empty variable names none.
pub fn named(flag: Option<&Path>) -> Option<Named> {
    let variable = || env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    match flag {
        Some(path) => Some(Named { path: path.to_owned(), by: "--history" }),
        None => variable().map(|path| Named { path, by: VARIABLE }),
    }
}

/// Returns the latencies of the sources in the history file that a run is to append to, by the sources' lasting names.
/// The result is empty if the file can't be read: [`prepare`] says why.
pub fn latencies(flag: Option<&Path>) -> HashMap<String, Latency> {
    let file = named(flag).filter(|named| fs::metadata(&named.path).is_ok_and(|found| found.is_file()));
    let held = file.and_then(|named| file::read(&named.path).ok()).unwrap_or_default();
    let history = held.history;
    let of = |source: &str| {
        let first_byte = history.first_byte(source);
        let time = |seconds| Duration::try_from_secs_f64(seconds).ok();
        Latency {
            median: first_byte.and_then(|(median, _)| time(median)),
            p95: first_byte.and_then(|(_, p95)| time(p95)),
            is_consistently_slow: history.is_consistently_slow(source),
        }
    };
    history.sources().map(|source| (source.to_owned(), of(source))).collect()
}

/// Checks that a run can append to the file.
pub fn prepare(named: &Named) -> Result<()> {
    let Named { path, by } = named;
    let name = format!("{by} {}", shown(path));
    let held = file::prepare(path)
        .map_err(|error| Error::usage(format!("{name}: cannot be appended to: {}", reason(&error))))?;
    told(&name, &held)
}

/// Warns of lines that aren't history and are passed over. A file without any line of history is an error: the file
/// belongs to something else.
fn told(name: &str, held: &Held) -> Result<()> {
    let Some(first) = held.passed_over.first() else { return Ok(()) };
    if held.is_foreign() {
        return Err(Error::usage_hint(
            format!("{name}: is not a history file"),
            "name a file that doesn't exist yet, and mapfold makes it: --history h.jsonl",
        ));
    }
    let (lines, are) = match held.passed_over.len() {
        1 => ("1 line".to_owned(), "is"),
        more => (plural(more as u64, "line"), "are"),
    };
    warn(&format!("{name}: skipped {lines} that {are} not valid, from line {first} on"));
    Ok(())
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let path = args.path.or_else(|| named(None).map(|named| named.path));
    let path = path.ok_or_else(|| {
        Error::usage_hint("no PATH", format!("name the file: mapfold history h.jsonl, or set ${VARIABLE}"))
    })?;
    let name = shown(&path);
    let held = file::read(&path).map_err(|error| Error::usage(format!("{name}: {}", reason(&error))))?;
    told(&name, &held)?;
    let sources = held.history.accounts();
    let text = match args.json {
        true => String::from_utf8(json::render(&Accounts { sources })?)?,
        false => table(&sources),
    };
    Ok(to_stdout(&text)?)
}

#[derive(Serialize)]
struct Accounts<'a> {
    sources: Vec<Account<'a>>,
}

/// Formats one row per source, and one sentence about each source that is slow.
fn table(sources: &[Account<'_>]) -> String {
    let head = ["runs", "median", "p95", "first byte", "rate", "timed out", "failed", "source"];
    let time = |s: Option<f64>| s.map_or("-".to_owned(), seconds);
    let row = |account: &Account<'_>| {
        vec![
            count(account.runs as u64),
            time(account.median_seconds),
            time(account.p95_seconds),
            time(account.median_first_byte_seconds),
            account.bytes_per_second.map_or("-".to_owned(), |rate| format!("{}/s", data(rate as u64))),
            count(account.timed_out as u64),
            count(account.failed as u64),
            shown(account.source),
        ]
    };
    let rows: Vec<_> = [head.map(str::to_owned).to_vec()].into_iter().chain(sources.iter().map(row)).collect();
    let mut text = aligned(&rows);
    for (i, account) in sources.iter().filter(|account| account.consistently_slow).enumerate() {
        let Account { source, compared, slow, .. } = account;
        let gap = if i == 0 { "\n" } else { "" };
        text.push_str(&format!("{gap}{} is consistently slow: in {slow} of {compared} runs.\n", shown(source)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_a_source() {
        let fast = Account {
            source: "web1",
            runs: 1200,
            ok: 1199,
            stopped: 0,
            timed_out: 0,
            failed: 1,
            median_seconds: Some(0.25),
            p95_seconds: Some(1.5),
            median_first_byte_seconds: Some(0.02),
            bytes_per_second: Some(1_234_567.0),
            compared: 20,
            slow: 1,
            consistently_slow: false,
        };
        let slow = Account {
            source: "web\n2",
            median_seconds: None,
            p95_seconds: None,
            median_first_byte_seconds: None,
            bytes_per_second: None,
            timed_out: 9,
            slow: 20,
            consistently_slow: true,
            ..fast.clone()
        };
        let expected = "\
runs   median  p95     first byte  rate       timed out  failed  source
1,200  0.25 s  1.50 s  20 ms       1.23 MB/s  0          1       web1
1,200  -       -       -           -          9          1       web\\n2

web\\n2 is consistently slow: in 20 of 20 runs.
";
        assert_eq!(table(&[fast, slow]), expected);
    }
}
