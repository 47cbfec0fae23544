use serde_json::json;

use super::*;
use crate::predicate::written::{Literal, Test};

fn spec(text: &str) -> Result<Spec> {
    Document::parse("spec.json", text.as_bytes())?.finish()
}

#[track_caller]
pub fn refused(text: impl AsRef<[u8]>, message: &str, hint: &str) {
    let error = Document::parse("spec.json", text.as_ref()).and_then(Document::finish).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert_eq!(error.hint().unwrap_or_default(), hint);
    assert_eq!(error.exit_code(), 2);
}

#[track_caller]
fn unset(assignment: &str, message: &str, hint: &str) {
    let mut document = builtin::find("wordcount").unwrap().document().unwrap();
    let error = document.set(assignment).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert_eq!(error.hint().unwrap_or_default(), hint);
}

pub fn wordcount_with(assignments: &[&str]) -> Spec {
    let mut document = builtin::find("wordcount").unwrap().document().unwrap();
    for assignment in assignments {
        document.set(assignment).unwrap();
    }
    document.finish().unwrap()
}

const MISSING_TEST: &str =
    "missing a key that says what it does: equal, lt, lte, gt, gte, in, matches, valid, and, or, not";
const PREDICATE: &str = r#"an example: {"field": "line", "matches": "error|warning"}"#;

const EXAMPLE: &str = "an example of a spec: mapfold jobs show wordcount";

#[test]
fn everything_that_counting_needs() {
    let spec = spec(
        r#"{"name": "n", "description": "d", "input": ["a*.txt", "b"], "read": {"format": "text"},
            "map": [{"split": "line", "on": ",", "as": "cell"}], "group_by": ["cell"],
            "aggregate": [{"op": "count", "as": "n"}, {"op": "count"}], "sort": ["-n", "cell"], "limit": 20,
            "output": {"path": "out/", "format": "csv", "header": false, "columns": ["n", "cell"], "part_size": "1M"},
            "run": {"threads": 2, "memory": "512M", "split_size": 65536, "partitions": 4, "spill_dir": "/tmp",
                    "spill_limit": "2G", "compress": "zstd", "scheduler": "stealing", "combiner": "off"}}"#,
    )
    .unwrap();
    assert_eq!(spec.input, [PathBuf::from("a*.txt"), "b".into()].map(Input::Name));
    assert_eq!(json!(spec.map), json!([{"split": "line", "on": ",", "as": "cell"}]));
    assert_eq!(
        spec.aggregate[1],
        Aggregate { op: "count".into(), field: None, name: None, filter: None, by: None, q: None }
    );
    assert_eq!(spec.limit, Some(20));
    assert_eq!(spec.output.format, Some(Format::Csv));
    assert_eq!(spec.output.part_size, Some(1 << 20));
    assert_eq!((spec.run.memory, spec.run.split_size), (Some(512 << 20), Some(65536)));
    assert_eq!(spec.run.combiner, Some(Combiner::Off));
    assert_eq!((spec.run.spill_limit, spec.run.compress), (Some(2 << 30), Some(PageCompression::Zstd)));
    assert_eq!(spec.run.spill_dir, [PathBuf::from("/tmp")]);
}

#[test]
fn every_choice_of_the_schema_is_one_of_the_types() {
    for format in Format::NAMES {
        let spec = spec(&json!({"output": {"format": format}}).to_string()).unwrap();
        assert_eq!(spec.output.format.unwrap().name(), *format);
    }
    for combiner in Combiner::NAMES {
        let spec = spec(&json!({"run": {"combiner": combiner}}).to_string()).unwrap();
        assert_eq!(spec.run.combiner.unwrap().name(), *combiner);
    }
    for compress in PageCompression::NAMES {
        let spec = spec(&json!({"run": {"compress": compress}}).to_string()).unwrap();
        assert_eq!(spec.run.compress.unwrap().name(), *compress);
    }
    for scheduler in Scheduler::NAMES {
        let spec = spec(&json!({"run": {"scheduler": scheduler}}).to_string()).unwrap();
        assert_eq!(spec.run.scheduler.unwrap().name(), *scheduler);
    }
    for format in ReadFormat::NAMES {
        let mut read = json!({"format": format});
        if *format == "regex" {
            read["pattern"] = "(?P<a>.)".into();
        }
        assert_eq!(spec(&json!({"read": read}).to_string()).unwrap().read.format.unwrap().name(), *format);
    }
}

