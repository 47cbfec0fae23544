//! Files that are hard to read: endless records, holes, files that change during the job, file names of all kinds.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, mknodat};

use crate::harness::{Dir, Ran};

const MIB: usize = 1 << 20;

#[track_caller]
fn failed(ran: &Ran, error: &str, hint: &str) {
    assert_eq!((ran.code(), ran.stdout()), (Some(1), String::new()), "{}", ran.stderr());
    let hint = if hint.is_empty() { String::new() } else { format!("hint: {hint}\n") };
    assert_eq!(ran.stderr(), format!("error: {error}\n{hint}"));
}

fn peak_rss(dir: &Dir) -> usize {
    let report: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    report["peak_rss_bytes"].as_u64().unwrap() as usize
}

#[test]
fn records_as_long_as_they_may_be_and_longer() {
    for most in [10, 300 << 10, 3 * MIB] {
        let (short, longest) = ("short".len().min(most), "x".repeat(most));
        for end in ["", "\n", "\r\n"] {
            let text = format!("{}\n{longest}{end}", &"short"[..short]);
            let dir = Dir::new().file("f", &text).file("g", text.replacen('x', "xx", 1));
            let file = |name: &str, settings: &str| {
                dir.run(&format!("run uniq {name} --set read.max_record={most} {settings}"))
            };
            let stdin = |name: &str| {
                let set = format!("read.max_record={most}");
                let command = dir.command(["run", "uniq", "--memory", "64M", "--set", set.as_str()]);
                command.stdin(fs::read(dir.join(name)).unwrap()).run()
            };
            let expected = format!("short\t1\n{longest}\t1\n");
            let message = |name: &str| {
                let shown = [(10, "10 bytes"), (300 << 10, "300 KiB"), (3 * MIB, "3 MiB")];
                let shown = shown.iter().find(|(bytes, _)| *bytes == most).unwrap().1;
                format!("{name}: the record at byte 6 is longer than {shown}, the read.max_record of this job")
            };
            let raise = [(10, "80"), (300 << 10, "3M"), (3 * MIB, "24M")].iter().find(|(m, _)| *m == most).unwrap().1;
            let hint =
                format!("a newline ends a record; if this is one record, allow it: --set read.max_record={raise}");
            for settings in
                ["--memory 64M", "--memory 64M --split-size 3", "--memory 64M --split-size 100K --threads 3"]
            {
                if most > 10 && settings.ends_with(" 3") {
                    continue; // one task per few bytes would be too many
                }
                let ran = file("f", settings);
                assert!(ran.code() == Some(0) && ran.stdout() == expected, "{most} {end:?} {}", ran.stderr());
                failed(&file("g", settings), &message("g"), &hint);
            }
            let ran = stdin("f");
            assert!(ran.code() == Some(0) && ran.stdout() == expected, "{most} {end:?} {}", ran.stderr());
            failed(&stdin("g"), &message("stdin"), &hint);
        }
    }
}

#[test]
fn the_longest_that_records_may_be_asked_to_be() {
    let dir = Dir::new().file("f", "a\n");
    dir.run("run uniq f --set read.max_record=2G").printed("a\t1\n");
    dir.run("run uniq f --set read.max_record=2049M").refused("uniq: read.max_record: must be at most 2G", "");
    let ran = dir.run("run uniq f --set read.max_record=0");
    assert_eq!((ran.code(), ran.stderr().contains("read.max_record: must be at least 1 byte")), (Some(2), true));
}

/// The memory that the message names is enough, and is about what the job takes.
#[test]
fn a_record_and_the_memory_that_it_needs() {
    let line = format!("a\n{}\n", "x".repeat(40 * MIB));
    let dir = Dir::new().file("f", &line);
    let ran = dir.run("run uniq f --memory 16M --threads 2");
    let error = "f: the record at byte 2, of 40 MiB, doesn't fit in the memory of a thread";
    failed(&ran, error, "use --memory 574M, or fewer --threads");
    // A thread's memory has room for the record, but not for the copies of its row.
    failed(&dir.run("run uniq f --memory 94M --threads 2"), error, "use --memory 574M, or fewer --threads");
    let ran = dir.run("run uniq f --memory 294M --threads 1 --report r.json");
    assert!(ran.code() == Some(0) && ran.stdout() == format!("a\t1\n{}\t1\n", &line[2..line.len() - 1]));
    let peak = peak_rss(&dir);
    assert!(peak < (294 + 24) * MIB, "{} MiB", peak / MIB);
}

