//! Runs commands whose standard output is read. A command is started without a shell, watched, and never left running.
//!
//! ```text
//! command ── stdout ──► read like any stream
//!         ── stderr ──► all of it is read; its last bytes are kept for a message
//!         ── its end ─► exit status: not 0 is an error
//! ```
//!
//! A command leads a process group of its own. When the command isn't wanted any more, for whatever reason, the group
//! is asked to end, and killed a moment later. So are processes that the command started and left behind.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{env, fs, mem, process, thread};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process_group, pidfd_open,
    setrlimit, test_kill_process_group, waitid,
};

use super::origin::{Failure, Got};
use super::written::Command;
use crate::error::{Error, Result, reason, shown};
use crate::panics::lock;

/// Time that a group has to end after it was asked to.
const GRACE: Duration = Duration::from_millis(150);
/// Time that the system has to end what was killed.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to look whether something has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes of a command's standard error that are kept.
const TAIL: usize = 4 << 10;
/// Bytes of the last line of standard error that an error message shows.
const TOLD: usize = 300;

/// Groups that are running. Whoever ends this process ends them first.
static GROUPS: ProcessGroups = ProcessGroups::new();

struct ProcessGroups(Mutex<Started>);

struct Started {
    running: Vec<Pid>,
    /// Number of commands that are being started. The groups that they lead aren't known yet.
    starting: usize,
    /// Set when no more commands may be started.
    is_over: bool,
}

impl ProcessGroups {
    const fn new() -> Self {
        ProcessGroups(Mutex::new(Started { running: Vec::new(), starting: 0, is_over: false }))
    }

    fn state(&self) -> MutexGuard<'_, Started> {
        lock(&self.0)
    }

    /// Locks the state, with room in the list for one more group. The room is made without the lock: if there is no
    /// memory for it, this thread waits for the process to end, and ending takes the lock.
    fn with_room(&self) -> MutexGuard<'_, Started> {
        let mut larger = Vec::new();
        loop {
            let mut state = self.state();
            let wanted = state.running.len() + state.starting + 1;
            if state.running.capacity() < wanted && larger.capacity() >= wanted {
                larger.append(&mut state.running);
                mem::swap(&mut larger, &mut state.running);
            }
            if state.running.capacity() >= wanted {
                return state;
            }
            drop(state);
            larger = Vec::with_capacity(2 * wanted);
        }
    }

    /// Starts a command, and keeps its group in the list until the command is reaped.
    fn start(&self, start: &mut process::Command) -> io::Result<(Child, Pid)> {
        {
            let mut state = self.with_room();
            if state.is_over {
                drop(state);
                return Err(io::Error::other("mapfold is about to end"));
            }
            state.starting += 1;
        }
        let started = start.spawn().map(|child| {
            let pid = Pid::from_child(&child);
            (child, pid)
        });
        let mut state = self.state();
        state.starting -= 1;
        state.running.extend(started.as_ref().map(|&(_, pid)| pid));
        started
    }

    fn end(&self) {
        let signal_all = |state: &Started, signal| {
            // Under the lock, each group's number is still its command's: none is reaped meanwhile.
            for &group in &state.running {
                let _ = kill_process_group(group, signal);
            }
        };
        {
            let mut state = self.state();
            state.is_over = true;
            signal_all(&state, Signal::TERM);
            if state.running.is_empty() && state.starting == 0 {
                return;
            }
        }
        thread::sleep(GRACE);
        until(PATIENCE, || self.state().starting == 0);
        signal_all(&self.state(), Signal::KILL);
    }
}

/// Ends every command that runs or is being started, and lets no other begin. To be called when this process is about
/// to end.
pub fn end_all() {
    GROUPS.end();
}

