use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

/// Calls [`super::resolve`] with names.
fn resolve(names: &[PathBuf], stdin: Stdin) -> Result<Vec<Source>> {
    super::resolve(&names.iter().cloned().map(Input::Name).collect::<Vec<_>>(), stdin, &Patience::ENDLESS)
}
use crate::input::Codec;

/// A directory with these files in it. Each file holds its own name.
fn directory(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    dir
}

/// Names of the sources that `name` in `dir` stands for, relative to `dir`.
fn names(dir: &TempDir, name: &str) -> Vec<String> {
    let sources = resolve(&[dir.path().join(name)], Stdin::default()).unwrap();
    let relative = |path: &Path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
    sources
        .iter()
        .map(|source| match source {
            Source::File { path, .. } => relative(path),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Message and hint of the error for `name`, without the directory's own path.
fn refusal(dir: &TempDir, name: &str) -> (String, String) {
    let error = resolve(&[dir.path().join(name)], Stdin::default()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let root = format!("{}/", dir.path().display());
    (error.to_string().replace(&root, ""), error.hint().unwrap_or_default().replace(&root, ""))
}

fn file(path: &Path, len: u64) -> Source {
    let source = Source::file(path).unwrap();
    assert_eq!(source.bytes(), len);
    source
}

#[test]
fn order_and_repeats_are_kept() {
    let dir = directory(&["b", "a"]);
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let found = resolve(&[b.clone(), a.clone(), "-".into(), b.clone()], Stdin::default()).unwrap();
    assert_eq!(found, [file(&b, 1), file(&a, 1), Source::stdin(), file(&b, 1)]);
}

#[test]
fn a_directory_is_its_files_in_the_byte_order_of_their_paths() {
    let dir = directory(&["d/b", "d/a/x", "d/a-1", "d/B", "d/a/y/z", "d/é"]);
    assert_eq!(names(&dir, "d"), ["d/B", "d/a-1", "d/a/x", "d/a/y/z", "d/b", "d/é"]);
}

#[test]
fn a_directory_passes_over_hidden_names_and_links_to_directories() {
    let dir = directory(&["d/x", "d/.git/y", "d/_SUCCESS", "d/_tmp/z", "other/f", "_named/.f", "_named/g"]);
    symlink("../other", dir.path().join("d/link")).unwrap();
    symlink("../other/f", dir.path().join("d/to-file")).unwrap();
    symlink(".", dir.path().join("d/loop")).unwrap();
    assert_eq!(names(&dir, "d"), ["d/to-file", "d/x"]);
    // Files and directories that are named themselves are read.
    assert_eq!(names(&dir, "d/_SUCCESS"), ["d/_SUCCESS"]);
    assert_eq!(names(&dir, "_named"), ["_named/g"]);
    assert_eq!(names(&dir, "d/link"), ["d/link/f"]);
}

#[test]
fn a_directory_passes_over_what_is_no_file() {
    let dir = directory(&["d/x"]);
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("d/socket")).unwrap();
    assert_eq!(names(&dir, "d"), ["d/x"]);
    assert!(refusal(&dir, "d/socket").0.contains("is a socket"));
}

#[test]
fn a_directory_without_files() {
    let dir = directory(&["d/.hidden", "d/_tmp/x"]);
    let hint = "names that start with . or _ and links to directories are skipped";
    assert_eq!(refusal(&dir, "d"), ("d: is a directory without files".into(), hint.into()));
}

#[test]
fn globs() {
    let dir = directory(&["logs/b.log", "logs/a.log", "logs/.c.log", "logs/_d.log", "logs/e.txt", "logs/sub/f.log"]);
    assert_eq!(names(&dir, "logs/*.log"), ["logs/_d.log", "logs/a.log", "logs/b.log"]);
    assert_eq!(names(&dir, "logs/[ab].log"), ["logs/a.log", "logs/b.log"]);
    assert_eq!(names(&dir, "*/?.txt"), ["logs/e.txt"]);
    assert_eq!(names(&dir, "logs/s*"), ["logs/sub/f.log"]);
    assert_eq!(names(&dir, "**/*.log"), ["logs/_d.log", "logs/a.log", "logs/b.log", "logs/sub/f.log"]);
    assert_eq!(names(&dir, "log*/**"), names(&dir, "logs/*"));
    assert_eq!(refusal(&dir, "*.gz").0, "*.gz: no such file, and as a glob it matches no file");
    assert!(refusal(&dir, "[ab").0.starts_with("[ab: no such file, and as a glob: "));
}

#[test]
fn a_file_of_that_very_name_comes_before_the_glob() {
    let dir = directory(&["a*", "ab", "[x]", "x"]);
    assert_eq!(names(&dir, "a*"), ["a*"]);
    assert_eq!(names(&dir, "[x]"), ["[x]"]);
}

#[test]
fn a_missing_file_names_a_similar_one() {
    let dir = directory(&["d/access.log", "d/error.log"]);
    assert_eq!(
        refusal(&dir, "d/acess.log"),
        ("d/acess.log: no such file or directory".into(), "did you mean d/access.log?".into())
    );
    assert_eq!(refusal(&dir, "d/zzz"), ("d/zzz: no such file or directory".into(), String::new()));
    assert_eq!(refusal(&dir, "nowhere/zzz").0, "nowhere/zzz: no such file or directory");
    assert_eq!(refusal(&dir, "d/access.log/x").0, "d/access.log/x: not a directory");
    assert_eq!(resolve(&[PathBuf::new()], Stdin::default()).unwrap_err().to_string(), "an INPUT is the empty string");
}

#[test]
fn a_link_to_nothing() {
    let dir = directory(&["d/x"]);
    symlink("nothing", dir.path().join("d/li*nk")).unwrap();
    assert_eq!(refusal(&dir, "d/li*nk").0, "d/li*nk: no such file or directory");
    assert_eq!(refusal(&dir, "d").0, "d/li*nk: no such file or directory");
}

#[test]
fn unreadable() {
    if rustix::process::geteuid().is_root() {
        return; // root reads everything
    }
    let dir = directory(&["d/f", "e/sub/g"]);
    fs::set_permissions(dir.path().join("d/f"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(dir.path().join("e/sub"), fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(refusal(&dir, "d/f").0, "d/f: permission denied");
    assert_eq!(refusal(&dir, "d").0, "d/f: permission denied");
    assert_eq!(refusal(&dir, "e").0, "e/sub: permission denied");
    fs::set_permissions(dir.path().join("e/sub"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn standard_input() {
    let terminal = Stdin { is_terminal: true, ..Stdin::default() };
    let spec = Stdin { held_spec: true, ..Stdin::default() };
    let dash = || PathBuf::from("-");
    assert_eq!(resolve(&[], Stdin::default()).unwrap(), [Source::stdin()]);
    assert_eq!(resolve(&[dash()], terminal).unwrap(), [Source::stdin()]);
    let message = |names: &[PathBuf], stdin| resolve(names, stdin).unwrap_err().to_string();
    assert_eq!(message(&[], terminal), "there is no INPUT, and standard input is a terminal");
    assert_eq!(message(&[], spec), "there is no INPUT, and standard input has the spec");
    assert_eq!(message(&[dash()], spec), "standard input can't be both the spec and an INPUT");
    assert_eq!(
        message(&[dash(), dash()], Stdin::default()),
        "standard input is named twice, but can be read only once"
    );
}

#[test]
fn what_cannot_be_mapped_is_a_stream() {
    let stream = |path: &str| vec![Source::stream(path.as_ref())];
    let one = |path: &str| resolve(&[path.into()], Stdin::default()).unwrap();
    assert_eq!(one("/dev/null"), stream("/dev/null"));
    assert_eq!(one("/proc/self/status"), stream("/proc/self/status"));
    if Path::new("/sys/kernel/mm/transparent_hugepage/enabled").exists() {
        let file = "/sys/kernel/mm/transparent_hugepage/enabled";
        assert_eq!(one(file), stream(file));
    }
    let dir = directory(&["empty"]);
    fs::write(dir.path().join("empty"), "").unwrap();
    assert_eq!(names(&dir, "empty"), ["empty"]);
}

#[test]
fn a_fifo_is_not_opened() {
    let dir = directory(&[]);
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(resolve(std::slice::from_ref(&fifo), Stdin::default()).unwrap(), [Source::stream(&fifo)]);
    assert!(
        resolve(&[fifo.clone(), fifo], Stdin::default()).unwrap_err().to_string().ends_with("can be read only once")
    );
}

#[test]
fn packed_files_are_known_by_content() {
    let dir = directory(&["z.gz"]);
    fs::write(dir.path().join("a"), b"\x1f\x8b\x08\x00").unwrap();
    fs::write(dir.path().join("b"), b"\x28\xb5\x2f\xfd\x00").unwrap();
    let sources = resolve(&[dir.path().into()], Stdin::default()).unwrap();
    let codec = |source: &Source| match source {
        Source::File { codec, .. } => *codec,
        other => panic!("{other:?}"),
    };
    assert_eq!(sources.iter().map(codec).collect::<Vec<_>>(), [Some(Codec::Gzip), Some(Codec::Zstd), None]);
    assert_eq!(sources.iter().map(Source::is_stream).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn what_cannot_be_unpacked_is_refused() {
    let dir = directory(&[]);
    fs::write(dir.path().join("a.gz"), b"\xfd7zXZ\x00\x00").unwrap();
    fs::write(dir.path().join("b"), b"BZh91AY&SY").unwrap();
    let message = |codec: &str| format!("is compressed by {codec}, which is not supported");
    assert_eq!(refusal(&dir, "a.gz"), (format!("a.gz: {}", message("xz")), "xzcat a.gz | mapfold … -".into()));
    assert_eq!(refusal(&dir, "b"), (format!("b: {}", message("bzip2")), "bzcat b | mapfold … -".into()));
}

#[test]
fn names_need_not_be_utf8_nor_one_line() {
    let dir = directory(&[]);
    let name = dir.path().join(std::ffi::OsStr::from_bytes(b"a\xff\n"));
    fs::write(&name, "x").unwrap();
    assert_eq!(resolve(std::slice::from_ref(&name), Stdin::default()).unwrap(), [file(&name, 1)]);
    assert_eq!(resolve(&[dir.path().into()], Stdin::default()).unwrap(), [file(&name, 1)]);
    fs::remove_file(&name).unwrap();
    let error = resolve(&[name], Stdin::default()).unwrap_err().to_string();
    assert!(error.ends_with("/a\\xff\\n: no such file or directory"), "{error}");
}

/// The path's own time is over, or the plan's.
#[test]
fn a_path_that_does_not_answer() {
    use std::time::Duration;
    let now = Instant::now();
    let look = |after: Duration, patience: &Patience<'_>| {
        let (_to, sources) = bounded(1);
        let look = Look { path: "d/*".into(), timeout: "1s".parse().unwrap(), end: now.checked_add(after), sources };
        look.found(patience)
    };
    let silent = |timeout: Option<&str>| {
        vec![Source::Silent { path: "d/*".into(), timeout: timeout.map(|text| text.parse().unwrap()) }]
    };
    let (soon, late) = (Duration::from_millis(20), Duration::from_secs(3600));
    let until = |after| Patience { until: now.checked_add(after), leaves_out: true, ..Patience::ENDLESS };
    assert_eq!(look(soon, &Patience::ENDLESS).unwrap(), silent(Some("1s")));
    assert_eq!(look(soon, &until(late)).unwrap(), silent(Some("1s")));
    assert_eq!(look(late, &until(soon)).unwrap(), silent(None));
    let check = || Err(Error::Interrupted { signal: 2 });
    let interrupted = Patience { check: &check, ..Patience::ENDLESS };
    assert_eq!(look(late, &interrupted).unwrap_err().to_string(), "interrupted");
}

/// There are so many files that several threads look at them.
#[test]
fn of_many_files_that_cannot_be_read_the_first_is_named() {
    let dir = directory(&[]);
    fs::create_dir(dir.path().join("d")).unwrap();
    for i in 0..3 * WORTHWHILE {
        let contents: &[u8] = if i % 1000 == 700 { b"\xfd7zXZ\x00" } else { b"x" };
        fs::write(dir.path().join(format!("d/{i:05}")), contents).unwrap();
    }
    assert!(refusal(&dir, "d").0.starts_with("d/00700: "));
    for i in [700, 1700, 2700] {
        fs::write(dir.path().join(format!("d/{i:05}")), "x").unwrap();
    }
    let found = names(&dir, "d");
    assert!(found.len() == 3 * WORTHWHILE && found.is_sorted());
}
