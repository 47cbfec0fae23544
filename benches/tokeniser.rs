//! The tokenisers alone: how fast tokens are found, without any further work.

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mapfold::map::tokenise::tokens::{Letters, Whitespace, Words};

fn tokenisers(c: &mut Criterion) {
    let mut texts = vec![("prose", common::prose(common::scaled(16 << 20)))];
    if let Some(text) = common::linux_start(common::scaled(64 << 20)) {
        texts.push(("linux", text));
    }
    for (name, text) in &texts {
        let mut group = c.benchmark_group(format!("tokeniser/{name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        macro_rules! tokeniser {
            ($name:literal, $type:ty) => {
                let mut tokeniser = <$type>::new();
                group.bench_function($name, |b| {
                    b.iter(|| {
                        let mut tokens = 0;
                        tokeniser.split(text, |found| tokens += found.spans.len());
                        tokens
                    });
                });
            };
        }
        tokeniser!("words", Words);
        tokeniser!("letters", Letters);
        tokeniser!("whitespace", Whitespace);
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = tokenisers
}
criterion_main!(benches);
