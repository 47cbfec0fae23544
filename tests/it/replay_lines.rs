//! Reads any bytes as JSON lines and as lines that match a pattern, and compares each line with `serde_json` and
//! `regex`. The fuzz target and the test that replays its corpus share this.

use mapfold::data::{Batch, Column, Sink};
use mapfold::record::json::{self, WantedField};
use mapfold::record::pattern::{self, Pattern};
use serde_json::Value;

/// The cells of each record, as text.
#[derive(Default)]
struct Rows(Vec<Vec<Option<Vec<u8>>>>);

impl Sink for Rows {
    fn take(&mut self, batch: &Batch<'_>) -> mapfold::Result<()> {
        let cell = |column: &Column<'_>, row: usize| match column {
            Column::Bytes(cells) | Column::Json(cells) => cells.value(row).map(<[u8]>::to_vec),
            Column::Decimal(_) | Column::Float(_) => panic!("a reader makes no numbers"),
        };
        let rows = (0..batch.rows).map(|row| batch.columns.iter().map(|column| cell(column, row)).collect());
        self.0.extend(rows);
        Ok(())
    }
}

/// # Panics
/// Panics if the results differ.
pub fn check(file: &[u8]) {
    json_lines(file);
    patterns(file);
}

const NAMES: [&str; 4] = ["a", "a.b", "b", "c.a"];

fn json_lines(file: &[u8]) {
    let fields = NAMES.map(|name| WantedField { path: json::path(name), keeps_type: true });
    let (mut rows, mut bad) = (Rows::default(), Vec::new());
    let mut reject = |line: mapfold::data::Span, _| bad.push(file[line.start as usize..line.end as usize].to_vec());
    let taken = json::Reader::new(&fields, true).read(file, &mut reject, &mut rows).unwrap();
    assert_eq!(taken.bytes, file.len());
    assert_eq!(taken.records, (rows.0.len() + bad.len()) as u64);
    for row in rows.0 {
        let line = row[NAMES.len()].as_deref().expect("a record is not null");
        // The reader checks only the form of fields that aren't wanted, so these needn't be UTF-8.
        let Ok(text) = std::str::from_utf8(line) else { continue };
        let object = match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            Err(error) if is_beyond(&error) => continue,
            other => panic!("{text:?} is {other:?}"),
        };
        for (name, cell) in NAMES.iter().zip(&row) {
            let mut path = name.split('.');
            let mut value = object.get(path.next().expect("a name"));
            for name in path {
                value = value.and_then(|value| value.get(name)).filter(|_| value.is_some_and(Value::is_object));
            }
            match (value.unwrap_or(&Value::Null), cell.as_deref()) {
                (Value::Null, None) => {}
                (Value::String(text), Some([b'"', cell @ ..])) => assert_eq!(text.as_bytes(), cell),
                (Value::String(_) | Value::Null, cell) => panic!("{text:?}: {name} is {cell:?}"),
                (value, Some(cell)) => assert_eq!(&serde_json::from_slice::<Value>(cell).unwrap(), value, "{text:?}"),
                (value, None) => panic!("{text:?}: {name} is {value}, and not null"),
            }
        }
    }
    for line in bad {
        let is_good = serde_json::from_slice::<Value>(&line).is_ok_and(|value| value.is_object());
        // serde_json doesn't refuse a number of thousands of digits, but the reader does.
        assert!(!is_good || line.len() > 4000, "{:?} is an object", String::from_utf8_lossy(&line));
    }
}

/// Whether serde_json has no room for a value that the reader accepts.
fn is_beyond(error: &serde_json::Error) -> bool {
    let text = error.to_string();
    text.contains("out of range") || text.contains("recursion limit")
}

const PATTERNS: [(&str, &[&str]); 4] = [
    (r"^(?P<a>[^ ]*) (?:(?P<b>[0-9]+)|-)", &["a", "b"]),
    (r"(?P<word>\w+)(?P<rest>.*)$", &["rest", "word"]),
    (r#""(?P<quoted>(?:[^"\\]|\\.)*)""#, &["quoted"]),
    (r"(?P<all>)", &["all"]),
];

fn patterns(file: &[u8]) {
    for (text, groups) in PATTERNS {
        let (mut rows, mut bad) = (Rows::default(), 0);
        let pattern = Pattern::new(text, groups).expect("a pattern");
        pattern::Reader::new(&pattern, false).read(file, &mut |_| bad += 1, &mut rows).unwrap();
        let regex = regex::bytes::Regex::new(text).unwrap();
        let mut lines: Vec<_> = file.split_inclusive(|&byte| byte == b'\n').collect();
        for line in &mut lines {
            *line = line.strip_suffix(b"\n").map_or(*line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        }
        let expected: Vec<Vec<_>> = lines
            .iter()
            .filter_map(|line| regex.captures(line))
            .map(|found| groups.iter().map(|name| found.name(name).map(|group| group.as_bytes().to_vec())).collect())
            .collect();
        assert_eq!(bad, lines.len() - expected.len(), "{text}");
        assert_eq!(rows.0, expected, "{text}");
    }
}
