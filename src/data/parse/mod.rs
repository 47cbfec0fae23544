//! Parsers from text to numbers: single values of any form here, columns in `column.rs`, and values of up to 16 bytes
//! in a few steps without a loop in `short.rs`.
//!
//! A number may have a sign, a point with digits on either side or both, an exponent, and spaces or tabs around it.

mod column;
mod short;
pub mod timestamp;
mod uniform;

pub use column::{DecimalParser, FloatParser};
pub use timestamp::{NoTimestamp, TimestampParser, parse_timestamp};

use super::decimal::{DIGITS, Decimal, LIMIT, power};

/// Why a text isn't the number that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("not a number")]
    NotANumber,
    /// Digits after a point, or an exponent, where a whole number is wanted.
    #[error("not a whole number")]
    NotWhole,
    /// A decimal of more than 38 digits, or a float whose magnitude is too great.
    #[error("out of range")]
    OutOfRange,
    #[error(transparent)]
    NoTimestamp(#[from] NoTimestamp),
}

/// Returns the text without the spaces and tabs around it.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

impl Decimal {
    /// Reads a number exactly. Returns it in normal form.
    pub fn parse(text: &[u8]) -> Result<Decimal, ParseError> {
        let numeral = Numeral::read(trimmed(text))?;
        numeral.decimal()
    }

    /// Reads a whole number that is written without a point or an exponent.
    pub fn parse_whole(text: &[u8]) -> Result<Decimal, ParseError> {
        let numeral = Numeral::read(trimmed(text))?;
        match numeral.is_plain {
            true => numeral.decimal(),
            false => Err(ParseError::NotWhole),
        }
    }
}

/// Reads the double nearest to a number, ties to even. Also reads `nan`, `inf` and `infinity`, in upper or lower case
/// and with or without a sign. All NaNs are read as one NaN, and -0 as 0. A number that rounds to infinity is out of
/// range.
pub fn parse_float(text: &[u8]) -> Result<f64, ParseError> {
    let text = trimmed(text);
    let value =
        std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()).ok_or(ParseError::NotANumber)?;
    if value.is_infinite() && text.iter().any(u8::is_ascii_digit) {
        return Err(ParseError::OutOfRange);
    }
    Ok(super::float::canonical(value))
}

/// The parts of a number.
struct Numeral {
    negative: bool,
    /// The digits up to the last that isn't 0. `None` if there are more than 38.
    digits: Option<i128>,
    /// The power of ten that the digits are multiplied by.
    exponent: i64,
    /// Whether the text has neither a point nor an exponent.
    is_plain: bool,
}

impl Numeral {
    fn read(text: &[u8]) -> Result<Numeral, ParseError> {
        let (negative, mut rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let mut digits = Some(0);
        // Zeros since the last digit that isn't 0. They are appended to the digits once such a digit follows.
        let (mut zeros, mut exponent) = (0u32, 0i64);
        let (mut any, mut point) = (false, false);
        while let [byte, behind @ ..] = rest {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    exponent -= i64::from(point);
                    if *byte == b'0' {
                        zeros = zeros.saturating_add(1);
                    } else {
                        digits = digits.and_then(|digits| append(digits, zeros, byte - b'0'));
                        zeros = 0;
                    }
                }
                b'.' if !point => point = true,
                _ => break,
            }
            rest = behind;
        }
        let is_plain = !point && rest.is_empty();
        if let [b'e' | b'E', power @ ..] = rest {
            exponent = exponent.saturating_add(read_exponent(power).ok_or(ParseError::NotANumber)?);
            rest = &[];
        }
        match any && rest.is_empty() {
            true => Ok(Numeral { negative, digits, exponent: exponent.saturating_add(zeros.into()), is_plain }),
            false => Err(ParseError::NotANumber),
        }
    }

    fn decimal(self) -> Result<Decimal, ParseError> {
        let digits = self.digits.ok_or(ParseError::OutOfRange)?;
        if digits == 0 {
            return Ok(Decimal::ZERO);
        }
        let (up, scale) = (self.exponent.max(0), self.exponent.min(0).unsigned_abs());
        if up > DIGITS.into() || scale > DIGITS.into() {
            return Err(ParseError::OutOfRange);
        }
        let size = digits.checked_mul(power(up as u32)).filter(|&size| size < LIMIT).ok_or(ParseError::OutOfRange)?;
        Ok(Decimal { mantissa: if self.negative { -size } else { size }, scale: scale as u8 })
    }
}

/// Appends `zeros` zeros and another digit to the digits. Returns `None` if the result has more than 38.
fn append(digits: i128, zeros: u32, digit: u8) -> Option<i128> {
    if digits == 0 {
        return Some(digit.into());
    }
    let tens = (zeros < DIGITS).then(|| power(zeros + 1))?;
    digits.checked_mul(tens)?.checked_add(digit.into()).filter(|&digits| digits < LIMIT)
}

