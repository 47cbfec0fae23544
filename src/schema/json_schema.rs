//! A table of keys as JSON Schema, draft 2020-12, for editors and validators.
//!
//! The schema allows what [`check`](super::check) allows before params have their values, as far as a schema can
//! express that. It can't tell a misspelt tokeniser from a literal. Nor can it tell that a size has more than 64 bits,
//! or that a span of time is zero.

use serde_json::{Map, Value, json};

use super::{Choice, Key, SPLITTERS, Shape, Variant, params, size, without_article};
use crate::units::span;

/// Returns the schema of a spec of shape `root`, which is an object.
pub fn of(title: &str, root: &Shape) -> Value {
    let mut writer = Writer { params: true, definitions: Map::new() };
    let name = json!({"type": "string", "description": "The name of a param, whose value stands here"});
    writer.definitions.insert("param".into(), object([("param", name)], vec!["param"]));
    let mut schema = writer.shape(root);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = title.into();
    schema["$defs"] = writer.definitions.into();
    schema
}

struct Writer {
    /// Whether a param may stand for a value.
    params: bool,
    /// Schemas that others refer to, by name: those that occur in many places, or in themselves.
    definitions: Map<String, Value>,
}

impl Writer {
    fn keys(&mut self, keys: &[Key], tag: Option<(&str, &Variant)>) -> Value {
        let built = || keys.iter().filter(|key| key.is_built());
        let properties: Vec<_> = built().map(|key| (key.name, self.key(key, tag))).collect();
        object(properties, built().filter(|key| key.required).map(|key| key.name).collect())
    }

    fn key(&mut self, key: &Key, tag: Option<(&str, &Variant)>) -> Value {
        let with_params = self.params;
        self.params &= key.name != params::KEY;
        let mut schema = match tag {
            Some((tag, variant)) if key.name == tag => self.or_param(json!({"const": variant.name})),
            _ => self.value(&key.shape),
        };
        self.params = with_params;
        schema["description"] = key.about.into();
        if let Some(default) = key.default_value() {
            schema["default"] = default;
        }
        schema
    }

    /// Returns the schema of a value of this shape, or of the param that stands for the value.
    fn value(&mut self, shape: &Shape) -> Value {
        let schema = self.shape(shape);
        self.or_param(schema)
    }

    fn or_param(&self, schema: Value) -> Value {
        match self.params {
            true => any_of([schema, reference("param")]),
            false => schema,
        }
    }

    fn shape(&mut self, shape: &Shape) -> Value {
        let name = json!({"type": "string", "minLength": 1});
        match shape {
            Shape::Text | Shape::Pattern => json!({"type": "string"}),
            Shape::Name => name,
            Shape::Splitter => any_of([word(&SPLITTERS), name]),
            Shape::SplitterOr(keys) => any_of([word(&SPLITTERS), name, self.keys(keys, None)]),
            Shape::Delimiter => json!({"type": "string", "pattern": r#"^([\x00-\x09\x0B\x0C\x0E-!#-\x7F]|\\t)$"#}),
            Shape::Separator => json!({"type": "string", "pattern": r"^([\x00-\x7F]|\\[0nt])$"}),
            Shape::Size => {
                any_of([json!({"type": "string", "pattern": size::PATTERN}), json!({"type": "integer", "minimum": 1})])
            }
            Shape::Span => json!({"type": "string", "pattern": span::PATTERN}),
            Shape::Whole { least, most: u64::MAX } => json!({"type": "integer", "minimum": least}),
            Shape::Whole { least, most } => json!({"type": "integer", "minimum": least, "maximum": most}),
            Shape::Share => json!({"type": "number", "minimum": 0, "maximum": 1}),
            Shape::Flag => json!({"type": "boolean"}),
            Shape::Choice(choice) => word(choice),
            Shape::WordOr(choice, keys) => any_of([word(choice), self.keys(keys, None)]),
            Shape::NameOr(variants) => any_of([name, self.defined(variants.what, variants.all, None)]),
            Shape::Words => {
                let word = self.or_param(json!({"type": "string", "pattern": "^[^\\x00]*$"}));
                let first = self.or_param(json!({"type": "string", "pattern": "^[^\\x00]+$"}));
                json!({"type": "array", "minItems": 1, "prefixItems": [first], "items": word})
            }
            Shape::List(item) => json!({"type": "array", "items": self.value(item)}),
            Shape::OneOrMore(item) => any_of([self.shape(item), json!({"type": "array", "items": self.value(item)})]),
            Shape::Literal => json!({"type": ["string", "number"]}),
            Shape::Group => any_of([json!({"type": "integer", "minimum": 0}), name]),
            Shape::Any => json!({}),
            Shape::Object(keys) => self.keys(keys, None),
            Shape::Map(item) => json!({"type": "object", "additionalProperties": self.value(item)}),
            Shape::Variants(variants) => self.defined(variants.what, variants.all, None),
            Shape::Tagged(tagged) => self.defined(tagged.what, tagged.all, Some(tagged.tag)),
            Shape::Later | Shape::Elsewhere(..) => false.into(),
        }
    }

    /// Returns a reference to the schema of any of these objects, which is defined on first use.
    fn defined(&mut self, what: &str, variants: &[Variant], tag: Option<&str>) -> Value {
        let name = without_article(what);
        if !self.definitions.contains_key(name) {
            // Entered first, because the schema may occur in itself.
            self.definitions.insert(name.into(), Value::Null);
            let built = variants.iter().filter(|variant| variant.is_built());
            let all: Vec<_> = built.map(|variant| self.variant(variant, tag)).collect();
            self.definitions.insert(name.into(), any_of(all));
        }
        reference(name)
    }

    fn variant(&mut self, variant: &Variant, tag: Option<&str>) -> Value {
        let mut schema = self.keys(variant.keys, tag.map(|tag| (tag, variant)));
        schema["title"] = variant.name.into();
        schema["description"] = variant.own(tag).map(|key| key.about).into();
        schema
    }
}

fn object<'a>(properties: impl IntoIterator<Item = (&'a str, Value)>, required: Vec<&str>) -> Value {
    let properties: Map<_, _> = properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn word(choice: &Choice) -> Value {
    json!({"enum": choice.built})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// Returns the schema of anything that matches one of `schemas`. A schema that is itself a choice is flattened.
fn any_of(schemas: impl IntoIterator<Item = Value>) -> Value {
    let mut all = Vec::new();
    for mut schema in schemas {
        match schema.get_mut("anyOf").map(Value::take) {
            Some(Value::Array(several)) => all.extend(several),
            _ => all.push(schema),
        }
    }
    json!({"anyOf": all})
}
