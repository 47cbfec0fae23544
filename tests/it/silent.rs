//! Inputs that don't answer don't keep other inputs out of the result, and don't delay the job.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::json;

use crate::commands::{long, wait_for};
use crate::harness::{Dir, Ran};

/// Runs mapfold with `count` inputs of one command. Also returns how long it took.
fn run(dir: &Dir, args: &str, count: usize, command: &str) -> (Ran, Duration) {
    let commands = std::iter::repeat_n(["--from-command", command], count).flatten();
    let command = dir.command(args.split_whitespace().chain(commands));
    let begun = Instant::now();
    (command.run(), begun.elapsed())
}

/// Ending a command takes a while. Many commands end in the same while.
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
        wait_for(0, &sleep);
        let (ran, took) = run(&dir, "agg -g k count --read csv a.csv --timeout 1s", count, &command);
        assert!((1000..3000).contains(&took.as_millis()), "{took:?}");
        assert_eq!((ran.code(), ran.stdout()), (Some(1), String::new()), "{}", ran.stderr());
        wait_for(0, &sleep);
    }
}

/// The first records came, and then the job fails before it reads on.
#[test]
fn commands_of_a_table_that_is_not_read() {
    let dir = Dir::new().file("job.json", r#"{"read": {"format": "csv"}, "group_by": ["k"]}"#);
    let sleep = long(2);
    let deaf = format!("sh -c 'trap \"\" TERM; echo k; sleep {sleep}'");
    for (args, why) in [
        ("agg -g none count --read csv", "no field \"none\""),
        ("run job.json --report r.txt", "--report r.txt: its ending doesn't say the format"),
        ("verify job.json", "can be read only once, but verify runs the job many times"),
    ] {
        let (ran, took) = run(&dir, args, 60, &deaf);
        assert_eq!((ran.code(), ran.stdout()), (Some(2), String::new()), "{}", ran.stderr());
        assert!(ran.stderr().contains(why), "{}", ran.stderr());
        assert!(took < Duration::from_secs(3), "{took:?}: {}", ran.stderr());
        wait_for(0, &sleep);
    }
}

/// Returns what a bash script prints, and how long it took. In the script, `dead DIRECTORY` mounts a disk there that
/// never answers, and `$M` is mapfold, which is killed if it hangs. Returns `None` if nothing can be mounted.
fn with_dead_disks(dir: &Dir, script: &str) -> Option<(String, Duration)> {
    let run = |script: &str| {
        let dead = "dead() { exec 9<>/dev/fuse && \
            mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 none $1; }";
        let mut command = Command::new("timeout");
        let mapfold = format!("timeout -s KILL 15 {}", env!("CARGO_BIN_EXE_mapfold"));
        command
            .args(["-s", "KILL", "60", "unshare", "-rm", "bash", "-c", &format!("{dead}\n{script}")])
            .env("M", mapfold);
        command.current_dir(dir.path()).env("TMPDIR", dir.path()).stdin(Stdio::null()).output().unwrap()
    };
    if run("mkdir -p trial && dead trial").status.code() != Some(0) {
        eprintln!("not tested: no dead disk can be made here");
        return None;
    }
    let begun = Instant::now();
    let output = run(&format!("exec 2>&1\n{script}"));
    Some((String::from_utf8(output.stdout).unwrap(), begun.elapsed()))
}

/// Twenty paths wait as long as one. The inputs that answer are read, and the deadline is kept.
#[test]
fn paths_on_a_dead_disk() {
    let dir = Dir::new().file("a.txt", "x\ny\n").file("mnt/x", "");
    let dead = |i| json!({"path": if i % 2 == 0 { format!("mnt/{i}") } else { format!("mnt/{i}/*") }, "timeout": "1s"});
    let mut inputs = vec![json!("a.txt")];
    inputs.extend((0..20).map(dead));
    let job = json!({"input": inputs, "group_by": ["line"], "aggregate": [{"op": "count"}]});
    let dir = dir.file("job.json", job.to_string());
    let partial = |why: &str| {
        let all = (0..5).map(|i| format!("mnt/{i}{} ({why})", if i % 2 == 0 { "" } else { "/*" }));
        let all = all.collect::<Vec<_>>().join(", ");
        format!("x\t1\ny\t1\npartial result: 1 of 21 sources whole, 4 B read; missing: {all} and 15 more\n3\n")
    };
    let hint = "hint: with --on-timeout partial the job answers from what it has read by then";
    for (deadline, most, said) in [
        ("", 6, "error: mnt/0: timed out after 1s, 0 B read\n1\n".to_owned()),
        ("--on-timeout partial", 6, partial("timed out after 1s")),
        ("--timeout 500ms", 3, format!("error: the job was not done after 500ms\n{hint}\n1\n")),
        ("--timeout 1.5s --on-timeout partial", 3, partial("not read within 1.5s")),
    ] {
        let script = format!("dead mnt; $M run ./job.json {deadline}; echo $?");
        let Some((printed, took)) = with_dead_disks(&dir, &script) else { return };
        assert_eq!(printed, said, "{deadline}");
        assert!(took < Duration::from_secs(most), "{deadline}: {took:?}");
    }
    // The first record of a table isn't waited for either. The name's ending still gives the format.
    let input = json!([{"path": "mnt/*.csv", "timeout": "300ms"}]);
    let job = json!({"input": input, "group_by": ["k"], "deadline": {"on_timeout": "partial"}});
    std::fs::write(dir.join("job.json"), job.to_string()).unwrap();
    let (printed, _) = with_dead_disks(&dir, "dead mnt; $M run ./job.json; echo $?").unwrap();
    assert_eq!(printed, "error: mnt/*.csv: timed out after 300ms\n1\n");
}

/// Once a file has been read or was too slow, the job doesn't ask the file system about it again.
#[test]
fn a_disk_that_dies_while_the_job_runs() {
    let dir = Dir::new().file("d/f.csv", "k\nx\n").file("out.csv", "old\n").file("r.json", "{}");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    std::fs::create_dir(dir.join("out")).unwrap();
    // The disk dies before the FIFO's first record comes. The plan of a table waits for that record. In a job over
    // text, everything else is read by then.
    let script = |args: &str| {
        // If the job ends before it opens the FIFO, this opens it, so that the writer doesn't wait.
        let run = format!("{{ $M run ./job.json {args}; echo $?; : 7<>fifo; }} &");
        format!("{run}\nexec 8>fifo; sleep 1; dead d; printf 'k\\nz\\n' >&8; exec 8>&-; wait")
    };
    let job = |timeout: &str| {
        let input = json!([{"path": "d/f.csv", "timeout": timeout}, "fifo"]);
        let deadline = json!({"on_timeout": "partial"});
        let job = json!({"input": input, "read": {"format": "csv"}, "group_by": ["k"], "deadline": deadline});
        std::fs::write(dir.join("job.json"), job.to_string()).unwrap();
    };
    job("20s");
    let text = "--set read.format=text --set group_by.0=line";
    let Some((printed, _)) = with_dead_disks(&dir, &script(text)) else { return };
    assert_eq!(printed, "k\nx\nz\n0\n");
    job("1s");
    let said = "partial result: 1 of 2 sources whole, 4 B read; missing: d/f.csv (timed out after 1s)\n3\n";
    for (args, before) in [("-o out", ""), ("-o out.csv --force", ""), ("--report r.json", "z\n")] {
        let (printed, _) = with_dead_disks(&dir, &script(args)).unwrap();
        assert_eq!(printed, format!("{before}{said}"), "{args}");
    }
    assert_eq!(std::fs::read_to_string(dir.join("out.csv")).unwrap(), "z\n");
}

/// The message gives the source's own timeout, even if two sources have one name.
#[test]
fn two_commands_of_one_name() {
    let slow = |timeout: Option<&str>| {
        let mut slow = json!({"command": ["sh", "-c", "echo a; exec sleep 100"], "name": "web1"});
        if let Some(timeout) = timeout {
            slow["timeout"] = timeout.into();
        }
        slow
    };
    let job = json!({"input": [slow(Some("1s")), slow(Some("1.5s")), slow(None)], "group_by": ["line"],
        "deadline": {"timeout": "3s", "on_timeout": "partial"}});
    let ran = Dir::new().file("job.json", job.to_string()).run("run ./job.json");
    let missing = ["timed out after 1s", "timed out after 1.5s", "not read within 3s"];
    let missing = missing.map(|why| format!("web1 from byte 2 ({why})")).join(", ");
    assert_eq!(ran.stderr(), format!("partial result: 0 of 3 sources whole, 6 B read; missing: {missing}\n"));
    assert_eq!((ran.code(), &*ran.stdout()), (Some(3), "a\n"));
}
