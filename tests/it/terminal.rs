//! What a terminal shows: colours where they are wanted, one line of progress, and nothing else left on it.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{CWD, FileType, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::harness::Dir;

/// A pseudo-terminal of 80 columns: its user's end, and what was written to it.
struct Terminal {
    end: OwnedFd,
    written: JoinHandle<Vec<u8>>,
}

impl Terminal {
    fn new() -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap();
        tcsetwinsize(&user, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let end = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap().into();
        let written = thread::spawn(move || {
            let (mut user, mut all, mut some) = (File::from(user), Vec::new(), [0; 4096]);
            loop {
                match user.read(&mut some) {
                    Ok(0) => return all,
                    Ok(n) => all.extend(&some[..n]),
                    // Nobody has the other end any more.
                    Err(e) if e.raw_os_error() == Some(5) => return all,
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => panic!("{e}"),
                }
            }
        });
        Terminal { end, written }
    }

    /// Starts mapfold with its standard output and error on the terminal, and with these of the variables that
    /// speak of colours.
    fn start(&self, dir: &Dir, args: &str, stdin: impl Into<Stdio>, variables: &[(&str, &str)]) -> Child {
        let mut command = dir.command(args.split_whitespace()).command;
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "COLORTERM"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm").envs(variables.iter().copied()).stdin(stdin);
        command.stdout(self.end.try_clone().unwrap()).stderr(self.end.try_clone().unwrap());
        command.spawn().unwrap()
    }

    fn written(self) -> String {
        drop(self.end);
        String::from_utf8(self.written.join().unwrap()).unwrap().replace("\r\n", "\n")
    }
}

fn on_terminal(dir: &Dir, args: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let terminal = Terminal::new();
    let code = terminal.start(dir, args, Stdio::null(), variables).wait().unwrap().code();
    (code, terminal.written())
}

fn dir() -> Dir {
    let dir = Dir::new().file("f", "b\na\nb\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    dir
}

/// Each writes what has styles: help, errors with hints, summaries.
const STYLED: [&str; 6] = ["--help", "run -h", "help run", "", "run uniq f --memroy 1", "run uniq f -v -o /dev/null"];

#[test]
fn colours_on_a_terminal() {
    let dir = dir();
    for args in STYLED {
        let (_, shown) = on_terminal(&dir, args, &[]);
        assert!(shown.contains("\x1b["), "{args}: {shown:?}");
        for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")], [("CLICOLOR", "0")]] {
            let (_, shown) = on_terminal(&dir, args, &variables);
            assert!(!shown.contains('\x1b') && !shown.is_empty(), "{args} {variables:?}: {shown:?}");
        }
    }
    let (code, shown) = on_terminal(&dir, "run uniq none", &[]);
    assert_eq!(code, Some(2));
    assert_eq!(shown, "\x1b[1m\x1b[31merror:\x1b[0m none: no such file or directory\n");
}

#[test]
fn no_colours_elsewhere() {
    let dir = dir();
    for args in STYLED.into_iter().chain(["jobs", "man", "completions bash", "run uniq f -v"]) {
        let ran = dir.command(args.split_whitespace()).run();
        let written = ran.stdout() + &ran.stderr();
        assert!(!written.contains('\x1b') && !written.is_empty(), "{args}: {written:?}");
    }
    let mut forced = dir.command(["run", "uniq", "none"]);
    forced.command.env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR");
    assert!(forced.run().stderr().starts_with("\x1b[1m\x1b[31merror:\x1b[0m none"));
}

#[test]
fn standard_input_that_is_a_terminal_is_not_read() {
    let (dir, terminal) = (dir(), Terminal::new());
    let stdin = || terminal.end.try_clone().unwrap();
    let mut child = terminal.start(&dir, "run uniq", stdin(), &[("NO_COLOR", "1")]);
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let expected =
        "error: no INPUT, and standard input is a terminal\nhint: name a file: mapfold run wordcount book.txt\n";
    assert_eq!(terminal.written(), expected);
}

