//! Inputs that are read again: because they failed, or in a speculative attempt beside a slow one.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::commands::{long, wait_for};
use crate::harness::{Dir, Ran};

const SCHEDULERS: [&str; 3] = ["stealing", "static", "shared"];

/// A command that does one thing the first time and another from then on.
fn twice(dir: &Dir, name: &str, first: &str, then: &str) -> Value {
    let state = dir.join(&format!("{name}.runs"));
    let script = format!("echo >> {0}; if [ $(wc -l < {0}) = 1 ]; then {first}; else {then}; fi", state.display());
    json!({"command": ["sh", "-c", script], "name": name, "retry": true})
}

/// Returns how often the command was run, and resets the count.
fn runs(dir: &Dir, name: &str) -> usize {
    let path = dir.join(&format!("{name}.runs"));
    let runs = fs::read_to_string(&path).unwrap().lines().count();
    fs::remove_file(path).unwrap();
    runs
}

/// Runs a job that counts the lines of the inputs.
fn run(dir: &Dir, input: &Value, args: &str) -> Ran {
    let spec = json!({"group_by": ["line"], "aggregate": [{"op": "count"}], "input": input});
    fs::write(dir.join("job.json"), spec.to_string()).unwrap();
    dir.run(&format!("run job.json --trace t.json --report r.json {args}"))
}

fn read(dir: &Dir, name: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(name)).unwrap()).unwrap()
}

/// Returns the outcomes of attempts at a source, each with the seconds until then.
fn steps(dir: &Dir, source: &str) -> Vec<(String, f64)> {
    let trace = read(dir, "t.json");
    let events = trace["traceEvents"].as_array().unwrap();
    let is_its = |event: &&Value| event["name"] == "thread_name" && event["args"]["name"] == source;
    let thread = &events.iter().find(is_its).unwrap()["tid"];
    let marks = events.iter().filter(|event| event["tid"] == *thread && event["ph"] == "i");
    let named = marks.map(|event| (event["name"].as_str().unwrap().to_owned(), event["ts"].as_f64().unwrap() / 1e6));
    named.filter(|(name, _)| name.starts_with("attempt ")).collect()
}

fn names(dir: &Dir, source: &str) -> Vec<String> {
    steps(dir, source).into_iter().map(|(name, _)| name).collect()
}

/// Returns the counters of failed and of speculative attempts.
fn counted(dir: &Dir) -> (u64, u64) {
    let counters = &read(dir, "r.json")["counters"];
    (counters["failed_attempts"].as_u64().unwrap(), counters["speculative_attempts"].as_u64().unwrap())
}

