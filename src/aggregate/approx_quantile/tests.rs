use proptest::prelude::*;

use super::*;
use crate::aggregate::laws::{self, Cell};
use crate::data::float;
use crate::table::Arena;

/// How far an answer may be off, relative to the size of the exact value.
const ERROR: f64 = 1.0 / 256.0;

const SHARES: [f64; 9] = [0.0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0];

fn quantiles() -> Quantiles {
    Quantiles { column: 0, quantiles: SHARES.to_vec() }
}

/// One state that numbers are added to.
struct State {
    words: [u64; WORDS],
    arena: Arena,
}

impl State {
    fn of(values: &[f64]) -> State {
        let mut state = State { words: [0, 0, u64::MAX, 0], arena: Arena::default() };
        state.change(|states| {
            for values in values.chunks(200) {
                add_numbers(states, &vec![0; values.len()], |i| Some(values[i]));
            }
        });
        state
    }

    fn change(&mut self, change: impl FnOnce(&mut States<'_>)) {
        let mut states =
            States { slots: &mut self.words, stride: WORDS, first: 0, words: WORDS, arena: &mut self.arena };
        change(&mut states);
    }

    fn tail(&self) -> &[u8] {
        self.arena.get(PLACE.of(&self.words))
    }

    fn quantile(&self, q: f64) -> Option<f64> {
        quantile(q, self.words[LEAST], self.words[GREATEST], self.tail())
    }
}

/// Returns the exact quantile: the value at its place.
fn exact(sorted: &[f64], q: f64) -> f64 {
    sorted[(q * (sorted.len() - 1) as f64).floor() as usize]
}

/// Returns the middle of a number's bucket, computed by arithmetic instead of from bits.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return float::canonical(value);
    }
    let power = value.abs().log2().floor() as i32;
    // The logarithm may be rounded up to that of the next power.
    let power = (power - 1..=power + 1).rev().find(|power| 2f64.powi(*power) <= value.abs()).unwrap();
    let part = 2f64.powi(power) / 128.0;
    value.signum() * ((value.abs() / part).floor() + 0.5) * part
}

fn doubles() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-4.0f64..4.0, -30i32..30).prop_map(|(value, exponent)| value * 2f64.powi(exponent)),
        2 => (-9i32..9).prop_map(f64::from),
        1 => prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX, f64::MIN, 1e-300]),
    ]
}

/// The width of the buckets of subnormal numbers, 2^-1029. (`powi` can't give it: it divides by 2^1029.)
const BUCKET_AT_ZERO: f64 = f64::from_bits(1 << 45);

/// The bits of doubles in the first few buckets on both sides of 0.
fn beside_zero() -> impl Strategy<Value = u64> {
    (any::<bool>(), 0u64..1 << 47).prop_map(|(is_negative, bits)| bits | u64::from(is_negative) << 63)
}

