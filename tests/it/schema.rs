//! `mapfold schema`: the schema agrees with the parser, and the page of all keys is made from the same table.

use std::fs;
use std::path::Path;

use jsonschema::Validator;
use mapfold::schema::check::check;
use mapfold::schema::params::{self, Given};
use mapfold::spec::schema::SPEC;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::Dir;

fn schema() -> Value {
    let output = Dir::new().run("schema");
    assert_eq!((output.code(), output.stderr().as_str()), (Some(0), ""));
    serde_json::from_str(&output.stdout()).unwrap()
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Whether the parser accepts the keys and values of a spec without params.
fn parser_takes(spec: &Value) -> bool {
    check(spec, &SPEC, &mut Vec::new()).is_ok()
}

/// A spec that has every key, and has some keys in each of their forms.
fn full() -> Value {
    json!({
        "$schema": "mapfold.schema.json", "name": "n", "description": "d",
        "input": ["a", {"path": "b", "timeout": "2s"}, {"command": ["cat", "c"], "name": "c", "timeout": "1.5h", "retry": true}],
        "read": {
            "format": "csv", "fields": ["a"], "header": false, "delimiter": "\\t", "null": ["", "NA"], "pattern": "(?P<a>.)",
            "preset": "syslog", "types": {"a": "int"}, "on_error": {"skip_up_to": 0.5, "save_to": "bad"}, "max_record": "1 MiB",
        },
        "map": [
            {"split": "a", "on": "words", "as": "b"}, {"split": "a", "on": {"pattern": ","}, "as": "c"},
            {"ngrams": "a", "of": ",", "n": 2, "as": "d"}, {"lower": "a", "as": "e"}, {"upper": "a", "as": "f"},
            {"trim": "a", "as": "g"}, {"extract": "a", "pattern": "x", "as": "h", "group": "y", "all": true},
            {"derive": "a + 1", "as": "i"}, {"bin": "i", "step": 10, "as": "j"}, {"explode": "a", "as": "k"},
            {"filter": {"not": {"field": "a", "valid": true}}},
        ],
        "where": {"or": [{"field": "a", "equal": "x"}, {"and": [{"field": "a", "lt": 1}, {"field": "a", "matches": "x"}]}]},
        "group_by": ["a"],
        "aggregate": [
            {"op": "count"}, {"op": "count", "field": "a", "as": "n", "where": {"field": "a", "in": [1, "x"]}},
            {"op": "sum", "field": "a"}, {"op": "stddev_pop", "field": "a", "as": "s", "where": {"field": "a", "gte": 1.5}},
        ],
        "having": {"field": "n", "lte": 5}, "select": ["a"], "limit": 3,
        "sort": ["-n", {"ascending": "a"}, {"descending": "b", "number": true}], "limit_per_group": 2,
        "output": {"path": "o", "format": "jsonl", "header": true, "columns": ["n"], "part_size": 4096},
        "deadline": {"timeout": "500ms", "on_timeout": "partial"},
        "run": {
            "threads": 2, "memory": "512M", "split_size": 65536, "partitions": 4, "spill_dir": ["/tmp", "b"],
            "spill_limit": "1G", "compress": "lz4", "scheduler": "static", "combiner": "off", "attempts": 2,
        },
    })
}

#[test]
fn it_is_a_schema_and_each_key_is_described() {
    let schema = schema();
    jsonschema::meta::validate(&schema).unwrap();
    let mut keys = Vec::new();
    properties(&schema, &mut keys);
    assert!(keys.len() > 100, "only {} keys", keys.len());
    for (name, key) in keys {
        let about = key["description"].as_str().unwrap_or_default();
        let is_a_line = !about.is_empty() && !about.contains('\n') && !about.ends_with('.') && about.len() <= 120;
        assert!(is_a_line, "{name} has no description of one line: Key::about: {about:?}");
        if let Some(default) = key.get("default") {
            let mut own = key.clone();
            own["$defs"] = schema["$defs"].clone();
            assert!(jsonschema::is_valid(&own, default), "{name}: {default}");
        }
    }
}

/// Finds the keys that a schema names, at any depth.
fn properties<'a>(schema: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
    match schema {
        Value::Object(object) => object.iter().for_each(|(name, below)| {
            if let ("properties", Some(keys)) = (name.as_str(), below.as_object()) {
                found.extend(keys.iter().map(|(name, key)| (name.as_str(), key)));
                keys.values().for_each(|key| properties(key, found));
            } else {
                properties(below, found);
            }
        }),
        Value::Array(list) => list.iter().for_each(|below| properties(below, found)),
        _ => {}
    }
}

