//! Commands whose standard output is read: started without a shell, watched, and never left running.
//!
//! ```text
//! command ── stdout ──► read as any stream
//!         ── stderr ──► the last of it is kept for a message, all of it is read
//!         ── its end ─► exit status: not 0 is an error
//! ```
//!
//! A command leads a process group of its own. When it isn't wanted any more, for whatever reason, the group is asked to end,
//! and killed a moment later; so is what the command started and left behind.

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

/// How long a group that was asked to end may take.
const GRACE: Duration = Duration::from_millis(150);
/// How long the system may take to end what was killed.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes of what a command said that are kept.
const TAIL: usize = 4 << 10;
/// Bytes of its last line that an error tells.
const TOLD: usize = 300;

/// Groups that are running, so that whoever ends this process can end them before.
static GROUPS: Groups = Groups::new();

struct Groups(Mutex<Started>);

struct Started {
    running: Vec<Pid>,
    /// Commands that are being started: what groups they lead isn't known yet.
    starting: usize,
    /// No more are to be started.
    is_over: bool,
}

impl Groups {
    const fn new() -> Self {
        Groups(Mutex::new(Started { running: Vec::new(), starting: 0, is_over: false }))
    }

    fn state(&self) -> MutexGuard<'_, Started> {
        lock(&self.0)
    }

    /// With room in the list for one more. That is made without the lock: who gets no memory for it waits for the end of the
    /// process, which takes the lock.
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

    /// Starts a command, and keeps its group in the list until it is reaped.
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
            // Under the lock a group is its command's: none is reaped meanwhile.
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

/// Ends every command that runs or is being started, and has no other begin: this process is about to end.
pub fn end_all() {
    GROUPS.end();
}

/// A command that was started. Dropped, it is ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Its process, and the group that it leads.
    pid: Pid,
    stdout: ChildStdout,
    /// Whether its output has ended.
    has_closed: bool,
    /// Until its end.
    stderr: Option<ChildStderr>,
    said: Vec<u8>,
    /// Readable once the process has ended. Made when it is needed; not every system has it.
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

    /// What to wait for before it goes on: its output, and then its end; and what it says.
    pub fn awaited(&self) -> [Option<BorrowedFd<'_>>; 2] {
        let first = if self.has_closed { self.ended.as_ref().map(AsFd::as_fd) } else { Some(self.stdout.as_fd()) };
        [first, self.stderr.as_ref().map(AsFd::as_fd)]
    }

    /// Without a descriptor for its end it is looked for again and again.
    pub fn looks_again_after(&self) -> Option<Duration> {
        (self.has_closed && self.ended.is_none()).then_some(10 * LOOK)
    }

    /// Does what can be done without waiting: appends what one read gives. At the end of the output waits for that of the command,
    /// which has to be a good one.
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

    /// Reads some of what it says, which is there or has ended.
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

    /// How it ended.
    fn end(&mut self) -> Result<Got, Failure> {
        // What it has yet said; what others go on saying is not waited for.
        for _ in 0..16 {
            let Some(stderr) = &self.stderr else { break };
            match poll(&mut [PollFd::new(stderr, PollFlags::IN)], Some(&Timespec::default())) {
                Ok(1..) => self.hear()?,
                _ => break,
            }
        }
        // What it left of its group is ended, too. Until the command is reaped the group's number is nobody else's.
        let _ = kill_process_group(self.pid, Signal::TERM);
        let status = self.reap()?;
        self.wait_for_what_it_left();
        match status.success() {
            true => Ok(Got::End),
            false => Err(Failure::Command(with_last_line(&ended_with(status), &self.said))),
        }
    }

    /// Whether the process has ended. It is left to be reaped, so that its number stays its own.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(self.pid), options) {
            Ok(ended) => Ok(ended.is_some()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reaps the process, which has ended.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        // First: afterwards the number may be another's.
        GROUPS.state().running.retain(|&group| group != self.pid);
        self.is_reaped = true;
        self.child.wait()
    }

    /// Waits for the rest of the group of a command that was reaped, and ends what doesn't end. The group's number is not given
    /// to another while one of its processes lives.
    fn wait_for_what_it_left(&self) {
        if !until(GRACE, || test_kill_process_group(self.pid).is_err()) {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Whether nobody holds the other end of its output any more.
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
        // Others of the group may take longer than the one that leads it, and mostly hold its output.
        until(GRACE, || self.has_ended().unwrap_or(true) && self.is_closed());
        let _ = kill_process_group(self.pid, Signal::KILL);
        // One that hangs in the system is the system's to end; nothing more is heard of it.
        if until(PATIENCE, || self.has_ended().unwrap_or(true)) {
            let _ = self.reap();
        }
    }
}

/// Waits for `is_so` as long as that. False if it isn't.
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

/// `how`, and the last line of what it said that isn't empty.
fn with_last_line(how: &str, said: &[u8]) -> String {
    let last = said.split(|&byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii).rfind(|line| !line.is_empty());
    match last {
        Some(line) if line.len() > TOLD => format!("{how}: {}…", shown(OsStr::from_bytes(&line[..TOLD]))),
        Some(line) => format!("{how}: {}", shown(OsStr::from_bytes(line))),
        None => how.to_owned(),
    }
}

/// Raises the limit of open files as far as may be, so that so many sources that wait can be open at once beside what the job
/// needs. Where it isn't enough opening one fails, and says so.
pub fn make_room(sources: usize) {
    // Two pipes, and once it ends a descriptor of the process.
    let wanted = 3 * sources as u64;
    let limit = getrlimit(Resource::Nofile);
    if let (Some(current), true) = (limit.current, sources > 1) {
        let raised = current.saturating_add(wanted).min(limit.maximum.unwrap_or(u64::MAX));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit });
    }
}

/// That a command can be started, so far as can be known without doing it.
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
            "a command is run without a shell; a shell is one, too: sh -c '…'",
        ),
    })
}

fn executable(path: &Path) -> io::Result<()> {
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // Root may do everything, but what nobody may execute it can't either.
    if found.permissions().mode() & 0o111 == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(rustix::fs::access(path, rustix::fs::Access::EXEC_OK)?)
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
