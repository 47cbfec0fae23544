//! Spans of time as people type them: `500ms`, `2s`, `1.5s`, `1m`, `1h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A span of time longer than zero. It is printed exactly, and in the form in which it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// A regular expression for the texts that are read as a span. It also matches zero and times that are too long, which
/// aren't.
pub const PATTERN: &str = r"^\s*[0-9]+(\.[0-9]{1,9})?\s*([hH]|[mM][sS]?|[sS])\s*$";

pub const HINT: &str = "a span of time is a number with a unit, ms, s, m or h: 500ms, 1.5s, 2m";

/// The units, the largest first, with their nanoseconds.
const UNITS: [(&str, u64); 4] =
    [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)];

impl Span {
    pub const fn seconds(seconds: u64) -> Self {
        Span(Duration::from_secs(seconds))
    }

    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let not_a_span = || format!("{text:?} is not a span of time");
        let trimmed = text.trim();
        let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(end);
        let unit = unit.trim_start().to_ascii_lowercase();
        let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(not_a_span)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        // Nine digits of a second are nanoseconds; further digits would be cut off.
        if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
            return Err(not_a_span());
        }
        let too_long = || format!("{text:?} is too long a time");
        let whole = whole.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).ok_or_else(too_long)?;
        let parts = fraction.parse::<u64>().map_err(|_| not_a_span())?;
        let parts = u128::from(parts) * u128::from(scale) / 10u128.pow(fraction.len() as u32);
        match whole.checked_add(parts as u64).ok_or_else(too_long)? {
            0 => Err(format!("{text:?} is zero, and must be more")),
            ns => Ok(Span(Duration::from_nanos(ns))),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos() as u64;
        let whole = UNITS[..3].iter().find(|(_, scale)| ns.is_multiple_of(*scale));
        let (unit, scale) = whole.copied().unwrap_or(if ns < UNITS[2].1 { UNITS[3] } else { UNITS[2] });
        let digits = scale.ilog10() as usize;
        match ns % scale {
            0 => write!(f, "{}{unit}", ns / scale),
            parts => write!(f, "{}.{}{unit}", ns / scale, format!("{parts:0digits$}").trim_end_matches('0')),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn looks_right(text: &str) -> bool {
        Regex::new(PATTERN).unwrap().is_match(text)
    }

    #[test]
    fn spans() {
        for (text, ns, shown) in [
            ("500ms", 500_000_000, "500ms"),
            ("2s", 2_000_000_000, "2s"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("1500 ms", 1_500_000_000, "1.5s"),
            ("90S", 90_000_000_000, "90s"),
            ("120s", 120_000_000_000, "2m"),
            ("1.5h", 5_400_000_000_000, "90m"),
            ("1h", 3_600_000_000_000, "1h"),
            ("0.25ms", 250_000, "0.25ms"),
            ("0.000001ms", 1, "0.000001ms"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.duration().as_nanos(), span.to_string().as_str()), (ns, shown), "{text}");
            assert!(looks_right(text), "{text}");
        }
    }

    #[test]
    fn not_spans() {
        for text in ["", "5", "s", "-1s", "1.s", ".5s", "1.2.3s", "1d", "1e3s", "1s2", "0.0000000001s", "١s"] {
            assert_eq!(text.parse::<Span>(), Err(format!("{text:?} is not a span of time")));
            assert!(!looks_right(text), "{text}");
        }
        for text in ["0s", "0.0000001ms"] {
            assert_eq!(text.parse::<Span>(), Err(format!("{text:?} is zero, and must be more")));
        }
        for text in ["99999999h", "99999999999999999999s"] {
            assert_eq!(text.parse::<Span>(), Err(format!("{text:?} is too long a time")));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(ns in 1u64.., coarse in 0u32..15) {
            let span = Span(Duration::from_nanos((ns / 10u64.pow(coarse)).max(1) * 10u64.pow(coarse)));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