#[test]
fn one_input_is_a_list_of_one() {
    assert_eq!(spec(r#"{"input": "a.txt"}"#).unwrap().input, [Input::Name("a.txt".into())]);
    assert_eq!(spec("{}").unwrap(), Spec::default());
}

#[test]
fn as_run_it_is_a_spec_again() {
    let before = wordcount_with(&["input=a", "run.memory=1M", "output.part_size=5"]);
    let text = serde_json::to_string(&before).unwrap();
    assert_eq!(spec(&text).unwrap(), before);
    assert!(!text.contains("null"), "{text}");
}

#[test]
fn not_json() {
    refused("hello", "spec.json:1:1: not JSON: expected value", EXAMPLE);
    refused("{\n  \"limit\": 5,\n}", "spec.json:3:1: not JSON: trailing comma", "remove the comma");
    for number in
        ["300000000000000000.6", "0.12345678901234567891", "-1.00000000000000000001e3", "18446744073709551616"]
    {
        let text = format!("{{\n  \"where\": {{\"field\": \"1.00000000000000000001\", \"gt\": {number}}}}}");
        let column = text.lines().last().unwrap().find(number).unwrap() + 1;
        let message = format!("spec.json:2:{column}: the number {number} has more digits than numbers of JSON keep");
        refused(
            &text,
            &message,
            &format!("where a field is compared with it, a number in quotes keeps all its digits: \"{number}\""),
        );
    }
    refused("{} {}", "spec.json:1:4: not JSON: trailing characters", "a spec is one JSON object and nothing after it");
    refused("{limit: 5}", "spec.json:1:2: not JSON: key must be a string", "keys are in double quotes");
    for (text, at) in [
        ("{\"limit\": 5, // five\n}", "1:14"),
        ("{\"limit\": 5 // five\n}", "1:13"),
        ("{\n// five\n\"limit\": 5}", "2:1"),
        ("{\"limit\": /* five */ 5}", "1:11"),
        ("{\"limit\": 5} # five", "1:14"),
        ("// a job\n{}", "1:1"),
        ("{\"map\": [ // none\n]}", "1:11"),
    ] {
        let hint = "to say what a job is for, use its \"description\"";
        refused(text, &format!("spec.json:{at}: JSON has no comments"), hint);
    }
    refused(
        "{\"limit\": 5\n\"map\": []}",
        "spec.json:2:1: not JSON: expected `,` or `}`",
        "is a comma missing before this?",
    );
    let hint = r#"in JSON a backslash is written twice: "\\d+" for the pattern \d+"#;
    refused(r#"{"name": "\d+"}"#, "spec.json:1:12: not JSON: invalid escape", hint);
    let hint = "a bracket, brace or quote is not closed, or the file is cut off";
    refused("{\"map\": [", "spec.json:1:9: the JSON ends too early (EOF while parsing a list)", hint);
    refused("{\"map", "spec.json:1:5: the JSON ends too early (EOF while parsing a string)", hint);
    let hint = "a spec is a JSON object: mapfold jobs show wordcount";
    refused("", "spec.json: is empty", hint);
    refused(" \n", "spec.json: is empty", hint);
    let hint = "a spec is UTF-8 text; is this another file, or UTF-16?";
    refused("{\n \0}", "spec.json:2:2: a NUL byte, which JSON can't have", hint);
    refused(b"{\"name\": \"\xff\"}", "spec.json:1:11: not JSON: invalid unicode code point", EXAMPLE);
    assert!(spec("\u{feff}{}").is_ok());
}

#[test]
fn not_an_object() {
    let hint = "an example: mapfold jobs show wordcount";
    refused("[1]", "spec.json: a spec must be a JSON object, this is a list", hint);
    refused("null", "spec.json: a spec must be a JSON object, this is null", hint);
}

#[test]
fn a_key_written_twice() {
    let message = "spec.json:1:29: key \"limit\" is written twice in one object";
    refused(r#"{"limit": 1, "limit": 2     }"#.replace("     ", ""), &message.replace("29", "20"), "");
}

#[test]
fn unknown_keys_name_the_nearest() {
    refused(r#"{"grop_by": []}"#, "spec.json: unknown key \"grop_by\"", "did you mean \"group_by\"?");
    refused(
        r#"{"map": [{"splitt": "line", "on": "words", "as": "word"}]}"#,
        "spec.json: map.0: unknown key \"splitt\"",
        "did you mean \"split\"?",
    );
    refused(
        r#"{"map": [{"split": "line", "onn": "words", "as": "word"}]}"#,
        "spec.json: map.0: unknown key \"onn\"",
        "did you mean \"on\"?",
    );
    refused(
        r#"{"output": {"frobnicate": 1}}"#,
        "spec.json: output: unknown key \"frobnicate\"",
        "known keys: path, format, header, columns, part_size",
    );
    refused(
        r#"{"a.b": 1}"#,
        "spec.json: unknown key \"a.b\"",
        "known keys: name, description, params, input, read, map, where, group_by, aggregate, having, select, sort, limit, \
         limit_per_group, output, deadline, run, $schema",
    );
}

#[test]
fn steps_have_one_key_of_their_own() {
    let hint = "a step may have only one of them; put the other into an object of its own";
    refused(r#"{"map": [{"split": "line", "trim": "line"}]}"#, "spec.json: map.0: both \"split\" and \"trim\"", hint);
    let hint = r#"an example: {"split": "line", "on": "words", "as": "word"}"#;
    refused(
        r#"{"map": [{}]}"#,
        "spec.json: map.0: missing a key that says what it does: split, ngrams, lower, upper, trim, extract, derive, bin, time, explode, filter",
        hint,
    );
    refused(
        r#"{"map": [{"on": "words"}]}"#,
        "spec.json: map.0: missing a key that says what it does: split, ngrams, lower, upper, trim, extract, derive, bin, time, explode, filter",
        hint,
    );
    refused(r#"{"map": [{"split": "line"}]}"#, "spec.json: map.0: missing key \"on\"", "");
    let hint = "it names the new field: \"as\": \"word\"";
    refused(r#"{"map": [{"split": "line", "on": "words"}]}"#, "spec.json: map.0: missing key \"as\"", hint);
    refused(r#"{"map": ["split"]}"#, "spec.json: map.0: must be an object, is \"split\"", "");
}

#[test]
fn wrong_types() {
    for (text, message) in [
        (r#"{"name": 5}"#, "name: must be a string, is 5"),
        (r#"{"name": null}"#, "name: must be a string, is null"),
        (r#"{"group_by": [5]}"#, "group_by.0: must be a string, is 5"),
        (r#"{"limit": "5"}"#, "limit: must be a whole number, is \"5\""),
        (r#"{"limit": -1}"#, "limit: must be a whole number, is -1"),
        (r#"{"limit": 1.5}"#, "limit: must be a whole number, is 1.5"),
        (r#"{"output": {"header": "yes"}}"#, "output.header: must be true or false, is \"yes\""),
        (r#"{"run": []}"#, "run: must be an object, is a list"),
        (r#"{"run": {"memory": true}}"#, "run.memory: must be a size such as \"512M\", is true"),
    ] {
        refused(text, &format!("spec.json: {message}"), "");
    }
    let hint = "put a list in brackets: [{…}]";
    refused(r#"{"map": {"split": "line"}}"#, "spec.json: map: must be a list, is an object", hint);
    refused(r#"{"aggregate": {"op": "count"}}"#, "spec.json: aggregate: must be a list, is an object", hint);
    let hint = "put a list in brackets: [\"word\"]";
    refused(r#"{"group_by": "word"}"#, "spec.json: group_by: must be a list, is \"word\"", hint);
}

#[test]
fn impossible_values() {
    for (text, message, hint) in [
        (r#"{"run": {"threads": 0}}"#, "run.threads: must be at least 1, is 0", ""),
        (r#"{"run": {"threads": 5000}}"#, "run.threads: must be at most 4096, is 5000", ""),
        (r#"{"run": {"threads": 1e30}}"#, "run.threads: must be at most 4096, is 1e+30", ""),
        (r#"{"run": {"memory": 1e30}}"#, "run.memory: 1e+30 is more than 2^64 bytes", ""),
        (r#"{"limit": 1e20}"#, "limit: must be at most 18446744073709551615, is 1e+20", ""),
        (r#"{"run": {"partitions": 0}}"#, "run.partitions: must be at least 1, is 0", ""),
        (r#"{"run": {"split_size": "0K"}}"#, "run.split_size: must be at least 1 byte", ""),
        (r#"{"run": {"memory": -5}}"#, "run.memory: must be a size in bytes, is -5", ""),
        (r#"{"run": {"memory": "5X"}}"#, "run.memory: \"5X\" is not a size", size::HINT),
        (
            r#"{"run": {"combiner": "of"}}"#,
            "run.combiner: must be one of auto, on, off, is \"of\"",
            "did you mean \"off\"?",
        ),
        (
            r#"{"run": {"scheduler": "stealng"}}"#,
            "run.scheduler: must be one of stealing, static, shared, is \"stealng\"",
            "did you mean \"stealing\"?",
        ),
        (
            r#"{"read": {"format": "txt"}}"#,
            "read.format: must be one of text, csv, tsv, jsonl, regex, is \"txt\"",
            "did you mean \"text\"?",
        ),
        (r#"{"group_by": [""]}"#, "group_by.0: must not be empty", ""),
        (r#"{"aggregate": [{"as": "n"}]}"#, "aggregate.0: missing key \"op\"", ""),
    ] {
        refused(text, &format!("spec.json: {message}"), hint);
    }
}

#[test]
fn what_is_promised_is_told_from_what_is_misspelt() {
    for (text, message, hint) in [
        (
            r#"{"aggregate": [{"op": "quantile", "q": 0.5, "field": "x"}]}"#,
            "aggregate.0.op: \"quantile\" is not supported yet",
            "supported: count, sum, min, max, mean, variance, variance_pop, stddev, stddev_pop, approx_distinct, approx_quantile, first, last, argmin, argmax",
        ),
        (
            r#"{"aggregate": [{"op": "medain"}]}"#,
            "aggregate.0.op: must be one of count, sum, min, max, mean, variance, variance_pop, stddev, stddev_pop, approx_distinct, approx_quantile, first, last, argmin, argmax, is \"medain\"",
            "did you mean \"median\"?",
        ),
        (r#"{"aggregate": [{"count": "x"}]}"#, "aggregate.0: unknown key \"count\"", "did you mean \"op\": \"count\"?"),
        (
            r#"{"aggregate": [{"frob": "x"}]}"#,
            "aggregate.0: unknown key \"frob\"",
            "known keys: op, field, as, where, q, by",
        ),
        (r#"{"limit_per_grup": 1}"#, "unknown key \"limit_per_grup\"", "did you mean \"limit_per_group\"?"),
        (
            r#"{"map": [{"frobnicate": "a"}]}"#,
            "map.0: unknown key \"frobnicate\"",
            "a step is one of: split, ngrams, lower, upper, trim, extract, derive, bin, time, explode, filter; \
             an example: {\"split\": \"line\", \"on\": \"words\", \"as\": \"word\"}",
        ),
        (r#"{"input": [{"path": "a", "read": {"format": "csv"}}]}"#, "input.0.read: not supported yet", ""),
    ] {
        refused(text, &format!("spec.json: {message}"), hint);
    }
}

/// Names that other tools use for something that has another name here.
#[test]
fn names_from_elsewhere() {
    let ops = "must be one of count, sum, min, max, mean, variance, variance_pop, stddev, stddev_pop, \
               approx_distinct, approx_quantile, first, last, argmin, argmax, is";
    for (op, right) in [("cnt", "count"), ("avg", "mean")] {
        let text = format!(r#"{{"aggregate": [{{"op": "{op}", "field": "x"}}]}}"#);
        let hint = format!("did you mean {right:?}?");
        refused(text, &format!("spec.json: aggregate.0.op: {ops} {op:?}"), &hint);
    }
    for (test, right) in [("eq", "equal"), ("==", "equal"), ("regex", "matches"), ("ge", "gte")] {
        let text = format!(r#"{{"where": {{"field": "x", "{test}": "a"}}}}"#);
        refused(text, &format!("spec.json: where: unknown key {test:?}"), &format!("did you mean {right:?}?"));
    }
    refused(r#"{"order_by": ["x"]}"#, "spec.json: unknown key \"order_by\"", "did you mean \"sort\"?");
    assert!(builtin::find("wc").err().unwrap().hint().unwrap().starts_with("did you mean \"wordcount\"?"));
}

#[test]
fn literals_to_split_on() {
    let on = |text: &str| spec(&json!({"map": [{"split": "line", "on": text, "as": "x"}]}).to_string());
    for literal in [",", ", ", "a", "and", "\t", "ß", " word ", "\0"] {
        assert!(on(literal).is_ok(), "{literal:?}");
    }
    assert_eq!(on("").unwrap_err().to_string(), "spec.json: map.0.on: must not be empty");
    for almost in ["word", "Words", "white space", "whitespaces", "letter", "char"] {
        assert_eq!(on(almost).is_err(), almost != "white space", "{almost}");
    }
    assert!(on("word").unwrap_err().hint().unwrap().starts_with("did you mean \"words\"?"));
}

#[test]
fn set_overrides() {
    let spec = wordcount_with(&[
        "limit=5",
        "map.0.on=whitespace",
        "sort=[\"word\"]",
        "output.columns=[\"count\",\"word\"]",
        "run.memory=1G",
        "run.threads=3",
        "name=5",
        "description=a=b",
        "aggregate.1={\"op\": \"count\", \"as\": \"again\"}",
        "group_by.0=word",
    ]);
    assert_eq!(spec.limit, Some(5));
    assert_eq!(json!(spec.map), json!([{"split": "line", "on": "whitespace", "as": "word"}]));
    assert_eq!(spec.sort, [SortBy::Named("word".into())]);
    assert_eq!(spec.output.columns.unwrap(), ["count", "word"]);
    assert_eq!((spec.run.memory, spec.run.threads), (Some(1 << 30), Some(3)));
    assert_eq!((spec.name.unwrap(), spec.description.unwrap()), ("5".into(), "a=b".into()));
    assert_eq!(spec.aggregate.len(), 2);
}

#[test]
fn set_makes_what_is_missing_and_null_takes_away() {
    let mut document = Document::parse("spec.json", b"{\"limit\": 5}").unwrap();
    for set in [
        "map.0.as=w",
        "map.0.on=,",
        "map.0.split=line",
        "input=a",
        "input.1=b",
        "limit=null",
        "aggregate.0.op=count",
        "aggregate.0=null",
    ] {
        document.set(set).unwrap();
    }
    let spec = document.finish().unwrap();
    assert_eq!(json!(spec.map), json!([{"split": "line", "on": ",", "as": "w"}]));
    assert_eq!(spec.input, [PathBuf::from("a"), "b".into()].map(Input::Name));
    assert_eq!(spec.limit, None);
    assert!(spec.aggregate.is_empty());
}

/// For a key of any kind: a text, a choice, a size, a span of time, an input.
#[test]
fn null_is_never_text() {
    let mut spec = wordcount_with(&[
        "output.path=out",
        "output.path=null",
        "output.format=null",
        "read.format=null",
        "run.memory=null",
        "deadline.timeout=null",
        "name=null",
        "input=a",
        "input=null",
        "read.null.0=null",
        "group_by.0=null",
        "group_by.0=word",
    ]);
    assert_eq!(spec.name.take(), None);
    let same = wordcount_with(&["read={}"]);
    assert_eq!(spec, Spec { name: None, ..same });
    // In a list, null is text, and so is the value of a param.
    assert_eq!(wordcount_with(&["read.format=csv", "read.null=[\"null\"]"]).read.null, ["null"]);
    let mut document = builtin::find("grep").unwrap().document().unwrap();
    document.param("pattern=null").unwrap();
    assert!(json!(document.finish().unwrap()).to_string().contains(r#""matches":"null""#));
}

#[test]
fn set_in_order_the_last_wins() {
    assert_eq!(wordcount_with(&["limit=5", "limit=6"]).limit, Some(6));
    assert_eq!(wordcount_with(&["input=[\"a\", \"b\"]", "input=c"]).input, [Input::Name("c".into())]);
}

#[test]
fn set_refusals() {
    unset("limit", "--set limit: no \"=\"", "--set PATH=VALUE, such as --set limit=5");
    unset("limit=abc", "--set: limit: must be a whole number, is \"abc\"", "");
    unset("limit=-5", "--set: limit: must be a whole number, is -5", "");
    unset("limt=5", "--set: unknown key \"limt\"", "did you mean limit?");
    unset("map.0.onn=x", "--set: map.0: unknown key \"onn\"", "did you mean map.0.on?");
    unset(
        "map.on=x",
        "--set: map: is a list, and \"on\" is not the number of an element",
        "its first element is map.0",
    );
    unset("map.5.on=x", "--set: map: has no element 5, it is a list of 1", "elements are counted from 0");
    unset("limit.0=x", "--set: limit: is a single value, and has no \"0\" in it", "");
    unset("sort=-count", "--set: sort: must be a list, is \"-count\"", "--set sort='[\"-count\"]'");
    unset(
        "sort=-count, word",
        "--set: sort: must be a list, is \"-count, word\"",
        "--set sort='[\"-count\", \"word\"]'",
    );
    let quotes = "put text in double quotes, and all of it in single quotes for the shell: ";
    for text in ["[count,line]", "[\"count\",line]", "['count', 'line']", "[count, line"] {
        let hint = format!("{quotes}--set output.columns='[\"count\", \"line\"]'");
        unset(&format!("output.columns={text}"), &format!("--set: output.columns: is not JSON: {text}"), &hint);
    }
    let hint = format!("{quotes}--set input='[\"a\", \"b\"]'");
    unset("input=[a,b]", "--set: input: is not JSON: [a,b]", &hint);
    let hint = format!("{quotes}--set where='{{\"field\": \"line\", \"matches\": \"error|warning\"}}'");
    unset("where={field: line}", "--set: where: is not JSON: {field: line}", &hint);
    unset(
        "output={format: csv}",
        "--set: output: is not JSON: {format: csv}",
        &format!("{quotes}'{{\"a\": [\"b\", 1]}}'"),
    );
    unset("limit=99999999999999999999", "--set: limit: must be at most 18446744073709551615, is 1e+20", "");
    unset("output.header=yes", "--set: output.header: must be true or false, is \"yes\"", "");
    unset("run.memory=5X", "--set: run.memory: \"5X\" is not a size", size::HINT);
    unset("run.combiner=maybe", "--set: run.combiner: must be one of auto, on, off, is \"maybe\"", "");
    unset("where=x", "--set: where: must be an object in JSON, is \"x\"", "");
    unset("where={}", &format!("--set: where: {MISSING_TEST}"), PREDICATE);
    unset("limit_per_group=x", "--set: limit_per_group: must be a whole number, is \"x\"", "");
    unset("output.partitions=2", "--set: output.partitions: not supported yet", "");
    unset("deadline.timeout=soon", "--set: deadline.timeout: \"soon\" is not a span of time", crate::units::span::HINT);
    unset("deadline.on_timeout=wait", "--set: deadline.on_timeout: must be one of fail, partial, is \"wait\"", "");
    let all = "--set: read.preset: must be one of common-log, combined-log, syslog, is \"nginx\"";
    unset("read.preset=nginx", all, "");
    unset(
        "a\\.b=x",
        "--set: unknown key \"a.b\"",
        &Document::parse("s", b"{\"a.b\":1}").unwrap().finish().unwrap_err().hint().unwrap(),
    );
    unset(
        "=x",
        "--set: unknown key \"\"",
        &Document::parse("s", b"{\"\":1}").unwrap().finish().unwrap_err().hint().unwrap(),
    );
}

#[test]
fn flags_are_named_in_what_is_wrong_with_them() {
    let mut document = builtin::find("wordcount").unwrap().document().unwrap();
    let error = document.set_flag("--threads", "run.threads", "0").unwrap_err();
    assert_eq!(error.to_string(), "--threads: must be at least 1, is 0");
    let error = document.set_flag("--memory", "run.memory", "much").unwrap_err();
    assert_eq!(error.to_string(), "--memory: \"much\" is not a size");
    document.set_flag("--combiner", "run.combiner", "off").unwrap();
    assert_eq!(document.finish().unwrap().run.combiner, Some(Combiner::Off));
}

#[test]
fn predicates() {
    let filter = |text: &str| spec(&format!(r#"{{"where": {text}}}"#)).unwrap().filter.unwrap();
    let cell = |field: &str, test| Predicate::Field { field: field.into(), test };
    assert_eq!(filter(r#"{"field": "a", "matches": "x+"}"#), cell("a", Test::Matches("x+".into())));
    assert_eq!(
        filter(r#"{"gte": 1.5, "field": "a"}"#),
        cell("a", Test::Gte(Literal::Number(serde_json::Number::from_f64(1.5).unwrap())))
    );
    assert_eq!(
        filter(r#"{"or": [{"not": {"field": "a", "valid": true}}, {"and": []}, {"field": "b", "in": ["x", 2]}]}"#),
        Predicate::Or {
            or: vec![
                Predicate::Not { not: Box::new(cell("a", Test::Valid(true))) },
                Predicate::And { and: vec![] },
                cell("b", Test::In(vec![Literal::Text("x".into()), Literal::Number(2.into())])),
            ]
        }
    );
    let refused = |predicate: &str, message: &str, hint: &str| {
        refused(format!(r#"{{"where": {predicate}}}"#), &format!("spec.json: {message}"), hint);
    };
    refused("{}", &format!("where: {MISSING_TEST}"), PREDICATE);
    refused(r#"{"field": "a"}"#, &format!("where: {MISSING_TEST}"), PREDICATE);
    refused(r#"{"equal": "a"}"#, "where: missing key \"field\"", "");
    refused(r#"{"field": "a", "match": "b"}"#, "where: unknown key \"match\"", "did you mean \"matches\"?");
    refused(
        r#"{"field": "a", "gt": 1, "lt": 2}"#,
        "where: both \"lt\" and \"gt\"",
        "a predicate may have only one of them; put the other into an object of its own",
    );
    let hint = r#"true and false of JSON are compared as those words: "true""#;
    refused(r#"{"field": "a", "equal": true}"#, "where.equal: must be a string or a number, is true", hint);
    refused(r#"{"not": [{"field": "a", "valid": 1}]}"#, "where.not: must be an object, is a list", "");
    refused(r#"{"and": [{"field": "a", "valid": 1}]}"#, "where.and.0.valid: must be true or false, is 1", "");
}

#[test]
fn steps() {
    for step in [
        r#"{"ngrams": "line", "of": "words", "n": 2, "as": "x"}"#,
        r#"{"extract": "line", "pattern": "a", "as": "x"}"#,
        r#"{"extract": "line", "pattern": "a", "as": "x", "group": 1, "all": true}"#,
        r#"{"extract": "line", "pattern": "a", "as": "x", "group": "n"}"#,
    ] {
        let spec = spec(&format!(r#"{{"map": [{step}]}}"#)).unwrap();
        assert_eq!(json!(spec.map[0]), serde_json::from_str::<Value>(step).unwrap());
    }
    let hint = "";
    refused(
        r#"{"map": [{"ngrams": "line", "of": "words", "n": 0, "as": "x"}]}"#,
        "spec.json: map.0.n: must be at least 1, is 0",
        hint,
    );
    refused(
        r#"{"map": [{"extract": "line", "pattern": "a", "as": "x", "group": -1}]}"#,
        "spec.json: map.0.group: must be the number of a group, or its name, is -1",
        hint,
    );
}

#[test]
fn a_group_without_anything() {
    let hint = r#"for one group of all records: "aggregate": [{"op": "count"}]; to write the records themselves, leave it out"#;
    refused(r#"{"group_by": []}"#, "spec.json: group_by: must not be empty without an aggregate", hint);
    for aggregate in [r#"[{"op": "count"}]"#, "[]"] {
        assert!(spec(&format!(r#"{{"group_by": [], "aggregate": {aggregate}}}"#)).is_ok(), "{aggregate}");
    }
}

#[test]
fn a_header_that_no_row_can_be() {
    let hint = "leave it out: the names of the columns are the keys of each object";
    let output = |header: bool, format: &str| json!({"output": {"format": format, "header": header}}).to_string();
    refused(output(true, "jsonl"), "spec.json: output.header: is true, but jsonl has no header", hint);
    assert!(spec(&output(false, "jsonl")).is_ok());
    for format in Format::NAMES.iter().filter(|format| **format != "jsonl") {
        assert_eq!(spec(&output(true, format)).unwrap().output.header, Some(true));
    }
}
