//! A new result replaces an older one in a directory. At each moment one of the two is there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::Dir;

const MAPFOLD: &str = env!("CARGO_BIN_EXE_mapfold");

const RESULT: [&str; 3] = ["_REPORT.json", "_SUCCESS", "part-00000"];

fn dir() -> Dir {
    let dir = Dir::new().file("a.txt", "b\na\nb\n").file("old.txt", "old\n");
    dir.run("run uniq old.txt -o out/").printed("");
    dir
}

fn bash(dir: &Dir, script: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(dir.path()).env("TMPDIR", dir.path()).env("M", MAPFOLD);
    command.stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

fn part(dir: &Dir) -> String {
    fs::read_to_string(dir.join("out/part-00000")).unwrap()
}

fn inode(dir: &Dir) -> u64 {
    fs::metadata(dir.join("out")).unwrap().ino()
}

/// The parts stay below the limit on the size of files, and the report exceeds it.
#[test]
fn without_its_report_a_result_is_none() {
    let dir = dir();
    let failed = |output: &str| {
        let ran = bash(&dir, &format!("ulimit -f 1; exec $M run uniq a.txt -o {output}"));
        let name = output.split(' ').next().unwrap();
        let hint = "hint: allow larger files (ulimit -f)";
        let error = format!("error: cannot write {name}: file too large\n{hint}\n");
        assert_eq!(String::from_utf8_lossy(&ran.stderr), error);
        assert_eq!(ran.status.code(), Some(1));
    };
    let report = fs::read(dir.join("out/_REPORT.json")).unwrap();
    failed("out/ --force");
    assert_eq!((Dir::names_in(&dir.join("out")), part(&dir).as_str()), (RESULT.map(String::from).into(), "old\t1\n"));
    assert_eq!(fs::read(dir.join("out/_REPORT.json")).unwrap(), report);
    failed("new/");
    assert_eq!(dir.names(), ["a.txt", "old.txt", "out"]);
    fs::create_dir(dir.join("empty")).unwrap();
    failed("empty/");
    assert!(Dir::names_in(&dir.join("empty")).is_empty());
}

#[test]
fn a_directory_keeps_its_permissions() {
    let dir = dir();
    fs::set_permissions(dir.join("out"), fs::Permissions::from_mode(0o710)).unwrap();
    let before = inode(&dir);
    dir.run("run uniq a.txt -o out --force").printed("");
    assert_eq!(part(&dir), "a\t1\nb\t2\n");
    assert_eq!(fs::metadata(dir.join("out")).unwrap().mode() & 0o7777, 0o710);
    assert_ne!(inode(&dir), before, "the names were exchanged");
    assert_eq!(dir.names(), ["a.txt", "old.txt", "out"]);
}

/// A directory that is known by more than its name stays, and its contents are replaced.
#[test]
fn a_directory_that_must_stay() {
    let dir = dir();
    let before = inode(&dir);
    symlink("out", dir.join("link")).unwrap();
    dir.run("run uniq a.txt -o link/ --force").printed("");
    assert_eq!(part(&dir), "a\t1\nb\t2\n");
    for here in ["-o .", "-o ../out/", "-o $PWD"] {
        succeeded(&bash(&dir, &format!("cd out && $M run uniq ../old.txt {here} --force && ls part-00000 > ../seen")));
        assert_eq!(part(&dir), "old\t1\n", "{here}");
        assert_eq!(fs::read_to_string(dir.join("seen")).unwrap(), "part-00000\n", "{here}");
        dir.run("run uniq a.txt -o link --force").printed("");
    }
    assert_eq!((inode(&dir), Dir::names_in(&dir.join("out"))), (before, RESULT.map(String::from).into()));
    assert_eq!(fs::read_link(dir.join("link")).unwrap().to_str(), Some("out"));
}

#[test]
fn a_mount_point_stays() {
    let dir = dir();
    let script = "mount --bind other out && $M run uniq old.txt -o out/ && $M run uniq a.txt -o out/ --force && \
        ls -A out . && cat out/part-00000 && umount out && cat out/part-00000";
    fs::create_dir(dir.join("other")).unwrap();
    let mounted = |script: &str| bash(&dir, &format!("unshare -rm bash -c '{script}'"));
    if !mounted("mount --bind other out").status.success() {
        eprintln!("not tested: nothing can be mounted here");
        return;
    }
    let output = mounted(script);
    succeeded(&output);
    let lists = ".:\na.txt\nold.txt\nother\nout\n\nout:\n_REPORT.json\n_SUCCESS\npart-00000\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{lists}a\t1\nb\t2\nold\t1\n"));
}

/// Whoever opens the directory finds all of one result in it.
#[test]
fn a_reader_sees_the_old_result_or_the_new() {
    let dir = dir().file("long.txt", (0..40).map(|i| format!("new {i:02}\n")).collect::<String>());
    dir.run("run uniq old.txt -o out/ --force --set output.part_size=1").printed("");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                let before = inode(&dir);
                let names = Dir::names_in(&dir.join("out"));
                // A directory that was replaced while it was listed may be half removed.
                if inode(&dir) == before {
                    let parts = names.iter().filter(|name| name.starts_with("part-")).count();
                    assert!([1, 40].contains(&parts), "{names:?}");
                    assert_eq!(names[..2], RESULT[..2]);
                    seen += 1;
                }
            }
            seen
        });
        for input in ["long.txt", "old.txt"].repeat(5) {
            dir.run(&format!("run uniq {input} -o out/ --force --set output.part_size=1")).printed("");
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}
