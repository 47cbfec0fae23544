//! `mapfold explain`: what it says about a plan, and how close its predictions from a sample are to what the job does.

use std::fmt::Write;
use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::harness::{Dir, Ran};

/// Pseudo-random numbers from 0 to 1, the same in each test run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }
}

/// A text of about `bytes` bytes, made of the lines that `line` appends.
fn text(bytes: usize, mut line: impl FnMut(&mut String, &mut Numbers)) -> String {
    let (mut text, mut numbers) = (String::with_capacity(bytes + 100), Numbers(7));
    while text.len() < bytes {
        line(&mut text, &mut numbers);
        text.push('\n');
    }
    text
}

const SIZE: usize = 3 << 20;
/// A sample of a part of the input, in pieces of a sixteenth of a split.
const SAMPLE: &str = "--sample 512K";

/// Runs `explain --run`. Returns the prediction together with the counters of the job.
#[track_caller]
fn explained(dir: &Dir, args: &str) -> Value {
    let before = dir.names();
    let ran = dir.run(&format!("explain {args} --json --run -o out --force"));
    assert_eq!((ran.code(), ran.stdout().as_str()), (Some(0), ""), "{}", ran.stderr());
    let after: Vec<_> = dir.names().into_iter().filter(|name| name != "out").collect();
    assert_eq!(after, before.into_iter().filter(|name| name != "out").collect::<Vec<_>>());
    serde_json::from_str(&ran.stderr()).unwrap_or_else(|e| panic!("{e}: {}", ran.stderr()))
}

/// Checks that each figure was predicted within its factor.
#[track_caller]
fn within(explained: &Value, factors: &[(&str, f64)]) {
    let (foreseen, actual) = (&explained["predicted"]["figures"], &explained["actual"]);
    for (name, factor) in factors {
        let of = |figures: &Value| figures[name].as_f64().unwrap_or_else(|| panic!("{name}: {explained:#}"));
        let (foreseen, actual) = (of(foreseen), of(actual));
        let is_near = foreseen <= actual * factor && actual <= foreseen * factor;
        assert!(is_near, "{name}: {foreseen} for {actual}, more than {factor} times: {explained:#}");
    }
}

const INPUT: [(&str, f64); 3] = [("map_input_bytes", 1.0), ("map_input_records", 1.02), ("map_output_records", 1.05)];

fn stations(file: &str) -> (Dir, String) {
    let spec = r#"{"read": {"format": "csv", "delimiter": ";", "fields": ["station", "t"]}, "group_by": ["station"],
        "aggregate": [{"op": "min", "field": "t"}, {"op": "mean", "field": "t"}, {"op": "max", "field": "t"}]}"#;
    let lines = text(SIZE, |text, n| {
        let _ = write!(text, "Station {};{}.{}", n.below(400), n.below(60) as i32 - 20, n.below(10));
    });
    (Dir::new().file("s.json", spec).file(file, &lines), lines)
}

#[test]
fn few_keys_that_are_everywhere() {
    let (dir, _) = stations("m.txt");
    let explained = explained(&dir, &format!("s.json m.txt {SAMPLE}"));
    within(&explained, &INPUT);
    within(&explained, &[("reduce_input_groups", 1.0), ("reduce_shuffle_bytes", 1.2), ("reduce_input_records", 1.2)]);
    within(&explained, &[("spilled_bytes", 1.4), ("peak_rss_bytes", 2.0)]);
    assert_eq!(explained["predicted"]["keys"], serde_json::json!([400.0, 400.0]));
    assert_eq!(explained["predicted"]["is_exact"], false);
}

