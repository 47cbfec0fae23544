//! Tests that the defaults in the table of keys are what a plan uses if a spec lacks those keys.

use std::fs;

use serde_json::{Value, json};

use super::{Invocation, resolve};
use crate::schema::json_schema;
use crate::spec::Document;
use crate::spec::schema::SPEC;

#[test]
fn a_default_that_is_written_changes_no_plan() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.csv");
    fs::write(&input, "a,b\n1,2\n").unwrap();
    let planned = |spec: &Value| {
        let mut spec = Document::parse("spec.json", spec.to_string().as_bytes()).unwrap().finish().unwrap();
        spec.input = vec![input.clone().into()];
        // The specs as written differ.
        let plan = resolve(&spec, &Invocation::default()).unwrap();
        let plan = super::Plan { job: Value::Null, ..plan };
        format!("{plan:?}")
    };
    let spec = json!({"read": {}, "map": [{"extract": "a", "pattern": "1", "as": "c"}], "deadline": {}, "run": {}});
    // For a key of another format.
    let of_text = json!({"read": {"format": "text"}});
    let schema = json_schema::of("", &SPEC);
    let steps = schema["$defs"]["step"]["anyOf"].as_array().unwrap();
    let extract = steps.iter().find(|step| step["title"] == "extract").unwrap();
    let object = |key: &str| &schema["properties"][key]["anyOf"][0];

    let mut defaults = 0;
    for (place, keys) in
        [("/read", object("read")), ("/map/0", extract), ("/deadline", object("deadline")), ("/run", object("run"))]
    {
        for (name, key) in keys["properties"].as_object().unwrap() {
            let Some(default) = key.get("default") else { continue };
            let without = if name == "record_separator" { &of_text } else { &spec };
            let mut with_default = without.clone();
            with_default.pointer_mut(place).unwrap()[name] = default.clone();
            assert_eq!(planned(&with_default), planned(without), "{place}/{name}: {default}");
            defaults += 1;
        }
    }
    assert!(defaults >= 9, "only {defaults} defaults");
}