/// A command that was started. It is ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// The command's process, and the group that it leads.
    pid: Pid,
    stdout: ChildStdout,
    /// Whether the command's output has ended.
    has_closed: bool,
    /// `None` once standard error has ended.
    stderr: Option<ChildStderr>,
    said: Vec<u8>,
    /// A descriptor that is readable once the process has ended. It is made when it is needed; not every system has it.
    ended: Option<OwnedFd>,
    is_reaped: bool,
}

impl Running {
    pub fn start(command: &Command) -> Result<Running, Failure> {
        let (program, arguments) =
            command.words.split_first().ok_or_else(|| Failure::Start(io::ErrorKind::NotFound.into()))?;
        let mut start = process::Command::new(program);
        start.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let (mut child, pid) = GROUPS.start(&mut start).map_err(Failure::Start)?;
        let (stdout, stderr) = (child.stdout.take().expect("it was piped"), child.stderr.take());
        Ok(Running { child, pid, stdout, stderr, has_closed: false, said: Vec::new(), ended: None, is_reaped: false })
    }

    /// The descriptors to wait for before calling [`go_on`](Self::go_on). The first is the command's output and, after
    /// that, the command's end; the second is standard error.
    pub fn awaited(&self) -> [Option<BorrowedFd<'_>>; 2] {
        let first = if self.has_closed { self.ended.as_ref().map(AsFd::as_fd) } else { Some(self.stdout.as_fd()) };
        [first, self.stderr.as_ref().map(AsFd::as_fd)]
    }

    /// How often to look whether the command has ended, if there is no descriptor for its end.
    pub fn looks_again_after(&self) -> Option<Duration> {
        (self.has_closed && self.ended.is_none()).then_some(10 * LOOK)
    }

