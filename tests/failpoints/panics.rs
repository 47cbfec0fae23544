//! A record that panics is a bad record, wherever it lies and however it is read.

use std::fs;
use std::path::Path;
use std::process::Output;

use mapfold::failpoint::{self, Point};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use crate::jobs::{Case, Goal, JOBS};
use crate::processes::{dir, run};

const BUG: &str = "record:boom=panic";
const SCHEDULERS: [&str; 3] = ["stealing", "static", "shared"];
/// Settings for tasks of a few records, tasks of a little more than a batch, and a single task.
const SPLITS: [&str; 3] = ["--split-size 300", "--split-size 20K --threads 2", "--threads 1"];

/// A job over records of which some panic.
struct Bugs {
    name: &'static str,
    /// The spec without its keys about bad records.
    spec: &'static str,
    header: &'static str,
    records: fn(usize) -> String,
    /// Text in the records that are bad in themselves.
    bad: &'static str,
}

fn line(i: usize) -> String {
    match is_bug(i) {
        true => format!("some boom words {i}\r\n"),
        false => format!("{} is {} the words\n", "abcdefghij".get(i % 8..i % 8 + 2).unwrap(), "xyz".repeat(i % 5)),
    }
}

fn row(i: usize) -> String {
    let n = if i % 71 == 5 { "many".to_owned() } else { i.to_string() };
    match is_bug(i) {
        true => format!("\"k{}\n\"\"boom,\",{n},rest\n", i % 3),
        false if i.is_multiple_of(5) => format!("\"k\n{}\",{n},rest\n", i % 7),
        false => format!("k{},{n},rest\n", i % 7),
    }
}

const RECORDS: usize = 2000;

/// The first and last records, adjacent records, and some far from others.
fn is_bug(i: usize) -> bool {
    [0, 1, 2, 300, 301, 555, 1400, RECORDS - 2, RECORDS - 1].contains(&i)
}

const TEXT: Bugs = Bugs { name: "", spec: "", header: "", records: line, bad: "boom" };
const TABLE: Bugs = Bugs { header: "key,n,rest\n", records: row, bad: "many", ..TEXT };

