//! Places that are hard to work in: full or vanishing disks, unreadable files, few descriptors, other jobs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, mknodat};

use crate::harness::Dir;

const MAPFOLD: &str = env!("CARGO_BIN_EXE_mapfold");

fn sh(dir: &Dir, script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(dir.path()).env("TMPDIR", dir.path()).env("M", MAPFOLD);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn lines(n: usize) -> String {
    (0..n).map(|i| format!("line {i:07}\n")).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the job as the user nobody if this process is root's, since root may read everything. Returns `None` if that
/// isn't possible.
fn as_nobody(dir: &Dir, args: &str) -> Option<Output> {
    let mut command = dir.command(args.split(' ')).command;
    if rustix::process::geteuid().is_root() {
        // The user nobody may have no access to the binary's directory.
        let program = dir.join("mapfold");
        if !program.exists() && fs::hard_link(MAPFOLD, &program).is_err() {
            fs::copy(MAPFOLD, &program).unwrap();
        }
        let mut own = Command::new(program);
        own.args(args.split(' ')).current_dir(dir.path()).env("TMPDIR", dir.path()).uid(65534).gid(65534);
        command = own;
    }
    command.stdin(Stdio::null()).output().ok()
}

#[test]
fn what_may_not_be_read() {
    let dir = Dir::new().file("d/a", "a\n").file("d/b", "b\n").file("e/sub/c", "c\n").file("f", "f\n");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for closed in ["d/b", "e/sub"] {
        fs::set_permissions(dir.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
    }
    for (input, path) in [("d", "d/b"), ("f d/b", "d/b"), ("d/*", "d/b"), ("e", "e/sub"), ("e/sub/c", "e/sub/c")] {
        let Some(output) = as_nobody(&dir, &format!("run uniq f {input}")) else {
            eprintln!("not tested: this process may not start another as nobody");
            return;
        };
        assert_eq!(stderr(&output), format!("error: {path}: permission denied\n"));
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true));
    }
    let output = as_nobody(&dir, "run uniq f --spill-dir e/sub").unwrap();
    assert_eq!(
        stderr(&output),
        "error: spill directory e/sub (--spill-dir): permission denied\nhint: name a directory on a disk with free space with --spill-dir\n"
    );
    fs::set_permissions(dir.join("e/sub"), fs::Permissions::from_mode(0o700)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(dir.join("e/sub"), Some(0), Some(0)).unwrap();
    }
}

const HINT: &str = "hint: make room on its disk, or write to another one with --output";

/// A file system of 256 KiB, for the spill files and for the output.
#[test]
fn a_full_disk() {
    let dir = Dir::new().file("lines", lines(50_000));
    fs::create_dir(dir.join("small")).unwrap();
    // Where mounting isn't allowed, the test `what_outgrows_its_disk` replaces this one.
    let mounted = |script: &str| {
        sh(&dir, &format!("unshare -rm bash -c 'mount -t tmpfs -o size=256k none small && {{ {script}; }}'")).output()
    };
    if !mounted("true").is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: no file system can be mounted here");
        return;
    }
    let run = |args: &str| {
        let output = mounted(&format!("$M run uniq lines {args}; echo $?; ls -A small")).unwrap();
        (stderr(&output), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (error, out) = run("--spill-dir small -o out");
    assert!(error.starts_with("error: spill file ") && error.contains("/small/mapfold-"), "{error}");
    assert!(
        error.ends_with(": no space left on device\nhint: choose a directory with more free space with --spill-dir\n"),
        "{error}"
    );
    assert_eq!((error.lines().count(), out.as_str()), (2, "1\n"));
    for output in ["small/out", "small/", "small/sub/"] {
        let (error, out) = run(&format!("-o {output}"));
        assert_eq!(
            (error, out),
            (format!("error: cannot write {output}: no space left on device\n{HINT}\n"), "1\n".into())
        );
    }
    let (error, out) = run("--report small/r.json -o small/out --set limit=1");
    assert_eq!((error.as_str(), out.as_str()), ("", "0\nout\nr.json\n"));
    // A trial's message arrives, although the full disk has no room for it.
    for command in ["verify uniq lines", "bench uniq lines --vary combiner=on,off --runs 2"] {
        let output = mounted(&format!("$M {command} --spill-dir small; echo $?; ls -A small")).unwrap();
        let (error, out) = (stderr(&output), String::from_utf8_lossy(&output.stdout).into_owned());
        assert!(error.starts_with("error: with ") && error.contains(": spill file "), "{error}");
        assert!(
            error.ends_with(
                ": no space left on device\nhint: choose a directory with more free space with --spill-dir\n"
            ),
            "{error}"
        );
        assert_eq!(out.lines().last(), Some("1"), "{out}");
    }
    for output in ["/dev/full", "small/out --unordered"] {
        let (error, out) = run(&format!("-o {output}"));
        let name = output.split(' ').next().unwrap();
        assert_eq!(
            (error, out),
            (format!("error: cannot write {name}: no space left on device\n{HINT}\n"), "1\n".into())
        );
    }
    assert_eq!(dir.names(), ["lines", "small"]);
}

#[test]
fn directories_that_vanish_or_come_between() {
    let dir = Dir::new();
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::create_dir(dir.join("spill")).unwrap();
    let output = dir.meanwhile("--spill-dir spill -o out", || fs::remove_dir_all(dir.join("spill")).unwrap());
    let error = stderr(&output);
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.starts_with("error: spill file ") && error.ends_with(": no such file or directory\n"), "{error}");

    let output = dir.meanwhile("-o out", || fs::create_dir(dir.join("out")).unwrap());
    let hint = "hint: another program made it while the job ran; --force replaces it\n";
    assert_eq!(stderr(&output), format!("error: cannot write out: file exists\n{hint}"));
    fs::remove_dir(dir.join("out")).unwrap();
    fs::write(dir.join("out"), "old").unwrap();
    let output = dir.meanwhile("-o out --force", || {
        fs::remove_file(dir.join("out")).unwrap();
        fs::create_dir(dir.join("out")).unwrap();
    });
    let error = stderr(&output);
    assert!(error.starts_with("error: cannot write ") && error.ends_with("/out: is a directory\n"), "{error}");
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true));
    assert_eq!(dir.names(), ["fifo", "out"]);
}

