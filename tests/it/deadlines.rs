//! Deadlines: the answer is out in time, and a partial answer is exact for what it covers.

use std::fs;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::{Value, json};

use crate::harness::{Dir, Ran};

/// A job that takes longer than this wasn't ended by its deadline.
const IN_TIME: Duration = Duration::from_secs(10);

fn report(dir: &Dir) -> Value {
    serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap()
}

/// Lines of a few words. Each seed gives other lines.
fn lines(count: usize, seed: usize) -> String {
    (0..count).map(|i| format!("{} word{} {}\n", i % 7, (i * i + seed) % 1000, "x".repeat((i * seed) % 50))).collect()
}

/// Cuts the byte ranges that the report calls missing out of the files.
fn cut_out_missing(dir: &Dir, report: &Value) {
    let missing = report["missing"].as_array().unwrap();
    // The last gap comes first, so that the offsets of the others stay right.
    for gap in missing.iter().rev() {
        let path = dir.join(gap["source"].as_str().unwrap());
        let mut bytes = fs::read(&path).unwrap();
        let from = gap["from"].as_u64().unwrap() as usize;
        let to = gap["to"].as_u64().map_or(bytes.len(), |to| to as usize);
        assert!(from == 0 || bytes[from - 1] == b'\n', "records are whole");
        bytes.drain(from..to);
        fs::write(path, bytes).unwrap();
    }
}

