//! Tests of the binary itself: what it prints, and its exit code.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mapfold::failpoint::Point;

use crate::jobs::{PATIENCE, gzipped, inputs, names};

/// Runs mapfold. No-break spaces in `args` stand for spaces within a word.
pub fn run(dir: &Path, faults: &str, args: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mapfold"));
    command.args(args.split(' ').map(|word| word.replace('\u{a0}', " "))).current_dir(dir);
    command.env("TMPDIR", dir.join("spill")).env("MAPFOLD_FAIL", faults).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    // The output fits into the pipe, so nobody has to read it meanwhile.
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{args}, {faults}: hangs");
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.wait_with_output().unwrap()
}

pub fn dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    inputs(&dir.path().join("in"));
    fs::create_dir(dir.path().join("spill")).unwrap();
    fs::write(dir.path().join("sorted.json"), r#"{"select": ["key", "n"], "sort": ["-key"]}"#).unwrap();
    dir
}

/// A panic while the job is planned is an internal error, also on a thread that the plan waits for.
#[test]
fn a_panic_while_the_job_is_planned() {
    let dir = dir();
    let path = dir.path().join("in/table.csv");
    let input = serde_json::json!([{"path": path, "timeout": "1h"}]);
    fs::write(dir.path().join("timed.json"), serde_json::json!({"input": input, "select": ["n"]}).to_string()).unwrap();
    let said = |fault: &str, args: &str| {
        let output = run(dir.path(), fault, args);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let hint = "hint: this is a bug in mapfold; please report it with the job's spec";
    for (fault, args, task) in [
        ("input.read:1=panic", "agg count --read csv -".to_owned(), "reader of stdin".to_owned()),
        ("input.look:1=panic", "run ./timed.json".to_owned(), format!("looking at {}", path.display())),
    ] {
        let stderr = said(fault, &args);
        let lines: Vec<_> = stderr.lines().collect();
        assert!(lines[0].starts_with(&format!("error: internal error in {task}: ")), "{stderr}");
        assert_eq!(lines[1..], [hint], "{stderr}");
    }
}

const SMALL: &str = "--threads 2 --split-size 2K --memory 16M --partitions 4";

#[test]
fn a_command_says_why_it_failed_and_nothing_else() {
    let dir = dir();
    let dir = dir.path();
    let jobs =
        ["run wordcount in/long.txt in/short.txt", "run sorted.json in/table.csv", "run uniq in/packed.gz -o out"];
    for job in jobs {
        let args = format!("{job} {SMALL}");
        let made = |output: &Output| match fs::read(dir.join("out")) {
            Ok(bytes) => bytes,
            Err(_) => output.stdout.clone(),
        };
        let expected = made(&run(dir, "", &args));
        assert!(expected.len() > 500);
        let faults = Point::ALL.iter().flat_map(|point| [1, 2].map(|n| format!("{}:{n}", point.name())));
        for fault in faults.flat_map(|fault| ["eio", "panic"].map(|how| format!("{fault}={how}"))) {
            if fault.starts_with("remove") || fault.starts_with("commit.rename") && fault.ends_with("panic") {
                continue;
            }
            let _ = fs::remove_file(dir.join("out"));
            let output = run(dir, &fault, &args);
            let stderr = String::from_utf8(output.stderr.clone()).unwrap();
            let label = format!("{args}, {fault}: {stderr}");
            match output.status.code() {
                Some(0) => assert!(made(&output) == expected && stderr.is_empty(), "{label}"),
                Some(1) => {
                    let mut lines = stderr.lines();
                    assert!(lines.next().is_some_and(|line| line.starts_with("error: ")), "{label}");
                    assert!(lines.next().is_none_or(|line| line.starts_with("hint: ")), "{label}");
                    assert!(lines.next().is_none() && expected.starts_with(&output.stdout), "{label}");
                    assert!(!dir.join("out").exists(), "{label}");
                }
                code => panic!("{label}, {code:?}"),
            }
            assert_eq!(names(&dir.join("spill")), [""; 0], "{label}");
        }
    }
}

#[test]
fn the_report_says_that_an_attempt_failed() {
    let dir = dir();
    let args = format!("run wordcount in/long.txt -o out --force --report r.json {SMALL}");
    let counters = |faults| {
        let output = run(dir.path(), faults, &args);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{faults}");
        let report: serde_json::Value = serde_json::from_slice(&fs::read(dir.path().join("r.json")).unwrap()).unwrap();
        let (text, counters) = (fs::read(dir.path().join("out")).unwrap(), report["counters"].clone());
        (
            text,
            counters["failed_attempts"].clone(),
            ["map_input_records", "reduce_input_records"].map(|name| counters[name].clone()),
        )
    };
    let (text, none, records) = counters("");
    assert_eq!(none, 0);
    assert_eq!(counters("spill.write:2=eio"), (text.clone(), 1.into(), records.clone()));
    assert_eq!(counters("spill.write:2=eio, run.read:1=damage"), (text, 2.into(), records));
}

/// A damaged run is made again from its block; a compressed file is read again from its beginning.
#[test]
fn a_damaged_run_of_a_packed_file_is_made_again() {
    let dir = dir();
    // In little memory, blocks have 16 MiB.
    let row = |n: u32| format!("\"key\n{}\",{n},{}\n", n % 700, "x".repeat(4000));
    let table = "k,v,w\n".to_owned() + &(0..15_000).map(row).collect::<String>();
    fs::write(dir.path().join("in/table.gz"), gzipped(&table)).unwrap();
    for job in ["run wordcount in/table.gz", "agg -g k sum(v) --read csv in/table.gz"] {
        let args =
            format!("{job} -o out --force --report r.json --trace t.json --threads 1 --memory 14M --partitions 4");
        let made = |faults: &str| {
            let output = run(dir.path(), faults, &args);
            assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{faults}");
            let report: serde_json::Value =
                serde_json::from_slice(&fs::read(dir.path().join("r.json")).unwrap()).unwrap();
            let maps = report["tasks"].as_array().unwrap().iter().filter(|task| task.get("input").is_some()).count();
            let remade = fs::read_to_string(dir.path().join("t.json")).unwrap().matches(" remade\"").count();
            (fs::read(dir.path().join("out")).unwrap(), remade, maps)
        };
        let (expected, none, maps) = made("");
        assert!(maps > 3 && none == 0, "{maps}");
        for n in [1, 2, 3, maps] {
            assert_eq!(made(&format!("run.read:{n}=damage")), (expected.clone(), 1, maps), "{job}: {n}");
        }
        // A run that was made again may be damaged too.
        assert_eq!(made("run.read:1=damage, run.read:3=damage"), (expected, 2, maps), "{job}");
    }
}

/// A split that isn't read for a second is mapped again in a speculative attempt, by an idle worker.
#[test]
fn a_straggler_loses() {
    let dir = dir();
    for scheduler in ["stealing", "static", "shared"] {
        let args = format!(
            "run wordcount in/long.txt -o out --force --report r.json --threads 2 --split-size 512 --scheduler {scheduler}"
        );
        let made = |faults| {
            let output = run(dir.path(), faults, &args);
            assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{faults}");
            let report: serde_json::Value =
                serde_json::from_slice(&fs::read(dir.path().join("r.json")).unwrap()).unwrap();
            (fs::read(dir.path().join("out")).unwrap(), report)
        };
        let (expected, _) = made("");
        let (text, report) = made("input.map:4=stall");
        assert_eq!(text, expected, "{scheduler}");
        let tasks = report["tasks"].as_array().unwrap();
        let told = |task: &serde_json::Value| {
            let ids = (task["id"].as_str().unwrap().to_owned(), task["attempt"].as_u64().unwrap());
            (ids, task["outcome"].as_str().unwrap().to_owned(), task["worker"].as_u64().unwrap())
        };
        let told: Vec<_> = tasks.iter().map(told).collect();
        let lost = told.iter().position(|(_, outcome, _)| outcome == "lost");
        let at = lost.unwrap_or_else(|| panic!("{scheduler}: {told:?}"));
        let [((first, 0), _, by), ((second, 1), won, other)] = &told[at..at + 2] else { panic!("{told:?}") };
        assert!(first.starts_with("map-") && first == second && won == "won" && by != other, "{told:?}");
        let counted = ["speculative_attempts", "failed_attempts"].map(|name| report["counters"][name].clone());
        let lost = told.iter().filter(|(_, outcome, _)| outcome == "lost").count();
        assert_eq!(counted, [lost, 0], "{scheduler}");
    }
}

/// An attempt that lost passes on no record boundaries, however late it ends. The quote at the end of the file makes
/// the boundaries assumed behind it wrong.
#[test]
fn a_straggler_passes_no_wrong_edge() {
    let dir = dir();
    let mut text = String::from("k,x\r\n");
    for i in 0..30 {
        text += &format!("k{},{i}\r\n", i % 3);
        text += ["\"a\nb\",bad\r\n", "1,2,3\n", "", "c,\"wor\"\"se\"\r\n"][i % 4];
    }
    fs::write(dir.path().join("edges.csv"), text + "\"d").unwrap();
    let args = "agg -g k sum(x),count edges.csv --set read.on_error=skip -o out --force --threads 2 --split-size 7";
    for faults in ["", "input.map:10=stall", "input.map:30=stall", "input.map:40=stall"] {
        let output = run(dir.path(), faults, args);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{faults}");
        assert_eq!(
            fs::read_to_string(dir.path().join("out")).unwrap(),
            "k0\t135\t10\nk1\t145\t10\nk2\t155\t10\n",
            "{faults}"
        );
    }
}

#[test]
fn what_cannot_be_removed_is_told() {
    let dir = dir();
    let output = run(dir.path(), "remove:1+=eio", &format!("run wordcount in/long.txt {SMALL}"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("warning: cannot remove ") && stderr.ends_with(": input/output error\n"), "{stderr}");
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(0), 1));
}