const BUGS: [Bugs; 7] = [
    Bugs {
        name: "words",
        spec: r#""map": [{"split": "line", "on": "whitespace", "as": "word"}], "group_by": ["word"]"#,
        ..TEXT
    },
    Bugs { name: "lines", spec: r#""group_by": ["line"], "aggregate": [{"op": "count"}]"#, ..TEXT },
    Bugs { name: "text in order", spec: r#""select": ["line"]"#, ..TEXT },
    Bugs { name: "text sorted", spec: r#""select": ["line"], "sort": ["-line"]"#, ..TEXT },
    Bugs {
        name: "grouped table",
        spec: r#""group_by": ["key"], "aggregate": [{"op": "sum", "field": "n"}, {"op": "count"}]"#,
        ..TABLE
    },
    Bugs { name: "table in order", spec: r#""select": ["key", "n"], "where": {"field": "n", "gte": 0}"#, ..TABLE },
    Bugs { name: "table sorted", spec: r#""select": ["n", "key"], "sort": ["-n"]"#, ..TABLE },
];

impl Bugs {
    fn text(&self, keeps: impl Fn(&str) -> bool) -> String {
        let records = (0..RECORDS).map(self.records).filter(|record| keeps(record));
        records.fold(self.header.to_owned(), |text, record| text + &record)
    }

    /// Writes the spec, the input, and the input without the records that panic.
    fn write(&self, dir: &Path, on_error: &str) {
        let types = if self.header.is_empty() { "" } else { r#""types": {"n": "int"}, "# };
        let spec = format!(r#"{{"read": {{{types}"on_error": {on_error}}}, {}}}"#, self.spec);
        fs::write(dir.join("job.json"), spec).unwrap();
        // The last record has no newline.
        let all = self.text(|_| true);
        fs::write(dir.join(self.input()), all.trim_end()).unwrap();
        fs::write(dir.join(format!("good-{}", self.input())), self.text(|record| !record.contains("boom"))).unwrap();
    }

    fn input(&self) -> &'static str {
        if self.header.is_empty() { "in.txt" } else { "in.csv" }
    }

    /// Line and offset at which record `number` begins.
    fn begins(&self, number: usize) -> (usize, usize) {
        let before = (0..number).map(self.records).fold(self.header.to_owned(), |text, record| text + &record);
        (before.matches('\n').count() + 1, before.len())
    }
}

fn report(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// All settings under which a job is run.
fn settings() -> impl Iterator<Item = String> {
    let each = SCHEDULERS.into_iter().flat_map(|scheduler| SPLITS.map(|split| (scheduler, split)));
    each.zip(["on", "off", "auto"].into_iter().cycle()).map(|((scheduler, split), combiner)| {
        format!("--scheduler {scheduler} {split} --combiner {combiner} --memory 16M --partitions 4 --report r.json")
    })
}

const SKIP: &str = r#"{"skip_up_to": 1, "save_to": "bad.out"}"#;

#[test]
fn they_are_skipped() {
    for bugs in BUGS {
        let dir = dir();
        let dir = dir.path();
        bugs.write(dir, SKIP);
        let input = bugs.input();
        let expected = run(dir, "", &format!("run job.json good-{input}"));
        assert!(expected.status.success() && expected.stdout.len() > 20, "{}: {}", bugs.name, stderr(&expected));
        let bad: Vec<_> = (0..RECORDS).filter(|&i| is_bug(i) || (bugs.records)(i).contains(bugs.bad)).collect();
        let of = |&i: &usize| format!("{}\n", (bugs.records)(i).trim_end());
        for settings in settings() {
            let label = format!("{}, {settings}", bugs.name);
            fs::remove_file(dir.join("bad.out")).unwrap_or_default();
            let output = run(dir, BUG, &format!("run job.json {input} {settings}"));
            assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{label}");
            assert!(output.stdout == expected.stdout, "{label}: other bytes");
            let saved = fs::read_to_string(dir.join("bad.out")).unwrap();
            assert!(saved == bad.iter().map(of).collect::<String>(), "{label}: {saved}");
            let report = report(dir);
            let counters = &report["counters"];
            assert_eq!((&counters["bad_records"], &counters["failed_attempts"]), (&bad.len().into(), &0.into()));
            assert_eq!(counters["map_input_records"], RECORDS, "{label}");
            let told = report["bad_records"].as_array().unwrap();
            assert_eq!(told.len(), bad.len().min(10), "{label}");
            for (told, &i) in told.iter().zip(&bad).filter(|&(_, &i)| is_bug(i)) {
                assert_eq!(told["record"], format!("{input}:{}", bugs.begins(i).0), "{label}");
                let why = told["why"].as_str().unwrap();
                assert!(why.starts_with("internal error: failpoint boom (src/failpoint.rs:"), "{label}: {why}");
            }
            assert_eq!(crate::jobs::names(&dir.join("spill")), [""; 0], "{label}");
        }
    }
}

/// The earliest record that panics ends the job, at the first attempt.
#[test]
fn the_first_ends_the_job() {
    for bugs in BUGS {
        let dir = dir();
        let dir = dir.path();
        bugs.write(dir, r#""fail""#);
        let input = bugs.input();
        let last = RECORDS - 1;
        for (i, fault) in [(0, BUG.to_owned()), (last, format!("record:{last}=panic"))] {
            // Other bad records come before the last one.
            let first =
                (0..=i).find(|&j| j == i || (bugs.records)(j).contains(bugs.bad) && bugs.bad == "many").unwrap();
            for settings in settings() {
                let label = format!("{}, {settings}, {fault}", bugs.name);
                let output = run(dir, &fault, &format!("run job.json {input} {settings}"));
                let (said, line) = (stderr(&output), bugs.begins(first).0);
                assert_eq!(output.status.code(), Some(1), "{label}");
                assert!(said.starts_with(&format!("error: {input}:{line}: ")), "{label}: {said}");
                assert_eq!(said.contains("internal error: failpoint "), first == i, "{label}: {said}");
                if first == i {
                    let hint = "hint: this is a bug in mapfold, please report it; \
                        --set read.on_error=skip skips bad records\n";
                    assert!(said.ends_with(hint) && said.lines().count() == 2, "{label}: {said}");
                }
                // Tasks that read later records may have failed before.
                let failed = report(dir)["counters"]["failed_attempts"].as_u64().unwrap();
                let least = u64::from(!bugs.name.ends_with("in order"));
                let most = if settings.contains("--threads 1") { least } else { u64::MAX };
                assert!((least..=most).contains(&failed), "{label}: {failed}");
            }
        }
    }
}

/// The lines before a record that ends the job are written.
#[test]
fn lines_before_it_are_written() {
    let dir = dir();
    let dir = dir.path();
    let text = TEXT.text(|record| !record.contains("boom"));
    fs::write(dir.join("in.txt"), format!("{text}boom\n{text}")).unwrap();
    fs::write(dir.join("job.json"), r#"{"select": ["line"]}"#).unwrap();
    for split in SPLITS {
        let output = run(dir, BUG, &format!("run job.json in.txt {split}"));
        assert_eq!((output.status.code(), output.stdout == text.as_bytes()), (Some(1), true), "{split}");
        // The limit is reached before the bad record.
        let lines = text.lines().count();
        let output = run(dir, BUG, &format!("run job.json in.txt {split} --limit {lines}"));
        assert_eq!((output.status.code(), output.stdout == text.as_bytes()), (Some(0), true), "{split}");
    }
}

/// A record of a stream can't be read again from the source. It is found in the block that is still in memory.
#[test]
fn in_streams() {
    for bugs in [&BUGS[0], &BUGS[2], &BUGS[4], &BUGS[6]] {
        let dir = dir();
        let dir = dir.path();
        let input = bugs.input();
        let format = if input == "in.csv" { "csv" } else { "text" };
        mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for (how, on_error) in [("skip", r#""skip""#), ("fail", r#""fail""#)] {
            bugs.write(dir, on_error);
            let set = format!("--set read.format={format} --memory 16M --report r.json");
            let expected = run(dir, "", &format!("run job.json good-{input} {set}"));
            for (name, source) in [("cat", format!("--from-command cat\u{a0}{input}")), ("fifo", "fifo".into())] {
                let label = format!("{}, {name}, {how}", bugs.name);
                let output = std::thread::scope(|scope| {
                    if name == "fifo" {
                        scope.spawn(|| fs::write(dir.join("fifo"), fs::read(dir.join(input)).unwrap()));
                    }
                    run(dir, BUG, &format!("run job.json {source} {set}"))
                });
                let said = stderr(&output);
                if how == "fail" {
                    assert_eq!(output.status.code(), Some(1), "{label}");
                    assert!(said.contains("internal error: failpoint boom"), "{label}: {said}");
                    // The line number is known only where a step may find a record bad.
                    let place = if input == "in.csv" { format!(":{}", bugs.begins(0).0) } else { ": byte 0".into() };
                    assert!(said.lines().next().unwrap().contains(&format!("{place}: internal")), "{label}: {said}");
                } else {
                    assert_eq!((output.status.code(), said), (Some(0), String::new()), "{label}");
                    assert!(output.stdout == expected.stdout, "{label}: other bytes");
                    let bad = (0..RECORDS).filter(|&i| is_bug(i) || (bugs.records)(i).contains(bugs.bad)).count();
                    assert_eq!(report(dir)["counters"]["bad_records"], bad, "{label}");
                }
            }
        }
    }
}

/// Half of a task's records are bad, and then all of them.
#[test]
fn many_in_one_task() {
    let dir = dir();
    let dir = dir.path();
    fs::write(dir.join("job.json"), r#"{"read": {"on_error": "skip"}, "group_by": ["line"]}"#).unwrap();
    for every in [2, 1] {
        let line = |i| if i % every == 0 { format!("boom {i}\n") } else { format!("line {}\n", i % 9) };
        fs::write(dir.join("in.txt"), (0..1000).map(line).collect::<String>()).unwrap();
        let good: String = (0..1000).map(line).filter(|line| !line.contains("boom")).collect();
        fs::write(dir.join("good.txt"), good).unwrap();
        let expected = run(dir, "", "run job.json good.txt");
        let output = run(dir, BUG, "run job.json in.txt --attempts 1 --report r.json");
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
        assert!(output.stdout == expected.stdout);
        assert_eq!(report(dir)["counters"]["bad_records"], 1000 / every);
    }
}

#[test]
fn no_more_may_be_skipped_than_others() {
    let dir = dir();
    let dir = dir.path();
    fs::write(dir.join("job.json"), r#"{"read": {"on_error": {"skip_up_to": 0.01}}, "group_by": ["line"]}"#).unwrap();
    fs::write(dir.join("in.txt"), "a\nboom\nb\n").unwrap();
    let output = run(dir, BUG, "run job.json in.txt");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: 1 of 3 records are bad"), "{}", stderr(&output));
}

/// A panic that doesn't happen again, or that needs several records, isn't attributed to a record.
#[test]
fn a_panic_of_no_single_record_fails_the_attempt() {
    let dir = dir();
    let dir = dir.path();
    for bugs in [&BUGS[1], &BUGS[2], &BUGS[3], &BUGS[4]] {
        bugs.write(dir, SKIP);
        let args = format!("run job.json {} --force --threads 1 --report r.json", bugs.input());
        let expected = run(dir, "", &args);
        let bad = report(dir)["counters"]["bad_records"].clone();
        let output = run(dir, "record:boom=once", &args);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{}", bugs.name);
        assert!(output.stdout == expected.stdout, "{}: other bytes", bugs.name);
        let counters = &report(dir)["counters"];
        assert_eq!((&counters["failed_attempts"], &counters["bad_records"]), (&1.into(), &bad), "{}", bugs.name);
        // The two records are in one batch.
        let both = if bugs.input() == "in.csv" { "record:300&303=panic" } else { "record:words 300&words 301=panic" };
        let output = run(dir, both, &args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{}: {said}", bugs.name);
        assert!(said.starts_with("error: internal error in map-00000: failpoint "), "{}: {said}", bugs.name);
        assert!(said.contains("(each of 4 attempts at map-00000"), "{}: {said}", bugs.name);
    }
}

/// Finding the record that panics maps no more records again than halving takes.
#[test]
fn one_is_found_by_halving() {
    let _alone = crate::alone();
    let mut case = Case::new(&JOBS[0], Goal::File);
    case.one_split();
    case.run("");
    let before = failpoint::hits(Point::SpillCreate);
    let text = crate::jobs::text(260);
    let word = text.lines().nth(100).unwrap().split(' ').next().unwrap();
    let outcome = case.run(&format!("record:{word}=panic"));
    assert!(outcome.error().contains("long.txt:101: internal error: failpoint"), "{}", outcome.error());
    let created = failpoint::hits(Point::SpillCreate) - before;
    // Each halving maps two parts, and each attempt counts once.
    assert!(created < 2 * 260_u64.ilog2() as u64 + 6, "{created}");
}
