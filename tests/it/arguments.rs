//! The command line itself: help, versions, flags that are wrong, and `mapfold jobs`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::Dir;

#[test]
fn help_and_version() {
    let dir = Dir::new();
    let nothing = dir.run("");
    assert_eq!((nothing.code(), nothing.stdout().as_str()), (Some(2), ""));
    assert!(nothing.stderr().contains("Usage: mapfold"), "{}", nothing.stderr());
    for args in ["--help", "-h", "run --help", "run -h", "jobs --help", "bench --help", "verify --help", "--version"] {
        let ran = dir.run(args);
        assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""), "{args}");
        assert!(ran.stdout().contains("mapfold"), "{args}");
    }
    assert!(dir.run("run --help").stdout().contains("--memory <SIZE>"));
    for command in ["", "run", "jobs", "bench", "verify"] {
        dir.run(&format!("{command} --help")).printed(&dir.run(&format!("{command} -h")).stdout());
    }
}

#[test]
fn flags_that_are_wrong() {
    let dir = Dir::new().file("f", "a\n");
    dir.run("run wordcount f --memroy 1G").refused("unknown flag \"--memroy\"", "did you mean --memory?");
    dir.run("run wordcount f --combiner maybe")
        .refused("--combiner: must be one of auto, on, off, is \"maybe\"", "usage: --combiner <WHEN>");
    dir.run("run wordcount f --threads 0").refused("--threads: must be at least 1, is 0", "");
    dir.run("run wordcount f --threads two").refused("--threads: must be a whole number, is \"two\"", "");
    dir.run("run wordcount f --partitions 99999").refused("--partitions: must be at most 65536, is 99999", "");
    let hint = "a size is bytes, or a number with a unit: 512M, 1GiB, 64KB";
    dir.run("run wordcount f --memory much").refused("--memory: \"much\" is not a size", hint);
    dir.run("run wordcount f --split-size 0").refused("--split-size: must be at least 1 byte", "");
    dir.run("run wordcount f --memory 1K").refused("memory of 1024 bytes is too little", "the least is 1M");
    dir.run("wordcount f").refused("unknown command \"wordcount\"", "did you mean mapfold run wordcount?");
    dir.run("run").refused("no JOB", "mapfold run wordcount book.txt; mapfold jobs lists the built-in jobs");
}

#[test]
fn jobs_are_listed_and_shown_byte_for_byte() {
    let dir = Dir::new();
    let list = dir.run("jobs").stdout();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(list.lines().any(|line| line.split(' ').next() == Some(name)), "{list}");
        dir.run(&format!("jobs show {name}")).printed(&fs::read_to_string(&path).unwrap());
    }
    dir.run("jobs show unik").refused(
        "no built-in job \"unik\"",
        "did you mean \"uniq\"? mapfold jobs lists them; a spec file is named with a / or .json",
    );
}

#[test]
fn a_closed_stdout_ends_quietly() {
    // The shell waits for `true` to be gone before mapfold writes.
    let script = format!("{{ sleep 0.2; {} jobs; echo $? >&2; }} | true", env!("CARGO_BIN_EXE_mapfold"));
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "0\n");
}
