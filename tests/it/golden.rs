//! Every built-in job prints the exact bytes of its case in `testdata/`: input, command and output.
//!
//! `testdata/expected.py` computes the expected outputs without mapfold.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::Dir;

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The built-in jobs: name and spec.
fn jobs() -> Vec<(String, Value)> {
    let entries = fs::read_dir(root("jobs")).unwrap().map(|entry| entry.unwrap().path());
    let job = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
    };
    entries.map(job).collect()
}

#[track_caller]
fn case(job: &str, file: &str) -> Vec<u8> {
    let path = root("testdata").join(job).join(file);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}: every job in jobs/ has a golden case", path.display()))
}

#[test]
fn every_built_in_prints_what_its_case_says() {
    for (job, _) in jobs() {
        let dir = Dir::new().file("input.txt", case(&job, "input.txt"));
        let command = String::from_utf8(case(&job, "command.txt")).unwrap();
        let command = command.strip_prefix("mapfold ").unwrap().trim_end();
        let expected = case(&job, "expected.txt");
        let settings = [1, 2, 3, 8].iter().flat_map(|threads| {
            ["7", "100", "1M"].iter().flat_map(move |split| {
                ["auto", "on", "off"]
                    .map(|combiner| format!("{command} --threads {threads} --split-size {split} --combiner {combiner}"))
            })
        });
        let more =
            ["", " --memory 16M", " --memory 1G", " --partitions 1", " --partitions 64 --memory 64M --split-size 13"];
        for command in settings.chain(more.map(|flags| format!("{command}{flags}"))) {
            let ran = dir.run(&command);
            assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""), "{command}");
            assert!(ran.output.stdout == expected, "{command}:\n{}", String::from_utf8_lossy(&ran.output.stdout));
        }
    }
}

#[test]
fn stdin_gives_the_same_bytes_as_a_file() {
    for (job, _) in jobs() {
        let command = String::from_utf8(case(&job, "command.txt")).unwrap().replace("input.txt", "-");
        let args = command.split_whitespace().skip(1);
        let ran = Dir::new().command(args).stdin(case(&job, "input.txt")).run();
        assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
        assert!(ran.output.stdout == case(&job, "expected.txt"), "{job}");
    }
}

#[test]
fn every_description_says_what_is_read_and_what_is_answered() {
    for (job, spec) in jobs() {
        assert_eq!(spec["name"], job.as_str());
        let description = spec["description"].as_str().unwrap();
        let (reads, answers) = description.split_once(": ").unwrap_or_else(|| panic!("{job}: READS: ANSWERS"));
        let read = spec["read"].get("preset").unwrap_or(&spec["read"]["format"]);
        assert!(reads.contains(read.as_str().unwrap()), "{job}: reads {reads:?}");
        // A field that a param names has no name to look for.
        for field in spec["group_by"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(answers.contains(field), "{job}: answers {answers:?} without {field}");
        }
        assert!(!description.contains('\n') && description.len() <= 100, "{job}: a short line: {description:?}");
    }
}

/// The cases are useful only if their inputs contain what usually goes wrong.
#[test]
fn the_inputs_hold_what_goes_wrong() {
    for (job, _) in jobs() {
        let input = case(&job, "input.txt");
        let holds = |needle: &[u8]| input.windows(needle.len()).any(|window| window == needle);
        assert!(std::str::from_utf8(&input).is_err(), "{job}: bytes that are not UTF-8");
        assert!(holds(b"\r\n") && holds(b"\0") && !input.ends_with(b"\n"), "{job}: CRLF, NUL, no newline at the end");
        assert!(holds("’".as_bytes()) && holds(b"'") && !input.is_ascii(), "{job}: apostrophes, Unicode");
    }
}
