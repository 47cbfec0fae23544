//! Hot partitions: all workers fold the rows of a partition that has most of them.

use std::fmt::Write;

use serde_json::Value;

use crate::harness::Dir;

const ROWS: u32 = 24_000;

/// Rows of which nine in ten have the same key. The other keys are many.
fn table() -> String {
    let mut table = "key,text,n,x\n".to_owned();
    for i in 0..ROWS {
        let key = if i % 10 == 3 { format!("cold {}", i % 3_000) } else { "hot".to_owned() };
        let mixed = i.wrapping_mul(0x9e37_79b9);
        writeln!(table, "{key},text {},{i},{}e-3", mixed % 5_000, mixed >> 8).unwrap();
    }
    table
}

const AGGREGATES: &str = r#"[{"op": "count", "as": "rows"}, {"op": "sum", "field": "n"}, {"op": "mean", "field": "x"},
    {"op": "stddev", "field": "x"}, {"op": "first", "field": "text"}, {"op": "last", "field": "text"},
    {"op": "argmax", "field": "text", "by": "x", "as": "at"}, {"op": "max", "field": "text"}]"#;

fn spec(group_by: &str, sort: &str) -> String {
    format!(
        r#"{{"read": {{"format": "csv", "types": {{"key": "string", "text": "string", "n": "int", "x": "float"}}}},
            "group_by": [{group_by}], "aggregate": {AGGREGATES}{sort}, "output": {{"format": "csv"}}}}"#
    )
}

/// Runs the job, which is to succeed. Returns the rows of its output, sorted if they are in any order, and the counters
/// of its report.
fn run(dir: &Dir, args: &str) -> (Vec<String>, Value) {
    let ran = dir.run(&format!("run {args} --report r.json"));
    assert_eq!((ran.stderr().as_str(), ran.code()), ("", Some(0)), "{args}");
    let report: Value = serde_json::from_slice(&std::fs::read(dir.join("r.json")).unwrap()).unwrap();
    let mut rows: Vec<_> = ran.stdout().lines().map(str::to_owned).collect();
    if args.contains("--unordered") {
        rows[1..].sort();
    }
    (rows, report["counters"].clone())
}

fn number(counters: &Value, name: &str) -> u64 {
    counters[name].as_u64().unwrap()
}

/// Sharing a partition changes neither the answer nor how many rows are read.
#[test]
fn a_partition_with_most_rows_is_shared() {
    let dir = Dir::new()
        .file("t.csv", table())
        .file("key.json", spec(r#""key""#, ""))
        .file("down.json", spec(r#""key""#, r#", "sort": ["-key"]"#))
        .file("rows.json", spec(r#""key""#, r#", "sort": ["-rows", "key"]"#))
        .file("all.json", spec("", ""));
    for job in ["key.json", "key.json --unordered", "down.json", "rows.json", "all.json"] {
        let job = format!("{job} t.csv --combiner off --split-size 100K");
        let (expected, alone) = run(&dir, &format!("{job} --threads 1"));
        let hot = expected.iter().filter(|row| row.contains(&format!("{},", ROWS / 10 * 9))).count();
        assert_eq!((hot, number(&alone, "reduce_shares")), (usize::from(!job.starts_with("all")), 0), "{job}");
        for how in [
            "--threads 2 --memory 16M",
            "--threads 4 --memory 20M --scheduler static",
            "--threads 2 --memory 16M --partitions 1",
        ] {
            let (rows, shared) = run(&dir, &format!("{job} {how}"));
            assert!(rows == expected, "{job} {how}");
            assert!(number(&shared, "reduce_shares") > 1, "{job} {how}: {shared}");
            for name in ["reduce_input_records", "reduce_input_groups", "reduce_output_records"] {
                assert_eq!(number(&shared, name), number(&alone, name), "{job} {how}: {name}");
            }
        }
    }
}

/// Folding rows before they are folded pays only if fewer rows are left.
#[test]
fn a_partition_of_many_groups_is_not_shared() {
    let lines: String = (0..60_000u32).map(|i| format!("line {}\n", i.wrapping_mul(0x9e37_79b9))).collect();
    let dir = Dir::new().file("lines", lines);
    let (rows, counters) =
        run(&dir, "uniq lines --combiner off --split-size 200K --threads 2 --memory 16M --partitions 1");
    assert_eq!((rows.len(), number(&counters, "reduce_shares")), (60_000, 0));
}
