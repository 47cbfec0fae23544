//! Tests of histories with made-up runs.

use super::*;

fn entry(run: usize, source: &str, bytes: u64, reading_seconds: f64, outcome: SourceOutcome) -> Entry {
    let first_byte_seconds = (bytes > 0).then_some(reading_seconds / 10.0);
    let (run, source) = (format!("run-{run}"), source.to_owned());
    Entry {
        run,
        when: 1_700_000_000,
        source,
        how: ReadBy::Read,
        outcome,
        bytes,
        seconds: reading_seconds + 1.0,
        reading_seconds,
        first_byte_seconds,
    }
}

fn ok(run: usize, source: &str, bytes: u64, seconds: f64) -> Entry {
    entry(run, source, bytes, seconds, SourceOutcome::Ok)
}

/// A history of runs with three sources that deliver 100 bytes in one second, and a fourth that needs `seconds`.
fn beside_others(seconds: impl IntoIterator<Item = f64>) -> History {
    let of_run = |(run, seconds)| {
        let others = ["a", "b", "c"].map(|source| ok(run, source, 100, 1.0));
        others.into_iter().chain([ok(run, "odd", 100, seconds)])
    };
    History::of(seconds.into_iter().enumerate().flat_map(of_run).collect())
}

#[test]
fn less_than_half_of_the_others_throughput() {
    for (seconds, is_consistently_slow) in
        [(1.0, false), (1.9, false), (2.0, false), (2.1, true), (50.0, true), (0.1, false)]
    {
        let history = beside_others([seconds; 5]);
        assert_eq!(history.is_consistently_slow("odd"), is_consistently_slow, "{seconds}");
        assert!(!history.is_consistently_slow("a") && !history.is_consistently_slow("none"));
    }
}

#[test]
fn at_least_five_runs() {
    assert!(!beside_others([9.0; 4]).is_consistently_slow("odd"));
    assert!(beside_others([9.0; 5]).is_consistently_slow("odd"));
}

#[test]
fn more_than_half_of_the_last_twenty() {
    let slow_in_the_first = |slow: usize, runs: usize| (0..runs).map(move |run| if run < slow { 9.0 } else { 1.0 });
    for (slow, runs, is_consistently_slow) in
        [(3, 5, true), (3, 6, false), (10, 20, false), (11, 20, true), (25, 40, false), (100, 109, true)]
    {
        let history = beside_others(slow_in_the_first(slow, runs));
        assert_eq!(history.is_consistently_slow("odd"), is_consistently_slow, "{slow} of {runs}");
    }
    let account = beside_others(slow_in_the_first(30, 44));
    let accounts = account.accounts();
    let odd = accounts.iter().find(|account| account.source == "odd").unwrap();
    assert_eq!((odd.compared, odd.slow, odd.consistently_slow), (20, 6, false));
}

/// A source that is done sooner than the others delays nothing.
#[test]
fn what_is_only_short_is_not_slow() {
    let runs = (0..9).flat_map(|run| [ok(run, "a", 1_000_000, 2.0), ok(run, "short", 10, 1.0)]);
    assert!(!History::of(runs.collect()).is_consistently_slow("short"));
    let runs = (0..9).flat_map(|run| [ok(run, "a", 1_000_000, 2.0), ok(run, "long", 10, 2.1)]);
    assert!(History::of(runs.collect()).is_consistently_slow("long"));
}

#[test]
fn only_what_tells_how_fast_it_is_is_compared() {
    // Nothing to compare with: the source is alone, or the other one failed, was stopped, was empty, or was read in
    // another way.
    let mapped = |run| Entry { how: ReadBy::Mapped, ..ok(run, "mapped", 1000, 1.0) };
    for other in [
        |run| entry(run, "a", 1000, 1.0, SourceOutcome::Failed),
        |run| entry(run, "a", 1000, 1.0, SourceOutcome::Stopped),
        |run| entry(run, "a", 1000, 1.0, SourceOutcome::TimedOut),
        |run| ok(run, "a", 0, 1.0),
        |run| ok(run + 100, "a", 1000, 1.0),
        mapped,
    ] {
        let history = History::of((0..9).flat_map(|run| [other(run), ok(run, "odd", 1, 9.0)]).collect());
        assert_eq!(history.slowness("odd"), (0, 0));
    }
    // A source that was stopped or failed isn't compared. One that timed out is.
    for (outcome, compared) in [(SourceOutcome::Failed, 0), (SourceOutcome::Stopped, 0), (SourceOutcome::TimedOut, 9)] {
        let runs = (0..9).flat_map(|run| [ok(run, "a", 1000, 1.0), entry(run, "odd", 0, 9.0, outcome)]);
        assert_eq!(History::of(runs.collect()).slowness("odd"), (compared, compared), "{outcome:?}");
    }
    // The same source twice in a run is compared with itself.
    let twice = (0..9).flat_map(|run| [ok(run, "odd", 100, 1.0), ok(run, "odd", 100, 9.0)]);
    assert_eq!(History::of(twice.collect()).slowness("odd"), (18, 9));
}

