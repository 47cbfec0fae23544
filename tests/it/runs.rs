//! Runs on disk: compressed or not, in one spill directory or several, within a limit, and on disks that fill up.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Dir, Ran};

/// Lines that repeat little, and so much of each that it compresses.
fn lines(n: u32) -> String {
    let word = |i: u32| format!("{:08x}", i.wrapping_mul(0x9e37_79b9));
    (0..n).map(|i| format!("{} some words that all lines have {}\n", word(i), word(i / 3))).collect()
}

const SORTED: &str = r#"{"read": {"format": "text"}, "select": ["line"], "sort": ["line"]}"#;
const COUNTED: &str = r#"{"read": {"format": "text"}, "map": [{"split": "line", "on": "words", "as": "word"}],
    "group_by": ["word"], "aggregate": [{"op": "count", "as": "n"}], "sort": ["-n", "word"]}"#;
const IN_ORDER: &str = r#"{"read": {"format": "text"}, "select": ["line", "@offset"]}"#;

fn dir() -> Dir {
    Dir::new()
        .file("lines", lines(40_000))
        .file("sorted.json", SORTED)
        .file("counted.json", COUNTED)
        .file("in-order.json", IN_ORDER)
}

/// Runs the job, which is to succeed, and returns its output and the counters of its report.
fn run(dir: &Dir, args: &str) -> (Vec<u8>, Value) {
    let ran = dir.run(&format!("run {args} --report r.json -o out --force"));
    assert_eq!((ran.stderr().as_str(), ran.code()), ("", Some(0)), "{args}");
    let report: Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    let mut out = fs::read(dir.join("out")).unwrap();
    if args.contains("--unordered") {
        let mut lines: Vec<_> = out.split_inclusive(|&byte| byte == b'\n').collect();
        lines.sort();
        out = lines.concat();
    }
    (out, report["counters"].clone())
}

fn number(counters: &Value, name: &str) -> u64 {
    counters[name].as_u64().unwrap()
}

/// Compression changes the bytes of files, and nothing else.
#[test]
fn compressed_runs() {
    let dir = dir();
    for job in
        ["sorted.json", "counted.json", "in-order.json", "counted.json --unordered", "counted.json --combiner off"]
    {
        // Whether a partition spills depends on what the worker's table has grown to before. One worker reduces the
        // partitions in the same order every time.
        let job = format!("{job} lines --split-size 200K --memory 14M --threads 1");
        let (out, plain) = run(&dir, &format!("{job} --compress none"));
        assert!(out.len() > 300_000);
        for compress in ["auto", "lz4", "zstd"] {
            let (same, counters) = run(&dir, &format!("{job} --compress {compress}"));
            assert!(same == out, "{job} {compress}");
            for (name, of_plain) in plain.as_object().unwrap() {
                let (of_plain, is) = (of_plain.as_u64().unwrap(), number(&counters, name));
                match &**name {
                    "map_output_materialized_bytes" | "spilled_bytes" if compress != "auto" => {
                        assert!(is < of_plain * 9 / 10, "{job} {compress}: {name} is {is}, of {of_plain}");
                    }
                    "stolen_tasks" | "speculative_attempts" => {}
                    _ => assert_eq!(is, of_plain, "{job} {compress}: {name}"),
                }
            }
        }
    }
}

