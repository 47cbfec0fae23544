//! Checks a JSON value against its [`Shape`]. The result is the first thing that is wrong, with the path of keys that
//! leads to it.

use serde_json::{Map, Value};

use super::json::kind;
use super::{Key, SPLITTERS, Shape, Tagged, Variant, Variants, size};
use crate::error::{Error, meant, suggestion};
use crate::units::{Span, span};

/// What is wrong with a spec, and where.
#[derive(Debug, PartialEq)]
pub struct Wrong {
    /// Empty if it is the spec itself.
    pub path: String,
    pub what: String,
    pub hint: Option<String>,
}

impl Wrong {
    pub fn new(path: &[String], what: impl Into<String>, hint: Option<String>) -> Self {
        Wrong { path: dotted(path), what: what.into(), hint }
    }

    /// Converts to an error about the spec that messages call `origin`.
    pub fn into_error(self, origin: &str) -> Error {
        let message = match self.path.as_str() {
            "" => format!("{origin}: {}", self.what),
            path => format!("{origin}: {path}: {}", self.what),
        };
        Error::Usage { message, hint: self.hint }
    }
}

/// Returns a path as `--set` takes it.
pub fn dotted(path: &[String]) -> String {
    path.iter().map(|key| key.replace('\\', "\\\\").replace('.', "\\.")).collect::<Vec<_>>().join(".")
}

/// Checks that `value`, which stands at `path`, has this shape.
pub fn check(value: &Value, shape: &Shape, path: &mut Vec<String>) -> Result<(), Wrong> {
    let expected = |what: &str| Err(Wrong::new(path, format!("must be {what}, is {}", kind(value)), None));
    match shape {
        Shape::SplitterOr(keys) => match value {
            Value::Object(object) => entries(object, keys, path),
            _ => check(value, &Shape::Splitter, path),
        },
        Shape::Text
        | Shape::Name
        | Shape::Splitter
        | Shape::Delimiter
        | Shape::Separator
        | Shape::Pattern
        | Shape::Choice(_) => {
            let Some(text) = value.as_str() else { return expected("a string") };
            string(text, shape, path)
        }
        Shape::Size => {
            let size = match value {
                Value::String(text) => {
                    size::parse(text).map_err(|what| Wrong::new(path, what, Some(size::HINT.into())))?
                }
                Value::Number(n) => match n.as_u64() {
                    Some(n) => n,
                    None if is_beyond(value) => {
                        return Err(Wrong::new(path, format!("{n} is more than 2^64 bytes"), None));
                    }
                    None => return expected("a size in bytes"),
                },
                _ => return expected("a size such as \"512M\""),
            };
            if size == 0 { Err(Wrong::new(path, "must be at least 1 byte", None)) } else { Ok(()) }
        }
        Shape::Span => {
            let Some(text) = value.as_str() else { return expected("a span of time such as \"500ms\"") };
            let parsed = text.parse::<Span>();
            parsed.map(drop).map_err(|what| Wrong::new(path, what, Some(span::HINT.into())))
        }
        Shape::Whole { least, most } => match value.as_u64() {
            Some(n) if n < *least => Err(Wrong::new(path, format!("must be at least {least}, is {n}"), None)),
            Some(n) if n > *most => Err(Wrong::new(path, format!("must be at most {most}, is {n}"), None)),
            Some(_) => Ok(()),
            None if is_beyond(value) => {
                Err(Wrong::new(path, format!("must be at most {most}, is {}", kind(value)), None))
            }
            None => expected("a whole number"),
        },
        Shape::Share if value.as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)) => Ok(()),
        Shape::Share => expected("a share between 0 and 1"),
        Shape::Flag if value.is_boolean() => Ok(()),
        Shape::Flag => expected("true or false"),
        Shape::Literal if value.is_string() || value.is_number() => Ok(()),
        Shape::Literal if let Value::Bool(word) = value => {
            let hint = format!("true and false of JSON are compared as those words: \"{word}\"");
            Err(Wrong::new(path, format!("must be a string or a number, is {word}"), Some(hint)))
        }
        Shape::Literal => expected("a string or a number"),
        Shape::Group if value.is_u64() || value.as_str().is_some_and(|name| !name.is_empty()) => Ok(()),
        Shape::Group => expected("the number of a group, or its name"),
        Shape::Any => Ok(()),
        Shape::OneOrMore(item) if value.is_string() || value.is_object() => check(value, item, path),
        Shape::List(item) | Shape::OneOrMore(item) => {
            let Some(list) = value.as_array() else {
                let only = match value {
                    Value::String(_) => Some(kind(value)),
                    Value::Object(_) => Some("{…}".into()),
                    _ => None,
                };
                let hint = only.map(|only| format!("put a list in brackets: [{only}]"));
                return Err(Wrong::new(path, format!("must be a list, is {}", kind(value)), hint));
            };
            for (i, value) in list.iter().enumerate() {
                within(path, &i.to_string(), |path| check(value, item, path))?;
            }
            Ok(())
        }
        Shape::Object(keys) => {
            let Some(object) = value.as_object() else { return expected("an object") };
            entries(object, keys, path)
        }
        Shape::WordOr(words, keys) => match value {
            Value::String(text) if words.built.contains(&text.as_str()) => Ok(()),
            Value::String(text) => Err(not_a_choice(text, words.built, words.later, path)),
            Value::Object(object) => entries(object, keys, path),
            _ => expected(&format!("{}, or an object", words.built.join(" or "))),
        },
        Shape::Map(item) => {
            let Some(object) = value.as_object() else { return expected("an object") };
            object.iter().try_for_each(|(name, value)| within(path, name, |path| check(value, item, path)))
        }
        Shape::Words => words(value, path),
        Shape::NameOr(_) if value.is_string() => check(value, &Shape::Name, path),
        Shape::NameOr(variants) => {
            let Some(object) = value.as_object() else { return expected("a string or an object") };
            entries(object, variant(object, variants, path)?.keys, path)
        }
        Shape::Variants(variants) => {
            let Some(object) = value.as_object() else { return expected("an object") };
            entries(object, variant(object, variants, path)?.keys, path)
        }
        Shape::Tagged(tagged) => {
            let Some(object) = value.as_object() else { return expected("an object") };
            let variant = by_tag(object, tagged, path)?;
            entries(object, variant.keys, path).map_err(|wrong| match missing(object, variant.keys) {
                Some(key) if wrong == missing_key(key, path) => {
                    let (tag, name) = (tagged.tag, variant.name);
                    let example = format!("an example: {{{tag:?}: {name:?}, {:?}: …}}", key.name);
                    Wrong::new(path, format!("{name} needs a {:?}", key.name), Some(example))
                }
                _ => wrong,
            })
        }
        Shape::Later => Err(Wrong::new(path, "not supported yet", None)),
        Shape::Elsewhere(what, hint) => Err(Wrong::new(path, *what, Some((*hint).into()))),
    }
}

