//! Tests that timestamps are read as jiff reads them, and that other texts give the right message.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use super::*;
use crate::data::{Span, Zone};

thread_local! {
    static UTC: Clock = Zone::UTC.clock();
}

fn parse(text: &[u8]) -> Result<Decimal, ParseError> {
    UTC.with(|utc| parse_timestamp(text, utc))
}

/// Returns the timestamp with its digits, or the message.
fn read(text: &str) -> Result<String, String> {
    parse(text.as_bytes()).map(|seconds| seconds.to_string()).map_err(|error| error.to_string())
}

fn seconds(at: Timestamp) -> Decimal {
    Decimal { mantissa: at.as_nanosecond(), scale: 9 }
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    let second = prop_oneof![
        4 => 1_000_000_000i64..3_000_000_000,
        1 => Timestamp::MIN.as_second()..=Timestamp::MAX.as_second() - 1,
    ];
    let nanos = prop_oneof![Just(0), (0i64..1000).prop_map(|milli| milli * 1_000_000), 0i64..1_000_000_000];
    (second, nanos).prop_map(|(second, nanos)| {
        Timestamp::from_nanosecond(i128::from(second) * 1_000_000_000 + i128::from(nanos)).unwrap()
    })
}

/// Offsets of whole minutes, as in RFC 3339.
fn offset() -> impl Strategy<Value = Offset> {
    (-23 * 60 - 59..24 * 60).prop_map(|minutes: i32| Offset::from_seconds(60 * minutes).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn what_jiff_writes_is_read(at in timestamp(), offset in offset(), separator in "[Tt ]", short in any::<bool>()) {
        prop_assert_eq!(parse(at.to_string().as_bytes()), Ok(seconds(at)));
        let there = at.to_zoned_datetime(TimeZone::fixed(offset));
        let format = if short { "%z" } else { "%:z" };
        let text = format!("{}{}", there.datetime(), strtime::format(format, &there).unwrap()).replace('T', &separator);
        prop_assert_eq!(parse(text.as_bytes()), Ok(seconds(at)), "{}", text);
        let local = there.datetime().to_string();
        let utc = TimeZone::UTC.to_timestamp(there.datetime());
        prop_assert_eq!(parse(local.as_bytes()).ok(), utc.ok().map(seconds), "{}", local);
        let year = there.year();
        if (0..=9999).contains(&year) {
            let second = Decimal::from(at.as_second());
            for format in ["%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%d %H:%M:%S %z"] {
                let text = strtime::format(format, &there).unwrap();
                let whole = Timestamp::from_second(at.as_nanosecond().div_euclid(1_000_000_000) as i64).unwrap();
                prop_assert_eq!(parse(text.as_bytes()), Ok(seconds(whole)), "{} {}", text, second);
            }
            let date = there.date();
            let midnight = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok().map(seconds);
            for text in [date.to_string(), date.strftime("%Y%m%d").to_string()] {
                prop_assert_eq!(parse(text.as_bytes()).ok(), midnight, "{}", text);
            }
        }
    }

    #[test]
    fn what_looks_like_one_is_read_where_jiff_reads_it(
        text in "(00|19|20|99)[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9]([.,][0-9]{1,9})?)?(Z|[+-][0-2][0-9](:?[0-6][0-9])?)?"
    ) {
        let has_offset = text[11..].contains(['Z', '+', '-']);
        let expected = match has_offset {
            true => text.parse::<Timestamp>().ok(),
            false => text.parse::<DateTime>().ok().and_then(|local| TimeZone::UTC.to_timestamp(local).ok()),
        };
        // Jiff also reads offsets of more than a day.
        let is_far = ["+24", "+25", "-24", "-25"].iter().any(|far| text[11..].contains(far));
        prop_assert_eq!(parse(text.as_bytes()).ok(), expected.filter(|_| !is_far).map(seconds), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_not(text in "[-+0-9TZ:./, a]{0,30}") {
        if let Ok(at) = parse(text.as_bytes()) {
            prop_assert!(at.scale <= 9);
        }
    }

    #[test]
    fn numbers_are_of_a_unit_by_their_size(at in timestamp(), unit in 0u32..4) {
        let number = Decimal { mantissa: at.as_nanosecond(), scale: 9 - 3 * unit as u8 };
        let size = number.mantissa.abs() / power(number.scale.into());
        let is_unit = match unit {
            0 => size < power(11),
            3 => size >= power(17),
            _ => (power(8 + 3 * unit)..power(11 + 3 * unit)).contains(&size),
        };
        let text = number.to_string();
        // Eight and fourteen digits are dates.
        prop_assume!(is_unit && !(matches!(text.len(), 8 | 14) && text.bytes().all(|byte| byte.is_ascii_digit())));
        prop_assert_eq!(parse(text.as_bytes()), Ok(seconds(at)), "{}", text);
    }

    #[test]
    fn a_column_as_one_by_one(cells in prop::collection::vec(prop::option::of("(20[0-9]{2}-0[1-9]-[0-3][0-9](T10:00:00(\\.[0-9]{1,9})?)?|[0-9]{1,14}|x|9999-12-30 22:00:00\\.[0-9]{9})"), 0..20)) {
        let mut data = Vec::new();
        let spans: Vec<_> = cells.iter().map(|cell| cell.as_ref().map_or(Span::NULL, |cell| {
            data.extend_from_slice(cell.as_bytes());
            Span::of(data.len() - cell.len()..data.len())
        })).collect();
        let (mut parser, mut errors) = (TimestampParser::new(UTC.with(Clock::clone)), Vec::new());
        let found = parser.parse(Bytes { data: &data, spans: &spans }, |row, error| errors.push((row, error)));
        for (row, cell) in cells.iter().enumerate() {
            let expected = cell.as_ref().map(|cell| parse(cell.as_bytes()));
            let error = expected.as_ref().and_then(|read| read.err());
            prop_assert_eq!(errors.iter().find(|(at, _)| *at == row).map(|(_, error)| *error), error);
            prop_assert_eq!(found.value(row), expected.map(|read| read.unwrap_or(Decimal::ZERO)));
        }
    }
}

#[test]
fn every_form_is_read() {
    for text in [
        "2026-11-25T10:00:00Z",
        "2026-11-25t10:00:00z",
        " 2026-11-25 10:00:00\t",
        "2026-11-25 10:00",
        "2026-11-25T10:00Z",
        "2026-11-25 10:00:00 UTC",
        "2026-11-25 10:00:00,000",
        "2026-11-25T11:00:00.000+01:00",
        "2026-11-25T11:00:00+0100",
        "2026-11-25 11:00:00 +01",
        "2026-11-25T10:53:28+00:53:28",
        "2026-11-25T09:00:00-01:00",
        "+002026-11-25T10:00:00Z",
        "25/Nov/2026:10:00:00 +0000",
        "25/nov/2026:15:45:00 +0545",
        "25/Nov/2026:10:00:00",
        "20261125100000",
        "1795600800",
        "+1795600800.0",
        "1.7956008e9",
        "1795600800000",
        "1795600800000.000",
        "1795600800000000",
        "1795600800000000000",
    ] {
        assert_eq!(read(text).as_deref(), Ok("1795600800"), "{text}");
    }
    assert_eq!(read("2026-11-25").as_deref(), Ok("1795564800"));
    assert_eq!(read("20261125").as_deref(), Ok("1795564800"));
    assert_eq!(read("0").as_deref(), Ok("0"));
    assert_eq!(read("-1.5").as_deref(), Ok("-1.5"));
    assert_eq!(read("-99999999999").as_deref(), Ok("-99999999999"));
    assert_eq!(read("-100000000000").as_deref(), Ok("-100000000"));
    assert_eq!(read("1969-12-31T23:59:59.25Z").as_deref(), Ok("-0.75"));
    assert_eq!(read("0000-01-01").as_deref(), Ok("-62167219200"));
}

#[test]
fn a_leap_second_is_the_second_before_it() {
    let before = read("2016-12-31T23:59:59Z");
    assert_eq!(read("2016-12-31T23:59:60Z"), before);
    assert_eq!(read("31/Dec/2016:23:59:60 +0000"), before);
    assert_eq!(read("20161231235960"), before);
    assert_eq!(read("2016-12-31T23:59:61Z"), Err("not a valid time: there is no second 61".into()));
}

#[test]
fn what_is_wrong_is_said() {
    for (text, expected) in [
        ("2026-02-30", "not a valid date: February 2026 has only 28 days"),
        ("20260230", "not a valid date: February 2026 has only 28 days"),
        ("31/Apr/2026:10:00:00 +0000", "not a valid date: April 2026 has only 30 days"),
        ("2026-04-00", "not a valid date: there is no day 0"),
        ("2026-13-01 10:00:00Z", "not a valid date: there is no month 13"),
        ("2026-00-01", "not a valid date: there is no month 0"),
        ("2026-11-25T24:00:00Z", "not a valid time: there is no hour 24"),
        ("2026-11-25T10:60:00Z", "not a valid time: there is no minute 60"),
        ("2026-11-25T10:00:00+24:00", "not a valid offset: there is no hour 24"),
        ("2026-11-25T10:00:00-01:60", "not a valid offset: there is no minute 60"),
        ("2026-11-25T10:00:00+00:00:60", "not a valid offset: there is no second 60"),
        ("2026-11-25T10:00:00.0000000001Z", "too many digits: a second has at most 9 digits behind the point"),
        ("1795600800.0000000001", "too many digits: a second has at most 9 digits behind the point"),
        ("-010000-01-01", "out of range: timestamps go from -009999-01-02 to 9999-12-30T22:00:00Z"),
        ("-009999-01-01", "out of range: timestamps go from -009999-01-02 to 9999-12-30T22:00:00Z"),
        ("9999-12-31T00:00:00Z", "out of range: timestamps go from -009999-01-02 to 9999-12-30T22:00:00Z"),
        ("1e30", "out of range: timestamps go from -009999-01-02 to 9999-12-30T22:00:00Z"),
        ("1e99", "out of range: timestamps go from -009999-01-02 to 9999-12-30T22:00:00Z"),
    ] {
        assert_eq!(read(text), Err(expected.into()), "{text}");
    }
    for text in [
        "",
        "x",
        "yesterday",
        "2026-",
        "2026-1-1",
        "2026-11-25T",
        "2026-11-25T10",
        "2026-11-25T10:00:00X",
        "2026-11-25T10:00:00.Z",
        "2026-11-25  10:00:00",
        "2026-11-25T10:00:00+",
        "2026-11-25T10:00:00+1",
        "2026-11-25T10:00:00+01:",
        "2026-11-25T10:00:00Z ago",
        "2026-11-25Z",
        "25/Foo/2026:10:00:00 +0000",
        "25/Nov/2026",
        "25/Nov/2026 10:00:00",
        "Nov 25 10:00:00",
        "11/25/2026",
        "20261125T100000Z",
        "\u{663}",
        "nan",
    ] {
        assert_eq!(read(text), Err("not a timestamp".into()), "{text}");
    }
    assert_eq!(parse(b"2026-11-25T10:00:\xff0Z"), Err(NoTimestamp::Unknown.into()));
}

/// A time that clocks show twice means the first one. A time that clocks skip means the time that is as far behind the
/// change.
#[test]
fn without_an_offset_it_is_of_a_zone() {
    let berlin = Zone::named("Europe/Berlin").unwrap().clock();
    let read = |text: &str| berlin.text(parse_timestamp(text.as_bytes(), &berlin).unwrap());
    assert_eq!(read("2026-11-25"), "2026-11-25T00:00:00+01:00");
    assert_eq!(read("20260725100000"), "2026-07-25T10:00:00+02:00");
    assert_eq!(read("25/Jul/2026:10:00:00"), "2026-07-25T10:00:00+02:00");
    assert_eq!(read("2026-10-25 02:30:00,5"), "2026-10-25T02:30:00.5+02:00");
    assert_eq!(read("2026-03-29T02:30:00"), "2026-03-29T03:30:00+02:00");
    assert_eq!(read("2026-07-25T10:00:00Z"), "2026-07-25T12:00:00+02:00");
    assert_eq!(read("2026-07-25 10:00:00 +0000"), "2026-07-25T12:00:00+02:00");
    assert_eq!(read("0"), "1970-01-01T01:00:00+01:00");
}
