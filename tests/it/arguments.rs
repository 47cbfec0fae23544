//! The command line itself: help, versions, wrong flags, and `mapfold jobs`.

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
}

/// `-h` fits a screen, and `--help` says everything. Both sort the flags by what they are for.
#[test]
fn short_and_long_help() {
    let dir = Dir::new();
    let (short, long) = (dir.run("run -h").stdout(), dir.run("run --help").stdout());
    for text in [&short, &long] {
        let headings = ["Input and job:", "Output:", "Settings that never change the result:", "What happened:"];
        let at: Vec<_> = headings.iter().map(|heading| text.find(&format!("\n{heading}\n")).unwrap()).collect();
        assert!(
            at.is_sorted() && !text.contains("\nOptions:") && text.contains("\nExamples:\n  mapfold run"),
            "{text}"
        );
    }
    let flags = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("      --") || line.starts_with("  -"));
        let of_flags = lines.filter_map(|line| line.split_once("--").map(|(_, rest)| rest));
        of_flags.filter_map(|rest| rest.split(' ').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    // Only the long help has the flags that are seldom needed.
    let seldom = [
        "on-timeout",
        "split-size",
        "partitions",
        "scheduler",
        "spill-limit",
        "compress",
        "attempts",
        "trace",
        "history",
    ];
    let (mut often, all) = (flags(&long), flags(&long));
    often.retain(|flag| !seldom.contains(&flag.as_str()));
    assert!(often.len() >= 15 && flags(&short) == often, "{:?} {often:?}", flags(&short));
    assert_eq!(all.len(), often.len() + seldom.len(), "{all:?}");
    for said in ["sorted by path", "numbers index lists", "powers of 1024", "Exit codes:"] {
        assert!(long.replace("\n         ", "").contains(said) && !short.contains(said), "{said}: {long}");
    }
    assert!(dir.run("--help").stdout().contains("Exit codes:"));
}

#[test]
fn help_as_a_command() {
    let dir = Dir::new();
    dir.run("help run").printed(&dir.run("run --help").stdout());
    dir.run("help jobs show").printed(&dir.run("jobs show --help").stdout());
    dir.run("help").printed(&dir.run("--help").stdout());
    dir.run("help rnu").refused("unknown command \"rnu\"", "did you mean mapfold run?");
}

#[test]
fn the_manual() {
    let dir = Dir::new();
    let page = dir.run("man").stdout();
    for said in [
        ".TH MAPFOLD 1 ",
        ".SH SYNOPSIS\n",
        ".SS \"mapfold run\"\n",
        ".SS \"mapfold jobs show\"\n",
        ".SH \"EXIT CODES\"\n",
    ] {
        assert!(page.contains(said), "{said}:\n{page}");
    }
    // groff, where it is installed, has no warnings about the page.
    let dir = dir.file("mapfold.1", &page);
    let mut groff = Command::new("groff");
    if let Ok(output) = groff.args(["-man", "-ww", "-Tutf8", "mapfold.1"]).current_dir(dir.path()).output() {
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(output.status.success() && output.stdout.len() > 4000);
    }
}

/// Every command that can't write standard output says so. A reader that has gone is no error.
#[test]
fn a_standard_output_that_takes_nothing() {
    let dir = Dir::new().file("f", "a\n");
    let full = "error: cannot write standard output: no space left on device\n";
    let commands = [
        "--help",
        "-h",
        "run --help",
        "help run",
        "--version",
        "jobs",
        "jobs show uniq",
        "man",
        "completions zsh",
        "run uniq f",
    ];
    for args in commands {
        let to = |script: &str| {
            let mut shell = Command::new("bash");
            shell.args(["-c", script]).current_dir(dir.path()).env("TMPDIR", dir.path()).stdin(Stdio::null());
            String::from_utf8(shell.output().unwrap().stderr).unwrap()
        };
        let mapfold = env!("CARGO_BIN_EXE_mapfold");
        assert_eq!(to(&format!("{mapfold} {args} > /dev/full; echo $? >&2")), format!("{full}1\n"), "{args}");
        let closed = format!("{{ sleep 0.2; {mapfold} {args}; echo $? >&2; }} | true");
        assert_eq!(to(&closed), "0\n", "{args}");
    }
}

