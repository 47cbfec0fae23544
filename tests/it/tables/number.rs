//! Numbers by long arithmetic: decimals in units of 10^-38, doubles in units of 2^-1074.

use std::cmp::Ordering;

use num_bigint::BigInt;

pub const ZERO: BigInt = BigInt::ZERO;

fn ten(power: u32) -> BigInt {
    BigInt::from(10).pow(power)
}

/// 1 as a decimal.
pub fn one() -> BigInt {
    ten(38)
}

/// Returns the number if it has at most 38 digits.
pub fn fit(number: BigInt) -> Option<BigInt> {
    let (mut digits, mut scale) = (number.clone(), 38);
    while scale > 0 && &digits % 10 == ZERO {
        (digits, scale) = (digits / 10, scale - 1);
    }
    (digits.magnitude() < ten(38).magnitude()).then_some(number)
}

/// Returns the text without the spaces and tabs around it.
fn trimmed(text: &[u8]) -> Option<&str> {
    Some(std::str::from_utf8(text).ok()?.trim_matches([' ', '\t']))
}

/// Returns `None` if the text isn't a number of at most 38 digits.
pub fn decimal(text: &[u8]) -> Option<BigInt> {
    let text = trimmed(text)?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(&digits) || !all_digits(exponent_digits) {
        return None;
    }
    let size: BigInt = digits.parse().unwrap();
    // The tests write no longer exponents than `i32` holds.
    let up = 38 + exponent.parse::<i32>().unwrap() - fraction.len() as i32;
    let size = match up {
        0.. => size * ten(up as u32),
        _ if &size % ten(up.unsigned_abs()) == ZERO => size / ten(up.unsigned_abs()),
        _ => return None,
    };
    fit(if text.starts_with('-') { -size } else { size })
}

/// Reads a number without a point and an exponent.
pub fn whole(text: &[u8]) -> Option<BigInt> {
    decimal(text).filter(|_| !text.iter().any(|byte| b".eE".contains(byte)))
}

pub fn float(text: &[u8]) -> Option<f64> {
    let text = trimmed(text)?;
    let value: f64 = text.parse().ok()?;
    (value.is_finite() || !text.contains(|c: char| c.is_ascii_digit())).then_some(value)
}

/// Converts a finite double to units of 2^-1074.
pub fn units(value: f64) -> BigInt {
    let (exponent, fraction) = (value.to_bits() >> 52 & 0x7ff, value.to_bits() & ((1 << 52) - 1));
    let size = BigInt::from(if exponent == 0 { fraction } else { fraction | 1 << 52 }) << (exponent.max(1) - 1);
    if value < 0.0 { -size } else { size }
}

/// Returns the double nearest to `number / divisor` units of 2^-1074, with ties to even.
pub fn nearest(number: &BigInt, divisor: &BigInt) -> f64 {
    let (size, is_negative) = (BigInt::from(number.magnitude().clone()), *number < ZERO);
    let shift = (&size / divisor).bits().saturating_sub(53);
    let divisor = divisor << shift;
    let (quotient, rest) = (&size / &divisor, &size % &divisor);
    let half: Ordering = (rest * 2u32).cmp(&divisor);
    let goes_up = half.is_gt() || half.is_eq() && quotient.bit(0);
    let quotient = u64::try_from(quotient).unwrap() + u64::from(goes_up);
    // The leading one of a quotient of 53 bits adds one to the exponent. This also holds if rounding made the quotient
    // 54 bits long.
    let size = match shift {
        0..=2045 => f64::from_bits((shift << 52) + quotient),
        _ => f64::INFINITY,
    };
    if is_negative { -size } else { size }
}

pub fn to_double(number: &BigInt) -> f64 {
    nearest(&(number << 1074u32), &one())
}

/// Returns the sum of doubles over `divisor`, rounded once.
pub fn sum_of_doubles(values: &[f64], divisor: usize) -> f64 {
    let has = |special: f64| values.contains(&special);
    match (values.iter().any(|value| value.is_nan()), has(f64::INFINITY), has(f64::NEG_INFINITY)) {
        (true, ..) | (_, true, true) => f64::NAN,
        (_, true, _) => f64::INFINITY,
        (.., true) => f64::NEG_INFINITY,
        _ => nearest(&values.iter().copied().map(units).sum(), &divisor.into()),
    }
}

pub fn product(a: &BigInt, b: &BigInt) -> Option<BigInt> {
    let product = a * b;
    (&product % one() == ZERO).then(|| product / one()).and_then(fit)
}

/// Returns the exact quotient if it has at most 38 digits. Otherwise rounds it, half to even, to 18 digits behind the
/// point: to more if zeros follow the point, so that 18 digits follow the zeros, and to fewer if 38 digits leave no
/// room.
pub fn quotient(a: &BigInt, b: &BigInt) -> Option<BigInt> {
    let is_negative = (*a < ZERO) != (*b < ZERO);
    let (a, b) = (BigInt::from(a.magnitude().clone()), BigInt::from(b.magnitude().clone()));
    let signed = |size: BigInt| if is_negative { -size } else { size };
    let scaled = &a * one();
    if &scaled % &b == ZERO
        && let Some(exact) = fit(signed(scaled / &b))
    {
        return Some(exact);
    }
    let rounded = |scale: u32| {
        let scaled = &a * ten(scale);
        let (quotient, rest) = (&scaled / &b, &scaled % &b);
        let half = (rest * 2u32).cmp(&b);
        let goes_up = half.is_gt() || half.is_eq() && quotient.bit(0);
        quotient + u32::from(goes_up)
    };
    let first = rounded(18);
    let most = match first == ZERO {
        true => 38,
        false => 18 + 18u32.saturating_sub(first.to_string().len() as u32),
    };
    (0..=most).rev().find_map(|scale| {
        let size = rounded(scale);
        (size < one()).then(|| signed(size * ten(38 - scale)))
    })
}
