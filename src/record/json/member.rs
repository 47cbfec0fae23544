//! Finds one member of a JSON object by its path.

use jiter::Jiter;

use super::wanted::{Node, WantedField};
use super::{Cell, Object};

/// Finds the member at a path. It holds scratch memory, so each worker has its own.
#[derive(Debug)]
pub struct Member {
    wanted: Node,
    /// jiter's memory for strings with escapes.
    tape: Vec<u8>,
    found: [Cell; 1],
    unescaped: Vec<u8>,
}

impl Member {
    /// Takes the names along the path, at least one.
    pub fn new(path: &[String]) -> Self {
        let field = WantedField { path: path.to_owned(), keeps_type: true };
        Member { wanted: Node::of(&[field]), tape: Vec::new(), found: [Cell::Null], unescaped: Vec::new() }
    }

    /// Returns the member of the object `json` as a cell of [`Column::Json`](crate::data::Column::Json), or `None` if
    /// it is null or missing, or if `json` isn't an object.
    pub fn find<'a>(&'a mut self, json: &'a [u8]) -> Option<&'a [u8]> {
        let Member { wanted, tape, found, unescaped } = self;
        found[0] = Cell::Null;
        unescaped.clear();
        let mut object = Object {
            json: Jiter::with_tape(json, std::mem::take(tape)),
            line: json,
            start: 0,
            record: found,
            unescaped,
        };
        let read = object.read(wanted, None);
        *tape = object.json.into_tape();
        read.ok()?;
        match &found[0] {
            Cell::Null => None,
            Cell::Here(range) => Some(&json[range.clone()]),
            Cell::Unescaped(range) => Some(&unescaped[range.clone()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_at_a_path() {
        let mut member = Member::new(&["a".into(), "b.c".into()]);
        let mut find = |json: &str| member.find(json.as_bytes()).map(|cell| String::from_utf8(cell.to_vec()).unwrap());
        assert_eq!(find(r#"{"a": {"b.c": 1.50}}"#).as_deref(), Some("1.50"));
        assert_eq!(find(r#"{"a": {"b.c": "x"}}"#).as_deref(), Some("\"x"));
        assert_eq!(find(r#"{"a": {"b.c": "\u00e9\n"}}"#).as_deref(), Some("\"é\n"));
        assert_eq!(find(r#"{"a": {"b.c": [1, {"d": 2}]}}"#).as_deref(), Some(r#"[1, {"d": 2}]"#));
        // If a name occurs twice, the last value counts.
        assert_eq!(find(r#"{"a": {"b.c": 1}, "a": {"b.c": 2}}"#).as_deref(), Some("2"));
        for nothing in [
            r#"{"a": {"b.c": 1}, "a": 3}"#,
            r#"{"a": {"b.c": null}}"#,
            r#"{"a": {"b": {"c": 1}}}"#,
            "{}",
            "[]",
            "1",
            "\"x",
            "\"{\"a\": {\"b.c\": 1}}",
        ] {
            assert_eq!(find(nothing), None, "{nothing}");
        }
    }
}
