use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::registers::{Histogram, add as add_hash};
use super::*;
use crate::aggregate::laws::{self, Cell};
use crate::data::{Bytes, Span};
use crate::table::Arena;
use crate::table::hash::hash;

/// The standard error.
const SIGMA: f64 = 1.04 / 128.0;

const DISTINCT: ApproxDistinct = ApproxDistinct { column: 0 };

/// Computes the estimate from hashes, with the registers in a map.
fn naive(hashes: impl Iterator<Item = u64> + Clone) -> f64 {
    let precision = |bits: u32| {
        let mut registers = BTreeMap::new();
        for hash in hashes.clone() {
            let value = (1..=59 - bits).find(|place| hash << bits >> (64 - place) & 1 == 1).unwrap_or(60 - bits);
            let register = registers.entry(hash >> (64 - bits)).or_insert(0);
            *register = value.max(*register);
        }
        (registers.len(), of_registers(bits, registers.into_values()))
    };
    let (used, sparse) = precision(26);
    if used > 1024 { precision(14).1 } else { sparse }
}

/// Computes the estimate from the values of some registers. All other registers are 0.
fn of_registers(bits: u32, values: impl Iterator<Item = u32>) -> f64 {
    let mut counts = vec![0; 61 - bits as usize];
    values.filter(|value| *value > 0).for_each(|value| counts[value as usize] += 1);
    counts[0] = (1 << bits) - counts.iter().sum::<u32>();
    estimate::estimate(&Histogram { registers: 1 << bits, counts: &counts })
}

fn shown(estimate: f64) -> String {
    format!("{:?}", Ok::<_, Overflow>(Value::Decimal(Decimal::from(estimate.round() as u64))))
}

fn text(number: usize) -> Cell {
    Cell::Bytes(format!("value number {number}").into_bytes())
}

/// One state that texts are added to.
#[derive(Default)]
struct State {
    words: [u64; 1],
    arena: Arena,
}

impl State {
    fn add(&mut self, texts: &[String]) {
        let mut states = States { slots: &mut self.words, stride: 1, first: 0, words: 1, arena: &mut self.arena };
        for text in texts {
            let spans = [Span::of(0..text.len()), Span::NULL];
            let column = Column::Bytes(Bytes { data: text.as_bytes(), spans: &spans });
            DISTINCT.observe(&mut states, &[0, 0], &[column]);
        }
    }

    fn tail(&self) -> &[u8] {
        self.arena.get(PLACE.of(&self.words))
    }

