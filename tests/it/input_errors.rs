//! Inputs, outputs and reports that are refused before anything is read.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use crate::harness::{Dir, Ran};

fn dir() -> Dir {
    Dir::new().file("access.log", "a\n").file("empty/.hidden", "")
}

#[test]
fn inputs_that_are_not_there() {
    let dir = dir();
    dir.run("run wordcount acess.log").refused("acess.log: no such file or directory", "did you mean access.log?");
    dir.run("run wordcount access.log empty").refused(
        "empty: is a directory without files",
        "names that start with . or _ and links to directories are skipped",
    );
    dir.run("run wordcount *.gz").refused(
        "*.gz: no such file, and as a glob it matches no file",
        "in a glob * and ? stand for any characters but /, ** for any directories",
    );
    dir.command(["run", "wordcount", ""]).run().refused("an INPUT is the empty string", "");
}

#[test]
fn a_name_that_is_not_utf8_and_not_one_line() {
    let dir = dir();
    let mut command = dir.command(["run", "wordcount"]);
    command.command.arg(OsStr::from_bytes(b"a\nb\xff"));
    command.run().refused("a\\nb\\xff: no such file or directory", "");
}

#[test]
fn standard_input_has_one_use() {
    let spec = r#"{"group_by": ["line"]}"#;
    let dir = dir();
    let run = |args: &str| dir.command(args.split(' ')).stdin(spec).run();
    run("run - -").refused(
        "standard input can't be both the spec and an INPUT",
        "put the spec in a file: mapfold run ./spec.json -",
    );
    run("run -").refused("there is no INPUT, and standard input has the spec", "name a file: mapfold run - FILE");
    run("run uniq - -")
        .refused("standard input is named twice, but can be read only once", "to read a file named -, write ./-");
}

/// Windows that are known are refused before anything is read. Others end the job when they are met.
#[test]
fn windows_beyond_the_memory() {
    let packed = |log| {
        let mut to = zstd::Encoder::new(Vec::new(), 1).unwrap();
        to.window_log(log).unwrap();
        to.write_all(b"a\n").unwrap();
        to.finish().unwrap()
    };
    let dir =
        Dir::new().file("a.zst", packed(27)).file("small", packed(10)).file("grows", [packed(10), packed(27)].concat());
    let run = |args: &str| dir.run(&format!("run uniq {args} --threads 1"));
    let known = "a.zst: takes 128.6 MiB to decompress, but memory is 20 MiB";
    run("small a.zst --memory 20M").refused(known, "use --memory 143M");
    run("small a.zst --memory 143M").printed("a\t2\n");
    run("small --memory 14M").printed("a\t1\n");
    let met = |args: &str, piped: &[u8], name: &str| {
        let run = |memory: &str| {
            let args = format!("run uniq {args} --threads 1 --memory {memory}");
            dir.command(args.split_whitespace()).stdin(piped).run()
        };
        let ran = run("20M");
        let error = format!("error: {name}: is compressed with a window of 128 MiB, which doesn't fit in the memory");
        let stderr = ran.stderr();
        let (first, hint) = stderr.trim_end().split_once('\n').unwrap();
        assert_eq!((ran.code(), first), (Some(1), error.as_str()));
        let enough = hint.strip_prefix("hint: use --memory ").unwrap();
        assert_eq!(run(enough).code(), Some(0), "{}", run(enough).stderr());
        assert_eq!(run("4G").code(), Some(0));
    };
    met("grows", b"", "grows");
    met("- small", &packed(27), "stdin");
}

