//! CSV and TSV alone: how fast the wanted fields of records are found, without any further work, and how fast the ends
//! of records are found.
//!
//! `measurements` has records of 14 bytes with two short fields, both wanted. `nine` has records of 50 bytes with nine
//! fields, three of them wanted. The throughput is in records.

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mapfold::Result;
use mapfold::data::{Batch, Column, Sink, Span};
use mapfold::record::delimited::{Dialect, Layout, Malformed, Reader};
use mapfold::record::{Framing, Transition};

use common::Random;

const RECORDS: usize = 1 << 20;
/// Size of a window, as large as the engine's blocks.
const WINDOW: usize = 1 << 20;

/// Returns a table of `records` records with the fields that `fields` gives. Either all fields are in quotes or none.
fn table(records: usize, delimiter: u8, quoted: bool, fields: impl Fn(&mut Random) -> Vec<String>) -> Vec<u8> {
    let (mut text, mut random) = (Vec::new(), Random(3));
    let quote: &[u8] = if quoted { b"\"" } else { b"" };
    for _ in 0..records {
        for (i, field) in fields(&mut random).iter().enumerate() {
            if i > 0 {
                text.push(delimiter);
            }
            text.extend([quote, field.as_bytes(), quote].concat());
        }
        text.push(b'\n');
    }
    text
}

fn measurement(random: &mut Random) -> Vec<String> {
    let station = ["Abha", "Accra", "Belgrade", "Ouagadougou", "Port-au-Prince", "Lagos", "Moncton", "Erbil", "Oslo"];
    let tenths = random.below(1998) as f64 - 999.0;
    vec![station[random.below(station.len())].to_owned(), format!("{:.1}", tenths / 10.0)]
}

/// A record of the group-by benchmark of H2O.ai.
fn nine(random: &mut Random) -> Vec<String> {
    let mut below = |n| random.below(n) + 1;
    vec![
        format!("id{:03}", below(100)),
        format!("id{:03}", below(100)),
        format!("id{:010}", below(200_000)),
        below(100).to_string(),
        below(100).to_string(),
        below(200_000).to_string(),
        below(5).to_string(),
        below(15).to_string(),
        format!("{}.{:06}", below(100), below(999_999)),
    ]
}

#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        for column in batch.columns {
            let Column::Bytes(bytes) = column else { unreachable!("fields are bytes") };
            self.0 += bytes.spans.len();
            black_box(bytes.spans);
        }
        Ok(())
    }
}

fn read(c: &mut Criterion) {
    let records = common::scaled(RECORDS);
    let csv = |delimiter| Dialect { delimiter, ..Dialect::csv() };
    let three = Layout { fields: 9, wanted: vec![2, 6, 8], verbatim: false };
    let both = Layout { fields: 2, wanted: vec![0, 1], verbatim: false };
    let with_record = Layout { verbatim: true, ..both.clone() };
    let cases = [
        ("measurements", csv(b';'), &both, table(records, b';', false, measurement)),
        ("measurements quoted", csv(b';'), &both, table(records, b';', true, measurement)),
        ("measurements and records", csv(b';'), &with_record, table(records, b';', false, measurement)),
        ("measurements tsv", Dialect::tsv(), &both, table(records, b'\t', false, measurement)),
        ("nine", csv(b','), &three, table(records, b',', false, nine)),
        ("nine quoted", csv(b','), &three, table(records, b',', true, nine)),
    ];
    let mut group = c.benchmark_group("delimited");
    group.throughput(Throughput::Elements(records as u64));
    for (name, dialect, layout, text) in &cases {
        let mut reader = Reader::new(dialect);
        group.bench_function(*name, |b| {
            b.iter(|| {
                let (mut out, mut rest, mut found) = (Count::default(), &text[..], 0);
                let mut bad = |_: Span, fault: Malformed| panic!("{fault}");
                while !rest.is_empty() {
                    let (window, behind) = rest.split_at(dialect.framing().window(rest, WINDOW, usize::MAX));
                    found += reader.read(window, true, layout, &mut bad, &mut out).expect("well formed").records;
                    rest = behind;
                }
                assert_eq!(
                    (found, out.0),
                    (records as u64, records * (layout.wanted.len() + usize::from(layout.verbatim)))
                );
            });
        });
    }
    group.finish();
}

fn framing(c: &mut Criterion) {
    let records = common::scaled(RECORDS);
    let plain = table(records, b',', false, nine);
    let mut rare = plain.clone();
    for record in rare.chunks_mut(100_000) {
        record[..6].copy_from_slice(b"\n\"a,b\"");
    }
    for (name, text) in [("none", plain), ("rare", rare), ("all", table(records, b',', true, nine))] {
        let mut group = c.benchmark_group(format!("framing/{name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        let framing = Framing::Quoted { delimiter: b',' };
        group.bench_function("transition", |b| b.iter(|| Transition::of(&text, b',')));
        group.bench_function("windows", |b| {
            b.iter(|| {
                let (mut windows, mut rest) = (0, &text[..]);
                while !rest.is_empty() {
                    rest = &rest[framing.window(rest, WINDOW, usize::MAX)..];
                    windows += 1;
                }
                windows
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = read, framing
}
criterion_main!(benches);
