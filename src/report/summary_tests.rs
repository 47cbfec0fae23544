use super::*;
use crate::report::example;

#[track_caller]
fn lines(report: &Report, expected: &[&str]) {
    let text = render(report, "wordcount");
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "\n{text}");
    assert!(text.ends_with('\n'));
}

#[test]
fn a_run_with_the_combiner() {
    lines(
        &example(),
        &[
            "wordcount: 1.93 s, 0.58 GB/s",
            "  read      1.12 GB, 20,123,456 records, mapped to 110,123,456",
            "  wrote     12,345,678 rows",
            "  shuffle   312 MB with the combiner, 1.83 GB without: 83.0 % saved",
            "  on disk   298 MB of runs",
            "  tasks     2 map, 1 reduce on 2 threads, 3 stolen",
            "  slowest   map-00001, 0.21 s for 33.6 MB of linux.txt at byte 100663296",
            "  memory    812 MiB peak, 1.00 GiB for the job",
        ],
    );
}

#[test]
fn one_line() {
    let mut report = example();
    let saved = "1.93 s, 0.58 GB/s, 1.12 GB of input, 83.0 % of the shuffle saved by the combiner";
    assert_eq!(line(&report, "wordcount"), format!("wordcount: {saved}"));
    report.status = Status::Partial;
    assert_eq!(line(&report, "wordcount"), format!("wordcount: partial, {saved}"));
    assert!(render(&report, "wordcount").starts_with("wordcount: partial, 1.93 s, 0.58 GB/s\n"));
    report.status = Status::Succeeded;
    report.counters.bad_records = 2;
    report.counters.shuffle_bytes_saved = -166_000_000;
    let more = "1.93 s, 0.58 GB/s, 1.12 GB of input, 2 bad records, 9.1 % more to shuffle with the combiner";
    assert_eq!(line(&report, "wordcount"), format!("wordcount: {more}"));
    report.settings.combiner = "off";
    assert_eq!(line(&report, "x"), "x: 1.93 s, 0.58 GB/s, 1.12 GB of input, 2 bad records");
    report.status = Status::Failed;
    report.counters.bad_records = 0;
    assert_eq!(line(&report, "x"), "x: failed after 1.93 s, 1.12 GB of input");
}

#[test]
fn a_run_without_it_spilling_and_limited() {
    let mut report = example();
    report.settings.combiner = "off";
    report.settings.threads = 1;
    report.counters.reduce_shuffle_bytes = report.counters.map_output_bytes;
    report.counters.shuffle_bytes_saved = 0;
    report.counters.map_output_records = report.counters.map_input_records;
    report.counters.reduce_output_records = 1;
    report.counters.spilled_bytes = 500_000_000;
    report.counters.bad_records = 2;
    report.counters.failed_attempts = 1;
    lines(
        &report,
        &[
            "wordcount: 1.93 s, 0.58 GB/s",
            "  read      1.12 GB, 20,123,456 records, 2 bad",
            "  wrote     1 row of 12,345,678 groups",
            "  shuffle   1.83 GB, combiner off",
            "  on disk   298 MB of runs, 500 MB spilled",
            "  tasks     2 map, 1 reduce on 1 thread, 3 stolen, 1 attempt failed",
            "  slowest   map-00001, 0.21 s for 33.6 MB of linux.txt at byte 100663296",
            "  memory    812 MiB peak, 1.00 GiB for the job",
        ],
    );
}

#[test]
fn a_failed_run_and_an_empty_one() {
    let mut report = example();
    report.status = Status::Failed;
    report.tasks.clear();
    report.counters = Default::default();
    let text = render(&report, "wordcount");
    assert!(text.starts_with("wordcount: failed after 1.93 s\n"), "{text}");
    assert!(text.contains("  read      0 B, 0 records\n"), "{text}");
    assert!(text.contains("0 B with the combiner, 0 B without: nothing saved\n"), "{text}");
    assert!(!text.contains("slowest"), "{text}");
}

#[test]
fn a_combiner_that_costs_says_so() {
    let mut report = example();
    report.counters.reduce_shuffle_bytes = 2_000_000_000;
    report.counters.shuffle_bytes_saved = -166_000_000;
    assert_eq!(shuffle(&report), "2.00 GB with the combiner, 1.83 GB without: 9.1 % more");
}

#[test]
fn a_name_with_a_newline_stays_on_its_line() {
    let mut report = example();
    report.tasks[1].input = Some("a\nb".into());
    assert!(render(&report, "x").contains("of a\\nb at byte"));
}