/// Returns the objects in a page that are specs.
fn specs_in(page: &str) -> Vec<Value> {
    let keys = ["input", "map", "group_by", "aggregate", "select", "read"];
    let mut specs = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('{') {
        let mut values = serde_json::Deserializer::from_str(&rest[at..]).into_iter::<Value>();
        rest = match values.next() {
            Some(Ok(value)) => {
                let after = at + values.byte_offset();
                if keys.iter().any(|key| value.get(key).is_some_and(|value| !value.is_string())) {
                    specs.push(value);
                }
                &rest[after..]
            }
            _ => &rest[at + 1..],
        };
    }
    specs
}

#[test]
fn every_spec_that_there_is_is_valid() {
    let validator = validator();
    let valid = |what: &str, spec: &Value| {
        let wrong: Vec<_> = validator.iter_errors(spec).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{what}: {spec}: {wrong:?}");
    };
    let full = full();
    assert!(parser_takes(&full));
    valid("full", &full);
    for dir in ["jobs", "benches/specs"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)).unwrap() {
            let path = entry.unwrap().path();
            valid(&path.display().to_string(), &serde_json::from_slice(&fs::read(&path).unwrap()).unwrap());
        }
    }
    for (page, least) in [("README.md", 2), ("docs/guide.md", 6)] {
        let specs = specs_in(&text(page));
        assert!(specs.len() >= least, "{page}: {} specs", specs.len());
        specs.iter().for_each(|spec| valid(page, spec));
    }
}

#[test]
fn what_the_parser_refuses_is_invalid() {
    let validator = validator();
    for wrong in [
        json!([]),
        json!({"limt": 5}),
        json!({"limit": "5"}),
        json!({"limit": null}),
        json!({"limit_per_group": -5}),
        json!({"limit_per_group": [5]}),
        json!({"sort": "a"}),
        json!({"sort": [{"number": true}]}),
        json!({"sort": [{"ascending": "a", "descending": "a"}]}),
        json!({"sort": [{"descending": "a", "number": 1}]}),
        json!({"input": [""]}),
        json!({"input": {"path": "a", "retry": true}}),
        json!({"input": {"command": []}}),
        json!({"input": {"command": ["a\0"]}}),
        json!({"input": {"path": "a", "command": ["a"]}}),
        json!({"read": {"format": "xml"}}),
        json!({"read": {"delimiter": "ab"}}),
        json!({"read": {"delimiter": "\n"}}),
        json!({"read": {"delimiter": "é"}}),
        json!({"read": {"types": {"a": "date"}}}),
        json!({"read": {"on_error": "ignore"}}),
        json!({"read": {"on_error": {"save_to": "bad"}}}),
        json!({"read": {"on_error": {"skip_up_to": 1.5}}}),
        json!({"map": [{"splitt": "line", "on": "words", "as": "word"}]}),
        json!({"map": [{"split": "line", "on": "words"}]}),
        json!({"map": [{"split": "line", "on": "", "as": "word"}]}),
        json!({"map": [{"split": "line", "lower": "line", "on": "words", "as": "word"}]}),
        json!({"map": [{"ngrams": "line", "of": {"pattern": ","}, "n": 2, "as": "x"}]}),
        json!({"map": [{"ngrams": "line", "of": "words", "n": 0, "as": "x"}]}),
        json!({"map": [{"time": "line", "as": "x"}]}),
        json!({"map": [{"extract": "line", "pattern": "a", "as": "x", "group": -1}]}),
        json!({"where": {"field": "line"}}),
        json!({"where": {"and": [{"field": "line", "gt": true}]}}),
        json!({"aggregate": [{"op": "sum"}]}),
        json!({"aggregate": [{"op": "summ", "field": "a"}]}),
        json!({"aggregate": [{"op": "median", "field": "a"}]}),
        json!({"aggregate": [{"field": "a"}]}),
        json!({"output": {"part_size": 0}}),
        json!({"run": {"memory": "1.5G"}}),
        json!({"run": {"memory": "0K"}}),
        json!({"run": {"threads": 5000}}),
        json!({"deadline": {"timeout": "5"}}),
        json!({"deadline": {"timeout": 5}}),
    ] {
        assert!(!parser_takes(&wrong) && !validator.is_valid(&wrong), "{wrong}");
    }
}

