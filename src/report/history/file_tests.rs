use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::super::{COUNTED, ReadBy, SourceOutcome};
use super::*;

fn entry(run: usize, source: &str) -> Entry {
    Entry {
        run: format!("run-{run}"),
        when: 1,
        source: source.to_owned(),
        how: ReadBy::Read,
        outcome: SourceOutcome::Ok,
        bytes: 10,
        seconds: 1.0,
        reading_seconds: 1.0,
        first_byte_seconds: None,
    }
}

fn new() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.jsonl");
    (dir, path)
}

fn lines_of(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

fn runs(path: &Path, source: &str) -> Vec<String> {
    read(path).unwrap().history.of_source(source).map(|entry| entry.run.clone()).collect()
}

#[test]
fn appended_is_read_again() {
    let (dir, path) = new();
    assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::NotFound);
    append(&path, &[]).unwrap();
    assert!(!path.exists());
    append(&path, &[entry(0, "a"), entry(0, "b")]).unwrap();
    append(&path, &[entry(1, "a")]).unwrap();
    let held = read(&path).unwrap();
    assert_eq!(held.history.entries, [entry(0, "a"), entry(0, "b"), entry(1, "a")]);
    assert!(held.passed_over.is_empty() && fs::read_dir(dir.path()).unwrap().count() == 1);
}

#[test]
fn lines_that_are_no_entries_are_passed_over() {
    let (_dir, path) = new();
    append(&path, &[entry(0, "a")]).unwrap();
    let line = fs::read(&path).unwrap();
    // The last line is torn.
    fs::write(&path, [&b"notes\n\n"[..], &line, &line[..20]].concat()).unwrap();
    let held = prepare(&path).unwrap();
    assert_eq!((held.history.entries.len(), &held.passed_over[..], held.is_foreign()), (1, &[1, 4][..], false));
    append(&path, &[entry(1, "a")]).unwrap();
    assert_eq!((runs(&path, "a").len(), read(&path).unwrap().passed_over), (2, vec![1, 4]));
    fs::write(&path, "notes\nof\nmine\n").unwrap();
    assert!(prepare(&path).unwrap().is_foreign());
    fs::write(&path, "\n").unwrap();
    assert!(!prepare(&path).unwrap().is_foreign());
}

#[test]
fn one_that_is_four_times_as_long_as_what_counts_is_compacted() {
    let (dir, path) = new();
    let link = dir.path().join("link");
    append(&path, &[entry(0, "rare")]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("h.jsonl", &link).unwrap();
    // 101 lines count.
    let most = COMPACTED * (COUNTED + 1);
    let many: Vec<_> = (1..most).map(|run| entry(run, "a")).collect();
    append(&link, &many).unwrap();
    assert_eq!(lines_of(&path), most);
    append(&link, &[entry(most, "a")]).unwrap();
    assert_eq!(lines_of(&path), COUNTED + 1);
    assert_eq!(runs(&path, "rare"), ["run-0"]);
    let expected: Vec<_> = (most - COUNTED + 1..=most).map(|run| format!("run-{run}")).collect();
    assert_eq!(runs(&path, "a"), expected);
    // The file keeps its permissions, the link still leads to it, and no other file is left.
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(link.is_symlink() && fs::read_dir(dir.path()).unwrap().count() == 2);
    append(&path, &[entry(0, "b")]).unwrap();
    assert_eq!(lines_of(&path), COUNTED + 2);
}

/// A writer that waits for the lock while the file is replaced appends to the new file.
#[test]
fn nothing_is_appended_to_a_file_that_is_gone() {
    let (_dir, path) = new();
    append(&path, &[entry(0, "a")]).unwrap();
    let held = locked(&path, || open(&path), File::try_lock).unwrap();
    thread::scope(|scope| {
        let appending = scope.spawn(|| append(&path, &[entry(1, "a")]));
        thread::sleep(Duration::from_millis(50));
        let text = fs::read(&path).unwrap();
        assert!(!appending.is_finished());
        // The new file isn't locked.
        path::replace(&path, |mut new| new.write_all(&text)).unwrap();
        drop(held);
        appending.join().unwrap().unwrap();
    });
    assert_eq!(runs(&path, "a"), ["run-0", "run-1"]);
}

/// Several writers at once, also while the file is compacted again and again. Threads test this as well as processes
/// would: each opens the file anew.
#[test]
fn many_at_once() {
    let (_dir, path) = new();
    let path = &path;
    thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                for run in 0..50 {
                    let common = (0..20).map(|_| entry(run, "common"));
                    let entries: Vec<_> = common.chain([entry(run, &format!("w{writer}"))]).collect();
                    append(path, &entries).unwrap();
                    assert!(read(path).unwrap().passed_over.is_empty());
                }
            });
        }
    });
    let expected: Vec<_> = (0..50).map(|run| format!("run-{run}")).collect();
    for writer in 0..4 {
        assert_eq!(runs(path, &format!("w{writer}")), expected);
    }
    // 300 of 4,200 lines count.
    assert_eq!(runs(path, "common").len(), COUNTED);
    assert!(lines_of(path) <= COMPACTED * 300, "{}", lines_of(path));
}

#[test]
fn where_there_is_no_room_nothing_is_written() {
    let full = File::options().read(true).write(true).open("/dev/full").unwrap();
    assert_eq!(write(&full, b"text\n".to_vec()).unwrap_err().kind(), ErrorKind::StorageFull);
}