/// Both runs are complete, from the same job, and have pages of the same shape.
#[test]
fn a_run_that_is_copied_over_another() {
    let dir = Dir::new().file("f", "a\nb\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    for settings in ["--threads 1", "--threads 2 --unordered"] {
        let output = dir.meanwhile(&format!("f -o out --split-size 2 --partitions 1 {settings}"), || {
            let spill = dir.names().into_iter().find(|name| name.starts_with("mapfold-")).unwrap();
            let [from, to] = ["map-00000-0.run", "map-00001-0.run"].map(|name| dir.join(&spill).join(name));
            // A run as short as these is written in one write.
            while [&from, &to].iter().any(|run| fs::metadata(run).map_or(0, |found| found.len()) == 0) {
                thread::sleep(Duration::from_millis(1));
            }
            let run = fs::read(&from).unwrap();
            assert_eq!(run.len() as u64, fs::metadata(&to).unwrap().len());
            fs::File::options().write(true).open(&to).unwrap().write_all(&run).unwrap();
        });
        // The map task of the overwritten run is done again.
        assert_eq!((output.status.code(), &*stderr(&output)), (Some(0), ""));
        let mut lines: Vec<_> = fs::read_to_string(dir.join("out")).unwrap().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["a\t2", "b\t3"]);
        assert_eq!(dir.names(), ["f", "fifo", "out"]);
        fs::remove_file(dir.join("out")).unwrap();
    }
}

