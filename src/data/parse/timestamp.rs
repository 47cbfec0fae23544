//! Reads timestamps from text: seconds since 1970-01-01T00:00:00Z, without leap seconds.
//!
//! ```text
//! 2026-11-25T10:00:00.5+01:00    RFC 3339; also a space for the T, a comma for the point, hours and minutes alone,
//!                                an offset of +0100 or +01
//! 2026-11-25                     midnight; a text without an offset is in the zone that the job chooses
//! 25/Nov/2026:10:00:00 +0100     as web servers write their logs
//! 20261125  20261125100000       eight digits are a date, fourteen a date and a time
//! 1795600800  1795600800.5       any other number: seconds if its magnitude is below 10^11, milliseconds below 10^14,
//! 1795600800000                  microseconds below 10^17, else nanoseconds
//! ```
//!
//! A leap second, `:60`, is read as the second before it, so that it stays in the same minute and on the same day.

use jiff::Timestamp;
use jiff::civil::Date;

use super::{ParseError, trimmed};
use crate::data::columns::GrowingDecimals;
use crate::data::decimal::{Decimal, power};
use crate::data::zone::{self, Clock};
use crate::data::{Bytes, Decimals};

/// The forms of a timestamp, for messages.
pub const FORMS: &str = "timestamps are written 2026-11-25T10:00:00Z, 2026-11-25 10:00, 2026-11-25, 25/Nov/2026:10:00:00 +0100, or in seconds since 1970";

/// The most digits of a second behind its point.
const FRACTION_DIGITS: u32 = 9;

/// Why a text isn't a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTimestamp {
    #[error("not a timestamp")]
    Unknown,
    #[error("not a valid date: {} {year} has only {days} days", MONTHS[*month as usize - 1])]
    Day { year: i16, month: i8, days: i8 },
    /// A number that a part can't have. `whole` is a date, a time or an offset.
    #[error("not a valid {whole}: there is no {part} {number}")]
    Part { whole: &'static str, part: &'static str, number: i64 },
    #[error("out of range: timestamps go from -009999-01-02 to 9999-12-30T22:00:00Z")]
    OutOfRange,
    #[error("too many digits: a second has at most 9 digits behind the point")]
    TooFine,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Reads a timestamp of any of the forms. A text without an offset is what `clock` shows.
pub fn parse_timestamp(text: &[u8], clock: &Clock) -> Result<Decimal, ParseError> {
    let text = trimmed(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let cursor = Cursor { rest: text, clock };
    Ok(match (digits, text.get(digits)) {
        (4, Some(b'-')) => cursor.rfc_3339(),
        // A year of six digits has a sign.
        (0, Some(b'+' | b'-')) if text.get(7) == Some(&b'-') => cursor.rfc_3339(),
        (2, Some(b'/')) => cursor.common_log(),
        (8 | 14, None) => cursor.compact(),
        _ => epoch(text),
    }?)
}

/// The least number that counts milliseconds. Numbers of at least 10^3 and 10^6 times this count microseconds and
/// nanoseconds.
const MILLISECONDS: Decimal = Decimal { mantissa: power(11), scale: 0 };

fn epoch(text: &[u8]) -> Result<Decimal, NoTimestamp> {
    let number = Decimal::parse(text).map_err(|error| match error {
        ParseError::OutOfRange => NoTimestamp::OutOfRange,
        _ => NoTimestamp::Unknown,
    })?;
    let size = Decimal { mantissa: number.mantissa.abs(), ..number };
    let thousands = (0..3).take_while(|n| size >= Decimal { mantissa: MILLISECONDS.mantissa * power(3 * n), scale: 0 });
    let scale = u32::from(number.scale) + 3 * thousands.count() as u32;
    let seconds = Decimal { mantissa: number.mantissa, scale: scale.min(38) as u8 }.normalised();
    match u32::from(seconds.scale) > FRACTION_DIGITS || scale > 38 {
        true => Err(NoTimestamp::TooFine),
        false => in_range(seconds),
    }
}

fn in_range(seconds: Decimal) -> Result<Decimal, NoTimestamp> {
    let second = seconds.mantissa.div_euclid(power(seconds.scale.into()));
    let range = i128::from(Timestamp::MIN.as_second())..=i128::from(Timestamp::MAX.as_second());
    if range.contains(&second) { Ok(seconds) } else { Err(NoTimestamp::OutOfRange) }
}

/// The unread rest of a text. Methods return `None` if the part isn't there.
struct Cursor<'a> {
    rest: &'a [u8],
    clock: &'a Clock,
}

