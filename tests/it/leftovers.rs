//! Files that jobs leave on the disk while they run and when they are killed: who may read them, and who removes them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, mknodat};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::harness::Dir;

const MAPFOLD: &str = env!("CARGO_BIN_EXE_mapfold");

/// A directory with a file and a FIFO. A job that reads the FIFO waits until somebody writes to it.
fn dir() -> Dir {
    let dir = Dir::new().file("a.txt", "b\na\nb\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::create_dir(dir.join("spill")).unwrap();
    dir
}

fn spawn(dir: &Dir, args: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask 022; exec {MAPFOLD} {args}")]).current_dir(dir.path());
    command.env("TMPDIR", dir.join("spill")).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until `look` finds something. Another process causes it.
#[track_caller]
fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it didn't happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// All files and directories below `directory`.
fn tree(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        found.extend(tree(&path));
        found.push(path);
    }
    found
}

fn ending(directory: &Path, ending: &str) -> Option<PathBuf> {
    tree(directory).into_iter().find(|path| path.to_str().unwrap().ends_with(ending))
}

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.mode() & 0o777)
}

/// Files and directories that other users may look into. What vanishes meanwhile counts as closed.
fn open_to_others(directory: &Path) -> Vec<PathBuf> {
    tree(directory).into_iter().filter(|path| mode(path).is_some_and(|mode| mode & 0o077 != 0)).collect()
}

fn feed(dir: &Dir) {
    fs::write(dir.join("fifo"), "b\na\nb\n").unwrap();
}

#[track_caller]
fn done(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert_eq!((stderr(&output).as_str(), output.status.code()), ("", Some(0)));
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Starts a job that waits for the FIFO. Returns once the job has staged and spilled what it can.
fn waiting(dir: &Dir, args: &str) -> Child {
    let child = spawn(dir, &format!("run grep --pattern . {args} a.txt fifo"));
    let spilled = || fs::read_dir(dir.join("spill")).unwrap().count() > 0;
    eventually(|| spilled().then_some(()));
    if args.contains('/') {
        eventually(|| tree(&dir.join("out")).iter().any(|path| path.ends_with("result/part-00000")).then_some(()));
    }
    child
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nobody_else_may_read_what_is_spilled() {
    let spec = r#"{"group_by": ["k"], "aggregate": [{"op": "sum", "field": "x"}], "read": {"format": "csv", "fields": ["k", "x"],
        "on_error": {"skip_up_to": 1, "save_to": "bad.txt"}}}"#;
    let dir = dir().file("in.csv", "a,1\nb,bad\n").file("job.json", spec);
    let child = spawn(&dir, "run ./job.json in.csv fifo -o sums");
    eventually(|| ending(&dir.join("spill"), ".run").and(ending(&dir.join("spill"), ".bad")));
    assert_eq!(open_to_others(&dir.join("spill")), Vec::<PathBuf>::new());
    fs::write(dir.join("fifo"), "a,2\n").unwrap();
    done(child);
    // The umask decides who may read the user's own files.
    assert_eq!([mode(&dir.join("sums")), mode(&dir.join("bad.txt"))], [Some(0o644); 2]);
    assert!(Dir::names_in(&dir.join("spill")).is_empty());
}

#[test]
fn nobody_else_may_read_what_is_staged() {
    let dir = dir();
    let child = waiting(&dir, "-o out/");
    let [staging] = Dir::names_in(&dir.join("out")).try_into().unwrap();
    assert!(staging.starts_with("_temporary."), "{staging}");
    assert_eq!(mode(&dir.join("out").join(staging)), Some(0o700));
    feed(&dir);
    done(child);
    assert_eq!(mode(&dir.join("out")), Some(0o755));
    for name in ["part-00000", "_SUCCESS", "_REPORT.json"] {
        assert_eq!(mode(&dir.join("out").join(name)), Some(0o644), "{name}");
    }
}

#[test]
fn nobody_else_may_read_what_is_tried() {
    let dir = dir();
    let mut child = spawn(&dir, "verify uniq a.txt");
    let mut seen = Vec::new();
    while child.try_wait().unwrap().is_none() {
        seen.extend(tree(&dir.join("spill")));
        assert_eq!(open_to_others(&dir.join("spill")), Vec::<PathBuf>::new());
    }
    for ending in ["/job.json", ".out"] {
        assert!(seen.iter().any(|path| path.to_str().unwrap().ends_with(ending)), "{ending}");
    }
    done(child);
    assert!(Dir::names_in(&dir.join("spill")).is_empty());
}

#[test]
fn what_a_killed_job_left_is_removed_by_the_next() {
    let dir = dir();
    kill(waiting(&dir, "-o out/"));
    assert_eq!(Dir::names_in(&dir.join("spill")).len(), 1);
    assert_eq!(Dir::names_in(&dir.join("out")).len(), 1);
    // The leftovers aren't a result, so `--force` isn't needed.
    done(spawn(&dir, "run uniq a.txt -o out/"));
    assert!(Dir::names_in(&dir.join("spill")).is_empty());
    assert_eq!(Dir::names_in(&dir.join("out")), ["_REPORT.json", "_SUCCESS", "part-00000"]);

    kill(waiting(&dir, "-o out/ --force"));
    assert_eq!(Dir::names_in(&dir.join("out")).len(), 4);
    done(spawn(&dir, "run uniq a.txt -o out/ --force"));
    assert_eq!(Dir::names_in(&dir.join("out")), ["_REPORT.json", "_SUCCESS", "part-00000"]);
    assert!(Dir::names_in(&dir.join("spill")).is_empty());
}

