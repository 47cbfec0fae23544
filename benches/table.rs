//! The table: hashing keys, finding groups and adding to counts, by number of distinct keys and room in the table.
//!
//! Every group is in the table already, so the bench measures finding it, in cache or out of it.

mod common;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mapfold::aggregate::{Aggregate, Count};
use mapfold::data::BATCH;
use mapfold::table::{HomeBits, KeyBatch, Table};

use common::Keys;

const RECORDS: usize = 2_000_000;
const COUNT: Count = Count { column: None };

/// Counts all keys. Returns the last slot, so that the compiler can't leave anything out.
fn count(table: &mut Table, keys: &Keys, batch: &mut KeyBatch) -> u32 {
    let mut slots = [0; BATCH];
    for keys in keys.batches() {
        batch.hash(keys, u64::MAX);
        table.probe(batch, keys.data, &mut slots);
        COUNT.observe(&mut table.states(0, 1), &slots[..keys.spans.len()], &[]);
    }
    slots[0]
}

fn tables(c: &mut Criterion) {
    let mut group = c.benchmark_group("table");
    group.throughput(Throughput::Elements(common::scaled(RECORDS) as u64));
    // Short keys lie in the slot, and long keys in the arena.
    for (kind, least, most) in [("short", 4, 14), ("long", 20, 40)] {
        for distinct in [1_000, 100_000, 1_000_000] {
            let keys = Keys::draw(common::scaled(RECORDS), distinct, least, most);
            let mut batch = Box::<KeyBatch>::default();
            if distinct == 1_000 {
                group.bench_function(BenchmarkId::new(format!("{kind}/hash"), distinct), |b| {
                    b.iter(|| {
                        let mut all = 0;
                        for keys in keys.batches() {
                            batch.hash(keys, u64::MAX);
                            all ^= batch.meta[0];
                        }
                        all
                    });
                });
            }
            for (room, times) in [("tight", 1), ("roomy", 4)] {
                let slots = common::scaled(RECORDS).min(distinct) * 8 / 5 + 2 * BATCH;
                let mut table = Table::new(slots * times, HomeBits::Top, &[0]);
                count(&mut table, &keys, &mut batch);
                group.bench_function(BenchmarkId::new(format!("{kind}/{room}"), distinct), |b| {
                    b.iter(|| count(&mut table, &keys, &mut batch));
                });
            }
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = tables
}
criterion_main!(benches);
