//! Rows that are written as CSV, TSV or JSON lines are read back the same.

use std::fs;

use proptest::prelude::*;

use crate::harness::Dir;

type Cell = Option<Vec<u8>>;

fn cell() -> impl Strategy<Value = Cell> {
    let piece = prop::sample::select(vec![
        &b"a"[..],
        b"b c",
        b"\"",
        b",",
        b"\t",
        b"\n",
        b"\r",
        b"\r\n",
        b"\\",
        b"\\N",
        b"\\t",
        b"N",
        b" ",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\0",
        "é€".as_bytes(),
        b"1.50",
    ]);
    let text = prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat());
    prop_oneof![1 => Just(None), 1 => Just(Some(Vec::new())), 8 => text.prop_map(Some)]
}

/// Writes rows as CSV, with quotes around every cell that isn't null.
fn csv(rows: &[Vec<Cell>]) -> Vec<u8> {
    let cell = |cell: &Cell| match cell {
        None => Vec::new(),
        Some(text) => {
            let quotes = text.split(|&byte| byte == b'"').collect::<Vec<_>>().join(&b"\"\""[..]);
            [b"\"", &quotes[..], b"\""].concat()
        }
    };
    let row = |row: &Vec<Cell>| [row.iter().map(cell).collect::<Vec<_>>().join(&b','), b"\n".to_vec()].concat();
    rows.iter().flat_map(row).collect()
}

fn table() -> impl Strategy<Value = (Vec<String>, Vec<Vec<Cell>>)> {
    let names = ["a", "b \"c\"", "d,e", "f\ng", "\u{feff}h", " ", "\\N", "i\tj"];
    // TSV can't escape a byte order mark at the start of a file.
    let first = (0..names.len()).prop_filter("a mark", move |&first| !names[first].starts_with('\u{feff}'));
    (1usize..=4, first).prop_flat_map(move |(columns, first)| {
        let names = (0..columns).map(|i| names[(first + i) % names.len()].to_owned()).collect::<Vec<_>>();
        (Just(names), prop::collection::vec(prop::collection::vec(cell(), columns), 0..8))
    })
}

const PASS: &str = r#"{"output": {"header": true}}"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    /// Rows pass through each format and compression, at any split size.
    #[test]
    fn csv_to_tsv_to_csv((names, rows) in table(), split_size in 1u32..40) {
        let header = names.iter().map(|name| Some(name.clone().into_bytes())).collect();
        let text = csv(&[vec![header], rows.clone()].concat());
        let dir = Dir::new().file("1.csv", &text).file("pass.json", PASS);
        let pass = |from: &str, format: &str, to: &str| {
            dir.run(&format!("run ./pass.json {from} --format {format} -o {to} --split-size {split_size}")).printed("");
        };
        pass("1.csv", "csv", "2.csv.gz");
        pass("2.csv.gz", "tsv", "3.tsv");
        pass("3.tsv", "tsv", "4.tsv.zst");
        pass("4.tsv.zst", "csv", "5.csv");
        pass("5.csv", "csv", "6.csv");
        let read = |name: &str| fs::read(dir.join(name)).unwrap();
        prop_assert_eq!(read("5.csv"), read("6.csv"));
        // The rows also pass through JSON lines, where bytes that aren't UTF-8 become U+FFFD.
        let select = serde_json::json!({ "select": names });
        fs::write(dir.join("select.json"), select.to_string()).unwrap();
        let select = |from: &str, format: &str, to: &str| {
            dir.run(&format!("run ./select.json {from} --format {format} -o {to} --split-size {split_size}")).printed("");
        };
        select("5.csv", "jsonl", "7.jsonl.gz");
        select("7.jsonl.gz", "jsonl", "8.jsonl");
        select("8.jsonl", "jsonl", "9.jsonl");
        select("9.jsonl", "csv", "10.csv");
        prop_assert_eq!(read("8.jsonl"), read("9.jsonl"));
        let expected = String::from_utf8_lossy(&read("5.csv")).into_owned();
        prop_assert_eq!(String::from_utf8(read("10.csv")).unwrap(), expected);
        // An independent reader finds the same cells in both files. To it, null and the empty text are the same.
        let cells = |name: &str| {
            let text = read(name);
            let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text).to_vec();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&*text);
            reader.byte_records().map(|record| record.unwrap()).collect::<Vec<_>>()
        };
        prop_assert_eq!(cells("1.csv"), cells("5.csv"));
        // Null and the empty text stay different.
        let nulls = |name: &str| {
            let count: Vec<_> = names.iter().enumerate().map(|(i, name)| {
                serde_json::json!({"op": "count", "field": name, "as": format!("c{i}")})
            }).collect();
            let spec = serde_json::json!({"aggregate": count}).to_string();
            dir.command(["run", "-", name]).stdin(spec).run().stdout()
        };
        let expected: Vec<_> =
            (0..names.len()).map(|i| rows.iter().filter(|row| row[i].is_some()).count().to_string()).collect();
        for name in ["1.csv", "2.csv.gz", "3.tsv", "4.tsv.zst", "6.csv"] {
            prop_assert_eq!(nulls(name), format!("{}\n", expected.join("\t")), "{}", name);
        }
    }
}

/// In a table of one column, a null row is an empty line, and the empty text is written in another way.
#[test]
fn one_column() {
    let dir = Dir::new().file("1.csv", "a\n\n\"\"\nx\n\n").file("pass.json", PASS);
    dir.run("run ./pass.json 1.csv --format csv").printed("a\n\n\"\"\nx\n\n");
    dir.run("run ./pass.json 1.csv --format tsv -o 2.tsv").printed("");
    assert_eq!(fs::read_to_string(dir.join("2.tsv")).unwrap(), "a\n\\N\n\nx\n\\N\n");
    dir.run("run ./pass.json 2.tsv --format csv").printed("a\n\n\"\"\nx\n\n");
    dir.run("agg count,count(a) 2.tsv").printed("4\t2\n");
}

/// Groups are read back too, from files whose names don't say the format.
#[test]
fn what_is_grouped_is_read_again() {
    let dir = Dir::new().file("in", "k;x\n\"a;\nb\";1.50\n;2\n\"\";3\n\"a;\nb\";1e-7\n");
    dir.run("agg -g k sum(x),min(x) in --delimiter ; --format csv -o out.csv.zst").printed("");
    dir.run("agg -g k sum(\"sum(x)\"),max(\"min(x)\") out.csv.zst --format csv")
        .printed("k,\"sum(\"\"sum(x)\"\")\",\"max(\"\"min(x)\"\")\"\n,2,2\n\"\",3,3\n\"a;\nb\",1.5000001,0.0000001\n");
}