#[test]
fn of_a_killed_job_nothing_is_left_beside_its_output() {
    let dir = dir();
    let child = waiting(&dir, "-o result");
    // Wait until the job has its output open, under whatever name.
    let descriptors = format!("/proc/{}/fd", child.id());
    let is_output =
        |path: &Path| path.parent() == Some(dir.path()) && !["a.txt", "fifo"].iter().any(|name| path.ends_with(name));
    eventually(|| {
        let opened = fs::read_dir(&descriptors).unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        opened.into_iter().find(|path| is_output(path))
    });
    kill(child);
    assert_eq!(dir.names(), ["a.txt", "fifo", "spill"]);
}

#[test]
fn what_a_living_job_has_made_stays() {
    let dir = dir();
    let child = waiting(&dir, "-o out/ --force");
    let before = (tree(&dir.join("spill")), tree(&dir.join("out")));
    done(spawn(&dir, "run uniq a.txt -o out/ --force"));
    let (spilled, staged) = (tree(&dir.join("spill")), tree(&dir.join("out")));
    assert_eq!(spilled, before.0);
    assert!(before.1.iter().all(|path| staged.contains(path)), "{staged:?}");
    assert_eq!(fs::read_to_string(dir.join("out/part-00000")).unwrap(), "a\t1\nb\t2\n");
    feed(&dir);
    done(child);
    assert_eq!(fs::read_to_string(dir.join("out/part-00000")).unwrap(), "b\na\nb\nb\na\nb\n");
    assert_eq!(Dir::names_in(&dir.join("out")), ["_REPORT.json", "_SUCCESS", "part-00000"]);
    assert!(Dir::names_in(&dir.join("spill")).is_empty());
}

/// If `verify` is killed, the run that it started goes on. The directory of its trials is in use until that run ends.
#[test]
fn a_run_that_outlives_its_trial_keeps_its_directory() {
    let dir = dir().file("long.txt", (0..200_000).map(|i| format!("line {i}\n")).collect::<String>());
    let maker = spawn(&dir, "verify uniq long.txt");
    let stopped = eventually(|| {
        ending(&dir.join("spill"), ".run")?;
        let run = child_of(maker.id())?;
        kill_process(run, Signal::STOP).ok()?;
        Some(run)
    });
    let running = Dir::names_in(&dir.join("spill"));
    kill(maker);
    done(spawn(&dir, "run uniq a.txt -o first"));
    assert_eq!(Dir::names_in(&dir.join("spill")), running);
    assert!(ending(&dir.join("spill"), ".run").is_some());
    kill_process(stopped, Signal::KILL).unwrap();
    eventually(|| {
        done(spawn(&dir, "run uniq a.txt -o second --force"));
        Dir::names_in(&dir.join("spill")).is_empty().then_some(())
    });
}

fn child_of(parent: u32) -> Option<Pid> {
    let is_child = |name: &str| {
        let stat = fs::read_to_string(format!("/proc/{name}/stat")).unwrap_or_default();
        // The line is PID (NAME) STATE PARENT.
        let rest = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        rest.split(' ').nth(1).and_then(|id| id.parse().ok()) == Some(parent)
    };
    let names = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut ids = names.filter(|name| name.bytes().all(|b| b.is_ascii_digit()) && is_child(name));
    Pid::from_raw(ids.next()?.parse().ok()?)
}

/// Runs the job as the user nobody if this process is root's, since root may remove everything. Returns `None` if that
/// isn't possible.
fn spawn_as_nobody(dir: &Dir, args: &str) -> Option<Child> {
    let program = dir.join("mapfold");
    let mut command = Command::new(&program);
    if fs::hard_link(MAPFOLD, &program).is_err() {
        fs::copy(MAPFOLD, &program).unwrap();
    }
    if geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    command.args(args.split(' ')).current_dir(dir.path()).env("TMPDIR", dir.join("spill"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()
}

#[test]
fn what_cannot_be_removed_is_told() {
    let dir = dir();
    for path in ["", "fifo", "spill"] {
        fs::set_permissions(dir.join(path), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let Some(child) = spawn_as_nobody(&dir, "run uniq fifo") else {
        eprintln!("not tested: this process may not start another as nobody");
        return;
    };
    let name = eventually(|| Dir::names_in(&dir.join("spill")).pop());
    let mut fifo = fs::File::options().write(true).open(dir.join("fifo")).unwrap();
    fs::set_permissions(dir.join("spill"), fs::Permissions::from_mode(0o555)).unwrap();
    std::io::Write::write_all(&mut fifo, b"b\na\nb\n").unwrap();
    drop(fifo);
    let output = child.wait_with_output().unwrap();
    let path = dir.join("spill").join(name);
    assert_eq!(stderr(&output), format!("warning: cannot remove {}: permission denied\n", path.display()));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"a\t1\nb\t2\n".as_slice()));
    fs::set_permissions(dir.join("spill"), fs::Permissions::from_mode(0o777)).unwrap();
}

/// A directory of another user is left alone without a message, whether its job is dead or not.
#[test]
fn what_is_another_users_stays() {
    if !geteuid().is_root() {
        eprintln!("not tested: this process may not give directories away");
        return;
    }
    let dir = dir();
    kill(waiting(&dir, "-o out/"));
    let [spilled] = Dir::names_in(&dir.join("spill")).try_into().unwrap();
    std::os::unix::fs::chown(dir.join("spill").join(&spilled), Some(65534), Some(65534)).unwrap();
    done(spawn(&dir, "run uniq a.txt -o result"));
    assert_eq!(Dir::names_in(&dir.join("spill")), [spilled]);
}
