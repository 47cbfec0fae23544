//! [`Written`]: a step of the spec that is being resolved: its JSON object, and its path for messages.

use serde_json::{Map, Value};

/// A step as it is written in a spec: an object that the schema has checked, and the object's path in the spec.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    pub object: &'a Map<String, Value>,
    pub path: &'a str,
}

impl<'a> Written<'a> {
    /// Returns the path of one of the step's keys.
    pub fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// Returns the string at a key that the schema requires.
    pub fn text(&self, key: &str) -> &'a str {
        self.object.get(key).and_then(Value::as_str).expect("the schema asks for it")
    }

    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key)
    }
}
