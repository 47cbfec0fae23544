//! `time`: the lower edge of the unit (hour, day, …) that a timestamp is in, as the clocks of a zone show it.
//!
//! A unit of up to an hour ends where clocks are changed. If clocks are put back, the hour that they show twice is two
//! units. A longer unit begins at the first second at which clocks show its edge or, if clocks are put forward over the
//! edge, something later.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use super::AS;
use crate::data::decimal::power;
use crate::data::zone::{Clock, Period, calendar, local};
use crate::data::{Batch, Column, Decimals, Kind, Numbers, Sink, Zone};
use crate::error::Result;
use crate::map::scope::Written;
use crate::map::{Field, Makes, Next, Scope, Stage, Step};
use crate::schema::{Choice, Key, Shape, choices};

pub const KEYS: &[Key] = &[
    Key::required("time", Shape::Name)
        .about("The beginning of the hour, day, … that the timestamp in this field is in"),
    Key::required("unit", Shape::Choice(Choice::of(Unit::NAMES))).about("The unit whose beginning is taken"),
    Key::optional("every", Shape::Whole { least: 1, most: 30 })
        .about("The number of units that are taken as one, such as 15 minutes")
        .by_default("1"),
    Key::optional("zone", Shape::Name)
        .about("The time zone that says when a unit begins, by its IANA name: by default that of the timestamp"),
    AS,
];

choices! {
    pub enum Unit {
        Second = "second",
        Minute = "minute",
        Hour = "hour",
        Day = "day",
        /// Begins on Monday.
        Week = "week",
        Month = "month",
        Quarter = "quarter",
        Year = "year",
    }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    let unit = written.text("unit");
    let unit = Unit::ALL.into_iter().find(|known| known.name() == unit).expect("the schema knows no other");
    let every = match written.get("every") {
        None => 1,
        Some(every) => every.as_i64().expect("the schema has been through it"),
    };
    let length = unit.length(every).ok_or_else(|| {
        let what = format!("{every} {}s don't divide a longer unit evenly", unit.name());
        let hint = "every must divide 60 seconds, 60 minutes or 24 hours evenly; other units have no every";
        scope.blame.error(&written.at("every"), &what, Some(hint.into()))
    })?;
    let name = written.text("time");
    let input = scope.timestamp(&written.at("time"), name)?;
    let zone = match (written.get("zone"), scope.kind(input)) {
        (None, Kind::Timestamp(zone)) => zone,
        _ => scope.blame.zone(&written.at("zone"), written.text("zone"))?,
    };
    let may_be_null = scope.may_be_null(input);
    scope.push(Time { input, length, zone });
    scope.add(&written.at("as"), written.text("as"), Kind::Timestamp(zone), may_be_null)?;
    Ok(())
}

/// The length of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// A part of a day, in seconds.
    Seconds(i64),
    Days(i64),
    Months(i8),
}

impl Unit {
    const ALL: [Unit; 8] =
        [Unit::Second, Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Quarter, Unit::Year];

    /// Returns the length of `every` units. `None` if the next longer unit isn't a whole multiple of that.
    fn length(self, every: i64) -> Option<Length> {
        let part = |of: i64, second: i64| (of % every == 0).then_some(Length::Seconds(every * second));
        match self {
            Unit::Second => part(60, 1),
            Unit::Minute => part(60, MINUTE),
            Unit::Hour => part(24, HOUR),
            _ if every != 1 => None,
            Unit::Day => Some(Length::Days(1)),
            Unit::Week => Some(Length::Days(7)),
            Unit::Month => Some(Length::Months(1)),
            Unit::Quarter => Some(Length::Months(3)),
            Unit::Year => Some(Length::Months(12)),
        }
    }
}

impl Length {
    /// Returns the lower and the upper edge of the unit that a clock is in when it shows `shown`. All three are seconds
    /// since 1970-01-01 as that clock counts them.
    fn around(self, shown: i64) -> (i64, i64) {
        // Day 0, 1970-01-01, was a Thursday.
        const MONDAY: i64 = -3;
        match self {
            Length::Seconds(length) => {
                let low = shown.div_euclid(length) * length;
                (low, low + length)
            }
            Length::Days(days) => {
                let first = if days == 7 { MONDAY } else { 0 };
                let low = (shown.div_euclid(DAY) - first).div_euclid(days) * days + first;
                (low * DAY, (low + days) * DAY)
            }
            Length::Months(months) => {
                let date = calendar(shown).date();
                let month = (date.month() - 1) / months * months + 1;
                let low = Date::new(date.year(), month, 1).expect("months begin with a first");
                let midnight = |date: Date| local(DateTime::from(date));
                (midnight(low), low.checked_add(i64::from(months).months()).map_or(i64::MAX, midnight))
            }
        }
    }