#[test]
fn words_as_zipf_has_them() {
    let lines = text(SIZE, |text, n| {
        for _ in 0..10 {
            let _ = write!(text, "w{} ", (1.0 / n.next().powf(1.3)) as u64);
        }
    });
    let dir = Dir::new().file("w.txt", lines);
    for combiner in ["auto", "on", "off"] {
        let explained = explained(&dir, &format!("wordcount w.txt {SAMPLE} --combiner {combiner}"));
        within(&explained, &INPUT);
        within(&explained, &[("reduce_input_groups", 1.3), ("reduce_shuffle_bytes", 1.4), ("map_output_bytes", 1.02)]);
        within(&explained, &[("spilled_bytes", 1.4), ("peak_rss_bytes", 2.0)]);
        let keys = &explained["predicted"]["keys"];
        let actual = explained["actual"]["reduce_input_groups"].as_f64();
        assert!(keys[0].as_f64() < actual && actual < keys[1].as_f64(), "{explained:#}");
    }
}

#[test]
fn lines_that_are_all_distinct() {
    let mut i = 0;
    let lines = text(SIZE, |text, n| {
        i += 1;
        let _ = write!(text, "{i} {}", n.below(1 << 40));
    });
    let dir = Dir::new().file("d.txt", lines);
    for combiner in ["on", "off"] {
        let explained = explained(&dir, &format!("uniq d.txt {SAMPLE} --combiner {combiner}"));
        within(&explained, &INPUT);
        within(&explained, &[("reduce_input_groups", 1.05), ("reduce_shuffle_bytes", 1.1), ("spilled_bytes", 1.15)]);
        within(&explained, &[("peak_rss_bytes", 2.0)]);
    }
}

/// Equal lines are adjacent, so most lines occur in one task only.
#[test]
fn a_sorted_file() {
    let mut i = 0;
    let lines = text(SIZE, |text, _| {
        i += 1;
        let _ = write!(text, "line {:08}", i / 40);
    });
    let dir = Dir::new().file("s.txt", lines);
    let explained = explained(&dir, &format!("uniq s.txt {SAMPLE}"));
    within(&explained, &INPUT);
    within(&explained, &[("reduce_input_groups", 1.1), ("reduce_shuffle_bytes", 1.15)]);
}

/// Most records have one key, and the input varies from place to place.
#[test]
fn skew() {
    let mut i = 0;
    let lines = text(SIZE, |text, n| {
        i += 1;
        match n.next() {
            x if x < 0.7 => text.push_str("the same line again and again"),
            _ if i % 100_000 < 50_000 => text.push_str(&n.below(1000).to_string()),
            _ => text.push_str(&n.below(1 << 30).to_string()),
        }
    });
    let dir = Dir::new().file("s.txt", lines);
    let explained = explained(&dir, &format!("uniq s.txt {SAMPLE}"));
    within(&explained, &[("map_input_records", 1.1), ("reduce_input_groups", 1.5), ("reduce_shuffle_bytes", 1.5)]);
}

#[test]
fn a_table_with_quotes() {
    let mut lines = "id,region,amount,note\n".to_owned();
    lines.push_str(&text(SIZE, |text, n| {
        let _ =
            write!(text, "{},r{},{}.50,\"a \"\"note\"\",\nof two lines\"", n.below(9999), n.below(5000), n.below(999));
    }));
    let dir = Dir::new().file("t.csv", lines).file(
        "t.json",
        r#"{"group_by": ["region"], "aggregate": [{"op": "sum", "field": "amount"}, {"op": "count"}]}"#,
    );
    let explained = explained(&dir, &format!("t.json t.csv {SAMPLE}"));
    within(&explained, &[("map_input_bytes", 1.0), ("map_input_records", 1.02), ("map_output_records", 1.02)]);
    within(&explained, &[("reduce_input_groups", 1.05), ("reduce_shuffle_bytes", 1.2), ("bad_records", 1.0)]);
}