fn words(value: &Value, path: &mut Vec<String>) -> Result<(), Wrong> {
    let example = || Some(r#"give a list of its words: ["cat", "a.log"]"#.to_owned());
    let Some(list) = value.as_array() else {
        return Err(Wrong::new(path, format!("must be a list of strings, is {}", kind(value)), example()));
    };
    for (i, word) in list.iter().enumerate() {
        within(path, &i.to_string(), |path| match word.as_str() {
            None => Err(Wrong::new(path, format!("must be a string, is {}", kind(word)), None)),
            Some(text) if text.contains('\0') => Err(Wrong::new(path, "has a NUL byte, which no argument can", None)),
            Some(text) if i == 0 => string(text, &Shape::Name, path),
            Some(_) => Ok(()),
        })?;
    }
    if list.is_empty() { Err(Wrong::new(path, "must not be empty", example())) } else { Ok(()) }
}

fn string(text: &str, shape: &Shape, path: &[String]) -> Result<(), Wrong> {
    match shape {
        Shape::Name if text.is_empty() => Err(Wrong::new(path, "must not be empty", None)),
        Shape::Choice(choice) if !choice.built.contains(&text) => {
            Err(not_a_choice(text, choice.built, choice.later, path))
        }
        Shape::Delimiter if delimiter(text).is_none() => {
            let hint = r#"such as ",", ";" or "\t""#;
            let what = match text {
                "\n" | "\r" | "\"" => format!("{text:?} has another meaning in csv"),
                _ => format!("must be one ASCII character, is {text:?}"),
            };
            Err(Wrong::new(path, what, Some(hint.into())))
        }
        Shape::Separator if separator(text).is_none() => {
            let hint = r#"such as "\0" or "\n""#;
            Err(Wrong::new(path, format!("must be one ASCII character, is {text:?}"), Some(hint.into())))
        }
        Shape::Splitter if text.is_empty() => {
            let hint =
                format!("a tokeniser ({}) or the text between pieces, such as \",\"", SPLITTERS.built.join(", "));
            Err(Wrong::new(path, "must not be empty", Some(hint)))
        }
        Shape::Splitter => match almost_a_splitter(text) {
            Some(right) => {
                let hint = format!(
                    "did you mean {right:?}? Text so similar to a tokeniser's name is not taken as a separator"
                );
                Err(Wrong::new(path, format!("{text:?} is not a tokeniser"), Some(hint)))
            }
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Returns the tokeniser that `text` nearly names. A typo such as `"word"` would be taken as a literal that hardly ever
/// occurs, and the result would be wrong without a message.
fn almost_a_splitter(text: &str) -> Option<&'static str> {
    let letter = |c: char| c.is_ascii_alphabetic();
    let names = || SPLITTERS.built.iter().copied();
    if !text.chars().all(letter) || text.len() < 4 || names().any(|name| name == text) {
        return None;
    }
    names().find(|name| strsim::damerau_levenshtein(&text.to_ascii_lowercase(), name) <= 1)
}

fn not_a_choice(text: &str, built: &[&str], later: &[&str], path: &[String]) -> Wrong {
    let listed = built.join(", ");
    if later.contains(&text) {
        return Wrong::new(path, format!("{text:?} is not supported yet"), Some(format!("supported: {listed}")));
    }
    let names = built.iter().chain(later).copied();
    let hint = meant(text, names).map(|right| format!("did you mean {right:?}?"));
    Wrong::new(path, format!("must be one of {listed}, is {text:?}"), hint)
}

/// Returns the byte that a [`Shape::Delimiter`] stands for.
pub fn delimiter(text: &str) -> Option<u8> {
    match text.as_bytes() {
        b"\\t" => Some(b'\t'),
        [b'\n' | b'\r' | b'"'] => None,
        [byte] if byte.is_ascii() => Some(*byte),
        _ => None,
    }
}

/// Returns the byte that a [`Shape::Separator`] stands for.
pub fn separator(text: &str) -> Option<u8> {
    match text.as_bytes() {
        b"\\0" => Some(b'\0'),
        b"\\n" => Some(b'\n'),
        b"\\t" => Some(b'\t'),
        [byte] if byte.is_ascii() => Some(*byte),
        _ => None,
    }
}

fn entries(object: &Map<String, Value>, keys: &[Key], path: &mut Vec<String>) -> Result<(), Wrong> {
    for (name, value) in object {
        let Some(key) = keys.iter().find(|key| key.name == name) else { return Err(unknown_key(name, keys, path)) };
        within(path, name, |path| check(value, &key.shape, path))?;
    }
    missing(object, keys).map_or(Ok(()), |key| Err(missing_key(key, path)))
}

fn missing<'k>(object: &Map<String, Value>, keys: &'k [Key]) -> Option<&'k Key> {
    keys.iter().find(|key| key.required && !object.contains_key(key.name))
}

fn missing_key(key: &Key, path: &[String]) -> Wrong {
    let hint = (key.name == "as").then(|| r#"it names the new field: "as": "word""#.into());
    Wrong::new(path, format!("missing key {:?}", key.name), hint)
}

pub fn unknown_key(name: &str, keys: &[Key], path: &[String]) -> Wrong {
    Wrong::new(path, format!("unknown key {name:?}"), Some(key_meant(name, keys)))
}

/// Returns a hint: the key that `name` was meant to be, or else all keys that work, each once.
fn key_meant<'k>(name: &str, keys: impl IntoIterator<Item = &'k Key>) -> String {
    let is_here = |key: &&Key| !matches!(key.shape, Shape::Elsewhere(..));
    let (mut later, mut names) = (Vec::new(), Vec::new());
    for key in keys.into_iter().filter(is_here) {
        let list = if matches!(key.shape, Shape::Later) { &mut later } else { &mut names };
        if !list.contains(&key.name) {
            list.push(key.name);
        }
    }
    match meant(name, names.iter().chain(&later).copied()) {
        Some(right) => format!("did you mean {right:?}?"),
        None => suggestion(name, "known keys", &names),
    }
}

/// Whether a number is a whole number too great for 64 bits.
fn is_beyond(number: &Value) -> bool {
    const END: f64 = 18_446_744_073_709_551_616.0;
    number.as_f64().is_some_and(|n| n >= END)
}

/// Returns the variant that an object is, by the key of its own.
pub fn variant(
    object: &Map<String, Value>,
    variants: &'static Variants,
    path: &[String],
) -> Result<&'static Variant, Wrong> {
    let mut found = variants.all.iter().filter(|variant| object.contains_key(variant.name));
    match (found.next(), found.next()) {
        (Some(only), None) if !only.is_built() => {
            let at = [path, &[only.name.to_owned()]].concat();
            Err(Wrong::new(&at, "not supported yet", None))
        }
        (Some(only), None) => Ok(only),
        (Some(one), Some(other)) => {
            let what = format!("both {:?} and {:?}", one.name, other.name);
            Err(Wrong::new(
                path,
                what,
                Some(format!("{} may have only one of them; put the other into an object of its own", variants.what)),
            ))
        }
        (None, _) => Err(no_variant(object, variants, path)),
    }
}

