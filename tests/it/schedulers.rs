//! Schedulers decide who runs a task and when. They never change the output, and the report says what they did.

use std::fs;

use serde_json::Value;

use crate::harness::Dir;

const ALL: [&str; 3] = ["stealing", "static", "shared"];

/// Lines of words. No two lines are equal.
fn text(lines: usize) -> String {
    (0..lines).map(|i| format!("w{} x{} the\n", i % 97, i * 7919 % 1013)).collect()
}

fn run(dir: &Dir, flags: &str) -> Value {
    let ran = dir.run(&format!("run wordcount in -o out --force --report r.json {flags}"));
    assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""), "{flags}");
    serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap()
}

#[test]
fn the_same_bytes_from_files_and_streams() {
    // Groups, sorted records, and records in the order of the input.
    same_bytes("wordcount", "in -");
    same_bytes("sorted.json", "- in");
    same_bytes("all.json", "in/a - in/b in/c");
}

#[track_caller]
fn same_bytes(job: &str, inputs: &str) {
    let mut expected = None;
    for scheduler in ALL {
        for threads in [3, 256] {
            let dir = Dir::new().file("in/a", text(300)).file("in/b", text(5)).file("in/c", text(2000));
            let dir = dir.file("all.json", "{\"select\": [\"line\"]}").file("sorted.json", "{\"sort\": [\"-line\"]}");
            // Little memory makes the stream's blocks small, so there are many.
            let memory = 12 + 2 * threads;
            let args = format!(
                "run {job} {inputs} --memory {memory}M --split-size 1K --threads {threads} --scheduler {scheduler} --report r.json"
            );
            let ran = dir.command(args.split_whitespace()).stdin(text(20_000)).run();
            assert_eq!((ran.code(), ran.stderr().as_str()), (Some(0), ""), "{args}");
            let report: Value = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
            assert!(report["tasks"].as_array().unwrap().len() > 5, "{args}");
            accounts_for_the_time(&report, &args);
            let stdout = ran.stdout();
            assert!(stdout.contains("the"), "{args}");
            assert!(&stdout == expected.get_or_insert_with(|| stdout.clone()), "{args}");
        }
    }
}

#[test]
fn the_report_says_who_ran_what() {
    let dir = Dir::new().file("in/a", text(20_000));
    for scheduler in ALL {
        for threads in [1, 3] {
            let flags = format!("--scheduler {scheduler} --threads {threads} --split-size 16K --partitions 16");
            let report = run(&dir, &flags);
            assert_eq!(report["settings"]["scheduler"], scheduler);
            assert_eq!(report["job"]["run"]["scheduler"], scheduler);
            let tasks = report["tasks"].as_array().unwrap();
            let maps = tasks.iter().filter(|task| task["id"].as_str().unwrap().starts_with("map-")).count();
            assert!(maps > 6, "{flags}: {maps} map tasks");
            for (i, task) in tasks[..maps].iter().enumerate() {
                let (worker, seeded) = (task["worker"].as_u64().unwrap(), task["seeded_worker"].as_u64().unwrap());
                if scheduler != "shared" {
                    assert_eq!(seeded as usize, i * threads / maps, "{flags}: the static split");
                }
                assert!(worker == seeded || scheduler == "stealing", "{flags}: {task}");
            }
            accounts_for_the_time(&report, &flags);
        }
    }
}

/// Checks that the counts of a worker are those of its tasks, that it runs one task at a time, and that it is busy or
/// idle in both phases.
fn accounts_for_the_time(report: &Value, flags: &str) {
    let seconds = |value: &Value| value.as_f64().unwrap();
    let phases = &report["phase_seconds"];
    let mut stolen = 0;
    for (w, worker) in report["workers"].as_array().unwrap().iter().enumerate() {
        let all = report["tasks"].as_array().unwrap().iter();
        let mut tasks: Vec<_> = all.filter(|task| task["worker"] == w).collect();
        tasks.sort_by(|a, b| seconds(&a["start_s"]).total_cmp(&seconds(&b["start_s"])));
        for pair in tasks.windows(2) {
            assert!(seconds(&pair[0]["end_s"]) <= seconds(&pair[1]["start_s"]), "{flags}: {pair:?}");
        }
        let won: Vec<_> = tasks.iter().filter(|task| task["outcome"] == "won").collect();
        assert_eq!(worker["tasks"], won.len(), "{flags}");
        let not_its_own = won.iter().filter(|task| task["seeded_worker"] != w).count();
        assert_eq!(worker["stolen"], not_its_own, "{flags}");
        stolen += not_its_own;
        let busy: f64 = tasks.iter().map(|task| seconds(&task["end_s"]) - seconds(&task["start_s"])).sum();
        assert!((seconds(&worker["busy_s"]) - busy).abs() < 1e-6, "{flags}: {worker}");
        let both = seconds(&phases["map"]) + seconds(&phases["reduce"]);
        assert!((seconds(&worker["busy_s"]) + seconds(&worker["idle_s"]) - both).abs() < 1e-6, "{flags}: {worker}");
    }
    assert_eq!(report["counters"]["stolen_tasks"], stolen, "{flags}");
}

#[test]
fn a_static_worker_with_nothing_to_do_does_nothing() {
    let dir = Dir::new().file("in/a", "one\n");
    let report = run(&dir, "--scheduler static --threads 4");
    let tasks: Vec<_> = report["workers"].as_array().unwrap().iter().map(|worker| &worker["tasks"]).collect();
    assert_eq!(tasks, [2, 0, 0, 0]);
}
