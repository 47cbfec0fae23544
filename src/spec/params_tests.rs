use serde_json::json;

use super::tests::{refused as refused_spec, wordcount_with};
use super::*;
use crate::predicate::written::{Literal, Test};

/// A spec with params of every kind, with values for some of them.
fn with_params(given: &[&str]) -> Result<Spec> {
    let mut document = Document::parse(
        "spec.json",
        br#"{"params": {"n": {"default": 2}, "what": {"description": "what to look for"}, "rows": {"default": 5}},
             "map": [{"ngrams": "line", "of": "words", "n": {"param": "n"}, "as": "x"}],
             "where": {"or": [{"field": "x", "equal": {"param": "what"}}, {"field": "x", "matches": {"param": "what"}}]},
             "group_by": ["x"], "limit": {"param": "rows"}, "name": {"param": "what"}}"#,
    )
    .unwrap();
    given.iter().try_for_each(|assignment| document.param(assignment))?;
    document.finish()
}

#[test]
fn params_stand_for_their_values() {
    let spec = with_params(&["what=1", "rows=7", "what=404"]).unwrap();
    assert_eq!(spec.map[0]["n"], 2);
    assert_eq!(spec.limit, Some(7));
    // A value is read as its place needs it: as text where text may stand.
    assert_eq!(spec.name.as_deref(), Some("404"));
    let Some(Predicate::Or { or }) = &spec.filter else { panic!("{:?}", spec.filter) };
    assert_eq!(or[0], Predicate::Field { field: "x".into(), test: Test::Equal(Literal::Text("404".into())) });
    assert_eq!(or[1], Predicate::Field { field: "x".into(), test: Test::Matches("404".into()) });
    let as_run = serde_json::to_string(&spec).unwrap();
    assert!(!as_run.contains("param"), "{as_run}");
}

#[test]
fn params_that_are_wrong() {
    let refused = |given: &[&str], message: &str, hint: &str| {
        let error = with_params(given).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default().as_str()), (message, hint));
        assert_eq!(error.exit_code(), 2);
    };
    refused(&[], "spec.json: needs the param \"what\" (what to look for)", "--param what=VALUE");
    refused(&["what"], "--param what: no \"=\"", "--param NAME=VALUE, such as --param n=3");
    refused(&["whta=x"], "--param whta: spec.json has no such param", "did you mean \"what\"?");
    refused(&["what=x", "n=many"], "--param n: map.0.n: must be a whole number, is \"many\"", "");
    refused(&["what=x", "rows=-1"], "--param rows: limit: must be a whole number, is -1", "");
    let mut document = builtin::find("uniq").unwrap().document().unwrap();
    document.param("n=3").unwrap();
    let error = document.finish().unwrap_err();
    assert_eq!(error.to_string(), "--param n: uniq has no such param");
    assert_eq!(error.hint().as_deref(), Some("the job takes no params"));
    refused_spec(
        r#"{"limit": {"param": "n"}}"#,
        "spec.json: limit: no param \"n\" is declared",
        r#"declare it: "params": {"n": {}}"#,
    );
    refused_spec(
        r#"{"params": {"n": {"defualt": 1}}}"#,
        "spec.json: params.n: unknown key \"defualt\"",
        "did you mean \"default\"?",
    );
    refused_spec(
        r#"{"params": {"n": {"default": "x"}}, "limit": {"param": "n"}}"#,
        "spec.json: limit: must be a whole number, is \"x\"",
        "",
    );
}

#[test]
fn set_reaches_params_and_predicates() {
    let mut document = builtin::find("ngrams").unwrap().document().unwrap();
    document.set("params.n.default=3").unwrap();
    assert_eq!(document.clone().finish().unwrap().map[0]["n"], 3);
    document.set("map.0.n=4").unwrap();
    document.set(r#"having={"field": "count", "gt": {"param": "n"}}"#).unwrap();
    let spec = document.finish().unwrap();
    assert_eq!(spec.map[0]["n"], 4);
    assert_eq!(
        spec.having,
        Some(Predicate::Field { field: "count".into(), test: Test::Gt(Literal::Number(3.into())) })
    );
    let spec = wordcount_with(&["where.field=word", "where.equal=the"]);
    assert_eq!(
        spec.filter,
        Some(Predicate::Field { field: "word".into(), test: Test::Equal(Literal::Text("the".into())) })
    );
}

#[test]
fn a_splits_pattern_may_be_a_param_and_set() {
    let text = br#"{"params": {"p": {"default": ", *"}}, "map": [{"split": "line", "on": {"pattern": {"param": "p"}}, "as": "x"}]}"#;
    let document = Document::parse("spec.json", text).unwrap();
    let on = |spec: Spec| spec.map[0]["on"].clone();
    assert_eq!(on(document.clone().finish().unwrap()), json!({"pattern": ", *"}));
    for (assignment, expected) in [
        ("map.0.on.pattern=;", json!({"pattern": ";"})),
        ("map.0.on={ \"pattern\": \";\" }", json!({"pattern": ";"})),
        ("map.0.on={", json!("{")),
        ("map.0.on=words", json!("words")),
    ] {
        let mut document = document.clone();
        document.set(assignment).unwrap();
        assert_eq!(on(document.finish().unwrap()), expected, "{assignment}");
    }
}

#[test]
fn ngrams_are_not_of_what_lies_between() {
    refused_spec(
        r#"{"map": [{"ngrams": "line", "of": {"pattern": ","}, "n": 2, "as": "x"}]}"#,
        "spec.json: map.0.of: must be a string, is an object",
        "",
    );
}

#[test]
fn a_number_is_the_one_that_is_written() {
    let text = r#"{"where": {"field": "x", "in": [13436424.411240121, 920.0864349327219, 0.0034693088456262166]}}"#;
    let spec = Document::parse("spec.json", text.as_bytes()).unwrap().finish().unwrap();
    assert!(
        serde_json::to_string(&spec).unwrap().contains("[13436424.411240121,920.0864349327219,0.0034693088456262166]")
    );
}
