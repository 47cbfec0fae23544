//! README.md and docs/guide.md stay true: the examples of each page are run in order, in one directory, and print what
//! the page says.
//!
//! A `sh` block is run unless the line above it is `<!-- not run: WHY -->`. The `text` block after it is its standard
//! output. Times and memory differ from run to run, so below `<!-- sample of … -->` only the rest is compared.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::{Value, json};

use crate::harness::Dir;

struct Block<'a> {
    language: &'a str,
    /// The line above the block.
    marker: &'a str,
    text: &'a str,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = page;
    let mut marker = "";
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        let Some(language) = line.strip_prefix("```") else {
            marker = line;
            continue;
        };
        let (text, after) = rest.split_once("```\n").expect("a block that ends");
        let line = page[..page.len() - rest.len()].lines().count();
        blocks.push(Block { language, marker, text, line });
        rest = after;
    }
    blocks
}

const README: &str = "README.md";
const GUIDE: &str = "docs/guide.md";

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn run(dir: &Dir, page: &str, block: &Block<'_>) -> Output {
    let binaries = Path::new(env!("CARGO_BIN_EXE_mapfold")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-euc", block.text]).current_dir(dir.path()).env("PATH", path).env("TMPDIR", dir.path());
    let output = shell.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page}:{}: {}\n{stderr}", block.line, output.status);
    output
}

fn with_testdata() -> Dir {
    let mut dir = Dir::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/readme");
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        dir = dir.file(&format!("testdata/readme/{name}"), fs::read(&path).unwrap());
    }
    dir
}

/// The lines of a summary that are equal in all runs: no times, rates or memory.
fn steady(summary: &str) -> Vec<&str> {
    let kept = |line: &&str| ["read", "wrote", "shuffle"].iter().any(|label| line.trim_start().starts_with(label));
    summary.lines().filter(kept).collect()
}

/// The part of a `bench` table that is equal in all runs and on all machines: how much is shuffled without the
/// combiner, and the total.
fn steady_table(table: &str) -> Vec<Vec<&str>> {
    let kept = |line: &&str| line.starts_with("All ") || (line.starts_with("off ") && line.contains('█'));
    let words = |line| str::split_whitespace(line).collect();
    // The bytes that runs took on disk come behind the percentage of bytes saved, and aren't compared.
    table.lines().filter(kept).map(|line| words(line.split('%').next().unwrap())).collect()
}

/// Counters that may differ: bytes of pages and indexes depend on how runs are laid out, and the stolen tasks on
/// chance.
const VARIES: [&str; 3] =
    [".counters.map_output_materialized_bytes", ".counters.spilled_bytes", ".counters.stolen_tasks"];

/// Checks that both have the same keys and that their counters are equal.
fn same_shape(at: &str, sample: &Value, real: &Value) {
    match (sample, real) {
        (Value::Object(sample), Value::Object(real)) if at != ".job" => {
            let keys = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(sample), keys(real), "keys of the report{at}");
            sample.iter().for_each(|(key, value)| same_shape(&format!("{at}.{key}"), value, &real[key]));
        }
        (Value::Array(sample), Value::Array(real)) => {
            assert_eq!(sample.len(), real.len(), "report{at}");
            sample.iter().zip(real).for_each(|(sample, real)| same_shape(at, sample, real));
        }
        _ if at.starts_with(".counters") && !VARIES.contains(&at) => assert_eq!(sample, real, "report{at}"),
        _ => {}
    }
}

/// Runs the examples of a page. Returns how many there are.
fn examples(name: &str) -> usize {
    let page = page(name);
    let blocks = blocks(&page);
    let dir = with_testdata();
    let mut ran = 0;
    for (i, block) in blocks.iter().enumerate() {
        if block.language == "json" {
            let name = block.marker.strip_prefix("<!-- sample of ").and_then(|rest| rest.strip_suffix(" -->"));
            let real = fs::read(dir.join(name.expect("a json block is a sample of a file"))).unwrap();
            same_shape("", &serde_json::from_str(block.text).unwrap(), &serde_json::from_slice(&real).unwrap());
        }
        if block.language != "sh" || block.marker.starts_with("<!-- not run: ") {
            continue;
        }
        let output = run(&dir, name, block);
        ran += 1;
        let expected = blocks.get(i + 1).filter(|next| next.language == "text").map_or("", |next| next.text);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if block.marker == "<!-- sample of stderr -->" {
            assert_eq!(steady(&err), steady(expected), "{name}:{}", block.line);
        } else if block.marker == "<!-- sample of stdout -->" {
            assert_eq!(steady_table(&out).len(), 2, "{out}");
            assert_eq!(steady_table(&out), steady_table(expected), "{name}:{}", block.line);
        } else {
            assert_eq!((&*out, &*err), (expected, ""), "{name}:{}", block.line);
        }
    }
    ran
}