#[test]
fn what_cannot_be_unpacked() {
    let dir = Dir::new().file("a.xz", b"\xfd7zXZ\0\0");
    dir.run("run wordcount a.xz")
        .refused("a.xz: is compressed by xz, which is not supported", "xzcat a.xz | mapfold … -");
    let dir = dir.file("d/b", b"BZh11AY&SY\0").file("f", "x\n");
    let refused = |ran: Ran, name: &str, hint: &str| {
        ran.refused(&format!("{name}: is compressed by bzip2, which is not supported"), hint);
    };
    refused(dir.run("run wordcount f d"), "d/b", "bzcat d/b | mapfold … -");
    refused(dir.run("run wordcount f d/*"), "d/b", "bzcat d/b | mapfold … -");
    // The format of piped bytes is known only once they are read.
    let piped = dir.command(["run", "wordcount", "f", "-", "-o", "out"]).stdin(b"BZh11AY&SY\0").run();
    refused(piped, "stdin", "decompress it first: … | bzcat | mapfold …");
    assert_eq!(dir.names(), ["a.xz", "d", "f"]);
    // These bytes are too few to be a bzip2 or zstd header.
    assert_eq!(dir.command(["run", "uniq"]).stdin(b"BZh1").run().code(), Some(0));
    assert_eq!(dir.command(["run", "uniq"]).stdin(b"\x28\xb5").run().code(), Some(0));
}

/// A job never answers from a part of a compressed input.
#[test]
fn packed_input_that_is_not_whole() {
    let dir = Dir::new().file("a.gz", b"\x1f\x8b\x08\0\0").file("b.zst", b"\x28\xb5\x2f\xfd\0\0").file("f", "x\n");
    let failed = |ran: Ran, message: &str| {
        assert_eq!((ran.code(), ran.stdout(), ran.stderr()), (Some(1), String::new(), format!("error: {message}\n")));
    };
    failed(dir.run("run wordcount f a.gz"), "a.gz: cannot read at byte 0: the gzip data ends early");
    failed(dir.run("run wordcount f b.zst"), "b.zst: cannot read at byte 6: the zstd data ends early");
    let piped = dir.command(["run", "wordcount", "-", "f"]).stdin(b"\x1f\x8b\x08\xff\0\0\0\0\0\0more").run();
    failed(piped, "stdin: cannot read at byte 0: the gzip data is corrupt: the header is invalid");
}

#[test]
fn outputs_that_cannot_be() {
    let dir = dir().file("old", "precious");
    let run = |output: &str| dir.run(&format!("run wordcount access.log -o {output}"));
    run("old").refused("old: exists", "--force replaces it");
    run("none/out").refused("none/out: there is no directory none", "mkdir -p none");
    run("old/out").refused("old/out: cannot be written: not a directory", "");
    run("old/").refused("old/: is a file, but the output is a directory", "");
    run("access.log --force")
        .refused("access.log: is an INPUT as well as the output", "write to another file, then rename it");
    let ran = run(". --force");
    assert_eq!(ran.code(), Some(2));
    assert!(ran.stderr().contains("which doesn't belong to a result"), "{}", ran.stderr());
    assert_eq!(std::fs::read(dir.join("old")).unwrap(), b"precious");
    assert_eq!(dir.names(), ["access.log", "empty", "old"]);
}

#[test]
fn reports_that_cannot_be() {
    let dir = dir().file("job.json", r#"{"group_by": ["line"]}"#).file("dir.json/x", "");
    let run = |report: &str| dir.run(&format!("run job.json access.log --report {report}"));
    run("r.html").refused("--report r.html: HTML is not supported yet", "");
    run("r").refused("--report r: its ending doesn't say the format", "give it the ending .json: r.json");
    run("r.txt").refused("--report r.txt: its ending doesn't say the format", "give it the ending .json: r.json");
    run("-").refused("--report -: its ending doesn't say the format", "name a file: --report r.json");
    run("none/r.json").refused("--report none/r.json: there is no directory none", "mkdir -p none");
    run("dir.json").refused("--report dir.json: exists and is not a file", "");
    run("./job.json").refused("--report ./job.json: is the JOB", "name another file");
    run("o.json -o ./o.json").refused("--report o.json: is the output", "name another file");
    dir.run("run job.json dir.json --report dir.json/../job.json")
        .refused("--report dir.json/../job.json: is the JOB", "name another file");
}

#[test]
fn a_spill_directory_that_is_not_there() {
    dir().run("run wordcount access.log --spill-dir none").refused(
        "spill directory none (--spill-dir): no such file or directory",
        "name a directory on a disk with free space with --spill-dir",
    );
}
