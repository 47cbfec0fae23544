//! Parses JSON text to a [`Value`], more strictly than `serde_json` alone, and with messages for people.
//!
//! A key that is written twice is refused. JSON readers keep the last one, so half of somebody's `map` would vanish
//! without a message.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, error::Category};

use crate::data::Decimal;
use crate::error::{Error, Result};

/// Parses a spec, which must be a JSON object in UTF-8. `origin` is the name that messages give the text.
pub fn parse(origin: &str, text: &[u8]) -> Result<Value> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if let Some(at) = memchr::memchr(0, text) {
        let (line, column) = position(text, at);
        return Err(Error::usage_hint(
            format!("{origin}:{line}:{column}: a NUL byte, which JSON can't have"),
            "a spec is UTF-8 text; is this another file, or UTF-16?",
        ));
    }
    if text.trim_ascii().is_empty() {
        return Err(Error::usage_hint(
            format!("{origin}: is empty"),
            "a spec is a JSON object: mapfold jobs show wordcount",
        ));
    }
    let value = serde_json::from_slice::<Strict>(text).map_err(|e| explain(origin, text, &e))?.0;
    if let Some(number) = inexact_number(text) {
        let (line, column) = position(text, number.start);
        let number = String::from_utf8_lossy(&text[number]);
        return Err(Error::usage_hint(
            format!("{origin}:{line}:{column}: the number {number} has more digits than numbers of JSON keep"),
            format!("where a field is compared with it, a number in quotes keeps all its digits: \"{number}\""),
        ));
    }
    if !value.is_object() {
        return Err(Error::usage_hint(
            format!("{origin}: a spec must be a JSON object, this is {}", kind(&value)),
            "an example: mapfold jobs show wordcount",
        ));
    }
    Ok(value)
}

/// Parses one JSON value, as in `--set PATH=VALUE`. A number by itself may have any digits: its text is at hand.
pub fn value(text: &str) -> serde_json::Result<Value> {
    let value = serde_json::from_str::<Strict>(text)?.0;
    match inexact_number(text.as_bytes()).filter(|_| value.is_object() || value.is_array()) {
        None => Ok(value),
        Some(number) => {
            let number = &text[number];
            Err(serde_json::Error::custom(format_args!(
                "the number {number} has more digits than numbers of JSON keep"
            )))
        }
    }
}

/// Finds the first number of a JSON text that a double can't hold, so that another number would be taken for it.
fn inexact_number(json: &[u8]) -> Option<Range<usize>> {
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => {
                at += 1;
                while at < json.len() && json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let end = json[at..].iter().position(|byte| !b"+-.eE0123456789".contains(byte));
                let end = end.map_or(json.len(), |end| at + end);
                if !is_exact(&json[at..end]) {
                    return Some(at..end);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

/// Whether a number of JSON is kept: as an integer of 64 bits, or as a double whose shortest decimal form is the number.
fn is_exact(number: &[u8]) -> bool {
    let Some(text) = std::str::from_utf8(number).ok() else { return true };
    if text.parse::<u64>().is_ok() || text.parse::<i64>().is_ok() {
        return true;
    }
    let kept = text.parse::<f64>().ok().and_then(|number| Decimal::parse(number.to_string().as_bytes()).ok());
    // Other checks refuse what decimals can't hold.
    kept.zip(Decimal::parse(number).ok()).is_none_or(|(kept, number)| kept.normalised() == number.normalised())
}

/// Returns how messages call a value: a short value as it is written, another by its type with an article.
pub fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => format!("{b}"),
        Value::Number(n) => format!("{n}"),
        Value::String(s) if s.chars().count() <= 40 => format!("{s:?}"),
        Value::String(_) => "a string".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

fn explain(origin: &str, json: &[u8], e: &serde_json::Error) -> Error {
    let (line, column) = (e.line(), e.column());
    let text = e.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    match e.classify() {
        Category::Syntax if begins_comment(json, line, column) => Error::usage_hint(
            format!("{origin}:{line}:{column}: JSON has no comments"),
            r#"to say what a job is for, use its "description""#,
        ),
        Category::Eof => Error::usage_hint(
            format!("{origin}:{line}:{column}: the JSON ends too early ({what})"),
            "a bracket, brace or quote is not closed, or the file is cut off",
        ),
        Category::Syntax => Error::usage_hint(format!("{origin}:{line}:{column}: not JSON: {what}"), advice(what)),
        Category::Data | Category::Io => Error::usage(format!("{origin}:{line}:{column}: {what}")),
    }
}

fn advice(what: &str) -> &'static str {
    match what {
        "trailing comma" => "remove the comma",
        "invalid escape" => r#"in JSON a backslash is written twice: "\\d+" for the pattern \d+"#,
        "expected `,` or `}`" | "expected `,` or `]`" => "is a comma missing before this?",
        "key must be a string" => "keys are in double quotes",
        "trailing characters" => "a spec is one JSON object and nothing after it",
        _ => "an example of a spec: mapfold jobs show wordcount",
    }
}

/// Whether the text at this place begins a comment in other formats.
fn begins_comment(json: &[u8], line: usize, column: usize) -> bool {
    let line = json.split(|byte| *byte == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let rest = line.get(column.saturating_sub(1)..).unwrap_or_default();
    [&b"//"[..], b"/*", b"#"].iter().any(|sign| rest.starts_with(sign))
}

fn position(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = 1 + memchr::memchr_iter(b'\n', before).count();
    let column = 1 + at - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    (line, column)
}

/// A [`Value`] in which no object has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_bool<E>(self, b: bool) -> Result<Strict, E> {
        Ok(Strict(b.into()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Strict, E> {
        Ok(Strict(n.into()))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Strict, E> {
        Ok(Strict(n.into()))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Strict, E> {
        Ok(Strict(Number::from_f64(n).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, s: &str) -> Result<Strict, E> {
        Ok(Strict(s.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Strict(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Strict, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("key {key:?} is written twice in one object")));
            }
            object.insert(key, entries.next_value::<Strict>()?.0);
        }
        Ok(Strict(object.into()))
    }
}
