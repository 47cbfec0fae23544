use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

type Row = Vec<Option<String>>;

/// Collects the rows of batches.
#[derive(Default)]
struct Rows(Vec<Row>);

impl Sink for Rows {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        assert!(batch.rows <= BATCH);
        for row in 0..batch.rows {
            let cell = |column: usize| {
                let (Column::Bytes(cells) | Column::Json(cells)) = batch.columns[column] else { panic!("a number") };
                cells.value(row).map(|cell| String::from_utf8(cell.to_vec()).unwrap())
            };
            self.0.push((0..batch.columns.len()).map(cell).collect());
        }
        Ok(())
    }
}

/// Returns the rows, the bad lines with what is wrong, and the number of records. Checks that keeping types changes
/// nothing but the mark of a string.
fn read(names: &[&str], verbatim: bool, text: &[u8]) -> (Vec<Row>, Vec<(String, String)>, u64) {
    let plain = read_as(names, false, verbatim, text);
    let (mut rows, bad, records) = read_as(names, true, verbatim, text);
    for cell in rows.iter_mut().flat_map(|row| &mut row[..names.len()]).flatten() {
        if let Some(text) = cell.strip_prefix('"') {
            *cell = text.to_owned();
        }
    }
    assert_eq!((rows, &bad, records), (plain.0.clone(), &plain.1, plain.2));
    plain
}

fn read_as(names: &[&str], keeps_type: bool, verbatim: bool, text: &[u8]) -> (Vec<Row>, Vec<(String, String)>, u64) {
    let fields: Vec<_> = names.iter().map(|name| WantedField { path: path(name), keeps_type }).collect();
    let (mut rows, mut bad) = (Rows::default(), Vec::new());
    let mut reject = |span: Span, malformed: Malformed| {
        let line = String::from_utf8_lossy(&text[span.start as usize..span.end as usize]).into_owned();
        bad.push((line, malformed.to_string()));
    };
    let taken = Reader::new(&fields, verbatim).read(text, &mut reject, &mut rows).unwrap();
    assert_eq!(taken.bytes, text.len());
    assert_eq!(taken.records, (rows.0.len() + bad.len()) as u64);
    (rows.0, bad, taken.records)
}

fn row(cells: &[Option<&str>]) -> Row {
    cells.iter().map(|cell| cell.map(str::to_owned)).collect()
}

fn wrong(line: &str) -> String {
    let (rows, bad, _) = read(&["a", "b.c"], false, line.as_bytes());
    assert!(rows.is_empty(), "{rows:?}");
    bad[0].1.clone()
}

#[test]
fn names_along_a_path() {
    assert_eq!(path("a"), ["a"]);
    assert_eq!(path("a.b.c"), ["a", "b", "c"]);
    assert_eq!(path("a\\.b.c"), ["a.b", "c"]);
    assert_eq!(path("a\\b.c\\"), ["a\\b", "c\\"]);
    assert_eq!(path("a\\\\.b"), ["a\\.b"]);
    assert_eq!(path(""), [""]);
    assert_eq!(path(".a."), ["", "a", ""]);
}

