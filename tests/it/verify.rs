//! `mapfold verify`: runs that agree, and runs that don't.

use std::fs::{self, File};
use std::io::Write;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Dir;

fn dir() -> Dir {
    Dir::new().file("a.txt", "the cat saw the dog and the dog saw the cat\n".repeat(5))
}

#[test]
fn settings_do_not_show() {
    let dir = dir();
    let ran = dir.run("verify wordcount a.txt");
    assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""));
    let expected = blake3::hash(b"the\t20\ncat\t10\ndog\t10\nsaw\t10\nand\t5\n").to_hex();
    let stdout = ran.stdout();
    let lines: Vec<_> = stdout.lines().collect();
    let [head, runs @ .., last, digest] = lines.as_slice() else { panic!("{stdout}") };
    assert_eq!(*head, "wordcount, 220 B of input: what each run wrote");
    assert!(runs.iter().all(|run| run.starts_with(&format!("  {}  ", &expected[..12]))), "{stdout}");
    assert_eq!(*last, format!("All {} runs wrote the same 5 rows, 34 B, BLAKE3", runs.len()));
    assert_eq!(*digest, expected.as_str());
    let settings: Vec<_> = runs.iter().map(|run| &run[16..]).collect();
    assert_eq!(settings[..5], ["settings as given", "threads=1", "threads=2", "threads=3", "threads=8"]);
    assert!(settings.contains(&"threads=3 split-size=1 memory=18M partitions=7 combiner=off"), "{stdout}");
    assert!(lines.iter().all(|line| line.len() <= 80), "{stdout}");
    assert_eq!(dir.names(), ["a.txt"]);
}

/// Bad records that the job itself saved stay, and its trials save none.
#[test]
fn saved_bad_records_are_left_alone() {
    let spec = r#"{"group_by": ["k"], "aggregate": [{"op": "sum", "field": "x"}],
        "read": {"on_error": {"skip_up_to": 1, "save_to": "bad.txt"}}}"#;
    let dir = Dir::new().file("in.csv", "k,x\na,1\nb,bad\n").file("job.json", spec);
    for command in ["verify ./job.json in.csv", "bench ./job.json in.csv --vary combiner=on,off --runs 2"] {
        let ran = dir.run(command);
        assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""), "{command}");
        assert_eq!(dir.names(), ["in.csv", "job.json"]);
    }
    let dir = dir.file("bad.txt", "precious");
    assert_eq!(dir.run("verify ./job.json in.csv").code(), Some(0));
    assert_eq!(fs::read_to_string(dir.join("bad.txt")).unwrap(), "precious");
}

#[test]
fn what_is_given_holds() {
    let dir = dir();
    let ran = dir.run("verify uniq a.txt --threads 2 --set run.combiner=off --unordered");
    assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""));
    assert!(!ran.stdout().contains("threads=") && !ran.stdout().contains("combiner="), "{}", ran.stdout());
    assert!(ran.stdout().contains("partitions=7"), "{}", ran.stdout());
}

/// Verifies a job whose input gets more lines in the third run. This is no error for a run that is reading the file.
fn changed(args: &str) -> crate::harness::Ran {
    let dir = dir();
    let args = format!("verify {args} a.txt --progress always");
    let ran = dir.command(args.split(' ')).act_once_said("run 3 of ", |_| {
        let more = b"a cat\nthe cat saw the dog and the dog saw the cat\n";
        File::options().append(true).open(dir.join("a.txt")).unwrap().write_all(more).unwrap();
    });
    assert_eq!(ran.code(), Some(1), "{}", ran.stdout());
    let stderr = ran.stderr();
    let (error, hint) = stderr.split_once("\nerror: ").unwrap().1.split_once('\n').unwrap();
    assert!(error.ends_with(" runs wrote a different result than the run with settings as given"), "{stderr}");
    assert_eq!(hint, "hint: either an input changed meanwhile, or this is a bug in mapfold: please report it\n");
    assert_eq!(dir.names(), ["a.txt"]);
    ran
}

