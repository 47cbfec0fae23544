use clap::FromArgMatches;

use super::*;

/// Returns the spec that the words after `mapfold agg` stand for, as it is printed.
fn spec(words: &[&str]) -> Result<String> {
    let command = <Args as clap::Args>::augment_args(clap::Command::new("agg"));
    let matches = command.get_matches_from([&["agg"], words].concat());
    let args = Args::from_arg_matches(&matches).unwrap();
    Ok(print::spec(&args.changes.apply(document(&args)?)?.spec).unwrap())
}

#[track_caller]
fn refused(words: &[&str], message: &str, hint: &str) {
    let error = spec(words).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default().as_str()), (message, hint));
}

#[test]
fn a_line_stands_for_a_spec() {
    let words = [
        "-g",
        "region,\"a, b\"",
        "sum(amount) as revenue, mean(ms), count",
        "sales.csv",
        "--where",
        "status>=500",
        "--where",
        "city != Rome",
        "--having",
        "mean(ms) > 5",
        "--sort=-revenue,mean(ms)",
        "-n",
        "10",
        "--type",
        "ms=float",
        "--threads",
        "2",
    ];
    let expected = r#"{
  "input": ["sales.csv"],
  "read": {"types": {"ms": "float"}},
  "where": {"and": [{"field": "status", "gte": 500}, {"and": [{"field": "city", "valid": true}, {"not": {"field": "city", "equal": "Rome"}}]}]},
  "group_by": ["region", "a, b"],
  "aggregate": [{"op": "sum", "field": "amount", "as": "revenue"}, {"op": "mean", "field": "ms", "as": "mean(ms)"}, {"op": "count"}],
  "having": {"field": "mean(ms)", "gt": 5},
  "sort": ["-revenue", "mean(ms)"],
  "limit": 10,
  "run": {"threads": 2}
}
"#;
    assert_eq!(spec(&words).unwrap(), expected);
    // The printed text is a spec.
    let again = Document::parse("again.json", expected.as_bytes()).unwrap().finish().unwrap();
    assert_eq!(print::spec(&again).unwrap(), expected);
}

#[test]
fn fields_by_position() {
    let words = ["-g", "$1", "mean($2)", "--no-header", "--delimiter", ";", "--where", "$2 > 0"];
    let expected = r#"{
  "read": {"format": "csv", "header": false, "delimiter": ";"},
  "where": {"field": "$2", "gt": 0},
  "group_by": ["$1"],
  "aggregate": [{"op": "mean", "field": "$2", "as": "mean($2)"}]
}
"#;
    assert_eq!(spec(&words).unwrap(), expected);
    let hint = "give --no-header if it doesn't; if a field has this name, put it in quotes: \"$2\"";
    let message = |flag: &str| format!("{flag}: $2 means a field by its position, but the first row names the fields");
    refused(&["sum($2)"], &message("agg"), hint);
    refused(&["count", "-g", "a,$2"], &message("-g"), hint);
    refused(&["count", "--where", "$2=1"], &message("--where"), hint);
    assert!(spec(&["sum(\"$2\")", "-g", "\"$2\",$x"]).unwrap().contains(r#""group_by": ["$2", "$x"]"#));
}

#[test]
fn set_and_other_flags_override_it() {
    let text =
        spec(&["count", "--set", "read.format=tsv", "--set", "aggregate.0.as=n", "--sort", "-n", "--read", "csv"]);
    assert!(
        text.unwrap()
            .contains("\"read\": {\"format\": \"tsv\"},\n  \"aggregate\": [{\"op\": \"count\", \"as\": \"n\"}],")
    );
}

#[test]
fn what_is_wrong_names_its_flag() {
    refused(&["count", "--type", "x"], "--type x: no \"=\"", "--type COL=TYPE, such as --type amount=float");
    refused(
        &["count", "--type", "a=b=flot"],
        "--type a=b: must be one of string, int, float, decimal, timestamp, is \"flot\"",
        "did you mean \"float\"?",
    );
    refused(&["count", "--type", "a=int", "--type", "a=int"], "--type a: is given twice", "");
    refused(&["count", "--per-group", "x"], "--per-group: must be a whole number, is \"x\"", "");
    let formats = "--read: must be one of text, csv, tsv, jsonl, regex, is \"json\"";
    refused(&["count", "--read", "json"], formats, "did you mean \"jsonl\"?");
    refused(
        &["count", "--delimiter", "::"],
        "--delimiter: must be one ASCII character, is \"::\"",
        r#"such as ",", ";" or "\t""#,
    );
    let csv = "to read them in this format: --set read.format=csv";
    let message = "agg: read.delimiter: is only for csv, but the inputs are read as text";
    refused(&["count", "--delimiter", ";", "--read", "text"], message, csv);
    refused(&["count", "-g", "a,"], "-g: a name is empty", "separate names by commas: a,b");
    refused(&["count", "-n", "x"], "--limit: must be a whole number, is \"x\"", "");
}

#[test]
fn what_a_call_takes() {
    refused(&["sum"], "agg: sum needs a field", "an example: sum(amount)");
    refused(&["p99"], "agg: p99 needs a field", "an example: p99(amount)");
    refused(&["sum(a, b)"], "agg: sum takes one field", "write one aggregate for each field: sum(a), sum(b)");
    refused(&["p99(a, 1)"], "agg: p99 takes one field", "write one aggregate for each field: p99(a), p99(b)");
    refused(
        &["approx_distinct(a, b)"],
        "agg: approx_distinct takes one field",
        "write one aggregate for each field: approx_distinct(a), approx_distinct(b)",
    );
    refused(
        &["approx_quantile(a)"],
        "agg: approx_quantile takes a field and \"q\"",
        "an example: approx_quantile(ms, 0.99)",
    );
    refused(&["quantile(a)"], "agg: quantile takes a field and \"q\"", "an example: quantile(ms, 0.99)");
    refused(
        &["sum(distinct a)"],
        "agg: sum(distinct a): distinct works only with count and list",
        "count(distinct x) counts the different values, list(distinct x) lists them",
    );
    // The grammar has these aggregates, but the spec says that they aren't supported yet.
    for (agg, op) in [
        ("count(distinct a)", "distinct"),
        ("p99.9(a)", "quantile"),
        ("quantile(a, 0.5)", "quantile"),
        ("list(distinct a)", "list"),
    ] {
        let message = format!("agg: aggregate.0.op: {op:?} is not supported yet");
        refused(
            &[agg],
            &message,
            "supported: count, sum, min, max, mean, variance, variance_pop, stddev, stddev_pop, approx_distinct, approx_quantile, first, last, argmin, argmax",
        );
    }
}
