use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// Writes a result of `parts` parts, each with this text.
fn write(directory: &Path, parts: usize, text: &str) {
    fs::create_dir_all(directory).unwrap();
    for n in 0..parts {
        fs::write(directory.join(format!("part-{n:05}")), text).unwrap();
    }
    fs::write(directory.join("_REPORT.json"), text).unwrap();
    fs::write(directory.join(SUCCESS), "").unwrap();
}

/// Checks that the directory holds a result of `parts` parts and nothing else.
#[track_caller]
fn holds(directory: &Path, parts: usize, text: &str) {
    let found = names(directory).unwrap();
    assert_eq!(found.len(), fs::read_dir(directory).unwrap().count(), "more than a result");
    assert_eq!(found.len(), parts + 2);
    for name in &found[..=parts] {
        assert_eq!(fs::read_to_string(directory.join(name)).unwrap(), text, "{name:?}");
    }
}

struct Case {
    dir: tempfile::TempDir,
    temporaries: Temporaries,
}

impl Case {
    /// Makes a directory `d` with an old result of three parts.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("d"), 3, "old");
        Case { dir, temporaries: Temporaries::default() }
    }

    fn d(&self) -> PathBuf {
        self.dir.path().join("d")
    }

    /// Stages a new result of two parts.
    fn staged(&self, directory: &Path) -> Scratch {
        let staging = stage(directory, &self.temporaries).unwrap();
        write(&staging.path().join(RESULT), 2, "new");
        staging
    }

    fn inode(&self) -> u64 {
        fs::metadata(self.d()).unwrap().ino()
    }

    /// Publishes over the old result. Returns whether `d` is another directory afterwards.
    fn replaced(&self, directory: &Path) -> bool {
        let (before, mut staging) = (self.inode(), self.staged(directory));
        publish(&mut staging, directory, true, true).unwrap();
        drop(staging);
        holds(directory, 2, "new");
        assert!(self.temporaries.take_unremoved().is_empty());
        self.inode() != before
    }

    fn names(&self) -> usize {
        fs::read_dir(self.dir.path()).unwrap().count()
    }
}

#[test]
fn results_exchange_their_names() {
    let case = Case::new();
    fs::set_permissions(case.d(), fs::Permissions::from_mode(0o2751)).unwrap();
    assert!(case.replaced(&case.d()));
    assert_eq!(fs::metadata(case.d()).unwrap().permissions().mode() & 0o7777, 0o2751);
    assert!(case.replaced(&case.d().join("")));
    assert_eq!(case.names(), 1);
}

#[test]
fn a_directory_that_is_known_by_more_than_its_name_stays() {
    let case = Case::new();
    let link = case.dir.path().join("link");
    symlink("d", &link).unwrap();
    assert!(!case.replaced(&link));
    assert!(!case.replaced(&link.join("")));
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("d"));
}

#[test]
fn what_another_job_stages_stays() {
    let case = Case::new();
    let other = case.staged(&case.d());
    let (before, mut staging) = (case.inode(), case.staged(&case.d()));
    publish(&mut staging, &case.d(), true, true).unwrap();
    drop(staging);
    assert_eq!(case.inode(), before);
    holds(&other.path().join(RESULT), 2, "new");
    drop(other);
    holds(&case.d(), 2, "new");
}

#[test]
fn what_somebody_puts_there_in_the_last_moment_stays() {
    let case = Case::new();
    let other = case.dir.path().join("other");
    write(&other, 1, "other");
    fs::write(other.join("theirs"), "theirs").unwrap();
    exchange::return_what_is_not_ours(&other, &case.d()).unwrap();
    assert_eq!(fs::read_to_string(case.d().join("theirs")).unwrap(), "theirs");
    holds(&other, 1, "other");
}

/// The job was killed after the names were exchanged and before the old result was removed.
#[test]
fn a_job_that_was_killed_when_it_had_exchanged() {
    let case = Case::new();
    let aside = exchange::aside(&case.d()).unwrap();
    write(&aside.join(RESULT), 1, "older");
    fs::write(aside.join(RESULT).join("theirs"), "theirs").unwrap();
    drop(case.staged(&case.d()));
    assert!(aside.exists(), "without a lock file it isn't known to be a job's");
    fs::write(aside.join(".mapfold-lock"), "").unwrap();
    drop(case.staged(&case.d()));
    assert_eq!(case.names(), 1);
    assert_eq!(fs::read_to_string(case.d().join("theirs")).unwrap(), "theirs");
    fs::remove_file(case.d().join("theirs")).unwrap();
    holds(&case.d(), 3, "old");
}

#[test]
fn without_a_lock_or_force_files_are_renamed() {
    let case = Case::new();
    let (before, mut staging) = (case.inode(), case.staged(&case.d()));
    publish(&mut staging, &case.d(), true, false).unwrap();
    drop(staging);
    holds(&case.d(), 2, "new");
    assert_eq!(case.inode(), before);

    let mut staging = case.staged(&case.d());
    let error = publish(&mut staging, &case.d(), false, true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    drop(staging);
    holds(&case.d(), 2, "new");
}

/// A rename fails after the old result was moved away and half of the new one moved in.
#[test]
fn what_cannot_be_replaced_is_as_it_was() {
    let case = Case::new();
    let mut staging = case.staged(&case.d());
    fs::remove_file(case.d().join("part-00001")).unwrap();
    fs::create_dir(case.d().join("part-00001")).unwrap();
    let error = in_place(&mut staging, &case.d(), true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    drop(staging);
    fs::remove_dir(case.d().join("part-00001")).unwrap();
    fs::write(case.d().join("part-00001"), "old").unwrap();
    holds(&case.d(), 3, "old");
}

/// A job is killed between any two renames: the next job leaves one of the two results, complete.
#[test]
fn a_job_that_was_killed_while_it_published() {
    for killed_after in 0..=9 {
        let case = Case::new();
        let staging = case.staged(&case.d());
        let [result, old] = [RESULT, OLD].map(|name| staging.path().join(name));
        fs::create_dir(&old).unwrap();
        let mut olds = names(&case.d()).unwrap();
        olds.reverse();
        let away = olds.iter().map(|name| (case.d().join(name), old.join(name)));
        let news = names(&result).unwrap();
        let there = news.iter().map(|name| (result.join(name), case.d().join(name)));
        let renames: Vec<_> = away.chain(there).collect();
        assert_eq!(renames.len(), 9);
        for (from, to) in &renames[..killed_after] {
            fs::rename(from, to).unwrap();
        }
        recover(staging.path(), &case.d()).unwrap();
        drop(staging);
        let (parts, text) = if killed_after <= 5 { (3, "old") } else { (2, "new") };
        holds(&case.d(), parts, text);
    }
}