/// Finds every place in a value, as JSON pointers.
fn places(value: &Value, here: String, found: &mut Vec<String>) {
    let mut below =
        |key: String, value| places(value, format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), found);
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| below(key.clone(), value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, value)| below(i.to_string(), value)),
        _ => {}
    }
    found.push(here);
}

/// The full spec, changed at the place that the index picks.
fn changed(place: prop::sample::Index, change: impl FnOnce(&mut Value)) -> Value {
    let mut spec = full();
    let mut all = Vec::new();
    places(&spec, String::new(), &mut all);
    change(spec.pointer_mut(place.get::<String>(&all)).unwrap());
    spec
}

fn any_value() -> impl Strategy<Value = Value> {
    let of_the_spec = any::<prop::sample::Index>().prop_map(|place| {
        let mut taken = Value::Null;
        changed(place, |value| taken = value.clone());
        taken
    });
    let plain = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(0.5),
        json!(70_000),
        json!(""),
        json!("x"),
        json!("\t"),
        json!("fail"),
        json!("off"),
        json!("sum"),
        json!("4K"),
        json!("2s"),
        json!([]),
        json!(["x"]),
        json!([1]),
        json!({}),
        json!({"x": "int"}),
        json!({"pattern": "x"}),
    ]);
    prop_oneof![of_the_spec, plain]
}

thread_local! {
    static VALIDATOR: Validator = validator();
}

#[track_caller]
fn agree(spec: &Value) {
    let valid = VALIDATOR.with(|validator| validator.is_valid(spec));
    let said = check(spec, &SPEC, &mut Vec::new());
    assert_eq!(said.is_ok(), valid, "{said:?}: {spec}");
}

proptest! {
    #[test]
    fn another_value_is_invalid_where_the_parser_refuses_it(place: prop::sample::Index, value in any_value()) {
        agree(&changed(place, |old| *old = value));
    }

    #[test]
    fn so_is_a_key_more_less_or_misspelt(place: prop::sample::Index, key: prop::sample::Index, what in 0..3, value in any_value()) {
        agree(&changed(place, |old| {
            let Some(object) = old.as_object_mut() else { return };
            let keys: Vec<_> = object.keys().cloned().collect();
            match what {
                0 => drop(object.insert("kee".into(), value)),
                1 if !keys.is_empty() => drop(object.remove(key.get::<String>(&keys))),
                _ if !keys.is_empty() => {
                    let key = key.get::<String>(&keys);
                    let value = object.remove(key).unwrap();
                    object.insert(format!("{key}s"), value);
                }
                _ => {}
            }
        }));
    }

    #[test]
    fn a_param_may_stand_for_any_value(place: prop::sample::Index) {
        let mut taken = None;
        let mut with_param = changed(place, |old| taken = Some(std::mem::replace(old, json!({"param": "p"}))));
        // A param can't stand for the whole spec, because the spec's params must be known first.
        prop_assume!(with_param != json!({"param": "p"}));
        with_param["params"] = json!({"p": {"default": taken, "description": "what it is for"}});
        prop_assert!(VALIDATOR.with(|validator| validator.is_valid(&with_param)), "{}", with_param);
        params::resolve(&mut with_param, &SPEC, &Given::default(), "spec.json").unwrap();
        prop_assert_eq!(with_param, full());
    }
}

#[test]
fn the_page_of_all_keys_is_what_the_table_says() {
    let page = Dir::new().run("schema --markdown").stdout();
    let how = "docs/spec.md is not what the table of keys says: cargo run -- schema --markdown > docs/spec.md";
    assert!(page == text("docs/spec.md"), "{how}");
}

#[test]
fn a_spec_may_name_its_schema() {
    let spec = r#"{"$schema": "./mapfold.schema.json", "group_by": ["line"], "aggregate": [{"op": "count"}]}"#;
    Dir::new().file("spec.json", spec).file("in.txt", "a\na\n").run("run spec.json in.txt").printed("a\t2\n");
}
