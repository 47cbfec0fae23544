//! Inputs as strange as a file system and a shell can make them.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::harness::Dir;

const MAPFOLD: &str = env!("CARGO_BIN_EXE_mapfold");

fn sh(dir: &Dir, script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(dir.path()).env("TMPDIR", dir.path()).env("M", MAPFOLD);
    command
}

#[test]
fn lines_and_their_ends() {
    let cases: [(&[u8], &[u8]); 9] = [
        (b"", b""),
        (b"\n\n\n", b"\t3\n"),
        (b"a", b"a\t1\n"),
        (b"a\r\nb\na\n", b"a\t2\nb\t1\n"),
        (b"a\rb\n", b"a\rb\t1\n"),
        (b"a\r\r\n", b"a\r\t1\n"),
        (b"\r", b"\r\t1\n"),
        (b"a\0b\n\xff\n\0\n", b"\0\t1\na\0b\t1\n\xff\t1\n"),
        (b"\r\n\n", b"\t2\n"),
    ];
    for (text, expected) in cases {
        let dir = Dir::new().file("f", text);
        for settings in ["", "--split-size 1", "--split-size 7 --threads 5", "--combiner off --partitions 1"] {
            let from_file = dir.run(&format!("run uniq f {settings}"));
            let args = format!("run uniq {settings}");
            let from_stdin = dir.command(args.split_whitespace()).stdin(text).run();
            for ran in [from_file, from_stdin] {
                assert_eq!((ran.code(), ran.output.stdout.as_slice()), (Some(0), expected), "{text:?} {settings}");
            }
        }
    }
}

#[test]
fn names_that_trip_a_shell() {
    let dir = Dir::new();
    let names: [&[u8]; 9] = [b"a\nb", b"a b", b"bad\xff", b"*", b"[a]", b"?", b"-n", b"--force", b"\x1b[31m"];
    fs::create_dir(dir.join("odd")).unwrap();
    for name in names {
        fs::write(dir.path().join("odd").join(OsStr::from_bytes(name)), "x\n").unwrap();
    }
    dir.run("run uniq odd").printed("x\t9\n");
    let run = |args: &[&[u8]]| {
        let mut command = dir.command(["run", "uniq"]);
        command.command.current_dir(dir.join("odd")).args(args.iter().map(|arg| OsStr::from_bytes(arg)));
        command.run()
    };
    run(&[b"*"]).printed("x\t1\n");
    run(&[b"[a]", b"?", b"./-n"]).printed("x\t3\n");
    run(&[b"--", b"-n", b"--force", b"bad\xff"]).printed("x\t3\n");
    run(&[b"-n"]).refused("--limit: a value is missing", "usage: --limit <N>");
    run(&[b"-x"]).refused("unknown flag \"-x\"", "mapfold run --help lists the flags; if it is a file, write ./-x");
    let summary = run(&[b"-v", b"--", b"a\nb"]).stderr();
    assert!(summary.contains(" of a\\nb at byte 0\n"), "{summary}");
}

#[test]
fn a_name_of_a_job_that_is_not_one_line() {
    let dir = Dir::new().file("j.json", r#"{"group_by": ["line"], "name": "a\u001b[31m\nb"}"#).file("f", "x\n");
    let summary = dir.run("run j.json f -v").stderr();
    assert!(summary.starts_with("a\\u{1b}[31m\\nb: "), "{summary}");
}

#[test]
fn a_message_about_a_long_name_is_short() {
    let dir = Dir::new()
        .file("j.json", format!(r#"{{"read": {{"format": "text"}}, "group_by": ["{}"]}}"#, "x".repeat(1 << 20)));
    let ran = dir.run("run j.json j.json");
    assert_eq!(ran.code(), Some(2));
    assert!(
        ran.stderr().len() < 2200
            && ran.stderr().ends_with("hint: fields: line; to read columns: --set read.format=csv, or tsv\n"),
        "{}",
        ran.stderr()
    );
}

/// The keys of one batch hold the line once for each of its words, so together they are far longer than the line.
#[test]
fn a_long_line_in_the_key_of_each_of_its_words() {
    let words: Vec<String> = (0..400).map(|i| format!("w{i:03}")).collect();
    let line = format!("{} {}", words.join(" "), "x".repeat(150_000));
    let spec = r#"{"map": [{"split": "line", "on": "whitespace", "as": "word"}], "group_by": ["line", "word"],
        "aggregate": [{"op": "count"}], "output": {"columns": ["word", "count"]}, "limit": 400}"#;
    let dir = Dir::new().file("j.json", spec).file("f", format!("{line}\n{line}\n"));
    let expected: String = words.iter().map(|word| format!("{word}\t2\n")).collect();
    dir.run("run j.json f").printed(&expected);
    dir.run("run j.json f --combiner off").printed(&expected);
}

/// The lines are longer than the part of a page's first key that is kept, and differ within that part or behind it.
#[test]
fn long_lines_in_order() {
    for (alike, settings) in
        [(0, "--memory 16M"), (900, "--memory 18M --threads 3"), (1500, "--memory 14M --threads 1")]
    {
        let line = |i: usize| format!("{}{:04}{}\n", "x".repeat(alike), i * 7919 % 2000, "y".repeat(2000));
        let mut lines: Vec<String> = (0..2000).map(line).collect();
        let dir = Dir::new().file("f", lines.concat());
        lines.sort();
        let expected: String = lines.iter().map(|line| format!("{}\t1\n", line.trim_end())).collect();
        let ran = dir.run(&format!("run uniq f {settings}"));
        assert!(ran.code() == Some(0) && ran.stdout() == expected, "{alike} {}", ran.stderr());
    }
}

#[test]
fn thousands_of_small_files_and_few_descriptors() {
    let dir = Dir::new();
    fs::create_dir(dir.join("many")).unwrap();
    for i in 0..3000 {
        fs::write(dir.join(&format!("many/{i}")), format!("all {}\n", i % 2)).unwrap();
    }
    for settings in ["", "--split-size 50", "--threads 40 --split-size 500"] {
        let output =
            sh(&dir, &format!("ulimit -n 64; $M run wordcount many {settings}")).stdin(Stdio::null()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "all\t3000\n0\t1500\n1\t1500\n", "{settings}");
    }
}

#[test]
fn streams_and_files_together() {
    let dir = Dir::new().file("f", "file\n");
    let mut command = sh(&dir, "$M run uniq f <(echo one; echo all) - <(printf all) f < <(echo all)");
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all\t3\nfile\t2\none\t1\n");
}

/// A failure is reported although standard input stays open and silent.
#[test]
fn a_failure_beside_a_silent_stream() {
    let lines: String = (0..50_000).map(|i| format!("line {i:07}\n")).collect();
    let dir = Dir::new().file("lines.txt", lines);
    let mut command = sh(&dir, "ulimit -f 64; exec $M run uniq - lines.txt");
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"not all of it\n").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.ends_with(".run: file too large\nhint: allow larger files (ulimit -f)\n"), "{stderr}");
    assert_eq!(dir.names(), ["lines.txt"]);
}

#[test]
fn a_working_directory_that_is_gone() {
    let dir = Dir::new().file("f", "x\n");
    let script = "mkdir gone; cd gone; rmdir ../gone; $M run uniq ../f; $M run uniq \"$TMPDIR/f\" -o x";
    let output = sh(&dir, script).stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "x\t1\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "error: cannot write x: no such file or directory\n");
}
