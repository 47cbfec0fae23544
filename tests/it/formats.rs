//! JSON lines, and lines that match a pattern.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use serde_json::{Map, Value, json};

use crate::harness::Dir;

fn job(dir: &Dir, spec: &Value) {
    fs::write(dir.join("job.json"), spec.to_string()).unwrap();
}

/// Objects whose fields may be missing, null, text or a number, and nested, with other fields between them.
fn objects() -> String {
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = String::new();
    for _ in 0..1500 {
        let mut fields = Vec::new();
        let keys = ["\"north\"", "\"so\\u0075th\"", "\"\"", "null", "\"a\\tb\\n\"", "\"é😀\""];
        if random(10) > 0 {
            fields.push(format!("\"key\": {}", keys[random(6) as usize]));
        }
        if random(10) > 0 {
            let n = [format!("{}.{:02}", random(100), random(100)), "null".into(), "1e2".into(), "-0.5".into()];
            fields.push(format!("\"in\" :{{\"n\":{}, \"more\":[{{\"n\":5}}]}}", n[random(4) as usize]));
        }
        if random(3) == 0 {
            fields.insert(0, "\"n\": 1000, \"x\":{\"key\":\"no\"}".into());
        }
        text.push_str(&format!("{{{}}}{}", fields.join(","), ["\n", "\r\n", "\n\n"][random(3) as usize]));
    }
    text
}

/// The result according to serde_json. By key: rows, values of `in.n`, and the sum of these in hundredths.
fn expected(text: &str) -> String {
    let mut groups: BTreeMap<Option<String>, (u64, u64, i64)> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let object: Map<String, Value> = serde_json::from_str(line).unwrap();
        let key = object.get("key").and_then(Value::as_str).map(str::to_owned);
        let group = groups.entry(key).or_default();
        group.0 += 1;
        if let Some(n) = object.get("in").and_then(|inner| inner.get("n")).and_then(Value::as_f64) {
            group.1 += 1;
            group.2 += (n * 100.0).round() as i64;
        }
    }
    let escaped = |text: &str| text.replace('\t', "\\t").replace('\n', "\\n");
    let row = |(key, (rows, values, sum)): (Option<String>, (u64, u64, i64))| {
        let sum = match (values, sum % 100 == 0) {
            (0, _) => "\\N".to_owned(),
            (_, true) => (sum / 100).to_string(),
            (_, false) => format!("{}{}.{:02}", if sum < 0 { "-" } else { "" }, sum.abs() / 100, sum.abs() % 100)
                .trim_end_matches('0')
                .to_owned(),
        };
        format!("{}\t{rows}\t{values}\t{sum}\n", key.as_deref().map_or("\\N".into(), escaped))
    };
    groups.into_iter().map(row).collect()
}

#[test]
fn json_lines_whatever_the_settings() {
    let text = objects();
    let expected = expected(&text);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let dir = Dir::new().file("a.jsonl", &text).file("b.json.gz", packed.finish().unwrap());
    let of = |input: &str, args: &str| {
        let all = format!("agg -g key count,count(in.n),sum(in.n) {input} {args}");
        let ran = dir.run(&all);
        assert_eq!((ran.code(), ran.stderr()), (Some(0), String::new()), "{all}");
        assert!(ran.stdout() == expected, "{all}\n{}\n{expected}", ran.stdout());
    };
    for threads in [1, 3] {
        for split in ["97", "7777", "1M"] {
            for combiner in ["on", "off"] {
                of("a.jsonl", &format!("--threads {threads} --split-size {split} --combiner {combiner}"));
            }
        }
    }
    of("b.json.gz", "--memory 16M");
    let args = ["agg", "-g", "key", "count,count(in.n),sum(in.n)", "--read", "jsonl", "-"];
    dir.command(args).stdin(text.as_bytes()).run().printed(&expected);
}