/// Returns the variant that the value of the object's tag names.
pub fn by_tag(
    object: &Map<String, Value>,
    tagged: &'static Tagged,
    path: &[String],
) -> Result<&'static Variant, Wrong> {
    let Some(value) = object.get(tagged.tag) else {
        let known = |name: &str| tagged.all.iter().flat_map(|variant| variant.keys).any(|key| key.name == name);
        return Err(match object.keys().find(|name| !known(name)) {
            Some(unknown_name) => {
                let hint = match tagged.all.iter().any(|variant| variant.name == *unknown_name) {
                    true => format!("did you mean {:?}: {unknown_name:?}?", tagged.tag),
                    false => key_meant(unknown_name, tagged.all.iter().flat_map(|variant| variant.keys)),
                };
                Wrong::new(path, format!("unknown key {unknown_name:?}"), Some(hint))
            }
            None => Wrong::new(path, format!("missing key {:?}", tagged.tag), None),
        });
    };
    let path = [path, &[tagged.tag.to_owned()]].concat();
    let Some(name) = value.as_str() else {
        return Err(Wrong::new(&path, format!("must be a string, is {}", kind(value)), None));
    };
    tagged.all.iter().find(|variant| variant.name == name && variant.is_built()).ok_or_else(|| {
        let (built, later): (Vec<_>, Vec<_>) = tagged.all.iter().partition(|variant| variant.is_built());
        let names = |variants: Vec<&Variant>| variants.iter().map(|variant| variant.name).collect::<Vec<_>>();
        not_a_choice(name, &names(built), &names(later), &path)
    })
}

