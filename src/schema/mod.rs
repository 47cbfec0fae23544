//! The vocabulary in which the keys of a spec are told: shapes of values, and tables of keys.
//!
//! ```text
//! bytes ──json──► Value ──set──► Value ──params──► Value ──check──► right, or Wrong with its path
//!                         │              │                 │
//!                         └──────────────┴── a table ──────┘
//! ```
//!
//! A step, an aggregate or a format declares its own keys in its own file, as a [`Variant`] or a [`Choice`]; `spec` puts
//! them in one table. Everything here works on any table: the parser of JSON, the checker, `--set` and params; and what tells
//! others of it: [`json_schema`] editors, [`mod@reference`] readers, [`paths`] shells.
//!
//! Keys and values that are promised but not built yet are in a table too, as [`Shape::Later`], as `later` of a choice, or
//! as a variant without keys: a user who writes one has made no spelling mistake and is told so.

mod blame;
pub mod check;
pub mod json;
pub mod json_schema;
pub mod params;
pub mod paths;
pub mod predicate;
pub mod reference;
pub mod set;
pub mod size;

pub use blame::Blame;
pub use check::Wrong;

use serde_json::Value;

/// What a value must look like.
pub enum Shape {
    /// Any string.
    Text,
    /// A string that isn't empty.
    Name,
    /// What cuts text in pieces: the name of a tokeniser, or a literal that isn't empty.
    Splitter,
    /// The same, or an object.
    SplitterOr(&'static [Key]),
    /// One ASCII character that can stand between fields, as a string; `\t` with its backslash is a tab too.
    Delimiter,
    /// What ends a record of text: see [`check::separator`].
    Separator,
    /// Bytes, as a number or as a string such as `512M`; at least 1.
    Size,
    /// A span of time, as a string such as `500ms`.
    Span,
    Whole {
        least: u64,
        most: u64,
    },
    /// A number from 0 to 1.
    Share,
    Flag,
    /// One of some words.
    Choice(Choice),
    /// One of some words, or an object.
    WordOr(Choice, &'static [Key]),
    /// A string that isn't empty, or one of several objects. The string is short for the first of them with nothing but
    /// the key of its own.
    NameOr(&'static Variants),
    /// A command and its arguments: a list of strings. The first isn't empty.
    Words,
    List(&'static Shape),
    /// A list, or the only thing in it.
    OneOrMore(&'static Shape),
    /// A string or a number: what a field is compared with.
    Literal,
    /// A regular expression.
    Pattern,
    /// The number of a group of a regular expression, or its name.
    Group,
    /// Anything: what a param stands for is held to the place where it stands.
    Any,
    Object(&'static [Key]),
    /// An object whose keys the user chooses.
    Map(&'static Shape),
    Variants(&'static Variants),
    Tagged(&'static Tagged),
    /// Promised, not built.
    Later,
    /// A key that another variant has, and why this one hasn't: what is wrong, and a hint.
    Elsewhere(&'static str, &'static str),
}

impl Shape {
    /// What keys an object of this shape may have, unless that depends on what is in it.
    fn keys(&self) -> Option<&'static [Key]> {
        match self {
            Shape::Object(keys) | Shape::WordOr(_, keys) | Shape::SplitterOr(keys) => Some(keys),
            _ => None,
        }
    }
}

pub struct Choice {
    pub built: &'static [&'static str],
    pub later: &'static [&'static str],
}

impl Choice {
    pub const fn of(built: &'static [&'static str]) -> Self {
        Choice { built, later: &[] }
    }
}

pub struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
    /// One line, in plain text. That of a variant's own key says what the variant is for.
    pub about: &'static str,
    /// What it is in a spec that hasn't it, where that is one value: as `--set` takes it.
    pub default: Option<&'static str>,
}

impl Key {
    pub const fn optional(name: &'static str, shape: Shape) -> Self {
        Key { name, shape, required: false, about: "", default: None }
    }

    pub const fn required(name: &'static str, shape: Shape) -> Self {
        Key { required: true, ..Key::optional(name, shape) }
    }

    pub const fn about(self, about: &'static str) -> Self {
        Key { about, ..self }
    }

    pub const fn by_default(self, value: &'static str) -> Self {
        Key { default: Some(value), ..self }
    }

    pub const fn later(name: &'static str) -> Self {
        Key::optional(name, Shape::Later)
    }

    /// [`Key::default`] as JSON.
    pub fn default_value(&self) -> Option<Value> {
        let read = |text| set::interpret(text, &self.shape, &[]).expect("a default is a value of its key");
        self.default.map(read)
    }

    /// Whether a spec may have it.
    pub const fn is_built(&self) -> bool {
        !matches!(self.shape, Shape::Later | Shape::Elsewhere(..))
    }
}

/// One of several objects, told apart by a key of their own.
pub struct Variants {
    /// What one of them is, with its article.
    pub what: &'static str,
    pub example: &'static str,
    pub all: &'static [Variant],
}

/// One of several objects, told apart by the value of one key.
pub struct Tagged {
    /// What one of them is, with its article.
    pub what: &'static str,
    pub tag: &'static str,
    pub all: &'static [Variant],
}

pub struct Variant {
    /// The key of its own, or the value of the tag.
    pub name: &'static str,
    /// All its keys, its own or the tag among them; empty for one that isn't built yet.
    pub keys: &'static [Key],
}

impl Variant {
    pub const fn later(name: &'static str) -> Self {
        Variant { name, keys: &[] }
    }

    pub const fn is_built(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The key that tells it from others: its own, or `tag`.
    pub fn own(&self, tag: Option<&str>) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == tag.unwrap_or(self.name))
    }
}

/// What is one of several, without its article.
fn without_article(what: &str) -> &str {
    what.split_once(' ').map_or(what, |(_, noun)| noun)
}

/// The names that `on` has besides literals.
pub const SPLITTERS: Choice = Choice::of(&["words", "whitespace", "letters", "chars"]);

/// Defines an enum of plain choices, each with the one name that specs, flags and reports call it by.
///
/// `NAMES` has them in order, as [`Choice`] and clap want them; `name` is that of one.
macro_rules! choices {
    ($(#[$attribute:meta])* pub enum $Enum:ident { $($(#[$inner:meta])* $Variant:ident = $name:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $Enum {
            $($(#[$inner])* #[serde(rename = $name)] $Variant,)+
        }

        impl $Enum {
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            pub const fn name(self) -> &'static str {
                match self {
                    $($Enum::$Variant => $name,)+
                }
            }
        }
    };
}

pub(crate) use choices;
