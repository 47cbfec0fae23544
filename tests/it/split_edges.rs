//! Newlines in quotes where splits meet: every split size gives what one split gives.

use std::collections::BTreeMap;

use crate::harness::Dir;
use crate::tables::Value;
use crate::tables::reader::{self, Format};
use crate::tables::writer;

/// Cells in quotes that look like records, quotes at every kind of place, and line ends of both kinds.
const NASTY: &str = "\u{feff}k,\"n\n1\"\r\na,1\n\"b\n,2\n\",2\r\n\"\"\"\n\"\",\",3\n\"\n\n\n\",4\n,\"5\"\n\"c\",\"\"\n\"d\r\n\"\"e\"\",7\n\",6\n\"\"\"\"\"\"\"\n\"\"\",8\na,\"\n\"";

#[test]
fn every_split_size_reads_the_same() {
    let mut records = reader::records(NASTY.as_bytes(), Format::Csv { delimiter: b',' }, &[], 2);
    records.remove(0);
    let cells = |record: reader::Record| {
        let cells = record.cells_of(2).expect("it is nasty, and right").to_vec();
        cells.into_iter().map(|cell| cell.map_or(Value::Null, Value::Bytes)).collect::<Vec<_>>()
    };
    let rows: Vec<_> = records.into_iter().map(cells).collect();
    assert_eq!(rows.len(), 9);
    let passed = writer::write("tsv", false, &[], &rows);
    let passed = String::from_utf8(passed).unwrap();
    let mut groups: BTreeMap<&Value, u32> = BTreeMap::new();
    rows.iter().for_each(|row| *groups.entry(&row[0]).or_default() += 1);
    let line = |(key, count): (&Value, u32)| {
        let key = String::from_utf8(writer::write("tsv", false, &[], &[vec![key.clone()]])).unwrap();
        format!("{}\t{count}\n", key.trim_end_matches('\n'))
    };
    let grouped: String = groups.into_iter().map(line).collect();

    let dir = Dir::new().file("in.csv", NASTY).file("pass.json", "{}");
    for split_size in 1..=40 {
        for threads in [1, 3] {
            let how = format!("in.csv --split-size {split_size} --threads {threads}");
            let ran = dir.run(&format!("run ./pass.json {how}"));
            assert_eq!((ran.stdout(), ran.stderr()), (passed.clone(), String::new()), "{how}");
            let ran = dir.run(&format!("agg -g k count {how}"));
            assert_eq!((ran.stdout(), ran.stderr()), (grouped.clone(), String::new()), "{how}");
        }
    }
}
