//! What sketches answer, computed from all values at once.

use std::collections::BTreeMap;

use mapfold::table::hash::{hash, hash_inline};
use num_bigint::BigInt;

use super::{Value, number};

/// Returns about how many values differ, by HyperLogLog with Ertl's estimate as he writes it. The registers are made
/// from all hashes. There are 2^26 registers or, if more than 1024 of those aren't empty, 2^14.
pub fn distinct(values: &[Value]) -> u64 {
    let hashes: Vec<_> = values.iter().map(hash_of).collect();
    let sparse = registers(&hashes, 26);
    match sparse.len() {
        ..=1024 => estimate(&sparse, 26),
        _ => estimate(&registers(&hashes, 14), 14),
    }
}

fn registers(hashes: &[u64], bits: u32) -> BTreeMap<u64, u32> {
    let mut registers: BTreeMap<u64, u32> = BTreeMap::new();
    for hash in hashes {
        // The last five bits are always 0.
        let place = (1..=59 - bits).find(|place| hash << bits >> (64 - place) & 1 == 1);
        let register = registers.entry(hash >> (64 - bits)).or_default();
        *register = place.expect("no test has a hash of so many zeros").max(*register);
    }
    registers
}

fn estimate(registers: &BTreeMap<u64, u32>, bits: u32) -> u64 {
    let m = 2f64.powi(bits as i32);
    let count = |value: u32| registers.values().filter(|held| **held == value).count() as f64;
    let mut z = 0.0;
    for value in (1..=59 - bits).rev() {
        z = 0.5 * (z + count(value));
    }
    let (mut x, mut y) = (1.0 - registers.len() as f64 / m, 1.0);
    if x == 1.0 {
        return 0;
    }
    let mut sigma = x;
    for _ in 0..64 {
        x *= x;
        sigma += x * y;
        y += y;
    }
    (m * m / (2.0 * 2f64.ln()) / (z + m * sigma)).round() as u64
}

fn hash_of(value: &Value) -> u64 {
    match value {
        Value::Null => unreachable!("no value"),
        Value::Bytes(bytes) => hash(bytes),
        Value::Float(number) => hash_inline([number.to_bits(), 0], 8),
        Value::Decimal(number) => {
            let (mut mantissa, mut scale) = (number.clone(), 38);
            while scale > 0 && &mantissa % 10 == BigInt::ZERO {
                (mantissa, scale) = (mantissa / 10, scale - 1);
            }
            let mantissa = i128::try_from(mantissa).unwrap();
            hash_inline([mantissa as u64, (mantissa >> 64) as u64], scale)
        }
    }
}

/// Returns the sketch's answer for the value at place `floor(q · (n - 1))`: the middle of its interval. Between two
/// powers of two there are 128 intervals.
pub fn quantile(values: &[Value], q: f64) -> f64 {
    let mut doubles: Vec<_> = values
        .iter()
        .map(|value| match value {
            Value::Float(number) => *number,
            Value::Decimal(number) => number::to_double(number),
            value => unreachable!("{value:?} is no number"),
        })
        .collect();
    let order = |a: f64, b: f64| Value::Float(a).cmp(&Value::Float(b));
    doubles.sort_by(|a, b| order(*a, *b));
    let last = doubles.len() - 1;
    let place = (q * last as f64).floor() as usize;
    let value = doubles[place];
    if place == 0 || place == last || !value.is_finite() {
        return value;
    }
    let power = (-1022..=1023).rev().find(|power| 2f64.powi(*power) <= value.abs());
    let part = 2f64.powi(power.unwrap_or(-1022)) / 128.0;
    let middle = match (value.abs() / part).floor() {
        0.0 => 0.0,
        parts => value.signum() * (parts + 0.5) * part,
    };
    match () {
        () if order(middle, doubles[0]).is_lt() => doubles[0],
        () if order(middle, doubles[last]).is_gt() => doubles[last],
        () => middle,
    }
}
