//! Map-only jobs, whose records pass through.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::harness::Dir;

/// Three thousand lines. Every third contains `x`.
fn numbered() -> String {
    (0..3000).fold(String::new(), |mut text, i| {
        let _ = writeln!(text, "{i} {}", if i % 3 == 0 { "x" } else { "y" });
        text
    })
}

fn with_x() -> String {
    (0..3000).step_by(3).map(|i| format!("{i} x\n")).collect()
}

#[test]
fn lines_keep_the_order_of_the_input() {
    let dir = Dir::new().file("in.txt", numbered());
    for flags in ["", " --threads 1", " --threads 8 --split-size 100", " --split-size 7 --memory 16M --unordered"] {
        dir.run(&format!("run grep --param pattern=x in.txt{flags}")).printed(&with_x());
    }
    assert_eq!(dir.names(), ["in.txt"]);
}

/// Rows keep the order of the input when some inputs are streams and others are files.
#[test]
fn files_and_streams_keep_their_order() {
    let dir = Dir::new().file("a", "a1\na2\n").file("b", "b1\n").file("c", "c1\nc2");
    let run = |args: [&str; 3]| {
        let command = [&["run", "grep", "--param", "pattern=.", "--split-size", "2"][..], &args].concat();
        dir.command(command).stdin("s1\ns2\n").run()
    };
    run(["a", "-", "b"]).printed("a1\na2\ns1\ns2\nb1\n");
    run(["-", "b", "c"]).printed("s1\ns2\nb1\nc1\nc2\n");
    run(["c", "b", "-"]).printed("c1\nc2\nb1\ns1\ns2\n");
}

#[test]
fn limit_takes_the_first_and_ends_the_reading() {
    let dir = Dir::new().file("in.txt", numbered());
    for flags in ["--threads 1 --split-size 100", "--threads 8 --split-size 100", "--split-size 1M"] {
        dir.run(&format!("run grep --param pattern=x in.txt --set limit=3 {flags}")).printed("0 x\n3 x\n6 x\n");
    }
    dir.run("run grep --param pattern=x in.txt --set limit=0").printed("");
    dir.run("run grep --param pattern=x in.txt --threads 1 --split-size 100 --set limit=3 --report r.json");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("r.json")).unwrap()).unwrap();
    assert!(report["counters"]["map_input_bytes"].as_u64().unwrap() < 500, "{report}");
    assert_eq!(report["counters"]["reduce_output_records"], 3);
}

/// A limit ends a job whose standard input never ends.
#[test]
fn a_limit_ends_a_stream_that_does_not_end() {
    let dir = Dir::new();
    let mut command = dir.command(["run", "grep", "--param", "pattern=y", "--set", "limit=2", "-"]).command;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        // Write until nobody reads.
        while stdin.write_all(b"yes\n".repeat(1 << 16).as_slice()).is_ok() {}
    });
    let lines: Vec<_> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["yes", "yes"]);
    assert!(child.wait().unwrap().success());
    writer.join().unwrap();
}

#[test]
fn sorted_ties_keep_the_order_of_the_input() {
    let dir = Dir::new().file("in.txt", "b 1\na 2\nb 3\na 4\n");
    let spec =
        r#"{"map": [{"extract": "line", "pattern": "^b|^c", "as": "b"}], "select": ["b", "line"], "sort": ["b"]}"#;
    let dir = dir.file("spec.json", spec);
    for flags in ["", "--split-size 1 --threads 3", "--memory 16M --split-size 5"] {
        let ran = dir.run(&format!("run spec.json in.txt {flags} --format csv"));
        ran.printed("b,line\n,a 2\n,a 4\nb,b 1\nb,b 3\n");
    }
    dir.run("run spec.json in.txt --set sort=[\"-b\"] --set limit=3").printed("b\tb 1\nb\tb 3\n\ta 2\n");
}

#[test]
fn an_output_directory_and_formats() {
    let dir = Dir::new().file("in.txt", numbered());
    let ran = dir.run("run grep --param pattern=x in.txt -o out/ --set output.part_size=1K --split-size 500");
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    let mut parts = String::new();
    for n in 0.. {
        let Ok(part) = std::fs::read_to_string(dir.join(&format!("out/part-{n:05}"))) else { break };
        parts += &part;
    }
    assert_eq!(parts, with_x());
    assert!(dir.join("out/_SUCCESS").exists() && dir.join("out/part-00003").exists());
    dir.run("run grep --param pattern=^nothing in.txt --format jsonl").printed("");
    dir.run("run grep --param pattern=^30.x in.txt --format jsonl").printed("{\"line\":\"30 x\"}\n");
}

/// Rows before the error are printed as they come, and rows behind the error aren't. A file has all rows or doesn't
/// exist.
#[test]
fn a_job_that_fails_on_its_way() {
    let dir = Dir::new().file("a", "x1\nx2\n").file("b", "x3\nx is too long\nx4\n").file("c", "x5\n");
    let grep = "run grep --param pattern=x a b c --split-size 5 --threads 1 --set read.max_record=5";
    let ran = dir.run(grep);
    assert_eq!(ran.code(), Some(1));
    assert!("x1\nx2\nx3\n".starts_with(&ran.stdout()), "{}", ran.stdout());
    let ran = dir.run(&format!("{grep} -o out.txt"));
    assert_eq!(ran.code(), Some(1));
    assert_eq!(dir.names(), ["a", "b", "c"]);
}

/// A row is printed as soon as its record has come, though the stream goes on.
#[test]
fn a_slow_stream_is_answered_as_it_comes() {
    let dir = Dir::new();
    let mut command = dir.command(["run", "grep", "--param", "pattern=y", "-"]).command;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Each text is written only once the row of the one before has come back.
    for line in ["y1\nn\n", "n\ny2\n", "y3 without an end"] {
        stdin.write_all(line.as_bytes()).unwrap();
        if line.ends_with('\n') {
            assert!(lines.next().unwrap().unwrap().starts_with('y'));
        }
    }
    drop(stdin);
    assert_eq!(lines.next().unwrap().unwrap(), "y3 without an end");
    assert!(child.wait().unwrap().success() && lines.next().is_none());
}
