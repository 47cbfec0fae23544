//! Patterns of logs: lines matched by the reader of patterns, which needs no DFA for them, and by the regex engine.

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mapfold::Result;
use mapfold::data::{Batch, Sink};
use mapfold::record::pattern::{Pattern, Reader};
use mapfold::spec::Preset;
use regex_automata::meta;
use regex_automata::util::syntax;

use common::Random;

const LINES: usize = 10_000;

/// Lines as a web server writes them, about 190 bytes each.
fn log() -> Vec<u8> {
    let mut random = Random(1);
    let lines = (0..common::scaled(LINES)).map(|_| {
        let (host, path, status) = (random.below(200), random.below(10_000), [200, 200, 200, 301, 404, 500][random.below(6)]);
        format!(
            "10.0.{host}.{} - - [13/Jun/2025:18:{:02}:31 +0000] \"GET /part{}/{path}/ HTTP/1.1\" {status} {} \
             \"https://example.org/from/{host}\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\"\n",
            random.below(250),
            random.below(60),
            random.below(30),
            random.below(50_000),
        )
    });
    lines.collect::<String>().into_bytes()
}

/// Counts the records of the batches.
struct Count(usize);

impl Sink for Count {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        self.0 += batch.rows;
        Ok(())
    }
}

fn patterns(c: &mut Criterion) {
    let log = log();
    let groups = ["path", "status", "bytes"];
    let ascii = Preset::CommonLog.pattern();
    let unicode = ascii.replacen("(?-u)", "", 1);
    let mut group = c.benchmark_group("pattern");
    group.throughput(Throughput::Bytes(log.len() as u64));
    for (name, text) in [("common-log", &ascii), ("common-log with Unicode classes", &unicode)] {
        let pattern = Pattern::new(text, &groups).expect("it is small");
        assert!(pattern.is_predictive());
        let mut reader = Reader::new(&pattern, false);
        group.bench_function(format!("{name}, reader"), |b| {
            b.iter(|| {
                let mut count = Count(0);
                reader.read(black_box(&log), &mut |_| panic!("each line matches"), &mut count).expect("it can't fail");
                count.0
            });
        });
        let syntax = syntax::Config::new().utf8(false);
        let regex = meta::Builder::new().syntax(syntax).build(&without_others(text, &groups)).expect("it is a pattern");
        let mut captures = regex.create_captures();
        group.bench_function(format!("{name}, regex engine"), |b| {
            b.iter(|| {
                let mut count = 0;
                for line in log.split(|&byte| byte == b'\n') {
                    regex.captures(black_box(line), &mut captures);
                    count += usize::from(captures.is_match());
                }
                count
            });
        });
    }
}

/// Returns the pattern with no other groups than these.
fn without_others(pattern: &str, groups: &[&str]) -> String {
    let mut parts = pattern.split("(?P<");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('>').expect("a group has a name");
        match groups.contains(&name) {
            true => text.extend(["(?P<", name, ">", rest]),
            false => text.extend(["(?:", rest]),
        }
    }
    text
}

criterion_group!(benches, patterns);
criterion_main!(benches);
