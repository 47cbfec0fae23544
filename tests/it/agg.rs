//! `mapfold agg`: a command line that stands for a spec, and runs as the spec would.

use std::fs;

use crate::harness::{Dir, Ran};

/// A directory with a file of text, whose field is `line`, and a table.
fn dir() -> Dir {
    Dir::new().file("f", "b\na\nb\nc\nb\nc\n").file("sales.csv", "region,amount\nEU,1\n")
}

fn agg(dir: &Dir, words: &[&str]) -> Ran {
    dir.command([&["agg"], words].concat()).run()
}

#[test]
fn it_runs_as_run_does() {
    let dir = dir();
    agg(&dir, &["count", "f"]).printed("6\n");
    agg(&dir, &["-g", "line", "count as n", "f", "--sort=-n", "-n", "2"]).printed("b\t3\nc\t2\n");
    agg(&dir, &["-g", "line", "count", "f", "--where", "line ~ [bc]", "--where", "line != c"]).printed("b\t3\n");
    agg(&dir, &["--group-by=line", "count", "f", "--having", "count < 3", "--sort", "-line"]).printed("c\t2\na\t1\n");
    agg(&dir, &["-g", "line", "count", "f", "--where", "line in (a, \"c\")", "--format", "csv"])
        .printed("line,count\na,1\nc,2\n");
    let piped = dir.command(["agg", "-g", "line", "count"]).stdin("x\ny\nx\n").run();
    piped.printed("x\t2\ny\t1\n");
    agg(&dir, &["count", "f", "-o", "out", "--report", "r.json", "-q"]).printed("");
    assert_eq!(fs::read_to_string(dir.join("out")).unwrap(), "6\n");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    assert_eq!(report["job"]["aggregate"][0]["op"], "count");
    assert!(agg(&dir, &["count", "f", "-v", "-o", "/dev/null"]).stderr().starts_with("agg: "));
}

#[test]
fn the_spec_that_it_prints_is_the_one_that_it_runs() {
    let dir = dir();
    let words = ["-g", "line", "count as n", "f", "--sort=-n,line", "--where", "line != 'a'", "-o", "out"];
    let printed = agg(&dir, &[&words[..], &["--print-spec"]].concat());
    assert_eq!((printed.code(), printed.stderr()), (Some(0), String::new()));
    let expected = r#"{
  "input": ["f"],
  "where": {"and": [{"field": "line", "valid": true}, {"not": {"field": "line", "equal": "a"}}]},
  "group_by": ["line"],
  "aggregate": [{"op": "count", "as": "n"}],
  "sort": ["-n", "line"],
  "output": {"path": "out"}
}
"#;
    assert_eq!(printed.stdout(), expected);
    assert!(!dir.names().contains(&"out".to_owned()));
    let dir = dir.file("printed.json", printed.stdout());
    dir.run("run printed.json").printed("");
    assert_eq!(fs::read_to_string(dir.join("out")).unwrap(), "b\t3\nc\t2\n");
}

#[test]
fn what_is_wrong_is_one_line_and_a_hint() {
    let dir = dir();
    let refused = |words: &[&str], message: &str, hint: &str| agg(&dir, words).refused(message, hint);
    refused(&[], "no AGGS", "mapfold agg -g region 'sum(amount), count' sales.csv");
    refused(&["summ(x)", "f"], "agg: at \"summ(x)\": unknown aggregate \"summ\"", "did you mean sum?");
    refused(
        &["-g", "region", "sales.csv"],
        "agg: at \"sales.csv\": unknown aggregate \"sales.csv\"",
        "AGGS come first, then each INPUT: mapfold agg count sales.csv",
    );
    refused(&["count", "f", "--wehre", "x=1"], "unknown flag \"--wehre\"", "did you mean --where?");
    refused(&["count", "f", "-g", "lin"], "agg: group_by.0: no field \"lin\"", "did you mean \"line\"?");
    refused(&["count", "f", "--sort", "cuont"], "agg: sort.0: no column \"cuont\"", "did you mean \"count\"?");
    let piped = dir.command(["agg", "sum(amount)"]).stdin("amount\n1\n").run();
    piped.refused("agg: aggregate.0.field: no field \"amount\"", "fields: line; to read columns: --read csv, or tsv");
    let frob = "mapfold agg --help lists the flags; if it is a file, write ./--frob";
    refused(&["count", "f", "--frob"], "unknown flag \"--frob\"", frob);
    let slip = "--where: at \"=>1\": unknown comparison \"=>\"";
    refused(&["count", "sales.csv", "--where", "amount=>1"], slip, "did you mean >=?");
    let null = r#"only a spec can test for null, and --print-spec prints one to start from: {"field": "count", "valid": false}"#;
    refused(
        &["count", "f", "--having", "count = null"],
        "--having: at \"null\": no comparison with null is ever true",
        &format!("{null}; for the text null write 'null'"),
    );
    refused(&["count", "none"], "none: no such file or directory", "");
    refused(&["count", "f", "-q", "-v"], "--quiet and --verbose can't be used together", "give only one of them");
    let first = "to take the first of all rows: --limit";
    let no_group = "agg: limit_per_group: needs group_by, which says what a group is";
    refused(&["count", "f", "--per-group", "2"], no_group, first);
    let one = "agg: limit_per_group: with one column in group_by, each \"line\" has one row: there is nothing to take the first of";
    let more = format!("{first}; -g FIRST,SECOND takes the first SECOND of each FIRST");
    refused(&["count", "f", "-g", "line", "--per-group", "2"], one, &more);
}

/// The flags that agg shares with run have the same help.
#[test]
fn help_says_the_grammar() {
    let dir = dir();
    let (short, long) = (dir.run("agg -h").stdout(), dir.run("agg --help").stdout());
    for said in ["'sum(amount) as total", "--where <P>", "--type <COL=TYPE>", "--print-spec", "-n, --limit <N>"] {
        assert!(short.contains(said) && long.contains(said), "{said}: {short}");
    }
    for said in ["AGGS:\n", "Predicates:\n", "--threads <N>", "Exit codes:", "derive", "--per-group <N>"] {
        assert!(long.contains(said) && !short.contains(said), "{said}: {long}");
    }
    assert!(!long.contains("--param"));
}
