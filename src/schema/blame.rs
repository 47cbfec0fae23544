//! Who is to blame for a name that means nothing: a spec, and a place in it.

use crate::data::Zone;
use crate::error::{Error, Result, suggestion};

/// Says which spec, and where in it, something is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Blame<'a> {
    /// What messages call the spec.
    pub origin: &'a str,
}

impl Blame<'_> {
    /// Whether a line of `mapfold agg` is the spec: then its flags say what keys do.
    pub fn is_a_line(&self) -> bool {
        self.origin == "agg"
    }

    pub fn error(&self, path: &str, what: &str, hint: Option<String>) -> Error {
        Error::Usage { message: format!("{}: {path}: {what}", self.origin), hint }
    }

    /// The index of `name` in `names`.
    pub fn find(&self, path: &str, what: &str, name: &str, names: &[&str]) -> Result<usize> {
        names.iter().position(|known| *known == name).ok_or_else(|| self.stranger(path, what, name, names))
    }

    pub fn zone(&self, path: &str, name: &str) -> Result<Zone> {
        let stranger = || self.error(path, &format!("no time zone {name:?}"), Some(Zone::hint(name)));
        Zone::named(name).ok_or_else(stranger)
    }

    /// `name` is none of `names`.
    pub fn stranger(&self, path: &str, what: &str, name: &str, names: &[&str]) -> Error {
        self.error(path, &format!("no {what} {name:?}"), Some(suggestion(name, &format!("{what}s"), names)))
    }
}