/// Groups that don't fit a cache are folded portion by portion, which shows neither in their order nor in their number.
#[test]
fn large_partitions_of_distinct_keys() {
    let key = |i: u32| format!("{:08x} of a key, {}", i.wrapping_mul(0x9e37_79b9), i % 7);
    let keys: Vec<u32> = (0..40_000).chain(20_000..30_000).collect();
    let rows: String = keys.iter().map(|i| format!("{},{i}\n", key(*i).replace(',', ";"))).collect();
    let spec = |sort: &str| {
        format!(
            r#"{{"read": {{"format": "csv", "header": false, "fields": ["key", "i"], "types": {{"i": "int", "key": "string"}}}},
                "group_by": ["key"], "sort": [{sort:?}], "output": {{"format": "csv"}},
                "aggregate": [{{"op": "count", "as": "n"}}, {{"op": "sum", "field": "i"}}, {{"op": "max", "field": "key", "as": "last"}}]}}"#
        )
    };
    let dir = Dir::new().file("up.json", spec("key")).file("down.json", spec("-key")).file("rows", rows);
    let mut expected: Vec<_> = (0..40_000u32)
        .map(|i| {
            let (key, n) = (key(i).replace(',', ";"), if (20_000..30_000).contains(&i) { 2 } else { 1 });
            format!("{key},{n},{},{key}\n", i * n)
        })
        .collect();
    expected.sort();
    let header = "key,n,sum_i,last\n";
    let in_order = [header.to_owned(), expected.concat()].concat();
    let reversed: String = std::iter::once(header).chain(expected.iter().rev().map(String::as_str)).collect();
    for how in ["", "--partitions 4 --threads 1", "--partitions 9 --threads 2", "--partitions 4 --memory 100M"] {
        let counted = |job: &str| run(&dir, &format!("{job} rows --combiner off {how}"));
        for (job, expected) in [("up.json", &in_order), ("down.json", &reversed)] {
            let (out, counters) = counted(job);
            assert!(out == expected.as_bytes(), "{job} {how}");
            assert_eq!(number(&counters, "reduce_input_groups"), 40_000);
            assert_eq!(number(&counters, "reduce_input_records"), 50_000);
            // Whether rows are divided is judged by those that the worker folded before.
            assert!(number(&counters, "reduce_divisions") > 0 || !how.contains("--threads 1"), "{job} {how}");
        }
        let mut sorted: Vec<_> = in_order.split_inclusive('\n').collect();
        sorted.sort();
        assert!(counted("up.json --unordered").0 == sorted.concat().as_bytes(), "{how}");
    }
}

#[test]
fn a_limit_is_kept() {
    let dir = dir();
    for job in ["sorted.json", "counted.json --combiner off"] {
        let job = format!("{job} lines --split-size 200K");
        let (out, _) = run(&dir, &format!("{job} --compress none"));
        let limited = |args: &str| dir.run(&format!("run {job} --spill-limit {args} -o small"));
        let ran = limited("600K --compress none");
        let stderr = ran.stderr();
        let (error, hint) = stderr.trim_end().rsplit_once("\nhint: ").unwrap();
        let error = error.lines().last().unwrap();
        assert!(error.starts_with("error: spill file ") && error.contains(".run: "), "{stderr}");
        assert!(error.ends_with(": the runs of this job take more than the limit of 600 KiB"), "{stderr}");
        assert_eq!(
            hint,
            "allow more with --spill-limit, or make runs smaller with --compress zstd or a larger --memory"
        );
        assert_eq!((ran.code(), ran.stdout().as_str()), (Some(1), ""));
        let hint = "hint: allow more with --spill-limit, or make runs smaller with a larger --memory\n";
        assert!(limited("100K --compress zstd").stderr().ends_with(hint));
        assert_eq!(dir.names(), ["counted.json", "in-order.json", "lines", "out", "r.json", "sorted.json"]);
        // What is compressed needs less.
        let (same, _) = run(&dir, &format!("{job} --compress none --spill-limit 1G"));
        assert!(same == out);
        let (_, counters) = run(&dir, &format!("{job} --compress zstd"));
        let (_, plain) = run(&dir, &format!("{job} --compress none"));
        let bytes = |counters| number(counters, "map_output_materialized_bytes");
        assert!(bytes(&counters) < bytes(&plain) / 2, "{} of {}", bytes(&counters), bytes(&plain));
    }
    dir.run("run uniq lines --spill-limit 0").refused("--spill-limit: must be at least 1 byte", "");
}

/// The runs of the map phase and those of the reduce phase together take more than the limit allows at a time: they
/// fit only because a reduced partition gives its space back.
#[test]
fn space_is_given_back() {
    let dir = Dir::new().file("counted.json", COUNTED).file("lines", lines(60_000));
    if !can_punch(&dir) {
        eprintln!("not tested: holes can't be punched here");
        return;
    }
    let job = "counted.json lines --combiner off --compress none --split-size 1M --partitions 32 --threads 2";
    let (out, counters) = run(&dir, job);
    let mapped = number(&counters, "map_output_materialized_bytes");
    let fits = |limit: u64| {
        let ran = dir.run(&format!("run {job} --spill-limit {limit} -o out --force"));
        if ran.code() == Some(0) {
            assert!(fs::read(dir.join("out")).unwrap() == out);
        }
        ran.code() == Some(0)
    };
    assert!(!fits(mapped / 2), "{mapped}");
    assert!(fits(mapped + mapped / 8), "{mapped}");
}