proptest! {
    #[test]
    fn obeys_the_laws(
        values in prop::collection::vec(prop::option::of(doubles()), 0..14),
        deal in prop::collection::vec(0usize..3, 14),
    ) {
        let records: Vec<_> = values.iter().map(|value| vec![value.map_or(Cell::Null, Cell::Float)]).collect();
        let mut sorted: Vec<_> = values.iter().copied().flatten().collect();
        sorted.sort_by(|a, b| float::compare(*a, *b));
        for (number, q) in SHARES.into_iter().enumerate() {
            let found = laws::hold(&quantiles(), number, &[Kind::Float], &records, &deal);
            let expected = match (sorted.first(), sorted.last()) {
                (Some(&least), Some(&greatest)) => {
                    let told = rounded(exact(&sorted, q));
                    let at_most = if float::compare(told, greatest).is_gt() { greatest } else { told };
                    let within = if float::compare(at_most, least).is_lt() { least } else { at_most };
                    let place = (q * (sorted.len() - 1) as f64) as usize;
                    Value::Float(if place == 0 { least } else if place == sorted.len() - 1 { greatest } else { within })
                }
                _ => Value::Null,
            };
            let shown = |value| format!("{:?}", Ok::<_, Overflow>(value)).replace("-0.0)", "0.0)");
            prop_assert_eq!(found.clone(), shown(expected), "q {}", q);
        }
    }

    #[test]
    fn decimals_count_as_the_nearest_doubles(
        values in prop::collection::vec((any::<i64>(), 0u8..=38), 1..14),
        deal in prop::collection::vec(0usize..3, 14),
    ) {
        let values: Vec<_> = values.iter().map(|&(mantissa, scale)| Decimal { mantissa: mantissa.into(), scale }).collect();
        let decimals: Vec<_> = values.iter().map(|value| vec![Cell::Decimal(*value)]).collect();
        let doubles: Vec<_> = values.iter().map(|value| vec![Cell::Float(value.to_f64())]).collect();
        let [decimals, doubles] = [(Kind::Decimal, decimals), (Kind::Float, doubles)]
            .map(|(kind, records)| laws::hold(&quantiles(), 4, &[kind], &records, &deal));
        prop_assert_eq!(decimals, doubles);
    }

    #[test]
    fn the_middle_of_a_bucket_is_near_all_that_is_in_it(bits in prop_oneof![3 => any::<u64>(), 1 => beside_zero()]) {
        let value = f64::from_bits(bits);
        let told = Ordered::of(value).bucket().middle().value();
        if value.abs() < BUCKET_AT_ZERO {
            prop_assert_eq!(told, 0.0);
            return Ok(());
        }
        prop_assert_eq!(Ordered::of(told).bucket(), Ordered::of(value).bucket());
        match value {
            _ if !value.is_finite() => prop_assert!(float::compare(told, value).is_eq()),
            // Subnormal numbers have buckets of one width, so their error isn't relative to their size.
            _ if value.abs() < f64::MIN_POSITIVE => prop_assert!((told - value).abs() <= BUCKET_AT_ZERO / 2.0),
            _ => prop_assert!((told - value).abs() <= ERROR * value.abs(), "{} {}", told, value),
        }
    }

    #[test]
    fn numbers_keep_their_order(a in any::<u64>(), b in any::<u64>()) {
        let [a, b] = [a, b].map(f64::from_bits);
        prop_assert_eq!(Ordered::of(a).0.cmp(&Ordered::of(b).0), float::compare(a, b));
        prop_assert_eq!(Ordered::of(a).bucket().cmp(&Ordered::of(b).bucket()).is_gt() && float::compare(a, b).is_lt(), false);
        prop_assert!(float::compare(Ordered::of(a).value(), a).is_eq());
    }
}

/// Random doubles from 0 to 1, without the ends.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 11) as f64 / 2f64.powi(53) + 2f64.powi(-54)
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.next().ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
    }
}