#[test]
fn a_run_that_differs_is_told_with_the_first_row_that_does() {
    let stdout = changed("uniq").stdout();
    assert!(stdout.contains("\n! "), "{stdout}");
    let (_, difference) = stdout.split_once("\nLine 1 differs:\n").unwrap();
    let [expected, found] = difference.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(expected.starts_with("  settings as given  "), "{stdout}");
    assert!(expected.ends_with("the cat saw the dog and the dog saw the cat\\t5"), "{stdout}");
    assert!(found.starts_with("  threads=") && found.ends_with("  a cat\\t1"), "{stdout}");
    // The input changed during one run. That run or the next one is the first that differs, and all later runs differ
    // too.
    let marks: Vec<_> =
        stdout.lines().skip(1).map_while(|line| line.get(..2)).take_while(|mark| *mark != "Li").collect();
    assert!(marks.windows(2).all(|pair| pair != ["! ", "  "]), "{stdout}");
}

#[test]
fn unordered_rows_are_compared_as_rows() {
    let stdout = changed("uniq --unordered").stdout();
    let (_, difference) = stdout.split_once("\nA row that differs:\n").unwrap();
    assert!(difference.lines().next().unwrap().ends_with("saw the cat\\t5"), "{stdout}");
    assert_eq!(difference.lines().count(), 2, "{stdout}");
}

#[test]
fn a_run_that_fails_ends_it() {
    let dir = dir();
    let args = "verify wordcount a.txt --progress always";
    let ran = dir.command(args.split(' ')).act_once_said("run 3 of ", |_| fs::remove_file(dir.join("a.txt")).unwrap());
    assert!([Some(1), Some(2)].contains(&ran.code()), "{:?}", ran.code());
    let stderr = ran.stderr();
    let error = stderr.lines().last().unwrap();
    assert!(error.starts_with("error: with threads=") && error.ends_with("no such file or directory"), "{stderr}");
    assert!(dir.names().is_empty());
}

#[test]
fn interrupted_it_leaves_nothing_behind() {
    let dir = dir();
    let args = "verify wordcount a.txt --progress always";
    let ran = dir.command(args.split(' ')).act_once_said("run 3 of ", |child| {
        kill_process(Pid::from_child(child), Signal::INT).unwrap();
    });
    assert_eq!(ran.code(), Some(130), "{}", ran.stdout());
    assert!(ran.stderr().ends_with("\nerror: interrupted\n"), "{}", ran.stderr());
    assert_eq!(dir.names(), ["a.txt"]);
}

#[test]
fn what_can_be_read_once_is_refused() {
    dir().run("verify wordcount -").refused(
        "standard input can be read only once, but verify runs the job many times",
        "name a file: mapfold verify wordcount book.txt",
    );
    dir().run("verify wordcont a.txt").refused(
        "no built-in job \"wordcont\"",
        "did you mean \"wordcount\"? mapfold jobs lists them; the name of a spec file has a / or ends with .json",
    );
}

/// A run with too little memory for a record isn't a different answer.
#[test]
fn a_run_that_has_too_little_memory_is_told_and_passed_over() {
    let dir = Dir::new().file("long", "word ".repeat(600_000));
    let ran = dir.run("verify wordcount long");
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    let text = ran.stdout();
    assert!(
        text.contains("- not done      with memory=16M: long: ") && text.contains(" wrote the same 1 row, "),
        "{text}"
    );
    assert!(text.ends_with(" had too little memory to finish.\n"), "{text}");
}

/// Partial answers can't be compared, so the hints don't suggest them.
#[test]
fn whole_answers_are_compared() {
    let dir = dir().file("p.json", r#"{"aggregate": [{"op": "count"}], "deadline": {"on_timeout": "partial"}}"#);
    for command in ["verify", "bench"] {
        let what = format!(
            "{command} compares complete answers, but on_timeout lets this job answer from a part of the input"
        );
        let hint = "--on-timeout fail";
        dir.run(&format!("{command} ./p.json a.txt")).refused(&what, hint);
        dir.run(&format!("{command} uniq a.txt --timeout 1m --on-timeout partial")).refused(&what, hint);
        let ran = dir.run(&format!("{command} uniq a.txt --timeout 1ms"));
        let (stderr, hint) =
            (ran.stderr(), "hint: use a longer --timeout, or none: a partial answer can't be compared\n");
        assert!(stderr.ends_with(&format!(": the job was not done after 1ms\n{hint}")), "{stderr}");
        assert_eq!(ran.code(), Some(1));
    }
    let ran = dir.run("verify ./p.json a.txt --on-timeout fail");
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
}