#[test]
fn a_filter_that_leaves_few_and_records_that_are_bad() {
    let lines = text(SIZE, |text, n| {
        let amount = if n.below(200) == 0 { "n/a".to_owned() } else { n.below(10_000).to_string() };
        let _ = write!(text, "{amount}\tk{}", n.below(100_000));
    });
    let spec = r#"{"read": {"format": "tsv", "fields": ["amount", "key"], "on_error": "skip"},
        "map": [{"filter": {"field": "amount", "lt": 100}}], "group_by": ["key"], "aggregate": [{"op": "count"}]}"#;
    let dir = Dir::new().file("f.tsv", lines).file("f.json", spec);
    let explained = explained(&dir, &format!("f.json f.tsv {SAMPLE}"));
    within(&explained, &[("map_input_records", 1.02), ("bad_records", 1.15), ("map_output_records", 1.15)]);
    within(&explained, &[("reduce_input_groups", 1.35), ("reduce_shuffle_bytes", 1.35)]);
}

/// A bad record that will end the job is predicted, with its place.
#[test]
fn a_bad_record_that_will_end_the_job() {
    let dir = Dir::new().file("a.csv", "k,x\na,1\nb,n/a\nc,n/a\n");
    let spec = r#"{"group_by": ["k"], "aggregate": [{"op": "sum", "field": "x"}]}"#;
    let ran = dir.file("s.json", spec).run("explain s.json a.csv");
    assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""));
    let said = " bad 2; the first ends the job: a.csv:3: column \"x\" is \"n/a\", not a number mapped 1 ";
    assert!(unwrapped(&ran.stdout()).contains(said), "{}", ran.stdout());
}

fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const COUNTS: [(&str, f64); 8] = [
    ("map_input_bytes", 1.0),
    ("map_input_records", 1.0),
    ("bad_records", 1.0),
    ("map_output_records", 1.0),
    ("map_output_bytes", 1.0),
    ("reduce_input_groups", 1.0),
    ("reduce_input_records", 1.0),
    ("reduce_shuffle_bytes", 1.0),
];

#[test]
fn small_inputs_are_read_whole() {
    for contents in ["", "ten bytes\n"] {
        let dir = Dir::new().file("a.txt", contents);
        let explained = explained(&dir, "wordcount a.txt");
        within(&explained, &COUNTS);
        assert_eq!(explained["predicted"]["is_exact"], true);
        assert_eq!(
            fs::read_to_string(dir.join("out")).unwrap(),
            if contents.is_empty() { "" } else { "bytes\t1\nten\t1\n" }
        );
    }
}

#[test]
fn packed_files() {
    let (dir, lines) = stations("m.txt");
    let packed = |text: &str| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let dir = dir.file("m.gz", packed(&lines));
    let all = explained(&dir, "s.json m.gz --sample 1G");
    within(&all, &COUNTS);
    assert_eq!(all["predicted"]["is_exact"], true);
    let part = explained(&dir, &format!("s.json m.gz {SAMPLE}"));
    within(&part, &[("map_input_bytes", 1.1), ("map_input_records", 1.1), ("reduce_input_groups", 1.0)]);
    within(&part, &[("reduce_input_records", 1.2), ("reduce_shuffle_bytes", 1.3)]);
    assert!(part["predicted"]["sample_bytes"].as_f64().unwrap() < 0.7 * lines.len() as f64, "{part:#}");
    // Of many compressed files, some are read and the others aren't opened.
    let cut =
        |i: usize| lines.lines().skip(i * 10_000).take(10_000).map(|line| line.to_owned() + "\n").collect::<String>();
    let dir = (0..16).fold(dir, |dir, i| dir.file(&format!("many/{i}.gz"), packed(&cut(i))));
    let part = explained(&dir, &format!("s.json many {SAMPLE}"));
    within(&part, &[("map_input_bytes", 1.1), ("map_input_records", 1.1), ("reduce_input_groups", 1.0)]);
    within(&part, &[("reduce_input_records", 1.2), ("reduce_shuffle_bytes", 1.3)]);
    assert!(part["predicted"]["sample_bytes"].as_f64().unwrap() < 0.6 * lines.len() as f64, "{part:#}");
}

