//! A report for tests.

use super::*;

pub fn example() -> Report {
    let task = |id: &str, start_s: f64, end_s: f64| TaskAttempt {
        id: id.into(),
        attempt: 0,
        outcome: Outcome::Won,
        error: None,
        worker: 0,
        seeded_worker: 0,
        start_s,
        end_s,
        input: id.starts_with("map").then(|| "linux.txt".into()),
        offset: id.starts_with("map").then_some(100_663_296),
        bytes: 33_554_432,
        records: 1_000_000,
    };
    Report {
        mapfold: "0.1.0",
        job: serde_json::json!({"name": "wordcount"}),
        status: Status::Succeeded,
        error: None,
        wall_seconds: 1.934,
        phase_seconds: PhaseSeconds { map: 1.2, reduce: 0.5, output: 0.2 },
        peak_rss_bytes: 812 << 20,
        settings: SettingsAsRun {
            threads: 2,
            memory_bytes: 1 << 30,
            split_size_bytes: 32 << 20,
            partitions: 256,
            combiner: "on",
            scheduler: "stealing",
        },
        counters: Counters {
            map_input_bytes: 1_123_456_789,
            map_input_records: 20_123_456,
            map_output_records: 110_123_456,
            map_output_bytes: 1_834_000_000,
            map_output_materialized_bytes: 298_000_000,
            reduce_shuffle_bytes: 312_000_000,
            shuffle_bytes_saved: 1_522_000_000,
            reduce_input_groups: 12_345_678,
            reduce_output_records: 12_345_678,
            stolen_tasks: 3,
            ..Counters::default()
        },
        tasks: vec![task("map-00000", 0.0, 0.04), task("map-00001", 0.04, 0.25), task("reduce-00000", 0.3, 0.9)],
        source_attempts: Vec::new(),
        workers: vec![WorkerReport::default(); 2],
        bad_records: Vec::new(),
        missing: Vec::new(),
        coverage: None,
        certain_ranks: None,
        events: Vec::new(),
    }
}
