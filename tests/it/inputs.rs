//! What an INPUT stands for, and where a result goes. `input_errors` and `outputs` test what goes wrong.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::Value;

use crate::harness::{Dir, Ran};

/// Returns the inputs that a job reads, in order.
#[track_caller]
fn order(dir: &Dir, inputs: &str) -> Vec<String> {
    let ran = dir.run(&format!("run uniq {inputs} --split-size 1 -o /dev/null --report report.json"));
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    let report: Value = serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap();
    let first = |task: &&Value| task["offset"] == 0;
    report["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(first)
        .map(|task| task["input"].as_str().unwrap().into())
        .collect()
}

fn dir() -> Dir {
    let names =
        ["b", "a", "d/x", "d/B", "d/a/y", "d/a-1", "d/.hidden", "d/_logs/z", "d/_SUCCESS", "other/f", "a*", "ab"];
    let dir = names.into_iter().fold(Dir::new(), |dir, name| dir.file(name, format!("{name}\n")));
    symlink("../other", dir.join("d/to-directory")).unwrap();
    symlink("../b", dir.join("d/to-file")).unwrap();
    dir
}

#[test]
fn files_in_the_order_given_each_as_often_as_it_is_named() {
    assert_eq!(order(&dir(), "b a b"), ["b", "a", "b"]);
    dir().run("run uniq b a b").printed("a\t1\nb\t2\n");
}

#[test]
fn a_directory_is_its_files_sorted_by_path() {
    let below = ["d/B", "d/a-1", "d/a/y", "d/to-file", "d/x"];
    assert_eq!(order(&dir(), "d"), below);
    assert_eq!(order(&dir(), "b d a"), [&["b"], &below[..], &["a"]].concat());
    // Entries that a directory's listing skips are read if the command line names them.
    assert_eq!(order(&dir(), "d/_logs d/.hidden d/to-directory"), ["d/_logs/z", "d/.hidden", "d/to-directory/f"]);
}

#[test]
fn a_glob_is_what_it_matches_unless_a_file_has_that_very_name() {
    assert_eq!(order(&dir(), "d/?"), ["d/B", "d/a/y", "d/x"]);
    assert_eq!(order(&dir(), "d/[xB] o*/f"), ["d/B", "d/x", "other/f"]);
    assert_eq!(order(&dir(), "a*"), ["a*"]);
    let dir = dir();
    fs::remove_file(dir.join("a*")).unwrap();
    assert_eq!(order(&dir, "a*"), ["a", "ab"]);
}

#[test]
fn inputs_of_the_command_line_replace_those_of_the_spec() {
    let spec = r#"{"input": ["b", "a"], "group_by": ["line"]}"#;
    // A spec's inputs are relative to the working directory, not to the spec.
    let dir = dir().file("specs/job.json", spec);
    dir.run("run specs/job.json").printed("a\nb\n");
    dir.run("run specs/job.json ab").printed("ab\n");
    dir.run("run specs/job.json --set input=other").printed("other/f\n");
    dir.command(["run", "-", "ab"]).stdin(spec).run().printed("ab\n");
    dir.command(["run", "-"]).stdin(spec).run().printed("a\nb\n");
}

#[test]
fn standard_input_named_and_unnamed() {
    let run = |args: &str| dir().command(args.split_whitespace()).stdin("x\n").run();
    run("run uniq").printed("x\t1\n");
    run("run uniq -").printed("x\t1\n");
    run("run uniq b - a").printed("a\t1\nb\t1\nx\t1\n");
    run("run uniq b").printed("b\t1\n");
}

#[test]
fn records_never_span_files() {
    let dir = Dir::new().file("1", "a\nhalf").file("2", "half\r\na\r\n").file("3", "");
    for settings in ["", "--split-size 1", "--split-size 1G --threads 1"] {
        dir.run(&format!("run uniq 1 2 3 {settings}")).printed("a\t2\nhalf\t2\n");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(text.as_bytes()).unwrap();
    to.finish().unwrap()
}

/// Compression is recognised by content, not by name: in files, standard input and FIFOs, also with several gzip
/// members or zstd frames in one file.
#[test]
fn packed_inputs_count_as_what_they_hold() {
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
    let dir = Dir::new()
        .file("d/plain.gz", "a\nb\n")
        .file("d/x", [gzip("b\nc"), gzip("c\na\r\n")].concat())
        .file("d/y.log", [zstd("\u{feff}a\n"), zstd("last")].concat());
    for settings in ["", "--threads 1", "--scheduler static", "--memory 16M --split-size 1"] {
        dir.run(&format!("run uniq d {settings}")).printed("a\t3\nb\t2\ncc\t1\nlast\t1\n");
        for packed in [gzip("a\na\n"), zstd("a\na\n")] {
            let command = format!("run uniq d/x - {settings}");
            dir.command(command.split_whitespace()).stdin(packed).run().printed("a\t3\nb\t1\ncc\t1\n");
        }
    }
    dir.run("run grep d --param pattern=[ab]").printed("a\nb\nb\na\na\nlast\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let fifo = dir.join("fifo");
    let writer = std::thread::spawn(move || fs::write(fifo, gzip("f\n")).unwrap());
    dir.run("run uniq fifo d/plain.gz").printed("a\t1\nb\t1\nf\t1\n");
    writer.join().unwrap();
    let report = |name: &str| {
        dir.run(&format!("run uniq {name} -o /dev/null --report r.json --force"));
        serde_json::from_slice::<Value>(&fs::read(dir.join("r.json")).unwrap()).unwrap()
    };
    assert_eq!(report("d/x")["counters"]["map_input_bytes"], 8);
    dir.run("verify uniq d").code().filter(|&code| code == 0).unwrap();
}

/// Checks that the command prints nothing, and that the FIFO receives `expected`.
fn written_through(dir: &Dir, command: &str, expected: &str) {
    let fifo = dir.join("fifo");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        File::open(fifo).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    dir.run(command).printed("");
    assert_eq!(reader.join().unwrap(), expected);
}

#[test]
fn outputs_of_every_kind() {
    let dir = dir();
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    dir.run("run uniq b -o out").printed("");
    assert_eq!(read("out"), "b\t1\n");
    dir.run("run uniq a -o out").refused("out: exists", "--force replaces it");
    dir.run("run uniq a -o out --force").printed("");
    assert_eq!(read("out"), "a\t1\n");
    for directory in ["new/", "empty"] {
        dir.run(&format!("run uniq b -o {directory}")).printed("");
        let names = Dir::names_in(&dir.join(directory));
        assert_eq!(names, ["_REPORT.json", "_SUCCESS", "part-00000"], "{directory}");
        dir.run(&format!("run uniq a -o {directory}")).refused(&format!("{directory}: exists"), "--force replaces it");
        dir.run(&format!("run uniq a -o {directory} --force")).printed("");
        assert_eq!(read(&format!("{directory}/part-00000")), "a\t1\n");
    }
    for order in ["", "--unordered"] {
        dir.run(&format!("run uniq b -o /dev/null {order}")).printed("");
        written_through(&dir, &format!("run uniq b -o fifo {order}"), "b\t1\n");
    }
    dir.run("run uniq b -o -").printed("b\t1\n");
    dir.run("run uniq b -o /dev/stdout").printed("b\t1\n");
}

#[test]
fn more_than_one_report() {
    let dir = dir();
    dir.run("run uniq b --report r.json --report s.json").printed("b\t1\n");
    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    assert_eq!(read("r.json"), read("s.json"));
    assert!(serde_json::from_slice::<Value>(&read("r.json")).unwrap()["counters"]["map_input_records"] == 1);
}

/// Every name that can be misspelt is answered with the nearest right name.
#[test]
fn a_misspelling_is_answered_with_the_nearest_name() {
    let dir = dir();
    let names_it = |ran: Ran, name: &str| {
        assert_eq!((ran.code(), ran.stdout().as_str()), (Some(2), ""));
        let (stderr, hint) = (ran.stderr(), format!("\nhint: did you mean {name}?"));
        assert!(stderr.lines().count() == 2 && stderr.contains(&hint), "{stderr}");
    };
    names_it(dir.run("run wordcnt b"), "\"wordcount\"");
    names_it(dir.run("run uniq b --thread 1"), "--threads");
    names_it(dir.run("rum uniq b"), "mapfold run");
    names_it(dir.run("jobs shoe uniq"), "mapfold jobs show");
    names_it(dir.run("run uniq b --format cvs"), "\"csv\"");
    names_it(dir.run("run uniq b --set limti=1"), "limit");
    names_it(dir.run("run uniq otehr"), "other");
    let spec = |text: &str| dir.command(["run", "-", "b"]).stdin(text).run();
    names_it(spec(r#"{"goup_by": ["line"]}"#), "\"group_by\"");
    names_it(spec(r#"{"group_by": ["lien"]}"#), "\"line\"");
    names_it(spec(r#"{"aggregate": [{"op": "coutn"}]}"#), "\"count\"");
    names_it(spec(r#"{"group_by": ["line"], "sort": ["-lin"]}"#), "\"line\"");
    names_it(spec(r#"{"group_by": ["line"], "output": {"format": "jsnl"}}"#), "\"jsonl\"");
    names_it(spec(r#"{"group_by": ["line"], "run": {"treads": 2}}"#), "\"threads\"");
}
