//! `limit_per_group` on the command line: `agg --per-group`, jobs of records, what is refused, and what explain, verify,
//! bench and the report say about such jobs.

use serde_json::{Value, json};

use crate::harness::Dir;

/// JSON values keep their types: a number and the same text are two groups, and equal numbers are one.
#[test]
fn groups_of_json_values() {
    let lines = [
        r#"{"k":1,"v":5}"#,
        r#"{"k":"1","v":6}"#,
        r#"{"k":1.0,"v":7}"#,
        r#"{"v":8}"#,
        r#"{"k":null,"v":9}"#,
        r#"{"k":[1],"v":1}"#,
    ];
    let dir = Dir::new().file("a.jsonl", lines.join("\n")).file(
        "job.json",
        r#"{"group_by": ["k"], "limit_per_group": 1, "select": ["k", "v"], "sort": ["-v"], "output": {"format": "jsonl"}}"#,
    );
    let expected = "{\"k\":null,\"v\":9}\n{\"k\":\"1\",\"v\":6}\n{\"k\":1.0,\"v\":7}\n{\"k\":[1],\"v\":1}\n";
    let ran = dir.run("run ./job.json a.jsonl");
    let mut found: Vec<_> = ran.stdout().lines().map(str::to_owned).collect();
    let mut wanted: Vec<_> = expected.lines().map(str::to_owned).collect();
    assert_eq!(found.first(), wanted.first(), "null comes first: {}", ran.stdout());
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

const CITIES: &str =
    "country,city,people\nde,Bonn,3\nfr,Lyon,5\nde,Köln,10\nfr,Nice,\nde,Berlin,36\nfr,Paris,21\nus,Reno,2\n";

fn cities() -> Dir {
    Dir::new().file("c.csv", CITIES)
}

#[test]
fn agg_takes_the_first_rows_of_each_group() {
    let dir = cities();
    let agg = "agg -g country,city sum(people)";
    let largest = "de\tBerlin\t36\nde\tKöln\t10\nfr\tParis\t21\nfr\tLyon\t5\nus\tReno\t2\n";
    dir.run(&format!("{agg} c.csv --per-group 2 --sort=-sum(people)")).printed(largest);
    dir.run(&format!("{agg} c.csv --per-group 2 --sort=-sum(people) -n 3"))
        .printed("de\tBerlin\t36\nde\tKöln\t10\nfr\tParis\t21\n");
    dir.run(&format!("{agg} c.csv --per-group 1 --sort=-country"))
        .printed("us\tReno\t2\nfr\tLyon\t5\nde\tBerlin\t36\n");
    dir.run(&format!("{agg} c.csv --per-group 0")).printed("");
    // The order says which rows are the first, so only their sequence is free.
    let mut lines: Vec<_> = largest.lines().collect();
    let unordered = dir.run(&format!("{agg} c.csv --per-group 2 --sort=-sum(people) --unordered")).stdout();
    let mut found: Vec<_> = unordered.lines().collect();
    lines.sort();
    found.sort();
    assert_eq!(found, lines);
    let spec = dir.run(&format!("{agg} c.csv --per-group 2 --print-spec")).stdout();
    assert!(spec.contains("\"limit_per_group\": 2"), "{spec}");
}

#[test]
fn records_of_each_group() {
    let dir = cities().file(
        "job.json",
        r#"{"group_by": ["country"], "limit_per_group": 1, "select": ["city"], "sort": [{"descending": "city"}]}"#,
    );
    // The group's column need not be written.
    dir.run("run ./job.json c.csv").printed("Köln\nParis\nReno\n");
    // Without an order the first are those of the input.
    dir.run("run ./job.json c.csv --set sort=null").printed("Bonn\nLyon\nReno\n");
    dir.run("run ./job.json c.csv --set limit=2 --set select=null").printed("de\tKöln\t10\nfr\tParis\t21\n");
}

#[test]
fn what_is_refused() {
    let job = |keys: &str| Dir::new().file("c.csv", CITIES).file("job.json", format!("{{{keys}}}"));
    let refused = |keys: &str, message: &str, hint: &str| {
        job(keys).run("run ./job.json c.csv").refused(&format!("./job.json: {message}"), hint);
    };
    let first = "to take the first of all rows: limit";
    refused(r#""limit_per_group": 2"#, "limit_per_group: needs group_by, which says what a group is", first);
    let count = r#""aggregate": [{"op": "count"}], "limit_per_group": 2"#;
    refused(count, "limit_per_group: needs group_by, which says what a group is", first);
    refused(
        &format!(r#""group_by": ["city"], {count}"#),
        "limit_per_group: with one column in group_by, each \"city\" has one row: there is nothing to take the first of",
        &format!(r#"{first}; "group_by": ["first", "second"] takes the first rows of each first"#),
    );
    let records = r#""group_by": ["country"], "limit_per_group": 2"#;
    refused(
        &format!(r#"{records}, "having": {{"field": "city", "valid": true}}"#),
        "having: is for groups, but this job has none",
        "for records use \"where\"",
    );
    refused(&format!(r#"{records}, "sort": ["-cty"]"#), "sort.0: no column \"cty\"", "did you mean \"city\"?");
    refused(
        r#""group_by": ["country", "country"], "limit_per_group": 2"#,
        "group_by.1: column \"country\" is named twice",
        "",
    );
    refused(
        r#""group_by": ["contry"], "limit_per_group": 2"#,
        "group_by.0: no field \"contry\"",
        "did you mean \"country\"?",
    );
    refused(
        r#""group_by": ["city"], "sort": [{"ascending": "city", "number": true}]"#,
        "sort.0.ascending: only records can be sorted by \"city\" as a number",
        "a column of groups is a number if an aggregate or read.types makes it one",
    );
    refused(r#""sort": ["city", {"descending": "city"}]"#, "sort.1.descending: column \"city\" is named twice", "");
}

#[test]
fn explain_says_what_is_kept() {
    let dir = cities();
    let words = |ran: &str| ran.split_whitespace().collect::<Vec<_>>().join(" ");
    let top = "top-per-group --group country --by people --n 2 c.csv";
    let said = words(&dir.run(&format!("explain {top}")).stdout());
    assert!(said.contains("order country, -people, then as in the input; of each country the first 2 rows"), "{said}");
    let spec = r#"{"group_by": ["country", "city"], "aggregate": [{"op": "count"}], "sort": ["-country"], "limit_per_group": 1}"#;
    let dir = dir.file("job.json", spec);
    let said = words(&dir.run("explain ./job.json c.csv --set limit=5").stdout());
    assert!(said.contains("order -country, city; of each country the first 1 row; the first 5 rows"), "{said}");
    let told: Value = serde_json::from_str(&dir.run("explain ./job.json c.csv --json").stdout()).unwrap();
    assert_eq!(told["plan"]["limit_per_group"], json!({"group": ["country"], "limit": 1}));
    for command in
        [&format!("verify {top}"), "verify ./job.json c.csv", &format!("bench {top} --vary threads=1,2 --runs 2")]
    {
        let ran = dir.run(command);
        assert_eq!(ran.code(), Some(0), "{command}: {}", ran.stderr());
    }
}

/// Ranks are those of all rows. With a partial result it isn't known which rows another group's rows push out.
#[test]
fn no_rank_is_certain() {
    let dir = cities();
    let slow = "--from-command";
    let mut args =
        vec!["agg", "-g", "country,city", "count", "c.csv", "--read", "csv", slow, "sh -c 'cat c.csv; sleep 30'"];
    args.extend([
        "--per-group",
        "1",
        "--sort=-count",
        "-n",
        "2",
        "--timeout",
        "1s",
        "--on-timeout",
        "partial",
        "--report",
        "r.json",
    ]);
    let ran = dir.command(args).run();
    assert_eq!(ran.code(), Some(3), "{}", ran.stderr());
    let report: Value = serde_json::from_slice(&std::fs::read(dir.join("r.json")).unwrap()).unwrap();
    let why = "limit_per_group ranks the rows of each group, not all rows";
    assert_eq!(report["certain_ranks"], json!({"ranges": [], "unknown": why}));
}
