//! The engine against a `BTreeMap`: the same bytes whatever the settings.

use std::collections::BTreeMap;
use std::path::Path;

use mapfold::aggregate::{Aggregate, Count, Input, StateColumn, States, Value};
use mapfold::column::Column;
use mapfold::engine::{self, Control};
use mapfold::input::Source;
use mapfold::map::{KeyFields, Splitter, Step};
use mapfold::plan::{
    AggregateColumn, Combiner, Format, Groups, Order, Output, OutputColumn, Plan, Rows, Scheduler, Settings, SortKey,
    Target,
};
use mapfold::report::Report;
use proptest::prelude::*;

/// The greatest of the observed strings, by bytes: a state of variable size, which no built-in aggregate has yet.
/// One word says whether there was any; the tail is the string.
#[derive(Debug)]
struct Greatest;

impl Aggregate for Greatest {
    fn input(&self) -> Input {
        Input::Bytes
    }

    fn words(&self) -> usize {
        1
    }

    fn has_tail(&self) -> bool {
        true
    }

    fn identity(&self, words: &mut [u64]) {
        words[0] = 0;
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], values: Column<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            if *states.word(slot) == 0 || states.tail(slot) < values.get(i) {
                *states.word(slot) = 1;
                states.set_tail(slot, values.get(i));
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            if others.word(i, 0) == 1 && (*states.word(slot) == 0 || states.tail(slot) < others.tail(i)) {
                *states.word(slot) = 1;
                states.set_tail(slot, others.tail(i));
            }
        }
    }

    fn finish<'a>(&self, words: &[u64], tail: &'a [u8]) -> Value<'a> {
        if words[0] == 0 { Value::Null } else { Value::Bytes(tail) }
    }
}

/// A job small enough to be done by hand.
#[derive(Clone, Debug)]
struct Job {
    /// `None`: the line is the key.
    split: Option<Splitter>,
    /// The line too is part of the key.
    by_line: bool,
    /// Besides `count`, the greatest line of each group.
    greatest: bool,
    by_count: bool,
    limit: Option<u64>,
}

#[derive(Clone, Debug)]
struct How {
    threads: usize,
    split_size: u64,
    partitions: usize,
    combiner: Combiner,
    scheduler: Scheduler,
    table_slots: Option<usize>,
    hash_mask: u64,
    memory: u64,
}

fn naive(job: &Job, files: &[Vec<u8>]) -> Vec<u8> {
    let mut groups: BTreeMap<Vec<Vec<u8>>, (u64, Vec<u8>)> = BTreeMap::new();
    for file in files {
        let mut lines: Vec<&[u8]> = file.split(|&b| b == b'\n').collect();
        // What follows the last newline is a line only if there is something.
        let last = lines.pop().unwrap();
        let lines = lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        for line in lines.chain((!last.is_empty()).then_some(last)) {
            for piece in naive_pieces(&job.split, line) {
                let mut key = vec![piece];
                if job.by_line {
                    key.insert(0, line.to_vec());
                }
                let group = groups.entry(key).or_insert((0, Vec::new()));
                group.0 += 1;
                group.1 = line.to_vec().max(std::mem::take(&mut group.1));
            }
        }
    }
    let mut rows: Vec<_> = groups.into_iter().collect();
    if job.by_count {
        // Stable: ties stay in key order.
        rows.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    }
    rows.truncate(job.limit.unwrap_or(u64::MAX).min(1 << 30) as usize);
    let mut out = Vec::new();
    for (key, (count, greatest)) in rows {
        let mut cells = key;
        cells.push(count.to_string().into_bytes());
        if job.greatest {
            cells.push(greatest);
        }
        out.extend(cells.join(&b'\t'));
        out.push(b'\n');
    }
    out
}