#[test]
fn values_are_what_they_say() {
    let text =
        br#"{"a": "x", "n": 1.50e+3, "t": true, "f": false, "z": null, "l": [1, {"a": 2}], "o": {"a": {"b": ""}}}"#;
    let names = ["a", "n", "t", "f", "z", "l", "o", "o.a", "o.a.b", "o.b", "a.b", "missing"];
    let (rows, bad, _) = read(&names, true, text);
    assert_eq!((rows.len(), bad.len()), (1, 0));
    let list = r#"[1, {"a": 2}]"#;
    let [object, inner] = [r#"{"a": {"b": ""}}"#, r#"{"b": ""}"#];
    let mut expected = row(&[Some("x"), Some("1.50e+3"), Some("true"), Some("false"), None, Some(list), Some(object)]);
    expected.extend(row(&[Some(inner), Some(""), None, None, None]));
    expected.push(Some(String::from_utf8(text.to_vec()).unwrap()));
    assert_eq!(rows[0], expected);
}

#[test]
fn a_string_is_told_from_what_it_says() {
    let text = br#"{"a":"1","b":1,"c":"","d":"\u0031\n"}
{"a":"true","b":true,"c":"[1]","d":[1]}
{"a":"null","b":null,"c":"\"","d":"{}"}"#;
    let (rows, ..) = read_as(&["a", "b", "c", "d"], true, false, text);
    let expected = [
        row(&[Some("\"1"), Some("1"), Some("\""), Some("\"1\n")]),
        row(&[Some("\"true"), Some("true"), Some("\"[1]"), Some("[1]")]),
        row(&[Some("\"null"), None, Some("\"\""), Some("\"{}")]),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn the_last_of_a_name_counts() {
    let text = br#"{"a":{"b":1,"c":2},"a":{"c":3}}
{"a":{"b":1},"a":4}
{"a":"x","a":null}
{"a":{"b":1,"b":"\n"}}"#;
    let (rows, ..) = read(&["a", "a.b", "a.c"], false, text);
    let expected = [
        row(&[Some(r#"{"c":3}"#), None, Some("3")]),
        row(&[Some("4"), None, None]),
        row(&[None, None, None]),
        row(&[Some(r#"{"b":1,"b":"\n"}"#), Some("\n"), None]),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn escapes_in_values_and_names() {
    let text = "{\"a\":\"x\"}\r\n{\"\\u0061\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"}\n{\"a\":\"é\"}\n";
    let (rows, bad, _) = read(&["a"], true, text.as_bytes());
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let cells = ["x", "\"\\/\u{8}\u{c}\n\r\té😀", "é"];
    let expected: Vec<_> =
        cells.iter().zip(lines).map(|(cell, line)| vec![Some((*cell).to_owned()), Some(line)]).collect();
    assert_eq!((rows, bad.len()), (expected, 0));
}

#[test]
fn empty_lines_are_no_records() {
    let (rows, bad, records) = read(&["a"], false, b"\n \t\r\n{\"a\":1}\n\n{}");
    assert_eq!((rows, bad.len(), records), (vec![row(&[Some("1")]), row(&[None])], 0, 2));
}

#[test]
fn what_is_wrong_is_said_and_where() {
    assert_eq!(wrong("[1]"), "an array where an object is expected");
    assert_eq!(wrong("\"a\""), "a string where an object is expected");
    assert_eq!(wrong("-1"), "a number where an object is expected");
    assert_eq!(wrong("true"), "a boolean where an object is expected");
    assert_eq!(wrong("null"), "null where an object is expected");
    assert!(wrong("{\"a\": nul}").starts_with("not JSON: "));
    assert!(wrong("{\"a\":1} {\"a\":2}").starts_with("not JSON: trailing characters at byte 8"));
    assert!(wrong("{\"a\":1").starts_with("not JSON: EOF"));
    assert!(wrong("{\"a\":01}").starts_with("not JSON: invalid number"));
    assert!(wrong("{\"a\":NaN}").starts_with("not JSON: "));
    assert!(wrong("{\"a\":\"\\ud800\"}").starts_with("not JSON: "));
    assert!(wrong("{'a':1}").starts_with("not JSON: "));
    assert!(wrong("what").starts_with("not JSON: "));
    let (_, bad, _) = read(&["a"], false, b"{\"a\":\"\xff\"}");
    assert!(bad[0].1.starts_with("not JSON: invalid unicode"), "{bad:?}");
}

/// Deep nesting overflows no stack, whether the value is wanted or not.
#[test]
fn nesting_is_bounded() {
    let deep = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    for names in [["a"], ["b"]] {
        assert_eq!(read(&names, false, deep(150).as_bytes()).0.len(), 1);
        let (_, bad, _) = read(&names, false, deep(1_000_000).as_bytes());
        assert!(bad[0].1.starts_with("not JSON: recursion limit exceeded"), "{}", bad[0].1);
    }
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(read(&["a.a.a"], false, objects.as_bytes()).1.len(), 1);
}

/// A bad line is reported after the records before it, and no batch has more than [`BATCH`] records.
#[test]
fn order_and_batches() {
    let text: String =
        (0..3 * BATCH).map(|i| if i % 300 == 299 { "{\n".into() } else { format!("{{\"a\":{i}}}\n") }).collect();
    let (rows, bad, records) = read(&["a"], false, text.as_bytes());
    assert_eq!((rows.len(), bad.len(), records), (3 * BATCH - 2, 2, 3 * BATCH as u64));
    let expected: Vec<_> = (0..3 * BATCH).filter(|i| i % 300 != 299).map(|i| vec![Some(i.to_string())]).collect();
    assert_eq!(rows, expected);
}

/// A value as JSON, and as the text that is read from it.
#[derive(Clone, Debug)]
enum Tree {
    Plain(String, Option<String>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    fn json(&self) -> String {
        match self {
            Tree::Plain(json, _) => json.clone(),
            Tree::Object(all) => {
                let all: Vec<_> = all.iter().map(|(name, tree)| format!("{name:?} :{} ", tree.json())).collect();
                format!("{{{}}}", all.join(","))
            }
        }
    }

    fn text(&self) -> Option<String> {
        match self {
            Tree::Plain(_, text) => text.clone(),
            Tree::Object(_) => Some(self.json()),
        }
    }

    fn at(&self, path: &[String]) -> Option<String> {
        let Some((first, rest)) = path.split_first() else { return self.text() };
        match self {
            Tree::Plain(..) => None,
            Tree::Object(all) => all.iter().rfind(|(name, _)| name == first).and_then(|(_, tree)| tree.at(rest)),
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let same = |text: &str| Tree::Plain(text.into(), Some(text.into()));
    let plain = prop_oneof![
        Just(Tree::Plain("null".into(), None)),
        prop::sample::select(vec!["true", "0", "-0.0", "12e4", "99999999999999999999.5", "[]", "[[1], \"a\"]"])
            .prop_map(same),
        any::<String>().prop_map(|text| Tree::Plain(serde_json::to_string(&text).unwrap(), Some(text))),
    ];
    let names = prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    plain.prop_recursive(3, 16, 4, move |inner| {
        prop::collection::vec((names.clone(), inner), 0..4).prop_map(Tree::Object)
    })
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(
        lines in prop::collection::vec(prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned), trees()), 0..4), 0..20),
        names in prop::sample::subsequence(vec!["a", "a.a", "a.b", "b", "b.c.a", "c.b"], 0..6),
    ) {
        let lines: Vec<_> = lines.into_iter().map(Tree::Object).collect();
        let text: String = lines.iter().map(|line| line.json() + "\n").collect();
        let (rows, bad, _) = read(&names, false, text.as_bytes());
        prop_assert!(bad.is_empty(), "{:?}", bad);
        let expected: Vec<Vec<_>> = lines.iter().map(|line| names.iter().map(|name| line.at(&path(name))).collect()).collect();
        prop_assert_eq!(rows, expected);
    }

    /// The good lines are those that an independent parser, serde_json, accepts.
    #[test]
    fn good_is_what_another_parser_takes(line in "[{}\\[\\]\"ab:, 0-9.eE\\-\\\\ntrufalse]{0,12}", wraps in any::<bool>()) {
        let line = if wraps { format!("{{\"a\":{line}}}") } else { line };
        prop_assume!(!line.trim().is_empty());
        let (rows, bad, _) = read(&["a"], false, line.as_bytes());
        let other = serde_json::from_str::<Map<String, Value>>(&line);
        // serde_json refuses numbers that no double holds.
        prop_assume!(!other.as_ref().is_err_and(|error| error.to_string().contains("out of range")));
        prop_assert_eq!((rows.len(), bad.len()), if other.is_ok() { (1, 0) } else { (0, 1) }, "{:?} {:?}", other, bad);
    }

    /// Nothing panics, and a bad line doesn't affect the next.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut text = bytes.clone();
        text.extend(b"\n{\"a\":\"good\"}");
        let (rows, ..) = read(&["a"], true, &text.iter().map(|byte| byte & 0x7f).collect::<Vec<_>>());
        prop_assert_eq!(rows.last().unwrap()[0].as_deref(), Some("good"));
    }
}

proptest! {
    /// A line is read in the same way whatever lines come before it.
    #[test]
    fn lines_that_are_alike(
        lines in prop::collection::vec((
            prop::sample::select(vec!["a", "b", "c"]),
            prop::sample::select(vec![
                "1", "-0.5e+7", "01", "1.", "-", "\"\"", "\"long enough for words\"", "\"é\u{1f600} and on and on\"", "\"x\\n\"", "\"x\ty\"",
                "\"\\u12\"", "true", "tru", "null", "{\"a\":1}", "{\"a\":{\"b\":2}, \"c\" : []}", "[1,[2]]", "[1,", "\"", "", "1 ",
                "{\"a\":\"\u{7f}\"}", "\"\u{1}\"",
            ]),
            prop::sample::select(vec!["", " ", "\r", "\t "]),
        ), 1..40),
        names in prop::sample::subsequence(vec!["a", "b", "a.a", "b.a.b", "x"], 0..5),
        spaced in any::<bool>(),
        at_end in any::<bool>(),
    ) {
        let (colon, comma) = if spaced { (" : ", " , ") } else { (":", ",") };
        let line = |(name, value, end): &(&str, &str, &str)| {
            format!("{{\"x\"{colon}7{comma}\"{name}\"{colon}{value}{comma}\"y\"{colon}{value}}}{end}\n")
        };
        let mut text: String = lines.iter().map(line).collect();
        if at_end {
            text.pop();
        }
        let together = read(&names, true, text.as_bytes());
        let mut alone = (Vec::new(), Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            let (rows, bad, records) = read(&names, true, line.as_bytes());
            alone.0.extend(rows);
            alone.1.extend(bad);
            alone.2 += records;
        }
        prop_assert_eq!(together, alone);
    }
}

/// The parser limits the length of a number. A line that is read by a template has the same limit.
#[test]
fn long_numbers_are_what_they_are_alone() {
    let digits = |count: usize| "9".repeat(count);
    let numbers = [999, 1000, 1001, 4299, 4300, 4301, 5000].into_iter().flat_map(|count| {
        [digits(count), format!("-{}", digits(count)), format!("1.{}", digits(count)), format!("1e{}", digits(count))]
    });
    for number in numbers {
        for names in [["a"], ["b"]] {
            let line = format!("{{\"a\":{number}}}\n");
            let (alone, bad, _) = read(&names, false, line.as_bytes());
            let (together, bad_together, _) = read(&names, false, format!("{{\"a\":1}}\n{line}").as_bytes());
            assert_eq!((&together[1..], bad_together), (&alone[..], bad), "{} bytes", number.len());
        }
    }
}

#[test]
fn numbers_and_strings_end_where_they_should() {
    for (text, end) in [
        ("0,", Some(1)),
        ("-0}", Some(2)),
        ("10.25 ", Some(5)),
        ("1e5", Some(3)),
        ("1E-05,", Some(5)),
        ("00", None),
        ("-", None),
        ("1.", None),
        ("1.e3", None),
        ("1e", None),
        ("1e+", None),
        (".5", None),
        ("-x", None),
    ] {
        assert_eq!(super::template::number_end(text.as_bytes(), 0), end, "{text}");
    }
    for len in 0..20 {
        for (stop, found) in [("\"", true), ("\\", false), ("\n", false), ("\u{1f}", false)] {
            for letter in ["a", "é", "\u{7f}", " ", "!", "["] {
                let text = letter.repeat(len);
                let whole = format!("{text}{stop}more of it \"");
                let expected = found.then_some((text.len(), text.is_ascii()));
                assert_eq!(super::template::string_end(whole.as_bytes(), 0), expected, "{whole:?}");
            }
        }
    }
    assert_eq!(super::template::string_end(b"no end", 0), None);
}
