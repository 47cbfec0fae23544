//! Commands and other inputs that a job waits for: how a job uses them, and that no command outlives the job.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, mknodat};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Dir, Ran};

const UNIQ: &str = r#""group_by": ["line"], "aggregate": [{"op": "count"}]"#;

/// A directory with a job that counts the lines of these inputs.
fn job(input: &Value) -> Dir {
    Dir::new().file("job.json", format!(r#"{{{UNIQ}, "input": {input}}}"#))
}

fn sh(script: &str, timeout: Option<&str>) -> Value {
    let mut input = json!({"command": ["sh", "-c", script], "name": "web1"});
    if let Some(timeout) = timeout {
        input["timeout"] = timeout.into();
    }
    input
}

#[track_caller]
fn failed(ran: &Ran, message: &str) {
    assert_eq!((ran.code(), ran.stdout(), ran.stderr()), (Some(1), String::new(), format!("error: {message}\n")));
}

/// Returns how many processes have this word among their arguments.
pub fn left(word: &str) -> usize {
    let lines =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|&byte| byte == 0).any(|argument| argument == word.as_bytes())).count()
}

/// Returns a number of seconds to sleep that no other test uses.
pub fn long(seed: u32) -> String {
    format!("{}{:05}", 3000 + seed, std::process::id() % 100_000)
}

