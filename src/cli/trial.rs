//! Trials: runs of a job in processes of their own. `bench` times them and `verify` compares them.
//!
//! A trial is this same program called with `run`: it is given the spec that the command line describes, the settings
//! to be tried, an output file and a report. All files are in one directory below the spill directory, and so are the
//! spill files of the trials. So whatever becomes of a trial, nothing is left of it once the directory is gone.

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use crossbeam_channel::{Receiver, bounded};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, umask, waitid};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempPath;
use wait4::{ResUse, Wait4};

use super::digest::Digest;
use super::job::{AskedJob, JobArgs};
use super::settings::Setting;
use super::signals::{self, Armed};
use super::warn_of_left;
use crate::data::scratch::{self, Scratch};
use crate::data::temporary::Temporaries;
use crate::error::{ANSWER_FROM_A_PART, Error, ROOMIER, Result, reason, shown};
use crate::input::sources::Stdin;
use crate::input::{Source, decoders};
use crate::plan::machine::least_memory;
use crate::plan::{self, Invocation, Plan};
use crate::report::Counters;
use crate::run::Control;
use crate::spec::{Document, Input, OnError, OnTimeout, Spec};

/// Settings to run with, with their values.
pub type Chosen<'a> = [(&'static Setting, &'a str)];

/// Runs trials of one job.
pub struct Trials {
    spec: Spec,
    /// The spec as JSON, without output. It has the inputs only if they can't be words of a command line.
    json: Vec<u8>,
    call: Invocation,
    /// The file that holds the spec, if one does.
    pub file: Option<PathBuf>,
    /// The plan of a trial for which no settings are chosen.
    pub plan: Plan,
    /// A directory in each spill directory. The first also holds the spec, outputs and reports.
    directories: Vec<Scratch>,
    /// Dropped after the directory, so that it warns of what the directory couldn't remove.
    _warner: Warner,
    number: Cell<usize>,
    signal: Arc<AtomicUsize>,
    armed: Armed,
}

/// Warns, when it is dropped, of what couldn't be removed.
struct Warner(Temporaries);

impl Drop for Warner {
    fn drop(&mut self) {
        warn_of_left(&self.0);
    }
}

/// The resources that one run took, and its output.
pub struct Trial {
    /// Seconds from before the process was made until it had ended.
    pub wall_seconds: f64,
    pub user_seconds: f64,
    pub system_seconds: f64,
    pub report: ReportOfTrial,
    pub digest: Digest,
    pub output_bytes: u64,
    /// The file with the output, which is removed with this.
    pub output: TempPath,
}

/// When a run ended, and what it wrote to standard error.
struct Ended {
    at: Instant,
    messages: Vec<u8>,
}

/// The part of a report that is needed here.
#[derive(Deserialize)]
pub struct ReportOfTrial {
    /// The peak from the report. The system's own count (`ru_maxrss`) isn't used: it begins at what this process had
    /// when it made the other.
    pub peak_rss_bytes: u64,
    pub settings: Value,
    pub counters: Counters,
}