/// A failure is reported although nobody ever opens the FIFO for writing.
#[test]
fn a_failure_beside_a_fifo_without_a_writer() {
    let dir = Dir::new().file("f", "too long\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let output = sh(&dir, "exec $M run uniq fifo f --set read.max_record=5").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error: f: the record at byte 0 is longer than 5 bytes"),
        "{}",
        stderr(&output)
    );
    assert_eq!(dir.names(), ["f", "fifo"]);
}

#[test]
fn many_threads_and_few_descriptors() {
    let dir = Dir::new().file("lines", lines(20_000));
    let expected: String = lines(20_000).lines().map(|line| format!("{line}\t1\n")).collect();
    let settings = ["--threads 256", "--memory 16M --partitions 16 --threads 2", "--threads 3 --unordered"];
    for settings in settings {
        let script = format!("ulimit -n 64; exec $M run uniq lines --split-size 10K {settings}");
        let output = sh(&dir, &script).output().unwrap();
        assert_eq!(stderr(&output), "", "{settings}");
        let mut rows: Vec<_> = output.stdout.split_inclusive(|&byte| byte == b'\n').collect();
        if settings.ends_with("unordered") {
            rows.sort_unstable();
        }
        assert!(rows.concat() == expected.as_bytes(), "{settings}");
    }
    assert_eq!(dir.names(), ["lines"]);
}

/// The job gives the result or an error. It never aborts, and leaves nothing behind.
#[test]
fn little_address_space() {
    let dir = Dir::new().file("small", lines(500)).file("large", lines(150_000));
    let mut refused = 0;
    for input in ["small", "large"] {
        let limits = (36_000..76_000).step_by(2_000).chain((60_000..=400_000).step_by(40_000));
        for (limit, threads) in limits.zip([2, 3, 8, 16].into_iter().cycle()) {
            let script = format!("ulimit -v {limit}; exec $M run uniq {input} --threads {threads} -o out --force");
            let output = sh(&dir, &script).output().unwrap();
            let error = stderr(&output);
            match output.status.code() {
                Some(0) => assert_eq!(error, "", "{limit}"),
                Some(1 | 2) => {
                    assert!(error.starts_with("error: ") && error.lines().count() <= 2, "{limit}: {error}");
                    refused += 1;
                }
                _ => panic!("{limit}, {input}: {:?} {error}", output.status),
            }
            let left: Vec<_> =
                dir.names().into_iter().filter(|name| !["large", "out", "small"].contains(&&**name)).collect();
            assert_eq!(left, [""; 0], "{limit}, {input}");
        }
    }
    // If every limit was enough, nothing was tested.
    assert!(refused > 0);
}

/// A command ends with its job, even if the job runs out of memory.
#[test]
fn no_memory_left_and_a_command_that_runs() {
    let sleep = format!("2000.{}", std::process::id());
    let dir = Dir::new();
    // The second command prints one long record, after the first has had time to start.
    let script = format!(
        "ulimit -v 600000; exec $M run uniq --memory 8G --threads 2 --set read.max_record=2G -o out \
         --from-command 'sleep {sleep}' --from-command \"sh -c 'sleep 1; exec head -c 1000000000 /dev/zero'\""
    );
    let output = sh(&dir, &script).output().unwrap();
    let error = stderr(&output);
    assert!(error.starts_with("error: cannot allocate ") && error.lines().count() == 2, "{error}");
    assert_eq!(output.status.code(), Some(1));
    let runs = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| line.split(|&byte| byte == 0).any(|word| word == sleep.as_bytes())).count()
    };
    let ended = Instant::now();
    while runs() > 0 {
        assert!(ended.elapsed() < Duration::from_secs(5), "the command goes on");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(dir.names().is_empty());
}

