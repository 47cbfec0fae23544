//! A directory to run in, and a command to run there. A command that hangs is killed, and its test fails.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Once};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;
use tempfile::TempDir;

/// The working directory of one test. It is removed when the value is dropped.
pub struct Dir {
    root: TempDir,
    _watch: Watch,
}

impl Dir {
    /// Longer than any test takes, however busy the machine is.
    const PATIENCE: Duration = Duration::from_secs(1200);

    pub fn new() -> Self {
        Dir::that_waits(Dir::PATIENCE)
    }

    /// A directory in which everything that still runs after `patience` is killed.
    pub fn that_waits(patience: Duration) -> Self {
        hear_signals();
        let root = tempfile::tempdir().unwrap();
        let watch = Watch::over(root.path().canonicalize().unwrap(), patience);
        Dir { root, _watch: watch }
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file in the directory. Creates the directories on the way.
    pub fn file(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    /// Runs `mapfold` here with these arguments, split at spaces, and an empty standard input.
    pub fn run(&self, args: &str) -> Ran {
        self.command(args.split_whitespace()).run()
    }

    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> TestCommand {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mapfold"));
        command.current_dir(self.path()).args(args).env("TMPDIR", self.path()).env_remove("RUST_BACKTRACE");
        command.env_remove("MAPFOLD_HISTORY");
        TestCommand { command, stdin: Vec::new() }
    }

    /// Starts a job that reads the FIFO `fifo`, calls `meanwhile` once the plan is made, and lets the job end.
    pub fn meanwhile(&self, args: &str, meanwhile: impl FnOnce()) -> Output {
        let mut command = self.command(["run", "uniq", "fifo"].into_iter().chain(args.split_whitespace())).command;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        // Opening the FIFO waits until the job has opened it, which happens after planning.
        let mut fifo = fs::File::options().write(true).open(self.join("fifo")).unwrap();
        meanwhile();
        fifo.write_all(b"b\na\nb\n").unwrap();
        drop(fifo);
        child.wait_with_output().unwrap()
    }

    /// Names of everything in the directory, sorted. They show what a run left behind.
    pub fn names(&self) -> Vec<String> {
        Dir::names_in(self.path())
    }

    pub fn names_in(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Limits the time that a test may wait, until the value is dropped.
struct Watch {
    _done: Sender<()>,
}

impl Watch {
    fn over(dir: PathBuf, patience: Duration) -> Self {
        /// Time for the test to fail once nothing runs any more.
        const GRACE: Duration = Duration::from_secs(60);
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let (done, is_done) = mpsc::channel::<()>();
        let goes_on = move |time| is_done.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        thread::spawn(move || {
            if goes_on(patience) {
                eprintln!("{test}: not done after {patience:?}, so what runs in {} is killed", dir.display());
                kill_all_in(&dir);
                if goes_on(GRACE) {
                    eprintln!("{test}: waits for something else, so all tests end");
                    process::abort();
                }
            }
        });
        Watch { _done: done }
    }
}

fn kill_all_in(dir: &Path) {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| Pid::from_raw(name.parse().ok()?));
        let works_there = || fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        if let Some(pid) = pid.filter(|pid| *pid != getpid() && works_there()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Makes commands react to signals. Whoever starts the tests may ignore signals, as a shell does for commands under
/// `nohup` or behind `&`, and children inherit that. A signal with a handler in the parent has its default action in
/// the children.
fn hear_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            if ignored >> (signal - 1) & 1 == 1 {
                flag::register(signal, Arc::default()).unwrap();
            }
        }
    });
}

pub struct TestCommand {
    pub command: Command,
    stdin: Vec<u8>,
}

impl TestCommand {
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs with an empty standard input, and calls `act` once standard error has a line that starts with `sign`.
    #[track_caller]
    pub fn act_once_said(mut self, sign: &str, act: impl FnOnce(&Child)) -> Ran {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.lines().last().is_some_and(|line| line.starts_with(sign)) {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "never said {sign:?}: {said}");
        }
        act(&child);
        let reader = std::thread::spawn(move || {
            stderr.read_to_string(&mut said).unwrap();
            said
        });
        let mut output = child.wait_with_output().unwrap();
        output.stderr = reader.join().unwrap().into_bytes();
        Ran { output }
    }

    pub fn run(mut self) -> Ran {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let bytes = self.stdin;
        let writer = std::thread::spawn(move || {
            // The command may end before it has read everything.
            let _ = stdin.write_all(&bytes);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran { output }
    }
}

/// A command that has ended.
pub struct Ran {
    pub output: Output,
}

impl Ran {
    pub fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// Checks that the command was refused before it read anything: exit code 2, nothing on standard output, and
    /// exactly this on standard error.
    #[track_caller]
    pub fn refused(&self, error: &str, hint: &str) {
        self.ended_with(2, error, hint);
    }

    /// Checks that the command failed while it ran: exit code 1, nothing on standard output, and exactly this on
    /// standard error.
    #[track_caller]
    pub fn failed(&self, error: &str, hint: &str) {
        self.ended_with(1, error, hint);
    }

    #[track_caller]
    fn ended_with(&self, code: i32, error: &str, hint: &str) {
        let mut expected = format!("error: {error}\n");
        if !hint.is_empty() {
            expected.push_str(&format!("hint: {hint}\n"));
        }
        assert_eq!(self.stderr(), expected);
        assert_eq!(self.code(), Some(code));
        assert_eq!(self.stdout(), "");
    }

    /// Checks that the command succeeded, with exactly this on standard output.
    #[track_caller]
    pub fn printed(&self, expected: &str) {
        assert_eq!(self.code(), Some(0), "{}", self.stderr());
        assert_eq!(self.stdout(), expected);
    }
}