/// A long line isn't copied in memory beside its mapping, whether its words are counted or the tokeniser finds none.
#[test]
fn a_long_line_is_not_copied_to_count_its_words() {
    let words = "it is a truth universally acknowledged ";
    let dir = Dir::new().file("words", words.repeat(24 * MIB / words.len()));
    File::create(dir.join("nul")).unwrap().set_len(24 * MIB as u64).unwrap();
    for (name, expected) in [("words", 6), ("nul", 0)] {
        let ran = dir.run(&format!("run wordcount {name} --memory 38M --threads 1 --report r.json"));
        assert_eq!((ran.code(), ran.stdout().lines().count()), (Some(0), expected), "{}", ran.stderr());
        let peak = peak_rss(&dir);
        assert!(peak < (24 + 24) * MIB, "{name}: {} MiB", peak / MIB);
    }
}

/// A long line isn't copied for each of the words that are sorted with it.
#[test]
fn a_long_line_that_is_in_every_record_is_held_a_few_times() {
    let words: String = (0..300).map(|i| format!("{}{} ", 300 - i, "x".repeat(3000))).collect();
    let dir = Dir::new().file("words", &words);
    let spec = r#"{"map": [{"split": "line", "on": "whitespace", "as": "word"}], "sort": ["word"], "limit": 1}"#;
    let dir = dir.file("sorted.json", spec);
    let ran = dir.run("run sorted.json words --memory 20M --threads 1 --report r.json");
    assert!(ran.stdout() == format!("{words}\t100{}\n", "x".repeat(3000)), "{}", ran.stderr());
    let peak = peak_rss(&dir);
    assert!(peak < (16 + 24) * MIB, "{} MiB", peak / MIB);
}

/// A file of 10 GiB that takes no space on disk. The search for a newline goes no further than a record may reach.
#[test]
fn a_hole_of_many_gigabytes() {
    let dir = Dir::new().file("empty", "").file("lines", "a\n");
    for name in ["empty", "lines"] {
        let mut file = File::options().append(true).open(dir.join(name)).unwrap();
        file.set_len(10 << 30).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(b"\nb\n").unwrap();
    }
    let hint = "a newline ends a record; if this is one record, allow it: --set read.max_record=32M";
    for (name, at) in [("empty", 0), ("lines", 2)] {
        for settings in ["", "--split-size 1M", "--split-size 20G --threads 1"] {
            let started = Instant::now();
            let run = format!("run wordcount {name} --set read.max_record=4M --report r.json {settings}");
            let error =
                format!("{name}: the record at byte {at} is longer than 4 MiB, the read.max_record of this job");
            failed(&dir.run(&run), &error, hint);
            assert!(started.elapsed() < Duration::from_secs(30), "{settings} {:?}", started.elapsed());
            assert!(peak_rss(&dir) < 200 * MIB, "{settings}");
        }
    }
    let mut hole = File::open(dir.join("lines")).unwrap();
    let mut piped = dir.command(["run", "uniq", "-", "--set", "read.max_record=4M"]).command;
    hole.rewind().unwrap();
    let output = piped.stdin(Stdio::from(hole)).output().unwrap();
    failed(&Ran { output }, "stdin: the record at byte 2 is longer than 4 MiB, the read.max_record of this job", hint);
}

/// A hole between short records is a record of NULs.
#[test]
fn holes_that_records_may_have() {
    let dir = Dir::new();
    let file = File::create(dir.join("f")).unwrap();
    for i in 0..6 {
        file.write_all_at(b"\nline\n", i << 20).unwrap();
    }
    for settings in ["", "--split-size 100K --threads 3"] {
        dir.run(&format!("run wordcount f {settings}")).printed("line\t6\n");
        let ran = dir.run(&format!("run uniq f {settings}"));
        assert_eq!(ran.stdout(), format!("\t1\n{}\t5\nline\t6\n", "\0".repeat(MIB - 6)));
    }
}

