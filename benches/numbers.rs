//! Numbers: parsing columns of text, adding to sums, writing values, and making keys of them.
//!
//! The groups are few enough to stay in cache, so the arithmetic is measured.

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mapfold::aggregate::summary::{self, Statistic};
use mapfold::aggregate::{Aggregate, exact};
use mapfold::data::buffer::Buffer;
use mapfold::data::parse::{DecimalParser, FloatParser};
use mapfold::data::{BATCH, Bytes, Column, Decimal, Decimals, Kind, Numbers, Span, Value, float, ordered};
use mapfold::table::{Arena, States};

use common::Random;

const VALUES: usize = 256 * 1000;
const GROUPS: usize = 413;

/// Values as they lie in a file, with a byte between them.
struct Text {
    data: Vec<u8>,
    spans: Vec<Span>,
}

impl Text {
    fn draw(mut value: impl FnMut(&mut Random) -> String) -> Self {
        let (mut random, mut data) = (Random(1), Vec::new());
        let spans = (0..common::scaled(VALUES)).map(|_| {
            let start = data.len();
            data.extend_from_slice(value(&mut random).as_bytes());
            data.push(b'\n');
            Span::of(start..data.len() - 1)
        });
        let spans = spans.collect();
        Text { data, spans }
    }

    fn batches(&self) -> impl Iterator<Item = Bytes<'_>> {
        self.spans.chunks(BATCH).map(|spans| Bytes { data: &self.data, spans })
    }
}

/// Draws a number of 1 to `most` digits, with each length equally likely.
fn digits(random: &mut Random, most: usize) -> u64 {
    let digits = 1 + random.below(most) as u32;
    random.next() % 10u64.pow(digits)
}

fn texts() -> [(&'static str, Text); 6] {
    let sign = |random: &mut Random| if random.below(2) == 0 { "-" } else { "" };
    [
        ("tenths", Text::draw(|r| format!("{}{}.{}", sign(r), r.below(100), r.below(10)))),
        ("whole", Text::draw(|r| digits(r, 8).to_string())),
        ("amounts", Text::draw(|r| format!("{}.{:02}", digits(r, 7), r.below(100)))),
        ("mixed scales", Text::draw(|r| format!("{}", digits(r, 6) as f64 / 1000.0))),
        ("10 to 16 bytes", Text::draw(|r| format!("{}.{:06}", 100 + r.below(1_000_000_000), r.below(1_000_000)))),
        ("exponents", Text::draw(|r| format!("{}e-3", digits(r, 8)))),
    ]
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for (name, text) in texts() {
        group.throughput(Throughput::Elements(text.spans.len() as u64));
        let mut parser = DecimalParser::default();
        group.bench_function(format!("decimal/{name}"), |b| {
            b.iter(|| {
                for column in text.batches() {
                    black_box(parser.parse(column, false, |row, error| panic!("{row}: {error}")));
                }
            });
        });
        let mut parser = FloatParser::default();
        group.bench_function(format!("float/{name}"), |b| {
            b.iter(|| {
                for column in text.batches() {
                    black_box(parser.parse(column, |row, error| panic!("{row}: {error}")));
                }
            });
        });
    }
    group.finish();
}

/// States of groups, without keys.
struct Slots {
    words: Vec<u64>,
    stride: usize,
    arena: Arena,
}

impl Slots {
    fn of(aggregate: &dyn Aggregate) -> Self {
        let mut identity = vec![0; aggregate.words()];
        aggregate.identity(&mut identity);
        Slots { words: identity.repeat(GROUPS), stride: identity.len(), arena: Arena::default() }
    }

    fn states(&mut self) -> States<'_> {
        let Slots { words, stride, arena } = self;
        States { slots: words, stride: *stride, first: 0, words: *stride, arena }
    }
}