/// Standard output has results and what the user asked to be printed, and nothing else.
#[test]
fn nothing_but_results_on_standard_output() {
    let dir = Dir::new().file("f", "b\na\nb\n").file("bad.json", "{").file("lone/f", "x\n");
    for args in ["-v", "--progress always -v", "--progress always -q", "-v --report r.json", "--combiner off -v"] {
        dir.run(&format!("run uniq f {args}")).printed("a\t1\nb\t2\n");
    }
    dir.run("run uniq f -v -o out").printed("");
    dir.run("run uniq f -v -o out/ --progress always --force")
        .refused("out/: is a file, but the output is a directory", "");
    let wrong = [
        "",
        "rnu",
        "help rnu",
        "-x",
        "run",
        "run -x",
        "run uniqq f",
        "run bad.json f",
        "run uniq none -v",
        "run uniq f -o none/x",
        "run uniq f --set x=1",
        "run uniq f --report r",
        "jobs x",
        "jobs show",
        "jobs show x",
        "completions",
        "completions x",
        "man x",
    ];
    for args in wrong {
        let ran = dir.run(args);
        assert_eq!((ran.code(), ran.stdout().as_str()), (Some(2), ""), "{args}");
        let lines = ran.stderr();
        let mut lines = lines.lines();
        if !args.is_empty() {
            assert!(lines.next().is_some_and(|line| line.starts_with("error: ")), "{args}");
            assert!(lines.next().is_none_or(|line| line.starts_with("hint: ")) && lines.next().is_none(), "{args}");
        }
    }
}

#[test]
fn flags_that_are_wrong() {
    let dir = Dir::new().file("f", "a\n");
    dir.run("run wordcount f --memroy 1G").refused("unknown flag \"--memroy\"", "did you mean --memory?");
    dir.run("run wordcount f --combiner maybe")
        .refused("--combiner: must be one of auto, on, off, is \"maybe\"", "usage: --combiner auto|on|off");
    dir.run("run wordcount f --threads -1").refused("--threads: must be a whole number, is -1", "");
    dir.run("run wordcount f -n -1").refused("--limit: must be a whole number, is -1", "");
    let hint = "a size is a whole number of bytes, or one with a unit: 512M, 1GiB, 64KB";
    dir.run("run wordcount f --memory -1").refused("--memory: \"-1\" is not a size", hint);
    dir.run("bench wordcount f --runs -1").refused("--runs: must be a whole number, is \"-1\"", "");
    dir.run("bench wordcount f --vary combiner=on,of")
        .refused("--vary combiner: must be one of auto, on, off, is \"of\"", "did you mean \"off\"?");
    dir.run("run wordcount f --threads 0").refused("--threads: must be at least 1, is 0", "");
    dir.run("run wordcount f --threads two").refused("--threads: must be a whole number, is \"two\"", "");
    dir.run("run wordcount f --partitions 99999").refused("--partitions: must be at most 65536, is 99999", "");
    dir.run("run wordcount f --memory much").refused("--memory: \"much\" is not a size", hint);
    dir.run("run wordcount f --memory 1.5G").refused("--memory: \"1.5G\" is not a size", hint);
    dir.run("run wordcount f --split-size 0").refused("--split-size: must be at least 1 byte", "");
    dir.run("run wordcount f --memory 1K").refused("memory of 1 KiB is too little", "use --memory 14M");
    let (error, hint) = ("memory of 16 MiB is too little for 8 threads", "use --memory 28M, or fewer --threads");
    dir.run("run wordcount f --memory 16M --threads 8").refused(error, hint);
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
        "did you mean \"uniq\"? mapfold jobs lists them; the name of a spec file has a / or ends with .json",
    );
}

#[test]
fn a_closed_stdout_ends_quietly() {
    // The shell sleeps until `true` has ended, and then mapfold writes.
    let script = format!("{{ sleep 0.2; {} jobs; echo $? >&2; }} | true", env!("CARGO_BIN_EXE_mapfold"));
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "0\n");
}
