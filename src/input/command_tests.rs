//! Tests that hostile commands leave nothing running. The commands are run as a job would run them, and the system is
//! asked whether anything of them is left.

use crate::input::Counted;
use std::process;
use std::time::Instant;

use super::*;
use crate::input::hedging::{Hedging, Retry};
use crate::input::stream::Blocks;
use crate::input::wait::Stop;
use crate::input::{Covered, RecordEnd, Source, stream};
use crate::record::Framing;
use crate::report::event::SourceEnd;

const LINES: Blocks = Blocks {
    bytes: 1 << 20,
    files: None,
    end_of: RecordEnd { framing: Framing::Terminator(b'\n'), longest: 1 << 20 },
    eager: false,
    counted: Counted::Nothing,
    readers: 2,
};

fn written(words: &[&str], timeout: Option<&str>) -> Command {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Command { words, name: Some("web1".into()), timeout: timeout.map(|text| text.parse().unwrap()), retry: false }
}

fn sh(script: &str, timeout: Option<&str>) -> Source {
    Source::command(written(&["sh", "-c", script], timeout))
}

/// Reads the sources. Returns their bytes, how that ended, and what was covered.
fn read(sources: &[Source]) -> (Vec<u8>, Result<()>, Vec<Covered>) {
    let (queues, readers) = stream::read(sources, LINES, true, &Hedging::new(1, &[], sources)).unwrap();
    let mut bytes = Vec::new();
    let mut go = || {
        for (_, queue) in &queues {
            for block in queue {
                bytes.extend_from_slice(block?.stretch().bytes);
            }
        }
        Ok(())
    };
    let ended = go();
    let covered = readers.watch().covered();
    drop(queues);
    (bytes, ended, covered)
}

#[track_caller]
fn fails(source: Source, message: &str) -> Vec<u8> {
    let (bytes, ended, covered) = read(&[source]);
    let error = ended.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit_code()), (message, 1));
    let end = if message.contains("timed out") { SourceEnd::TimedOut } else { SourceEnd::Failed };
    assert_eq!(covered[0].end, Some(end));
    bytes
}

#[test]
fn what_was_watched() {
    let sources = [
        sh("sleep 0.1; echo abc", None),
        sh("echo a; sleep 0.1; exit 3", None),
        sh("echo a; exec sleep 1000", Some("200ms")),
        sh("exec sleep 1000", None),
    ];
    let (queues, readers) = stream::read(&sources, LINES, true, &Hedging::new(1, &[], &sources)).unwrap();
    for (_, queue) in queues.iter().take(3) {
        queue.iter().for_each(drop);
    }
    let watched = readers.watch().watched();
    drop(queues);
    let seen: Vec<_> = watched.iter().map(|w| (w.source, w.read.bytes, w.read.end)).collect();
    let (whole, failed, late, stopped) = (SourceEnd::Whole, SourceEnd::Failed, SourceEnd::TimedOut, SourceEnd::Stopped);
    assert_eq!(seen, [(0, 4, whole), (1, 2, failed), (2, 2, late), (3, 0, stopped)]);
    // The last command is stopped when the one before it has timed out, and may have begun a little later than that one.
    let later = watched[3].begun.saturating_duration_since(watched[2].begun).as_secs_f64();
    for (watched, at_least) in watched.iter().zip([0.1, 0.1, 0.2, 0.2 - later]) {
        let elapsed = (watched.ended - watched.begun).as_secs_f64();
        assert!(watched.read.reading_s >= at_least && elapsed >= watched.read.reading_s, "{watched:?}");
    }
    assert!(watched[0].read.first_byte_s.unwrap() >= 0.1);
    assert!(watched[1].read.first_byte_s.unwrap() < watched[1].read.reading_s);
    assert_eq!(watched[3].read.first_byte_s, None);
}

/// Number of processes that have this word on their command line. No other process may have it.
fn left(word: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|&byte| byte == 0).any(|argument| argument == word.as_bytes())).count()
}

/// Seconds to sleep, different from those of every other test.
fn long(seed: u32) -> String {
    format!("{}{:05}", 1000 + seed, process::id() % 100_000)
}

#[track_caller]
fn nothing_is_left(word: &str) {
    // The system takes a moment to remove what was killed.
    assert!(until(PATIENCE, || left(word) == 0), "{} left", left(word));
}

#[test]
fn what_a_command_prints() {
    let (bytes, ended, covered) = read(&[sh("printf 'a\\nb\\n'; echo noise >&2; printf half", None)]);
    ended.unwrap();
    assert_eq!(bytes, b"a\nb\nhalf");
    assert_eq!(covered, [Covered { source: 0, bytes: 8, end: Some(SourceEnd::Whole) }]);
    let (bytes, ended, _) = read(&[sh("true", None)]);
    ended.unwrap();
    assert!(bytes.is_empty());
    // The output may be compressed, as that of FIFOs may be. Words that a shell would take apart stay whole.
    let (bytes, ended, _) =
        read(&[sh("printf 'x\\n' | gzip", None), Source::command(written(&["echo", "a  b", "$HOME"], None))]);
    ended.unwrap();
    assert_eq!(bytes, b"x\na  b $HOME\n");
    // The command has no standard input to wait for.
    let (bytes, ended, _) = read(&[Source::command(written(&["cat"], None))]);
    ended.unwrap();
    assert!(bytes.is_empty());
}