impl Trials {
    /// Prepares the trials of a job. `command` is the name of the calling command in messages.
    pub fn new(args: &JobArgs, command: &str) -> Result<Self> {
        let AskedJob { mut spec, origin, from_stdin, file } = args.load()?;
        if spec.input.is_empty() || spec.input.iter().any(Input::is_stdin) {
            return Err(once("standard input", command));
        }
        is_whole(&spec, command)?;
        // The output of a trial is looked at here, and then removed. Bad records that an earlier run saved are left
        // alone.
        spec.output.path = None;
        if let OnError::SkipUpTo { save_to, .. } = &mut spec.read.on_error {
            *save_to = None;
        }
        let stdin = Stdin { held_spec: from_stdin, ..Stdin::default() };
        let control = Control::default();
        let signal = control.signal.clone();
        let armed = signals::watch(&signal).map_err(|e| Error::Start { what: "watch for signals", source: e })?;
        let unordered = args.changes.unordered;
        let call = Invocation { origin, unordered, stdin, signal: signal.clone(), ..Invocation::default() };
        let plan = signals::watched(&control, &armed, signals::PLANNING, || resolve(&spec, &call))?;
        if let Some(source) = plan.sources.iter().find(|source| !is_same_for_others(source)) {
            return Err(once_only(source, command));
        }
        // Names of files need not be UTF-8, so they pass through JSON only if they have to.
        let names = names(&spec.input);
        let passed = if names.is_some() { Vec::new() } else { spec.input.clone() };
        let plain = Spec { input: passed, ..spec.clone() };
        let json = serde_json::to_vec(&plain).map_err(|e| Error::usage(format!("{}: {e}", call.origin)))?;
        let warner = Warner(Temporaries::default());
        let directories = scratch::spill_in(&plan.settings.spill_dirs, &warner.0)?;
        for directory in &directories {
            // A run that outlives this process still writes there.
            let shared = directory.share_with_children();
            shared.map_err(|source| Error::SpillDirectory { path: directory.path().to_owned(), source })?;
        }
        let trials =
            Trials { spec, json, call, file, plan, directories, _warner: warner, number: Cell::new(0), signal, armed };
        let written = scratch::create_file(&trials.spec_file()).and_then(|mut file| file.write_all(&trials.json));
        written.map_err(|e| trials.spill_error(&trials.spec_file(), e))?;
        Ok(trials)
    }

    fn spec_file(&self) -> PathBuf {
        self.directories[0].path().join("job.json")
    }

    fn spill_error(&self, path: &Path, source: io::Error) -> Error {
        Error::Spill { path: path.to_owned(), source }
    }

    /// Returns the job's name for messages.
    pub fn title(&self) -> String {
        shown(self.spec.name.as_ref().unwrap_or(&self.call.origin))
    }

    pub fn input_bytes(&self) -> u64 {
        self.plan.sources.iter().map(Source::bytes).sum()
    }

    /// The least memory with which the job runs in so many threads.
    pub fn least_memory(&self, threads: usize) -> u64 {
        least_memory(threads) + decoders::least(&self.plan.sources, threads)
    }

    /// Returns the spec with these settings, if it can be run. `flag` is the flag that messages blame.
    pub fn check(&self, flag: &str, chosen: &Chosen<'_>) -> Result<Spec> {
        let mut document = Document::parse(self.call.origin.clone(), &self.json)?;
        for (setting, value) in chosen {
            setting.apply(flag, value, &mut document)?;
        }
        let spec = Spec { input: self.spec.input.clone(), ..document.finish()? };
        resolve(&spec, &self.call).map(|_| spec)
    }

    /// Runs the job with these settings.
    pub fn run(&self, chosen: &Chosen<'_>) -> Result<Trial> {
        let number = self.number.replace(self.number.get() + 1);
        let path = |name: &str| self.directories[0].path().join(format!("{number}.{name}"));
        let (output, report) = (path("out"), path("json"));
        let mut command = self.command(chosen, &output, &report);
        // Standard error is a pipe: a file on a full disk would have no room for the message that the disk is full.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());

        let begun = Instant::now();
        // Nobody else may read what the run makes. No other thread of this process makes a file meanwhile.
        let mask = umask(Mode::RWXG | Mode::RWXO);
        let child = command.spawn();
        umask(mask);
        let child = child.map_err(|source| Error::Start { what: "start a run", source })?;
        let (used, Ended { at, messages }) = self.wait(child)?;
        let wall = at - begun;
        self.go_on()?;
        let output = TempPath::try_from_path(&output).map_err(|e| self.spill_error(&output, e))?;
        if !used.status.success() {
            return Err(failed(used.status, &messages, chosen));
        }
        let text = fs::read(&report).map_err(|e| self.spill_error(&report, e))?;
        let parsed = serde_json::from_slice(&text).map_err(|e| self.spill_error(&report, e.into()))?;
        let digest = Digest::of(&output, self.call.unordered, || self.go_on());
        let trial = Trial {
            wall_seconds: wall.as_secs_f64(),
            user_seconds: used.rusage.utime.as_secs_f64(),
            system_seconds: used.rusage.stime.as_secs_f64(),
            report: parsed,
            digest: digest?,
            output_bytes: fs::metadata(&output).map_err(|e| self.spill_error(&output, e))?.len(),
            output,
        };
        let _ = fs::remove_file(report);
        Ok(trial)
    }

