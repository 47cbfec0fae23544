//! Timestamps, and the step `time`: what is read, written, compared and refused, and the messages.

use serde_json::json;

use crate::harness::Dir;

const IN: &str = "t,v,where\n\
    2026-03-29T00:59:59Z,1,a\n\
    2026-03-29 01:00:00Z,2,b\n\
    29/Mar/2026:03:30:00 +0200,3,a\n\
    1774748000.25,4,b\n\
    ,5,a\n";

const FORMS: &str = "timestamps are written 2026-11-25T10:00:00Z, 2026-11-25 10:00, 2026-11-25, 25/Nov/2026:10:00:00 +0100, or in seconds since 1970";
const NO_NUMBER: &str =
    "timestamps can be counted, and have a least and a greatest; the step time makes hours, days or months of them";
const SKIP: &str = "--set read.on_error=skip skips bad records";

fn dir() -> Dir {
    let hours = json!({
        "read": {"format": "csv"},
        "map": [{"time": "t", "unit": "hour", "zone": "Europe/Berlin", "as": "hour"}],
        "group_by": ["hour"],
        "aggregate": [{"op": "count", "as": "n"}, {"op": "max", "field": "t"}],
    });
    Dir::new().file("in.csv", IN).file("hours.json", hours.to_string())
}

#[test]
fn a_declared_column() {
    let agg = |words: &[&str]| dir().command([&["agg"], words, &["--type", "t=timestamp", "in.csv"]].concat()).run();
    agg(&["min(t), max(t), count(t)"]).printed("2026-03-29T00:59:59Z\t2026-03-29T01:33:20.25Z\t4\n");
    agg(&["-g", "t", "count", "--format", "jsonl"]).printed(
        "{\"t\":null,\"count\":1}\n\
         {\"t\":\"2026-03-29T00:59:59Z\",\"count\":1}\n\
         {\"t\":\"2026-03-29T01:00:00Z\",\"count\":1}\n\
         {\"t\":\"2026-03-29T01:30:00Z\",\"count\":1}\n\
         {\"t\":\"2026-03-29T01:33:20.25Z\",\"count\":1}\n",
    );
    agg(&["-g", "where", "max(t) as last", "--having", "last >= '2026-03-29T03:30:00+02:00'", "--sort=-last"])
        .printed("b\t2026-03-29T01:33:20.25Z\na\t2026-03-29T01:30:00Z\n");
    for literal in ["2026-03-29T01:00:00Z", "'2026-03-29 01:00'", "1774746000", "'29/Mar/2026:02:00:00 +0100'"] {
        agg(&["count", "--where", &format!("t >= {literal}")]).printed("3\n");
        agg(&["count", "--where", &format!("t in ({literal}, 0)")]).printed("1\n");
    }
    agg(&["max(t) as m", "--where", "v < 3"]).printed("2026-03-29T01:00:00Z\n");
}

