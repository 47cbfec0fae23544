//! The steps of `map`. Each kind of step has a file of its own, with its keys in a spec, the function that resolves it
//! in a [`Scope`], and the stage that runs it.

mod bin;
mod candidates;
pub mod convert;
mod derive;
mod explode;
pub mod extract;
pub mod filter;
mod gather;
pub mod locate;
mod lower;
pub mod member;
pub mod ngrams;
pub mod null_unless;
mod pieces;
mod rewrite;
pub mod split;
mod time;
mod trim;
pub mod unquote;
mod upper;

pub use extract::{Extract, ExtractAll};
pub use filter::Filter;
pub use ngrams::Ngrams;
pub use split::Split;

use serde_json::{Map, Value};

use super::Scope;
use super::scope::Written;
use crate::error::Result;
use crate::schema::{Key, Shape, Variant, Variants};

/// The shape of a step in a spec.
pub static SHAPE: Shape = Shape::Variants(&Variants {
    what: "a step",
    example: r#"{"split": "line", "on": "words", "as": "word"}"#,
    all: &[
        Variant { name: "split", keys: split::KEYS },
        Variant { name: "ngrams", keys: ngrams::KEYS },
        Variant { name: "lower", keys: lower::KEYS },
        Variant { name: "upper", keys: upper::KEYS },
        Variant { name: "trim", keys: trim::KEYS },
        Variant { name: "extract", keys: extract::KEYS },
        Variant { name: "derive", keys: derive::KEYS },
        Variant { name: "bin", keys: bin::KEYS },
        Variant { name: "time", keys: time::KEYS },
        Variant { name: "explode", keys: explode::KEYS },
        Variant { name: "filter", keys: filter::KEYS },
    ],
});

/// Resolves one step, and pushes it together with the conversions that it needs.
type Resolve = fn(Written<'_>, &mut Scope<'_>) -> Result<()>;

/// The function that resolves each kind of step, by the key that tells the kind.
const KINDS: &[(&str, Resolve)] = &[
    ("split", split::resolve),
    ("ngrams", ngrams::resolve),
    ("lower", lower::resolve),
    ("upper", upper::resolve),
    ("trim", trim::resolve),
    ("extract", extract::resolve),
    ("derive", derive::resolve),
    ("bin", bin::resolve),
    ("time", time::resolve),
    ("explode", explode::resolve),
    ("filter", filter::resolve),
];

/// Whether `key` is one of the keys that tell the kind of a step.
pub fn is_kind(key: &str) -> bool {
    KINDS.iter().any(|(kind, _)| *kind == key)
}

/// The key that names the field that a step adds.
const AS: Key = Key::required("as", Shape::Name).about("The name of the new field");

/// Resolves the steps of a spec's `map`, in order.
pub fn resolve(map: &[Map<String, Value>], scope: &mut Scope<'_>) -> Result<()> {
    for (i, object) in map.iter().enumerate() {
        let path = format!("map.{i}");
        let (_, resolve) = KINDS.iter().find(|(key, _)| object.contains_key(*key)).expect("the schema knows no other");
        scope.at(&path);
        resolve(Written { object, path: &path }, scope)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_the_schema_has_is_worked_out() {
        let Shape::Variants(variants) = SHAPE else { panic!("steps are told apart by a key") };
        let built: Vec<_> = variants.all.iter().filter(|kind| kind.is_built()).map(|kind| kind.name).collect();
        assert_eq!(built, KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
