//! `--trace`: what happened, in a form for a viewer of traces.

use std::collections::HashMap;
use std::fs;

use serde_json::Value;

use crate::harness::Dir;

/// A trace and the report of the same run.
struct Traced {
    events: Vec<Value>,
    report: Value,
}

impl Traced {
    fn of(dir: &Dir) -> Traced {
        let json = |name: &str| -> Value { serde_json::from_slice(&fs::read(dir.join(name)).unwrap()).unwrap() };
        let trace = json("t.json");
        let events = trace["traceEvents"].as_array().unwrap().clone();
        Traced { events, report: json("r.json") }
    }

    /// Names of the threads by their numbers.
    fn threads(&self) -> HashMap<u64, String> {
        let names = self.events.iter().filter(|event| event["name"] == "thread_name");
        names.map(|event| (event["tid"].as_u64().unwrap(), text(&event["args"]["name"]))).collect()
    }

    fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["cat"] == kind).collect()
    }

    /// Checks what holds for every trace.
    fn check(&self) {
        let names = self.threads();
        let process = self.events.iter().find(|event| event["name"] == "process_name").unwrap();
        assert_eq!(process["args"]["name"], "mapfold");
        let wall = 1e6 * self.report["wall_seconds"].as_f64().unwrap();
        let mut by_worker: HashMap<u64, Vec<(f64, f64)>> = HashMap::new();
        for event in &self.events {
            let tid = event["tid"].as_u64().unwrap();
            assert!(event["pid"] == 1 && names.contains_key(&tid) && event["args"].is_object(), "{event}");
            match event["ph"].as_str().unwrap() {
                "M" => continue,
                "i" => assert!(["t", "p"].contains(&event["s"].as_str().unwrap()), "{event}"),
                "X" => {}
                other => panic!("a phase {other}"),
            }
            let (begin, end) = span(event);
            assert!(0.0 <= begin && begin <= end && end <= wall, "{event} in {wall}");
            if event["cat"] == "attempt" {
                assert!(names[&tid].starts_with("worker-"), "{event}");
                by_worker.entry(tid).or_default().push((begin, end));
            }
        }
        for spans in by_worker.values_mut() {
            spans.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(spans.windows(2).all(|two| two[0].1 <= two[1].0), "{spans:?}");
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn span(event: &Value) -> (f64, f64) {
    let begin = event["ts"].as_f64().unwrap();
    (begin, begin + event.get("dur").map_or(0.0, |dur| dur.as_f64().unwrap()))
}

#[test]
fn every_attempt_once() {
    let dir = Dir::new().file("a.txt", "the cat\nthe dog\n".repeat(1000)).file("b.txt", "a\n");
    for scheduler in ["stealing", "static", "shared"] {
        let args = "run wordcount a.txt b.txt -o out --force --threads 3 --split-size 1000 --partitions 5";
        let ran = dir.run(&format!("{args} --scheduler {scheduler} --trace t.json --report r.json"));
        ran.printed("");
        let traced = Traced::of(&dir);
        traced.check();
        let mut threads: Vec<_> = traced.threads().into_values().collect();
        threads.sort();
        assert_eq!(threads, ["phases", "worker-0", "worker-1", "worker-2"]);

        // All attempts won. The report leaves out attempts at tasks of the output phase.
        let attempts = traced.of_kind("attempt");
        let mut drawn: Vec<_> = attempts
            .iter()
            .filter(|event| !text(&event["name"]).starts_with("output-"))
            .map(|event| {
                let args = &event["args"];
                assert_eq!((&args["outcome"], args.get("error")), (&Value::from("won"), None));
                let worker = &traced.threads()[&event["tid"].as_u64().unwrap()];
                let worker: u64 = worker.strip_prefix("worker-").unwrap().parse().unwrap();
                (text(&event["name"]), worker, args["bytes"].clone(), args["records"].clone(), args["input"].clone())
            })
            .collect();
        let tasks = traced.report["tasks"].as_array().unwrap();
        let mut told: Vec<_> = tasks
            .iter()
            .map(|task| {
                let input = task.get("input").cloned().unwrap_or_default();
                let worker = task["worker"].as_u64().unwrap();
                (text(&task["id"]), worker, task["bytes"].clone(), task["records"].clone(), input)
            })
            .collect();
        drawn.sort_by(|a, b| a.0.cmp(&b.0));
        told.sort_by(|a, b| a.0.cmp(&b.0));
        assert!(drawn == told && told.len() > 17, "{drawn:?} {told:?}");
        let stolen = |event: &&&Value| event["args"]["stolen"] == true;
        let marks = traced.events.iter().filter(|event| event["name"].as_str().unwrap().starts_with("stolen ")).count();
        assert_eq!(attempts.iter().filter(stolen).count(), marks);

        let phases = traced.of_kind("phase");
        let names: Vec<_> = phases.iter().map(|event| text(&event["name"])).collect();
        assert_eq!(names, ["map", "reduce", "output"]);
        for (phase, next) in phases.iter().zip(phases.iter().skip(1)) {
            assert!(span(phase).1 <= span(next).0);
        }
        // An attempt lies within its phase.
        for attempt in attempts {
            let phase = text(&attempt["name"]).split('-').next().unwrap().to_owned();
            let phase = span(phases[names.iter().position(|name| *name == phase).unwrap()]);
            assert!(phase.0 <= span(attempt).0 && span(attempt).1 <= phase.1);
        }
    }
}

#[test]
fn how_sources_were_read() {
    let dir = Dir::new().file("a.txt", "x\n");
    let command = ["run", "uniq", "a.txt", "--trace", "t.json", "--report", "r.json"];
    let commands = ["--from-command", "sh -c 'sleep 0.2; echo y'", "--from-command", "echo z"];
    dir.command(command.into_iter().chain(commands)).run().printed("x\t1\ny\t1\nz\t1\n");
    let traced = Traced::of(&dir);
    traced.check();
    let sources = traced.of_kind("source");
    let names: Vec<_> = sources.iter().map(|event| text(&event["name"])).collect();
    assert!(names.len() == 2 && names.contains(&"echo z".to_owned()), "{names:?}");
    let slow = sources.iter().find(|event| event["name"] == "sh -c 'sleep 0.2; echo y'").unwrap();
    assert_eq!(traced.threads()[&slow["tid"].as_u64().unwrap()], "sh -c 'sleep 0.2; echo y'");
    let (begin, end) = span(slow);
    assert!(end - begin >= 200_000.0, "{slow}");
    let args = &slow["args"];
    assert_eq!((&args["bytes"], &args["outcome"]), (&Value::from(2), &Value::from("whole")));
    assert!(args["first_byte_s"].as_f64().unwrap() >= 0.2 && args["reading_s"].as_f64().unwrap() >= 0.2, "{slow}");
}

#[test]
fn what_failed_is_in_it() {
    let dir = Dir::new().file("a.csv", "k,v\na,1\nb,x\n");
    let ran = dir.run("agg sum(v) a.csv --trace t.json --report r.json");
    assert_eq!(ran.code(), Some(1));
    let traced = Traced::of(&dir);
    traced.check();
    let [attempt] = traced.of_kind("attempt")[..] else { panic!("one attempt: {:?}", traced.events) };
    assert_eq!(attempt["args"]["outcome"], "failed");
    assert!(text(&attempt["args"]["error"]).contains("\"x\", not a number"), "{attempt}");
    assert!(traced.events.iter().any(|event| event["name"] == "failed map-00000-0" && event["ph"] == "i"));

    let command = ["run", "uniq", "--trace", "t.json", "--report", "r.json"];
    let ran = dir.command(command.into_iter().chain(["--from-command", "sh -c 'echo y; exit 3'"])).run();
    assert_eq!(ran.code(), Some(1));
    let traced = Traced::of(&dir);
    traced.check();
    let [source] = traced.of_kind("source")[..] else { panic!("one source: {:?}", traced.events) };
    assert_eq!((&source["args"]["bytes"], &source["args"]["outcome"]), (&Value::from(2), &Value::from("failed")));
    // The failed phase has an end.
    assert_eq!(traced.of_kind("phase").len(), 1);
}

/// Newlines in quotes make the first reading of the map phase void.
#[test]
fn what_was_made_again() {
    let rows = "k,v\n".to_owned() + &"\"a\n1,2\n\",1\n".repeat(200);
    let dir = Dir::new().file("a.csv", rows);
    dir.run("agg -g k sum(v) a.csv --split-size 7 --format jsonl --trace t.json --report r.json")
        .printed("{\"k\":\"a\\n1,2\\n\",\"sum(v)\":200}\n");
    let traced = Traced::of(&dir);
    traced.check();
    let forgotten: Vec<_> = traced.events.iter().filter(|event| event["name"] == "forgotten").collect();
    let [forgotten] = forgotten[..] else { panic!("it was forgotten once: {forgotten:?}") };
    assert_eq!(forgotten["s"], "p");
    let maps = traced.of_kind("attempt").into_iter().filter(|event| text(&event["name"]).starts_with("map-"));
    let (before, after): (Vec<_>, Vec<_>) = maps.partition(|event| span(event).1 <= span(forgotten).0);
    assert!(!before.is_empty() && !after.is_empty() && after.iter().all(|event| span(forgotten).0 <= span(event).0));
}

#[test]
fn where_a_trace_can_t_be() {
    let dir = Dir::new().file("a.json", "x\n");
    let run = |args: &str| dir.run(&format!("run uniq a.json {args}"));
    run("--trace t.txt")
        .refused("--trace t.txt: its ending doesn't say the format", "give it the ending .json: t.json");
    run("--trace -").refused("--trace -: its ending doesn't say the format", "name a file: --trace t.json");
    run("--trace a.json").refused("--trace a.json: is an INPUT", "name another file");
    run("--trace no/t.json").refused("--trace no/t.json: there is no directory no", "mkdir -p no");
    run("--trace t.json --report ./t.json").refused("--trace t.json: is also the file of --report", "");
    assert_eq!(dir.names(), ["a.json"]);
}