fn can_punch(dir: &Dir) -> bool {
    let path = dir.join("holes");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    let punched =
        Command::new("fallocate").args(["--punch-hole", "--offset", "0", "--length", "65536"]).arg(&path).output();
    fs::remove_file(path).unwrap();
    punched.is_ok_and(|output| output.status.success())
}

#[test]
fn several_directories() {
    let dir = dir();
    let (out, _) = run(&dir, "counted.json lines");
    ["a", "b", "c"].iter().for_each(|name| fs::create_dir(dir.join(name)).unwrap());
    let (same, _) = run(&dir, "counted.json lines --split-size 100K --spill-dir a --spill-dir b --spill-dir c");
    assert!(same == out);
    let spec = fs::read_to_string(dir.join("counted.json")).unwrap();
    for (directories, flags) in [(r#"["a", "b"]"#, ""), (r#""c""#, ""), (r#"["none"]"#, "--spill-dir a")] {
        let with = spec.replacen('{', &format!(r#"{{"run": {{"spill_dir": {directories}}}, "#), 1);
        fs::write(dir.join("with.json"), with).unwrap();
        let (same, _) = run(&dir, &format!("with.json lines --split-size 100K {flags}"));
        assert!(same == out, "{directories}");
    }
    let report: Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    assert_eq!(report["job"]["run"]["spill_dir"], "a");
    for name in ["a", "b", "c"] {
        assert_eq!(Dir::names_in(&dir.join(name)), [""; 0]);
    }
    let hint = "name a directory on a disk with free space with --spill-dir";
    dir.run("run uniq lines --spill-dir a --spill-dir gone")
        .refused("spill directory gone (--spill-dir): no such file or directory", hint);
    fs::write(dir.join("few"), lines(200)).unwrap();
    for command in ["verify", "bench --runs 2"] {
        let ran = dir.run(&format!("{command} uniq few --spill-dir a --spill-dir b"));
        assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    }
}

/// Runs `script` with file systems of these sizes mounted on directories. `None` where mounting isn't allowed.
fn mounted(dir: &Dir, sizes: &[(&str, &str)], script: &str) -> Option<(String, String)> {
    let mounts: String = sizes
        .iter()
        .map(|(name, size)| format!("mkdir -p {name} && mount -t tmpfs -o size={size} none {name} && "))
        .collect();
    let run = |script: &str| {
        let whole = format!("unshare -rm bash -c '{mounts} {{ {script}; }}'");
        let mut command = Command::new("bash");
        command.args(["-c", &whole]).current_dir(dir.path()).env("TMPDIR", dir.path());
        command.env("M", env!("CARGO_BIN_EXE_mapfold")).output().ok()
    };
    if !run("true").is_some_and(|output| output.status.success()) {
        eprintln!("not tested: no file system can be mounted here");
        return None;
    }
    let output = run(script)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stderr), text(&output.stdout)))
}

#[test]
fn a_full_directory_beside_one_with_room() {
    let dir = dir();
    let jobs = ["counted.json --combiner off", "sorted.json", "in-order.json"];
    for job in jobs {
        let (out, _) = run(&dir, &format!("{job} lines"));
        fs::write(dir.join("expected"), out).unwrap();
        for compress in ["none", "lz4"] {
            let script = format!(
                "$M run {job} lines --compress {compress} --split-size 300K --memory 16M --spill-dir small --spill-dir tiny \
                 --spill-dir room | cmp - expected; echo ${{PIPESTATUS[0]}}; ls -A small tiny room"
            );
            let sizes = [("small", "400k"), ("tiny", "16k"), ("room", "100m")];
            let Some((stderr, stdout)) = mounted(&dir, &sizes, &script) else { return };
            assert_eq!((stderr.as_str(), stdout.as_str()), ("", "0\nroom:\n\nsmall:\n\ntiny:\n"), "{job} {compress}");
        }
        let script = format!(
            "$M run {job} lines --compress none --split-size 300K --memory 16M --spill-dir small --spill-dir tiny -o x; \
             echo $?; ls -A small tiny"
        );
        let (stderr, stdout) = mounted(&dir, &[("small", "300k"), ("tiny", "200k")], &script).unwrap();
        let error = stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
        let names_one = error.contains("/small/mapfold-") || error.contains("/tiny/mapfold-");
        assert!(job == "sorted.json" || (names_one && error.ends_with(": no space left on device")), "{job}: {stderr}");
        assert_eq!(stdout, "1\nsmall:\n\ntiny:\n", "{job}: {stderr}");
    }
}