    fn answer(&self) -> f64 {
        match DISTINCT.finish(0, &self.words, self.tail()) {
            Ok(Value::Decimal(number)) => number.to_f64(),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn obeys_the_laws(
        values in prop::collection::vec(prop::option::of(0u64..9), 0..12),
        deal in prop::collection::vec(0usize..3, 12),
    ) {
        let number = |value: u64, scale: u8| Decimal { mantissa: i128::from(value) * 10i128.pow(scale.into()), scale };
        let cells: [&dyn Fn((usize, u64)) -> Cell; 3] = [
            &|(_, value)| text(value as usize),
            // Each number has a form of its own, and not all fit 64 bits.
            &|(i, value)| Cell::Decimal(number(value, [0, 2, 20, 37][i % 4])),
            &|(_, value)| Cell::Float(value as f64 / 7.0),
        ];
        let hashes: [&dyn Fn(u64) -> u64; 3] = [
            &|value| hash(format!("value number {value}").as_bytes()),
            &|value| hash_inline([value, 0], 0),
            &|value| hash_inline([(value as f64 / 7.0).to_bits(), 0], 8),
        ];
        for (kind, (cell, hash)) in [Kind::Bytes, Kind::Decimal, Kind::Float].into_iter().zip(cells.iter().zip(hashes)) {
            let records: Vec<_> = values.iter().enumerate().map(|(i, value)| vec![value.map_or(Cell::Null, |value| cell((i, value)))]).collect();
            let found = laws::hold(&DISTINCT, 0, &[kind], &records, &deal);
            prop_assert_eq!(found, shown(naive(values.iter().flatten().map(|&value| hash(value)))));
        }
    }

    /// Holds for every register, and for whatever is in the bits that are looked through.
    #[test]
    fn dense_registers_follow_from_sparse_ones(
        hashes in prop::collection::vec((0u64..6, 0u64..4, 0u32..60), 0..40),
    ) {
        let hash = |&(high, low, zeros): &(u64, u64, u32)| (high << 50 | low << 38 | (1 << 50) >> zeros) & !31;
        let hashes: Vec<_> = hashes.iter().map(hash).collect();
        let mut room = [[0; 4]; 64];
        let mut dense = [[0; REGISTERS]; 2];
        for &hash in &hashes {
            prop_assert!(Sparse(&mut room).add(Entry::of(hash)));
            add_hash(&mut dense[0], hash);
        }
        let tail = room.concat();
        registers::entries(&tail).for_each(|entry| entry.put(&mut dense[1]));
        prop_assert!(dense[0] == dense[1]);
        let used: BTreeSet<_> = hashes.iter().map(|hash| hash >> 38).collect();
        prop_assert_eq!(registers::entries(&tail).count(), used.len());
        let estimate = registers::with_histogram(&tail, estimate::estimate);
        prop_assert_eq!(estimate, naive(hashes.iter().copied()));
    }
}

#[test]
fn the_laws_hold_around_where_a_state_turns_dense() {
    for count in [1020, 1030, 3000] {
        let records: Vec<_> = (0..count).map(|i| vec![text(i)]).collect();
        let deal: Vec<_> = (0..count).map(|i| i * i % 7 % 3).collect();
        let found = laws::hold(&DISTINCT, 0, &[Kind::Bytes], &records, &deal);
        let hashes = (0..count).map(|i| hash(format!("value number {i}").as_bytes()));
        assert_eq!(found, shown(naive(hashes)));
    }
}

/// States are equal to the byte: neither order nor repetition leaves a trace, and a state turns dense at a fixed number
/// of registers.
#[test]
fn a_state_is_a_function_of_the_set() {
    let mut forms = BTreeSet::new();
    for count in [1, 2, 3, 100, 1023, 1024, 1025, 5000] {
        let texts: Vec<_> = (0..count).map(|i| i.to_string()).collect();
        let mut other = texts.clone();
        other.sort_by_key(|text| hash(text.as_bytes()).reverse_bits());
        let [mut state, mut shuffled] = [(); 2].map(|()| State::default());
        state.add(&texts);
        shuffled.add(&other);
        shuffled.add(&texts[..count / 2]);
        assert!(state.tail() == shuffled.tail(), "{count}");
        let registers: BTreeSet<_> = texts.iter().map(|text| hash(text.as_bytes()) >> 38).collect();
        let len = if registers.len() > 1024 { 1 << 14 } else { 4 * registers.len().next_power_of_two().max(2) };
        assert_eq!(state.tail().len(), len, "{count}");
        forms.insert(len);
    }
    assert_eq!(forms.into_iter().collect::<Vec<_>>(), [8, 16, 512, 4096, 16384]);
}

#[test]
fn numbers_count_by_value() {
    let answer = |kind, cells: &[Cell]| {
        let records: Vec<_> = cells.iter().map(|cell| vec![cell.clone()]).collect();
        laws::hold(&DISTINCT, 0, &[kind], &records, &vec![0; cells.len()])
    };
    let decimal = |mantissa, scale| Cell::Decimal(Decimal { mantissa, scale });
    assert_eq!(answer(Kind::Decimal, &[decimal(10, 1), decimal(100, 2), decimal(1, 0), Cell::Null]), shown(1.0));
    assert_eq!(answer(Kind::Decimal, &[decimal(0, 0), decimal(0, 5), decimal(1, 5), decimal(-1, 5)]), shown(3.0));
    let doubles = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, 1.5].map(Cell::Float);
    assert_eq!(answer(Kind::Float, &doubles), shown(4.0));
    assert_eq!(answer(Kind::Bytes, &[Cell::Bytes(b"1.0".into()), Cell::Bytes(b"1.00".into())]), shown(2.0));
    assert_eq!(answer(Kind::Bytes, &[Cell::Bytes(vec![]), Cell::Null]), shown(1.0));
    assert_eq!(answer(Kind::Bytes, &[Cell::Null, Cell::Null]), shown(0.0));
}

/// While a state is sparse, the answers are exact, not only near.
#[test]
fn few_values_are_counted() {
    for hash in families() {
        let mut room = vec![[0; 4]; MOST_SPARSE];
        for i in 0..1000 {
            assert!(Sparse(&mut room).add(Entry::of(hash(i))));
            let estimate = registers::with_histogram(room.as_flattened(), estimate::estimate);
            assert_eq!(estimate.round(), (i + 1) as f64);
        }
    }
}

/// These answers must be the same on every machine, and must never change.
#[test]
fn frozen() {
    let answers = [1usize, 10, 1000, 100_000].map(|count| {
        let mut state = State::default();
        state.add(&(0..count).map(|i| format!("user{i}")).collect::<Vec<_>>());
        state.answer()
    });
    assert_eq!(answers, [1.0, 10.0, 1000.0, 100_118.0]);
}

/// Hashes of values as files have them: successive whole numbers, fractions, numbers as text, and long names.
fn families() -> [fn(u64) -> u64; 4] {
    [
        |i| hash_inline([i, 0], 0),
        |i| hash_inline([(i as f64 / 8.0).to_bits(), 0], 8),
        |i| hash(i.to_string().as_bytes()),
        |i| hash(format!("https://example.org/items/{i:09}").as_bytes()),
    ]
}

fn error(registers: &Dense, count: u64) -> f64 {
    registers::with_histogram(registers, estimate::estimate) / count as f64 - 1.0
}

#[test]
fn no_answer_is_off_by_more_than_four_standard_errors() {
    for (family, hash) in families().iter().enumerate() {
        let mut registers = [0; REGISTERS];
        let mut next = 1;
        for i in 0..1_000_000 {
            add_hash(&mut registers, hash(i));
            if i + 1 == next {
                let error = error(&registers, next);
                // Among so few values hardly any two share a register.
                let most = if next < 30 { 0.01 } else { 4.0 * SIGMA };
                assert!(error.abs() < most, "family {family}: {next} values: {error}");
                next = (next * 13 / 10).max(next + 1).min(1_000_000);
            }
        }
        assert!(error(&registers, 1_000_000).abs() < 4.0 * SIGMA);
    }
}

/// Over many sets of each size, the errors are as large as promised, and don't lean to either side.
#[test]
fn the_standard_error_is_what_is_promised() {
    const SETS: u64 = 160;
    for count in [200u64, 2_000, 12_000, 40_000] {
        for (family, hash) in families().iter().enumerate() {
            let errors: Vec<_> = (0..SETS / 4)
                .map(|set| {
                    let mut registers = [0; REGISTERS];
                    let begin = (set << 32) + 7 * count;
                    (begin..begin + count).for_each(|i| add_hash(&mut registers, hash(i)));
                    error(&registers, count)
                })
                .collect();
            let n = errors.len() as f64;
            let bias = errors.iter().sum::<f64>() / n;
            let spread = (errors.iter().map(|error| error * error).sum::<f64>() / n).sqrt();
            // Four standard errors of the bias and of the spread, for this many sets.
            assert!(bias.abs() < 4.0 * SIGMA / n.sqrt(), "{count} values, family {family}: {bias}");
            assert!(spread < SIGMA * (1.0 + 4.0 / (2.0 * n).sqrt()), "{count} values, family {family}: {spread}");
        }
    }
}

/// Tests more values than could be hashed here, by drawing at random what the registers would hold.
#[test]
fn many_values_are_told_as_well() {
    let mut seed = 1u64;
    for count in [1e4, 1e6, 1e8, 1e10, 1e12] {
        let mut errors = Vec::new();
        for _ in 0..32 {
            let drawn = (0..REGISTERS).map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let drawn = (hash_inline([seed, 0], 8) >> 11) as f64 / 2f64.powi(53);
                // A register's value is at most k with probability e^(-n/m · 2^-k).
                let value = (count / REGISTERS as f64 / -drawn.ln()).log2().ceil().max(0.0);
                (value as u32).min(46)
            });
            errors.push(of_registers(14, drawn) / count - 1.0);
        }
        let spread = (errors.iter().map(|error| error * error).sum::<f64>() / 32.0).sqrt();
        assert!((0.5 * SIGMA..1.5 * SIGMA).contains(&spread), "{count}: {spread}");
        let bias = errors.iter().sum::<f64>() / 32.0;
        assert!(bias.abs() < 4.0 * SIGMA / 32f64.sqrt(), "{count}: {bias}");
    }
}