#[test]
fn every_answer_is_as_near_as_promised() {
    type Family = (&'static str, fn(&mut Draw) -> f64);
    let families: [Family; 8] = [
        ("uniform", |draw| 1000.0 * draw.next()),
        ("normal", Draw::normal),
        ("exponential", |draw| -30.0 * draw.next().ln()),
        ("lognormal", |draw| (3.0 * draw.normal()).exp()),
        ("pareto", |draw| draw.next().powi(-2)),
        ("whole numbers", |draw| (50.0 * draw.next()).floor() - 10.0),
        ("constant", |_| 0.1),
        ("two peaks", |draw| if draw.next() < 0.5 { -1e9 - draw.next() } else { 1e-9 * (1.0 + draw.next()) }),
    ];
    for (name, family) in families {
        let most = if matches!(name, "normal" | "pareto") { 1_000_000 } else { 10_000 };
        for count in [1, 2, 3, 10, 99, 1000, most] {
            let mut draw = Draw(count as u64);
            let mut values: Vec<_> = (0..count).map(|_| family(&mut draw)).collect();
            let state = State::of(&values);
            values.sort_by(f64::total_cmp);
            for q in (0..=50).map(|step| f64::from(step) / 50.0).chain(SHARES) {
                let (found, exact) = (state.quantile(q).unwrap(), exact(&values, q));
                assert!((found - exact).abs() <= ERROR * exact.abs(), "{name}: {q} of {count}: {found}, {exact}");
            }
            assert_eq!((state.quantile(0.0), state.quantile(1.0)), (Some(values[0]), values.last().copied()));
            assert!(state.tail().len() <= 22 * state.words[USED] as usize + 5, "{name}: {count}");
        }
    }
}

/// Numbers of every size there is. A sketch that never joins buckets has a bucket for each.
#[test]
fn all_buckets_at_once() {
    let mut values: Vec<_> =
        (0..1u64 << 19).map(|bucket| f64::from_bits(bucket << 45)).filter(|x| !x.is_nan()).collect();
    let state = State::of(&values);
    let again = State::of(&values.iter().rev().step_by(8).map(|value| value * 1.001).collect::<Vec<_>>());
    let mut merged = State::of(&[]);
    for state in [&state, &again] {
        let words: Vec<_> = state.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let tails = [crate::data::Span::of(words.len()..words.len() + state.tail().len())];
        let data = [&words, state.tail()].concat();
        let others = StateColumn { data: &data, words_at: &[0], tails: &tails };
        let held = merged.arena.len();
        merged.change(|states| quantiles().merge(states, &[0], &others));
        assert!(merged.arena.len() - held <= quantiles().tail_growth().most(held, data.len(), 1));
    }
    assert_eq!(merged.quantile(1.0), Some(f64::INFINITY));
    values.sort_by(f64::total_cmp);
    for q in [0.1, 0.7] {
        let (found, exact) = (merged.quantile(q).unwrap(), exact(&values, q));
        // The two states' numbers were a thousandth apart.
        assert!((found - exact).abs() <= 0.01 * exact.abs(), "{q}: {found}, {exact}");
    }
}

#[test]
fn what_is_no_number_has_its_place() {
    let state = State::of(&[f64::NAN, 3.0, f64::INFINITY, -f64::NAN, f64::NEG_INFINITY]);
    let found = [0.0, 0.25, 0.5, 0.75, 1.0].map(|q| format!("{:?}", state.quantile(q).unwrap()));
    assert_eq!(found, ["-inf", "3.0078125", "inf", "NaN", "NaN"]);
    assert_eq!(State::of(&[]).quantile(0.5), None);
    assert_eq!(State::of(&[-0.0]).quantile(0.5).map(f64::to_bits), Some(0));
}

/// The place is rounded down, not to the nearest.
#[test]
fn the_place_of_a_quantile() {
    let values: Vec<_> = (1..=4).map(|value| f64::from(value) * 1000.0).collect();
    let state = State::of(&values);
    for (q, exact) in
        [(0.0, 1000.0), (0.33, 1000.0), (0.34, 2000.0), (0.66, 2000.0), (0.67, 3000.0), (0.99, 3000.0), (1.0, 4000.0)]
    {
        assert!((state.quantile(q).unwrap() - exact).abs() <= ERROR * exact, "{q}");
    }
}

#[test]
fn a_bucket_that_is_full_counts_no_further() {
    let bucket = Ordered::of(1.5).bucket();
    let most = Entry::new(bucket, u64::MAX);
    assert_eq!((most.count(), most.bucket()), ((1 << 45) - 1, bucket));
    let mut tail = [0; 16];
    let mut buckets = Buckets::of(&mut tail);
    assert!(buckets.add(most) && buckets.raise(bucket) && !buckets.add(most));
    assert_eq!(buckets::entries(&tail).collect::<Vec<_>>(), [most]);
}
