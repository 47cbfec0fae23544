//! The keys of a predicate, which `where`, `having`, the step `filter` and every aggregate share.

use super::{Key, Shape, Variant, Variants};

pub static PREDICATE: Shape = Shape::Variants(&PREDICATES);

pub static PREDICATES: Variants = Variants {
    what: "a predicate",
    example: r#"{"field": "line", "matches": "error|warning"}"#,
    all: &[
        test("equal", &[FIELD, Key::required("equal", Shape::Literal)]),
        test("lt", &[FIELD, Key::required("lt", Shape::Literal)]),
        test("lte", &[FIELD, Key::required("lte", Shape::Literal)]),
        test("gt", &[FIELD, Key::required("gt", Shape::Literal)]),
        test("gte", &[FIELD, Key::required("gte", Shape::Literal)]),
        test("in", &[FIELD, Key::required("in", Shape::List(&Shape::Literal))]),
        test("matches", &[FIELD, Key::required("matches", Shape::Pattern)]),
        test("valid", &[FIELD, Key::required("valid", Shape::Flag)]),
        test("and", &[Key::required("and", Shape::List(&PREDICATE))]),
        test("or", &[Key::required("or", Shape::List(&PREDICATE))]),
        test("not", &[Key::required("not", Shape::Variants(&PREDICATES))]),
    ],
};

const FIELD: Key = Key::required("field", Shape::Name);

const fn test(name: &'static str, keys: &'static [Key]) -> Variant {
    Variant { name, keys }
}
