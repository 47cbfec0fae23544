//! Params: values that a spec leaves open. `"params": {"n": {"default": 2}}` declares a param, and `{"param": "n"}`
//! stands for its value anywhere else in the spec. A param without a default must be given on the command line.
//! [`resolve`] puts the values into the spec.

use serde_json::{Map, Value};

use super::check::{Wrong, check, within};
use super::set::interpret;
use super::{Key, Shape};
use crate::error::{Error, Result, suggestion};

/// The shape of a spec's `params`.
pub const SHAPE: Shape = Shape::Map(&Shape::Object(PARAM));

/// The key of a spec that declares params. No param stands for a value inside it.
pub const KEY: &str = "params";

const PARAM: &[Key] = &[
    Key::optional("default", Shape::Any)
        .about("The param's value if none is given; without a default a value must be given"),
    Key::optional("description", Shape::Text).about("What the param is for, in a few words"),
];

/// A param as declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    pub name: String,
    pub description: Option<String>,
    /// `None` if the param must be given.
    pub default: Option<Value>,
}

/// Params given on a command line: names, with text whose meaning depends on where the param stands.
#[derive(Clone, Debug, Default)]
pub struct Given(Vec<Assignment>);

#[derive(Clone, Debug)]
struct Assignment {
    /// What messages name: `--param n`, or the flag `--n`.
    flag: String,
    name: String,
    value: String,
}

impl Given {
    /// Takes `NAME=VALUE`. If a name is given several times, the last value counts.
    pub fn add(&mut self, assignment: &str) -> Result<()> {
        let Some((name, value)) = assignment.split_once('=') else {
            let hint = "--param NAME=VALUE, such as --param n=3";
            return Err(Error::usage_hint(format!("--param {assignment}: no \"=\""), hint));
        };
        self.0.push(Assignment { flag: format!("--param {name}"), name: name.to_owned(), value: value.to_owned() });
        Ok(())
    }

    /// Takes the value of a flag that is named after the param.
    pub fn add_flag(&mut self, name: &str, value: &str) {
        self.0.push(Assignment { flag: format!("--{name}"), name: name.to_owned(), value: value.to_owned() });
    }

    fn get(&self, name: &str) -> Option<&Assignment> {
        self.0.iter().rev().find(|given| given.name == name)
    }
}

/// Returns the params that a spec declares, in the order of their names.
pub fn declared(spec: &Value) -> Result<Vec<Param>, Wrong> {
    let Some(params) = spec.get(KEY) else { return Ok(Vec::new()) };
    check(params, &SHAPE, &mut vec![KEY.into()])?;
    let names = params.as_object().into_iter().flat_map(|params| params.keys());
    if let Some(name) = names.into_iter().find(|name| name.is_empty() || name.contains('=')) {
        return Err(Wrong::new(&[KEY.into()], format!("{name:?} can't be given: --param NAME=VALUE"), None));
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let param = |(name, param): (&String, &Value)| Param {
        name: name.clone(),
        description: param.get("description").and_then(text),
        default: param.get("default").cloned(),
    };
    Ok(params.as_object().into_iter().flatten().map(param).collect())
}

/// Replaces params by their values, and removes their declarations. `root` is the shape of the whole spec.
pub fn resolve(spec: &mut Value, root: &Shape, given: &Given, origin: &str) -> Result<()> {
    let params = declared(spec).map_err(|wrong| wrong.into_error(origin))?;
    let names: Vec<_> = params.iter().map(|param| param.name.as_str()).collect();
    for Assignment { flag, name, .. } in &given.0 {
        if !names.contains(&name.as_str()) {
            let hint = match names.as_slice() {
                [] => "the job takes no params".into(),
                names => suggestion(name, "its params", names),
            };
            return Err(Error::usage_hint(format!("{flag}: {origin} has no such param"), hint));
        }
    }
    if let Some(missing) = params.iter().find(|param| param.default.is_none() && given.get(&param.name).is_none()) {
        let about = missing.description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        return Err(Error::usage_hint(
            format!("{origin}: needs the param {:?}{about}", missing.name),
            format!("--param {}=VALUE", missing.name),
        ));
    }
    if let Some(object) = spec.as_object_mut() {
        object.remove(KEY);
    }
    let values = Values { params: &params, given };
    // An error about a value from the command line names the flag; one about a value of the spec names the spec.
    values.put(spec, root, &mut Vec::new()).map_err(|(blamed, wrong)| match blamed {
        Some(flag) => wrong.into_error(&flag),
        None => wrong.into_error(origin),
    })
}

/// What is wrong, and the flag whose value is wrong if it is not the spec's.
type Blamed = (Option<String>, Wrong);

struct Values<'a> {
    params: &'a [Param],
    given: &'a Given,
}

