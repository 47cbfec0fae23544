//! Completions: each shell accepts its script, and bash offers the right words. zsh and fish are tested where they are
//! installed.

use std::process::{Command, Stdio};

use crate::harness::Dir;

const MAPFOLD: &str = env!("CARGO_BIN_EXE_mapfold");

fn dir() -> Dir {
    Dir::new().file("book.txt", "a\n").file("my job.json", "{}").file("sub/x", "")
}

/// Returns the standard output of `script`, which `shell` runs in `dir` with `$M` as mapfold; `None` if the shell isn't
/// installed.
fn shell(dir: &Dir, shell: &str, script: &str) -> Option<String> {
    let mut command = Command::new(shell);
    command.args(["-c", script]).current_dir(dir.path()).env("M", MAPFOLD).stdin(Stdio::null());
    let output = command.output().ok()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{shell}: {script}: {stderr}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Returns what bash's function offers for the last of these words, sorted. Nothing means that bash completes files.
fn bash(words: &str) -> Vec<String> {
    let script = format!(
        r#"source <("$M" completions bash); compopt() {{ :; }}
        complete -p mapfold | grep -q -- '-o default -F _mapfold_words' || exit 1
        COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _mapfold_words mapfold "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
        [ ${{#COMPREPLY[@]}} = 0 ] || printf '%s\n' "${{COMPREPLY[@]}}""#
    );
    let mut offered: Vec<String> = shell(&dir(), "bash", &script).unwrap().lines().map(str::to_owned).collect();
    offered.sort();
    offered
}

#[test]
fn each_shell_accepts_its_script() {
    for name in ["bash", "zsh", "fish"] {
        let dir = dir();
        let script = dir.run(&format!("completions {name}"));
        assert_eq!((script.code(), script.stderr().as_str()), (Some(0), ""));
        let dir = dir.file("script", script.stdout());
        shell(&dir, name, &format!("{name} -n script"));
    }
    dir()
        .run("completions bsah")
        .refused("<SHELL>: must be one of bash, zsh, fish, is \"bsah\"", "did you mean \"bash\"?");
}

#[test]
fn bash_completes_commands_and_flags() {
    assert_eq!(bash("mapfold r"), ["run"]);
    assert_eq!(bash("mapfold run"), ["run"]);
    assert_eq!(bash("mapfold run --sp"), ["--spill-dir", "--spill-limit", "--split-size"]);
    assert_eq!(bash("mapfold run wordcount book.txt --unor"), ["--unordered"]);
    let commands = bash("mapfold ''");
    for name in ["run", "jobs", "completions", "man", "help"] {
        assert!(commands.contains(&name.to_owned()), "{commands:?}");
    }
}

#[test]
fn bash_completes_values() {
    assert_eq!(bash("mapfold run wordcount --format ''"), ["csv", "jsonl", "text", "tsv"]);
    assert_eq!(bash("mapfold run --combiner o"), ["off", "on"]);
    assert_eq!(bash("mapfold run --progress a"), ["always", "auto"]);
    assert_eq!(bash("mapfold completions ''").iter().filter(|word| !word.starts_with('-')).count(), 3);
}

#[test]
fn bash_completes_fields_of_a_spec() {
    assert_eq!(bash("mapfold run --set read.f"), ["read.fields=", "read.format="]);
    assert!(bash("mapfold agg count --set ''").contains(&"read.on_error.skip_up_to=".to_owned()));
    for words in ["read.format = ''", "read.format ="] {
        assert_eq!(bash(&format!("mapfold run --set {words}")), ["csv", "jsonl", "regex", "text", "tsv"], "{words}");
    }
    assert_eq!(bash("mapfold bench wordcount --set run.combiner = o"), ["off", "on"]);
    assert_eq!(bash("mapfold run --set output.header = t"), ["true"]);
    assert!(bash("mapfold run --set limit = ''").is_empty());
    assert_eq!(bash("mapfold agg --type amount = d"), ["decimal"]);
    assert_eq!(bash("mapfold agg --read t"), ["text", "tsv"]);
}

#[test]
fn bash_completes_jobs_and_files() {
    assert_eq!(bash("mapfold run w"), ["wordcount"]);
    assert_eq!(bash("mapfold run my"), ["my job.json"]);
    let first = bash("mapfold run --force ''");
    for word in ["book.txt", "sub", "uniq", "wordcount"] {
        assert!(first.contains(&word.to_owned()), "{first:?}");
    }
    assert!(first.iter().all(|word| !word.starts_with('-')), "{first:?}");
    // bash itself completes files, so the function offers nothing.
    for words in ["wordcount ''", "wordcount b", "./my.json ''", "wordcount book.txt --force b", "- w"] {
        assert!(bash(&format!("mapfold run {words}")).is_empty(), "{words}");
    }
    assert_eq!(bash("mapfold jobs show w"), ["wordcount"]);
    assert_eq!(bash("mapfold agg --wh"), ["--where"]);
    for words in ["''", "count ''", "count b", "--where x=1 count b"] {
        assert!(bash(&format!("mapfold agg {words}")).is_empty(), "{words}");
    }
}

#[test]
fn fish_completes_jobs_and_files() {
    let complete = |line: &str| {
        let script = format!(
            "source (\"$M\" completions fish | psub); complete -C '{line}' | string replace -r '\\t.*' ''; true"
        );
        shell(&dir(), "fish", &script)
    };
    let Some(jobs) = complete("mapfold run ") else { return };
    for word in ["book.txt", "sub/", "uniq", "wordcount"] {
        assert!(jobs.lines().any(|line| line == word), "{jobs}");
    }
    assert_eq!(complete("mapfold run wordcount b").unwrap(), "book.txt\n");
    assert_eq!(complete("mapfold run --combiner o").unwrap(), "off\non\n");
    assert_eq!(complete("mapfold jobs show u").unwrap(), "uniq\n");
    assert_eq!(complete("mapfold run --set read.f").unwrap().lines().next(), Some("read.fields="));
    assert_eq!(complete("mapfold run --set run.combiner=o").unwrap(), "run.combiner=off\nrun.combiner=on\n");
    assert_eq!(complete("mapfold agg --type amount=d").unwrap(), "amount=decimal\n");
    assert_eq!(complete("mapfold agg --read t").unwrap(), "text\ntsv\n");
}
