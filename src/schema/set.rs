//! `--set PATH=VALUE`: overrides one field of a spec.
//!
//! PATH is keys with dots between them. Numbers index lists, and the number after the last index adds to the list. A
//! backslash makes the next character part of the key. Missing objects and lists on the way are created. The value
//! `null` removes the field, whatever its shape. Otherwise the schema says what PATH wants: a string is taken as it is
//! written, anything else is read as JSON.

use serde_json::{Map, Value};

use super::check::{Wrong, by_tag, check, dotted, unknown_key, variant};
use super::{Key, Shape, Tagged, Variant, Variants, json, params};
use crate::error::{Error, Result, meant};

/// The value that removes a field.
const NULL: &str = "null";

/// Carries out `text`, a PATH=VALUE. `root` is the shape of the whole spec.
pub fn assignment(spec: &mut Value, root: &'static Shape, text: &str) -> Result<()> {
    let Some((path, value)) = split(text) else {
        return Err(Error::usage_hint(format!("--set {text}: no \"=\""), "--set PATH=VALUE, such as --set limit=5"));
    };
    set(spec, root, &path, value).map_err(|wrong| wrong.into_error("--set"))
}

/// Carries out a flag that stands for a path. `path` must be one that the schema has.
pub fn flag(spec: &mut Value, root: &'static Shape, flag: &str, path: &str, value: &str) -> Result<()> {
    let path: Vec<_> = path.split('.').map(str::to_owned).collect();
    set(spec, root, &path, value).map_err(|wrong| Wrong { path: String::new(), ..wrong }.into_error(flag))
}

/// Splits PATH=VALUE into the keys of PATH, and VALUE. `None` if there is no unescaped `=`.
fn split(text: &str) -> Option<(Vec<String>, &str)> {
    let mut path = vec![String::new()];
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let key = path.last_mut()?;
        match c {
            '=' => return Some((path, &text[at + 1..])),
            '.' => path.push(String::new()),
            '\\' => key.push(chars.next()?.1),
            _ => key.push(c),
        }
    }
    None
}

fn set(spec: &mut Value, root: &'static Shape, path: &[String], text: &str) -> Result<(), Wrong> {
    let mut changed = spec.clone();
    set_in(&mut changed, root, path, text)?;
    *spec = changed;
    Ok(())
}

/// If it fails, the objects and lists that it created remain.
fn set_in(spec: &mut Value, root: &'static Shape, path: &[String], text: &str) -> Result<(), Wrong> {
    let Some((last, way)) = path.split_last() else { return Ok(()) };
    let mut node = spec;
    let mut shape = root;
    for (depth, key) in way.iter().enumerate() {
        (node, shape) = step(node, shape, key, path, depth)?;
    }
    let depth = way.len();
    let (place, shape) = step(&mut *node, shape, last, path, depth)?;
    let value = if text == NULL { Value::Null } else { interpret(text, shape, path)? };
    if !value.is_null() {
        // A value with params is checked when the params have their values.
        if !params::contains_param(&value) {
            check(&value, shape, &mut path.to_vec())?;
        }
        *place = value;
        return Ok(());
    }
    match node {
        Value::Object(object) => drop(object.remove(last)),
        Value::Array(list) => drop(last.parse::<usize>().map(|i| list.remove(i))),
        _ => {}
    }
    Ok(())
}

