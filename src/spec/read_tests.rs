//! Tests of `read` and `aggregate` of a spec: what is accepted, what is refused, and that values are written back
//! unchanged.

use super::tests::{refused as refused_spec, wordcount_with};
use super::*;
use crate::record::pattern::Pattern;

fn spec(text: &str) -> Result<Spec> {
    Document::parse("spec.json", text.as_bytes())?.finish()
}

#[track_caller]
fn refused(text: &str, message: &str, hint: &str) {
    refused_spec(format!("{{{text}}}"), &format!("spec.json: {message}"), hint);
}

const CSV: &str = r#"{"read": {"format": "csv", "fields": ["key", "value"], "delimiter": ";", "null": ["n/a", ""],
    "types": {"value": "decimal", "key": "string"}, "on_error": {"skip_up_to": 0.01, "save_to": "bad.txt"},
    "max_record": "1M"}}"#;

#[test]
fn everything_that_reading_takes() {
    let read = spec(CSV).unwrap().read;
    assert_eq!(read.format, Some(ReadFormat::Csv));
    assert_eq!(read.fields.unwrap(), ["key", "value"]);
    assert_eq!((read.header, read.delimiter), (None, Some(b';')));
    assert_eq!(read.null, ["n/a", ""]);
    assert_eq!(
        read.types.into_iter().collect::<Vec<_>>(),
        [("key".into(), Type::String), ("value".into(), Type::Decimal)]
    );
    assert_eq!(read.on_error, OnError::SkipUpTo { share: 0.01, save_to: Some("bad.txt".into()) });
    assert_eq!(read.max_record, Some(1 << 20));

    let read = |text: &str| spec(&format!(r#"{{"read": {text}}}"#)).unwrap().read;
    assert_eq!(read("{}"), Read::default());
    assert_eq!(read(r#"{"on_error": "skip"}"#).on_error, OnError::Skip);
    assert_eq!(read(r#"{"on_error": "fail", "header": false}"#), Read { header: Some(false), ..Read::default() });
    assert_eq!(read(r#"{"on_error": {"skip_up_to": 1}}"#).on_error, OnError::SkipUpTo { share: 1.0, save_to: None });
    for tab in [r#""\t""#, r#""\\t""#] {
        assert_eq!(read(&format!(r#"{{"delimiter": {tab}}}"#)).delimiter, Some(b'\t'));
    }
}

#[test]
fn as_run_it_is_a_spec_again() {
    let aggregates = r#"{"aggregate": [{"op": "sum", "field": "x", "where": {"field": "y", "gt": 1}}, {"op": "count"}],
        "map": [{"derive": "a * b", "as": "x"}], "read": {"on_error": "skip", "header": true}}"#;
    for text in [CSV, aggregates, "{}"] {
        let before = spec(text).unwrap();
        assert_eq!(spec(&serde_json::to_string(&before).unwrap()).unwrap(), before);
    }
    assert_eq!(serde_json::to_string(&Spec::default()).unwrap(), "{}");
}

#[test]
fn what_reading_refuses() {
    let read = |text: &str, message: &str, hint: &str| refused(&format!(r#""read": {{{text}}}"#), message, hint);
    let delimiter = r#"such as ",", ";" or "\t""#;
    for (text, shown) in [(r#""""#, r#""""#), (r#"";;""#, r#"";;""#), (r#""é""#, r#""é""#)] {
        let message = format!("read.delimiter: must be one ASCII character, is {shown}");
        read(&format!(r#""delimiter": {text}"#), &message, delimiter);
    }
    for text in [r#""\n""#, r#""\r""#, r#""\"""#] {
        let message = format!("read.delimiter: {text} has another meaning in csv");
        read(&format!(r#""delimiter": {text}"#), &message, delimiter);
    }
    read(r#""delimiter": 5"#, "read.delimiter: must be a string, is 5", "");
    read(r#""fields": []"#, "read.fields: must not be empty", "");
    read(r#""fields": "a""#, "read.fields: must be a list, is \"a\"", "put a list in brackets: [\"a\"]");
    read(
        r#""types": {"x": "flaot"}"#,
        "read.types.x: must be one of string, int, float, decimal, timestamp, is \"flaot\"",
        "did you mean \"float\"?",
    );
    read(r#""on_error": "skp""#, "read.on_error: must be one of fail, skip, is \"skp\"", "did you mean \"skip\"?");
    read(r#""on_error": 1"#, "read.on_error: must be fail or skip, or an object, is 1", "");
    read(r#""on_error": {"save_to": "x"}"#, "read.on_error: missing key \"skip_up_to\"", "");
    read(
        r#""on_error": {"skip_upto": 0.1}"#,
        "read.on_error: unknown key \"skip_upto\"",
        "did you mean \"skip_up_to\"?",
    );
    for share in ["1.5", "-0.1", "\"1\""] {
        let message = format!("read.on_error.skip_up_to: must be a share between 0 and 1, is {share}");
        read(&format!(r#""on_error": {{"skip_up_to": {share}}}"#), &message, "");
    }
    read(
        r#""fields": ["a"], "header": true"#,
        "read.header: is true, but fields takes the place of a header",
        "with fields every row is a record; without them the first row names the columns",
    );
    let hint = "to read them in this format: --set read.format=csv";
    read(
        r#""format": "text", "fields": ["a"]"#,
        "read.fields: is only for csv and tsv, but the inputs are read as text",
        hint,
    );
    read(
        r#""format": "tsv", "delimiter": ",""#,
        "read.delimiter: is only for csv, but the inputs are read as tsv",
        hint,
    );
}

#[test]
fn aggregates_and_their_columns() {
    let text = r#"{"aggregate": [{"op": "count"}, {"op": "count", "field": "x"}, {"op": "mean", "field": "ms", "as": "m"},
        {"op": "sum", "field": "x", "where": {"not": {"field": "y", "in": ["a", 1]}}}]}"#;
    let aggregates = spec(text).unwrap().aggregate;
    let columns: Vec<_> = aggregates.iter().map(Aggregate::column).collect();
    assert_eq!(columns, ["count", "count_x", "m", "sum_x"]);
    assert!(matches!(aggregates[3].filter, Some(Predicate::Not { .. })));
}

#[test]
fn what_an_aggregate_refuses() {
    let aggregate =
        |text: &str, message: &str, hint: &str| refused(&format!(r#""aggregate": [{text}]"#), message, hint);
    for op in ["sum", "min", "max", "mean"] {
        aggregate(
            &format!(r#"{{"op": "{op}", "as": "x"}}"#),
            &format!("aggregate.0: {op} needs a \"field\""),
            &format!(r#"an example: {{"op": "{op}", "field": …}}"#),
        );
    }
    aggregate(r#"{"op": "sum", "feild": "x"}"#, "aggregate.0: unknown key \"feild\"", "did you mean \"field\"?");
    aggregate(
        r#"{"op": "sum", "q": 1, "field": "x"}"#,
        "aggregate.0: unknown key \"q\"",
        "known keys: op, field, as, where",
    );
    aggregate(r#"{"field": "x"}"#, "aggregate.0: missing key \"op\"", "");
    aggregate(r#"{"opp": "sum"}"#, "aggregate.0: unknown key \"opp\"", "did you mean \"op\"?");
    aggregate(r#"{"op": 1}"#, "aggregate.0.op: must be a string, is 1", "");
    aggregate(r#""count""#, "aggregate.0: must be an object, is \"count\"", "");
    aggregate(
        r#"{"op": "sum", "field": "x", "where": {"field": "y", "gtt": 1}}"#,
        "aggregate.0.where: unknown key \"gtt\"",
        "did you mean \"gt\"?",
    );
    refused(r#""map": [{"derive": "a * b"}]"#, "map.0: missing key \"as\"", "it names the new field: \"as\": \"word\"");
}

#[test]
fn set_reaches_all_of_it() {
    let spec = wordcount_with(&[
        "aggregate.0.op=sum",
        "aggregate.0.field=word",
        "aggregate.1.op=max",
        "aggregate.1.field=word",
        "aggregate.2.field=word",
        "aggregate.2.op=count",
        "read.on_error.skip_up_to=0.5",
        "read.on_error.save_to=bad",
        "read.types.x=int",
        "read.format=csv",
        "read.delimiter=\\t",
        "read.fields=[\"line\"]",
    ]);
    let columns: Vec<_> = spec.aggregate.iter().map(|one| one.column().into_owned()).collect();
    assert_eq!(columns, ["count", "max_word", "count_word"]);
    assert_eq!(spec.read.on_error, OnError::SkipUpTo { share: 0.5, save_to: Some("bad".into()) });
    assert_eq!(spec.read.types["x"], Type::Int);
    assert_eq!((spec.read.delimiter, spec.read.fields.unwrap()), (Some(b'\t'), vec!["line".to_owned()]));
    assert_eq!(wordcount_with(&["read.on_error=skip"]).read.on_error, OnError::Skip);
}

#[test]
fn params_stand_in_all_of_it() {
    let text = r#"{"params": {"by": {}, "op": {"default": "sum"}, "share": {"default": 0}},
        "read": {"on_error": {"skip_up_to": {"param": "share"}}, "types": {"x": {"param": "type"}}, "delimiter": {"param": "by"}},
        "aggregate": [{"op": {"param": "op"}, "field": {"param": "by"}}]}"#;
    let text = text.replace(r#""by": {},"#, r#""by": {}, "type": {"default": "int"},"#);
    let mut document = Document::parse("spec.json", text.as_bytes()).unwrap();
    document.param("by=x").unwrap();
    document.param_flag("op", "min");
    let spec = document.clone().finish().unwrap();
    assert_eq!(spec.aggregate[0].column(), "min_x");
    assert_eq!((spec.read.delimiter, spec.read.types["x"]), (Some(b'x'), Type::Int));
    document.param_flag("share", "2");
    let error = document.finish().unwrap_err();
    assert_eq!(error.to_string(), "--share: read.on_error.skip_up_to: must be a share between 0 and 1, is 2");
}

/// Presets are matched by the faster matcher, whichever groups are wanted.
#[test]
fn presets_need_not_go_back() {
    for preset in [Preset::CommonLog, Preset::CombinedLog, Preset::Syslog] {
        let pattern = preset.pattern();
        let names: Vec<_> = pattern.split("(?P<").skip(1).map(|rest| rest.split_once('>').unwrap().0).collect();
        for groups in [vec![], vec![names[0]], vec![*names.last().unwrap()], names] {
            assert!(Pattern::new(&pattern, &groups).unwrap().is_predictive(), "{preset:?} {groups:?}");
        }
    }
}
