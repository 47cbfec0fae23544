//! Turns the parsed shorthand of `mapfold agg` into a spec in JSON.

use serde_json::{Map, Value, json};

use super::grammar::{Agg, Field, Op, Predicate, Test};
use crate::error::{Error, Result};
use crate::spec::default_column;

/// How fields may be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// A header row names them.
    Row,
    /// No row names them: they are `$1`, `$2`, ….
    None,
}

impl Header {
    /// Returns a field's name in a spec. `flag` is the flag that messages blame.
    pub fn field<'f>(self, flag: &str, field: &'f Field) -> Result<&'f str> {
        match field {
            Field::Position(name) if self == Header::Row => Err(Error::usage_hint(
                format!("{flag}: {name} means a field by its position, but the first row names the fields"),
                format!("give --no-header if it doesn't; if a field has this name, put it in quotes: \"{name}\""),
            )),
            Field::Position(name) | Field::Name(name) => Ok(name),
        }
    }
}

/// Returns the object for one aggregate in the spec's `aggregate`.
pub fn aggregate(agg: &Agg, header: Header) -> Result<Value> {
    let mut object = Map::new();
    let op = match (&agg.op, agg.distinct) {
        (Op::Named(op), false) => op,
        (Op::Named(op), true) if op == "count" => "distinct",
        (Op::Named(op), true) if op == "list" => {
            object.insert("distinct".into(), true.into());
            op
        }
        (_, true) => {
            let hint = "count(distinct x) counts the different values, list(distinct x) lists them";
            return Err(Error::usage_hint(
                format!("agg: {}: distinct works only with count and list", agg.column),
                hint,
            ));
        }
        (Op::Quantile(q), false) => {
            object.insert("q".into(), q.clone().into());
            "quantile"
        }
    };
    object.insert("op".into(), op.into());
    match &agg.field {
        Some(field) => drop(object.insert("field".into(), header.field("agg", field)?.into())),
        None if op != "count" => {
            return Err(Error::usage_hint(
                format!("agg: {op} needs a field", op = written(agg)),
                format!("an example: {}(amount)", written(agg)),
            ));
        }
        None => {}
    }
    let argument = match op {
        "quantile" | "approx_quantile" if !matches!(agg.op, Op::Quantile(_)) => Some("q"),
        "argmin" | "argmax" => Some("by"),
        _ => None,
    };
    match (argument, agg.args.as_slice()) {
        (None, []) => {}
        (Some(key), [value]) => drop(object.insert(key.into(), value.clone())),
        (None, _) => {
            let hint = format!("write one aggregate for each field: {op}(a), {op}(b)", op = written(agg));
            return Err(Error::usage_hint(format!("agg: {} takes one field", written(agg)), hint));
        }
        (Some(key), _) => {
            let example = if key == "q" { "ms, 0.99" } else { "name, score" };
            let hint = format!("an example: {}({example})", written(agg));
            return Err(Error::usage_hint(format!("agg: {} takes a field and {key:?}", written(agg)), hint));
        }
    }
    if agg.column != default_column(op, object.get("field").and_then(Value::as_str)) {
        object.insert("as".into(), agg.column.clone().into());
    }
    Ok(object.into())
}

fn written(agg: &Agg) -> String {
    match &agg.op {
        Op::Named(op) => op.clone(),
        Op::Quantile(_) => agg.column.split('(').next().unwrap_or_default().to_owned(),
    }
}

/// Returns the predicate that all of `predicates` hold. None if there are none.
pub fn all(flag: &str, predicates: &[Predicate], header: Header) -> Result<Option<Value>> {
    let mut found = predicates.iter().map(|one| predicate(flag, one, header)).collect::<Result<Vec<_>>>()?;
    Ok(if found.len() > 1 { Some(json!({ "and": found })) } else { found.pop() })
}

fn predicate(flag: &str, predicate: &Predicate, header: Header) -> Result<Value> {
    let field = header.field(flag, &predicate.field)?;
    Ok(match &predicate.test {
        Test::Compare(key, value) => json!({"field": field, *key: value}),
        Test::In(values) => json!({"field": field, "in": values}),
        Test::Matches(pattern) => json!({"field": field, "matches": pattern}),
        // Like every other comparison, this one is false for null.
        Test::NotEqual(value) => {
            json!({"and": [{"field": field, "valid": true}, {"not": {"field": field, "equal": value}}]})
        }
    })
}