/// Goes from `node` to what `key` names in it. `key` is the key of `path` at `depth`.
fn step<'a>(
    node: &'a mut Value,
    shape: &'static Shape,
    key: &str,
    path: &[String],
    depth: usize,
) -> Result<(&'a mut Value, &'static Shape), Wrong> {
    let here = &path[..depth];
    let keys = match shape {
        Shape::Object(keys) | Shape::WordOr(_, keys) | Shape::SplitterOr(keys) => keys,
        Shape::Variants(variants) | Shape::NameOr(variants) => {
            if let (Shape::NameOr(_), Value::String(name)) = (shape, &mut *node) {
                *node = Value::Object(Map::from_iter([(variants.all[0].name.to_owned(), name.as_str().into())]));
            }
            let object = object_at(node, here)?;
            match known_variant(object, variants, key) {
                Some(variant) => variant.keys,
                None => variant(object, variants, here)?.keys,
            }
        }
        Shape::Tagged(tagged) => {
            let object = object_at(node, here)?;
            match tagged_with(object, tagged, key) {
                Some(variant) => variant.keys,
                None => by_tag(object, tagged, here)?.keys,
            }
        }
        Shape::Map(item) => return Ok((object_at(node, here)?.entry(key).or_insert(Value::Null), item)),
        Shape::List(item) | Shape::OneOrMore(item) => return Ok((element(node, shape, key, here)?, item)),
        Shape::Words => return Ok((element(node, shape, key, here)?, &Shape::Text)),
        Shape::Later => return Err(Wrong::new(here, "not supported yet", None)),
        Shape::Elsewhere(what, hint) => return Err(Wrong::new(here, *what, Some((*hint).into()))),
        _ => return Err(Wrong::new(here, format!("is a single value, and has no {key:?} in it"), None)),
    };
    let Some(known) = keys.iter().find(|known| known.name == key) else { return Err(unknown_path(key, keys, here)) };
    Ok((object_at(node, here)?.entry(key).or_insert(Value::Null), &known.shape))
}

/// Returns the variant that has `key`, if the object has no variant's own key yet.
fn known_variant(object: &Map<String, Value>, variants: &'static Variants, key: &str) -> Option<&'static Variant> {
    let chosen = variants.all.iter().any(|variant| object.contains_key(variant.name));
    variants.all.iter().find(|variant| !chosen && variant.keys.iter().any(|known| known.name == key))
}

/// Returns the variant that has `key`, if the object has no tag yet. If `key` is the tag, a tag that the object has
/// doesn't count, because it may change.
fn tagged_with(object: &Map<String, Value>, tagged: &'static Tagged, key: &str) -> Option<&'static Variant> {
    let chosen = object.contains_key(tagged.tag) && key != tagged.tag;
    tagged.all.iter().find(|variant| !chosen && variant.keys.iter().any(|known| known.name == key))
}

fn object_at<'a>(node: &'a mut Value, here: &[String]) -> Result<&'a mut Map<String, Value>, Wrong> {
    if node.is_null() {
        *node = Value::Object(Map::new());
    }
    let kind = json::kind(node);
    node.as_object_mut().ok_or_else(|| Wrong::new(here, format!("must be an object, is {kind}"), None))
}

fn element<'a>(node: &'a mut Value, shape: &Shape, key: &str, here: &[String]) -> Result<&'a mut Value, Wrong> {
    if node.is_null() {
        *node = Value::Array(Vec::new());
    } else if (node.is_string() || node.is_object()) && matches!(shape, Shape::OneOrMore(_)) {
        *node = Value::Array(vec![node.take()]);
    }
    let kind = json::kind(node);
    let list = node.as_array_mut().ok_or_else(|| Wrong::new(here, format!("must be a list, is {kind}"), None))?;
    let Ok(index) = key.parse::<usize>() else {
        let hint = format!("its first element is {}.0", dotted(here));
        return Err(Wrong::new(here, format!("is a list, and {key:?} is not the number of an element"), Some(hint)));
    };
    if index > list.len() {
        let what = format!("has no element {index}, it is a list of {}", list.len());
        return Err(Wrong::new(here, what, Some("elements are counted from 0".into())));
    }
    if index == list.len() {
        list.push(Value::Null);
    }
    Ok(&mut list[index])
}