#[test]
fn records_that_pass_through() {
    let lines = text(SIZE, |text, n| {
        let _ = write!(text, "a line of {} and {}", n.below(1000), n.below(9));
    });
    let dir = Dir::new().file("a.txt", lines);
    for spec in [r#"{"where": {"field": "line", "matches": "and 7"}}"#, r#"{"sort": ["line"]}"#] {
        fs::write(dir.join("s.json"), spec).unwrap();
        let explained = explained(&dir, &format!("s.json a.txt {SAMPLE}"));
        within(&explained, &[("map_input_records", 1.02), ("map_output_records", 1.1), ("spilled_bytes", 1.15)]);
        assert_eq!(explained["predicted"]["keys"], Value::Null);
        fs::remove_file(dir.join("s.json")).unwrap();
    }
    fs::write(dir.join("s.json"), r#"{"where": {"field": "line", "matches": "and 7"}, "limit": 2000}"#).unwrap();
    let ran = dir.run("explain s.json a.txt --sample 512K");
    assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""));
    assert!(ran.stdout().contains("\n  limit     is reached after "), "{}", ran.stdout());
}

#[track_caller]
fn succeeded(ran: &Ran) -> String {
    assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""));
    ran.stdout()
}

#[test]
fn a_plan_in_words() {
    let spec = r#"{"name": "sales", "map": [
        {"filter": {"and": [{"field": "status", "equal": "paid"}, {"field": "qty", "gte": 2}]}},
        {"derive": "price * qty", "as": "total"}, {"bin": "total", "step": 10, "as": "bin"}],
        "where": {"not": {"field": "region", "in": ["EMEA", "a b"]}},
        "group_by": ["region", "bin"],
        "aggregate": [{"op": "sum", "field": "total", "as": "sum"}, {"op": "max", "field": "total"},
            {"op": "count", "as": "big", "where": {"field": "total", "gt": 100}}],
        "having": {"field": "big", "gt": 0}, "sort": ["-sum"], "limit": 20}"#;
    let csv = "date,region,qty,price,status,note\n2026-03-04,APAC,4,59.95,paid,x\n";
    let dir = Dir::new().file("s.json", spec).file("a.csv", csv).file("b.csv", csv);
    let said = succeeded(&dir.run("explain s.json a.csv b.csv --threads 2 --memory 1G -o out/ --format csv"));
    let (plan, prediction) = said.split_once("\n\n").unwrap();
    assert_eq!(
        plan,
        "\
sales
  input     2 sources (a.csv, b.csv), 130 B
  read      csv with a header: region, qty, price, status of 6 fields; ignored:
              date, note; a bad record: ends the job
  lazily    region, qty, price: read only in records that a filter left
  splits    1 of at most 1.00 MiB
  map       1. filter status = paid
            2. read qty as decimal, of the records left
            3. filter qty >= 2, of the records left
            4. read price as decimal, of the records left
            5. derive price * qty as total, of the records left
            6. bin total step 10 as bin, of the records left
            7. filter not (region in (EMEA, \"a b\")), of the records left
            8. for big: where total > 100, of the records left
  key       region, bin
  aggregate sum(total) as sum, max(total) (one state); count as big
  combine   auto: while it pays, in a table of at most 63.2 MiB a thread
  shuffle   64 partitions
  having    big > 0
  order     -sum, region, bin; the first 20 rows
  output    part files in out/, csv with a header: region, bin, sum, max_total,
              big
  run       2 threads, 1 GiB of memory, scheduler stealing"
    );
    assert!(
        prediction.starts_with("All 130 B were read: counts are exact, time and memory are estimates\n"),
        "{prediction}"
    );
    assert!(prediction.contains("\n  records   2\n  bad       none\n  mapped    2\n  keys      1\n"), "{prediction}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert_eq!(dir.names(), ["a.csv", "b.csv", "s.json"]);
}

/// Steps that the spec doesn't have are shown as what they are, or not at all.
#[test]
fn steps_that_others_need() {
    let spec = r#"{"map": [{"split": "text", "on": ",", "as": "word"}], "group_by": ["@file", "user.id"],
        "aggregate": [{"op": "argmin", "field": "word", "by": "n", "where": {"field": "word", "matches": "^a"}},
            {"op": "first", "field": "word"}, {"op": "approx_quantile", "field": "n", "q": 0.9}]}"#;
    let dir = Dir::new().file("s.json", spec).file("a.jsonl", "{\"text\":\"a,b\",\"n\":1,\"user\":{\"id\":7}}\n");
    let told = explained(&dir, "s.json a.jsonl");
    let steps: Vec<_> =
        told["plan"]["steps"].as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
    let expected =
        ["split text on , as word", "for argmin(word, n): where word ~ ^a", "read n as decimal", "read n as decimal"];
    assert_eq!(steps, expected);
    let states: Vec<_> = told["plan"]["groups"]["states"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(states, [r#"["argmin(word, n)"]"#, r#"["first(word)"]"#, r#"["approx_quantile(n, 0.9)"]"#]);
}

#[test]
fn the_job_is_run_too() {
    let dir = Dir::new().file("a.txt", "b a b\n");
    let ran = dir.run("explain wordcount a.txt --run --format csv");
    assert_eq!((ran.code(), ran.stdout().as_str()), (Some(0), "word,count\nb,2\na,1\n"));
    let said = ran.stderr();
    let rows: Vec<Vec<_>> = said.lines().rev().take(12).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[11], ["predicted", "actual", "ratio"], "{said}");
    assert!(rows.contains(&vec!["keys", "2", "2", "1.00"]), "{said}");
    assert!(rows.contains(&vec!["records", "1", "1", "1.00"]), "{said}");
    // An existing output is noticed before anything is read.
    dir.run("explain wordcount a.txt --run -o a.txt")
        .refused("a.txt: is an INPUT as well as the output", "write to another file, then rename it");
}

#[test]
fn what_is_not_sampled() {
    let dir = Dir::new().file("a.txt", "a b\n");
    let command = "sh\u{1}-c\u{1}echo ran >> log; echo c d";
    let spec = format!(
        r#"{{"input": ["a.txt", {{"command": {:?}, "name": "web1"}}], "group_by": ["line"], "aggregate": [{{"op": "count"}}]}}"#,
        command.split('\u{1}').collect::<Vec<_>>()
    );
    let dir = dir.file("s.json", spec);
    let said = succeeded(&dir.run("explain s.json"));
    assert!(unwrapped(&said).contains("; not files, so their length isn't known: web1 read text"), "{said}");
    assert!(said.contains("\nFrom 4 B in 1 piece, "), "{said}");
    assert!(said.contains("\n  missing   these inputs were not sampled: web1\n"), "{said}");
    assert_eq!(dir.names(), ["a.txt", "s.json"]);
    let said = succeeded(&dir.run("explain s.json --set input=[{\"command\":[\"echo\",\"x\"]}]"));
    assert!(said.contains("\nNo sample: "), "{said}");
}

#[test]
fn what_is_refused() {
    let dir = Dir::new().file("a.txt", "a\n");
    let hint = "name a file: mapfold explain wordcount book.txt";
    let once = "standard input can be read only once, but explain reads a sample before the job reads it";
    dir.run("explain wordcount -").refused(once, hint);
    dir.run("explain wordcount").refused(once, hint);
    dir.run("explain wordcount b.txt").refused("b.txt: no such file or directory", "did you mean a.txt?");
    dir.run("explain wordcount a.txt --sample 0").refused("--sample: must be at least 1, is 0", "");
    dir.run("explain wordcount a.txt --sample x").refused("--sample: \"x\" is not a size", "");
    assert_eq!(dir.names(), ["a.txt"]);
}
