//! The files that a run writes beside its result: reports, a trace, and the history of its inputs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;

use super::history::{self, Named};
use super::run::ResultArgs;
use super::side_files;
use crate::error::{Error, Result, shown};
use crate::input::Source;
use crate::plan::{OnError, Plan};
use crate::report::history::{Known, entries, file};
use crate::report::{Report, json, trace};

/// The files to write when the run is over. As far as that can be known before, they can be written.
pub struct Accounts<'a> {
    plan: &'a Plan,
    reports: &'a [PathBuf],
    trace: Option<&'a Path>,
    history: Option<PathBuf>,
    /// When the run began, since 1970, UTC.
    begun: Duration,
}

impl<'a> Accounts<'a> {
    /// Checks that each file can be written, and that none is written over something else. `spec` is the file that
    /// holds the job's spec.
    pub fn prepare(args: &'a ResultArgs, spec: Option<&Path>, plan: &'a Plan) -> Result<Accounts<'a>> {
        let reports = args.report.iter().map(|path| ("--report", path.as_path()));
        let mut all: Vec<_> = reports.chain(args.trace.iter().map(|path| ("--trace", path.as_path()))).collect();
        for (flag, path) in &all {
            is_json(flag, path)?;
            side_files::check(flag, path, spec, plan)?;
        }
        if let OnError::SkipUpTo { save_to: Some(path), .. } = &plan.on_error {
            side_files::check_new("read.on_error.save_to", path, spec, plan)?;
            all.push(("read.on_error.save_to", path));
        }
        let history = history::named(args.history.as_deref());
        if let Some(Named { path, by }) = &history {
            side_files::check_appended(by, path, spec, plan)?;
            all.push((by, path));
        }
        for (at, (flag, path)) in all.iter().enumerate() {
            // One file may be named twice as the report: the second report is the same.
            let clash = all[..at].iter().find(|(other, taken)| other != flag && side_files::same_file(taken, path));
            if let Some((other, _)) = clash {
                return Err(Error::usage(format!("{flag} {}: is also the file of {other}", shown(path))));
            }
        }
        // This comes last, because it creates the file.
        let history = history.map(|named| history::prepare(&named).map(|()| named.path)).transpose()?;
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Accounts { plan, reports: &args.report, trace: args.trace.as_deref(), history, begun })
    }

    /// Writes each file, even if another can't be written. `error` is why the run failed.
    pub fn write(&self, report: &Report, error: Option<&Error>) -> anyhow::Result<()> {
        let sources = &self.plan.sources;
        let reports = self.reports.iter().map(|path| json::write(report, path)).fold(Ok(()), Result::and);
        let trace = self.trace.map_or(Ok(()), |path| {
            let inputs: Vec<_> = sources.iter().map(|source| source.name().into_owned()).collect();
            trace::write(report, &inputs, path)
        });
        let history = self.history.as_deref().map_or(Ok(()), |path| self.append(report, error, path));
        reports.context("the result is complete, its report is not")?;
        trace.context("the result is complete, its trace is not")?;
        history.context("the result is complete, its history is not")
    }

    fn append(&self, report: &Report, error: Option<&Error>, path: &Path) -> Result<()> {
        let known = |source: &Source| Known {
            name: source.lasting_name(),
            len: (!source.is_stream()).then(|| source.bytes()),
            has_failed: error.and_then(Error::of_input).is_some_and(|path| path == source.path()),
        };
        let sources: Vec<_> = self.plan.sources.iter().map(known).collect();
        // The process id is part of the name, because several runs may begin at once, also on several machines.
        let run = format!("{:x}-{:x}", self.begun.as_nanos(), process::id());
        let entries = entries(&run, self.begun.as_secs(), &report.events, &sources);
        file::append(path, &entries).map_err(|source| Error::Output { path: path.to_owned(), source })
    }
}

fn is_json(flag: &str, path: &Path) -> Result<()> {
    let name = shown(path);
    match path.extension().and_then(OsStr::to_str) {
        Some("json") => Ok(()),
        Some("html") => Err(Error::usage(format!("{flag} {name}: HTML is not supported yet"))),
        _ => Err(Error::usage_hint(
            format!("{flag} {name}: its ending doesn't say the format"),
            match name.as_str() {
                "-" if flag == "--trace" => "name a file: --trace t.json".into(),
                "-" => "name a file: --report r.json".into(),
                _ => format!("give it the ending .json: {}", shown(path.with_extension("json"))),
            },
        )),
    }
}