    /// Whether a new unit begins where clocks are changed.
    fn is_of_one_run(self) -> bool {
        matches!(self, Length::Seconds(..=HOUR))
    }
}

#[derive(Clone, Debug)]
struct Time {
    input: Field,
    length: Length,
    zone: Zone,
}

impl Step for Time {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn stage(&self) -> Box<dyn Stage> {
        Box::new(Timing { input: self.input, edges: UnitEdges::new(self.length, self.zone.clock()), cut: Vec::new() })
    }
}

#[derive(Debug)]
struct Timing {
    input: Field,
    edges: UnitEdges,
    cut: Vec<i64>,
}

impl Stage for Timing {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Timing { input, edges, cut } = self;
        let Column::Decimal(column) = batch.columns[*input] else { unreachable!("a column of timestamps") };
        edges.cut(column, cut);
        let numbers = Numbers::Narrow { mantissas: cut, scale: 0 };
        let added = Column::Decimal(Decimals { numbers, nulls: column.nulls });
        next.take(&Batch { rows: batch.rows, columns: &[batch.columns, &[added]].concat() })
    }
}

/// A stretch of time, in seconds of UTC, that lies in one unit and in which clocks aren't changed.
#[derive(Clone, Copy, Debug)]
struct UnitStretch {
    from: i64,
    until: i64,
    /// The second at which the unit begins.
    low: i64,
}

impl UnitStretch {
    #[inline]
    fn holds(&self, at: i64) -> bool {
        self.from <= at && at < self.until
    }

    /// Returns the stretch with `from` and `until` scaled to fractions of which a second has `second`. `low` stays in
    /// seconds.
    fn scaled(self, second: i64) -> Self {
        UnitStretch { from: self.from.saturating_mul(second), until: self.until.saturating_mul(second), low: self.low }
    }
}

/// Finds where units begin. The last stretch is remembered, because successive timestamps are mostly in the same one.
#[derive(Debug)]
struct UnitEdges {
    length: Length,
    clock: Clock,
    period: Period,
    edge: UnitStretch,
}

impl UnitEdges {
    fn new(length: Length, clock: Clock) -> Self {
        UnitEdges { length, clock, period: Period::NONE, edge: UnitStretch { from: 0, until: 0, low: 0 } }
    }

    /// Fills `cut` with the beginning of each timestamp's unit, in seconds.
    fn cut(&mut self, column: Decimals<'_>, cut: &mut Vec<i64>) {
        cut.clear();
        match column.numbers {
            Numbers::Narrow { mantissas, scale } => {
                let second = power(scale.into()) as i64;
                let mut edge = self.edge.scaled(second);
                for (i, &mantissa) in mantissas.iter().enumerate() {
                    if !edge.holds(mantissa) && !column.is_null(i) {
                        edge = self.around(mantissa.div_euclid(second)).scaled(second);
                    }
                    cut.push(edge.low);
                }
            }
            Numbers::Wide(numbers) => cut.extend(numbers.iter().enumerate().map(|(i, number)| {
                let second = number.mantissa.div_euclid(power(number.scale.into())) as i64;
                if column.is_null(i) { 0 } else { self.around(second).low }
            })),
        }
    }

    /// Returns the stretch that a second is in.
    fn around(&mut self, second: i64) -> UnitStretch {
        if self.edge.holds(second) {
            return self.edge;
        }
        if !self.period.holds(second) {
            self.period = self.clock.period(second);
        }
        let Period { from, until, ahead } = self.period;
        let (low, high) = self.length.around(second + ahead);
        let from = from.max(low - ahead);
        let low = if self.length.is_of_one_run() { from } else { self.clock.first(low) };
        self.edge = UnitStretch { from, until: until.min(high.saturating_sub(ahead)), low };
        self.edge
    }
}

#[cfg(test)]
mod tests;
