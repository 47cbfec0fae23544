//! Outputs that fail while the job runs: full, closed, stuck, or taken by somebody else. Nothing is left behind.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, FileType, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Dir;

const MAPFOLD: &str = env!("CARGO_BIN_EXE_mapfold");

/// Number of distinct lines in `lines.txt`.
const LINES: usize = 50_000;

fn dir() -> Dir {
    let lines: String = (0..LINES).map(|i| format!("line {i:07}\n")).collect();
    let dir = Dir::new().file("lines.txt", lines).file("a.txt", "b\na\nb\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    dir
}

const NAMES: [&str; 3] = ["a.txt", "fifo", "lines.txt"];

/// A shell command in `dir`, in which `$M` is mapfold.
fn shell(dir: &Dir, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(dir.path()).env("TMPDIR", dir.path()).env("M", MAPFOLD);
    command.stdin(Stdio::null());
    command
}

fn sh(dir: &Dir, script: &str) -> Output {
    shell(dir, script).output().unwrap()
}

#[track_caller]
fn failed(output: &Output, error: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr, error);
    assert!(output.stdout.is_empty());
}

/// A limit on the size of files stands in for a full disk.
#[test]
fn what_outgrows_its_disk() {
    let dir = dir();
    let large = "file too large\nhint: allow larger files (ulimit -f)\n";
    let spilled = sh(&dir, "ulimit -f 64; exec $M run uniq lines.txt -o out");
    let stderr = String::from_utf8_lossy(&spilled.stderr);
    assert_eq!(spilled.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: spill file ") && stderr.ends_with(&format!(".run: {large}")), "{stderr}");
    assert_eq!(dir.names(), NAMES);

    // The runs are many and small, so only the output exceeds the limit.
    let small = "--split-size 20K --partitions 64 --threads 2 --memory 16M";
    let output = sh(&dir, &format!("ulimit -f 1000; exec $M run uniq lines.txt {small} -o out"));
    failed(&output, &format!("error: cannot write out: {large}"));
    let output = sh(&dir, &format!("ulimit -f 1000; exec $M run uniq lines.txt {small} -o out/"));
    failed(&output, &format!("error: cannot write out/: {large}"));
    let output = sh(&dir, &format!("ulimit -f 1000; exec $M run uniq lines.txt {small} --unordered"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("error: spill file ") && stderr.ends_with(&format!("/output: {large}")), "{stderr}");
    assert_eq!(dir.names(), NAMES);
}

#[test]
fn standard_streams_that_are_closed() {
    let dir = dir();
    let refused = |script: &str, error: &str| {
        let output = sh(&dir, script);
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().next(), Some(error), "{script}");
        assert_eq!(output.status.code(), Some(2), "{script}");
    };
    refused("exec $M run uniq a.txt >&-", "error: standard output is closed");
    refused("exec $M jobs >&-", "error: standard output is closed");
    refused("exec $M run uniq <&-", "error: there is no INPUT, and standard input is closed");
    refused("exec $M run uniq - <&-", "error: standard input is named as an INPUT, and is closed");
    refused("exec $M run - a.txt <&-", "error: stdin: is closed");
    let output = sh(&dir, "$M run uniq a.txt -v 2>&-; $M run uniq a.txt -o out <&- >&-; cat out");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a\t1\nb\t2\na\t1\nb\t2\n");
}

#[test]
fn a_reader_that_has_seen_enough() {
    let dir = dir();
    for order in ["", "--unordered"] {
        let output = sh(&dir, &format!("{{ $M run uniq lines.txt {order}; echo $? >&2; }} | head -1"));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "0\n", "{order}");
        assert!(output.stdout.starts_with(b"line "), "{order}");
    }
    assert_eq!(dir.names(), NAMES);
}

#[test]
fn part_files_are_the_output_cut_after_rows() {
    let dir = dir();
    let whole = dir.run("run uniq lines.txt").stdout();
    for size in ["1", "1K", "100000", "1G"] {
        let lines = if size == "1" { "a.txt" } else { "lines.txt" };
        let args = format!("run uniq {lines} -o out/ --force --set output.part_size={size}");
        dir.run(&args).printed("");
        dir.run(&args).printed("");
        let output = sh(&dir, "cat out/part-*; test -e out/_SUCCESS");
        let expected = if size == "1" { "a\t1\nb\t2\n" } else { &whole };
        assert!(output.status.success() && output.stdout == expected.as_bytes(), "{size}");
        let parts = fs::read_dir(dir.join("out")).unwrap().count() - 2;
        let bytes = size.parse().unwrap_or(if size == "1K" { 1024 } else { 1 << 30 });
        assert!((1..=expected.len().div_ceil(bytes)).contains(&parts), "{size}: {parts} parts");
    }
}

