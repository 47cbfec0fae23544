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
use serde_json::json;

use crate::harness::Dir;

/// A pseudo-terminal: its keyboard, the end that a program uses, and what was written to it.
struct Terminal {
    keyboard: File,
    end: OwnedFd,
    written: JoinHandle<Vec<u8>>,
}

impl Terminal {
    fn new() -> Self {
        Terminal::of(80)
    }

    fn of(columns: u16) -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap();
        tcsetwinsize(&user, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let end = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap().into();
        let keyboard = user.try_clone().unwrap().into();
        let written = thread::spawn(move || {
            let (mut user, mut all, mut some) = (File::from(user), Vec::new(), [0; 4096]);
            loop {
                match user.read(&mut some) {
                    Ok(0) => return all,
                    Ok(n) => all.extend(&some[..n]),
                    // Nobody has the other end open any more.
                    Err(e) if e.raw_os_error() == Some(5) => return all,
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => panic!("{e}"),
                }
            }
        });
        Terminal { keyboard, end, written }
    }

    /// Starts mapfold with its standard output and error on the terminal. Of the variables about colours it has only
    /// these.
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

/// Commands whose output has styles: help, errors with hints, summaries.
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

/// Characters that turn the direction of text, or that a terminal takes for commands, are shown and not carried out.
#[test]
fn what_would_fool_a_terminal_is_escaped() {
    let names = ["a\u{202e}txt.exe", "b\u{2066}c", "d\u{1b}[2J", "e\u{9b}1m", "f\u{2028}g"];
    for name in names {
        let dir = Dir::new().file(name, "a\n");
        let run = |args: &[&str]| {
            let terminal = Terminal::new();
            let mut command = dir.command(args.iter().copied()).command;
            command.env("NO_COLOR", "1").env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(terminal.end.try_clone().unwrap());
            command.spawn().unwrap().wait().unwrap();
            // The command has the terminal open too.
            drop(command);
            terminal.written()
        };
        let other = format!("{name}x");
        let flag = format!("--{name}");
        let title = format!("name={name}");
        let pattern = format!("where={}", json!({"field": "line", "matches": format!("({name}")}));
        let said = format!("sh -c 'printf %s \"{name}\" >&2; exit 1'");
        for args in [
            &["run", "uniq", name, "-v"][..],
            &["run", "uniq", name, "--set", &title],
            &["run", "uniq", &other],
            &["run", name],
            &["run", &flag],
            &["run", "uniq", &flag],
            &["run", "uniq", name, "--set", &flag],
            &["run", "uniq", name, "--set", &pattern],
            &["run", "uniq", "--from-command", &said],
            &["jobs", "show", name],
            &["agg", "-g", name, "count", name],
            &["agg", name, name],
            &[name],
        ] {
            let shown = terminal_text(&run(args));
            assert!(!shown.is_empty(), "{args:?}");
            let bad = shown.chars().find(|c| names.concat().contains(*c) && !c.is_ascii_graphic() && *c != ' ');
            assert_eq!(bad, None, "{args:?}: {shown:?}");
        }
    }
}

/// Returns the text without the line of progress, which is drawn and erased.
fn terminal_text(shown: &str) -> String {
    shown.replace(ERASE, "").replace(DRAWN, "")
}

#[test]
fn standard_input_that_is_a_terminal_is_not_read() {
    let (dir, terminal) = (dir(), Terminal::new());
    let stdin = || terminal.end.try_clone().unwrap();
    let mut child = terminal.start(&dir, "run uniq", stdin(), &[("NO_COLOR", "1")]);
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let expected = "error: there is no INPUT, and standard input is a terminal\nhint: name a file: mapfold run wordcount book.txt\n";
    assert_eq!(terminal.written(), expected);
}

/// Returns what a terminal of `columns` columns shows after everything was written to it.
fn screen(written: &str, columns: usize) -> String {
    let (mut rows, mut row, mut column) = (vec![Vec::new()], 0, 0);
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\r' => column = 0,
            '\n' => (row, column) = (row + 1, 0),
            '\x1b' => {
                let code = rest.get(..2).filter(|code| ["[J", "[K"].contains(code));
                if code.unwrap_or_else(|| panic!("another code: {rest:?}")) == "[J" {
                    rows.truncate(row + 1);
                }
                rest = &rest[2..];
                rows[row].truncate(column);
            }
            c => {
                // A full row wraps at the next letter.
                if column == columns {
                    (row, column) = (row + 1, 0);
                }
                rows.resize(rows.len().max(row + 1), Vec::new());
                let letters = &mut rows[row];
                letters.resize(letters.len().max(column + 1), ' ');
                letters[column] = c;
                column += 1;
            }
        }
        rows.resize(rows.len().max(row + 1), Vec::new());
    }
    let rows = rows.into_iter().map(|row| row.into_iter().collect::<String>().trim_end().to_owned());
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_screen_is_one() {
    assert_eq!(screen("abcdef\rx\ny", 4), "abcd\nxf\ny");
    assert_eq!(screen("one\ntwo   \r\x1b[Jmore\n", 10), "one\nmore\n");
    assert_eq!(screen("one\ntwo\r \x1b[K", 10), "one\n");
}