impl Cursor<'_> {
    fn rfc_3339(mut self) -> Result<Decimal, NoTimestamp> {
        let date = self.date().ok_or(NoTimestamp::Unknown)?;
        let has_time = self.takes(b"Tt ");
        let time = if has_time { self.time(b":").ok_or(NoTimestamp::Unknown)? } else { Time::default() };
        self.finish(date, time, has_time)
    }

    fn common_log(mut self) -> Result<Decimal, NoTimestamp> {
        let date = self.log_date().ok_or(NoTimestamp::Unknown)?;
        let time = self.time(b":").ok_or(NoTimestamp::Unknown)?;
        self.finish(date, time, true)
    }

    fn compact(mut self) -> Result<Decimal, NoTimestamp> {
        let parts = (self.number(4), self.number(2), self.number(2));
        let (Some(year), Some(month), Some(day)) = parts else { return Err(NoTimestamp::Unknown) };
        let time = if self.rest.is_empty() { Time::default() } else { self.time(b"").ok_or(NoTimestamp::Unknown)? };
        self.finish((year, month, day), time, false)
    }

    fn takes(&mut self, any: &[u8]) -> bool {
        let found = self.rest.first().is_some_and(|byte| any.contains(byte));
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    /// Reads a number of `digits` digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        let value = number
            .iter()
            .try_fold(0, |value, byte| byte.is_ascii_digit().then(|| 10 * value + i64::from(byte - b'0')))?;
        self.rest = rest;
        Some(value)
    }

    /// Reads a date such as `2026-11-25`. Returns year, month and day.
    fn date(&mut self) -> Option<(i64, i64, i64)> {
        let year = match self.rest.first()? {
            sign @ (b'+' | b'-') => {
                self.rest = &self.rest[1..];
                self.number(6)? * if *sign == b'-' { -1 } else { 1 }
            }
            _ => self.number(4)?,
        };
        let month = self.takes(b"-").then(|| self.number(2))??;
        let day = self.takes(b"-").then(|| self.number(2))??;
        Some((year, month, day))
    }

    /// Reads a date such as `25/Nov/2026:`. Returns year, month and day.
    fn log_date(&mut self) -> Option<(i64, i64, i64)> {
        let day = self.number(2)?;
        self.takes(b"/").then_some(())?;
        let (name, rest) = self.rest.split_at_checked(3)?;
        let month = MONTHS.iter().position(|month| month.as_bytes()[..3].eq_ignore_ascii_case(name))?;
        self.rest = rest;
        let year = self.takes(b"/").then(|| self.number(4))??;
        self.takes(b":").then_some((year, month as i64 + 1, day))
    }

    /// Reads hours and minutes, and seconds if they are there. One byte of `colon` must stand between them, unless
    /// `colon` is empty.
    fn time(&mut self, colon: &[u8]) -> Option<Time> {
        let is_next = |cursor: &mut Self| if colon.is_empty() { !cursor.rest.is_empty() } else { cursor.takes(colon) };
        let hour = self.number(2)?;
        let minute = is_next(self).then(|| self.number(2))??;
        let mut time = Time { hour, minute, ..Time::default() };
        if is_next(self) {
            time.second = self.number(2)?;
            if self.takes(b".,") {
                let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                time.digits = digits;
                // More digits lead to `TooFine` later, rather than to `Unknown`.
                time.fraction = self.number(digits.min(FRACTION_DIGITS as usize)).filter(|_| digits > 0)?;
                self.rest = &self.rest[digits.saturating_sub(FRACTION_DIGITS as usize)..];
            }
        }
        Some(time)
    }

    /// Reads the offset, which is how far clocks are ahead of UTC. It must end the text, and a blank may stand before
    /// it. Returns `Ok(None)` if the text has no offset.
    fn ahead(mut self) -> Option<Result<Option<i64>, NoTimestamp>> {
        if self.rest.is_empty() {
            return Some(Ok(None));
        }
        self.takes(b" ");
        if matches!(self.rest, b"Z" | b"z" | b"UTC") {
            return Some(Ok(Some(0)));
        }
        let is_behind = self.rest.first() == Some(&b'-');
        self.takes(b"+-").then_some(())?;
        let hour = self.number(2)?;
        let part = |cursor: &mut Self| if cursor.rest.is_empty() { Some(0) } else { cursor.colon_and_two() };
        let (minute, second) = (part(&mut self)?, part(&mut self)?);
        self.rest.is_empty().then(|| {
            let whole = "offset";
            let size = Time { hour, minute, second, ..Time::default() }.seconds(whole, 59)?;
            Ok(Some(if is_behind { -size } else { size }))
        })
    }

    fn colon_and_two(&mut self) -> Option<i64> {
        self.takes(b":");
        self.number(2)
    }

    fn finish(
        self,
        (year, month, day): (i64, i64, i64),
        time: Time,
        may_have_offset: bool,
    ) -> Result<Decimal, NoTimestamp> {
        let clock = self.clock;
        let ahead = match may_have_offset {
            true => self.ahead().ok_or(NoTimestamp::Unknown)?,
            false if self.rest.is_empty() => Ok(None),
            false => return Err(NoTimestamp::Unknown),
        };
        let midnight = zone::local(date(year, month, day)?.at(0, 0, 0, 0));
        let local = midnight + time.seconds("time", 60)?;
        let second = ahead?.map_or_else(|| clock.meant(local), |ahead| local - ahead);
        if time.digits > FRACTION_DIGITS as usize {
            return Err(NoTimestamp::TooFine);
        }
        let mantissa = i128::from(second) * power(time.digits as u32) + i128::from(time.fraction);
        in_range(Decimal { mantissa, scale: time.digits as u8 })
    }
}