/// The output's name decides its compression. The file is the same whatever the settings.
#[test]
fn compressed_output() {
    let dir = dir();
    let plain = dir.run("run uniq lines.txt").stdout().into_bytes();
    let unpack = |name: &str| {
        let file = fs::File::open(dir.join(name)).unwrap();
        let mut text = Vec::new();
        match name.ends_with(".gz") {
            true => drop(flate2::read::GzDecoder::new(file).read_to_end(&mut text).unwrap()),
            false => drop(zstd::Decoder::new(file).unwrap().read_to_end(&mut text).unwrap()),
        }
        text
    };
    for name in ["out.gz", "out.csv.zst"] {
        let mut first = None;
        for settings in ["", "--threads 1 --split-size 20K", "--threads 3 --memory 18M --partitions 64 --combiner off"]
        {
            dir.run(&format!("run uniq lines.txt {settings} --force -o {name}")).printed("");
            assert!(unpack(name) == plain, "{name} {settings}");
            let packed = fs::read(dir.join(name)).unwrap();
            assert!(first.get_or_insert_with(|| packed.clone()) == &packed, "{name} {settings}");
        }
    }
    mknodat(CWD, dir.join("pipe.gz"), FileType::Fifo, 0o600.into(), 0).unwrap();
    for order in ["", "--unordered"] {
        let output = sh(&dir, &format!("$M run uniq a.txt {order} -o pipe.gz & cat pipe.gz > piped.gz; wait"));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(unpack("piped.gz"), b"a\t1\nb\t2\n", "{order}");
    }
    // The parts of a directory aren't compressed, whatever its name.
    dir.run("run uniq a.txt -o parts.gz/").printed("");
    assert_eq!(fs::read(dir.join("parts.gz/part-00000")).unwrap(), b"a\t1\nb\t2\n");
    assert!(dir.names().iter().all(|name| !name.contains("partial")));
}

#[test]
fn what_somebody_else_made_meanwhile_is_not_replaced() {
    let dir = dir();
    let hint = "hint: another program made it while the job ran; --force replaces it\n";
    let output = dir.meanwhile("-o out", || fs::write(dir.join("out"), "theirs").unwrap());
    failed(&output, &format!("error: cannot write out: file exists\n{hint}"));
    assert_eq!(fs::read(dir.join("out")).unwrap(), b"theirs");
    fs::remove_file(dir.join("out")).unwrap();

    // The first part could be put in place, but not the second.
    let output = dir.meanwhile("-o out/ --set output.part_size=1", || {
        fs::create_dir(dir.join("out")).unwrap();
        fs::write(dir.join("out/part-00001"), "theirs").unwrap();
    });
    failed(&output, &format!("error: cannot write out/: file exists\n{hint}"));
    assert_eq!(fs::read_dir(dir.join("out")).unwrap().count(), 1);
    assert_eq!(fs::read(dir.join("out/part-00001")).unwrap(), b"theirs");
}

#[test]
fn a_directory_that_vanishes() {
    let dir = dir().file("there/x", "");
    let vanish = || fs::remove_dir_all(dir.join("there")).unwrap();
    failed(&dir.meanwhile("-o there/out", vanish), "error: cannot write there/out: no such file or directory\n");
    fs::create_dir(dir.join("there")).unwrap();
    failed(&dir.meanwhile("-o there/out/", vanish), "error: cannot write there/out/: no such file or directory\n");
    fs::create_dir(dir.join("there")).unwrap();
    let output = dir.meanwhile("--report there/r.json", vanish);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"a\t1\nb\t2\n".as_slice()));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: the result is complete, its report is not: cannot write there/r.json: no such file or directory\n"
    );
    assert_eq!(dir.names(), NAMES);
}

#[test]
fn what_is_replaced_keeps_its_permissions() {
    let dir = dir().file("private", "secret");
    fs::set_permissions(dir.join("private"), fs::Permissions::from_mode(0o600)).unwrap();
    dir.run("run uniq a.txt -o private --force").printed("");
    assert_eq!(fs::metadata(dir.join("private")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(dir.join("private")).unwrap(), b"a\t1\nb\t2\n");
}

#[test]
fn a_name_as_long_as_names_may_be() {
    let dir = dir();
    let name = format!("{}é", "n".repeat(253));
    dir.run(&format!("run uniq a.txt -o {name}")).printed("");
    assert!(dir.join(&name).exists());
}

fn interrupted(mut child: Child) {
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let mut stderr = String::new();
    child.stderr.unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "error: interrupted\n");
}

/// The job hangs in a system call, and one signal ends it all the same.
#[test]
fn an_output_that_takes_nothing() {
    let dir = dir();
    let mut unread = shell(&dir, "exec $M run uniq lines.txt");
    interrupted(unread.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut unopened = shell(&dir, "exec $M run uniq lines.txt -o fifo");
    interrupted(unopened.stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(dir.names(), NAMES);
}

/// `-` is standard output whatever the spec says, and `null` takes away the spec's path.
#[test]
fn standard_output_by_name() {
    let dir = dir();
    for args in
        ["-o -", "--set output.path=out -o -", "--set output.path=-", "--set output.path=out --set output.path=null"]
    {
        dir.run(&format!("run uniq a.txt {args}")).printed("a\t1\nb\t2\n");
    }
    assert_eq!(dir.names(), NAMES);
    let help = dir.run("run --help").stdout().replace("\n          ", " ");
    for said in [
        "or - for stdout  [default: -]",
        "- is standard output",
        "a file with the name - is ./-",
        "--set output.path=null",
    ] {
        assert!(help.contains(said), "{said}: {help}");
    }
}