#[test]
fn a_command_that_ends_otherwise_than_well() {
    fails(sh("echo a; echo 'no such\thost' >&2; echo >&2; exit 3", None), "web1: exit status 3: no such\\thost");
    fails(sh("exit 255", None), "web1: exit status 255");
    fails(sh("echo dying >&2; kill -9 $$", None), "web1: killed by signal 9: dying");
    // Compressed data ends early. The reason is what the command says.
    fails(sh("printf 'x\\n' | gzip | head -c 15; echo cut >&2; exit 1", None), "web1: exit status 1: cut");
    fails(
        sh("printf '\\037\\213\\010garbage'", None),
        "web1: cannot read at byte 0: the gzip data is corrupt: the header is invalid",
    );
    let (_, ended, _) = read(&[sh("printf '\\375 7zXZ\\000' | tr -d ' '", None)]);
    let error = ended.unwrap_err();
    assert_eq!(error.to_string(), "web1: is compressed by xz, which is not supported");
    assert_eq!(error.hint().unwrap(), "decompress it in the command, with a shell: sh -c '… | xzcat'");
}

#[test]
fn a_command_that_says_much() {
    // More than any pipe holds, before and after what the command prints.
    let much = "head -c 3000000 /dev/zero | tr '\\0' 'x' >&2";
    let (bytes, ended, _) = read(&[sh(&format!("{much}; echo a; {much}"), None)]);
    ended.unwrap();
    assert_eq!(bytes, b"a\n");
    fails(sh(&format!("{much}; echo >&2; echo a; echo last >&2; exit 1"), None), "web1: exit status 1: last");
    let (_, ended, _) = read(&[sh(&format!("{much}; exit 1"), None)]);
    assert_eq!(ended.unwrap_err().to_string(), format!("web1: exit status 1: {}…", "x".repeat(TOLD)));
}