fn date(year: i64, month: i64, day: i64) -> Result<Date, NoTimestamp> {
    let whole = "date";
    let year = i16::try_from(year).ok().filter(|year| (-9999..=9999).contains(year)).ok_or(NoTimestamp::OutOfRange)?;
    if !(1..=12).contains(&month) {
        return Err(NoTimestamp::Part { whole, part: "month", number: month });
    }
    if day == 0 {
        return Err(NoTimestamp::Part { whole, part: "day", number: 0 });
    }
    let month = month as i8;
    Date::new(year, month, day as i8).map_err(|_| NoTimestamp::Day {
        year,
        month,
        days: jiff::civil::date(year, month, 1).days_in_month(),
    })
}

#[derive(Default)]
struct Time {
    hour: i64,
    minute: i64,
    second: i64,
    /// The digits behind the second's point as a number, and how many there are.
    fraction: i64,
    digits: usize,
}

impl Time {
    /// Returns the time in seconds. Seconds may be up to `most`, but 60 counts as 59.
    fn seconds(&self, whole: &'static str, most: i64) -> Result<i64, NoTimestamp> {
        let Time { hour, minute, second, .. } = *self;
        for (part, number, most) in [("hour", hour, 23), ("minute", minute, 59), ("second", second, most)] {
            if number > most {
                return Err(NoTimestamp::Part { whole, part, number });
            }
        }
        Ok(3600 * hour + 60 * minute + second.min(59))
    }
}

/// Turns columns of text into timestamps, a batch at a time. Its memory is reused from batch to batch.
#[derive(Debug)]
pub struct TimestampParser {
    clock: Clock,
    seconds: GrowingDecimals,
}

impl TimestampParser {
    /// Makes a parser for text in which a timestamp without an offset is what `clock` shows.
    pub fn new(clock: Clock) -> Self {
        TimestampParser { clock, seconds: GrowingDecimals::default() }
    }

    /// Returns the timestamps of `column`, null where `column` is null. `bad` is called with the row of each value that
    /// isn't a timestamp, in ascending order of rows. The timestamp of such a row is 0.
    pub fn parse(&mut self, column: Bytes<'_>, mut bad: impl FnMut(usize, ParseError)) -> Decimals<'_> {
        self.seconds.clear();
        for row in 0..column.spans.len() {
            let second = column.value(row).map(|text| {
                parse_timestamp(text, &self.clock).unwrap_or_else(|error| {
                    bad(row, error);
                    Decimal::ZERO
                })
            });
            self.seconds.push(second);
        }
        self.seconds.column()
    }
}

#[cfg(test)]
mod tests;
