//! The key `sort` of a spec: columns by their names, or objects that say more.

use serde::{Deserialize, Serialize};

use crate::schema::{Key, Shape, Variant, Variants};

/// The shape of an element of `sort`.
pub(super) static SHAPE: Shape = Shape::NameOr(&Variants {
    what: "an order",
    example: r#"{"descending": "amount", "number": true}"#,
    all: &[Variant { name: "ascending", keys: ASCENDING }, Variant { name: "descending", keys: DESCENDING }],
});

const NUMBER: Key = Key::optional("number", Shape::Flag)
    .about("For records: whether the column is read as a number, if its type isn't declared")
    .by_default("false");

const ASCENDING: &[Key] = &[
    Key::required("ascending", Shape::Name).about("A column to sort by, the least value first; null comes first"),
    NUMBER,
];

const DESCENDING: &[Key] = &[
    Key::required("descending", Shape::Name).about("A column to sort by, the greatest value first; null comes last"),
    NUMBER,
];

/// A column to sort by, as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortBy {
    /// A column, with `-` in front if the order is descending.
    Named(String),
    Ascending {
        ascending: String,
        #[serde(default, skip_serializing_if = "is_false")]
        number: bool,
    },
    Descending {
        descending: String,
        #[serde(default, skip_serializing_if = "is_false")]
        number: bool,
    },
}

fn is_false(flag: &bool) -> bool {
    !flag
}