/// What a drawing of the progress line ends with, and what erases the line.
const DRAWN: &str = "\x1b[J\r";
const ERASE: &str = "\r \x1b[J\r\x1b[K";

/// Returns the lines of progress that a terminal was shown, and the text after them.
fn progress(shown: &str) -> (Vec<&str>, &str) {
    let (before, after) = shown.rsplit_once(ERASE).unwrap_or_else(|| panic!("no progress: {shown:?}"));
    let lines = before.strip_suffix(DRAWN).unwrap_or_else(|| panic!("{before:?}")).split(DRAWN);
    (lines.map(|line| line.strip_prefix('\r').unwrap_or_else(|| panic!("{line:?}"))).collect(), after)
}

/// Runs a job that reads the FIFO, and calls `meanwhile` as it runs.
fn slow(dir: &Dir, args: &str, meanwhile: impl FnOnce(&Child, &mut File)) -> (Option<i32>, String) {
    slow_on(Terminal::new(), dir, &format!("uniq fifo {args}"), |child, _, fifo| meanwhile(child, fifo))
}

fn slow_on(
    mut terminal: Terminal,
    dir: &Dir,
    args: &str,
    meanwhile: impl FnOnce(&Child, &mut File, &mut File),
) -> (Option<i32>, String) {
    let mut child = terminal.start(dir, &format!("run {args}"), Stdio::null(), &[("NO_COLOR", "1")]);
    let mut fifo = File::options().write(true).open(dir.join("fifo")).unwrap();
    meanwhile(&child, &mut terminal.keyboard, &mut fifo);
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
    // The size of a stream isn't known, so neither is the time left.
    let of_map: Vec<_> = lines.iter().filter(|line| line.starts_with("map ")).collect();
    assert!(of_map.len() >= 2 && of_map.iter().all(|line| line.ends_with(" B, 0.00 MB/s")), "{shown:?}");
    assert!(lines.iter().all(|line| line.chars().count() < 80), "{shown:?}");
    // The summary is one line, though the input is too short for the combiner to save anything.
    assert!(after.starts_with("uniq: ") && after.ends_with(", 4 B of input\n"), "{shown:?}");
    assert_eq!(after.lines().count(), 1, "{after:?}");
}

