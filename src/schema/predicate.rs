//! The keys of a predicate. `where`, `having`, the step `filter` and every aggregate share them.

use super::{Key, Shape, Variant, Variants};

pub static PREDICATE: Shape = Shape::Variants(&PREDICATES);

pub static PREDICATES: Variants = Variants {
    what: "a predicate",
    example: r#"{"field": "line", "matches": "error|warning"}"#,
    all: &[
        test("equal", &[FIELD, Key::required("equal", Shape::Literal).about("The field is equal to this")]),
        test("lt", &[FIELD, Key::required("lt", Shape::Literal).about("The field is less than this")]),
        test("lte", &[FIELD, Key::required("lte", Shape::Literal).about("The field is this or less")]),
        test("gt", &[FIELD, Key::required("gt", Shape::Literal).about("The field is greater than this")]),
        test("gte", &[FIELD, Key::required("gte", Shape::Literal).about("The field is this or greater")]),
        test("in", &[FIELD, Key::required("in", Shape::List(&Shape::Literal)).about("The field is one of these")]),
        test(
            "matches",
            &[
                FIELD,
                Key::required("matches", Shape::Pattern).about("The regular expression matches somewhere in the field"),
            ],
        ),
        test(
            "valid",
            &[
                FIELD,
                Key::required("valid", Shape::Flag).about("true: the field is not null; false: the field is null"),
            ],
        ),
        test("and", &[Key::required("and", Shape::List(&PREDICATE)).about("All of these predicates hold")]),
        test("or", &[Key::required("or", Shape::List(&PREDICATE)).about("At least one of these predicates holds")]),
        test("not", &[Key::required("not", Shape::Variants(&PREDICATES)).about("This predicate doesn't hold")]),
    ],
};

const FIELD: Key =
    Key::required("field", Shape::Name).about("The field that is tested; in having, a column of the result");

const fn test(name: &'static str, keys: &'static [Key]) -> Variant {
    Variant { name, keys }
}