#[test]
fn fields_of_records_that_pass_through() {
    let dir = Dir::new().file(
        "a.ndjson",
        "{\"a\":{\"b\":\"x\",\"c\":[1, 2]},\"a.b\":\"dotted\",\"n\":1.50}\n{\"n\":null,\"a\":7}\n{\"a\":{\"b\":\"\"}}\n",
    );
    let select = json!(["a.b", "a\\.b", "a", "n", "none"]);
    job(&dir, &json!({"select": select, "output": {"format": "csv"}}));
    dir.run("run job.json a.ndjson").printed(
        "a.b,a\\.b,a,n,none\nx,dotted,\"{\"\"b\"\":\"\"x\"\",\"\"c\"\":[1, 2]}\",1.50,\n,,7,,\n\"\",,\"{\"\"b\"\":\"\"\"\"}\",,\n",
    );
    job(&dir, &json!({"read": {"types": {"n": "decimal"}}, "where": {"field": "n", "gt": 1}, "select": ["n"]}));
    dir.run("run job.json a.ndjson --format jsonl").printed("{\"n\":1.5}\n");
    job(&dir, &json!({"select": ["a\\.b", "n"], "output": {"format": "jsonl"}}));
    dir.run("run job.json a.ndjson")
        .printed("{\"a.b\":\"dotted\",\"n\":1.50}\n{\"a.b\":null,\"n\":null}\n{\"a.b\":null,\"n\":null}\n");
    job(&dir, &json!({"where": {"field": "a", "valid": true}}));
    dir.run("run job.json a.ndjson").refused(
        "job.json: select: is needed, because records of JSON may have fields of any name",
        r#"name the fields to write: "select": ["a", "b.c"]"#,
    );
}

