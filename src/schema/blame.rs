//! Errors about a spec: [`Blame`] makes messages that name the spec and the place in it.

use crate::data::Zone;
use crate::error::{Error, Result, suggestion};

/// Makes errors that say in which spec something is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Blame<'a> {
    /// The name that messages give the spec.
    pub origin: &'a str,
}

impl Blame<'_> {
    /// Whether the spec comes from a line of `mapfold agg`. Hints then name flags in place of keys.
    pub fn is_a_line(&self) -> bool {
        self.origin == "agg"
    }

    pub fn error(&self, path: &str, what: &str, hint: Option<String>) -> Error {
        Error::Usage { message: format!("{}: {path}: {what}", self.origin), hint }
    }

    /// Returns the index of `name` in `names`, or the error that it is unknown.
    pub fn find(&self, path: &str, what: &str, name: &str, names: &[&str]) -> Result<usize> {
        names.iter().position(|known| *known == name).ok_or_else(|| self.unknown_name(path, what, name, names))
    }

    pub fn zone(&self, path: &str, name: &str) -> Result<Zone> {
        let unknown_name = || self.error(path, &format!("no time zone {name:?}"), Some(Zone::hint(name)));
        Zone::named(name).ok_or_else(unknown_name)
    }

    /// The error that `name` is none of `names`.
    pub fn unknown_name(&self, path: &str, what: &str, name: &str, names: &[&str]) -> Error {
        self.error(path, &format!("no {what} {name:?}"), Some(suggestion(name, &format!("{what}s"), names)))
    }
}