#[test]
fn the_last_hundred_count() {
    let history = beside_others((0..150).map(f64::from));
    let accounts = history.accounts();
    let account = &accounts[3];
    assert_eq!((account.source, account.runs), ("odd", 100));
    // 50 to 149 seconds.
    assert_eq!((account.median_seconds, account.p95_seconds), (Some(99.5), Some(144.0)));
}

#[test]
fn ninety_five_of_a_hundred() {
    let of = |runs: usize| History::of((0..runs).map(|run| ok(run, "a", 1, (runs - run) as f64)).collect()).p95("a");
    assert_eq!(
        [0, 1, 2, 19, 20, 21, 100].map(of),
        [None, Some(1.0), Some(2.0), Some(19.0), Some(19.0), Some(20.0), Some(95.0)]
    );
    let failing = (0..9).map(|run| entry(run, "a", 5, 99.0, SourceOutcome::TimedOut)).chain([ok(9, "a", 5, 1.0)]);
    assert_eq!(History::of(failing.collect()).p95("a"), Some(1.0));
}

#[test]
fn an_account() {
    let entries = vec![
        ok(0, "b", 10, 1.0),
        ok(0, "a", 100, 1.0),
        ok(1, "a", 100, 4.0),
        entry(2, "a", 30, 5.0, SourceOutcome::TimedOut),
        entry(3, "a", 0, 0.1, SourceOutcome::Failed),
        entry(4, "a", 7, 0.5, SourceOutcome::Stopped),
    ];
    let history = History::of(entries);
    let accounts = history.accounts();
    assert_eq!(accounts.iter().map(|account| account.source).collect::<Vec<_>>(), ["a", "b"]);
    let expected = Account {
        source: "a",
        runs: 5,
        ok: 2,
        stopped: 1,
        timed_out: 1,
        failed: 1,
        median_seconds: Some(2.5),
        p95_seconds: Some(4.0),
        // Median of 0.1, 0.4, 0.5 and 0.05.
        median_first_byte_seconds: Some(0.25),
        // Median of 100, 25 and 6.
        bytes_per_second: Some(25.0),
        compared: 1,
        slow: 0,
        consistently_slow: false,
    };
    assert_eq!(accounts[0], expected);
}

#[test]
fn medians() {
    assert_eq!(median(&[], None), None);
    assert_eq!(median(&[1.0], Some(1.0)), None);
    assert_eq!(median(&[1.0, 2.0, 4.0], None), Some(2.0));
    assert_eq!(median(&[1.0, 2.0, 4.0], Some(1.0)), Some(3.0));
    assert_eq!(median(&[1.0, 2.0, 4.0], Some(2.0)), Some(2.5));
    assert_eq!(median(&[1.0, 2.0, 4.0, 8.0], Some(8.0)), Some(2.0));
    assert_eq!(median(&[2.0, 2.0], Some(2.0)), Some(2.0));
}

#[test]
fn a_line() {
    let written = entry(1, "web \"1\"\n", 5, 0.5, SourceOutcome::TimedOut);
    let line = serde_json::to_string(&written).unwrap();
    let expected = concat!(
        r#"{"run":"run-1","when":1700000000,"source":"web \"1\"\n","how":"read","outcome":"timed_out","bytes":5,"#,
        r#""seconds":1.5,"reading_seconds":0.5,"first_byte_seconds":0.05}"#
    );
    assert_eq!(line, expected);
    assert_eq!(Entry::parse(line.as_bytes()), Some(written));
    // Keys that a later version adds do no harm.
    assert!(Entry::parse(line.replace("{\"run\"", "{\"more\":[1],\"run\"").as_bytes()).is_some());
    for wrong in [
        &line[..line.len() - 1],
        &line[1..],
        "",
        "null",
        "{}",
        &line.replace("0.05", "-1"),
        &line.replace("timed_out", "late"),
    ] {
        assert_eq!(Entry::parse(wrong.as_bytes()), None, "{wrong}");
    }
}