    fn command(&self, chosen: &Chosen<'_>, output: &Path, report: &Path) -> Command {
        // By this name the program is the same even if its file was replaced meanwhile.
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() { own.to_owned() } else { env::current_exe().unwrap_or_default() };
        let mut command = Command::new(program);
        command.arg0("mapfold").args(["run", "--quiet", "--progress", "never"]);
        // Trials aren't recorded in the history: they don't show how the job's inputs are read otherwise.
        command.env_remove("MAPFOLD_HISTORY");
        for directory in &self.directories {
            command.arg("--spill-dir").arg(directory.path());
        }
        command.arg("--output").arg(output).arg("--report").arg(report);
        if self.call.unordered {
            command.arg("--unordered");
        }
        command.args(chosen.iter().map(|(setting, value)| format!("--{}={value}", setting.flag)));
        command.arg("--").arg(self.spec_file()).args(names(&self.spec.input).unwrap_or_default());
        command
    }

    /// Waits for the end of a run. A signal ends the run sooner.
    fn wait(&self, mut child: Child) -> Result<(ResUse, Ended)> {
        let failed = |what| move |source| Error::Start { what, source };
        let pid = Pid::from_child(&child);
        let stderr = child.stderr.take();
        let ended = thread::scope(|scope| {
            let (done, is_done) = bounded(1);
            let wait = move || {
                let mut messages = Vec::new();
                // An error in reading loses messages, and nothing else.
                let _ = stderr.map(|mut stderr| stderr.read_to_end(&mut messages));
                // The process is left to be reaped, so that nobody else gets its number while it may be sent a signal.
                let ended = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
                let _ = done.send(ended.map(|_| Ended { at: Instant::now(), messages }));
            };
            let waiting = thread::Builder::new().name("wait".into()).spawn_scoped(scope, wait);
            if let Err(e) = waiting {
                let _ = kill_process(pid, Signal::TERM);
                return Err(failed("start a thread")(e));
            }
            self.watch(pid, &is_done).map_err(|e| failed("wait for a run")(e.into()))
        });
        let used = child.wait4().map_err(failed("wait for a run"))?;
        Ok((used, ended?))
    }

    fn watch(&self, pid: Pid, is_done: &Receiver<rustix::io::Result<Ended>>) -> rustix::io::Result<Ended> {
        /// Time between two looks for a signal, and the number of looks for which the run may go on after a signal
        /// before it is killed.
        const LOOK: Duration = Duration::from_millis(50);
        const PATIENCE: u32 = 60;
        let mut asked = 0;
        loop {
            if let Ok(ended) = is_done.recv_timeout(LOOK) {
                return ended;
            }
            if self.go_on().is_err() {
                // The first signal lets the run clean up. If a terminal sent the run a signal too, both are one
                // request.
                if LOOK * asked >= signals::SECOND {
                    self.armed.store(true, Ordering::Relaxed);
                }
                match asked {
                    0 => drop(kill_process(pid, Signal::TERM)),
                    PATIENCE => drop(kill_process(pid, Signal::KILL)),
                    _ => {}
                }
                asked += 1;
            }
        }
    }

    /// Returns an error once a signal has asked the process to end.
    pub fn go_on(&self) -> Result<()> {
        Error::unless_interrupted(&self.signal)
    }
}

fn is_whole(spec: &Spec, command: &str) -> Result<()> {
    match spec.deadline.on_timeout {
        Some(OnTimeout::Partial) => Err(Error::usage_hint(
            format!(
                "{command} compares complete answers, but on_timeout lets this job answer from a part of the input"
            ),
            "--on-timeout fail",
        )),
        Some(OnTimeout::Fail) | None => Ok(()),
    }
}

/// Makes the plan, and leaves none of the plan's commands running.
fn resolve(spec: &Spec, call: &Invocation) -> Result<Plan> {
    let plan = plan::resolve(spec, call)?;
    plan.sources.forget_begun();
    Ok(plan)
}

/// Returns the inputs as words of a command line. None if an input can't be one.
fn names(inputs: &[Input]) -> Option<Vec<&Path>> {
    let names = inputs.iter().map(|input| match input {
        Input::Name(name) => Some(name.as_path()),
        Input::Path { .. } | Input::Command(_) => None,
    });
    names.collect()
}