/// Waits until `count` processes have this word among their arguments. A killed process vanishes a moment later.
#[track_caller]
pub fn wait_for(count: usize, word: &str) {
    let begun = Instant::now();
    while left(word) != count {
        assert!(begun.elapsed() < Duration::from_secs(10), "{} of {word}, not {count}", left(word));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn commands_from_the_command_line() {
    let dir = Dir::new().file("f", "file\n").file("job.json", format!(r#"{{{UNIQ}, "input": "none"}}"#));
    let run = |args: &[&str]| dir.command([&["run", "job.json"], args].concat()).run();
    run(&["--from-command", "echo 'a  b' \"$HOME\""]).printed("a  b $HOME\t1\n");
    run(&["f", "--from-command", "echo x", "--from-command=cat f f"]).printed("file\t3\nx\t1\n");
    dir.command(["agg", "-g", "k", "sum(v)", "--read", "csv", "--from-command", "printf 'k,v\\nb,1\\na,2\\nb,3\\n'"])
        .run()
        .printed("a\t2\nb\t4\n");
    // The words of a command aren't taken for the names of files.
    run(&["--from-command", "echo x.csv"]).printed("x.csv\t1\n");
    failed(
        &run(&["--from-command", "sh -c 'echo why >&2; exit 3'"]),
        "sh -c 'echo why >&2; exit 3': exit status 3: why",
    );
}

#[test]
fn commands_that_are_found_wrong_before_anything_is_read() {
    let dir = Dir::new().file("f", "x\n").file("bin/plain", "#!/bin/sh\n").file("j.json", format!("{{{UNIQ}}}"));
    let run = |command: &str| dir.command(["run", "j.json", "f", "--from-command", command, "-o", "out"]).run();
    let hint = "a command is run without a shell; to use a shell: sh -c '…'";
    run("nosuchcommand x").refused("nosuchcommand x: nosuchcommand: no such command", hint);
    run("bin/none").refused("bin/none: no such file or directory", "");
    run("bin/plain").refused("bin/plain: permission denied", "");
    run("./bin").refused("./bin: is a directory", "");
    run("").refused("--from-command: is empty", "");
    run("sh -c 'x").refused("--from-command \"sh -c 'x\": a quote is not closed", "");
    for (command, operator) in
        [("echo a | wc", "|"), ("cat f >f2 > f3", ">"), ("true && cat \"f\"", "&&"), ("grep '>' f 2>&1", "2>&1")]
    {
        let message = format!("--from-command {command:?}: {operator} needs a shell, or quotes if it is an argument");
        run(command).refused(&message, hint);
    }
    dir.command(["run", "j.json", "--from-command", r#"printf '%s\n' '|' "<" \; a|b"#])
        .run()
        .printed(";\t1\n<\t1\na|b\t1\n|\t1\n");
    dir.run("run j.json --set input.0.command=[]")
        .refused("--set: input.0.command: must not be empty", r#"give a list of its words: ["cat", "a.log"]"#);
    dir.run(r#"run j.json --set input={"path":"f","timout":"1s"}"#)
        .refused("--set: input: unknown key \"timout\"", "did you mean \"timeout\"?");
    // This error is known only once the command is started.
    let odd = dir.join("odd");
    fs::write(&odd, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&odd, fs::Permissions::from_mode(0o755)).unwrap();
    failed(&run("./odd"), "./odd: cannot be started: no such file or directory");
    assert_eq!(dir.names(), ["bin", "f", "j.json", "odd"]);
}

#[test]
fn the_report_has_inputs_as_written() {
    let input =
        json!(["f", {"path": "f", "timeout": "2s"}, {"command": ["echo", "x"], "name": "web1", "timeout": "1.5s"}]);
    let dir = job(&input).file("f", "y\n");
    dir.run("run job.json --report r.json").printed("x\t1\ny\t2\n");
    let report: Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    assert_eq!(report["job"]["input"], input);
    let tasks = report["tasks"].as_array().unwrap();
    // Streams are read as they arrive, so the order of their tasks is chance.
    let mut names: Vec<_> = tasks.iter().filter_map(|task| task["input"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["f", "f", "web1"]);
}

/// The job fails, says why in one line, writes nothing, and ends soon.
#[test]
fn hostile_commands() {
    let begun = Instant::now();
    let much = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2";
    let (deaf, holder) = (long(1), long(2));
    for (input, message) in [
        (sh("seq 100000; echo lost >&2; exit 7", None), "web1: exit status 7: lost"),
        (sh("seq 100000; kill -9 $$", None), "web1: killed by signal 9"),
        (
            sh("printf '\\037\\213\\010\\377garbage'", None),
            "web1: cannot read at byte 0: the gzip data is corrupt: the header is invalid",
        ),
        (sh(&format!("{much}; seq 100000; {much}; echo end >&2; exit 1"), None), "web1: exit status 1: end"),
        (sh("exec sleep 1000", Some("200ms")), "web1: timed out after 200ms, 0 B read"),
        (
            sh(&format!("trap '' TERM; echo ab; sleep {deaf} & sleep {deaf}"), Some("1s")),
            "web1: timed out after 1s, 3 B read",
        ),
        (sh(&format!("echo ab; sleep {holder} &"), Some("1s")), "web1: timed out after 1s, 3 B read"),
        (sh("echo ab; exec >&-; sleep 1000", Some("1s")), "web1: timed out after 1s, 3 B read"),
    ] {
        let dir = job(&json!(["f", input])).file("f", "x\n".repeat(1000));
        failed(&dir.run("run job.json -o out"), message);
        assert_eq!(dir.names(), ["f", "job.json"], "{message}");
        // Other settings and other jobs give the same message.
        failed(&dir.run("run job.json --scheduler static --threads 5 --unordered"), message);
        failed(&dir.run("run job.json --set group_by=[] --set aggregate=[] --set sort=[\"line\"]"), message);
    }
    wait_for(0, &deaf);
    wait_for(0, &holder);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    job(&json!([sh("true", None)])).run("run job.json").printed("");
}

/// The commands also fail the job if it needs their first record before it runs.
#[test]
fn hostile_commands_that_print_tables() {
    let table = |script: &str, timeout| {
        let input = sh(script, timeout);
        let spec = json!({"read": {"format": "csv"}, "group_by": ["k"], "aggregate": [{"op": "sum", "field": "v"}],
            "input": [{"command": ["printf", "k,v\na,1\n"]}, input]});
        Dir::new().file("job.json", spec.to_string()).run("run job.json")
    };
    table("printf 'k,v\\na,2\\n'", None).printed("a\t3\n");
    failed(&table("exit 3", None), "web1: exit status 3");
    failed(&table("printf k,; exec sleep 1000", Some("1s")), "web1: timed out after 1s, 2 B read");
    failed(&table("printf 'k,v\\na,2\\n'; echo so >&2; exit 3", None), "web1: exit status 3: so");
    // No command waits for another command's first line.
    let sleeping = json!({"command": ["sh", "-c", "sleep 1; printf 'k,v\na,1\n'"], "timeout": "20s"});
    let spec =
        json!({"read": {"format": "csv"}, "aggregate": [{"op": "sum", "field": "v"}], "input": vec![sleeping; 50]});
    let begun = Instant::now();
    Dir::new().file("job.json", spec.to_string()).run("run job.json").printed("50\n");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// A low soft limit of descriptors does no harm where the hard limit is higher, as is usual.
#[test]
fn several_hundred_commands() {
    let inputs: Vec<_> = (0..300).map(|i| sh(&format!("sleep 0.{}; echo all; echo {i}", i % 5), None)).collect();
    let dir = job(&json!(inputs));
    let mut command = Command::new("bash");
    let script = format!("ulimit -Sn 256; exec {} run job.json --sort=-count,line -n 2", env!("CARGO_BIN_EXE_mapfold"));
    command.args(["-c", &script]).current_dir(dir.path()).env("TMPDIR", dir.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all\t300\n0\t1\n");
}

fn spawn(dir: &Dir, args: &[&str]) -> Child {
    let mut command = dir.command(args.iter().copied()).command;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Hundreds of silent sources are waited for, not polled.
#[test]
fn silent_sources_take_no_time() {
    let dir = Dir::new();
    fs::create_dir(dir.join("d")).unwrap();
    for i in 0..300 {
        mknodat(CWD, dir.join(&format!("d/{i}")), FileType::Fifo, 0o600.into(), 0).unwrap();
    }
    let mut child = spawn(&dir, &["run", "uniq", "d/*"]);
    let of_child = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
    let threads = || -> usize {
        let status = of_child("status");
        status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap()
    };
    while threads() < 300 {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Processor time of the job in hundredths of a second: fields 14 and 15, which are 11 and 12 fields behind the
    // state.
    let ticks = || -> u64 {
        let stat = of_child("stat");
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    std::thread::sleep(Duration::from_millis(300));
    let before = ticks();
    std::thread::sleep(Duration::from_secs(2));
    assert!(ticks() - before <= 10, "{} ticks", ticks() - before);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// An interrupt ends the commands while the job runs, and while its plan is made, which reads a table's first line.
#[test]
fn an_interrupt_ends_the_commands() {
    for (i, read) in [(1, "text"), (2, "csv")] {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let sleep = long(10 * i + code as u32);
            let scripts = [format!("sleep {sleep} & exec sleep {sleep}"), format!("trap '' TERM; sleep {sleep}")];
            let inputs = scripts.map(|script| sh(&script, None));
            let dir = job(&json!(inputs));
            let child = spawn(&dir, &["run", "job.json", "-o", "out", "--set", &format!("read.format={read}")]);
            // The first script is two sleeping processes. The second one's shell ignores SIGTERM, and its child sleeps.
            wait_for(3, &sleep);
            kill_process(Pid::from_child(&child), signal).unwrap();
            let begun = Instant::now();
            let output = child.wait_with_output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "error: interrupted\n");
            assert_eq!(output.status.code(), Some(code));
            wait_for(0, &sleep);
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
            assert_eq!(dir.names(), ["job.json"]);
        }
    }
}

/// The job can't act on the signal, since it writes to a pipe that nobody reads. Its commands end all the same, and so
/// does the job.
#[test]
fn a_job_that_is_stuck_leaves_no_commands() {
    let sleep = long(3);
    let dir = Dir::new().file("job.json", "{}");
    let script = format!("yes | head -c 10000000; exec sleep {sleep}");
    let mut child = spawn(&dir, &["run", "job.json", "--from-command", &format!("sh -c '{script}'")]);
    wait_for(1, &sleep);
    // This is as much as a pipe holds.
    while ioctl_fionread(child.stdout.as_ref().unwrap()).unwrap() < 65_536 {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let begun = Instant::now();
    wait_for(0, &sleep);
    assert!(child.try_wait().unwrap().is_none(), "it was not stuck");
    std::thread::sleep(Duration::from_millis(300));
    // The second signal ends the job at once, unless the job has ended by itself.
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert!(status.signal() == Some(2) || status.code() == Some(130), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// Commands end when nobody needs them: once there are enough rows, or after another input failed.
#[test]
fn commands_are_ended_when_the_job_is_done() {
    let sleep = long(4);
    let forever = format!("sh -c 'yes a & exec sleep {sleep}'");
    let dir = Dir::new().file("job.json", "{}").file("f", "too long\n");
    dir.command(["run", "job.json", "-n", "3", "--from-command", &forever]).run().printed("a\na\na\n");
    wait_for(0, &sleep);
    let ran = dir.command(["run", "uniq", "f", "--set", "read.max_record=5", "--from-command", &forever]).run();
    assert!(ran.stderr().starts_with("error: f: the record at byte 0 is longer than 5 bytes"), "{}", ran.stderr());
    wait_for(0, &sleep);
    // The plan can't be made, since it names a missing field.
    let spec = json!({"read": {"format": "csv"}, "group_by": ["none"], "input": sh(&format!("echo k; exec sleep {sleep}"), None)});
    let ran = dir.file("t.json", spec.to_string()).run("run t.json");
    ran.refused("t.json: group_by.0: no field \"none\"", "fields: k");
    wait_for(0, &sleep);
}

#[test]
fn what_runs_many_times_needs_commands_that_can() {
    let dir = job(&json!([{"command": ["echo", "x"], "name": "web1"}]));
    let hint = r#"if the command prints the same each time, give it in a spec: "retry": true"#;
    for command in ["bench", "verify"] {
        let once = |name: &str| format!("{name} can be read only once, but {command} runs the job many times");
        dir.run(&format!("{command} job.json")).refused(&once("web1"), hint);
        dir.command([command, "uniq", "--from-command", "echo x"]).run().refused(&once("echo x"), hint);
    }
    let input =
        json!(["f", {"command": ["sh", "-c", "echo k; echo 1"], "retry": true}, {"path": "f", "timeout": "9s"}]);
    let dir = job(&input).file("f", "k\n2\n");
    for read in ["text", "csv"] {
        let columns = if read == "csv" { r#" --set group_by=["k"]"# } else { "" };
        let ran = dir.run(&format!("verify job.json --set read.format={read}{columns}"));
        assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""), "{}", ran.stdout());
        assert!(ran.stdout().contains("wrote the same"), "{}", ran.stdout());
    }
}

/// FIFOs, files and standard input may have a timeout too.
#[test]
fn timeouts_of_inputs_that_are_no_commands() {
    let dir = Dir::new().file("d/a", "a\n").file("d/b", "b\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let run = |input: Value| {
        let spec = format!(r#"{{{UNIQ}, "input": {input}}}"#);
        fs::write(dir.join("job.json"), spec).unwrap();
        dir.run("run job.json")
    };
    run(json!([{"path": "d", "timeout": "5s"}, {"path": "d/*", "timeout": "5s"}])).printed("a\t2\nb\t2\n");
    failed(&run(json!({"path": "fifo", "timeout": "100ms"})), "fifo: timed out after 100ms, 0 B read");
    run(json!([{"path": "-", "timeout": "5s"}])).printed("");
    run(json!([{"path": "-", "timeout": "5s"}, "-"]))
        .refused("standard input is named twice, but can be read only once", "to read a file named -, write ./-");
    run(json!([{"path": "fifo", "timeout": "5s"}, "fifo"]))
        .refused("fifo: is a FIFO that is named twice, but can be read only once", "");
    run(json!([{"path": "d/c", "timeout": "5s"}])).refused("d/c: no such file or directory", "");
    let mut command = dir.command(["run", "job.json"]).command;
    fs::write(dir.join("job.json"), format!(r#"{{{UNIQ}, "input": {{"path": "-", "timeout": "200ms"}}}}"#)).unwrap();
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The job's standard input stays open until the job has ended.
    let mut child = child;
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "error: stdin: timed out after 200ms, 0 B read\n");
    assert_eq!(output.status.code(), Some(1));
    // The output can't replace a file of an input with a timeout either.
    run(json!([{"path": "d", "timeout": "5s"}])).printed("a\t1\nb\t1\n");
    dir.run("run job.json -o d/a --force")
        .refused("d/a: is an INPUT as well as the output", "write to another file, then rename it");
}
