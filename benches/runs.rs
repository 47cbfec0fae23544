//! Runs: writing rows to a file and reading them back, by number of partitions and by codec. The file is in the page cache, so the
//! work is measured and not the disk.

mod common;

use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mapfold::shuffle::ranges::by_hash;
use mapfold::shuffle::row::get_row;
use mapfold::shuffle::{PageCompression, PartitionBuffers, RowShape, Run, RunPlace, RunSize, RunWriter};
use mapfold::table::KeyBatch;
use mapfold::table::keys::LONG;

use common::Keys;

const RECORDS: usize = 2_000_000;
const PAGE: usize = 64 << 10;

/// Writes every key as a value row.
fn write(
    path: &Path,
    (partitions, compression): (usize, PageCompression),
    keys: &Keys,
    buffers: PartitionBuffers,
) -> (Run, RunSize, PartitionBuffers) {
    let place = RunPlace::alone(path, compression);
    let shape = RowShape::new(std::iter::empty(), &[]);
    let mut batch = Box::<KeyBatch>::default();
    let mut run = RunWriter::create(&place, partitions, PAGE, buffers).expect("a run begun");
    for keys in keys.batches() {
        batch.hash(keys, u64::MAX);
        for i in 0..keys.spans.len() {
            let hash = batch.meta[i] & !LONG;
            run.add(by_hash(hash, partitions), |out| shape.put_value(out, keys.get(i), &[], i)).expect("a row written");
        }
    }
    let (written, buffers) = run.finish().expect("a run finished");
    let size = written.size;
    (Run::open(written, true).expect("a run"), size, buffers)
}

/// Reads every row of every partition.
fn read(run: &Run, partitions: usize, page: &mut Vec<u8>) -> usize {
    let reader = run.reader().expect("its reader");
    let mut rows = 0;
    for known in &*run.pages(0..partitions).expect("pages") {
        let payload = reader.read(known, page).expect("a page");
        let mut at = 0;
        while at < payload.len() {
            get_row(payload, &mut at).expect("a row");
            rows += 1;
        }
    }
    rows
}

fn runs(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("map-00000-0.run");
    let keys = Keys::draw(common::scaled(RECORDS), 1_000_000, 4, 20);
    let mut group = c.benchmark_group("runs");
    let plain = [64, 256, 1024].map(|partitions| (partitions, PageCompression::None));
    let compressed = [PageCompression::Lz4, PageCompression::Zstd].map(|compression| (256, compression));
    for how in plain.into_iter().chain(compressed) {
        let (partitions, compression) = how;
        let (run, size, mut buffers) = write(&path, how, &keys, PartitionBuffers::default());
        group.throughput(Throughput::Bytes(size.row_bytes));
        let mut page = Vec::new();
        let name = |what: &str| BenchmarkId::new(format!("{what} {}", compression.name()), partitions);
        group.bench_function(name("read"), |b| {
            b.iter(|| assert_eq!(read(&run, partitions, &mut page), keys.len()));
        });
        drop(run);
        group.bench_function(name("write"), |b| {
            b.iter(|| {
                buffers = write(&path, how, &keys, std::mem::take(&mut buffers)).2;
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = runs
}
criterion_main!(benches);