/// Names settings for a message. Without any, the run has the settings of the spec and the flags, and the defaults.
pub fn named(chosen: &Chosen<'_>) -> String {
    if chosen.is_empty() {
        return "settings as given".into();
    }
    chosen.iter().map(|(setting, value)| format!("{}={value}", setting.flag)).collect::<Vec<_>>().join(" ")
}

fn once(what: &str, command: &str) -> Error {
    Error::usage_hint(
        format!("{what} can be read only once, but {command} runs the job many times"),
        format!("name a file: mapfold {command} wordcount book.txt"),
    )
}

fn once_only(source: &Source, command: &str) -> Error {
    match (once(&shown(source.path()), command), source) {
        (Error::Usage { message, .. }, Source::Command { .. }) => {
            Error::usage_hint(message, r#"if the command prints the same each time, give it in a spec: "retry": true"#)
        }
        (error, _) => error,
    }
}

/// Whether other processes read the same by the source's name, as often as they like. This holds for a regular file,
/// unless its name means another file, or none, in another process. It also holds for a command whose spec says so.
fn is_same_for_others(source: &Source) -> bool {
    let own = ["/dev/stdin", "/dev/fd", "/proc/self", "/proc/thread-self"];
    let path = source.path();
    match source {
        Source::Command { .. } => source.can_be_read_again(),
        _ if own.iter().any(|own| path.starts_with(own)) => false,
        // A disk that may hang isn't asked once more. If it hangs, each run fails and says why.
        Source::File { .. } | Source::Silent { .. } => true,
        Source::Stream { .. } | Source::Stdin { .. } => fs::metadata(path).is_ok_and(|found| found.is_file()),
    }
}

/// Returns the error of a run that failed: what the run said, with the settings that it had.
fn failed(status: ExitStatus, messages: &[u8], chosen: &Chosen<'_>) -> Error {
    let text = String::from_utf8_lossy(messages);
    let said = |label: &str| text.lines().find_map(|line| line.strip_prefix(label)).map(str::to_owned);
    let why = said("error: ").unwrap_or_else(|| match status.signal() {
        Some(9) => "the run was killed, perhaps because the system ran out of memory".into(),
        Some(signal) => format!("the run was ended by signal {signal}"),
        None => format!("the run ended with {status}"),
    });
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    // All that a trial writes, also its result, is in the spill directory.
    let is_full = || why.ends_with(&reason(&Errno::NOSPC.into())).then(|| ROOMIER.to_owned());
    let hint = match said("hint: ") {
        Some(hint) if hint == ANSWER_FROM_A_PART => {
            Some("use a longer --timeout, or none: a partial answer can't be compared".into())
        }
        hint => hint.or_else(is_full),
    };
    Error::Run { message: format!("with {}: {why}", named(chosen)), hint, code }
}

#[cfg(test)]
mod tests {
    use super::super::settings;
    use super::*;

    #[test]
    fn a_run_that_failed_is_quoted() {
        let combiner = settings::find("combiner").unwrap();
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        let error = failed(exit(2), b"error: f: gone\nhint: look\n", &[(combiner, "on")]);
        assert_eq!(error.to_string(), "with combiner=on: f: gone");
        assert_eq!((error.hint().as_deref(), error.exit_code()), (Some("look"), 2));
        let error = failed(exit(101), b"thread panicked\n", &[]);
        assert_eq!(error.to_string(), "with settings as given: the run ended with exit status: 101");
        assert_eq!((error.hint(), error.exit_code()), (None, 101));
        let full = failed(exit(1), b"error: cannot write d/0.out: no space left on device\n", &[]);
        assert_eq!(full.to_string(), "with settings as given: cannot write d/0.out: no space left on device");
        assert_eq!(full.hint().as_deref(), Some("choose a directory with more free space with --spill-dir"));
        let killed = failed(ExitStatus::from_raw(9), b"", &[]);
        assert!(killed.to_string().ends_with("killed, perhaps because the system ran out of memory"), "{killed}");
        assert_eq!(killed.exit_code(), 1);
    }
}