impl Values<'_> {
    fn put(&self, value: &mut Value, shape: &Shape, path: &mut Vec<String>) -> Result<(), Blamed> {
        if let Some(name) = stands_for(value) {
            *value = self.value(name, shape, path)?;
            return Ok(());
        }
        if let (Value::Object(object), Some(keys)) = (&mut *value, shape.keys()) {
            return self.put_in(object, path, |name| keys.iter().find(|key| key.name == name).map(|key| &key.shape));
        }
        match (value, shape) {
            (Value::Object(object), Shape::Map(item)) => self.put_in(object, path, |_| Some(item)),
            (value @ Value::Object(_), Shape::OneOrMore(item)) => self.put(value, item, path),
            (Value::Array(list), Shape::Words) => {
                for (i, value) in list.iter_mut().enumerate() {
                    within(path, &i.to_string(), |path| self.put(value, &Shape::Text, path))?;
                }
                Ok(())
            }
            (Value::Object(object), Shape::Variants(variants) | Shape::NameOr(variants)) => {
                let variant = variants.all.iter().find(|variant| object.contains_key(variant.name));
                let keys = variant.map_or(&[][..], |variant| variant.keys);
                self.put_in(object, path, |name| keys.iter().find(|key| key.name == name).map(|key| &key.shape))
            }
            (Value::Object(object), Shape::Tagged(tagged)) => {
                // A key has the same shape in all variants. So the tag needn't be known: it may be a param too.
                let keys = || tagged.all.iter().flat_map(|variant| variant.keys);
                self.put_in(object, path, |name| keys().find(|key| key.name == name).map(|key| &key.shape))
            }
            (Value::Array(list), Shape::List(item) | Shape::OneOrMore(item)) => {
                for (i, value) in list.iter_mut().enumerate() {
                    within(path, &i.to_string(), |path| self.put(value, item, path))?;
                }
                Ok(())
            }
            // The checker reports values of a wrong shape.
            _ => Ok(()),
        }
    }

    fn put_in<'s>(
        &self,
        object: &mut Map<String, Value>,
        path: &mut Vec<String>,
        shape: impl Fn(&str) -> Option<&'s Shape>,
    ) -> Result<(), Blamed> {
        for (name, value) in object {
            if let Some(shape) = shape(name) {
                within(path, name, |path| self.put(value, shape, path))?;
            }
        }
        Ok(())
    }

    fn value(&self, name: &str, shape: &Shape, path: &mut Vec<String>) -> Result<Value, Blamed> {
        if let Some(Assignment { flag, value, .. }) = self.given.get(name) {
            let value = interpret(value, shape, path).and_then(|value| check(&value, shape, path).map(|()| value));
            return value.map_err(|wrong| (Some(flag.clone()), wrong));
        }
        let names: Vec<_> = self.params.iter().map(|param| param.name.as_str()).collect();
        let param = self.params.iter().find(|param| param.name == name);
        param.and_then(|param| param.default.clone()).ok_or_else(|| {
            let hint = match names.as_slice() {
                [] => format!(r#"declare it: "params": {{{name:?}: {{}}}}"#),
                names => suggestion(name, "the spec's params", names),
            };
            (None, Wrong::new(path, format!("no param {name:?} is declared"), Some(hint)))
        })
    }
}

/// Returns NAME if `value` is `{"param": NAME}`.
fn stands_for(value: &Value) -> Option<&str> {
    let object = value.as_object()?;
    let name = object.get("param")?.as_str()?;
    (object.len() == 1).then_some(name)
}

/// Whether a param stands anywhere in `value`.
pub fn contains_param(value: &Value) -> bool {
    match value {
        Value::Object(object) => stands_for(value).is_some() || object.values().any(contains_param),
        Value::Array(list) => list.iter().any(contains_param),
        _ => false,
    }
}
