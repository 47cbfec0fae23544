//! `--history` and `mapfold history`: how inputs were read, from run to run.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use rustix::fs::{CWD, FileType, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Dir, Ran};

/// Runs `mapfold` with the words of `args`, and with these commands as inputs.
fn run(dir: &Dir, args: &str, commands: &[&str]) -> Ran {
    let flags = commands.iter().flat_map(|command| ["--from-command", command]);
    dir.command(args.split_whitespace().chain(flags)).run()
}

fn lines(dir: &Dir, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(dir.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last part of an input's name.
fn source(line: &Value) -> &str {
    line["source"].as_str().unwrap().rsplit('/').next().unwrap()
}

fn told(lines: &[Value]) -> Vec<(&str, &str, &str, u64)> {
    lines
        .iter()
        .map(|line| {
            let (how, outcome) = (line["how"].as_str().unwrap(), line["outcome"].as_str().unwrap());
            (source(line), how, outcome, line["bytes"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn a_line_for_each_input() {
    let dir = Dir::new().file("a.txt", "x\n".repeat(1000)).file("d/b.txt", "b\n").file("d/empty", "");
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let args = "run uniq a.txt d/b.txt d/empty --split-size 300 --history h.jsonl -o out --force";
    let commands = ["sh -c 'echo y; sleep 0.2; echo y'"];
    run(&dir, args, &commands).printed("");
    run(&dir, args, &commands).printed("");
    let all = lines(&dir, "h.jsonl");
    let expected = [
        ("a.txt", "mapped", "ok", 2000),
        ("b.txt", "mapped", "ok", 2),
        ("sh -c 'echo y; sleep 0.2; echo y'", "read", "ok", 4),
    ];
    assert_eq!(told(&all[..3]), expected);
    assert_eq!(told(&all[3..]), expected);
    assert!(all[..3].iter().all(|line| line["run"] == all[0]["run"]) && all[0]["run"] != all[3]["run"]);
    // A file has the same name in a history, wherever it is named from.
    assert_eq!(
        all[1]["source"].as_str().unwrap(),
        fs::canonicalize(dir.path()).unwrap().join("d/b.txt").to_str().unwrap()
    );
    for line in &all {
        let seconds = |key: &str| line[key].as_f64().unwrap();
        assert!(seconds("seconds") > 0.0 && seconds("reading_seconds") > 0.0, "{line}");
        assert!((before..before + 600).contains(&line["when"].as_u64().unwrap()), "{line}");
        if line["how"] == "read" {
            assert!(seconds("seconds") >= seconds("reading_seconds") && seconds("reading_seconds") >= 0.2, "{line}");
            assert!(seconds("first_byte_seconds") < 0.2, "{line}");
        }
    }
    assert_eq!(dir.names(), ["a.txt", "d", "h.jsonl", "out"]);
}

/// A history counts all bytes of a file, although splits begin at records and a header isn't a record.
#[test]
fn files_are_read_to_their_ends() {
    let rows = (0..500).map(|i| format!("{},\"a\nb{i}\"\n", i % 7)).collect::<String>();
    let text = format!("\u{feff}k,v\r\n{rows}");
    let dir = Dir::new().file("a.csv", &text).file("b.csv", &text).file("c.csv", "k,v\n");
    for (args, quoted) in [("agg -g k count", true), ("run uniq", false)] {
        for split in ["7", "100", "1M"] {
            let args = format!("{args} a.csv b.csv c.csv --split-size {split} --history h{split} -o out --force");
            run(&dir, &args, &[]).printed("");
            let len = text.len() as u64;
            let expected =
                [("a.csv", "mapped", "ok", len), ("b.csv", "mapped", "ok", len), ("c.csv", "mapped", "ok", 4)];
            let all = lines(&dir, &format!("h{split}"));
            let last = &all[all.len() - 3..];
            assert_eq!(told(last), expected, "{quoted} {split}");
        }
    }
}

#[test]
fn runs_that_fail_or_stop() {
    let dir = Dir::new().file("a.txt", "x\n").file("job.json", "{}");
    let command =
        |script: &str, timeout: &str| json!({"command": ["sh", "-c", script], "name": "odd", "timeout": timeout});
    let run = |input: Value, more: &str| {
        fs::write(
            dir.join("uniq.json"),
            json!({"group_by": ["line"], "aggregate": [{"op": "count"}], "input": input}).to_string(),
        )
        .unwrap();
        let ran = dir.run(&format!("run uniq.json --history h.jsonl {more}"));
        let all = lines(&dir, "h.jsonl");
        fs::remove_file(dir.join("h.jsonl")).unwrap();
        (ran.code(), all)
    };
    let (code, all) = run(json!(["a.txt", command("echo y; exec sleep 1000", "300ms")]), "");
    assert_eq!((code, told(&all)), (Some(1), vec![("a.txt", "mapped", "ok", 2), ("odd", "read", "timed_out", 2)]));
    assert!(all[1]["reading_seconds"].as_f64().unwrap() >= 0.3);
    let (code, all) = run(json!(command("sleep 0.1; exit 3", "9s")), "");
    assert_eq!((code, told(&all)), (Some(1), vec![("odd", "read", "failed", 0)]));
    assert_eq!(all[0]["first_byte_seconds"], Value::Null);
    // The result can't be written, but the inputs didn't fail.
    let (code, all) = run(json!(["a.txt", command("echo y", "9s")]), "-o /dev/full");
    assert_eq!((code, told(&all)), (Some(1), vec![("a.txt", "mapped", "ok", 2), ("odd", "read", "ok", 2)]));
    // The job stops an input when it has enough rows.
    let ran = crate::histories::run(&dir, "run job.json -n 1 --history h.jsonl", &["sh -c 'yes & exec sleep 1000'"]);
    ran.printed("y\n");
    assert_eq!(lines(&dir, "h.jsonl")[0]["outcome"], "stopped");
}

/// A file that is changed during the job failed; a file beside it didn't.
#[test]
fn a_file_that_fails() {
    let dir = Dir::new().file("a.txt", "x\n".repeat(1000)).file("b.txt", "y\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let cut = || fs::File::options().write(true).open(dir.join("a.txt")).unwrap().set_len(1).unwrap();
    let output = dir.meanwhile("a.txt b.txt --history h.jsonl", cut);
    assert_eq!(output.status.code(), Some(1));
    let all = lines(&dir, "h.jsonl");
    let outcomes: HashMap<_, _> = told(&all).into_iter().map(|(source, _, outcome, _)| (source, outcome)).collect();
    assert_eq!(outcomes["a.txt"], "failed");
    // Whether the job had reached the file by then is chance.
    assert!(outcomes.get("b.txt").is_none_or(|outcome| ["ok", "stopped"].contains(outcome)), "{outcomes:?}");
    assert!(["ok", "stopped"].contains(&outcomes["fifo"]), "{outcomes:?}");
}

#[test]
fn an_interrupted_run_is_kept_too() {
    let dir = Dir::new().file("job.json", "{}");
    let args = ["run", "job.json", "--history", "h.jsonl", "--from-command", "sh -c 'echo y; exec sleep 1000'"];
    let mut command = dir.command(args).command;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(told(&lines(&dir, "h.jsonl")), [("sh -c 'echo y; exec sleep 1000'", "read", "stopped", 2)]);
}

#[test]
fn the_variable_names_one_for_all_runs() {
    let dir = Dir::new().file("a.txt", "x\n");
    let run = |args: &str, history: &str| {
        let mut command = dir.command(args.split_whitespace());
        command.command.env("MAPFOLD_HISTORY", history);
        command.run()
    };
    run("run uniq a.txt", "all.jsonl").printed("x\t1\n");
    run("agg count a.txt --read text", "all.jsonl").printed("1\n");
    run("run uniq a.txt --history own.jsonl", "all.jsonl").printed("x\t1\n");
    run("run uniq a.txt", "").printed("x\t1\n");
    assert_eq!((lines(&dir, "all.jsonl").len(), lines(&dir, "own.jsonl").len()), (2, 1));
    run("run uniq a.txt", "no/h").refused("MAPFOLD_HISTORY no/h: there is no directory no", "mkdir -p no");
    // The trials of a job write no history either.
    assert_eq!(run("verify uniq a.txt", "all.jsonl").code(), Some(0));
    assert_eq!(run("bench uniq a.txt --runs 2", "all.jsonl").code(), Some(0));
    assert_eq!(lines(&dir, "all.jsonl").len(), 2);
    assert!(run("history", "all.jsonl").stdout().contains("a.txt\n"));
}

#[test]
fn where_a_history_can_t_be() {
    let dir = Dir::new().file("a.txt", "x\n").file("notes", "mine\n").file("out/part-00000", "").file("locked", "");
    let run = |args: &str| dir.run(&format!("run uniq a.txt {args}"));
    run("--history a.txt").refused("--history a.txt: is an INPUT", "name another file");
    run("--history no/h").refused("--history no/h: there is no directory no", "mkdir -p no");
    run("--history -").refused("--history -: is not a file name", "");
    run("--history out").refused("--history out: exists and is not a file", "");
    run("--history /dev/null").refused("--history /dev/null: exists and is not a file", "");
    run("--history r.json --report r.json").refused("--history r.json: is also the file of --report", "");
    run("--history notes").refused(
        "--history notes: is not a history file",
        "name a file that doesn't exist yet, and mapfold makes it: --history h.jsonl",
    );
    assert_eq!(fs::read_to_string(dir.join("notes")).unwrap(), "mine\n");
    fs::set_permissions(dir.join("locked"), fs::Permissions::from_mode(0o400)).unwrap();
    // Root may write to every file.
    if fs::File::options().append(true).open(dir.join("locked")).is_err() {
        run("--history locked").refused("--history locked: cannot be appended to: permission denied", "");
    }
    assert_eq!(dir.names(), ["a.txt", "locked", "notes", "out"]);
}

#[test]
fn lines_that_are_no_history_are_passed_over() {
    let dir = Dir::new().file("a.txt", "x\n");
    dir.run("run uniq a.txt --history h").printed("x\t1\n");
    let line = fs::read_to_string(dir.join("h")).unwrap();
    fs::write(dir.join("h"), format!("{line}mine\n{}", &line[..30])).unwrap();
    let ran = dir.run("run uniq a.txt --history h");
    ran.printed("x\t1\n");
    let said = "skipped 2 lines that are not valid, from line 2 on\n";
    assert_eq!(ran.stderr(), format!("warning: --history h: {said}"));
    let ran = dir.run("history h --json");
    assert_eq!(ran.stderr(), format!("warning: h: {said}"));
    let told: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!((&told["sources"][0]["runs"], &told["sources"][0]["ok"]), (&json!(2), &json!(2)));
}

/// Two processes write to one history at the same time, fifty runs each.
#[test]
fn two_at_once() {
    let dir = Dir::new().file("a.txt", "x\n").file("b.txt", "y\n");
    let both = ["a.txt", "b.txt"];
    std::thread::scope(|scope| {
        for input in both {
            let dir = &dir;
            scope.spawn(move || {
                for _ in 0..50 {
                    let ran = dir.run(&format!("run uniq {input} {input} --threads 1 --history h"));
                    assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""));
                }
            });
        }
    });
    let all = lines(&dir, "h");
    let mut count: HashMap<&str, usize> = HashMap::new();
    all.iter().for_each(|line| *count.entry(source(line)).or_default() += 1);
    assert_eq!(both.map(|input| count[input]), [100, 100]);
    // The lines of one run are adjacent.
    assert!(all.chunks(2).all(|two| two[0]["run"] == two[1]["run"]));
    assert_eq!(all.iter().map(|line| line["run"].as_str()).collect::<HashSet<_>>().len(), 100);
}

#[test]
fn which_are_slow() {
    let line = |run: usize, source: &str, seconds: f64| {
        let line = json!({"run": run.to_string(), "when": 1, "source": source, "how": "read", "outcome": "ok", "bytes": 1000,
            "seconds": seconds, "reading_seconds": seconds, "first_byte_seconds": seconds / 10.0});
        format!("{line}\n")
    };
    let of_run = |run| ["web1", "web2", "web3"].map(|name| line(run, name, 1.0)).concat() + &line(run, "web4", 4.0);
    let dir = Dir::new().file("h", (0..6).map(of_run).collect::<String>());
    dir.run("history h").printed(
        "\
runs  median  p95     first byte  rate       timed out  failed  source
6     1.00 s  1.00 s  0.10 s      1.00 KB/s  0          0       web1
6     1.00 s  1.00 s  0.10 s      1.00 KB/s  0          0       web2
6     1.00 s  1.00 s  0.10 s      1.00 KB/s  0          0       web3
6     4.00 s  4.00 s  0.40 s      250 B/s    0          0       web4

web4 is consistently slow: in 6 of 6 runs.
",
    );
    let told: Value = serde_json::from_str(&dir.run("history h --json").stdout()).unwrap();
    let slow: Vec<_> = told["sources"].as_array().unwrap().iter().map(|source| &source["consistently_slow"]).collect();
    assert_eq!(slow, [&json!(false), &json!(false), &json!(false), &json!(true)]);
    dir.run("history").refused("no PATH", "name the file: mapfold history h.jsonl, or set $MAPFOLD_HISTORY");
    dir.run("history none").refused("none: no such file or directory", "");
    dir.run("history h --jsno").refused("unknown flag \"--jsno\"", "did you mean --json?");
}