/// A job whose runs can't fit is refused before it reads its input. One whose runs may fit isn't.
#[test]
fn a_disk_that_is_too_small() {
    let dir = dir();
    let run = |job: &str, size: &str| {
        mounted(&dir, &[("small", size)], &format!("$M run {job} lines --spill-dir small -o out --force; echo $?"))
    };
    let Some((stderr, stdout)) = run("sorted.json --compress none", "1m") else { return };
    assert_eq!(
        stderr,
        "error: spill directory small: the runs of this job take at least 1.96 MB, but only 1.05 MB are free\n\
         hint: choose a directory with more free space with --spill-dir\n",
    );
    assert_eq!(stdout, "1\n");
    // If runs may be compressed, nobody knows.
    let (stderr, stdout) = run("sorted.json --compress zstd", "1900k").unwrap();
    assert_eq!(
        stderr,
        "warning: spill directory small: 1.95 MB are free, and the runs of this job may take about 1.96 MB\n"
    );
    assert_eq!(stdout, "0\n");
    let (stderr, stdout) = run("sorted.json --compress none", "20m").unwrap();
    assert_eq!((stderr.as_str(), stdout.as_str()), ("", "0\n"));
    // A limit or a filter leaves less, so these jobs are not refused.
    let filtered = SORTED.replacen('{', r#"{"where": {"field": "line", "matches": "^0"}, "#, 1);
    fs::write(dir.join("filtered.json"), filtered).unwrap();
    for job in ["sorted.json --compress none -n 5", "filtered.json --compress none"] {
        let (stderr, stdout) = run(job, "1m").unwrap();
        assert_eq!((stderr.as_str(), stdout.as_str()), ("", "0\n"), "{job}");
    }
}

/// While runs are written, what the rest will take is estimated from what is written.
#[test]
fn a_disk_that_will_be_full_soon() {
    let dir = dir();
    let script = "$M run counted.json lines --combiner off --compress none --split-size 100K --memory 14M --threads 1 \
                  --spill-dir small -o out; echo $?; ls -A small";
    let Some((stderr, stdout)) = mounted(&dir, &[("small", "1500k")], script) else { return };
    let (warning, error) = stderr.split_once('\n').unwrap();
    assert!(warning.starts_with("warning: spill directory small: "), "{stderr}");
    assert!(warning.contains(" are free, and the runs of this job may take about "), "{stderr}");
    assert!(warning.ends_with(" more"), "{stderr}");
    assert!(error.starts_with("error: spill file ") && error.contains(": no space left on device"), "{stderr}");
    assert_eq!(stdout, "1\n");
    let limited = dir
        .run("run counted.json lines --combiner off --compress none --split-size 100K --threads 1 --spill-limit 1500K");
    let stderr = limited.stderr();
    assert!(stderr.starts_with("warning: the runs of this job may take about "), "{stderr}");
    assert!(stderr.lines().next().unwrap().ends_with(", and --spill-limit allows 1.54 MB"), "{stderr}");
    assert_eq!(limited.code(), Some(1));
}

#[test]
fn what_is_no_setting() {
    let dir = dir();
    let refused = |args: &str| -> Ran { dir.run(&format!("run uniq lines {args}")) };
    let ran = refused("--compress gzip");
    assert!(ran.stderr().contains("--compress") && ran.code() == Some(2), "{}", ran.stderr());
    let ran = refused("--set run.compress=zst");
    assert!(ran.stderr().contains("zstd") && ran.code() == Some(2), "{}", ran.stderr());
    let ran = refused("--spill-limit 1X");
    assert!(ran.stderr().contains("--spill-limit") && ran.code() == Some(2), "{}", ran.stderr());
}