fn no_variant(object: &Map<String, Value>, variants: &Variants, path: &[String]) -> Wrong {
    let names: Vec<_> = variants.all.iter().map(|variant| variant.name).collect();
    let known = |name: &String| variants.all.iter().any(|variant| variant.keys.iter().any(|key| key.name == name));
    // Of the keys that no variant has, the one most like a variant's name.
    let unknown: Vec<_> = object.keys().filter(|name| !known(name)).collect();
    let misspelt = unknown.iter().find(|name| meant(name, names.iter().copied()).is_some()).or(unknown.first());
    let built: Vec<_> = variants.all.iter().filter(|variant| variant.is_built()).map(|variant| variant.name).collect();
    let built = built.join(", ");
    match misspelt {
        Some(name) => {
            let hint = match meant(name, names.iter().copied()) {
                Some(right) => format!("did you mean {right:?}?"),
                None => format!("{} is one of: {built}; an example: {}", variants.what, variants.example),
            };
            Wrong::new(path, format!("unknown key {name:?}"), Some(hint))
        }
        None => {
            let what = format!("missing a key that says what it does: {built}");
            Wrong::new(path, what, Some(format!("an example: {}", variants.example)))
        }
    }
}

/// Calls `f` with `key` added to the path.
pub fn within<T>(path: &mut Vec<String>, key: &str, f: impl FnOnce(&mut Vec<String>) -> T) -> T {
    path.push(key.to_owned());
    let result = f(path);
    path.pop();
    result
}