/// The number of threads is bounded. Without a bound, idle workers took 46 seconds to find that none had tasks.
#[test]
fn thousands_of_threads() {
    let dir = Dir::new().file("lines", lines(1000));
    let cores = thread::available_parallelism().unwrap().get();
    for scheduler in ["stealing", "static", "shared"] {
        let started = Instant::now();
        let ran =
            dir.run(&format!("run uniq lines -o /dev/null --threads 4096 --scheduler {scheduler} --report r.json"));
        assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""));
        // The limit is generous, since other tests run at the same time and this build isn't optimised.
        assert!(started.elapsed() < Duration::from_secs(10), "{scheduler}: {:?}", started.elapsed());
        let report: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
        assert_eq!(report["settings"]["threads"], cores.max(256));
        assert_eq!(report["workers"].as_array().unwrap().len(), cores.max(256));
    }
}

fn all(jobs: impl IntoIterator<Item = Child>) -> Vec<Output> {
    jobs.into_iter().map(|job| job.wait_with_output().unwrap()).collect()
}

/// One job writes the output. The others each say that it exists. The output is never a mixture.
#[test]
fn jobs_with_one_output() {
    let dir = Dir::new().file("lines", lines(2_000));
    let expected: String = lines(2_000).lines().map(|line| format!("{line}\t1\n")).collect();
    for output in ["out", "parts/"] {
        let job =
            || sh(&dir, &format!("exec $M run uniq lines -o {output} --set output.part_size=10K")).spawn().unwrap();
        let ended = all((0..6).map(|_| job()).collect::<Vec<_>>());
        for job in &ended {
            let error = stderr(job);
            let lost = error == format!("error: {output}: exists\nhint: --force replaces it\n")
                || error.starts_with(&format!("error: cannot write {output}: "))
                || error.starts_with(&format!("error: {output}: holds "));
            assert!(lost != job.status.success(), "{error}");
        }
        assert_eq!(ended.iter().filter(|job| job.status.success()).count(), 1, "{output}");
    }
    let read = |script: &str| String::from_utf8(sh(&dir, script).output().unwrap().stdout).unwrap();
    assert!(
        read("cat out") == expected && read("cat parts/part-*; ls parts/_SUCCESS") == expected + "parts/_SUCCESS\n"
    );
    assert_eq!(dir.names(), ["lines", "out", "parts"]);
}

/// The jobs replace each other's output. The final output is that of one job, with its report.
#[test]
fn jobs_that_replace_each_other() {
    let dir = Dir::new().file("long", lines(3_000)).file("short", lines(1_000));
    let job = |input: &str| {
        let script = format!("exec $M run uniq {input} -o parts/ --force --set output.part_size=100");
        sh(&dir, &script).spawn().unwrap()
    };
    for _ in 0..4 {
        for job in all(["long", "short", "long", "short"].map(job)) {
            assert_eq!((stderr(&job).as_str(), job.status.code()), ("", Some(0)));
        }
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.join("parts/_REPORT.json")).unwrap()).unwrap();
        let rows = String::from_utf8(sh(&dir, "cat parts/part-*").output().unwrap().stdout).unwrap();
        let expected = if report["job"]["input"][0] == "long" { 3_000 } else { 1_000 };
        assert!(rows == lines(expected).lines().map(|line| format!("{line}\t1\n")).collect::<String>());
        assert_eq!(report["counters"]["reduce_output_records"], expected);
        assert!(dir.join("parts/_SUCCESS").exists());
    }
    assert_eq!(dir.names(), ["long", "parts", "short"]);
}

/// Nobody can create a file in `/proc`.
#[test]
fn a_spill_directory_that_takes_nothing() {
    let dir = Dir::new().file("a", "a\n");
    for job in ["run uniq a", "bench uniq a", "verify uniq a"] {
        let ran = dir.run(&format!("{job} --spill-dir /proc"));
        let stderr = ran.stderr();
        assert!(stderr.starts_with("error: spill directory /proc"), "{stderr}");
        assert!(stderr.ends_with("\nhint: name a directory on a disk with free space with --spill-dir\n"), "{stderr}");
        assert!([Some(1), Some(2)].contains(&ran.code()) && ran.stdout().is_empty());
    }
}