#[test]
fn the_whole_summary_is_for_those_who_ask() {
    let dir = Dir::new().file("f", "a a a a a a a a b\n");
    let shown = |args| on_terminal(&dir, args, &[("NO_COLOR", "1")]).1;
    let line = shown("run wordcount f --combiner on -o out");
    assert!(line.ends_with(" of input, 48.1 % of the shuffle saved by the combiner\n"), "{line:?}");
    assert_eq!(line.lines().count(), 1, "{line:?}");
    assert!(shown("run wordcount f -o out --force -v").contains("\n  memory    "));
    assert_eq!(shown("run wordcount f -o out --force -q"), "");
}

#[test]
fn a_line_in_a_narrow_terminal() {
    let dir = dir();
    let (code, shown) = slow_on(Terminal::of(20), &dir, "uniq fifo -o out", |_, _, fifo| {
        fifo.write_all(b"b\na\n").unwrap();
        thread::sleep(Duration::from_millis(1500));
    });
    assert_eq!(code, Some(0));
    let (lines, _) = progress(&shown);
    assert!(lines.contains(&"map 0 B, 0.00 MB/s") && lines.iter().all(|line| line.len() < 20), "{shown:?}");
    assert!(screen(&shown, 20).starts_with("uniq: "), "{shown:?}");
}

#[test]
fn inputs_that_bring_nothing_are_named() {
    let dir = dir();
    mknodat(CWD, dir.join("silent"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let shown = slow(&dir, "silent -o out", |_, fifo| {
        for _ in 0..8 {
            fifo.write_all(b"b\na\n").unwrap();
            thread::sleep(Duration::from_millis(400));
        }
        drop(File::options().write(true).open(dir.join("silent")).unwrap());
    });
    let (lines, _) = progress(&shown.1);
    let waiting: Vec<_> = lines.iter().filter_map(|line| line.split_once(", waiting for ")).collect();
    assert!(!waiting.is_empty() && waiting.iter().all(|(_, names)| *names == "silent"), "{lines:?}");
    assert!(!lines[0].contains("waiting"), "{lines:?}");
}

/// The terminal echoes ^C at its cursor.
#[test]
fn an_echoed_interrupt_goes_with_the_line() {
    let dir = dir();
    let (code, shown) = slow_on(Terminal::new(), &dir, "uniq fifo -o out", |child, keyboard, _| {
        thread::sleep(Duration::from_millis(1200));
        keyboard.write_all(b"\x03").unwrap();
        thread::sleep(Duration::from_millis(100));
        kill_process(Pid::from_child(child), Signal::INT).unwrap();
        thread::sleep(Duration::from_millis(500));
    });
    assert_eq!(code, Some(130));
    assert!(shown.contains("^C"), "{shown:?}");
    assert_eq!(screen(&shown, 80), "error: interrupted\n");
}

/// Rows stay whole, whether they are written as they come or at the end.
#[test]
fn rows_on_the_same_terminal_stay_whole() {
    let dir = dir();
    let rows: Vec<_> = (0..8).map(|i| format!("{i} {}", "row ".repeat(i))).collect();
    for job in ["grep --pattern row", "uniq"] {
        let (code, shown) = slow_on(Terminal::new(), &dir, &format!("{job} fifo"), |_, _, fifo| {
            for row in &rows {
                writeln!(fifo, "{row}").unwrap();
                thread::sleep(Duration::from_millis(250));
            }
        });
        assert_eq!(code, Some(0));
        assert!(shown.matches(DRAWN).count() > 4, "{shown:?}");
        let expected: Vec<_> = match job {
            "uniq" => rows.iter().map(|row| format!("{row}\t1")).collect(),
            _ => rows[1..].iter().map(|row| row.trim_end().to_owned()).collect(),
        };
        let seen = screen(&shown, 80);
        let seen: Vec<_> = seen.lines().collect();
        assert_eq!(seen[..expected.len()], expected, "{shown:?}");
        assert!(seen[expected.len()].starts_with(job.split(' ').next().unwrap()), "{seen:?}");
        assert_eq!(seen.len(), expected.len() + 1, "{seen:?}");
    }
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

/// In a file nothing can be drawn over, so progress is written as lines.
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
