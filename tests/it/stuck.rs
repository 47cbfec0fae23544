//! Jobs that are stuck in a system call, and jobs whose standard error nobody reads, still end at their deadline, and
//! with one signal.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, OFlags, fcntl_getfl, fcntl_setfl, mknodat};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Dir;

/// Bytes that a pipe holds.
const PIPE: u64 = 65_536;

/// A directory with a job whose records pass through, with more records than a pipe holds, and a FIFO that nobody else
/// opens.
fn dir() -> Dir {
    let dir = Dir::new().file("pass.json", r#"{"select": ["line"]}"#).file("lines", "line\n".repeat(200_000));
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    dir
}

fn command(dir: &Dir, args: &str) -> Command {
    let mut command = dir.command(args.split(' ')).command;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until the process ends. Kills it and fails if that takes too long.
#[track_caller]
fn ended(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it didn't end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn wait_until_full(pipe: &impl std::os::fd::AsFd) {
    while ioctl_fionread(pipe).unwrap() < PIPE {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A full pipe, with its reader.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn a_deadline_of_a_job_that_is_stuck() {
    let late = "error: the job was not done after 300ms\nhint: with --on-timeout partial the job answers from what it has read by then\n";
    let later = "error: the job was not done after 300ms, nor 2s later\n";
    // Nobody reads the standard output of one job, and nobody opens the FIFO that the other job writes to.
    for job in ["run ./pass.json lines", "run uniq lines -o fifo"] {
        for (flags, said) in [("", late), (" --on-timeout partial", later)] {
            let dir = dir();
            let mut child = command(&dir, &format!("{job} --timeout 300ms{flags}")).spawn().unwrap();
            let status = ended(&mut child);
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            assert_eq!((status.code(), &*stderr), (Some(1), said), "{job}{flags}");
            assert_eq!(dir.names(), ["fifo", "lines", "pass.json"]);
        }
    }
}

/// One pipe takes standard output and standard error, as in `2>&1 | less`.
#[test]
fn one_signal_ends_a_job_whose_output_nobody_reads() {
    let dir = dir();
    let (reader, writer) = io::pipe().unwrap();
    let mut job = command(&dir, "run ./pass.json lines");
    let mut child = job.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    wait_until_full(&reader);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(ended(&mut child).code(), Some(143));
    assert_eq!(dir.names(), ["fifo", "lines", "pass.json"]);
}

/// The last message delays the job only for a moment, although the job itself has ended well.
#[test]
fn standard_error_that_nobody_reads() {
    for (args, code) in [("run uniq fifo", 143), ("run uniq fifo --timeout 300ms", 1)] {
        let dir = dir();
        let (_reader, writer) = full_pipe();
        let mut child = command(&dir, args).stderr(writer).spawn().unwrap();
        // Opening the FIFO waits until the job reads it.
        let fifo = File::options().write(true).open(dir.join("fifo")).unwrap();
        if code == 143 {
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        }
        assert_eq!(ended(&mut child).code(), Some(code), "{args}");
        drop(fifo);
    }
}
