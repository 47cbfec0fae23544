//! Tests every choice of parts, of decimals and of doubles: the laws hold, and the values are those of independent
//! sums.

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

use super::*;
use crate::aggregate::Overflow;
use crate::aggregate::laws::{self, Cell};
use crate::data::decimal::tests::{big, decimal};
use crate::data::decimal::{DIGITS, LIMIT};
use crate::data::{Decimal, Value, float};

/// All nonempty sets of statistics.
fn choices() -> impl Iterator<Item = Vec<Statistic>> {
    (1u32..1 << Statistic::ALL.len()).map(|choice| {
        Statistic::ALL.into_iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1).map(|(_, part)| part).collect()
    })
}

/// Returns the value of each of `parts`, in a summary with these parts of records that were dealt to three states.
fn found(kind: Kind, parts: &[Statistic], cells: &[Cell], deal: &[usize]) -> Vec<String> {
    let summary = make(0, kind, parts.iter().copied().collect());
    let records: Vec<_> = cells.iter().map(|cell| vec![cell.clone()]).collect();
    parts.iter().map(|part| laws::hold(&*summary, part.number(), &[kind], &records, deal)).collect()
}

fn decimals() -> impl Strategy<Value = Vec<Option<Decimal>>> {
    let of = |mantissa: i64, scale| Decimal { mantissa: mantissa.into(), scale };
    let amount = (-100_000i64..100_000, 0u8..4).prop_map(move |(mantissa, scale)| of(mantissa, scale));
    // A few of these have a sum of more than 64 bits.
    let large = (any::<i64>(), 0u32..8, 0u8..4).prop_map(move |(mantissa, bits, scale)| of(mantissa >> bits, scale));
    let one_of = prop_oneof![
        Just(decimal().boxed()),
        Just(amount.clone().boxed()),
        Just(large.clone().boxed()),
        Just(prop_oneof![9 => amount, 2 => large, 1 => decimal()].boxed()),
    ];
    one_of.prop_flat_map(|number| prop::collection::vec(prop::option::weighted(0.9, number), 0..20))
}

/// Returns the sum of `values`, in units of 10^-38, as a decimal of at most 38 digits.
fn sum(total: &BigInt) -> Result<Decimal, Overflow> {
    let (mut short, mut scale) = (total.clone(), DIGITS);
    while scale > 0 && &short % 10 == BigInt::ZERO {
        (short, scale) = (short / 10, scale - 1);
    }
    match i128::try_from(short) {
        Ok(mantissa) if -LIMIT < mantissa && mantissa < LIMIT => Ok(Decimal { mantissa, scale: scale as u8 }),
        _ => Err(Overflow),
    }
}

/// Returns the double nearest to `total * 10^-38 / count`, by parsing its decimal digits.
fn mean(total: &BigInt, count: usize) -> f64 {
    // There are so many digits that the last one, which tells whether there is a remainder, is far below all others.
    let scaled = total * BigInt::from(10).pow(400);
    let (quotient, rest) = (&scaled / count, &scaled % count);
    let more = match rest.sign() {
        Sign::NoSign => 0,
        Sign::Plus => 1,
        Sign::Minus => -1,
    };
    format!("{}e-439", quotient * 10 + more).parse::<f64>().unwrap()
}

fn shown(value: Result<Value<'_>, Overflow>) -> String {
    format!("{value:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn of_decimals(numbers in decimals(), deal in prop::collection::vec(0usize..3, 20)) {
        let values: Vec<_> = numbers.iter().flatten().copied().collect();
        let cells: Vec<_> = numbers.iter().map(|number| number.map_or(Cell::Null, Cell::Decimal)).collect();
        let total: BigInt = values.iter().map(|&value| big(value)).sum();
        let expected = |statistic: Statistic| match statistic {
            _ if values.is_empty() => Ok(Value::Null),
            Statistic::Sum => sum(&total).map(Value::Decimal),
            Statistic::Mean => Ok(Value::Float(mean(&total, values.len()))),
            Statistic::Least => Ok(Value::Decimal(values.iter().min().unwrap().normalised())),
            Statistic::Greatest => Ok(Value::Decimal(values.iter().max().unwrap().normalised())),
        };
        for parts in choices() {
            let expected: Vec<_> = parts.iter().map(|&part| shown(expected(part))).collect();
            prop_assert_eq!(found(Kind::Decimal, &parts, &cells, &deal), expected, "{:?}", parts);
        }
    }

    /// The expected sums are those of [`exact`](super::super::exact), which has its own tests.
    #[test]
    fn of_floats(
        numbers in prop::collection::vec(prop::option::weighted(0.9, prop_oneof![
            any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(-0.0), -2.0..2.0
        ]), 0..12),
        deal in prop::collection::vec(0usize..3, 12),
    ) {
        let canonical: Vec<_> = numbers.iter().map(|number| number.map(float::canonical)).collect();
        let cells: Vec<_> = canonical.iter().map(|number| number.map_or(Cell::Null, Cell::Float)).collect();
        let values = || canonical.iter().flatten().copied();
        let (mut state, mut tail) = ([0; 4], Vec::new());
        for value in values() {
            if !crate::aggregate::exact::add(&mut state, value) {
                crate::aggregate::exact::add_outside(&mut state, &mut tail, value);
            }
        }
        let expected = |statistic: Statistic| match statistic {
            _ if state[3] == 0 => None,
            Statistic::Sum => Some(crate::aggregate::exact::sum(&state, &tail)),
            Statistic::Mean => Some(crate::aggregate::exact::mean(&state, &tail)),
            Statistic::Least => values().min_by(|&a, &b| float::compare(a, b)),
            Statistic::Greatest => values().max_by(|&a, &b| float::compare(a, b)),
        };
        for parts in choices() {
            let expected: Vec<_> = parts.iter().map(|&part| shown(Ok(expected(part).map_or(Value::Null, Value::Float)))).collect();
            prop_assert_eq!(found(Kind::Float, &parts, &cells, &deal), expected, "{:?}", parts);
        }
    }
}

fn of(numbers: &[(i128, u8)], parts: &[Statistic]) -> Vec<String> {
    let cells: Vec<_> = numbers.iter().map(|&(mantissa, scale)| Cell::Decimal(Decimal { mantissa, scale })).collect();
    found(Kind::Decimal, parts, &cells, &vec![0; cells.len()])
}

#[test]
fn only_the_whole_sum_is_held_to_38_digits() {
    let most = LIMIT - 1;
    let up = vec![(most, 0); 5];
    assert_eq!(of(&up, &[Statistic::Sum, Statistic::Mean]), [shown(Err(Overflow)), shown(Ok(Value::Float(1e38)))]);
    let least = (1, 38);
    let cancelled: Vec<_> = up.iter().copied().chain(vec![(-most, 0); 5]).chain([least]).collect();
    assert_eq!(of(&cancelled, &[Statistic::Sum]), [shown(Ok(Value::Decimal(Decimal { mantissa: 1, scale: 38 })))]);
}

/// A summary and the three words of a key fit one cache line.
#[test]
fn a_summary_of_decimals_is_short() {
    let all = make(0, Kind::Decimal, Statistic::ALL.into_iter().collect());
    assert_eq!(all.words(), 4);
    assert_eq!(make(0, Kind::Decimal, [Statistic::Mean].into_iter().collect()).words(), 2);
}
