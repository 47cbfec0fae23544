//! Wrong tables: the message, the exit code, and that nothing else is written.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use rustix::fs::FileType;
use serde_json::Value;

use crate::harness::{Dir, Ran};

const SKIP: &str = "--set read.on_error=skip skips bad records";

/// The hint about a value of column `x` that isn't a number.
fn no_number(value: &str) -> String {
    let null = match value {
        "" => String::new(),
        value => format!(", 'read.null={}' makes this one null", serde_json::json!([value])),
    };
    format!("{SKIP}{null}")
}

/// Runs `mapfold agg` with these words over `in.csv`, which holds `text`. The result goes to a file.
fn agg(text: impl AsRef<[u8]>, words: &[&str]) -> Ran {
    let dir = Dir::new().file("in.csv", text);
    let ran = dir.command([&["agg", "-o", "out"], words, &["in.csv"]].concat()).run();
    let written = dir.names().contains(&"out".to_owned());
    assert_eq!(written, ran.code() == Some(0), "{:?}", ran.output);
    ran
}

#[test]
fn records_that_are_none() {
    for (text, message) in [
        ("a,b\n1,2\n3,\"x", "in.csv:3: a quoted field without an end"),
        ("a,b\n1,2\n3,\"x\n4,5\n", "in.csv:3: a quoted field without an end"),
        ("a,b\n1,2\n3,\"x\"\"", "in.csv:3: a quoted field without an end"),
        ("a,b\n1,2\n3,x\"y\n", "in.csv:3: a quote in a field that doesn't begin with one"),
        ("a,b\n1,\"2\"3\n", "in.csv:2: text after the quote that closes a field"),
        ("a,b\n1,\"2\" \n", "in.csv:2: text after the quote that closes a field"),
        ("a,b\n1,\"2\"\r3\n", "in.csv:2: text after the quote that closes a field"),
        ("a,b\n1,2\n3\n", "in.csv:3: 1 field where 2 are expected"),
        ("a,b\n1,2,3\n", "in.csv:2: 3 fields where 2 are expected"),
        ("a\n1,2\n", "in.csv:2: 2 fields where 1 is expected"),
        ("a,b\n1,2\n\n\r\n3,4,\n", "in.csv:5: 3 fields where 2 are expected"),
    ] {
        agg(text, &["sum(a)"]).failed(message, SKIP);
    }
}