/// Reads a whole number with or without a sign. A number that is too large for 64 bits becomes the largest that fits.
fn read_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0i64, |size, digit| size.saturating_mul(10).saturating_add((digit - b'0').into()));
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(parsed: Result<Decimal, ParseError>) -> String {
        parsed.map_or_else(|error| error.to_string(), |number| number.to_string())
    }

    #[test]
    fn reads_decimals() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.00", "0"),
            ("12", "12"),
            ("+12", "12"),
            ("-12.50", "-12.5"),
            (".5", "0.5"),
            ("5.", "5"),
            (" \t5 ", "5"),
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("12.5e+1", "125"),
            ("0e999999999999999999999", "0"),
            ("0000000000000000000000000000000000000000000001", "1"),
            ("1.0000000000000000000000000000000000000000000", "1"),
            ("1e37", "10000000000000000000000000000000000000"),
            ("0.1e38", "10000000000000000000000000000000000000"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
            ("1e-38", "0.00000000000000000000000000000000000001"),
            ("100e-40", "0.00000000000000000000000000000000000001"),
            ("1e38", "out of range"),
            ("1e-39", "out of range"),
            ("1e99999999999999999999", "out of range"),
            ("1e-99999999999999999999", "out of range"),
            ("100000000000000000000000000000000000001", "out of range"),
            ("1.00000000000000000000000000000000000001", "out of range"),
            ("", "not a number"),
            (" ", "not a number"),
            ("-", "not a number"),
            (".", "not a number"),
            ("-.", "not a number"),
            ("e5", "not a number"),
            ("1e", "not a number"),
            ("1e+", "not a number"),
            ("1e5.0", "not a number"),
            ("1.2.3", "not a number"),
            ("--1", "not a number"),
            ("1 2", "not a number"),
            ("1,000", "not a number"),
            ("nan", "not a number"),
            ("0x10", "not a number"),
            ("1\n", "not a number"),
            ("1e99999999999999999999x", "not a number"),
        ] {
            assert_eq!(show(Decimal::parse(text.as_bytes())), expected, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_have_no_point_and_no_exponent() {
        for (text, expected) in [
            ("-12", "-12"),
            (" 007 ", "7"),
            ("5.", "not a whole number"),
            ("5.0", "not a whole number"),
            ("1e3", "not a whole number"),
            ("n/a", "not a number"),
            ("1e38x", "not a number"),
        ] {
            assert_eq!(show(Decimal::parse_whole(text.as_bytes())), expected, "{text:?}");
        }
    }

    #[test]
    fn reads_floats() {
        for (text, expected) in [
            ("0.1", 0.1),
            (" -1e-7\t", -1e-7),
            ("1e-400", 0.0),
            ("5e-324", f64::from_bits(1)),
            ("1.7976931348623157e308", f64::MAX),
            ("inf", f64::INFINITY),
            ("+Infinity", f64::INFINITY),
            ("-INF", f64::NEG_INFINITY),
            ("-nan", f64::NAN),
            ("NaN", f64::NAN),
            ("-0", 0.0),
            ("-0.0e5", 0.0),
        ] {
            assert_eq!(parse_float(text.as_bytes()).map(f64::to_bits), Ok(expected.to_bits()), "{text:?}");
        }
        assert_eq!(parse_float(b"1e309"), Err(ParseError::OutOfRange));
        for text in ["", " ", ".", "-", "1e", "0x1p3", "1_000", "1 2", "infinit", "\u{a0}1"] {
            assert_eq!(parse_float(text.as_bytes()), Err(ParseError::NotANumber), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn floats_are_read_as_the_standard_library_reads_them(text in "[-+]?[0-9]{0,20}(\\.[0-9]{0,20})?(e[-+]?[0-9]{1,3})?") {
            let expected = text.parse::<f64>().ok().filter(|value| value.is_finite());
            prop_assert_eq!(parse_float(text.as_bytes()).ok(), expected);
        }

        #[test]
        fn a_numeral_is_a_decimal_where_it_is_a_float(text in "[ \t]{0,2}[-+]?[0-9.]{0,4}([eE][-+]?[0-9]{0,2})?.?") {
            let float = parse_float(text.as_bytes());
            match Decimal::parse(text.as_bytes()) {
                Ok(number) => prop_assert_eq!(Ok(number.to_f64()), float),
                Err(ParseError::OutOfRange) => prop_assert_ne!(float, Err(ParseError::NotANumber)),
                Err(error) => prop_assert_eq!(float, Err(error)),
            }
        }
    }
}
