//! Where records are from: `@file`, `@line` and `@offset`; and records that end with a separator other than a newline.

use std::fs;
use std::io::Write;

use serde_json::{Value, json};

use crate::harness::Dir;

fn job(dir: &Dir, spec: &Value) {
    fs::write(dir.join("job.json"), spec.to_string()).unwrap();
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

const SETTINGS: [&str; 4] =
    ["", "--split-size 50 --threads 3", "--split-size 7000 --threads 2", "--memory 14M --threads 1"];

/// Lines of many lengths. Some are empty, and some end with a carriage return.
fn lines(count: usize, seed: usize) -> String {
    let line = |i: usize| format!("{}{}", "x".repeat(i * seed % 23), if i.is_multiple_of(7) { "\r\n" } else { "\n" });
    (0..count).map(line).collect::<String>() + "the last"
}

/// Rows with the file, line and offset of each line.
fn places(name: &str, text: &str) -> String {
    let mut offset = 0;
    let place = |(i, line): (usize, &str)| {
        let at = offset;
        offset += line.len();
        format!("{name}\t{}\t{at}\n", i + 1)
    };
    text.split_inclusive('\n').enumerate().map(place).collect()
}

#[test]
fn lines_of_text_are_found_again() {
    let texts = [lines(3000, 5), lines(10, 11), lines(700, 3)];
    let dir = Dir::new()
        .file("a.txt", &texts[0])
        .file("b.txt", &texts[1])
        .file("c.txt", format!("{}\n", texts[1]))
        .file("d.gz", gzip(&texts[2]));
    let names = ["a.txt", "b.txt", "c.txt", "d.gz"];
    let ended = format!("{}\n", texts[1]);
    let expected: String =
        names.iter().zip([&texts[0], &texts[1], &ended, &texts[2]]).map(|(name, text)| places(name, text)).collect();
    job(&dir, &json!({"select": ["@file", "@line", "@offset"]}));
    for settings in SETTINGS {
        dir.run(&format!("run job.json a.txt b.txt c.txt d.gz {settings}")).printed(&expected);
    }
    dir.command(["run", "job.json", "-"]).stdin(texts[0].as_bytes()).run().printed(&places("stdin", &texts[0]));
    // One step makes several records of one, and a filter drops some.
    job(
        &dir,
        &json!({"map": [{"split": "line", "on": "whitespace", "as": "word"}], "where": {"field": "word", "equal": "last"}, "select": ["word", "@line", "@file"]}),
    );
    for settings in SETTINGS {
        let found = "last\t3001\ta.txt\nlast\t11\tb.txt\nlast\t11\tc.txt\nlast\t701\td.gz\n";
        dir.run(&format!("run job.json a.txt b.txt c.txt d.gz {settings}")).printed(found);
        let groups = "a.txt\t3001\t3001\nb.txt\t11\t11\nc.txt\t11\t11\nd.gz\t701\t701\n";
        dir.run(&format!("agg -g @file count,max(@line) a.txt b.txt c.txt d.gz --read text {settings}"))
            .printed(groups);
    }
}

/// Offsets and lines in a compressed file are those of the decompressed text.
#[test]
fn lines_of_what_is_packed_in_many_blocks() {
    let text: String = (1..=300_000).map(|i| format!("{i} of many lines\n")).collect();
    let dir = Dir::new().file("a.gz", gzip(&text));
    job(
        &dir,
        &json!({"map": [{"extract": "line", "pattern": "^[0-9]+", "as": "n"}, {"derive": "@line - n", "as": "off"}], "group_by": ["off"], "aggregate": [{"op": "count"}, {"op": "max", "field": "@offset"}]}),
    );
    let last = text.len() - "300000 of many lines\n".len();
    for memory in ["14M", "64M"] {
        dir.run(&format!("run job.json a.gz --memory {memory}")).printed(&format!("0\t300000\t{last}\n"));
    }
}

#[test]
fn records_of_several_lines_are_where_they_begin() {
    let mut csv = "\u{feff}id,text\n".to_owned();
    let mut expected = String::new();
    let mut line = 2;
    for i in 0..400 {
        let text = "a\n".repeat(i % 4);
        expected.push_str(&format!("{i}\t{line}\t{}\n", csv.len()));
        csv.push_str(&format!("{i},\"{text}\"\n"));
        line += 1 + i % 4;
    }
    let json: String = (0..400).map(|i| format!("{}{{\"id\":{i}}}\n", "\n".repeat(i % 3))).collect();
    let dir = Dir::new().file("a.csv", &csv).file("b.csv.gz", gzip(&csv)).file("c.jsonl", &json);
    job(&dir, &json!({"select": ["id", "@line", "@offset"]}));
    for settings in SETTINGS {
        dir.run(&format!("run job.json a.csv {settings}")).printed(&expected);
        // The byte order mark of a compressed file isn't part of its first record either.
        dir.run(&format!("run job.json b.csv.gz {settings}")).printed(&expected);
        let ran = dir.run(&format!("run job.json c.jsonl {settings}"));
        for (i, row) in ran.stdout().lines().enumerate() {
            let cells: Vec<usize> = row.split('\t').map(|cell| cell.parse().unwrap()).collect();
            assert_eq!(cells[0], i);
            assert_eq!(json.lines().nth(cells[1] - 1).unwrap(), format!("{{\"id\":{i}}}"));
            assert!(json[cells[2]..].starts_with(&format!("{{\"id\":{i}}}")), "{row}");
        }
        assert_eq!(ran.stdout().lines().count(), 400);
    }
}

#[test]
fn a_field_of_that_name_is_the_record_s_own() {
    let dir = Dir::new().file("a.csv", "@file,n\nx,1\n").file("b.txt", "a b\n");
    dir.run("agg -g @file sum(n),max(@line) a.csv").printed("x\t1\t2\n");
    job(&dir, &json!({"where": {"field": "@line", "equal": 2}}));
    // The fields that say where a record is from are columns only if the spec names them.
    dir.run("run job.json a.csv").printed("x\t1\n");
    dir.run("agg -g @lin count b.txt").refused("agg: group_by.0: no field \"@lin\"", "did you mean \"@line\"?");
    job(&dir, &json!({"map": [{"lower": "line", "as": "@line"}], "select": ["@line"]}));
    dir.run("run job.json b.txt").printed("a b\n");
    // The field isn't read from the record, so its type can't be declared.
    let typed = json!({"read": {"types": {"@line": "string"}}, "select": ["@line"]});
    job(&dir, &typed);
    for input in ["b.txt", "a.csv", "a.csv --set read.format=jsonl"] {
        let refused = "job.json: read.types: \"@line\" says where a record is from, and has a type of its own";
        dir.run(&format!("run job.json {input}")).refused(refused, "");
    }
}

#[test]
fn records_end_as_the_spec_says() {
    let names: Vec<_> = (0..500).map(|i| format!("dir {}/a\nb{}", i % 7, "x".repeat(i % 40))).collect();
    let (text, ended) = (names.join("\0"), names.join("\0") + "\0");
    let dir = Dir::new().file("a", &text).file("b", &ended).file("c.gz", gzip(&ended)).file("rows", "1;2;x;3");
    let separator = r"--set read.record_separator=\0 --format jsonl";
    let rows: String = names.iter().map(|name| json!({"line": name}).to_string() + "\n").collect();
    job(&dir, &json!({"read": {"record_separator": "\0"}}));
    for settings in SETTINGS {
        for input in ["a", "b", "c.gz"] {
            dir.run(&format!("run job.json {input} --format jsonl {settings}")).printed(&rows);
        }
        let words = "{\"word\":\"a\",\"count\":500}\n{\"word\":\"dir\",\"count\":500}\n";
        dir.run(&format!("run wordcount a -n 2 {separator} {settings}")).printed(words);
    }
    // With another separator, carriage returns and newlines are bytes of the record.
    let dir = dir.file("r", "a\r\0b\r\n");
    dir.run(&format!("run uniq r {separator}"))
        .printed("{\"line\":\"a\\r\",\"count\":1}\n{\"line\":\"b\\r\\n\",\"count\":1}\n");
    dir.run(r"agg sum(line) rows --set read.record_separator=;")
        .failed("rows:1: column \"line\" is \"x\", not a number", "--set read.on_error=skip skips bad records");
    job(
        &dir,
        &json!({"read": {"record_separator": ";", "on_error": {"skip_up_to": 0.5, "save_to": "bad"}}, "aggregate": [{"op": "sum", "field": "line"}]}),
    );
    dir.run("run job.json rows").printed("6\n");
    assert_eq!(fs::read(dir.join("bad")).unwrap(), b"x;");
    dir.run("run uniq a --set read.record_separator=")
        .refused(r#"--set: read.record_separator: must be one ASCII character, is """#, r#"such as "\0" or "\n""#);
    dir.run("agg count a --read csv --set read.record_separator=;").refused(
        "agg: read.record_separator: is only for text, but the inputs are read as csv",
        "to read them in this format: --set read.format=text",
    );
}
