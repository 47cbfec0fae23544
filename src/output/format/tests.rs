use super::*;
use crate::data::Decimal;
use proptest::prelude::*;

fn bytes(mut rows: impl RowFormat, cells: &[Value<'_>]) -> Vec<u8> {
    let mut out = Buffer::default();
    for (i, cell) in cells.iter().enumerate() {
        rows.cell(&mut out, i, *cell);
    }
    rows.end(&mut out);
    out.as_slice().to_vec()
}

fn row(rows: impl RowFormat, cells: &[Value<'_>]) -> String {
    String::from_utf8(bytes(rows, cells)).unwrap()
}

fn count(number: u64) -> Value<'static> {
    Value::Decimal(number.into())
}

#[test]
fn rows_of_each_format() {
    let cells = [Value::Bytes(b"a\tb\\,\"c\""), Value::Null, count(u64::MAX), Value::Bytes(b"")];
    assert_eq!(row(Text, &cells), "a\tb\\,\"c\"\t\t18446744073709551615\t\n");
    assert_eq!(row(Tsv, &cells), "a\\tb\\\\,\"c\"\t\\N\t18446744073709551615\t\n");
    assert_eq!(row(Csv, &cells), "\"a\tb\\,\"\"c\"\"\",,18446744073709551615,\"\"\n");
    let names = ["w", "x", "n", "e\""].map(String::from);
    let json = r#"{"w":"a\tb\\,\"c\"","x":null,"n":18446744073709551615,"e\"":""}"#;
    assert_eq!(row(Jsonl::new(&names), &cells), format!("{json}\n"));
}

#[test]
fn numbers_of_each_format() {
    let decimal = |mantissa, scale| Value::Decimal(Decimal { mantissa, scale });
    let most = 10i128.pow(38) - 1;
    let cells = [decimal(-1250, 3), decimal(0, 0), decimal(-7, 0), decimal(most, 0), Value::Float(0.1)];
    let text = format!("-1.25|0|-7|{most}|0.1");
    assert_eq!(row(Text, &cells), format!("{}\n", text.replace('|', "\t")));
    assert_eq!(row(Tsv, &cells), format!("{}\n", text.replace('|', "\t")));
    assert_eq!(row(Csv, &cells), format!("{}\n", text.replace('|', ",")));
    let names = ["a", "b", "c", "d", "e"].map(String::from);
    let json = format!("{{\"a\":-1.25,\"b\":0,\"c\":-7,\"d\":{most},\"e\":0.1}}\n");
    assert_eq!(row(Jsonl::new(&names), &cells), json);
}

#[test]
fn what_json_has_no_number_for_is_null() {
    let cells = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Value::Float);
    let names = ["a", "b", "c"].map(String::from);
    assert_eq!(row(Jsonl::new(&names), &cells), "{\"a\":null,\"b\":null,\"c\":null}\n");
}

#[test]
fn json_replaces_what_is_not_utf8() {
    assert_eq!(row(Jsonl::new(&["w".into()]), &[Value::Bytes(b"a\xffb")]), "{\"w\":\"a\u{fffd}b\"}\n");
    // Two bytes of a three-byte sequence, then a byte that begins nothing.
    assert_eq!(row(Jsonl::new(&["w".into()]), &[Value::Bytes(b"\xe2\x82\xc0")]), "{\"w\":\"\u{fffd}\u{fffd}\"}\n");
}

#[test]
fn csv_quotes_no_more_than_it_must() {
    let cells = [" a b ", "a'b", "\\N", "é", "a;b", "\0", "\u{feff}"].map(|text| Value::Bytes(text.as_bytes()));
    assert_eq!(row(Csv, &cells), " a b ,a'b,\\N,é,a;b,\0,\u{feff}\n");
    assert_eq!(row(Csv, &cells[6..]), "\"\u{feff}\"\n");
    assert_eq!(row(Csv, &["a\rb", "c\n"].map(|text| Value::Bytes(text.as_bytes()))), "\"a\rb\",\"c\n\"\n");
    assert_eq!(row(Csv, &[Value::Null]), "\n");
}