/// Starts a job over a FIFO followed by `f`, and calls `meanwhile` once the job is planned. The records pass through in
/// the order of the input, so the job opens `f` only when the FIFO has ended.
fn meanwhile(dir: &Dir, meanwhile: impl FnOnce()) -> Output {
    fs::write(dir.join("lines.json"), r#"{"select": ["line"]}"#).unwrap();
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    let mut job = dir.command("run lines.json fifo f -o out".split(' ')).command;
    let child = job.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Opening the FIFO waits until the job has opened it, which happens after planning.
    let fifo = File::options().write(true).open(dir.join("fifo")).unwrap();
    meanwhile();
    drop(fifo);
    child.wait_with_output().unwrap()
}

type Change<'c> = &'c dyn Fn(&Dir);

/// Numbers of lines of a file that is read and of a file that is mapped.
const LINES: [usize; 2] = [1, 300 << 10];

#[test]
fn a_file_that_grows_is_what_it_was() {
    for lines in LINES {
        let dir = Dir::new().file("f", format!("{}torn", "a\n".repeat(lines)));
        let output = meanwhile(&dir, || {
            File::options().append(true).open(dir.join("f")).unwrap().write_all(b" no more\nnew\n").unwrap();
        });
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(fs::read_to_string(dir.join("out")).unwrap() == format!("{}torn\n", "a\n".repeat(lines)));
    }
}

#[test]
fn a_file_that_is_cut_or_replaced_is_an_error() {
    for lines in LINES {
        let cut = |dir: &Dir| File::options().write(true).open(dir.join("f")).unwrap().set_len(1).unwrap();
        let replaced = |dir: &Dir| {
            fs::write(dir.join("new"), "b\n".repeat(2 * lines)).unwrap();
            fs::rename(dir.join("new"), dir.join("f")).unwrap();
        };
        let removed = |dir: &Dir| fs::remove_file(dir.join("f")).unwrap();
        let changes: [(Change<'_>, &str); 3] = [
            (&cut, "the file became shorter while the job ran"),
            (&replaced, "another file took its name while the job ran"),
            (&removed, "no such file or directory"),
        ];
        for (change, error) in changes {
            let dir = Dir::new().file("f", "a\n".repeat(lines));
            let output = meanwhile(&dir, || change(&dir));
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            assert!(
                stderr.starts_with("error: f: cannot read at byte ") && stderr.ends_with(&format!(": {error}\n")),
                "{stderr}"
            );
            assert!(!dir.join("out").exists());
        }
    }
}

/// The change is an error, whether the job reads the file before or after it.
#[test]
fn a_file_that_is_changed_in_place_is_an_error() {
    let failed = |output: &Output| {
        let hint = "hint: run the job again when nothing writes to the file; only appending to it does no harm\n";
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr, format!("error: f: was changed while the job ran\n{hint}"));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    };
    // `fs::write` isn't used, because it would truncate the file first.
    let overwrite = |dir: &Dir, bytes: &[u8]| {
        File::options().write(true).open(dir.join("f")).unwrap().write_all(bytes).unwrap();
    };
    for lines in LINES {
        for pack in [<[u8]>::to_vec, |text: &[u8]| zstd::encode_all(text, 3).unwrap()] {
            let new = || {
                let [old, new] = ["a\n", "b\n"].map(|line| pack(line.repeat(lines).as_bytes()));
                assert_eq!(old.len(), new.len());
                let dir = Dir::new().file("f", &old);
                File::options().write(true).open(dir.join("f")).unwrap().set_modified(UNIX_EPOCH).unwrap();
                (dir, new)
            };
            let (dir, new_bytes) = new();
            failed(&meanwhile(&dir, || overwrite(&dir, &new_bytes)));
            assert!(!dir.join("out").exists());

            let (dir, new_bytes) = new();
            mknodat(CWD, dir.join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
            for output in ["-o out", "", "--unordered"] {
                failed(&dir.meanwhile(&format!("f {output}"), || {
                    let run = || {
                        let spill = dir.names().into_iter().find(|name| name.starts_with("mapfold-"));
                        fs::metadata(dir.join(&spill.unwrap()).join("map-00000-0.run")).map_or(0, |run| run.len())
                    };
                    while run() == 0 {
                        thread::sleep(Duration::from_millis(1));
                    }
                    overwrite(&dir, &new_bytes);
                }));
                assert_eq!(dir.names(), ["f", "fifo"]);
                File::options().write(true).open(dir.join("f")).unwrap().set_modified(UNIX_EPOCH).unwrap();
            }
        }
    }
}

#[test]
fn byte_order_marks() {
    const MARK: &str = "\u{feff}";
    let cases = [
        (format!("{MARK}a\na\n"), "a\t2\n".to_owned()),
        (format!("{MARK}a"), "a\t1\n".into()),
        (MARK.into(), String::new()),
        (format!("{MARK}\n"), "\t1\n".into()),
        (format!("{MARK}{MARK}a\n{MARK}a\n"), format!("{MARK}a\t2\n")),
        ("\u{fe00}a\n".into(), "\u{fe00}a\t1\n".into()),
    ];
    for (text, expected) in cases {
        let dir = Dir::new().file("f", &text);
        for settings in ["", "--split-size 1", "--split-size 2 --threads 3", "--set read.max_record=10"] {
            dir.run(&format!("run uniq f {settings}")).printed(&expected);
            let args = format!("run uniq - {settings}");
            dir.command(args.split_whitespace()).stdin(text.as_str()).run().printed(&expected);
        }
    }
    let dir = Dir::new().file("d/1", format!("{MARK}a\n")).file("d/2", format!("{MARK}a\n")).file("d/3", MARK);
    let dir = dir.file("d/4", format!("{MARK}a")).file("d/5", format!("{MARK}a"));
    for settings in ["", "--split-size 6", "--split-size 1"] {
        dir.run(&format!("run uniq d {settings}")).printed("a\t4\n");
    }
}

#[test]
fn one_byte_and_one_kind_of_byte() {
    let nuls = "\0".repeat(1000);
    let cases =
        [("x".into(), "x\t1\n".into()), (nuls.clone(), format!("{nuls}\t1\n")), ("\r\n".repeat(300), "\t300\n".into())];
    for (text, expected) in cases {
        let dir = Dir::new().file("f", &text).file("g", "");
        for settings in ["", "--split-size 1", "--split-size 7 --threads 5"] {
            let ran = dir.run(&format!("run uniq g f g {settings}"));
            assert_eq!((ran.code(), ran.stdout()), (Some(0), expected.clone()), "{}", ran.stderr());
        }
    }
    let dir = Dir::new();
    fs::create_dir(dir.join("empty")).unwrap();
    let hint = "names that start with . or _ and links to directories are skipped";
    dir.run("run uniq empty").refused("empty: is a directory without files", hint);
}

#[test]
fn links_that_lead_nowhere() {
    let dir = Dir::new().file("f", "a\n").file("d/f", "a\n");
    symlink("nowhere", dir.join("dangling")).unwrap();
    symlink("round", dir.join("about")).unwrap();
    symlink("about", dir.join("round")).unwrap();
    dir.run("run uniq dangling").refused("dangling: no such file or directory", "");
    dir.run("run uniq f round").refused("round: too many levels of symbolic links", "");
    dir.run("run uniq f/").refused("f/: not a directory", "");
    // A directory that contains itself is read once. A broken link in a directory is an error.
    symlink(".", dir.join("d/self")).unwrap();
    dir.run("run uniq d").printed("a\t1\n");
    symlink("../about", dir.join("d/link")).unwrap();
    dir.run("run uniq d").refused("d/link: too many levels of symbolic links", "");
}

/// If the end of the record is near, the hint names a limit that is enough.
#[test]
fn a_record_whose_length_is_known() {
    let text = format!("a\n{}\nb\n", "x".repeat(1000));
    let dir = Dir::new().file("f", &text).file("t.csv", format!("k\n{text}"));
    for (command, place) in
        [("run uniq f", "f: the record at byte 2"), ("agg count t.csv", "t.csv: the record at byte 4")]
    {
        failed(
            &dir.run(&format!("{command} --set read.max_record=5")),
            &format!("{place} is longer than 5 bytes, the read.max_record of this job"),
            "a newline ends a record; if this is one record, allow it: --set read.max_record=1001",
        );
        assert_eq!(dir.run(&format!("{command} --set read.max_record=1001")).code(), Some(0));
    }
}

#[test]
fn a_message_about_an_odd_name_is_one_line() {
    let dir = Dir::new();
    let name = OsStr::from_bytes(b"-a\nb\t\xff[x]*");
    fs::write(dir.path().join(name), "longer than it may be\n").unwrap();
    let mut command = dir.command(["run", "uniq", "--set", "read.max_record=5", "--"]);
    command.command.arg(name);
    failed(
        &command.run(),
        "-a\\nb\\t\\xff[x]*: the record at byte 0 is longer than 5 bytes, the read.max_record of this job",
        "a newline ends a record; if this is one record, allow it: --set read.max_record=40",
    );
}
