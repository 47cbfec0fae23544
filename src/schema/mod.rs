//! The vocabulary that describes the keys of a spec: shapes of values, and tables of keys.
//!
//! ```text
//! bytes ──json──► Value ──set──► Value ──params──► Value ──check──► right, or Wrong with its path
//!                         │              │                 │
//!                         └──────────────┴── a table ──────┘
//! ```
//!
//! A step, an aggregate or a format declares its keys in its own file, as a [`Variant`] or a [`Choice`]. The `spec`
//! module puts these into one table. Everything here works on any table: the parser of JSON, the checker, `--set` and
//! params. So do the modules that describe a table to others: [`json_schema`] for editors, [`mod@reference`] for
//! readers, [`paths`] for shells.
//!
//! Keys and values that are planned but not built yet are in a table too: as [`Shape::Later`], in `later` of a choice,
//! or as a variant without keys. A user who writes one gets a message that says so, rather than one about a spelling
//! mistake.

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

/// The shape that a value must have.
pub enum Shape {
    /// Any string.
    Text,
    /// A string that isn't empty.
    Name,
    /// What cuts text into pieces: the name of a tokeniser, or a literal that isn't empty.
    Splitter,
    /// A splitter, or an object with these keys.
    SplitterOr(&'static [Key]),
    /// One ASCII character that can stand between fields, as a string. The two characters `\t` stand for a tab.
    Delimiter,
    /// The character that ends a record of text: see [`check::separator`].
    Separator,
    /// A number of bytes, as a number or as a string such as `512M`; at least 1.
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
    /// One of some words, or an object with these keys.
    WordOr(Choice, &'static [Key]),
    /// A string that isn't empty, or one of several objects. The string stands for an object of the first variant that
    /// has only that variant's own key.
    NameOr(&'static Variants),
    /// A command and its arguments: a list of strings. The first isn't empty.
    Words,
    List(&'static Shape),
    /// A list of items, or one item without the list's brackets.
    OneOrMore(&'static Shape),
    /// A string or a number that a field is compared with.
    Literal,
    /// A regular expression.
    Pattern,
    /// The number or the name of a group of a regular expression.
    Group,
    /// Anything: the value of a param, which is checked at the place where the param stands.
    Any,
    Object(&'static [Key]),
    /// An object whose keys the user chooses.
    Map(&'static Shape),
    Variants(&'static Variants),
    Tagged(&'static Tagged),
    /// Planned but not built.
    Later,
    /// A key that another variant has and this one hasn't: what is wrong, and a hint.
    Elsewhere(&'static str, &'static str),
}

impl Shape {
    /// Returns the keys that an object of this shape may have. `None` if that depends on what is in the object.
    fn keys(&self) -> Option<&'static [Key]> {
        match self {
            Shape::Object(keys) | Shape::WordOr(_, keys) | Shape::SplitterOr(keys) => Some(keys),
            _ => None,
        }
    }
}

/// The words that a value may be: those that work (`built`) and those that are planned (`later`).
pub struct Choice {
    pub built: &'static [&'static str],
    pub later: &'static [&'static str],
}

impl Choice {
    pub const fn of(built: &'static [&'static str]) -> Self {
        Choice { built, later: &[] }
    }
}

/// A key that an object in a spec may have: its name, the shape of its value, and what the page of all keys says about
/// it.
pub struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
    /// One line, in plain text. For a variant's own key, it says what the variant is for.
    pub about: &'static str,
    /// The value in a spec without this key, if that is always the same; as `--set` takes it.
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

    /// Returns [`Key::default`] as JSON.
    pub fn default_value(&self) -> Option<Value> {
        let read = |text| set::interpret(text, &self.shape, &[]).expect("a default is a value of its key");
        self.default.map(read)
    }

    /// Whether a spec may have this key.
    pub const fn is_built(&self) -> bool {
        !matches!(self.shape, Shape::Later | Shape::Elsewhere(..))
    }
}

/// Several kinds of objects. Each kind has a key of its own that tells it from the others.
pub struct Variants {
    /// What messages call such an object, with an article.
    pub what: &'static str,
    pub example: &'static str,
    pub all: &'static [Variant],
}

/// Several kinds of objects that are told apart by the value of one key, the tag.
pub struct Tagged {
    /// What messages call such an object, with an article.
    pub what: &'static str,
    pub tag: &'static str,
    pub all: &'static [Variant],
}

/// One kind of object among those of a [`Variants`] or a [`Tagged`].
pub struct Variant {
    /// The variant's own key, or its value of the tag.
    pub name: &'static str,
    /// All keys of the variant, including its own key or the tag. Empty if the variant isn't built yet.
    pub keys: &'static [Key],
}

impl Variant {
    pub const fn later(name: &'static str) -> Self {
        Variant { name, keys: &[] }
    }

    pub const fn is_built(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Returns the key that tells the variant from the others: its own, or `tag`.
    pub fn own(&self, tag: Option<&str>) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == tag.unwrap_or(self.name))
    }
}

/// Returns `what` without its article.
fn without_article(what: &str) -> &str {
    what.split_once(' ').map_or(what, |(_, noun)| noun)
}

/// The names that `on` takes besides literals.
pub const SPLITTERS: Choice = Choice::of(&["words", "whitespace", "letters", "chars"]);

/// Defines an enum of plain choices. Each has one name, which specs, flags and reports use.
///
/// `NAMES` lists the names in order, as [`Choice`] and clap want them. `name` returns the name of one.
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
