//! Functions for doubles: one form for the two zeros and for the NaNs, an order that has a place for every value, and
//! the text that is written.

use std::cmp::Ordering;

use super::buffer::Buffer;

/// Returns the value itself, but 0 for -0 and one NaN for all NaNs.
#[inline]
pub fn canonical(value: f64) -> f64 {
    // -0 + 0 is 0.
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

/// Compares by value. -0 equals 0. NaN equals NaN and is greater than all other values.
#[inline]
pub fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Appends the shortest text that is read back as the same value: `0.1`, `3.0`, `1e+16`, `1.5e-7`, `nan`, `inf`,
/// `-inf`. Values whose magnitude is at least 10^-5 and below 10^16 are in plain notation.
pub fn write(value: f64, out: &mut Buffer) {
    let value = canonical(value);
    if value.is_finite() {
        out.extend(zmij::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend(b"nan");
    } else {
        out.extend(if value > 0.0 { b"inf" } else { b"-inf" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::parse::parse_float;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut out = Buffer::default();
        write(value, &mut out);
        String::from_utf8(out.as_slice().to_vec()).unwrap()
    }

    /// Doubles of any bits, and doubles that have short texts.
    pub fn float() -> impl Strategy<Value = f64> {
        let short =
            (-9999i32..10000, -30i32..30).prop_map(|(digits, tens)| format!("{digits}e{tens}").parse().unwrap());
        prop_oneof![any::<u64>().prop_map(f64::from_bits), short]
    }

    proptest! {
        #[test]
        fn is_read_back(value in float()) {
            let text = text(value);
            prop_assert_eq!(parse_float(text.as_bytes()).unwrap().to_bits(), canonical(value).to_bits(), "{}", text);
        }

        #[test]
        fn has_the_fewest_digits(value in float()) {
            prop_assume!(value.is_finite());
            let digits = |text: &str| {
                let digits = text.split('e').next().unwrap().replace(['.', '-'], "");
                digits.trim_matches('0').len()
            };
            prop_assert_eq!(digits(&text(value)), digits(&format!("{value:e}")));
        }

        #[test]
        fn the_order_is_total(a in float(), b in float(), c in float()) {
            prop_assert_eq!(compare(a, b), compare(b, a).reverse());
            let mut values = [a, b, c];
            values.sort_by(|a, b| compare(*a, *b));
            prop_assert!(compare(values[0], values[2]).is_le());
        }
    }

    #[test]
    fn notation() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (3.0, "3.0"),
            (-0.1, "-0.1"),
            (0.00001, "0.00001"),
            (0.0000123, "0.0000123"),
            (0.000001, "1e-6"),
            (1.5e-7, "1.5e-7"),
            (1e15, "1000000000000000.0"),
            (1234567890123456.7, "1234567890123456.8"),
            (1e16, "1e+16"),
            (1.25e300, "1.25e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::from_bits(1), "5e-324"),
            (-f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn nan_is_last() {
        assert_eq!(compare(f64::NAN, f64::INFINITY), Ordering::Greater);
        assert_eq!(compare(f64::NAN, -f64::NAN), Ordering::Equal);
        assert_eq!(compare(-0.0, 0.0), Ordering::Equal);
    }
}
