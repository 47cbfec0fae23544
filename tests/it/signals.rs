//! Interrupts: the job ends, says so, and leaves nothing behind.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Dir;

/// A directory with a FIFO that nobody writes to: a job that reads it runs until it is interrupted.
fn dir() -> Dir {
    let dir = Dir::new();
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    dir
}

fn spawn(dir: &Dir, args: &[&str]) -> Child {
    let mut command = dir.command(args.iter().copied()).command;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the process has a handler for SIGTERM, which is the last one that it installs.
fn wait_until_it_listens(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    let caught = || -> Option<u64> {
        let text = fs::read_to_string(&status).ok()?;
        u64::from_str_radix(text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim(), 16).ok()
    };
    let begun = Instant::now();
    while caught().unwrap() >> (Signal::TERM.as_raw() - 1) & 1 == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it doesn't listen, or has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(20));
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[track_caller]
fn interrupted(child: Child, code: i32) {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: interrupted\n");
    assert!(output.stdout.is_empty());
}

#[test]
fn an_interrupted_job_leaves_nothing_behind() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let dir = dir();
        let child = spawn(&dir, &["run", "uniq", "fifo", "-o", "out"]);
        wait_until_it_listens(&child);
        send(&child, signal);
        interrupted(child, code);
        assert_eq!(dir.names(), ["fifo"]);
    }
}

/// `timeout` signals a process and then its group. The second signal repeats the request; it isn't a user who won't
/// wait.
#[test]
fn a_second_signal_at_once_is_the_first_one_again() {
    let dir = dir();
    let child = spawn(&dir, &["run", "uniq", "fifo", "-o", "out"]);
    wait_until_it_listens(&child);
    for _ in 0..3 {
        send(&child, Signal::TERM);
        std::thread::sleep(Duration::from_millis(5));
    }
    interrupted(child, 143);
    assert_eq!(dir.names(), ["fifo"]);
}

/// Workers that wait for a stream, after they have finished a file, are woken.
#[test]
fn every_scheduler_is_interrupted() {
    for scheduler in ["stealing", "static", "shared"] {
        for threads in ["1", "256"] {
            let dir = dir().file("a.txt", "a\n".repeat(1000));
            let flags = ["--scheduler", scheduler, "--threads", threads, "--split-size", "100", "-o", "out"];
            let child = spawn(&dir, &[&["run", "uniq", "a.txt", "fifo"], &flags[..]].concat());
            wait_until_it_listens(&child);
            send(&child, Signal::INT);
            interrupted(child, 130);
            assert_eq!(dir.names(), ["a.txt", "fifo"]);
        }
    }
}

#[test]
fn a_signal_that_was_ignored_stays_so() {
    let dir = dir();
    let mut command = std::process::Command::new("sh");
    command.current_dir(dir.path()).env("TMPDIR", dir.path());
    command.args(["-c", &format!("trap '' HUP; exec {} run uniq fifo", env!("CARGO_BIN_EXE_mapfold"))]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until_it_listens(&child);
    send(&child, Signal::HUP);
    std::thread::sleep(Duration::from_millis(100));
    send(&child, Signal::TERM);
    interrupted(child, 143);
}

/// Tests work when their parent ignores signals, as under `nohup` and behind the `&` of a script. `timeout` kills tests
/// that wait all the same.
#[test]
fn tests_whose_parent_ignores_signals() {
    let tests = std::env::current_exe().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP INT TERM; exec timeout -s KILL 200 \"$0\" --exact \"$1\""]).arg(tests);
    let output = shell.arg("signals::an_interrupted_job_leaves_nothing_behind").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(" 1 passed"), "{}: {said}", output.status);
}

#[test]
fn what_hangs_in_a_test_is_ended() {
    let dir = Dir::that_waits(Duration::from_millis(300));
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(dir.run("run uniq fifo").output.status.signal(), Some(9));
}
