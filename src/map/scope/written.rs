//! Steps as a spec has them.

use serde_json::{Map, Value};

/// A step as a spec has it: an object that the schema has been through, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    pub object: &'a Map<String, Value>,
    pub path: &'a str,
}

impl<'a> Written<'a> {
    /// The path of one of its keys.
    pub fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The string at a key that has to be there.
    pub fn text(&self, key: &str) -> &'a str {
        self.object.get(key).and_then(Value::as_str).expect("the schema asks for it")
    }

    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key)
    }
}
