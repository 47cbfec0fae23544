//! Inputs that don't answer: they cost no other its place in the result, and the job none of its time.

use std::time::{Duration, Instant};

use crate::commands::{left, long};
use crate::harness::{Dir, Ran};

/// With so many of a command, and how long it took.
fn run(dir: &Dir, args: &str, count: usize, command: &str) -> (Ran, Duration) {
    let commands = std::iter::repeat_n(["--from-command", command], count).flatten();
    let command = dir.command(args.split_whitespace().chain(commands));
    let begun = Instant::now();
    (command.run(), begun.elapsed())
}

/// To end one of them takes a while. It is the same while for all.
#[test]
fn commands_whose_first_record_does_not_come() {
    let dir = Dir::new().file("a.csv", "k\nx\ny\nx\n");
    let sleep = long(1);
    for (count, command) in [(180, format!("sleep {sleep}")), (60, format!("sh -c 'trap \"\" TERM; sleep {sleep}'"))] {
        let args = "agg -g k count --read csv a.csv --timeout 3s --on-timeout partial";
        let (ran, took) = run(&dir, args, count, &command);
        assert!((1500..4000).contains(&took.as_millis()), "{took:?}");
        assert_eq!((ran.code(), &*ran.stdout()), (Some(3), "x\t2\ny\t1\n"), "{}", ran.stderr());
        let said = format!("partial result: 1 of {} sources whole, 8 B read; missing: sleep {sleep} (", count + 1);
        let said = if count == 60 { said.split("sleep").next().unwrap() } else { &said };
        assert!(ran.stderr().starts_with(said), "{}", ran.stderr());
        assert_eq!(left(&sleep), 0);
        let (ran, took) = run(&dir, "agg -g k count --read csv a.csv --timeout 1s", count, &command);
        assert!((1000..3000).contains(&took.as_millis()), "{took:?}");
        assert_eq!((ran.code(), ran.stdout()), (Some(1), String::new()), "{}", ran.stderr());
        assert_eq!(left(&sleep), 0);
    }
}

/// Their first record came, and then there is no job that would read on.
#[test]
fn commands_of_a_table_that_is_not_read() {
    let dir = Dir::new().file("job.json", r#"{"read": {"format": "csv"}, "group_by": ["k"]}"#);
    let sleep = long(2);
    let deaf = format!("sh -c 'trap \"\" TERM; echo k; sleep {sleep}'");
    for (args, why) in [
        ("agg -g none count --read csv", "no field \"none\""),
        ("run job.json --report r.txt", "--report r.txt: which format?"),
        ("verify job.json", "can be read once, and verify runs the job many times"),
    ] {
        let (ran, took) = run(&dir, args, 60, &deaf);
        assert_eq!((ran.code(), ran.stdout()), (Some(2), String::new()), "{}", ran.stderr());
        assert!(ran.stderr().contains(why), "{}", ran.stderr());
        assert!(took < Duration::from_secs(3), "{took:?}: {}", ran.stderr());
        assert_eq!(left(&sleep), 0);
    }
}