#[test]
fn the_units_of_a_zone() {
    let dir = dir();
    dir.run("run ./hours.json in.csv").printed(
        "\\N\t1\t\\N\n\
         2026-03-29T01:00:00+01:00\t1\t2026-03-29T00:59:59Z\n\
         2026-03-29T03:00:00+02:00\t3\t2026-03-29T01:33:20.25Z\n",
    );
    dir.run(
        "run ./hours.json in.csv --set map.0.unit=minute --set map.0.every=30 --set map.0.zone=utc --format csv -n 3",
    )
    .printed(
        "hour,n,max_t\n,1,\n\
             2026-03-29T00:30:00Z,1,2026-03-29T00:59:59Z\n\
             2026-03-29T01:00:00Z,1,2026-03-29T01:00:00Z\n",
    );
    // The step applies to a field that another step made, and a later filter tests its result.
    let days = r#"map.1={"time":"hour","unit":"day","zone":"America/New_York","as":"day"}"#;
    let where_ = r#"where={"field":"day","lt":"2026-03-29T00:00:00-04:00"}"#;
    let select = ["--set", "group_by=[]", "--set", "aggregate=[]", "--set", r#"select=["day","t"]"#];
    let words = ["run", "./hours.json", "in.csv", "--sort=-t", "--set", days, "--set", where_];
    dir.command([&words[..], &select].concat()).run().printed(
        "2026-03-28T00:00:00-04:00\t2026-03-29T01:33:20.25Z\n\
         2026-03-28T00:00:00-04:00\t2026-03-29T01:30:00Z\n\
         2026-03-28T00:00:00-04:00\t2026-03-29T01:00:00Z\n\
         2026-03-28T00:00:00-04:00\t2026-03-29T00:59:59Z\n",
    );
}

/// A timestamp without an offset is in the zone of `read`, and is written in that zone.
#[test]
fn the_zone_that_is_read() {
    let text = "t\n2026-03-29 00:30:00\n2026-03-29 03:30:00\n2026-03-28T22:30:00Z\n1774739000\n";
    let dir = dir().file("in.csv", text);
    let run = |words: &[&str]| {
        dir.command([&["run", "./hours.json", "in.csv", "--set", "read.zone=Europe/Berlin"], words].concat()).run()
    };
    let days = r#"map=[{"time":"t","unit":"day","as":"hour"}]"#;
    run(&["--set", days]).printed(
        "2026-03-28T00:00:00+01:00\t1\t2026-03-28T23:30:00+01:00\n\
         2026-03-29T00:00:00+01:00\t3\t2026-03-29T03:30:00+02:00\n",
    );
    // The timestamps that a filter compares with are in that zone too.
    run(&["--set", days, "--set", r#"where={"field":"t","lt":"2026-03-29"}"#])
        .printed("2026-03-28T00:00:00+01:00\t1\t2026-03-28T23:30:00+01:00\n");
    run(&["--set", "map.0.unit=day", "--set", "map.0.zone=UTC", "-n", "1"])
        .printed("2026-03-28T00:00:00Z\t3\t2026-03-29T00:30:00+01:00\n");
    run(&["--set", "read.zone=berlin"])
        .refused("./hours.json: read.zone: no time zone \"berlin\"", "did you mean \"Europe/Berlin\"?");
}

#[test]
fn fields_of_json() {
    let lines = r#"{"t": 1774746000}
{"t": "2026-03-29T01:00:00.5Z"}
{"t": 1774746000750}
{"t": null}
{"t": true}
"#;
    let spec = json!({
        "map": [{"time": "t", "unit": "minute", "as": "m"}],
        "group_by": ["m"],
        "aggregate": [{"op": "count"}, {"op": "max", "field": "t"}],
        "output": {"format": "jsonl"},
    });
    let dir = Dir::new().file("in.jsonl", lines).file("job.json", spec.to_string());
    dir.run("run ./job.json in.jsonl")
        .failed(r#"in.jsonl:5: column "t" is "true", not a timestamp"#, &format!("{SKIP}; {FORMS}"));
    dir.run("run ./job.json in.jsonl --set read.on_error=skip -q").printed(
        "{\"m\":null,\"count\":1,\"max_t\":null}\n\
         {\"m\":\"2026-03-29T01:00:00Z\",\"count\":3,\"max_t\":\"2026-03-29T01:00:00.75Z\"}\n",
    );
}

#[test]
fn what_is_no_timestamp() {
    for (text, why, hint) in [
        ("2026-02-30", "not a valid date: February 2026 has only 28 days", String::new()),
        ("2026-02-03T25:00", "not a valid time: there is no hour 25", String::new()),
        ("9999-12-31", "out of range: timestamps go from -009999-01-02 to 9999-12-30T22:00:00Z", String::new()),
        ("soon", "not a timestamp", format!(", 'read.null=[\"soon\"]' makes this one null; {FORMS}")),
    ] {
        let dir = dir().file("in.csv", format!("t\n2026-01-01\n{text}\n"));
        dir.run("run ./hours.json in.csv")
            .failed(&format!("in.csv:3: column \"t\" is {text:?}, {why}"), &format!("{SKIP}{hint}"));
    }
}

/// If `min` takes timestamps for numbers, the hint says what to declare.
#[test]
fn a_column_that_nobody_declared() {
    let text = "2026-03-29T00:59:59Z";
    dir().run("agg min(t) in.csv").failed(
        &format!("in.csv:2: column \"t\" is {text:?}, not a number"),
        &format!(
            "{SKIP}, 'read.null=[{text:?}]' makes this one null, read.types.t=timestamp the column timestamps, read.types.t=string text"
        ),
    );
    dir().run("agg min(t) in.csv --set read.types.t=timestamp").printed("2026-03-29T00:59:59Z\n");
    dir().run("agg min(t) in.csv --set read.types.t=string").printed("1774748000.25\n");
}

#[test]
fn what_is_refused() {
    let dir = dir();
    let is_timestamp = "\"t\" is a timestamp, but a number is needed";
    for op in ["sum", "mean", "stddev", "variance_pop"] {
        for more in ["", " --where v>1"] {
            dir.run(&format!("agg {op}(t) in.csv --type t=timestamp{more}"))
                .refused(&format!("agg: aggregate.0.field: {is_timestamp}"), NO_NUMBER);
        }
    }
    let only = r#"aggregate=[{"op":"sum","field":"t","where":{"field":"v","gt":1}}]"#;
    dir.run(&format!("run ./hours.json in.csv --set {only}"))
        .refused(&format!("./hours.json: aggregate.0.field: {is_timestamp}"), NO_NUMBER);
    let agg =
        |predicate: &str| dir.command(["agg", "count", "in.csv", "--type", "t=timestamp", "--where", predicate]).run();
    agg("t >= soon").refused("agg: where.gte: \"t\" is a timestamp, but \"soon\" is not a timestamp", FORMS);
    agg("t in ('2026-02-30')").refused(
        "agg: where.in.0: \"t\" is a timestamp, but \"2026-02-30\" is not a valid date: February 2026 has only 28 days",
        FORMS,
    );
    agg("t < 1e30").refused(
        "agg: where.lt: \"t\" is a timestamp, but 1e+30 is out of range: timestamps go from -009999-01-02 to 9999-12-30T22:00:00Z",
        "",
    );
    agg("t ~ 2026").refused("agg: where.matches: \"t\" is a timestamp, but only text matches a pattern", "");
    let hours = |set: &str| dir.command(["run", "./hours.json", "in.csv", "--set", set]).run();
    for (zone, hint) in [
        ("Berlin", "did you mean \"Europe/Berlin\"?"),
        ("new york", "did you mean \"America/New_York\"?"),
        ("Europe/Brelin", "did you mean \"Europe/Berlin\"?"),
        ("+01:00", "a zone is a name of the IANA database, such as Europe/Berlin"),
    ] {
        hours(&format!("map.0.zone={zone}")).refused(&format!("./hours.json: map.0.zone: no time zone {zone:?}"), hint);
    }
    hours("map.0.every=7").refused(
        "./hours.json: map.0.every: 7 hours don't divide a longer unit evenly",
        "every must divide 60 seconds, 60 minutes or 24 hours evenly; other units have no every",
    );
    let wanted = |kind: &str| format!("./hours.json: map.0.time: \"t\" is {kind}, but a timestamp is needed");
    hours("read.types.t=string").refused(&wanted("text"), "declare it in read.types: \"timestamp\"");
    hours("read.types.t=decimal").refused(&wanted("a number"), "declare it in read.types: \"timestamp\"");
    hours(r#"map.1={"derive":"hour * 2","as":"x"}"#)
        .refused("./hours.json: map.1.derive: \"hour\" is a timestamp, but a number is needed", NO_NUMBER);
    hours(r#"map.1={"lower":"hour","as":"x"}"#)
        .refused("./hours.json: map.1.lower: \"hour\" is a timestamp that a step made, but text is needed", "");
}