/// Reads a source whose time will be over. Returns how many bytes were read of it.
#[track_caller]
fn is_late(source: Source, most: Duration) -> u64 {
    let begun = Instant::now();
    let (_, ended, covered) = read(&[source]);
    assert!(begun.elapsed() < most, "{:?}", begun.elapsed());
    assert_eq!(covered[0].end, Some(SourceEnd::TimedOut));
    match ended.unwrap_err() {
        Error::TimedOut { name, read, .. } if name == "web1" => read,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_that_takes_too_long() {
    let most = Duration::from_secs(10);
    let silent = long(1);
    fails(sh(&format!("exec sleep {silent}"), Some("100ms")), "web1: timed out after 100ms, 0 B read");
    nothing_is_left(&silent);
    // The command prints for ever.
    assert!(is_late(sh("yes", Some("100ms")), most) > 0);
    // The command and its child ignore every signal that can be ignored.
    let deaf = long(2);
    assert!(is_late(sh(&format!("trap '' TERM; echo a; sleep {deaf} & sleep {deaf}"), Some("1s")), most) == 2);
    nothing_is_left(&deaf);
    // The command has printed everything, and goes on.
    let goes_on = long(3);
    assert!(is_late(sh(&format!("echo a; exec >&- 2>&-; sleep {goes_on}"), Some("1s")), most) == 2);
    nothing_is_left(&goes_on);
    // The command has ended, and its child holds the pipe.
    let child = long(4);
    assert!(is_late(sh(&format!("echo a; sleep {child} &"), Some("1s")), most) == 2);
    nothing_is_left(&child);
}

#[test]
fn what_a_command_leaves_behind_is_ended() {
    let child = long(5);
    for deaf in ["", "trap '' TERM; "] {
        let (bytes, ended, _) = read(&[sh(&format!("{deaf}echo a; sleep {child} >/dev/null 2>&1 &"), None)]);
        ended.unwrap();
        assert_eq!(bytes, b"a\n");
        nothing_is_left(&child);
    }
    // The child has a moment to put its things in order, whether or not its command ended well.
    let dir = tempfile::tempdir().unwrap();
    for status in [0, 1] {
        let (ready, said) = (dir.path().join(format!("ready{status}")), dir.path().join(format!("said{status}")));
        let (is_ready, told) = (ready.display(), said.display());
        let orderly = format!("trap 'echo ended > {told}; exit' TERM; : > {is_ready}; while :; do sleep 0.01; done");
        let wait = format!("while [ ! -e {is_ready} ]; do sleep 0.01; done");
        let (bytes, ..) = read(&[sh(&format!("echo a; ( {orderly} ) >/dev/null 2>&1 & {wait}; exit {status}"), None)]);
        assert_eq!(bytes, if status == 0 { &b"a\n"[..] } else { b"" });
        assert_eq!(fs::read_to_string(said).unwrap(), "ended\n");
    }
}

/// The command closes its output and goes on for a while. Without a timeout it is waited for, and its exit status
/// counts.
#[test]
fn a_command_is_waited_for_to_its_end() {
    fails(sh("echo a; exec >&-; sleep 0.2; echo so >&2; exit 4", None), "web1: exit status 4: so");
}

#[test]
fn commands_that_nobody_wants_any_more_are_ended() {
    let (child, deaf) = (long(6), long(7));
    let scripts = [format!("echo a; sleep {child} & sleep {child}"), format!("trap '' TERM; echo a; sleep {deaf}")];
    let sources = scripts.map(|script| sh(&script, None));
    let (queues, readers) =
        stream::read(&sources, Blocks { eager: true, ..LINES }, true, &Hedging::new(1, &[], &sources)).unwrap();
    for (_, queue) in &queues {
        queue.recv().unwrap().unwrap();
    }
    assert_eq!((left(&child), left(&deaf)), (2, 1));
    drop((queues, readers));
    nothing_is_left(&child);
    nothing_is_left(&deaf);
    // A command that was begun for its first record isn't left, either.
    let begun = long(8);
    let source = sh(&format!("echo a; sleep {begun}"), None);
    let first = source.head(LINES.end_of, Retry::never(), &Stop::new().unwrap()).unwrap().unwrap();
    assert_eq!((first.as_slice(), left(&begun)), (&b"a\n"[..], 1));
    drop(source);
    nothing_is_left(&begun);
}

#[test]
fn commands_that_cannot_be_started() {
    let refused = |words: &[&str]| {
        let error = check(&written(words, None)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert_eq!(refused(&["nosuchcommand"]), "web1: nosuchcommand: no such command");
    assert_eq!(refused(&["/no/such"]), "web1: /no/such: no such file or directory");
    assert_eq!(refused(&["/tmp/"]), "web1: /tmp/: is a directory");
    assert_eq!(refused(&["/etc/passwd"]), "web1: /etc/passwd: permission denied");
    assert_eq!(refused(&[""]), "a command is empty");
    check(&written(&["sh"], None)).unwrap();
    // Some errors can only be known by starting the command.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd");
    fs::write(&path, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let command = written(&[path.to_str().unwrap()], None);
    check(&command).unwrap();
    fails(Source::command(command), "web1: cannot be started: no such file or directory");
}

#[test]
fn several_hundred_at_once() {
    let begun = Instant::now();
    let sources: Vec<_> = (0..300).map(|i| sh(&format!("sleep 0.{}; echo {i}", i % 7), None)).collect();
    let (bytes, ended, covered) = read(&sources);
    ended.unwrap();
    let expected: String = (0..300).map(|i| format!("{i}\n")).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    assert!(covered.iter().all(|covered| covered.end == Some(SourceEnd::Whole)));
    // One after the other, they would sleep for 90 s.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

/// A stop ends the command, and the whole records that it printed are handed over.
#[test]
fn a_command_that_is_stopped() {
    let sleep = long(9);
    let sources = [sh(&format!("printf 'a\\nb\\nhalf'; sleep {sleep}"), None)];
    let (queues, readers) = stream::read(&sources, LINES, true, &Hedging::new(1, &[], &sources)).unwrap();
    assert!(until(PATIENCE, || left(&sleep) == 1));
    readers.stop().now();
    let blocks: Vec<_> = queues[0].1.iter().map(|block| block.unwrap().stretch().bytes.to_vec()).collect();
    assert_eq!(blocks, [b"a\nb\n"]);
    let covered = readers.watch().covered();
    assert_eq!(covered, [Covered { source: 0, bytes: 4, end: Some(SourceEnd::Stopped) }]);
    drop((queues, readers));
    nothing_is_left(&sleep);
}

/// A command that is being started isn't in the list yet. Ending all commands must end it, too.
#[test]
fn a_command_that_is_just_being_started_is_ended() {
    let groups = ProcessGroups::new();
    // This stands for a command that the system is still starting.
    groups.state().starting += 1;
    let mut child = thread::scope(|scope| {
        let end = scope.spawn(|| groups.end());
        until(Duration::from_secs(10), || groups.state().is_over);
        assert!(groups.start(&mut process::Command::new("true")).is_err(), "none is begun any more");
        let child = process::Command::new("sleep").arg("5").process_group(0).spawn().unwrap();
        let mut state = groups.state();
        state.starting -= 1;
        state.running.push(Pid::from_child(&child));
        drop(state);
        end.join().unwrap();
        child
    });
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn what_cannot_be_started_is_not_waited_for() {
    let groups = ProcessGroups::new();
    groups.start(&mut process::Command::new("/none/such")).unwrap_err();
    let (mut child, _) = groups.start(process::Command::new("true").process_group(0)).unwrap();
    let state = groups.state();
    assert_eq!((state.starting, state.running.len()), (0, 1));
    child.wait().unwrap();
}
