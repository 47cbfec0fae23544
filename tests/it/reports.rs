//! What a run says beside its result: the summary, the progress, the report.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use rustix::fs::{CWD, FileType, mknodat};

use crate::harness::Dir;

fn dir() -> Dir {
    Dir::new().file("a.txt", "the cat\nthe dog\n")
}

const COUNTED: &str = "the\t2\ncat\t1\ndog\t1\n";

#[test]
fn nothing_but_the_result_unless_asked_for() {
    let ran = dir().run("run wordcount a.txt");
    ran.printed(COUNTED);
    assert_eq!(ran.stderr(), "");
}

#[test]
fn the_summary_is_on_standard_error() {
    let ran = dir().run("run wordcount a.txt -v --threads 2");
    ran.printed(COUNTED);
    let summary = ran.stderr();
    let labels: Vec<_> = summary.lines().skip(1).map(|line| line[..10].trim()).collect();
    assert_eq!(labels, ["read", "wrote", "shuffle", "on disk", "tasks", "slowest", "memory"], "{summary}");
    assert!(summary.starts_with("wordcount: "), "{summary}");
    assert!(summary.contains("\n  read      16 B, 2 records, mapped to 4\n"), "{summary}");
    assert!(summary.contains("\n  wrote     3 rows\n"), "{summary}");
    assert!(summary.contains(" of a.txt at byte 0\n"), "{summary}");
}

#[test]
fn the_report_has_the_spec_as_run() {
    let dir = dir();
    dir.run(
        "run wordcount a.txt --report r.json --report s.json --set limit=1 --combiner off --threads 2 --memory 64M",
    )
    .printed("the\t2\n");
    let text = fs::read(dir.join("r.json")).unwrap();
    let report: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(report["status"], "succeeded");
    assert_eq!(report["job"]["limit"], 1);
    assert_eq!(report["job"]["input"][0], "a.txt");
    assert_eq!(report["job"]["run"], serde_json::json!({"threads": 2, "memory": 64 << 20, "combiner": "off"}));
    assert_eq!(report["counters"]["map_output_records"], 4);
    assert!(dir.join("s.json").exists());
    assert_eq!(dir.names(), ["a.txt", "r.json", "s.json"]);
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode();
    assert_eq!(mode("r.json"), mode("a.txt"));
}

#[test]
fn a_job_as_run_runs_again() {
    let dir = dir();
    dir.run("run wordcount a.txt --report r.json --set limit=2").printed("the\t2\ncat\t1\n");
    let report: Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    let dir = dir.file("again.json", report["job"].to_string());
    dir.run("run again.json").printed("the\t2\ncat\t1\n");
}

/// `-o` isn't part of the job that the report gives, so that job runs again. If the spec names the output, running it
/// again is refused with a hint.
#[test]
fn a_job_that_wrote_a_file_runs_again() {
    let dir = dir();
    let job = |name: &str| {
        let report: Value = serde_json::from_slice(&fs::read(dir.join(name)).unwrap()).unwrap();
        report["job"].to_string()
    };
    let again = |name: &str, args: &str| {
        dir.command(["run", "-"].into_iter().chain(args.split_whitespace())).stdin(job(name)).run()
    };
    for output in ["out", "parts/"] {
        dir.run(&format!("run wordcount a.txt --report r.json --set output.path=none --force -o {output}")).printed("");
        again("r.json", "").printed(COUNTED);
    }
    again("parts/_REPORT.json", "").printed(COUNTED);
    dir.run("run wordcount a.txt --report r.json --set output.path=own").printed("");
    let hint = "it is the output.path of the spec: --force replaces it, -o names another file, -o - prints the result";
    again("r.json", "").refused("own: exists", hint);
    again("r.json", "-o -").printed(COUNTED);
    again("r.json", "-o other").printed("");
    again("r.json", "--force").printed("");
    assert_eq!(dir.names(), ["a.txt", "other", "out", "own", "parts", "r.json"]);
}

#[test]
fn a_failed_run_is_reported_too() {
    let dir = dir();
    let ran = dir.run("run wordcount a.txt -o /dev/full --report r.json");
    assert_eq!(ran.code(), Some(1));
    assert_eq!(ran.stderr().lines().next().unwrap(), "error: cannot write /dev/full: no space left on device");
    let report: Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    assert_eq!(report["status"], "failed");
    assert!(report["error"].as_str().unwrap().contains("no space left"), "{report}");
}

#[test]
fn a_report_that_cannot_be_written_keeps_no_other_from_it() {
    let dir = Dir::new().file("gone/f", "");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let output = dir.meanwhile("--report gone/r.json --report s.json -o out", || {
        fs::remove_dir_all(dir.join("gone")).unwrap();
    });
    let error =
        "error: the result is complete, its report is not: cannot write gone/r.json: no such file or directory\n";
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(1), error));
    assert_eq!(dir.names(), ["fifo", "out", "s.json"]);
}