fn sum(c: &mut Criterion) {
    let mut group = c.benchmark_group("sum");
    let mut random = Random(2);
    let count = common::scaled(VALUES);
    let values: Vec<i64> = (0..count).map(|_| random.below(2000) as i64 - 1000).collect();
    let groups: Vec<u32> = (0..count).map(|_| random.below(GROUPS) as u32).collect();
    group.throughput(Throughput::Elements(count as u64));
    for (name, parts) in [
        ("sum", &[Statistic::Sum][..]),
        ("sum, least, greatest", &[Statistic::Sum, Statistic::Least, Statistic::Greatest]),
    ] {
        let summary = summary::make(0, Kind::Decimal, parts.iter().copied().collect());
        let mut table = Slots::of(&*summary);
        group.bench_function(format!("decimal/{name}"), |b| {
            b.iter(|| {
                for (values, groups) in values.chunks(BATCH).zip(groups.chunks(BATCH)) {
                    let numbers = Numbers::Narrow { mantissas: values, scale: 1 };
                    let column = Column::Decimal(Decimals { numbers, nulls: None });
                    summary.observe(&mut table.states(), groups, &[column]);
                }
                table.words[0]
            });
        });
    }
    for (name, unit) in [("thousandths", 0.001), ("tiny", 1e-30), ("huge", 1e30)] {
        let values: Vec<f64> = values.iter().map(|&value| value as f64 * unit).collect();
        group.bench_function(format!("float/{name}"), |b| {
            let mut states = vec![([0; 4], Vec::new()); GROUPS];
            b.iter(|| {
                for (&value, &group) in values.iter().zip(&groups) {
                    let (state, tail) = &mut states[group as usize];
                    if !exact::add(state, value) {
                        exact::add_outside(state, tail, value);
                    }
                }
                states[0].0[0]
            });
        });
    }
    group.finish();

    // Each group has one value, which is read at the end of a job.
    let mut group = c.benchmark_group("mean");
    group.throughput(Throughput::Elements(GROUPS as u64));
    for (name, unit) in [("decimal", 1), ("decimal beyond 2^53", 1 << 53)] {
        let summary = summary::make(0, Kind::Decimal, [Statistic::Mean].into_iter().collect());
        let mut table = Slots::of(&*summary);
        let values: Vec<i64> = (1..=GROUPS as i64).map(|i| unit * i).collect();
        let numbers = Numbers::Narrow { mantissas: &values, scale: 2 };
        let groups: Vec<u32> = (0..GROUPS as u32).collect();
        let column = Column::Decimal(Decimals { numbers, nulls: None });
        summary.observe(&mut table.states(), &groups, &[column]);
        summary.observe(&mut table.states(), &groups, &[column]);
        let mean = |words| match summary.finish(Statistic::Mean.number(), words, &[]) {
            Ok(Value::Float(mean)) => mean,
            other => panic!("{other:?}"),
        };
        group.bench_function(name, |b| {
            b.iter(|| table.words.chunks(summary.words()).map(mean).sum::<f64>());
        });
    }
    let states: Vec<_> = (0..GROUPS as u64).map(|i| [0, i << 50, i, 7]).collect();
    group.bench_function("float", |b| {
        b.iter(|| states.iter().map(|state| exact::mean(state, &[])).sum::<f64>());
    });
    group.finish();
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    let mut random = Random(3);
    let count = common::scaled(VALUES);
    let whole: Vec<u64> = (0..count).map(|_| digits(&mut random, 8)).collect();
    let floats: Vec<f64> = whole.iter().map(|&number| number as f64 / 7.0).collect();
    let mut out = Buffer::default();
    group.throughput(Throughput::Elements(count as u64));
    let mut each = |name: &str, put: &dyn Fn(&mut Buffer, usize)| {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                (0..count).for_each(|i| put(&mut out, i));
                out.len()
            });
        });
    };
    each("text/whole", &|out, i| Decimal::from(whole[i]).write(out));
    each("text/hundredths", &|out, i| Decimal { mantissa: whole[i].into(), scale: 2 }.write(out));
    each("text/float", &|out, i| float::write(floats[i], out));
    each("ordered/whole", &|out, i| ordered::put_decimal(out, Decimal::from(whole[i])));
    each("ordered/hundredths", &|out, i| ordered::put_decimal(out, Decimal { mantissa: whole[i].into(), scale: 2 }));
    each("ordered/float", &|out, i| ordered::put_float(out, floats[i]));
    group.finish();
}

fn divide(c: &mut Criterion) {
    let mut group = c.benchmark_group("divide");
    let text = Text::draw(|r| format!("{}.{:02}", digits(r, 7), r.below(100)));
    let mut parser = DecimalParser::default();
    let column = Bytes { data: &text.data, spans: &text.spans };
    let Numbers::Narrow { mantissas, scale } = parser.parse(column, false, |_, _| ()).numbers else {
        unreachable!("amounts are narrow")
    };
    let prices: Vec<_> = mantissas.iter().map(|&mantissa| Decimal { mantissa: mantissa.into(), scale }).collect();
    group.throughput(Throughput::Elements(prices.len() as u64));
    group.bench_function("amounts by 7", |b| {
        b.iter(|| prices.iter().filter_map(|price| price.checked_div(Decimal::from(7u64))).count());
    });
    group.finish();
}

criterion_group!(benches, parse, sum, write, divide);
criterion_main!(benches);