#[test]
fn tsv_tells_null_from_what_looks_like_it() {
    assert_eq!(row(Tsv, &[Value::Null, Value::Bytes(b"\\N"), Value::Bytes(b"N\r\n")]), "\\N\t\\\\N\tN\\r\\n\n");
}

type Cell = Option<Vec<u8>>;

/// Reads the cells of one row as a reader of RFC 4180 does.
fn read_csv(line: &[u8]) -> Vec<Cell> {
    let mut line = line.strip_suffix(b"\n").unwrap();
    let mut cells = Vec::new();
    loop {
        let mut cell = Vec::new();
        let quoted = line.first() == Some(&b'"');
        if quoted {
            line = &line[1..];
            loop {
                let at = line.iter().position(|&byte| byte == b'"').unwrap();
                cell.extend_from_slice(&line[..at]);
                line = &line[at + 1..];
                if line.first() != Some(&b'"') {
                    break;
                }
                cell.push(b'"');
                line = &line[1..];
            }
        } else {
            let end = line.iter().position(|&byte| byte == b',').unwrap_or(line.len());
            cell.extend_from_slice(&line[..end]);
            assert!(!cell.iter().any(|byte| b"\"\r\n".contains(byte)));
            line = &line[end..];
        }
        cells.push((quoted || !cell.is_empty()).then_some(cell));
        match line.split_first() {
            None => return cells,
            Some((comma, rest)) => {
                assert_eq!(*comma, b',');
                line = rest;
            }
        }
    }
}

fn read_tsv(line: &[u8]) -> Vec<Cell> {
    let line = line.strip_suffix(b"\n").unwrap();
    assert!(!line.iter().any(|byte| b"\r\n".contains(byte)));
    let unescaped = |cell: &[u8]| {
        if cell == b"\\N" {
            return None;
        }
        let (mut text, mut bytes) = (Vec::new(), cell.iter());
        while let Some(&byte) = bytes.next() {
            text.push(match (byte, byte == b'\\') {
                (byte, false) => byte,
                _ => match bytes.next().unwrap() {
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b'\\' => b'\\',
                    other => panic!("\\{other}"),
                },
            });
        }
        Some(text)
    };
    line.split(|&byte| byte == b'\t').map(unescaped).collect()
}

fn cell() -> impl Strategy<Value = Cell> {
    let byte = prop_oneof![prop::sample::select(b",\"\r\n\t\\N \0\xef\xbb\xbfab".to_vec()), any::<u8>()];
    prop::option::of(prop::collection::vec(byte, 0..20))
}

proptest! {
    #[test]
    fn csv_and_tsv_read_back_as_written(cells in prop::collection::vec(cell(), 1..5)) {
        let values: Vec<_> = cells.iter().map(|cell| cell.as_deref().map_or(Value::Null, Value::Bytes)).collect();
        prop_assert_eq!(&read_csv(&bytes(Csv, &values)), &cells);
        prop_assert_eq!(&read_tsv(&bytes(Tsv, &values)), &cells);
    }

    #[test]
    fn json_is_what_a_parser_of_json_reads(cells in prop::collection::vec(cell(), 1..5)) {
        let values: Vec<_> = cells.iter().map(|cell| cell.as_deref().map_or(Value::Null, Value::Bytes)).collect();
        let names: Vec<String> = (0..cells.len()).map(|i| format!("a\"{i}")).collect();
        let object: serde_json::Value = serde_json::from_slice(&bytes(Jsonl::new(&names), &values)).unwrap();
        for (name, cell) in names.iter().zip(&cells) {
            let text = cell.as_ref().map(|cell| String::from_utf8_lossy(cell));
            prop_assert_eq!(object[name].as_str(), text.as_deref());
        }
    }
}