/// A path may lead into elements that `explode` made, from JSON lines as well as from a column of a table.
#[test]
fn paths_into_elements() {
    let items = r#"[{"name": "a\"b", "price": 1.50, "of": {"id": 7}}, {"price": "2"}, 3, {"name": null, "of": [1]}]"#;
    let dir = Dir::new().file("a.jsonl", format!("{{\"items\": {items}, \"item.name\": 1}}\n"));
    let explode = json!([{"explode": "items", "as": "item"}]);
    let select = json!(["item.name", "item.of.id", "item.price"]);
    job(&dir, &json!({"map": explode, "select": select, "output": {"format": "jsonl"}}));
    let written = "{\"item.name\":\"a\\\"b\",\"item.of.id\":7,\"item.price\":1.50}\n\
         {\"item.name\":null,\"item.of.id\":null,\"item.price\":\"2\"}\n\
         {\"item.name\":null,\"item.of.id\":null,\"item.price\":null}\n\
         {\"item.name\":null,\"item.of.id\":null,\"item.price\":null}\n";
    dir.run("run job.json a.jsonl").printed(written);
    let quoted = items.replace('"', "\"\"");
    let dir = dir.file("a.csv", format!("id,items\n1,\"{quoted}\"\n"));
    dir.run("run job.json a.csv").printed(written);
    // Such a field can be tested, grouped by and summed like any other.
    let dir = dir.file("b.jsonl", r#"{"items": [{"k": "x", "n": 1}, {"k": "y", "n": 2}, {"k": "x", "n": 0.5}]}"#);
    let sum = json!([{"op": "sum", "field": "item.n"}]);
    job(
        &dir,
        &json!({"map": explode, "where": {"field": "item.k", "equal": "x"}, "group_by": ["item.k"], "aggregate": sum}),
    );
    dir.run("run job.json b.jsonl").printed("x\t1.5\n");
    let nested = json!([{"explode": "items", "as": "item"}, {"explode": "item.tags", "as": "tag"}]);
    let dir = dir.file("c.jsonl", r#"{"items": [{"tags": ["x", {"t": 1}]}, {"tags": [{"t": 2}]}, {}]}"#);
    job(&dir, &json!({"map": nested, "select": ["tag", "tag.t"]}));
    dir.run("run job.json c.jsonl").printed("x\t\\N\n{\"t\": 1}\t1\n{\"t\": 2}\t2\n");
    // The longest name that a step made is the one that the path leads into, whatever the record has.
    let dir = dir.file("d.jsonl", r#"{"order": {"lines": [{"sku": 1}, {"sku": 2}], "line": {"sku": 9}}}"#);
    let lines = json!([{"explode": "order.lines", "as": "order.line"}]);
    job(&dir, &json!({"map": lines, "where": {"field": "order", "valid": true}, "select": ["order.line.sku"]}));
    dir.run("run job.json d.jsonl").printed("1\n2\n");
    job(&dir, &json!({"map": lines, "select": ["order.lines", "order.line.sku"], "output": {"format": "jsonl"}}));
    let lines = r#"{"order.lines":[{"sku": 1}, {"sku": 2}],"order.line.sku":"#;
    dir.run("run job.json d.jsonl").printed(&format!("{lines}1}}\n{lines}2}}\n"));
    // What a filter looks at is no column.
    let dir = dir.file("e.csv", "id,items\n1,\"[{\"\"k\"\":1},{\"\"k\"\":2}]\"\n");
    job(&dir, &json!({"map": explode, "where": {"field": "item.k", "gt": 1}, "output": {"columns": ["id", "item"]}}));
    dir.run("run job.json e.csv --format csv").printed("id,item\n1,\"{\"\"k\"\":2}\"\n");
    job(&dir, &json!({"map": explode, "where": {"field": "item.k", "gt": 1}}));
    dir.run("run job.json e.csv --format csv")
        .printed("id,items,item\n1,\"[{\"\"k\"\":1},{\"\"k\"\":2}]\",\"{\"\"k\"\":2}\"\n");
    // A path that was named before the step was the record's own.
    let filter = json!({"filter": {"field": "item.n", "gt": 0}});
    job(&dir, &json!({"map": [filter, explode[0]], "group_by": [], "aggregate": sum}));
    dir.run("run job.json b.jsonl")
        .refused("job.json: map.1.as: the record's own field \"item.n\" is named already", "choose another name");
    job(&dir, &json!({"map": [{"lower": "k", "as": "low"}], "select": ["low.x"]}));
    dir.run("run job.json c.jsonl")
        .refused("job.json: select.0: \"low\" is text that a step made: it has no \"x\" inside", "");
}

/// A text isn't a number, numbers are compared by value, and every value is written as it was read.
#[test]
fn values_of_json_keep_their_types() {
    let long = "9".repeat(45);
    let values =
        ["1", "\"1\"", "1.0", "10e-1", "-0", "0", "true", "\"true\"", "[1, 2]", "{\"a\":\"b\"}", &long, "\"\"", "null"];
    let line = |(i, value): (usize, &&str)| format!("{{\"id\":{i},\"v\":{value},\"w\":[{value}]}}\n");
    let text: String = (0..50).flat_map(|_| values.iter().enumerate().map(line)).collect();
    let dir = Dir::new().file("a.jsonl", &text);
    let keys = [
        ("null", 50),
        ("\"\"", 50),
        ("\"1\"", 50),
        ("\"true\"", 50),
        ("0", 100),
        ("1", 150),
        (&long, 50),
        ("[1, 2]", 50),
        ("true", 50),
        ("{\"a\":\"b\"}", 50),
    ];
    let groups: String = keys.map(|(key, n)| format!("{{\"v\":{key},\"count\":{n}}}\n")).concat();
    let exploded = json!({"map": [{"explode": "w", "as": "e"}], "group_by": ["e"], "aggregate": [{"op": "count"}], "output": {"columns": ["e", "count"]}});
    for settings in ["", "--split-size 90 --threads 3", "--combiner off --partitions 3", "--memory 16M --threads 2"] {
        dir.run(&format!("agg -g v count a.jsonl --format jsonl {settings}")).printed(&groups);
        job(&dir, &exploded);
        let of_elements = groups.replace("\"v\"", "\"e\"");
        dir.run(&format!("run job.json a.jsonl --format jsonl {settings}")).printed(&of_elements);
        let both = dir.run(&format!("agg -g v,id count a.jsonl --format jsonl {settings}")).stdout();
        assert_eq!(both.lines().count(), values.len(), "{both}");
        assert!(both.contains("{\"v\":1,\"id\":0,\"count\":50}\n{\"v\":1,\"id\":2,\"count\":50}\n{\"v\":1,\"id\":3,"));
        job(&dir, &json!({"select": ["id", "v", "w"]}));
        dir.run(&format!("run job.json a.jsonl --format jsonl {settings}")).printed(&text);
        // Ties keep the order of the input, also ties of equal numbers.
        job(&dir, &json!({"select": ["v"], "sort": ["v"]}));
        let sorted = dir.run(&format!("run job.json a.jsonl --format jsonl {settings}")).stdout();
        let firsts: Vec<_> = sorted.lines().step_by(50).collect();
        let order = [
            "null",
            "\"\"",
            "\"1\"",
            "\"true\"",
            "-0",
            "0",
            "1",
            "1.0",
            "10e-1",
            &long,
            "[1, 2]",
            "true",
            "{\"a\":\"b\"}",
        ];
        assert_eq!(firsts.len(), order.len());
        assert_eq!(firsts[0], "{\"v\":null}");
        assert_eq!(firsts[3], "{\"v\":\"true\"}");
        assert_eq!(firsts[9], format!("{{\"v\":{long}}}"));
        assert_eq!(sorted.lines().last(), Some("{\"v\":{\"a\":\"b\"}}"));
    }
    let having = |test: &str| dir.run(&format!("agg -g v count a.jsonl --format jsonl --having {test}")).stdout();
    assert_eq!(having("v=1"), "{\"v\":1,\"count\":150}\n");
    assert_eq!(having("v=\"1\""), "{\"v\":\"1\",\"count\":50}\n");
    // A text differs from every number, even from a number with the same bytes.
    let near = Dir::new().file(
        "a.jsonl",
        "{\"x\":\"a\"}\n{\"x\":248.66}\n{\"x\":true}\n{\"x\":170228.5492}\n{\"x\":\"1\"}\n{\"x\":1}\n{\"x\":1.0}\n",
    );
    near.run("agg approx_distinct(x) a.jsonl").printed("6\n");
    // A number is text where the job asks for text.
    dir.run("agg -g v count a.jsonl --type v=string --having v=\"1\"").printed("1\t100\n");
    dir.run("agg count a.jsonl --where v~^[1t]").printed("300\n");
}

/// A line end within the JSON of a cell is white space, so the value is written on one line.
#[test]
fn json_in_cells_is_written_on_one_line() {
    let dir = Dir::new()
        .file("a.csv", "id,list\n1,\"[{\"\"a\"\":\n1}, \"\"x\ny\"\"]\"\n2,\"[{\"\"a\"\":\n1}, \"\"x\\ny\"\"]\"\n");
    job(&dir, &json!({"read": {"on_error": "skip"}, "map": [{"explode": "list", "as": "e"}], "select": ["id", "e"]}));
    dir.run("run job.json a.csv --format jsonl")
        .printed("{\"id\":\"2\",\"e\":{\"a\": 1}}\n{\"id\":\"2\",\"e\":\"x\\ny\"}\n");
}

#[test]
fn bad_lines_of_json() {
    let dir = Dir::new()
        .file("a.jsonl", "{\"n\":1}\n[2]\n{\"n\":3}\n{\"n\":3\n{\"n\":\"x\"}\n{\"n\":4} \n")
        .file("pretty.json", "{\n  \"n\": 1\n}\n")
        .file("b.csv", "n\n1\n");
    let skip = "--set read.on_error=skip skips bad records; jq -c . puts a document on one line, and jq -c '.[]' \
                puts each element of an array on a line";
    dir.run("agg sum(n) a.jsonl").failed("a.jsonl:2: an array where an object is expected", skip);
    let message = "a.jsonl:4: not JSON: EOF while parsing an object at byte 6 of the line";
    dir.run("agg count a.jsonl --set where={\"field\":\"n\",\"gte\":3} --set read.on_error=fail")
        .failed("a.jsonl:2: an array where an object is expected", skip);
    let ran = dir.run("agg sum(n),count a.jsonl --set read.on_error=skip --report r.json");
    assert_eq!((ran.code(), ran.stdout()), (Some(0), "8\t3\n".into()), "{}", ran.stderr());
    let report: Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    let bad: Vec<_> = report["bad_records"].as_array().unwrap().iter().map(|bad| bad["record"].clone()).collect();
    assert_eq!(bad, ["a.jsonl:2", "a.jsonl:4", "a.jsonl:5"]);
    let told = |bad: &Value| format!("{}: {}", bad["record"].as_str().unwrap(), bad["why"].as_str().unwrap());
    assert_eq!(told(&report["bad_records"][1]), message);
    dir.run("agg sum(n) pretty.json")
        .failed("pretty.json:1: not JSON: EOF while parsing an object at byte 1 of the line", skip);
    dir.run("agg sum(n) a.jsonl b.csv").refused(
        "a.jsonl is jsonl by its name, but b.csv is csv",
        "to read all of them in one format, set read.format: \"csv\"",
    );
    dir.run("agg count a.jsonl --set read.header=true").refused(
        "agg: read.header: is only for csv and tsv, but the inputs are read as jsonl",
        "to read them in this format: --set read.format=csv",
    );
}

const LOG: &str = concat!(
    "192.0.2.7 - alice [10/Oct/2000:13:55:36 -0700] \"GET /a?q=1 HTTP/1.0\" 200 2326\n",
    "192.0.2.8 - - [10/Oct/2000:13:55:37 -0700] \"POST /b HTTP/1.1\" 500 -\n",
    "192.0.2.7 - - [10/Oct/2000:13:55:38 -0700] \"\\x16\\x03\\\"\" 400 0\n",
    "192.0.2.9 - - [10/Oct/2000:13:55:39 -0700] \"GET /a\" 304 0\n",
);

#[test]
fn logs_by_a_preset() {
    let combined: String = LOG.lines().map(|line| format!("{line} \"-\" \"curl \\\"8\\\"\"\r\n")).collect();
    let syslog = "Oct 11 22:14:15 host su[230]: failed for root: on /dev/pts/8\n<34>Oct  1 00:00:00 h kernel: up\n";
    let dir = Dir::new().file("a.log", LOG).file("c.log", combined).file("s.log", syslog);
    let fields = json!(["host", "user", "time", "method", "path", "protocol", "status", "bytes"]);
    job(
        &dir,
        &json!({"read": {"preset": "common-log"}, "select": fields, "output": {"format": "csv", "header": false}}),
    );
    let rows = concat!(
        "192.0.2.7,alice,10/Oct/2000:13:55:36 -0700,GET,/a?q=1,HTTP/1.0,200,2326\n",
        "192.0.2.8,-,10/Oct/2000:13:55:37 -0700,POST,/b,HTTP/1.1,500,\n",
        "192.0.2.7,-,10/Oct/2000:13:55:38 -0700,\"\\x16\\x03\\\"\"\",,,400,0\n",
        "192.0.2.9,-,10/Oct/2000:13:55:39 -0700,GET,/a,,304,0\n",
    );
    dir.run("run job.json a.log").printed(rows);
    dir.run("run job.json c.log --set read.preset=combined-log --split-size 50 --threads 3").printed(rows);
    job(&dir, &json!({"read": {"preset": "combined-log"}, "select": ["request", "agent"]}));
    dir.run("run job.json c.log --set limit=3").printed(
        "GET /a?q=1 HTTP/1.0\tcurl \\\\\"8\\\\\"\nPOST /b HTTP/1.1\tcurl \\\\\"8\\\\\"\n\\\\x16\\\\x03\\\\\"\tcurl \\\\\"8\\\\\"\n",
    );
    job(
        &dir,
        &json!({"read": {"preset": "syslog"}, "select": ["priority", "time", "host", "program", "pid", "message"]}),
    );
    dir.run("run job.json s.log").printed(
        "\\N\tOct 11 22:14:15\thost\tsu\t230\tfailed for root: on /dev/pts/8\n34\tOct  1 00:00:00\th\tkernel\t\\N\tup\n",
    );
    job(
        &dir,
        &json!({"read": {"preset": "common-log"}, "group_by": ["path"], "aggregate": [
        {"op": "count", "as": "requests"}, {"op": "sum", "field": "bytes", "as": "bytes"}]}),
    );
    dir.run("run job.json a.log").printed("\\N\t1\t0\n/a\t1\t0\n/a?q=1\t1\t2326\n/b\t1\t\\N\n");
}

#[test]
fn lines_by_a_pattern() {
    let dir = Dir::new().file("a.log", "k=a v=1\nk=b v=2.5\nno\nk=a v=x\n");
    let read = json!({"pattern": "^k=(?P<k>\\w+) v=(?P<v>\\S+)$"});
    let sums = json!({"read": read, "group_by": ["k"], "aggregate": [{"op": "sum", "field": "v"}]});
    job(&dir, &sums);
    let skip = "--set read.on_error=skip skips bad records";
    dir.run("run job.json a.log").failed("a.log:3: doesn't match the pattern", skip);
    dir.run("run job.json a.log --set read.on_error=skip").printed("a\t1\nb\t2.5\n");
    // Only fields that the job uses must be of their types.
    job(&dir, &json!({"read": read, "group_by": ["k"], "aggregate": [{"op": "count"}]}));
    dir.run("run job.json a.log --set read.on_error=skip").printed("a\t2\nb\t1\n");
    let refused = |read: Value, message: &str, hint: &str| {
        job(&dir, &json!({"read": read, "select": ["k"]}));
        dir.run("run job.json a.log").refused(&format!("job.json: read.{message}"), hint);
    };
    refused(
        json!({"pattern": "k=(\\w+)"}),
        "pattern: has no named groups",
        "to name a group, write (?P<name>…); each named group is a field",
    );
    refused(
        json!({"format": "regex"}),
        "pattern: is needed by the format regex",
        "or a preset: common-log, combined-log, syslog",
    );
    refused(
        json!({"pattern": "(?P<k>a)", "preset": "syslog"}),
        "preset: and read.pattern can't be used together",
        "a preset stands for a pattern",
    );
    refused(
        json!({"pattern": "(?P<k>a)", "format": "csv"}),
        "pattern: is only for regex, but the inputs are read as csv",
        "to read them in this format: --set read.format=regex",
    );
    job(&dir, &json!({"read": {"pattern": "(?P<key>a)"}, "select": ["k"]}));
    dir.run("run job.json a.log").refused("job.json: select.0: no field \"k\"", "fields: key");
    // Engines that backtrack practically never finish this pattern.
    let long = "a".repeat(200_000) + "\n";
    fs::write(dir.join("long.log"), long).unwrap();
    job(&dir, &json!({"read": {"pattern": "^(?P<k>(a+)+)+$"}, "aggregate": [{"op": "count", "field": "k"}]}));
    dir.run("run job.json long.log").printed("1\n");
}

#[test]
fn steps_on_texts_and_numbers() {
    let dir = Dir::new().file("a.csv", "name,n,tags\n Ärger ,7.5,\"a, b;c\"\nSS,-0.1,\n,1e1,x\nß,30,\" ,\"\n");
    let steps = json!([{"trim": "name", "as": "t"}, {"upper": "t", "as": "u"}, {"lower": "u", "as": "l"},
        {"bin": "n", "step": 2.5, "as": "b"}]);
    job(&dir, &json!({"map": steps, "select": ["t", "u", "l", "b"], "output": {"format": "csv"}}));
    dir.run("run job.json a.csv").printed("t,u,l,b\nÄrger,ÄRGER,ärger,7.5\nSS,SS,ss,-2.5\n,,,10\nß,SS,ss,30\n");
    job(
        &dir,
        &json!({"map": [{"bin": "n", "step": "0.3", "as": "b"}], "read": {"types": {"n": "float"}}, "select": ["b"]}),
    );
    dir.run("run job.json a.csv").printed("7.5\n-0.3\n9.9\n30.0\n");
    let split = json!([{"split": "tags", "on": {"pattern": "\\s*[,;]\\s*"}, "as": "tag"}]);
    job(&dir, &json!({"map": split, "group_by": ["tag"], "aggregate": [{"op": "count"}]}));
    dir.run("run job.json a.csv --split-size 5").printed("\t2\na\t1\nb\t1\nc\t1\nx\t1\n");
    let refused = |step: Value, message: &str, hint: &str| {
        job(&dir, &json!({"map": [step], "select": ["n"]}));
        dir.run("run job.json a.csv").refused(&format!("job.json: map.0.{message}"), hint);
    };
    for step in [
        json!({"split": "m", "on": ",", "as": "x"}),
        json!({"ngrams": "m", "of": "words", "n": 2, "as": "x"}),
        json!({"extract": "m", "pattern": ".", "as": "x"}),
        json!({"lower": "m", "as": "x"}),
        json!({"trim": "m", "as": "x"}),
    ] {
        let key = step.as_object().unwrap().keys().find(|key| step[*key] == "m").unwrap().clone();
        job(&dir, &json!({"map": [{"derive": "n * 2", "as": "m"}, step], "select": ["x"]}));
        let message = format!("job.json: map.1.{key}: \"m\" is a number that a step made, but text is needed");
        dir.run("run job.json a.csv").refused(&message, "");
    }
    let hint = "the width of a bin, such as 100 or \"0.1\"";
    refused(json!({"bin": "n", "step": 0, "as": "b"}), "step: must be a number above 0, is \"0\"", hint);
    refused(json!({"bin": "n", "step": "x", "as": "b"}), "step: must be a number above 0, is \"x\"", hint);
    refused(
        json!({"split": "tags", "on": {"patern": ","}, "as": "b"}),
        "on: unknown key \"patern\"",
        "did you mean \"pattern\"?",
    );
}

#[test]
fn elements_of_arrays() {
    let lines: String = (0..300)
        .map(|i| format!("{{\"id\":{i},\"tags\":[{}]}}\n", vec!["\"t\\u0061g\"", "null", "1.0"][..i % 4].join(",")))
        .collect();
    let dir = Dir::new().file("a.jsonl", lines).file("b.csv", "id,tags\n1,\"[1,2]\"\n2,\n3,x\n4,[3]\n");
    job(
        &dir,
        &json!({"map": [{"explode": "tags", "as": "tag"}], "group_by": ["tag"], "aggregate": [{"op": "count"}, {"op": "sum", "field": "id"}]}),
    );
    let sums = |least: usize| (0..300).filter(|i| i % 4 >= least).sum::<usize>();
    let expected = format!("\\N\t150\t{}\ntag\t225\t{}\n1\t75\t{}\n", sums(2), sums(1), sums(3));
    for split in ["100", "1M"] {
        dir.run(&format!("run job.json a.jsonl --split-size {split} --threads 2")).printed(&expected);
    }
    let skip = "--set read.on_error=skip skips bad records";
    dir.run("run job.json b.csv").failed("b.csv:4: column \"tags\" is \"x\", not a JSON array", skip);
    dir.run("run job.json b.csv --set read.on_error=skip").printed("1\t1\t1\n2\t1\t1\n3\t1\t4\n");
    job(&dir, &json!({"map": [{"explode": "tags", "as": "tag"}], "select": ["id", "tag"], "limit": 2}));
    dir.run("run job.json b.csv").printed("1\t1\n1\t2\n");
}
