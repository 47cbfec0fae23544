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
fn sizes_have_three_figures() {
    for (bytes, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 KB"),
        (999_499, "999 KB"),
        (999_500, "1.00 MB"),
        (12_345_678, "12.3 MB"),
        (u64::MAX, "18446744 TB"),
    ] {
        assert_eq!(data(bytes), text);
    }
    assert_eq!(binary(1023), "0.999 KiB".replace("0.999", "1.00"));
    assert_eq!(binary(1 << 20), "1.00 MiB");
    assert_eq!(binary(812 << 20), "812 MiB");
}

#[test]
fn times() {
    for (s, text) in [
        (0.0, "0 ms"),
        (0.0123, "12 ms"),
        (0.25, "0.25 s"),
        (1.934, "1.93 s"),
        (59.96, "60.0 s"),
        (125.2, "2 min 5 s"),
        (7384.0, "2 h 3 min"),
    ] {
        assert_eq!(seconds(s), text);
    }
    assert_eq!(rate(10_000, 0.002), "5.00 MB/s");
    assert_eq!(rate(10_000, 0.0), "0.00 MB/s");
}

#[test]
fn counts_and_percentages() {
    assert_eq!(count(0), "0");
    assert_eq!(count(123), "123");
    assert_eq!(count(1234), "1,234");
    assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    assert_eq!(percent(1, 3), "33.3 %");
    assert_eq!(percent(999_999, 1_000_000), "99.99 %");
    assert_eq!(percent(5, 5), "100.0 %");
    assert_eq!(percent(0, 0), "0.0 %");
}

#[test]
fn a_name_with_a_newline_stays_on_its_line() {
    let mut report = example();
    report.tasks[1].input = Some("a\nb".into());
    assert!(render(&report, "x").contains("of a\\nb at byte"));
}