const ERASE: &str = "\r\x1b[J";

/// The lines of progress that a terminal was shown, and what it showed after them.
fn progress(shown: &str) -> (Vec<&str>, &str) {
    let (before, after) = shown.rsplit_once(ERASE).unwrap_or_else(|| panic!("no progress: {shown:?}"));
    let mut lines = before.split(ERASE);
    assert_eq!(lines.next(), Some(""), "{shown:?}");
    // The cursor goes back to where the line begins.
    (lines.map(|line| line.strip_suffix('\r').unwrap_or_else(|| panic!("{line:?}"))).collect(), after)
}

/// A job that reads the FIFO while `meanwhile` happens.
fn slow(dir: &Dir, args: &str, meanwhile: impl FnOnce(&Child, &mut File)) -> (Option<i32>, String) {
    let terminal = Terminal::new();
    let args = format!("run uniq fifo {args}");
    let mut child = terminal.start(dir, &args, Stdio::null(), &[("NO_COLOR", "1")]);
    let mut fifo = File::options().write(true).open(dir.join("fifo")).unwrap();
    meanwhile(&child, &mut fifo);
    drop(fifo);
    (child.wait().unwrap().code(), terminal.written())
}

#[test]
fn progress_is_one_line_that_goes_away() {
    let dir = dir();
    let (code, shown) = slow(&dir, "-o out", |_, fifo| {
        fifo.write_all(b"b\na\n").unwrap();
        thread::sleep(Duration::from_millis(1500));
    });
    assert_eq!(code, Some(0));
    let (lines, after) = progress(&shown);
    // How much a stream holds isn't known, so neither is the time left.
    let of_map: Vec<_> = lines.iter().filter(|line| line.starts_with("map ")).collect();
    assert!(of_map.len() >= 2 && of_map.iter().all(|line| line.ends_with(" B, 0.00 MB/s")), "{shown:?}");
    assert!(lines.iter().all(|line| line.chars().count() < 80), "{shown:?}");
    assert!(after.starts_with("uniq: ") && after.contains("  memory    "), "{shown:?}");
}

#[test]
fn an_interrupt_leaves_the_error_alone_on_the_terminal() {
    let dir = dir();
    let (code, shown) = slow(&dir, "-o out", |child, _| {
        thread::sleep(Duration::from_millis(1200));
        kill_process(Pid::from_child(child), Signal::INT).unwrap();
        thread::sleep(Duration::from_millis(500));
    });
    assert_eq!(code, Some(130));
    assert_eq!(progress(&shown).1, "error: interrupted\n");
}

#[test]
fn progress_only_where_it_is_wanted() {
    let dir = dir();
    let wait = |_: &Child, _: &mut File| thread::sleep(Duration::from_millis(1500));
    for args in ["-o out --force --progress never", "-o out --force -q"] {
        let shown = slow(&dir, args, wait).1;
        assert!(!shown.contains(ERASE), "{args}: {shown:?}");
    }
    assert!(slow(&dir, "-o out --force -q --progress always", wait).1.contains(ERASE));
}

/// Lines, since nothing can be drawn over in a file.
#[test]
fn progress_elsewhere_is_lines_if_it_is_asked_for() {
    let dir = dir();
    for (args, wanted) in [("--progress always", true), ("", false)] {
        let mut command = dir.command(["run", "uniq", "fifo"].into_iter().chain(args.split_whitespace())).command;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut fifo = File::options().write(true).open(dir.join("fifo")).unwrap();
        fifo.write_all(b"b\na\n").unwrap();
        thread::sleep(Duration::from_millis(1200));
        drop(fifo);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a\t1\nb\t1\n");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(!stderr.is_empty(), wanted, "{stderr:?}");
        assert!(!wanted || stderr.starts_with("map ") && stderr.contains(" B, 0.00 MB/s\n"), "{stderr:?}");
    }
}