    /// Does what can be done without waiting. Appends what one read of the output gives. After the output's end, gives
    /// `None` until the command has ended, and an error if its exit status isn't 0.
    pub fn go_on(&mut self, [has_bytes, has_said]: [bool; 2], out: &mut Vec<u8>) -> Result<Option<Got>, Failure> {
        if has_said {
            self.hear()?;
        }
        if has_bytes && !self.has_closed {
            match rustix::io::read(&self.stdout, spare_capacity(out)) {
                Ok(0) => self.has_closed = true,
                Ok(_) => return Ok(Some(Got::More)),
                Err(Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        match self.has_closed {
            true if self.has_ended()? => self.end().map(Some),
            true => {
                if self.ended.is_none() {
                    self.ended = pidfd_open(self.pid, PidfdFlags::empty()).ok();
                }
                Ok(None)
            }
            false => Ok(None),
        }
    }

    /// Reads some of standard error, which has bytes or has ended.
    fn hear(&mut self) -> io::Result<()> {
        let Some(stderr) = &self.stderr else { return Ok(()) };
        let mut more = Vec::with_capacity(64 << 10);
        match rustix::io::read(stderr, spare_capacity(&mut more)) {
            Ok(0) => self.stderr = None,
            Ok(_) => {
                self.said.extend_from_slice(&more);
                self.said.drain(..self.said.len().saturating_sub(TAIL));
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Returns how the command ended. The process must have ended.
    fn end(&mut self) -> Result<Got, Failure> {
        // Read what the command has already written to standard error. What other processes go on writing isn't waited
        // for.
        for _ in 0..16 {
            let Some(stderr) = &self.stderr else { break };
            match poll(&mut [PollFd::new(stderr, PollFlags::IN)], Some(&Timespec::default())) {
                Ok(1..) => self.hear()?,
                _ => break,
            }
        }
        // What the command left of its group is ended, too. Until the command is reaped, its number is no other
        // group's.
        let _ = kill_process_group(self.pid, Signal::TERM);
        let status = self.reap()?;
        self.wait_for_what_it_left();
        match status.success() {
            true => Ok(Got::End),
            false => Err(Failure::Command(with_last_line(&ended_with(status), &self.said))),
        }
    }

    /// Whether the process has ended. It isn't reaped, so that its number stays its own.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(self.pid), options) {
            Ok(ended) => Ok(ended.is_some()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reaps the process, which must have ended.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        // Removed first: afterwards the number may be another group's.
        GROUPS.state().running.retain(|&group| group != self.pid);
        self.is_reaped = true;
        self.child.wait()
    }

    /// Waits for the rest of the group of a reaped command, and kills what doesn't end. The system gives the group's
    /// number to no other while one of its processes lives.
    fn wait_for_what_it_left(&self) {
        if !until(GRACE, || test_kill_process_group(self.pid).is_err()) {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Whether nobody holds the other end of the output any more.
    fn is_closed(&self) -> bool {
        let mut asked = [PollFd::new(&self.stdout, PollFlags::empty())];
        poll(&mut asked, Some(&Timespec::default())).is_ok() && asked[0].revents().contains(PollFlags::HUP)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_reaped {
            return;
        }
        let _ = kill_process_group(self.pid, Signal::TERM);
        // Other processes of the group may take longer than its leader, and mostly hold the output.
        until(GRACE, || self.has_ended().unwrap_or(true) && self.is_closed());
        let _ = kill_process_group(self.pid, Signal::KILL);
        // A process that hangs in the system is left to the system. Nothing more is reported of it.
        if until(PATIENCE, || self.has_ended().unwrap_or(true)) {
            let _ = self.reap();
        }
    }
}

/// Waits for `is_so` for up to `most`. Returns false if it isn't so by then.
fn until(most: Duration, is_so: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        match is_so() {
            true => return true,
            false if begun.elapsed() >= most => return false,
            false => thread::sleep(LOOK),
        }
    }
}

fn ended_with(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Returns `how` and the last line of `said` that isn't empty.
fn with_last_line(how: &str, said: &[u8]) -> String {
    let last = said.split(|&byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii).rfind(|line| !line.is_empty());
    match last {
        Some(line) if line.len() > TOLD => format!("{how}: {}…", shown(OsStr::from_bytes(&line[..TOLD]))),
        Some(line) => format!("{how}: {}", shown(OsStr::from_bytes(line))),
        None => how.to_owned(),
    }
}

/// Raises the limit of open files as far as possible, so that this many waiting sources can be open at once beside what
/// the job needs. If the limit is still too low, opening a source fails with a message.
pub fn make_room(sources: usize) {
    // Two pipes for each, a descriptor of its process once its output ends, and the file of a block.
    let wanted = 4 * sources as u64;
    let limit = getrlimit(Resource::Nofile);
    if let (Some(current), true) = (limit.current, sources > 1) {
        let raised = current.saturating_add(wanted).min(limit.maximum.unwrap_or(u64::MAX));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit });
    }
}

/// Checks that a command can be started, as far as that can be known without starting it.
pub fn check(command: &Command) -> Result<()> {
    let title = shown(&*command.title());
    let Some(program) = command.words.first().filter(|program| !program.is_empty()) else {
        return Err(Error::usage("a command is empty"));
    };
    let name = shown(program);
    let prefix = if title == name { name.clone() } else { format!("{title}: {name}") };
    if program.contains('/') {
        return executable(Path::new(program)).map_err(|e| Error::usage(format!("{prefix}: {}", reason(&e))));
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut why = None;
    for directory in env::split_paths(&path) {
        match executable(&directory.join(program)) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => why = Some(error),
            Err(_) => {}
        }
    }
    Err(match why {
        Some(error) => Error::usage(format!("{prefix}: {}", reason(&error))),
        None => Error::usage_hint(
            format!("{prefix}: no such command"),
            "a command is run without a shell; to use a shell: sh -c '…'",
        ),
    })
}

fn executable(path: &Path) -> io::Result<()> {
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // Root may do everything except execute a file that nobody may execute.
    if found.permissions().mode() & 0o111 == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(rustix::fs::access(path, rustix::fs::Access::EXEC_OK)?)
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