#[test]
fn headers_that_are_none() {
    for (text, message, hint) in [
        ("a,\"b\n1,2\n", "in.csv: the header has a quoted field without an end", ""),
        ("a,\"b\"c\n1,2\n", "in.csv: the header has text after the quote that closes a field", ""),
        ("a,b\"c\n1,2\n", "in.csv: the header has a quote in a field that doesn't begin with one", ""),
        (
            "",
            "in.csv: is empty",
            r#"an empty file has no header: "fields": ["a", "b"] of read names the columns without one"#,
        ),
        (
            "\r\na,b\r\n1,2\r\n",
            "in.csv: its first line is empty, and names no columns",
            r#""fields": ["a", "b"] of read names the columns of a file without a header"#,
        ),
        (
            "a,b\r1,2\r3,4\r",
            "in.csv: its first line has a return (CR) without a newline",
            r"if lines end with only a return, as on old Macs: tr '\r' '\n' < in.csv > FILE",
        ),
        (
            "\"a\",\"b\"\r\"1\",\"2\"\r",
            "in.csv: its first line has a return (CR) without a newline",
            r"if lines end with only a return, as on old Macs: tr '\r' '\n' < in.csv > FILE",
        ),
        (
            "a,b,a\n1,2,3\n",
            "in.csv: its header has the column \"a\" twice",
            r#""fields" of read gives the columns other names; "header": false calls them $1, $2 and so on"#,
        ),
        ("amount,kind\n1,2\n", "agg: aggregate.0.field: no field \"a\"", "fields: amount, kind"),
    ] {
        agg(text, &["sum(a)"]).refused(message, hint);
    }
    agg("amuont,b\n1,2\n", &["sum(amount)"])
        .refused("agg: aggregate.0.field: no field \"amount\"", "did you mean \"amuont\"?");
    agg("1,2\n", &["sum(p)", "--set", r#"read.fields=["p","p"]"#])
        .refused("read.fields: has the column \"p\" twice", "each column that the job uses must have a different name");
    let piped = Dir::new().command(["agg", "sum(a)", "--read", "csv"]).stdin("a,b\r1,2\r").run();
    piped.refused(
        "stdin: its first line has a return (CR) without a newline",
        r"if lines end with only a return, as on old Macs: … | tr '\r' '\n' | mapfold … -",
    );
    // Without a header the first line is a record, which may contain a carriage return.
    agg("1\r2,3\n4,5\n", &["sum($2)", "--no-header"]).printed("");
    agg("1,2\r3,4\r", &["sum($2)", "--no-header"]).refused(
        "in.csv: its first line has a return (CR) without a newline",
        r"if lines end with only a return, as on old Macs: tr '\r' '\n' < in.csv > FILE",
    );
}

#[test]
fn tables_that_are_no_text() {
    let utf16 = |name: &str| format!("{name}: is UTF-16, but must be UTF-8");
    let iconv = "iconv -f UTF-16 -t UTF-8";
    for text in [&b"\xff\xfea\0\n\0"[..], b"\xfe\xff\0a\0\n"] {
        for words in [&["sum(a)"][..], &["sum($1)", "--no-header"]] {
            agg(text, words).refused(&utf16("in.csv"), &format!("{iconv} in.csv | mapfold … -"));
        }
        let piped = Dir::new().command(["agg", "sum(a)", "--read", "csv"]).stdin(text).run();
        piped.refused(&utf16("stdin"), &format!("… | {iconv} | mapfold … -"));
    }
    let zip = "in.csv: is a zip archive, which is not supported";
    agg(b"PK\x03\x04\x14", &["sum(a)"]).refused(zip, "unzip -p in.csv | mapfold … -");
    let gzip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::bulk::compress(bytes, 1).unwrap();
    for (bytes, outer) in
        [(gzip(&gzip(b"a\n1\n")), "zcat"), (gzip(&zstd(b"a\n1\n")), "zcat"), (zstd(&gzip(b"a\n1\n")), "zstdcat")]
    {
        agg(bytes, &["sum(a)"]).refused("in.csv: is compressed twice", &format!("{outer} in.csv | mapfold … -"));
    }
}

#[test]
fn a_header_with_another_delimiter() {
    let message = "agg: aggregate.0.field: no field \"a\"";
    for (delimiter, shown) in [(';', ";"), ('|', "|"), ('\t', r"\t")] {
        let text = format!("a{delimiter}b\n1{delimiter}2\n");
        let hint = format!("the only field is \"a{shown}b\"; to say what separates fields: --delimiter '{shown}'");
        agg(&text, &["sum(a)"]).refused(message, &hint);
        agg(&text, &["sum(a)", "--delimiter", shown]).printed("");
        let dir = Dir::new().file("in.csv", &text).file("sum.json", r#"{"group_by": ["a"]}"#);
        dir.run("run ./sum.json in.csv").refused(
            "./sum.json: group_by.0: no field \"a\"",
            &format!("the only field is \"a{shown}b\"; to say what separates fields: --set 'read.delimiter={shown}'"),
        );
    }
}

/// A name may occur twice if nobody uses it. A quoted name may contain a newline or a carriage return.
#[test]
fn headers_that_are_odd() {
    let dir = Dir::new().file("in.csv", "a,a,\"b\nc\r\",\n1,2,3,4\n").file("pass.json", "{}");
    dir.command(["agg", "sum(\"b\nc\r\")", "in.csv"]).run().printed("3\n");
    let twice = "./pass.json: map: there is already a column \"a\"";
    dir.run("run ./pass.json in.csv").refused(twice, r#""select" says which fields to write"#);
    let dir = dir.file("k.csv", b"k\xff,x\na,1\n");
    dir.command(["agg", "-g", "k\u{fffd}", "sum(x)", "k.csv"]).run().printed("a\t1\n");
    dir.command(["agg", "-g", "k", "count", "k.csv"])
        .run()
        .refused("agg: group_by.0: no field \"k\"", "did you mean \"k\u{fffd}\"?");
}

#[test]
fn files_with_little_in_them() {
    let dir =
        Dir::new().file("h.csv", "a,b\n").file("h.tsv", "\u{feff}a\tb").file("e.csv", "").file("r.csv", "b,a\n5,7");
    for header in ["h.csv", "h.tsv"] {
        dir.run(&format!("agg count,sum(a) {header}")).printed("0\t\\N\n");
        dir.run(&format!("agg -g b count,sum(a) {header}")).printed("");
    }
    dir.run("agg count,sum(a) e.csv h.csv r.csv e.csv").printed("1\t7\n");
    let empty = r#"an empty file has no header: "fields": ["a", "b"] of read names the columns without one"#;
    dir.run("agg count --read csv").refused("stdin: is empty", empty);
    dir.run("agg count --read tsv /dev/null").refused("/dev/null: is empty", empty);
    dir.run("agg count --read csv --set read.fields=[\"a\"]").printed("0\n");
    dir.run("agg count r.csv h.tsv").refused(
        "r.csv is csv by its name, but h.tsv is tsv",
        "to read all of them in one format, set read.format: \"csv\"",
    );
}

#[test]
fn values_that_are_no_numbers() {
    let digits = "1".repeat(39);
    for (value, kind, why) in [
        ("n/a", "decimal", "not a number"),
        ("\"\"", "decimal", "not a number"),
        ("1e38", "decimal", "out of range"),
        ("1e400", "decimal", "out of range"),
        (digits.as_str(), "decimal", "out of range"),
        ("nan", "decimal", "not a number"),
        ("-inf", "decimal", "not a number"),
        ("1.0", "int", "not a whole number"),
        ("1e3", "int", "not a whole number"),
        ("1e400", "float", "out of range"),
        ("0x10", "float", "not a number"),
    ] {
        let shown = value.trim_matches('"');
        let message = format!("in.csv:3: column \"x\" is {shown:?}, {why}");
        let words = ["-g", "k", "sum(x)", "--type", &format!("x={kind}")];
        let hint = if why == "not a number" { no_number(shown) } else { SKIP.into() };
        agg(format!("k,x\na,1\nb,{value}\n"), &words).failed(&message, &hint);
    }
    let dir = Dir::new().file("in.csv", "k,x\na,nan\nb,inf\nb,-Infinity\nc,1e308\nc,1e308\nd,\ne, 7 \n");
    dir.run("agg -g k sum(x),min(x),mean(x),count(x) --type x=float in.csv --format csv").printed(
        "k,sum(x),min(x),mean(x),count(x)\na,nan,nan,nan,1\nb,nan,-inf,nan,2\nc,inf,1e+308,1e+308,2\nd,,,,0\ne,7.0,7.0,7.0,1\n",
    );
    let dir = dir.file("in.csv", b"k,x\n\xff,1\n\"\0\n\",2\n");
    let ran = dir.run("agg -g k sum(x) in.csv");
    assert_eq!(ran.output.stdout, b"\0\\n\t2\n\xff\t1\n");
    // Bytes that aren't UTF-8 are replaced only where a message shows them.
    let dir = dir.file("in.csv", b"k,x\na,\xff\0\n");
    dir.run("agg sum(x) in.csv").failed("in.csv:2: column \"x\" is \"\u{fffd}\\0\", not a number", &no_number(""));
}

/// The hint suggests text for a column only if every use of the column takes text.
#[test]
fn hints_about_values_help() {
    let text = ", read.types.x=string the column text";
    let bad = "in.csv:2: column \"x\" is \"n/a\", not a number";
    let run = |words: &[&str]| agg("k,x,y\na,n/a,1\n", words);
    run(&["min(x), max(x)"]).failed(bad, &(no_number("n/a") + text));
    run(&["count", "-g", "x", "--type", "x=int"]).failed(bad, &(no_number("n/a") + text));
    run(&["min(x), mean(x)"]).failed(bad, &no_number("n/a"));
    run(&["min(x)", "--where", "x > 1"]).failed(bad, &no_number("n/a"));
    run(&["sum(x)"]).failed(bad, &no_number("n/a"));
    agg("a,n/a\n", &["max($2)", "--no-header"]).failed(
        "in.csv:1: column \"$2\" is \"n/a\", not a number",
        &format!("{}, 'read.types.$2=string' the column text", no_number("n/a")),
    );
    for (value, sign) in [("\"1,234.50\"", ','), ("$5", '$'), ("-5 %", ' ')] {
        let message = format!("in.csv:2: column \"x\" is {:?}, not a number", value.trim_matches('"'));
        let hint = format!("{SKIP}; a number has no \"{sign}\" in it, so the source has to write it without");
        agg(format!("x\n{value}\n"), &["sum(x)"]).failed(&message, &hint);
    }
}

/// Values are not converted if `and` or `or` needn't look at them, or if only their presence is tested.
#[test]
fn predicates_go_no_further_than_they_need() {
    let dir = Dir::new().file("in.csv", "g,x\na,1\nb,n/a\n,\n");
    let run = |predicate: &str, more: &str| {
        let spec = format!(r#"{{"where": {predicate}{more}}}"#);
        dir.command(["run", "-", "in.csv"]).stdin(spec).run()
    };
    let (is_a, is_b) = (r#"{"field": "g", "equal": "a"}"#, r#"{"field": "g", "equal": "b"}"#);
    let positive = r#"{"field": "x", "gt": 0}"#;
    run(&format!(r#"{{"and": [{is_a}, {positive}]}}"#), "").printed("a\t1\n");
    run(&format!(r#"{{"or": [{is_b}, {positive}]}}"#), "").printed("a\t1\nb\tn/a\n");
    run(&format!(r#"{{"not": {{"or": [{is_b}, {positive}]}}}}"#), "").printed("\\N\t\\N\n");
    run(&format!(r#"{{"or": [{{"and": [{is_a}, {positive}]}}, {is_b}]}}"#), "").printed("a\t1\nb\tn/a\n");
    run(&format!(r#"{{"not": {{"and": [{{"not": {is_b}}}, {positive}]}}}}"#), "").printed("b\tn/a\n\\N\t\\N\n");
    let typed = r#", "read": {"types": {"x": "int"}}, "aggregate": [{"op": "count", "field": "x"}]"#;
    run(r#"{"field": "x", "valid": true}"#, typed).printed("2\n");
    run(&format!(r#"{{"or": [{positive}, {is_b}]}}"#), r#", "aggregate": [{"op": "count"}]"#)
        .failed("in.csv:3: column \"x\" is \"n/a\", not a number", &no_number("n/a"));
    dir.run("agg count in.csv --where g=a --where x>0").printed("1\n");
}

/// One step converts all columns, however many there are.
#[test]
fn thousands_of_numbers_a_record() {
    let names: Vec<_> = (0..5000).map(|i| format!("c{i}")).collect();
    let row = vec!["1.50"; names.len()].join(",");
    let types: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), "decimal".into())).collect();
    let dir = Dir::new()
        .file("in.csv", format!("{}\n{row}\n{row}\n", names.join(",")))
        .file("types.json", serde_json::json!({"read": {"types": types}}).to_string());
    let numbers = vec!["1.5"; names.len()].join("\t");
    dir.run("run ./types.json in.csv").printed(&format!("{numbers}\n{numbers}\n"));
    let wheres = serde_json::json!({"op": "count", "where": {"field": "c0", "gt": 1}});
    let many = (0..1001).map(|i| {
        let mut one = wheres.clone();
        (one["as"], one["where"]["gt"]) = (format!("n{i}").into(), i.into());
        one
    });
    let dir = dir.file("many.json", serde_json::json!({"aggregate": many.collect::<Vec<_>>()}).to_string());
    dir.run("run ./many.json in.csv").refused(
        "./many.json: map: takes 1002 steps, more than the 1000 that a record may go through",
        "each step of map is one, and so is each aggregate's own where",
    );
}

/// A value that no op sees needn't be a number.
#[test]
fn only_what_is_used_is_converted() {
    let dir = Dir::new().file("in.csv", "k,x,y\nEU,1,1\nUS,n/a,2\n").file(
        "only.json",
        r#"{"aggregate": [{"op": "sum", "field": "x", "where": {"field": "k", "equal": "EU"}, "as": "s"},
            {"op": "min", "field": "x", "where": {"field": "k", "equal": "EU"}}, {"op": "sum", "field": "y"}]}"#,
    );
    dir.run("run ./only.json in.csv").printed("1\t1\t3\n");
    dir.run("agg sum(x) in.csv --where k=EU").printed("1\n");
    dir.run("agg count(x),count in.csv").printed("2\t2\n");
    let more = "--set aggregate.3.op=mean --set aggregate.3.field=x";
    dir.run(&format!("run ./only.json in.csv {more}"))
        .failed("in.csv:3: column \"x\" is \"n/a\", not a number", &no_number("n/a"));
}

#[test]
fn sums_that_are_too_large() {
    let most = "9".repeat(38);
    let text = format!("k,x\na,{most}\nb,1\na,1\n");
    agg(&text, &["sum(x) as total"]).failed("column \"total\" needs more than 38 digits", "");
    agg(&text, &["-g", "k", "sum(x) as total"])
        .failed("column \"total\" of the group \"a\" needs more than 38 digits", "");
    // Only the final sum must fit, not the sums on the way. A mean isn't a sum.
    let text = format!("k,x\na,{most}\na,{most}\na,-{most}\na,5e37\na,-5e37\na,1e-38\na,-1e-38\n");
    let dir = Dir::new().file("in.csv", text);
    dir.run("agg -g k sum(x) in.csv").printed(&format!("a\t{most}\n"));
    let dir = dir.file("in.csv", "x\n9e37\n9e37\n");
    dir.run("agg mean(x) in.csv").printed("9e+37\n");
    let dir = dir.file("derive.json", r#"{"map": [{"derive": "x / y", "as": "q"}, {"derive": "x * 10", "as": "p"}]}"#);
    let dir = dir.file("in.csv", "x,y\n1,0\n3,4\n,1\n1,\n0,0\n").file("large.csv", "x,y\n1,1\n9e37,1\n");
    dir.run("run ./derive.json in.csv")
        .printed("1\t0\t\\N\t10\n3\t4\t0.75\t30\n\\N\t1\t\\N\t\\N\n1\t\\N\t\\N\t10\n0\t0\t\\N\t0\n");
    dir.run("run ./derive.json large.csv -o out").failed("large.csv:3: column \"p\" needs more than 38 digits", SKIP);
}

/// A message gives the line on which a record begins, whatever comes before it and however the file is read.
#[test]
fn lines_are_counted_from_the_file_s_first() {
    let quoted = "k,x\n\"a\n\nb\",1\nc,2\n\"\n\",bad\n";
    let crlf = quoted.replace('\n', "\r\n");
    let dir = Dir::new()
        .file("1.csv", "k,x\r\n\"\n\n\n\",1\r\n")
        .file("2.csv", quoted)
        .file("3.csv", &crlf)
        .file("4.tsv", "k\tx\na\\nb\t1\n\"\t2\nc\tbad\n")
        .file("bom.csv", format!("\u{feff}{quoted}"));
    let hint = no_number("bad");
    let message = |name: &str, line: usize| format!("{name}:{line}: column \"x\" is \"bad\", not a number");
    for how in ["", " --split-size 7", " --split-size 20 --threads 3", " --threads 1"] {
        let run = |files: &str| dir.run(&format!("agg -g k sum(x) {files}{how}"));
        run("2.csv").failed(&message("2.csv", 6), &hint);
        run("bom.csv").failed(&message("bom.csv", 6), &hint);
        run("3.csv").failed(&message("3.csv", 6), &hint);
        run("1.csv 2.csv 3.csv").failed(&message("2.csv", 6), &hint);
        run("1.csv 1.csv 3.csv 2.csv").failed(&message("3.csv", 6), &hint);
        run("4.tsv").failed(&message("4.tsv", 4), &hint);
        let piped = format!("agg sum(x) --read csv{how}");
        dir.command(piped.split(' ')).stdin(crlf.as_bytes()).run().failed(&message("stdin", 6), &hint);
    }
    let pack = |text: &str| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    // The file has several gzip members. The first ends in the middle of a line.
    let (first, second) = quoted.split_at(9);
    let dir = dir.file("5.csv.gz", [pack(first), pack(second)].concat());
    dir.run("agg sum(x) 1.csv 5.csv.gz").failed(&message("5.csv.gz", 6), &hint);
    let dir = dir.file("6.csv.zst", zstd::bulk::compress(quoted.as_bytes(), 1).unwrap());
    dir.run("agg sum(x) 6.csv.zst --threads 3").failed(&message("6.csv.zst", 6), &hint);
}

/// Of several bad records the first one ends the job, however the input is split and whoever finds it.
#[test]
fn the_earliest_bad_record_is_told() {
    // Each kind of bad record comes first once. A different step finds each kind, and all are in one batch.
    let kinds = ["x\"y,1,1", "1,bad,1", "1,1,9e37", "1,1"];
    let spec = r#"{"map": [{"derive": "b * 10", "as": "p"}, {"derive": "c * 10", "as": "q"}], "group_by": ["a"]}"#;
    for first in 0..kinds.len() {
        let mut text = String::from("a,b,c\n");
        (0..40).for_each(|i| text += &format!("{i},{i},{i}\n"));
        (0..kinds.len()).for_each(|i| text += &format!("{}\nz,1,1\n", kinds[(first + i) % kinds.len()]));
        let dir = Dir::new().file("in.csv", text).file("job.json", spec);
        for how in ["", "--split-size 7 --threads 4", "--split-size 30 --threads 3", "--threads 1 --split-size 11"] {
            let ran = dir.run(&format!("run ./job.json in.csv {how}"));
            assert!(ran.stderr().starts_with("error: in.csv:42: "), "{how}: {}", ran.stderr());
            assert_eq!((ran.code(), ran.stdout()), (Some(1), String::new()));
        }
    }
}

#[test]
fn bad_records_are_skipped_counted_and_saved() {
    let mut text = String::from("k,x\r\n");
    for i in 0..30 {
        text += &format!("k{},{i}\r\n", i % 3);
        text += ["\"a\nb\",bad\r\n", "1,2,3\n", "", "c,\"wor\"\"se\"\r\n"][i % 4];
    }
    text += "\"d";
    let saved = ["\"a\nb\",bad\n1,2,3\nc,\"wor\"\"se\"\n".repeat(7), "\"a\nb\",bad\n1,2,3\n\"d\n".into()].concat();
    let dir = Dir::new().file("in.csv", text);
    let job = "agg -g k sum(x),count in.csv --report r.json --force -o out";
    for how in ["", "--split-size 7 --threads 4", "--split-size 30 --threads 3 --scheduler shared", "--threads 1"] {
        let skip = r#"--set read.on_error={"skip_up_to":0.45,"save_to":"bad.txt"}"#;
        dir.run(&format!("{job} {how} {skip}")).printed("");
        assert_eq!(fs::read_to_string(dir.join("out")).unwrap(), "k0\t135\t10\nk1\t145\t10\nk2\t155\t10\n");
        assert_eq!(fs::read_to_string(dir.join("bad.txt")).unwrap(), saved);
        let report: Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
        assert_eq!(
            (&report["counters"]["bad_records"], &report["counters"]["map_input_records"]),
            (&24.into(), &54.into())
        );
        let samples = report["bad_records"].as_array().unwrap();
        assert_eq!(samples.len(), 10);
        assert_eq!(samples[0]["record"], "in.csv:3");
        assert_eq!(samples[0]["why"], "column \"x\" is \"bad\", not a number");
        assert_eq!(samples[1]["record"], "in.csv:6");

        let few = r#"--set read.on_error={"skip_up_to":0.44,"save_to":"bad.txt"}"#;
        fs::remove_file(dir.join("bad.txt")).unwrap();
        fs::remove_file(dir.join("out")).unwrap();
        dir.run(&format!("{job} {how} {few}"))
            .failed("24 of 54 records are bad, but read.on_error allows only a share of 0.44", "");
        // The bad records are saved all the same, so that the user can look at them.
        assert_eq!(fs::read_to_string(dir.join("bad.txt")).unwrap(), saved);
        assert_eq!(dir.names(), ["bad.txt", "in.csv", "r.json"]);
    }
}

#[test]
fn saved_records_go_to_a_file_of_their_own() {
    let dir = Dir::new().file("in.csv", "x\nbad\n").file("job.json", r#"{"aggregate": [{"op": "sum", "field": "x"}]}"#);
    let run = |to: &str| {
        let skip = format!(r#"read.on_error={{"skip_up_to":1,"save_to":"{to}"}}"#);
        dir.command(["run", "./job.json", "in.csv", "-o", "out", "--report", "r.json", "--set", &skip]).run()
    };
    run("./in.csv").refused("read.on_error.save_to ./in.csv: is an INPUT", "name another file");
    run("job.json").refused("read.on_error.save_to job.json: is the JOB", "name another file");
    run("out").refused("read.on_error.save_to out: is the output", "name another file");
    run("no/bad").refused("read.on_error.save_to no/bad: there is no directory no", "mkdir -p no");
    run(".").refused("read.on_error.save_to .: exists and is not a file", "");
    run("r.json").refused("read.on_error.save_to r.json: is also the file of --report", "");
    run("-").refused("read.on_error.save_to -: is not a file name", "");
    run("new/").refused("read.on_error.save_to new/: is not a file name", "");
    assert_eq!(dir.names(), ["in.csv", "job.json"]);
    run("bad").printed("");
    assert_eq!(fs::read(dir.join("bad")).unwrap(), b"bad\n");
    // The saved bad records of another job are data, and are not overwritten.
    let skip = |to: &str| format!(r#"read.on_error={{"skip_up_to":1,"save_to":"{to}"}}"#);
    let job = |to: &str, more: &[&str]| {
        dir.command(["run", "./job.json", "in.csv", "--set", &skip(to)].into_iter().chain(more.iter().copied())).run()
    };
    job("bad", &[]).refused("read.on_error.save_to bad: exists", "--force replaces it");
    job("bad", &["--force"]).printed("\\N\n");
    job("parts/part-00000", &["-o", "parts/"])
        .refused("read.on_error.save_to parts/part-00000: there is no directory parts", "mkdir -p parts");
    fs::create_dir(dir.join("parts")).unwrap();
    job("parts/part-00000", &["-o", "parts/"])
        .refused("read.on_error.save_to parts/part-00000: is in the output directory", "name another file");
    job("bad.gz", &[]).printed("\\N\n");
    dir.run("run uniq bad.gz").printed("bad\t1\n");
}

/// Of many columns, only those that are named are looked for, and a message shows only some of the names.
#[test]
fn a_hundred_thousand_columns() {
    let names: Vec<_> = (0..100_000).map(|i| format!("c{i}")).collect();
    let text = format!("{}\n{}\n", names.join(","), "7,".repeat(99_999) + "8");
    let dir = Dir::new().file("in.csv", &text).file("pass.json", r#"{"output": {"format": "csv"}}"#);
    dir.run("agg sum(c99999),sum(c0) in.csv").printed("8\t7\n");
    dir.run("run ./pass.json in.csv").printed(&text);
    dir.run("agg sum(c999990) in.csv")
        .refused("agg: aggregate.0.field: no field \"c999990\"", "did you mean \"c99990\"?");
    let ran = dir.run("agg sum(amount) in.csv");
    assert!(ran.stderr().ends_with("c48, c49 and 99950 more\n"), "{}", ran.stderr());
}

#[test]
fn packed_tables_that_are_not_whole() {
    let text: String = (0..20_000u32).map(|i| format!("{},{}\n", i % 7, i.wrapping_mul(2_654_435_761))).collect();
    let text = format!("k,x\n{text}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let (gz, zst) = (gzip.finish().unwrap(), zstd::bulk::compress(text.as_bytes(), 1).unwrap());
    let dir = Dir::new().file("whole.csv.gz", &gz).file("whole.csv.zst", &zst);
    let job = "agg -g k sum(x),count -o out";
    let want = dir.run("agg -g k sum(x),count whole.csv.gz").stdout();
    dir.run("agg -g k sum(x),count whole.csv.zst").printed(&want);
    for (name, packed, kind) in [("cut.csv.gz", &gz, "gzip"), ("cut.csv.zst", &zst, "zstd")] {
        let dir = Dir::new().file(name, &packed[..packed.len() / 2]);
        let ran = dir.run(&format!("{job} {name}"));
        let end = format!("the {kind} data ends early\n");
        assert!(
            ran.stderr().starts_with(&format!("error: {name}: cannot read at byte ")) && ran.stderr().ends_with(&end),
            "{}",
            ran.stderr()
        );
        assert_eq!((ran.code(), dir.names()), (Some(1), vec![name.to_owned()]));
        let mut corrupt = packed.clone();
        let middle = corrupt.len() / 2;
        corrupt[middle..middle + 8].iter_mut().for_each(|byte| *byte = !*byte);
        let dir = dir.file(name, corrupt);
        let ran = dir.run(&format!("{job} {name}"));
        assert!(ran.stderr().contains(&format!("{kind} data is corrupt")), "{}", ran.stderr());
        assert_eq!((ran.code(), dir.names()), (Some(1), vec![name.to_owned()]));
    }
}

type Change<'c> = &'c dyn Fn(&Dir);

/// A file that changes between the reading of its header and of its records is an error. Appended records are ignored.
#[test]
fn tables_that_change_meanwhile() {
    let rows = "\"a\n\",1\n".repeat(10);
    // The FIFO takes more than a pipe holds only once the job reads it, which is after planning. Records pass through
    // in the order of the input, so the job opens the file only when the FIFO has ended.
    let job = |dir: &Dir, change: Change<'_>| {
        let mut command = dir.command("run ./pass.json fifo in.csv -o out".split(' ')).command;
        command.stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let mut fifo = File::options().write(true).open(dir.join("fifo")).unwrap();
        fifo.write_all(b"k,x\n").unwrap();
        fifo.write_all(b"b,2\n".repeat(1 << 17).as_slice()).unwrap();
        change(dir);
        drop(fifo);
        Ran { output: child.wait_with_output().unwrap() }
    };
    let changes: [(Change<'_>, &str); 3] = [
        (&|dir| File::options().append(true).open(dir.join("in.csv")).unwrap().write_all(b"a,1\n").unwrap(), ""),
        (&|dir| fs::write(dir.join("in.csv"), "k,x\n").unwrap(), "the file became shorter while the job ran"),
        (
            &|dir| fs::rename(dir.join("new.csv"), dir.join("in.csv")).unwrap(),
            "another file took its name while the job ran",
        ),
    ];
    for (change, error) in changes {
        let dir = Dir::new().file("in.csv", format!("k,x\n{rows}")).file("new.csv", format!("x,k\n{rows}"));
        let dir = dir.file("pass.json", r#"{"read": {"format": "csv"}}"#);
        rustix::fs::mknodat(rustix::fs::CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
        let ran = job(&dir, change);
        if error.is_empty() {
            ran.printed("");
            let expected = "b\t2\n".repeat(1 << 17) + &"a\\n\t1\n".repeat(10);
            assert!(fs::read_to_string(dir.join("out")).unwrap() == expected);
        } else {
            assert!(
                ran.stderr().starts_with("error: in.csv: cannot read at byte ")
                    && ran.stderr().ends_with(&format!(": {error}\n")),
                "{}",
                ran.stderr()
            );
            assert_eq!((ran.code(), dir.join("out").exists()), (Some(1), false));
        }
    }
}
