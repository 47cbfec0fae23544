//! Partitions that don't fit their memory: they are reduced and sorted in parts, and the parts are merged.

use crate::harness::{Dir, Ran};

/// The least memory, so that much is spilled with little input.
const LITTLE: &str = "--memory 14M --threads 1 --report r.json --force";

/// The most sorted runs that are merged at once in so little memory, at least.
const FAN_IN: u64 = 14;

fn spills(dir: &Dir) -> u64 {
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("r.json")).unwrap()).unwrap();
    report["counters"]["reduce_spills"].as_u64().unwrap()
}

fn succeeded(ran: &Ran) {
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
}

/// Numbers from 0 to `count` in an order without pattern, each `times` times.
fn scattered(count: u64, times: u64) -> Vec<u64> {
    (0..count * times).map(|i| i * 2_654_435_761 % count).collect()
}

fn lines(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().map(|n| format!("{n:024}\n")).collect()
}

#[test]
fn one_partition_of_any_number_of_groups() {
    const GROUPS: u64 = 160_001;
    let dir = Dir::new().file("lines", lines(scattered(GROUPS, 2)));
    let row = |n: u64| format!("{n:024}\t2\n");
    let all: String = (0..GROUPS).map(row).collect();
    let run = |settings: &str| {
        let ran = dir.run(&format!("run uniq lines --partitions 1 --combiner off {LITTLE} {settings}"));
        succeeded(&ran);
        ran.stdout()
    };
    assert!(run("") == all);
    // More sorted runs than are merged at once: some were merged in a first pass.
    assert!(spills(&dir) > 2 * FAN_IN, "{}", spills(&dir));
    assert!(run("--sort=-line") == (0..GROUPS).rev().map(row).collect::<String>());
    assert!(run("--sort=count,line") == all);
    assert!(run("-n 3") == (0..3).map(row).collect::<String>());
    assert!(run("--sort=-count,-line -n 3") == (GROUPS - 3..GROUPS).rev().map(row).collect::<String>());
    let unordered = run("--unordered");
    let mut rows: Vec<_> = unordered.split_inclusive('\n').collect();
    rows.sort_unstable();
    assert!(rows.concat() == all);
    assert!(spills(&dir) > 2 * FAN_IN, "{}", spills(&dir));
}

/// No range can be cut where all sort keys are equal. Records then stay in input order, however they are merged.
#[test]
fn equal_sort_keys_beyond_memory() {
    let numbers = scattered(120_001, 1);
    let rows: String = numbers.iter().map(|n| format!("{},{n}\n", if n % 1000 == 7 { "a" } else { "b" })).collect();
    let dir = Dir::new().file("t.csv", format!("key,n\n{rows}"));
    let spec = r#"{"read": {"format": "csv"}, "sort": ["key"], "output": {"format": "csv"}}"#;
    let dir = dir.file("sorted.json", spec);
    let ran = dir.run(&format!("run sorted.json t.csv {LITTLE}"));
    succeeded(&ran);
    let of = |key: &str| rows.split_inclusive('\n').filter(|row| row.starts_with(key)).collect::<String>();
    assert!(ran.stdout() == format!("key,n\n{}{}", of("a"), of("b")));
    assert!(spills(&dir) > 1, "{}", spills(&dir));
}

/// A key with nearly all rows beside many keys of one row.
#[test]
fn skew_beyond_memory() {
    let numbers = scattered(40_001, 1);
    let rows = numbers.iter().flat_map(|n| [*n, 5, 5, 5, 5, 5, 5, 5, 5, 5]);
    let dir = Dir::new().file("lines", lines(rows));
    let expected: String =
        (0..40_001).map(|n| format!("{n:024}\t{}\n", if n == 5 { 9 * 40_001 + 1 } else { 1 })).collect();
    for settings in ["--combiner off", "--combiner on", "--combiner off --partitions 1"] {
        let ran = dir.run(&format!("run uniq lines {LITTLE} {settings}"));
        succeeded(&ran);
        assert!(ran.stdout() == expected, "{settings}");
    }
    assert!(spills(&dir) > 1, "{}", spills(&dir));
}

/// Sorted input from a pipe: the first block, of 16 MiB, shows none of the later keys, so the last range gets them all.
#[test]
fn the_first_block_shows_none_of_the_later_keys() {
    const LINES: u64 = 900_000;
    let dir = Dir::new();
    let input = lines(0..LINES);
    let expected: String = (0..LINES).map(|n| format!("{n:024}\t1\n")).collect();
    let words: Vec<_> = ["run", "uniq", "-"].into_iter().chain(LITTLE.split(' ')).collect();
    let ran = dir.command(words).stdin(input.into_bytes()).run();
    succeeded(&ran);
    assert!(ran.stdout() == expected);
    assert!(spills(&dir) > 1, "{}", spills(&dir));
}

/// Few files may be open: fewer sorted runs are merged at once, in more passes.
#[test]
fn few_open_files() {
    const GROUPS: u64 = 120_001;
    let dir = Dir::new().file("lines", lines(scattered(GROUPS, 1)));
    let mut command = std::process::Command::new("bash");
    let settings = "--partitions 1 --threads 4 --memory 20M --report r.json";
    let script = format!("ulimit -n 64; exec $M run uniq lines {settings}");
    let ran =
        command.current_dir(dir.path()).env("M", env!("CARGO_BIN_EXE_mapfold")).args(["-c", &script]).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.stdout == (0..GROUPS).map(|n| format!("{n:024}\t1\n")).collect::<String>().as_bytes());
    assert!(spills(&dir) > 10, "{}", spills(&dir));
}

/// The length of a pipe isn't known beforehand. Its records are divided all the same, so that each range fits.
#[test]
fn a_pipe_is_sorted_in_ranges() {
    let spec = r#"{"read": {"format": "text"}, "sort": ["line"]}"#;
    let dir = Dir::new().file("sorted.json", spec);
    let settings = "run sorted.json - --memory 16M --threads 1 --report r.json";
    let ran = dir.command(settings.split(' ')).stdin(lines(scattered(160_001, 1)).into_bytes()).run();
    succeeded(&ran);
    assert!(ran.stdout() == lines(0..160_001));
    assert_eq!(spills(&dir), 0);
}