fn naive_pieces(split: &Option<Splitter>, line: &[u8]) -> Vec<Vec<u8>> {
    let runs = |is: &dyn Fn(&u8) -> bool| {
        line.split(|b| !is(b)).filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    match split {
        None => vec![line.to_vec()],
        Some(Splitter::Whitespace) => runs(&|&b| !(b == b' ' || (9..=13).contains(&b))),
        Some(Splitter::Letters) => {
            runs(&|b| b.is_ascii_alphabetic()).into_iter().map(|piece| piece.to_ascii_lowercase()).collect()
        }
        Some(Splitter::Literal(literal)) => {
            let mut pieces = vec![];
            let mut rest = line;
            while let Some(at) = rest.windows(literal.len()).position(|window| window == literal) {
                pieces.push(rest[..at].to_vec());
                rest = &rest[at + literal.len()..];
            }
            pieces.push(rest.to_vec());
            pieces
        }
        Some(Splitter::Words | Splitter::Chars) => unreachable!("has a reference of its own beside it"),
    }
}

fn run(job: &Job, how: &How, dir: &Path, files: usize) -> (Vec<u8>, Report) {
    let split = job.split.iter().map(|on| Step::Split { input: 0, on: on.clone() }).collect::<Vec<_>>();
    let piece = split.len();
    let group_by = if job.by_line { vec![0, piece] } else { vec![piece] };
    let keys = group_by.len();
    let mut order: Vec<_> = (0..keys).map(|index| SortKey { index, descending: false }).collect();
    if job.by_count {
        order.insert(0, SortKey { index: keys, descending: true });
    }
    let mut aggregates = vec![AggregateColumn { field: None, aggregate: Box::new(Count) }];
    if job.greatest {
        aggregates.push(AggregateColumn { field: Some(0), aggregate: Box::new(Greatest) });
    }
    let columns = (0..keys + aggregates.len()).map(|index| OutputColumn { index, name: format!("c{index}") }).collect();
    let source = |i: usize| {
        let path = dir.join(i.to_string());
        let len = path.metadata().unwrap().len();
        Source::File { path, len }
    };
    let out = dir.join("out");
    let plan = Plan {
        job: serde_json::Value::Null,
        sources: (0..files).map(source).collect(),
        steps: split,
        rows: Rows::Groups(Groups {
            key: if keys == 1 { KeyFields::One(piece) } else { KeyFields::Composite(group_by) },
            aggregates,
            having: None,
            order: Order::By(order),
        }),
        limit: job.limit,
        columns,
        output: Output {
            target: Target::File(out.clone()),
            format: Format::Text,
            header: false,
            force: true,
            part_size: 1 << 20,
        },
        settings: Settings {
            threads: how.threads,
            memory: how.memory,
            split_size: Some(how.split_size),
            partitions: Some(how.partitions),
            combiner: how.combiner,
            scheduler: how.scheduler,
            spill_dir: dir.to_path_buf(),
            table_slots: how.table_slots,
            hash_mask: how.hash_mask,
        },
    };
    let report = engine::run(&plan, &Control::default()).unwrap();
    assert!(dir.read_dir().unwrap().count() == files + 1, "only inputs and output are left");
    (std::fs::read(&out).unwrap(), report)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        20 => prop::sample::select(vec!["a", "b", "ab", "ba", "aa", "word", "Word", "it's", ",", ",,", "x,y"]).prop_map(|s| s.as_bytes().to_vec()),
        8 => Just(b" ".to_vec()),
        4 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b"\t\x0b".to_vec()),
        1 => Just(b"\0".to_vec()),
        1 => Just(vec![0xff, 0xc3]),
        1 => "[a-c]{15,18}".prop_map(String::into_bytes),
        1 => "[ab]{30,200}".prop_map(String::into_bytes),
        2 => "[a-z]{1,5}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..300).prop_map(|pieces| pieces.concat())
}

fn job() -> impl Strategy<Value = Job> {
    let split = prop_oneof![
        Just(None),
        Just(Some(Splitter::Whitespace)),
        Just(Some(Splitter::Letters)),
        Just(Some(Splitter::Literal(b",".to_vec()))),
        Just(Some(Splitter::Literal(b"ab".to_vec()))),
    ];
    let limit = prop_oneof![3 => Just(None), 1 => (0u64..20).prop_map(Some)];
    (split, any::<bool>(), any::<bool>(), any::<bool>(), limit).prop_map(
        |(split, by_line, greatest, by_count, limit)| Job {
            by_line: by_line && split.is_some(),
            split,
            greatest,
            by_count,
            limit,
        },
    )
}

