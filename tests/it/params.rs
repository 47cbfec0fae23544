//! The params of a job are flags of the same names; and the flags `-n` and `--sort`.

use std::process::{Command, Stdio};

use crate::harness::Dir;

const ENDING: &str = r#"{"params": {"ending": {"default": "b"}, "limit": {"default": 5}, "min_count": {"default": 1}},
    "where": {"field": "line", "matches": {"param": "ending"}}, "group_by": ["line"],
    "aggregate": [{"op": "count"}], "having": {"field": "count", "gte": {"param": "min_count"}},
    "limit": {"param": "limit"}}"#;

fn dir() -> Dir {
    Dir::new().file("f", "ab\na\nab\nbb\n").file("ending.json", ENDING)
}

#[test]
fn a_param_is_a_flag_of_its_name() {
    let dir = dir();
    for args in [
        "grep --pattern b f",
        "grep --pattern=b f",
        "grep f --pattern b",
        "--pattern=b grep f",
        "--threads 2 grep --pattern b f",
        "grep --param pattern=b f",
        "grep --param pattern=a --pattern b f",
        "grep --pattern b -- f",
    ] {
        dir.run(&format!("run {args}")).printed("ab\nab\nbb\n");
    }
    dir.run("run ngrams --n 1 f").printed("ab\t2\na\t1\nbb\t1\n");
    dir.run("run ending.json f").printed("ab\t2\nbb\t1\n");
    dir.run("run ./ending.json --ending a --min_count 2 f").printed("ab\t2\n");
    for args in ["verify grep --pattern b f", "bench ngrams --n 1 f --runs 2 --vary threads=1,2"] {
        let ran = dir.run(args);
        assert_eq!(ran.code(), Some(0), "{args}: {}", ran.stderr());
    }
}

/// A flag that mapfold has already keeps its meaning.
#[test]
fn other_flags_come_first() {
    let dir = dir();
    dir.run("run ending.json f --limit 1").printed("ab\t2\n");
    dir.run("run ending.json f --param limit=1").printed("ab\t2\n");
    dir.run("run ending.json f --param limit=x").refused("--param limit: limit: must be a whole number, is \"x\"", "");
}

#[test]
fn help_lists_them() {
    let dir = dir();
    for (args, said) in [
        ("run grep --help", "--pattern <VALUE>\n          A regular expression; must be given\n"),
        ("run ngrams --help", "--n <VALUE>\n          How many words in a row  [default: 2]\n"),
        ("run ending.json --help", "--ending <VALUE>\n          A value for the job  [default: b]\n"),
        ("bench ngrams -h", "--n <VALUE>           How many words in a row  [default: 2]\n"),
        ("verify --threads 2 ngrams -h", "--n <VALUE>           How many words in a row  [default: 2]\n"),
    ] {
        let ran = dir.run(args);
        assert!(ran.stdout().contains(said), "{args}: {}", ran.stdout());
        assert_eq!((ran.code(), ran.stderr()), (Some(0), String::new()));
    }
    for args in ["run --help", "run wordcount --help", "run none.json --help", "run - --help"] {
        let ran = dir.run(args);
        assert!(ran.code() == Some(0) && !ran.stdout().contains("<VALUE>"), "{args}");
    }
}

#[test]
fn what_is_wrong_names_the_flag() {
    let dir = dir();
    dir.run("run grep f").refused("grep: needs the param \"pattern\" (a regular expression)", "--param pattern=VALUE");
    dir.run("run grep --patern b f").refused("unknown flag \"--patern\"", "did you mean --pattern?");
    dir.run("run grep f --pattern").refused("--pattern: a value is missing", "usage: --pattern <VALUE>");
    dir.run("run grep --pattern a --pattern b f").refused("--pattern is given twice", "give it once");
    dir.run("run ngrams --n two f").refused("--n: map.0.n: must be a whole number, is \"two\"", "");
    dir.run("run ngrams --n -1 f").refused("--n: map.0.n: must be a whole number, is -1", "");
    dir.run("run wordcount --n 2 f").refused(
        "unknown flag \"--n\"",
        "it is a param of ngrams, and comes after the job's name: mapfold run ngrams --n VALUE",
    );
    // The flags are known only once the job is, so the job's name is checked first.
    dir.run("run gerp --pattern b f").refused(
        "no built-in job \"gerp\"",
        "did you mean \"grep\"? mapfold jobs lists them; the name of a spec file has a / or ends with .json",
    );
    dir.run("run --memroy 1G wordcount f").refused("unknown flag \"--memroy\"", "did you mean --memory?");
}

/// A spec that can be read only once, such as a pipe, is read only once.
#[test]
fn a_spec_from_a_pipe() {
    let dir = dir();
    let script = format!("{} run <(cat ending.json) --param ending=a f", env!("CARGO_BIN_EXE_mapfold"));
    let mut shell = Command::new("bash");
    let output = shell.args(["-c", &script]).current_dir(dir.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a\t1\nab\t2\n");
}

#[test]
fn limit_and_sort() {
    let dir = dir();
    for args in ["-n 2", "-n2", "--limit 2", "--limit=2", "--set limit=5 -n 2"] {
        dir.run(&format!("run wordcount f {args}")).printed("ab\t2\na\t1\n");
    }
    for args in ["--sort -word", "--sort=-word", "--sort \"-word\"", "--sort -word,count"] {
        dir.run(&format!("run wordcount f {args}")).printed("bb\t1\nab\t2\na\t1\n");
    }
    dir.run("run wordcount f --sort=-count,-word").printed("ab\t2\nbb\t1\na\t1\n");
    dir.run("run wordcount f -n 0").printed("");
    dir.run("run wordcount f -n many").refused("--limit: must be a whole number, is \"many\"", "");
    dir.run("run wordcount f --sort cuont")
        .refused("wordcount: sort.0: no column \"cuont\"", "did you mean \"count\"?");
    dir.run("run wordcount f --sort count,").refused("--sort: a name is empty", "separate names by commas: a,b");
}