/// A run over only the covered bytes gives the same result. A silent pipe makes each run partial.
#[test]
fn a_partial_answer_is_exact_for_what_it_covers() {
    for (job, ending) in [
        (
            r#"{"map": [{"split": "line", "on": "whitespace", "as": "w"}], "group_by": ["w"], "aggregate": [{"op": "count"}]}"#,
            "txt",
        ),
        (r#"{"group_by": ["line"], "aggregate": [{"op": "count"}], "sort": ["-count"], "limit": 50}"#, "txt"),
        (
            r#"{"map": [{"split": "line", "on": "words", "as": "w"}], "group_by": ["w"], "aggregate": [{"op": "count"}],
            "sort": ["-count"], "limit": 3}"#,
            "txt",
        ),
        (r#"{"select": ["line"]}"#, "txt"),
        (r#"{"select": ["line"], "sort": ["line"]}"#, "txt"),
        (r#"{"read": {"format": "csv", "fields": ["a"], "delimiter": " "}, "select": ["a"]}"#, "csv"),
    ] {
        for scheduler in ["stealing", "static", "shared"] {
            let mut dir = Dir::new().file("job.json", job);
            // The rows of a table of one column have no delimiter.
            let text = |seed| if ending == "csv" { lines(40_000, seed).replace(' ', "-") } else { lines(40_000, seed) };
            let names: Vec<_> = (1..6).map(|seed| format!("{seed}.{ending}")).collect();
            for (i, name) in names.iter().enumerate() {
                dir = dir.file(name, text(i + 1));
            }
            let silent = format!("silent.{ending}");
            mknodat(CWD, dir.join(&silent), FileType::Fifo, 0o600.into(), 0).unwrap();
            let inputs = names.join(" ");
            let args = format!("run ./job.json {inputs} --split-size 200K --scheduler {scheduler}");
            let begun = Instant::now();
            let partial = "--timeout 150ms --on-timeout partial --report r.json";
            let ran = dir.run(&format!("{args} {partial} {silent}"));
            // Builds for tests are slow, and this machine may be busy.
            assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
            fs::remove_file(dir.join(&silent)).unwrap();
            let mut report = report(&dir);
            assert_eq!((ran.code(), &report["status"]), (Some(3), &json!("partial")), "{}", ran.stderr());
            assert!(ran.stderr().starts_with("partial result: "), "{}", ran.stderr());
            let last = report["missing"].as_array_mut().unwrap().pop().unwrap();
            let cause = "not read within 150ms";
            assert_eq!(last, json!({"source": silent, "from": 0, "to": null, "cause": cause}));
            let gaps = report["missing"].as_array().unwrap();
            assert!(gaps.iter().all(|gap| gap["cause"] == cause && gap["to"].is_u64()), "{report}");
            let of_all = dir.run(&args).stdout();
            let ranks = &report["certain_ranks"];
            assert_eq!(ranks.is_object(), job.contains(r#""limit""#), "{report}");
            if ranks.is_object() {
                for range in ranks["ranges"].as_array().unwrap() {
                    let [first, last] = [0, 1].map(|end| range[end].as_u64().unwrap() as usize);
                    let keys = |rows: &str| -> Vec<String> {
                        let key = |row: &str| row.rsplit_once('\t').unwrap().0.to_owned();
                        rows.lines().map(key).skip(first - 1).take(last - first + 1).collect()
                    };
                    assert_eq!(keys(&ran.stdout()), keys(&of_all), "{report}");
                }
            }
            cut_out_missing(&dir, &report);
            let whole = dir.run(&args);
            assert_eq!(whole.code(), Some(0), "{}", whole.stderr());
            assert!(whole.stdout() == ran.stdout(), "{job} {scheduler}: {report}");
            let size: u64 = names.iter().map(|name| fs::metadata(dir.join(name)).unwrap().len()).sum();
            assert_eq!(report["coverage"]["bytes"], size);
        }
    }
}

/// Sources that send nothing, or only a part, hold up no source behind them. The rows that are there keep the order of
/// the input.
#[test]
fn who_is_silent_starves_nobody() {
    let dir = Dir::new().file("a.txt", lines(3000, 1)).file("b.txt", lines(3000, 2)).file("c.txt", "1 c\n2 c\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let slow = json!({"command": ["sh", "-c", "cat c.txt; printf half; exec sleep 100"], "name": "web"});
    for (rest, scheduler) in [
        (json!({"select": ["line"]}), "stealing"),
        (json!({"select": ["line"]}), "static"),
        (json!({"select": ["line"], "sort": ["line"]}), "shared"),
        (json!({"select": ["line"], "sort": ["-line"], "limit": 100}), "stealing"),
        (
            json!({"map": [{"extract": "line", "pattern": "^.", "as": "x"}], "select": ["x", "line"], "sort": ["x"]}),
            "stealing",
        ),
    ] {
        let run = |inputs: Value, args: &str| {
            let mut job = rest.clone();
            job["input"] = inputs;
            fs::write(dir.join("job.json"), job.to_string()).unwrap();
            dir.run(&format!("run ./job.json --scheduler {scheduler} --split-size 10K {args}"))
        };
        let partial = "--timeout 2s --on-timeout partial --report r.json";
        let ran = run(json!(["fifo", "a.txt", slow, "b.txt"]), partial);
        assert_eq!(ran.code(), Some(3), "{}", ran.stderr());
        let missing = report(&dir)["missing"].clone();
        assert_eq!(missing[0]["source"], "fifo");
        assert_eq!((&missing[1]["source"], &missing[1]["from"]), (&json!("web"), &json!(8)), "{missing}");
        assert!(missing[2].is_null(), "{missing}");
        assert!(ran.stdout() == run(json!(["a.txt", "c.txt", "b.txt"]), "").stdout(), "{rest}");
    }
}

/// What a limit leaves unread isn't missing. Before the limit is reached, a source that is late is missing except for
/// what came in time.
#[test]
fn a_limit_is_no_partial_result() {
    let dir =
        Dir::new().file("a.txt", lines(40_000, 1)).file("b.txt", "b\nc\n").file("job.json", r#"{"select": ["line"]}"#);
    let partial = "--on-timeout partial -n 2 --report r.json --split-size 100K";
    for scheduler in ["stealing", "static", "shared"] {
        let ran =
            dir.run(&format!("run ./job.json a.txt --timeout 10m {partial} --scheduler {scheduler} -o out/ --force"));
        assert_eq!((ran.code(), &*ran.stderr()), (Some(0), ""));
        let report = report(&dir);
        assert_eq!((&report["status"], &report["missing"]), (&json!("succeeded"), &json!([])));
        assert!(dir.join("out/_SUCCESS").exists());
    }
    let job = json!({"select": ["line"], "deadline": {"on_timeout": "partial"}, "input": [
        {"command": ["sh", "-c", "echo a; exec sleep 100"], "timeout": "2s", "name": "web"}, "b.txt"]});
    fs::write(dir.join("job.json"), job.to_string()).unwrap();
    let ran = dir.run("run ./job.json -n 2 --report r.json");
    assert_eq!((ran.code(), &*ran.stdout()), (Some(3), "a\nb\n"), "{}", ran.stderr());
    let ran = dir.run("run ./job.json -n 1 --report r.json");
    assert_eq!((ran.code(), &*ran.stdout()), (Some(0), "a\n"), "{}", ran.stderr());
}

#[test]
fn a_job_that_is_not_done_in_time_fails() {
    let dir = Dir::new().file("a.txt", "a\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let begun = Instant::now();
    let ran = dir.run("run uniq a.txt fifo --timeout 300ms -o out");
    let took = begun.elapsed();
    assert!((Duration::from_millis(300)..IN_TIME).contains(&took), "{took:?}");
    let hint = "hint: with --on-timeout partial the job answers from what it has read by then\n";
    assert_eq!((ran.code(), ran.stderr()), (Some(1), format!("error: the job was not done after 300ms\n{hint}")));
    assert_eq!(dir.names(), ["a.txt", "fifo"]);
}

fn sources(dir: &Dir, inputs: &Value, deadline: &Value) -> Ran {
    let job = json!({"group_by": ["line"], "aggregate": [{"op": "count"}], "input": inputs, "deadline": deadline});
    fs::write(dir.join("job.json"), job.to_string()).unwrap();
    dir.run("run ./job.json --report r.json")
}

#[test]
fn what_a_slow_source_brought_in_time_counts() {
    let dir = Dir::new().file("a.txt", "a\nb\n");
    let slow = |timeout: Option<&str>| {
        let mut slow = json!({"command": ["sh", "-c", "echo a; echo c; printf half; exec sleep 100"], "name": "web1"});
        if let Some(timeout) = timeout {
            slow["timeout"] = timeout.into();
        }
        slow
    };
    for (timeout, deadline, cause) in [
        (Some("2s"), json!({"on_timeout": "partial"}), "timed out after 2s"),
        (None, json!({"timeout": "2s", "on_timeout": "partial"}), "not read within 2s"),
    ] {
        let begun = Instant::now();
        let ran = sources(&dir, &json!(["a.txt", slow(timeout)]), &deadline);
        assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
        assert_eq!((ran.code(), &*ran.stdout()), (Some(3), "a\t2\nb\t1\nc\t1\n"), "{}", ran.stderr());
        let said = format!("partial result: 1 of 2 sources whole, 8 B read; missing: web1 from byte 4 ({cause})\n");
        assert_eq!(ran.stderr(), said);
        let report = report(&dir);
        assert_eq!(report["status"], "partial");
        assert_eq!(report["missing"], json!([{"source": "web1", "from": 4, "to": null, "cause": cause}]));
        assert_eq!(report["coverage"], json!({"bytes": 8, "of_bytes": null, "sources": 1, "of_sources": 2}));
    }
    let whole = sources(
        &dir,
        &json!(["a.txt", {"command": ["echo", "c"]}]),
        &json!({"timeout": "1m", "on_timeout": "partial"}),
    );
    assert_eq!((whole.code(), &*whole.stdout(), &*whole.stderr()), (Some(0), "a\t1\nb\t1\nc\t1\n", ""));
    let report = report(&dir);
    assert_eq!((&report["status"], &report["missing"]), (&json!("succeeded"), &json!([])));
}

#[test]
fn which_ranks_are_certain_is_said() {
    let dir = Dir::new().file("a.txt", "a\na\nb\n");
    let silent = json!({"command": ["sleep", "100"], "name": "web1", "timeout": "100ms"});
    let group = json!({"group_by": ["line"], "aggregate": [{"op": "count"}]});
    for (rows, sort, why) in [
        (&group, "-count", "how many bytes are missing isn't known"),
        (&group, "count", "ranks are known only for rows sorted by a count, greatest first"),
        (&json!({"select": ["line"]}), "line", "records may be missing at any rank"),
    ] {
        let mut job = rows.clone();
        job["input"] = json!(["a.txt", silent]);
        job["deadline"] = json!({"on_timeout": "partial"});
        job["sort"] = json!([sort]);
        fs::write(dir.join("job.json"), job.to_string()).unwrap();
        let ran = dir.run("run ./job.json --report r.json");
        assert!(!ran.stderr().contains("certain") && report(&dir)["certain_ranks"].is_null(), "{}", ran.stderr());
        let ran = dir.run("run ./job.json --limit 2 --report r.json");
        assert_eq!(report(&dir)["certain_ranks"], json!({"ranges": [], "unknown": why}));
        let end = format!("web1 (timed out after 100ms); certain ranks: none ({why})\n");
        assert!(ran.stderr().ends_with(&end), "{}", ran.stderr());
    }
}

#[test]
fn a_partial_result_in_a_directory_is_no_success() {
    let dir = Dir::new().file("a.txt", "a\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let ran = dir.run("run uniq a.txt fifo --timeout 2s --on-timeout partial -o out/");
    assert_eq!(ran.code(), Some(3), "{}", ran.stderr());
    assert_eq!(Dir::names_in(&dir.join("out")), ["_REPORT.json", "part-00000"]);
    assert_eq!(fs::read_to_string(dir.join("out/part-00000")).unwrap(), "a\t1\n");
    let report: Value = serde_json::from_slice(&fs::read(dir.join("out/_REPORT.json")).unwrap()).unwrap();
    assert_eq!(report["status"], "partial");
}

/// The plan needs the first record of each source of a table.
#[test]
fn a_table_whose_first_record_does_not_come() {
    let dir = Dir::new().file("a.csv", "k\nx\ny\nx\n");
    let run = |rest: &str| {
        let begun = Instant::now();
        let args = ["agg", "-g", "k", "count", "--read", "csv", "a.csv", "--from-command", "sleep 100"];
        let ran = dir.command(args.into_iter().chain(rest.split_whitespace())).run();
        (ran, begun.elapsed())
    };
    let (ran, took) = run("--timeout 2s --on-timeout partial");
    assert!((Duration::from_secs(1)..IN_TIME).contains(&took), "{took:?}");
    let said =
        "partial result: 1 of 2 sources whole, 8 B read; missing: sleep 100 (its first record didn't come in time)\n";
    assert_eq!((ran.code(), &*ran.stdout(), &*ran.stderr()), (Some(3), "x\t2\ny\t1\n", said));
    let (ran, took) = run("--timeout 400ms");
    assert!((Duration::from_millis(400)..IN_TIME).contains(&took), "{took:?}");
    assert_eq!((ran.code(), ran.stdout()), (Some(1), String::new()));
    assert!(ran.stderr().starts_with("error: the job was not done after 400ms\n"), "{}", ran.stderr());
}
