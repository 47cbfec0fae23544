use serde_json::json;

use super::super::results::TimedRun;
use super::*;
use crate::cli::digest::Digest;
use crate::report::Counters;

fn digest(text: &str) -> Digest {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Digest::of(file.path(), false, || Ok(())).unwrap()
}

/// Makes a bench whose runs take 2 s with the combiner and 4 s without, and a little more from round to round.
fn bench(values: &[&str]) -> Bench {
    let mut runs = Vec::new();
    for round in 0..=5 {
        for (i, value) in values.iter().enumerate() {
            let off = *value == "off";
            let seconds = if off { 4.0 } else { 2.0 } * (1.0 + 0.01 * ((round * 3 + i) % 5) as f64);
            let shuffled = if off { 1_310_000_000 } else { 141_000_000 };
            runs.push(TimedRun {
                value: (*value).to_owned(),
                round,
                wall_seconds: seconds,
                user_seconds: 3.0 + 0.1 * ((round + 2 * i) % 3) as f64,
                system_seconds: 0.5,
                peak_rss_bytes: 180 << 20,
                output_bytes: 1500,
                output_digest: digest("the\t15\n"),
                settings: json!({"combiner": value}),
                counters: Counters {
                    map_input_bytes: 1_000_000_000,
                    map_output_records: 2_000_000,
                    combine_input_records: if off { 0 } else { 1_500_000 },
                    map_output_bytes: 1_310_000_000,
                    reduce_shuffle_bytes: shuffled,
                    shuffle_bytes_saved: 1_310_000_000 - shuffled as i64,
                    map_output_materialized_bytes: shuffled + 1_000_000,
                    ..Counters::default()
                },
            });
        }
    }
    let mut bench = Bench {
        mapfold: "0.0.0",
        job: json!({}),
        vary: "combiner",
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        rounds: 5,
        runs,
        summary: Vec::new(),
        comparisons: Vec::new(),
        same_output: true,
        error: None,
    };
    bench.summarise();
    bench
}

#[test]
fn a_table() {
    assert_eq!(
        render(&bench(&["on", "off"]), "wordcount", Look::Ascii),
        "\
wordcount, 1.00 GB of input: combiner on and off in turn, 5 runs each after one
  to warm up

combiner  wall (min to max)      CPU (min to max)       rate       memory
on        2.04 s (2.00 to 2.08)  3.60 s (3.50 to 3.70)  0.49 GB/s  180 MiB
off       4.08 s (4.00 to 4.16)  3.60 s (3.50 to 3.70)  0.25 GB/s  180 MiB

off takes 2.00 × the wall time of on (95 % interval 1.95 to 2.06).
off and on: no difference in CPU time that 5 runs could show: 0.989 × (95 %
  interval 0.944 to 1.036).
More runs can tell smaller differences: --runs 20.

combiner    shuffle                                     saved            on disk
on          ###                             141 MB    1.17 GB   89.2 %    142 MB
off         ############################   1.31 GB        0 B    0.0 %   1.31 GB

All 12 runs wrote the same: 1.50 KB and BLAKE3 e31e74444bd4d8f8….
"
    );
}

#[test]
fn it_fits_eighty_columns() {
    let mut bench = bench(&["on", "auto"]);
    for summary in &mut bench.summary {
        let Spread { median, min, max } = &mut summary.wall_seconds;
        (*median, *min, *max) = (1234.5, 1111.1, 2222.2);
        summary.cpu_seconds = summary.wall_seconds;
        summary.counters.shuffle_bytes_saved = -123_000_000_000;
        summary.counters.map_output_bytes = 999_000_000_000;
        summary.counters.reduce_shuffle_bytes = 999_000_000_000;
        summary.counters.map_output_materialized_bytes = 999_000_000_000;
    }
    bench.vary = "partitions";
    for look in [Look::Ascii, Look::Blocks] {
        let text = render(&bench, &"a long name of a job ".repeat(9), look);
        assert!(text.lines().all(|line| width(line) <= COLUMNS), "{text}");
    }
}

#[test]
fn what_auto_chose_is_said() {
    let text = render(&bench(&["on", "off", "auto"]), "wordcount", Look::Ascii);
    assert!(text.contains("\nauto combined 1,500,000 of 2,000,000 map output records (75.0 %).\n"), "{text}");
}

#[test]
fn no_difference_is_called_that() {
    let text = render(&bench(&["on", "auto"]), "wordcount", Look::Ascii);
    let text = text.replace("\n  ", " ");
    assert!(text.contains("auto and on: no difference in wall time that 5 runs could show: "), "{text}");
    assert!(!text.contains("takes"), "{text}");
    assert!(text.contains("\nMore runs can tell smaller differences: --runs 20.\n"), "{text}");
    let mut many = bench(&["on", "auto"]);
    many.rounds = 1000;
    assert!(!render(&many, "wordcount", Look::Ascii).contains("More runs"));
}

#[test]
fn outputs_that_differ_are_listed() {
    let mut bench = bench(&["on", "off"]);
    bench.runs[3].output_digest = digest("the\t14\n");
    bench.same_output = bench.outputs_agree();
    assert!(!bench.same_output);
    let text = render(&bench, "wordcount", Look::Ascii);
    assert!(text.contains("\nThe runs did not all write the same:\n  on, warm-up: 1.50 KB and BLAKE3 "), "{text}");
    assert_eq!(text.matches("BLAKE3").count(), 12);
}

#[test]
fn bars_follow_bytes() {
    for look in [Look::Ascii, Look::Blocks] {
        let length = |part, whole| look.bar(part, whole, 10).chars().count();
        assert_eq!([length(0, 5), length(1, 1000), length(5, 10), length(10, 10), length(0, 0)], [0, 1, 5, 10, 0]);
    }
}

#[test]
fn markdown_is_a_table_and_a_list() {
    let text = markdown(&bench(&["on", "off"]), "wordcount");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[3].matches(" --- ").count(), 8, "{text}");
    assert!(lines[2..6].iter().all(|line| line.matches('|').count() == 9), "{text}");
    assert!(lines[7..].iter().all(|line| line.starts_with("- ")), "{text}");
    assert!(lines[4].contains("| 141 MB | 1.17 GB (89.2 %) | 142 MB |"), "{text}");
}

#[test]
fn factors() {
    for (x, shown) in [
        (0.0123, "0.012"),
        (0.97, "0.970"),
        (1.004, "1.004"),
        (2.358, "2.36"),
        (23.58, "23.6"),
        (1e9, "more than 999"),
        (1e-9, "less than 0.001"),
    ] {
        assert_eq!(factor(x), shown);
    }
}

#[test]
fn long_sentences_are_wrapped() {
    let text = wrapped(&"word ".repeat(40));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("word") && lines[1].starts_with("  word"));
    assert!(lines.iter().all(|line| line.len() <= 80));
    assert_eq!(text.split_whitespace().count(), 40);
    assert_eq!(wrapped("  a b"), "  a b");
}
