//! `mapfold bench`: its figures are those of its runs, and it refuses what it can't compare.

use std::fs::{self, File};
use std::io::Write;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Dir, Ran};

fn dir() -> Dir {
    Dir::new().file("a.txt", "the cat saw the dog and the dog saw the cat\n".repeat(50))
}

fn json(dir: &Dir, name: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(name)).unwrap()).unwrap()
}

#[track_caller]
fn succeeded(ran: &Ran) -> String {
    assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""));
    ran.stdout()
}

#[test]
fn the_combiner_on_and_off() {
    let dir = dir();
    let table = succeeded(&dir.run("bench wordcount a.txt --runs 2 --export-json b.json --export-md b.md"));
    assert!(table.starts_with("wordcount, 2.20 KB of input: combiner on and off in turn, 2 runs each"), "{table}");
    assert!(table.contains("\nAll 6 runs wrote the same: 39 B and BLAKE3 "), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert_eq!(dir.names(), ["a.txt", "b.json", "b.md"]);

    let bench = json(&dir, "b.json");
    let runs = bench["runs"].as_array().unwrap();
    let order: Vec<_> =
        runs.iter().map(|run| (run["value"].as_str().unwrap(), run["round"].as_u64().unwrap())).collect();
    assert_eq!(order, [("on", 0), ("off", 0), ("on", 1), ("off", 1), ("on", 2), ("off", 2)]);
    for run in runs {
        assert_eq!(run["settings"]["combiner"], run["value"]);
        assert_eq!(run["output_digest"], runs[0]["output_digest"]);
        assert_eq!(run["output_bytes"], 39);
        let number = |name: &str| run[name].as_f64().unwrap();
        assert!(number("user_seconds") + number("system_seconds") > 0.0, "{run}");
        assert!(number("wall_seconds") > 0.0 && number("peak_rss_bytes") > 0.0, "{run}");
    }

    // The counters are those that `run` reports, and the digest is that of the output of `run`.
    dir.run("run wordcount a.txt --combiner on --report r.json -o out");
    let counters = &json(&dir, "r.json")["counters"];
    let of = |value: usize, name: &str| bench["summary"][value]["counters"][name].as_i64().unwrap();
    for name in ["map_output_records", "map_output_bytes", "reduce_shuffle_bytes", "shuffle_bytes_saved"] {
        assert_eq!(of(0, name), counters[name].as_i64().unwrap(), "{name}");
    }
    assert_eq!(of(1, "reduce_shuffle_bytes"), of(1, "map_output_bytes"));
    assert_eq!(of(1, "map_output_bytes"), of(0, "map_output_bytes"));
    assert_eq!((of(0, "shuffle_bytes_saved") > 0, of(1, "shuffle_bytes_saved")), (true, 0));
    let digest = blake3::hash(&fs::read(dir.join("out")).unwrap()).to_hex();
    assert_eq!(runs[0]["output_digest"], digest.as_str());
    assert_eq!((&bench["same_output"], &bench["error"]), (&Value::Bool(true), &Value::Null));

    let comparison = &bench["comparisons"][0];
    assert_eq!((&comparison["value"], &comparison["baseline"]), (&"off".into(), &"on".into()));
    let [low, ratio, high] = ["low", "ratio", "high"].map(|name| comparison["wall"][name].as_f64().unwrap());
    assert!(0.0 < low && low <= ratio && ratio <= high, "{comparison}");
    let markdown = fs::read_to_string(dir.join("b.md")).unwrap();
    assert!(markdown.contains("\n| combiner | wall (min to max) | "), "{markdown}");
}

#[test]
fn anything_that_has_a_flag_varies() {
    let dir = dir();
    for vary in [
        "threads=1,2,3",
        "scheduler=stealing,static,shared",
        "split-size=7,1K",
        "partitions=1,9",
        "memory=16M,64M",
        "combiner=auto,on,off",
    ] {
        let table = succeeded(&dir.run(&format!("bench wordcount a.txt --runs 2 --vary {vary} --export-json b.json")));
        let bench = json(&dir, "b.json");
        let values: Vec<_> = vary.split_once('=').unwrap().1.split(',').collect();
        assert_eq!(bench["values"], serde_json::json!(values));
        assert_eq!(bench["runs"].as_array().unwrap().len(), 3 * values.len());
        assert_eq!(bench["comparisons"].as_array().unwrap().len(), values.len() - 1);
        assert!(table.contains("uncombined") != vary.contains("off"), "{table}");
        assert!(
            table.contains("auto combined 550 of 550 map output records (100.0 %).") == vary.contains("auto"),
            "{table}"
        );
    }
}

#[test]
fn bars_are_what_the_terminal_can_show() {
    let dir = dir();
    for (locale, term, bar) in
        [("C.UTF-8", "xterm", "off         █"), ("C", "xterm", "off         #"), ("C.UTF-8", "dumb", "off         #")]
    {
        let mut command = dir.command("bench wordcount a.txt --runs 2".split(' '));
        command.command.env("LC_ALL", locale).env("TERM", term);
        let table = succeeded(&command.run());
        assert!(table.lines().any(|line| line.starts_with(bar)), "{locale}, {term}: {table}");
        assert!(!table.contains('\x1b'), "{table}");
    }
}

#[test]
fn a_job_without_groups_shuffles_nothing() {
    let dir = dir().file("s.json", r#"{"where": {"field": "line", "matches": "cat"}}"#);
    let table = succeeded(&dir.run("bench ./s.json a.txt --runs 2 --vary threads=1,2"));
    assert!(table.contains("\nNothing was shuffled.\n"), "{table}");
    assert!(table.contains("\nAll 6 runs wrote the same: 2.20 KB and BLAKE3 "), "{table}");
    for (vary, what) in [("", "combiner"), (" --vary partitions=1,2", "partitions")] {
        dir.run(&format!("bench grep --param pattern=a a.txt{vary}")).refused(
            &format!("grep has no groups, so there is nothing to shuffle and {what} changes nothing"),
            "vary another setting, such as --vary threads=1,2",
        );
    }
}

#[test]
fn it_takes_the_flags_of_run() {
    let dir =
        dir().file("s.json", r#"{"aggregate": [{"op": "count"}], "input": "a.txt", "output": {"path": "gone/x"}}"#);
    succeeded(&dir.run("bench s.json --runs 2 --threads 2 --set output.header=true --format csv --export-json b.json"));
    let bench = json(&dir, "b.json");
    assert_eq!(bench["runs"][0]["settings"]["threads"], 2);
    assert_eq!(bench["job"]["run"], serde_json::json!({"threads": 2}));
    assert_eq!(bench["runs"][0]["output_digest"], blake3::hash(b"count\n50\n").to_hex().as_str());
    let spec = r#"{"aggregate": [{"op": "count", "as": "lines"}], "output": {"format": "jsonl"}}"#;
    let from_stdin = dir.command("bench - a.txt --runs 2 --export-json b.json".split(' ')).stdin(spec).run();
    assert!(succeeded(&from_stdin).starts_with("stdin, 2.20 KB of input: "));
    assert_eq!(json(&dir, "b.json")["runs"][0]["output_digest"], blake3::hash(b"{\"lines\":50}\n").to_hex().as_str());
    succeeded(&dir.run("bench uniq a.txt --runs 2 --unordered --vary threads=1,2"));
}

#[test]
fn what_is_refused() {
    let dir = dir();
    let bench = |args: &str| dir.run(&format!("bench {args}"));
    bench("wordcount a.txt --vary combinr=on,off")
        .refused("--vary: unknown setting \"combinr\"", "did you mean \"combiner\"?");
    bench("wordcount a.txt --vary combiner=on,offf")
        .refused("--vary combiner: must be one of auto, on, off, is \"offf\"", "did you mean \"off\"?");
    bench("wordcount a.txt --vary threads=1,two").refused("--vary threads: must be a whole number, is \"two\"", "");
    bench("wordcount a.txt --vary memory=1K,1G").refused("memory of 1 KiB is too little", "use --memory 14M");
    let compared = "give different values to compare";
    bench("wordcount a.txt --vary threads=1,1").refused("--vary threads: 1 is given twice", compared);
    bench("wordcount a.txt --vary memory=1G,1024M").refused("--vary memory: 1024M is the same as 1G", compared);
    let hint = "give only one of them";
    bench("wordcount a.txt --combiner on").refused("--combiner and --vary combiner can't be used together", hint);
    bench("wordcount a.txt --vary threads=1,2 --set run.threads=4")
        .refused("--set run.threads and --vary threads can't be used together", hint);
    let hint = "one run can't tell a difference from noise; for its counters alone: mapfold run JOB --report r.json";
    bench("wordcount a.txt --runs 1").refused("--runs: must be at least 2, is 1", hint);
    bench("wordcount b.txt").refused("b.txt: no such file or directory", "did you mean a.txt?");
    assert_eq!(dir.names(), ["a.txt"]);
}

#[test]
fn what_can_be_read_once_is_refused() {
    let dir = dir();
    let hint = "name a file: mapfold bench wordcount book.txt";
    let what = |name: &str| format!("{name} can be read only once, but bench runs the job many times");
    dir.run("bench wordcount -").refused(&what("standard input"), hint);
    dir.run("bench wordcount").refused(&what("standard input"), hint);
    dir.run("bench wordcount a.txt /dev/stdin").refused(&what("/dev/stdin"), hint);
    rustix::fs::mknodat(rustix::fs::CWD, dir.join("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    dir.run("bench wordcount fifo").refused(&what("fifo"), hint);
}

#[test]
fn exports_that_cannot_be_written() {
    let dir = dir();
    let bench = |args: &str| dir.run(&format!("bench wordcount a.txt --runs 2 {args}"));
    bench("--export-json none/b.json")
        .refused("--export-json none/b.json: there is no directory none", "mkdir -p none");
    bench("--export-md a.txt").refused("--export-md a.txt: is an INPUT", "name another file");
    bench("--export-md .").refused("--export-md .: exists and is not a file", "");
    bench("--export-json b --export-md ./b")
        .refused("--export-md ./b: is also the file of --export-json", "name another file");
    assert_eq!(dir.names(), ["a.txt"]);
}

#[test]
fn outputs_that_differ_are_told() {
    let dir = dir();
    let args = "bench wordcount a.txt --runs 2 --progress always --export-json b.json";
    let ran = dir.command(args.split(' ')).act_once_said("run 3 of 6: on, round 1 of 2", |_| {
        // The file grows. This is no error for a run that is reading the file.
        File::options().append(true).open(dir.join("a.txt")).unwrap().write_all(b"another text\n").unwrap();
    });
    assert_eq!(ran.code(), Some(1));
    let message = "error: the runs did not all write the same\n\
                   hint: either an input changed meanwhile, or this is a bug in mapfold: please report it\n";
    assert!(ran.stderr().ends_with(message), "{}", ran.stderr());
    let table = ran.stdout();
    assert!(table.contains("\nThe runs did not all write the same:\n  on, warm-up: 39 B and BLAKE3 "), "{table}");
    assert!(table.contains("\n  off, round 2: 56 B and BLAKE3 "), "{table}");
    assert_eq!(json(&dir, "b.json")["same_output"], false);
}

#[test]
fn a_run_that_fails_ends_it_and_those_before_are_kept() {
    let dir = dir();
    let args = "bench wordcount a.txt --runs 2 --progress always --export-json b.json";
    let ran = dir.command(args.split(' ')).act_once_said("run 2 of 6: off to warm up", |_| {
        fs::remove_file(dir.join("a.txt")).unwrap();
    });
    // The file vanished before the job looked for its inputs (2), or afterwards (1).
    assert!([Some(1), Some(2)].contains(&ran.code()), "{:?}", ran.code());
    assert_eq!(ran.stdout(), "");
    let stderr = ran.stderr();
    let errors: Vec<_> = stderr.lines().filter(|line| !line.starts_with("run ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(errors[0].contains(": a.txt: ") && errors[0].ends_with("no such file or directory"), "{stderr}");
    assert!(errors[0].starts_with("error: with combiner=o"), "{stderr}");
    let bench = json(&dir, "b.json");
    assert!(!bench["runs"].as_array().unwrap().is_empty(), "{bench}");
    assert_eq!(bench["summary"], serde_json::json!([]));
    assert!(bench["error"].as_str().unwrap().ends_with("no such file or directory"), "{bench}");
    assert_eq!(dir.names(), ["b.json"]);
}

#[test]
fn interrupted_it_leaves_nothing_behind() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let dir = dir();
        let args = "bench wordcount a.txt --runs 1000 --progress always";
        let ran = dir.command(args.split(' ')).act_once_said("run 3 of ", |child| {
            kill_process(Pid::from_child(child), signal).unwrap();
        });
        assert_eq!((ran.code(), ran.stdout().as_str()), (Some(code), ""));
        assert!(ran.stderr().ends_with("\nerror: interrupted\n"), "{}", ran.stderr());
        assert_eq!(dir.names(), ["a.txt"]);
    }
}