fn how() -> impl Strategy<Value = How> {
    (
        prop::sample::select(vec![1, 2, 3, 8]),
        prop_oneof![7u64..64, 64u64..4096, Just(1 << 20)],
        1usize..=64,
        prop::sample::select(vec![Combiner::On, Combiner::Off, Combiner::Auto]),
        prop::sample::select(vec![Scheduler::Stealing, Scheduler::Static, Scheduler::Shared]),
        prop_oneof![Just(Some(8)), (3u32..12).prop_map(|bits| Some(1 << bits)), Just(None)],
        prop_oneof![4 => Just(!0), 1 => Just(0), 1 => Just(0xf << 60), 1 => Just(0xe0)],
        prop_oneof![Just(64 << 10), Just(1 << 20), Just(1 << 30)],
    )
        .prop_map(|(threads, split_size, partitions, combiner, scheduler, table_slots, hash_mask, memory)| How {
            threads,
            split_size,
            partitions,
            combiner,
            scheduler,
            table_slots,
            hash_mask,
            memory,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn same_bytes_whatever_the_settings(
        job in job(),
        files in prop::collection::vec(text(), 1..4),
        hows in prop::collection::vec(how(), 4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        for (i, file) in files.iter().enumerate() {
            std::fs::write(dir.path().join(i.to_string()), file).unwrap();
        }
        let expected = naive(&job, &files);
        let mut map_output = None;
        for how in hows {
            let (got, report) = run(&job, &how, dir.path(), files.len());
            prop_assert_eq!(
                String::from_utf8_lossy(&got), String::from_utf8_lossy(&expected), "{:?}", how
            );
            prop_assert_eq!(&got, &expected);
            let counters = report.counters;
            // The same job has the same map output, and without a combiner all of it is shuffled.
            prop_assert_eq!(counters.map_output_bytes, *map_output.get_or_insert(counters.map_output_bytes));
            match how.combiner {
                Combiner::Off => {
                    prop_assert_eq!(counters.reduce_shuffle_bytes, counters.map_output_bytes);
                    prop_assert_eq!(counters.combine_input_records, 0);
                }
                Combiner::On => prop_assert_eq!(counters.combine_input_records, counters.map_output_records),
                Combiner::Auto => prop_assert!(counters.combine_input_records <= counters.map_output_records),
            }
            prop_assert_eq!(
                counters.shuffle_bytes_saved,
                counters.map_output_bytes as i64 - counters.reduce_shuffle_bytes as i64
            );
            if how.scheduler != Scheduler::Stealing {
                prop_assert_eq!(counters.stolen_tasks, 0);
            }
            let input: usize = files.iter().map(Vec::len).sum();
            prop_assert_eq!(counters.map_input_bytes, input as u64);
        }
    }
}

/// A small table is flushed many times, and says so.
#[test]
fn a_small_table_overflows_into_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..1000).map(|i| format!("{}\n", i % 100)).collect();
    std::fs::write(dir.path().join("0"), text).unwrap();
    let job = Job { split: None, by_line: false, greatest: false, by_count: false, limit: None };
    let how = |table_slots| How {
        threads: 1,
        split_size: 1 << 20,
        partitions: 4,
        combiner: Combiner::On,
        scheduler: Scheduler::Stealing,
        table_slots,
        hash_mask: !0,
        memory: 1 << 30,
    };
    let (small, overflowing) = run(&job, &how(Some(8)), dir.path(), 1);
    let (large, fitting) = run(&job, &how(None), dir.path(), 1);
    assert_eq!(small, large);
    assert_eq!(fitting.counters.combine_output_records, 100);
    assert!(overflowing.counters.combine_output_records > 900, "{:?}", overflowing.counters);
}