#[test]
fn examples_of_the_readme_do_what_they_say() {
    let ran = examples(README);
    assert!(ran >= 5, "only {ran} examples found");
}

#[test]
fn examples_of_the_guide_do_what_they_say() {
    let ran = examples(GUIDE);
    assert!(ran >= 30, "only {ran} examples found");
}

#[test]
fn built_in_jobs_are_mentioned() {
    let pages = [README, GUIDE].map(page);
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let example = format!("mapfold run {name}");
        assert!(pages.iter().any(|page| page.contains(&example)), "{README} and {GUIDE} have no example of {name}");
    }
}

/// Returns the anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

/// Returns the page without its code blocks, in which a `#` begins a comment.
fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

/// Returns the targets of a text's links.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap())
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut followed = 0;
    for name in [README, GUIDE, "CONTRIBUTING.md"] {
        let text = page(name);
        let inner = prose(&text);
        for link in links(&inner).filter(|link| !link.starts_with("http")) {
            followed += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => root.join(name),
                file => root.join(name).parent().unwrap().join(file),
            };
            assert!(target.exists(), "{name}: {link}");
            if !heading.is_empty() {
                let there = fs::read_to_string(target).unwrap();
                let inner = prose(&there);
                let mut headings =
                    inner.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#')));
                assert!(headings.any(|line| anchor(line.trim()) == heading), "{name}: {link}");
            }
        }
    }
    assert!(followed >= 20, "only {followed} links found");
}

/// Returns the names in the first cells of the guide's tables, from this heading to the next.
fn documented(heading: &str) -> Vec<String> {
    let page = page(GUIDE);
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn every_key_of_a_spec_is_in_the_guide() {
    let names = documented("The job spec");
    let page = page(GUIDE);
    let row = |key: &str| page.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap().to_owned();
    let said = |parent: &str, key: &str| {
        let spec = if parent.is_empty() { json!({key: 1}) } else { json!({parent: {key: 1}}) };
        Dir::new().file("j.json", spec.to_string()).run("run j.json").stderr()
    };
    // Keys that are supported.
    let known = |parent: &str| -> Vec<String> {
        let said_of_none = said(parent, "zzzzzzzzzzzz");
        let (_, keys) = said_of_none.trim_end().split_once("known keys: ").unwrap_or_else(|| panic!("{said_of_none}"));
        let works = |key: &&str| !said(parent, key).ends_with(": not supported yet\n");
        keys.split(", ").filter(works).map(str::to_owned).collect()
    };
    for key in known("") {
        assert!(names.contains(&key), "{key} isn't in {names:?}");
    }
    for parent in ["run", "deadline"] {
        for key in known(parent) {
            assert!(row(parent).contains(&format!("`{key}`")), "{parent}.{key} isn't in {:?}", row(parent));
        }
    }
}

#[test]
fn every_field_of_a_report_is_in_the_guide() {
    let dir = Dir::new().file("a.txt", "a\na\nb\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let ran = dir.run("run uniq a.txt fifo -n 1 --sort=-count --timeout 500ms --on-timeout partial --report r.json");
    assert_eq!(ran.code(), Some(3), "{}", ran.stderr());
    let report: Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    let names = documented("The report");
    for field in report.as_object().unwrap().keys().filter(|field| *field != "counters") {
        assert!(names.contains(field), "{field} isn't in {names:?}");
    }
}

/// The help of each command that runs jobs, and the manual, have the guide's exit codes.
#[test]
fn every_exit_code_is_in_the_help() {
    let codes: Vec<_> = documented("Exit codes").into_iter().filter(|cell| cell.parse::<u8>().is_ok()).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "130", "143"]);
    for args in ["--help", "run --help", "agg --help", "verify --help", "bench --help", "explain --help", "man"] {
        let help = Dir::new().run(args).stdout().to_lowercase();
        let (_, listed) = help.split_once("exit codes").unwrap_or_else(|| panic!("{args}: {help}"));
        let begins = |line: &str| -> Vec<String> {
            line.trim_start().split(',').map_while(|word| Some(word.split_whitespace().next()?.to_owned())).collect()
        };
        let listed: Vec<_> = listed.lines().flat_map(begins).collect();
        for code in &codes {
            assert!(listed.contains(code), "{args} lacks {code}");
        }
    }
}