/// What a hot partition was folded to may be damaged, as its rows may be. Then the rows are read again.
#[test]
fn damage_to_what_a_hot_partition_was_folded_to() {
    let dir = dir();
    let line = |i: u32| if i.is_multiple_of(10) { format!("cold {i}\n") } else { "hot\n".to_owned() };
    fs::write(dir.path().join("in/hot.txt"), (0..80_000).map(line).collect::<String>()).unwrap();
    let args = "run uniq in/hot.txt -o out --force --report r.json --threads 2 --split-size 50K --memory 16M \
        --partitions 4 --combiner off";
    let made = |faults: &str| {
        let output = run(dir.path(), faults, args);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{faults}");
        let report: serde_json::Value = serde_json::from_slice(&fs::read(dir.path().join("r.json")).unwrap()).unwrap();
        let counter = |name: &str| report["counters"][name].as_u64().unwrap();
        let counters = ["reduce_shares", "failed_attempts", "reduce_input_records"].map(counter);
        (fs::read(dir.path().join("out")).unwrap(), counters)
    };
    let (expected, [shares, none, rows]) = made("");
    assert!(shares > 1 && none == 0, "{shares}");
    // Whether the last reads are those of states or of other partitions depends on the workers.
    let (mut failed, mut read_again) = (0, 0);
    for n in (1..60).step_by(2) {
        let (out, [shares_again, failures, rows_again]) = made(&format!("run.read:{n}=damage"));
        assert_eq!((out == expected, shares_again), (true, shares), "{n}");
        assert!(rows_again == rows || rows_again > rows && failures > 0, "{n}: {rows_again}");
        failed += failures;
        read_again += u64::from(rows_again > rows);
    }
    assert!(failed > 15 && read_again > 0, "{failed} {read_again}");
}