/// Returns the source attempts of the report: source, number and outcome. Checks that no attempt ends before it begins.
fn reported(dir: &Dir) -> Vec<(String, u64, String)> {
    let report = read(dir, "r.json");
    let attempts = report["source_attempts"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = |attempt: &Value| {
        assert!(attempt["start_s"].as_f64().unwrap() <= attempt["end_s"].as_f64().unwrap(), "{attempt}");
        assert_eq!(attempt.get("error").is_some(), attempt["outcome"] == "failed", "{attempt}");
        (text(&attempt["source"]), attempt["attempt"].as_u64().unwrap(), text(&attempt["outcome"]))
    };
    attempts.iter().map(told).collect()
}

fn of_web1(outcomes: &[&str]) -> Vec<(String, u64, String)> {
    (0..).zip(outcomes).map(|(number, outcome)| ("web1".into(), number, (*outcome).into())).collect()
}

#[track_caller]
fn failed(ran: &Ran, message: &str) {
    assert_eq!((ran.code(), ran.stdout()), (Some(1), String::new()));
    assert_eq!(ran.stderr(), format!("error: {message}\n"));
}

fn numbers() -> String {
    let mut lines: Vec<_> = (1..=30_000).map(|i| format!("{i}\t1\n")).collect();
    lines.sort();
    lines.concat()
}

/// The command fails half-way, in the middle of a line.
#[test]
fn a_command_that_fails_is_run_again() {
    let dir = Dir::new();
    let first = "seq 30000 | head -c 70001; echo lost >&2; exit 7";
    for scheduler in SCHEDULERS {
        for args in ["", "--memory 18M --threads 3"] {
            let input = twice(&dir, "web1", first, "seq 30000");
            run(&dir, &json!([input]), &format!("--scheduler {scheduler} {args}")).printed(&numbers());
            assert_eq!(runs(&dir, "web1"), 2);
            assert_eq!(
                (names(&dir, "web1"), counted(&dir)),
                (vec!["attempt 0 failed".into(), "attempt 1 won".into()], (1, 0))
            );
            assert_eq!(reported(&dir), of_web1(&["failed", "won"]));
        }
    }
    // The command is run again only if the spec asks for that and attempts are allowed.
    let input = twice(&dir, "web1", first, "seq 30000");
    let mut once = input.clone();
    once.as_object_mut().unwrap().remove("retry");
    failed(&run(&dir, &once, ""), "web1: exit status 7: lost");
    assert_eq!((runs(&dir, "web1"), counted(&dir)), (1, (1, 0)));
    failed(&run(&dir, &input, "--attempts 1"), "web1: exit status 7: lost");
    assert_eq!(runs(&dir, "web1"), 1);
    // The command is killed before it prints anything, or fails after it has printed everything.
    for first in ["kill -9 $$", "seq 30000; exit 1"] {
        run(&dir, &twice(&dir, "web1", first, "seq 30000"), "").printed(&numbers());
        assert_eq!(runs(&dir, "web1"), 2);
    }
}

/// The second reading of compressed data is compared with the compressed bytes. A table's first record is read before
/// the job runs.
#[test]
fn packed_data_and_tables() {
    let dir = Dir::new();
    let pack =
        std::process::Command::new("sh").args(["-c", "seq 30000 | gzip -n > f.gz"]).current_dir(dir.path()).status();
    assert!(pack.unwrap().success());
    let input = twice(&dir, "web1", "head -c 30000 f.gz; exit 1", "cat f.gz");
    run(&dir, &input, "").printed(&numbers());
    assert_eq!(runs(&dir, "web1"), 2);
    for first in ["exit 1", "printf 'k,'; exit 1", "printf 'k,v\\na,1\\n'; exit 1"] {
        let input = twice(&dir, "web1", first, "printf 'k,v\\na,1\\nb,2\\n'");
        let spec = json!({"read": {"format": "csv"}, "aggregate": [{"op": "sum", "field": "v"}], "input": input});
        fs::write(dir.join("table.json"), spec.to_string()).unwrap();
        dir.run("run table.json").printed("3\n");
        assert_eq!(runs(&dir, "web1"), 2, "{first}");
    }
}

#[test]
fn a_command_that_prints_something_else_the_second_time() {
    let dir = Dir::new();
    let first = "seq 30000 | head -c 100000; exit 7";
    for then in ["seq 30000 | sed s/^9999$/9998/", "seq 5", "true"] {
        let ran = run(&dir, &twice(&dir, "web1", first, then), "");
        let hint = r#"hint: "retry" is for commands that print the same bytes each time"#;
        failed(&ran, &format!("web1: gave different bytes when it was run again\n{hint}"));
        assert_eq!(runs(&dir, "web1"), 2);
    }
}

#[test]
fn a_command_that_fails_each_time() {
    let dir = Dir::new();
    let each = |script: &str| twice(&dir, "web1", script, script);
    failed(&run(&dir, &each("echo a; exit 3"), ""), "web1: exit status 3 (each of 4 attempts at reading web1)");
    assert_eq!((runs(&dir, "web1"), counted(&dir), reported(&dir)), (4, (4, 0), of_web1(&["failed"; 4])));
    let message = "each of 2 attempts at reading web1 failed: web1: exit status 3: so; then: web1: killed by signal 9";
    failed(&run(&dir, &twice(&dir, "web1", "echo so >&2; exit 3", "kill -9 $$"), "--attempts 2"), message);
    assert_eq!(runs(&dir, "web1"), 2);
    // All attempts together have one timeout.
    let mut late = twice(&dir, "web1", "echo a; exec sleep 1000", "true");
    late["timeout"] = "2s".into();
    failed(&run(&dir, &late, ""), "web1: timed out after 2s, 2 B read");
    assert_eq!(runs(&dir, "web1"), 1);
    let mut late = each("echo a; sleep 2; exit 1");
    late["timeout"] = "3s".into();
    failed(&run(&dir, &late, ""), "web1: timed out after 3s, 2 B read");
    assert!(runs(&dir, "web1") <= 2);
}

fn fast(count: usize) -> Vec<Value> {
    vec![json!({"command": ["echo", "x"]}); count]
}

/// The other sources are complete, so a second attempt starts. It wins, and the first command is ended.
#[test]
fn a_second_reading_wins() {
    let dir = Dir::new();
    for (i, scheduler) in SCHEDULERS.into_iter().enumerate() {
        for (j, before) in ["", "seq 30000 | head -c 70001;"].into_iter().enumerate() {
            let sleep = long(40 + 10 * i as u32 + j as u32);
            // The child of the first command is ended too, although the command ignores SIGTERM.
            let first = format!("trap '' TERM; {before} sleep {sleep} & sleep {sleep}");
            let begun = Instant::now();
            let input = [fast(2), vec![twice(&dir, "web1", &first, "seq 30000")]].concat();
            let ran = run(&dir, &json!(input), &format!("--scheduler {scheduler}"));
            ran.printed(&format!("{}x\t2\n", numbers()));
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
            wait_for(0, &sleep);
            assert_eq!(runs(&dir, "web1"), 2);
            assert_eq!(counted(&dir), (0, 1));
            assert_eq!(names(&dir, "web1"), ["attempt 1 speculated", "attempt 1 won", "attempt 0 lost"]);
            assert_eq!(reported(&dir), of_web1(&["lost", "won"]));
        }
    }
}

#[test]
fn a_first_reading_wins() {
    let dir = Dir::new();
    let sleep = long(80);
    // The first command ends a while after the second has begun.
    let state = dir.join("web1.runs");
    let is_alone = format!("[ $(wc -l < {}) = 1 ]", state.display());
    let first = format!("echo a; while {is_alone}; do sleep 0.05; done; sleep 2; echo b");
    let first = first.as_str();
    for then in [format!("exec sleep {sleep}"), format!("echo a; exec sleep {sleep}")] {
        let input = [fast(2), vec![twice(&dir, "web1", first, &then)]].concat();
        run(&dir, &json!(input), "").printed("a\t1\nb\t1\nx\t2\n");
        wait_for(0, &sleep);
        assert_eq!((runs(&dir, "web1"), counted(&dir)), (2, (0, 1)));
        assert_eq!(names(&dir, "web1"), ["attempt 1 speculated", "attempt 0 won", "attempt 1 lost"]);
    }
    // If the second attempt fails, the first one goes on.
    let input = [fast(2), vec![twice(&dir, "web1", first, "exit 5")]].concat();
    run(&dir, &json!(input), "").printed("a\t1\nb\t1\nx\t2\n");
    assert_eq!(names(&dir, "web1"), ["attempt 1 speculated", "attempt 1 failed", "attempt 0 won"]);
    assert_eq!(runs(&dir, "web1"), 2);
    // Both attempts must give the same bytes.
    let input = [fast(2), vec![twice(&dir, "web1", first, &format!("echo other; exec sleep {sleep}"))]].concat();
    let ran = run(&dir, &json!(input), "");
    assert!(ran.stderr().starts_with("error: web1: gave different bytes when it was run again\n"), "{}", ran.stderr());
    wait_for(0, &sleep);
}

/// A source that may not be read again has one attempt. So has a source when nothing says what slow is.
#[test]
fn no_second_reading() {
    let dir = Dir::new();
    let slow = |retry: bool| json!({"command": ["sh", "-c", "sleep 1; echo y"], "name": "web1", "retry": retry});
    run(&dir, &json!([fast(2), vec![slow(false)]].concat()), "").printed("x\t2\ny\t1\n");
    assert_eq!(counted(&dir), (0, 0));
    run(&dir, &json!([fast(2), vec![slow(true)]].concat()), "--attempts 1").printed("x\t2\ny\t1\n");
    assert_eq!(counted(&dir), (0, 0));
    run(&dir, &json!([slow(true)]), "").printed("y\t1\n");
    assert_eq!(counted(&dir), (0, 0));
}

/// A history of six runs. Each source has the seconds until its last and its first byte.
fn history(sources: &[(&str, &str, f64, f64)]) -> String {
    let of_run = |run: usize| {
        let line = |&(source, how, seconds, first_byte): &(&str, &str, f64, f64)| {
            let line = json!({"run": run.to_string(), "when": 1, "source": source, "how": how, "outcome": "ok", "bytes": 1000,
                "seconds": seconds, "reading_seconds": seconds, "first_byte_seconds": first_byte});
            format!("{line}\n")
        };
        sources.iter().map(line).collect::<String>()
    };
    (0..6).map(of_run).collect()
}

/// The source has no others beside it, so only its history says when it is slow. This also holds before the job, where
/// a table's first record is read.
#[test]
fn what_a_history_says_is_when_a_source_is_slow() {
    let dir = Dir::new();
    let sleep = long(90);
    let others = [("a", "read", 1.0, 0.1), ("b", "read", 1.0, 0.1)];
    for (name, seconds, first_byte) in [("known", 1.0, 0.6), ("slow", 9.0, 0.6)] {
        fs::write(dir.join("h"), history(&[&others[..], &[(name, "read", seconds, first_byte)]].concat())).unwrap();
        let input = twice(&dir, name, &format!("exec sleep {sleep}"), "echo y");
        run(&dir, &json!([input]), "--history h").printed("y\t1\n");
        assert_eq!(runs(&dir, name), 2);
        let steps = steps(&dir, name);
        assert_eq!(steps[0].0, "attempt 1 speculated");
        assert!((0.6..20.0).contains(&steps[0].1), "{steps:?}");
        let input = twice(&dir, name, &format!("exec sleep {sleep}"), "printf 'k\\n7\\n'");
        let spec = json!({"read": {"format": "csv"}, "aggregate": [{"op": "sum", "field": "k"}], "input": input});
        fs::write(dir.join("table.json"), spec.to_string()).unwrap();
        dir.run("run table.json --history h").printed("7\n");
        assert_eq!(runs(&dir, name), 2);
        wait_for(0, &sleep);
    }
}

/// A source that is known to be slow gets a second attempt after the median of its times. Another source gets one after
/// the 95th percentile.
#[test]
fn a_slow_source_is_hedged_earlier() {
    let dir = Dir::new();
    let sleep = long(91);
    let begun = |seconds: f64| {
        let mut lines = history(&[("a", "read", 1.0, 0.1), ("b", "read", 1.0, 0.1), ("web1", "read", seconds, 0.3)]);
        // The longest of seven times is the 95th percentile.
        lines.push_str(&history(&[("web1", "read", 9.0, 6.0)]).lines().next().map(|line| format!("{line}\n")).unwrap());
        fs::write(dir.join("h"), lines).unwrap();
        let input = twice(&dir, "web1", &format!("exec sleep {sleep}"), "echo y");
        run(&dir, &json!([input]), "--history h").printed("y\t1\n");
        assert_eq!(runs(&dir, "web1"), 2);
        steps(&dir, "web1")[0].1
    };
    assert!(begun(1.0) >= 6.0);
    let early = begun(9.0);
    assert!((0.3..6.0).contains(&early), "{early}");
    wait_for(0, &sleep);
}

/// The tasks of a source that is known to be slow come first, also if the source is a mapped file. The output doesn't
/// change.
#[test]
fn slow_files_are_read_first() {
    let dir = Dir::new();
    let text = |c: &str| format!("{c}{c}{c}\n").repeat(1000);
    let dir = dir.file("a.txt", text("a")).file("b.txt", text("b")).file("c.txt", text("c"));
    let path = |name: &str| fs::canonicalize(dir.path()).unwrap().join(name).to_str().unwrap().to_owned();
    let (a, b, c) = (path("a.txt"), path("b.txt"), path("c.txt"));
    let known = history(&[(&a, "mapped", 1.0, 0.1), (&b, "mapped", 1.0, 0.1), (&c, "mapped", 9.0, 0.1)]);
    fs::write(dir.join("slow"), known).unwrap();
    for scheduler in SCHEDULERS {
        let first = |history: &str| {
            let args = format!("--threads 1 --split-size 1000 --scheduler {scheduler} --history {history}");
            run(&dir, &json!(["a.txt", "b.txt", "c.txt"]), &args).printed("aaa\t1000\nbbb\t1000\nccc\t1000\n");
            let report = read(&dir, "r.json");
            let maps = report["tasks"].as_array().unwrap().iter().filter(|task| task.get("input").is_some());
            let mut maps: Vec<_> =
                maps.map(|task| (task["start_s"].as_f64().unwrap(), task["input"].clone())).collect();
            maps.sort_by(|a, b| a.0.total_cmp(&b.0));
            maps.into_iter().take(4).map(|(_, input)| input).collect::<Vec<_>>()
        };
        assert_eq!((first("none"), first("slow")), (vec!["a.txt".into(); 4], vec![json!("c.txt"); 4]), "{scheduler}");
        fs::remove_file(dir.join("none")).unwrap();
        fs::write(
            dir.join("slow"),
            history(&[(&a, "mapped", 1.0, 0.1), (&b, "mapped", 1.0, 0.1), (&c, "mapped", 9.0, 0.1)]),
        )
        .unwrap();
    }
}