fn unknown_path(key: &str, keys: &[Key], here: &[String]) -> Wrong {
    let wrong = unknown_key(key, keys, here);
    match meant(key, keys.iter().map(|known| known.name)) {
        Some(right) => {
            let path = dotted(&[here, &[right.to_owned()]].concat());
            Wrong { hint: Some(format!("did you mean {path}?")), ..wrong }
        }
        None => wrong,
    }
}

/// Reads text from a command line as the value that `shape` wants.
pub fn interpret(text: &str, shape: &Shape, path: &[String]) -> Result<Value, Wrong> {
    let literal = match shape {
        Shape::Text | Shape::Name | Shape::Splitter | Shape::Delimiter | Shape::Separator => true,
        Shape::Pattern | Shape::Choice(_) | Shape::Size | Shape::Span => true,
        Shape::OneOrMore(_) => !text.trim_start().starts_with(['[', '{']),
        // Only an object has a quote after its brace. A brace alone may stand between pieces.
        Shape::SplitterOr(_) => {
            let inside = text.trim_start().strip_prefix('{');
            !inside.is_some_and(|inside| inside.trim_start().starts_with('"'))
        }
        Shape::WordOr(..) | Shape::NameOr(_) => !text.trim_start().starts_with('{'),
        // Kept as text. A column of numbers may be compared with text that is a number.
        Shape::Literal => true,
        // Anything that is JSON, such as a number or text in quotes, is read as that. Anything else is the text itself.
        Shape::Group | Shape::Any => json::value(text).is_err(),
        _ => false,
    };
    if literal {
        return Ok(Value::String(text.to_owned()));
    }
    json::value(text).map_err(|_| {
        if text.trim_start().starts_with(['[', '{']) {
            return Wrong::new(path, format!("is not JSON: {text}"), Some(in_quotes(text, shape, path)));
        }
        let (wanted, example) = match shape {
            Shape::List(Shape::Name | Shape::Text | Shape::NameOr(_)) => ("a list", Some(as_list(text, path))),
            Shape::Words => ("a list", Some(format!("--set {}='[\"cat\", \"a.log\"]'", dotted(path)))),
            Shape::List(_) | Shape::OneOrMore(_) => ("a list in JSON", None),
            Shape::Object(_) | Shape::Map(_) | Shape::Variants(_) | Shape::Tagged(_) => ("an object in JSON", None),
            Shape::WordOr(..) | Shape::NameOr(_) | Shape::SplitterOr(_) => ("an object in JSON", None),
            Shape::Flag => ("true or false", None),
            Shape::Share => ("a share between 0 and 1", None),
            Shape::Later => return Wrong::new(path, "not supported yet", None),
            Shape::Elsewhere(what, hint) => return Wrong::new(path, *what, Some((*hint).into())),
            _ => ("a whole number", None),
        };
        Wrong::new(path, format!("must be {wanted}, is {text:?}"), example)
    })
}

/// Returns how to write a list or an object whose quotes were forgotten, or were taken by the shell.
fn in_quotes(text: &str, shape: &Shape, path: &[String]) -> String {
    let list = match shape {
        Shape::List(Shape::Name | Shape::Text | Shape::NameOr(_)) | Shape::OneOrMore(_) | Shape::Words => {
            text.trim().strip_prefix('[')
        }
        _ => None,
    };
    let example = match (list, shape) {
        (Some(list), _) if !list.contains('{') => as_list(list.trim_end_matches(']'), path),
        (_, Shape::Variants(variants) | Shape::NameOr(variants)) => {
            format!("--set {}='{}'", dotted(path), variants.example)
        }
        _ => r#"'{"a": ["b", 1]}'"#.into(),
    };
    format!("put text in double quotes, and all of it in single quotes for the shell: {example}")
}

/// Returns the list of the items in `text`, which have commas between them.
fn as_list(text: &str, path: &[String]) -> String {
    let items = text.split(',').map(|item| Value::from(item.trim().trim_matches(['"', '\''])).to_string());
    format!("--set {}='[{}]'", dotted(path), items.collect::<Vec<_>>().join(", "))
}
