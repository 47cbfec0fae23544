//! Formats parts of a spec as a person would say them.

use serde_json::{Map, Value};

use crate::map::steps;

/// Returns the part of a spec at a dotted path.
pub fn at<'v>(spec: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(spec, |value, key| match key.parse::<usize>() {
        Ok(index) => &value[index],
        Err(_) => &value[key],
    })
}

pub fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(word).collect()
}

/// Formats a plain string as it is, and anything else as JSON.
fn word(value: &Value) -> String {
    let is_plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Formats a step: `split line on words as word`.
pub fn step(step: &Value) -> String {
    let Value::Object(keys) = step else { return step.to_string() };
    let text = |(key, value): (&String, &Value)| match (key.as_str(), value) {
        ("derive", Value::String(expression)) => format!("derive {expression}"),
        _ => format!("{key} {}", word(value)),
    };
    let is_kind = |(key, _): &(&String, &Value)| steps::is_kind(key);
    let is_name = |(key, _): &(&String, &Value)| *key == "as";
    let first = keys.iter().filter(is_kind);
    let middle = keys.iter().filter(|key| !is_kind(key) && !is_name(key));
    first.chain(middle).chain(keys.iter().filter(is_name)).map(text).collect::<Vec<_>>().join(" ")
}

/// Formats an aggregate with its name: `sum(amount) as total`.
pub fn aggregate(aggregate: &Value) -> String {
    let call = call(aggregate);
    match aggregate.get("as").map(word) {
        Some(name) if name != call => format!("{call} as {name}"),
        _ => call,
    }
}

fn call(aggregate: &Value) -> String {
    let op = word(&aggregate["op"]);
    let arguments: Vec<_> = ["field", "by", "q"].iter().filter_map(|key| aggregate.get(key)).map(word).collect();
    if arguments.is_empty() { op } else { format!("{op}({})", arguments.join(", ")) }
}

/// Returns the column of an aggregate: its own name or, without one, its call.
pub fn column(aggregate: &Value) -> String {
    aggregate.get("as").map_or_else(|| call(aggregate), word)
}

/// Formats a predicate: `status >= 500 and not (path ~ "^/static")`.
pub fn predicate(predicate: &Value) -> String {
    let Value::Object(keys) = predicate else { return predicate.to_string() };
    let all = |parts: &Value, between: &str| {
        let part = |part: &Value| match part.get("and").or(part.get("or")) {
            Some(_) => format!("({})", self::predicate(part)),
            None => self::predicate(part),
        };
        let parts: Vec<_> = parts.as_array().into_iter().flatten().map(part).collect();
        parts.join(between)
    };
    match (keys.get("and"), keys.get("or"), keys.get("not")) {
        (Some(parts), ..) => all(parts, " and "),
        (_, Some(parts), _) => all(parts, " or "),
        (.., Some(inner)) => format!("not ({})", self::predicate(inner)),
        _ => test(keys),
    }
}

fn test(keys: &Map<String, Value>) -> String {
    let field = keys.get("field").map_or_else(String::new, word);
    let tests: Vec<_> =
        keys.iter().filter(|(key, _)| *key != "field").map(|(key, value)| one(&field, key, value)).collect();
    tests.join(" and ")
}

fn one(field: &str, key: &str, value: &Value) -> String {
    let sign = match (key, value) {
        ("equal", _) => "=",
        ("lt", _) => "<",
        ("lte", _) => "<=",
        ("gt", _) => ">",
        ("gte", _) => ">=",
        ("in", Value::Array(_)) => return format!("{field} in ({})", names(value).join(", ")),
        ("matches", _) => "~",
        ("valid", Value::Bool(true)) => return format!("{field} has a value"),
        ("valid", Value::Bool(false)) => return format!("{field} has no value"),
        (other, _) => other,
    };
    format!("{field} {sign} {}", word(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_of_a_spec() {
        let split = json!({"as": "word", "on": "words", "split": "line"});
        assert_eq!(step(&split), "split line on words as word");
        assert_eq!(step(&json!({"derive": "a * b", "as": "c"})), "derive a * b as c");
        assert_eq!(step(&json!({"split": "line", "on": ", ", "as": "w"})), r#"split line on ", " as w"#);
        assert_eq!(aggregate(&json!({"op": "sum", "field": "x", "as": "total"})), "sum(x) as total");
        assert_eq!(aggregate(&json!({"op": "count", "as": "count"})), "count");
        assert_eq!(aggregate(&json!({"op": "argmin", "by": "y", "field": "x"})), "argmin(x, y)");
        assert_eq!(aggregate(&json!({"op": "approx_quantile", "q": 0.9, "field": "x"})), "approx_quantile(x, 0.9)");
        assert_eq!(column(&json!({"op": "sum", "field": "x"})), "sum(x)");
        let spec = json!({"map": [{"filter": {"and": [{"field": "x", "lt": 5}]}}]});
        assert_eq!(predicate(at(&spec, "map.0.filter.and.0")), "x < 5");
    }

    #[test]
    fn predicates() {
        for (written, said) in [
            (json!({"field": "x", "gte": 5}), "x >= 5"),
            (json!({"field": "x y", "equal": "a b"}), r#""x y" = "a b""#),
            (json!({"field": "x", "in": ["a", 1]}), "x in (a, 1)"),
            (json!({"not": {"field": "x", "valid": true}}), "not (x has a value)"),
            (
                json!({"and": [{"field": "x", "matches": "^a"}, {"or": [{"field": "y", "lt": 1}, {"field": "z", "valid": false}]}]}),
                "x ~ ^a and (y < 1 or z has no value)",
            ),
        ] {
            assert_eq!(predicate(&written), said);
        }
    }
}
