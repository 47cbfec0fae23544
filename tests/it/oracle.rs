//! The engine gives the same bytes as a reference with a `BTreeMap`, whatever the settings.

use std::collections::BTreeMap;
use std::path::Path;

use mapfold::aggregate::{Aggregate, Count, Overflow};
use mapfold::data::key::KeyFields;
use mapfold::data::{Column, Kind, Value};
use mapfold::engine::{self, Control};
use mapfold::input::Source;
use mapfold::map::steps::{Extract, ExtractAll, Filter, Ngrams, Split};
use mapfold::map::{Splitter, Step};
use mapfold::output::Compression;
use mapfold::plan::{
    self, Combiner, Format, Groups, OnTimeout, Order, Output, OutputColumn, PageCompression, PerGroup, Plan, Scheduler,
    Settings, SortKey, SortKeys, Target,
};
use mapfold::predicate::{Comparison, Predicate, Test};
use mapfold::reduce::ResultColumn;
use mapfold::report::Report;
use mapfold::table::{StateColumn, States, TailPlace};
use proptest::prelude::*;
use regex::bytes::Regex;

/// The greatest of the observed strings, by bytes: an aggregate with a state of variable size. One word says whether
/// there was any string, and the other word where the tail lies, which is the string.
#[derive(Debug)]
struct Greatest;

impl Aggregate for Greatest {
    fn kind(&self, _: usize) -> Kind {
        Kind::Bytes
    }

    fn words(&self) -> usize {
        2
    }

    fn tail(&self) -> Option<TailPlace> {
        Some(TailPlace::in_word(1))
    }

    fn identity(&self, words: &mut [u64]) {
        words.fill(0);
    }

    fn observe(&self, states: &mut States<'_>, slots: &[u32], observed: &[Column<'_>]) {
        let Column::Bytes(values) = observed[0] else { panic!("a column of bytes") };
        for (i, &slot) in slots.iter().enumerate() {
            if *states.word(slot) == 0 || states.tail(slot, 1) < values.get(i) {
                *states.word(slot) = 1;
                states.set_tail(slot, 1, values.get(i));
            }
        }
    }

    fn merge(&self, states: &mut States<'_>, slots: &[u32], others: &StateColumn<'_>) {
        for (i, &slot) in slots.iter().enumerate() {
            if others.word(i, 0) == 1 && (*states.word(slot) == 0 || states.tail(slot, 1) < others.tail(i)) {
                *states.word(slot) = 1;
                states.set_tail(slot, 1, others.tail(i));
            }
        }
    }

    fn finish<'a>(&self, _: usize, words: &[u64], tail: &'a [u8]) -> Result<Value<'a>, Overflow> {
        Ok(if words[0] == 0 { Value::Null } else { Value::Bytes(tail) })
    }
}

/// A job small enough to be done by hand.
#[derive(Clone, Debug, Default)]
struct Job {
    /// Keeps only lines that contain this text or, if negated, only lines that don't.
    filter: Option<(&'static str, bool)>,
    /// With `None` the line itself is grouped or written.
    piece: Option<Piece>,
    rows: Rows,
    limit: Option<u64>,
    /// The most rows of each line; of groups only if the line is in the key.
    per_line: Option<u64>,
}

/// The pieces that a line is taken apart into.
#[derive(Clone, Debug)]
enum Piece {
    Split(Splitter),
    /// N-grams of the words between white space.
    Ngrams(usize),
    /// The whole match of [`PATTERN`] or its group; of each match or of the first match.
    Extract {
        group: usize,
        all: bool,
    },
}

/// A pattern whose group takes no part in some matches.
const PATTERN: &str = "([ab])b|x";

/// The rows of the output.
#[derive(Clone, Debug)]
enum Rows {
    Groups {
        /// Whether the line too is part of the key.
        by_line: bool,
        /// Whether the greatest line of each group is output beside `count`.
        greatest: bool,
        by_count: bool,
        /// Keeps only groups of more records than this.
        more_than: Option<u64>,
    },
    /// Lines and pieces, in input order or sorted by piece in descending order.
    Records { sorted: bool },
}

impl Default for Rows {
    fn default() -> Self {
        Rows::Groups { by_line: false, greatest: false, by_count: false, more_than: None }
    }
}

#[derive(Clone, Debug)]
pub struct How {
    pub threads: usize,
    pub split_size: u64,
    pub partitions: usize,
    pub combiner: Combiner,
    pub scheduler: Scheduler,
    pub table_slots: Option<usize>,
    pub hash_mask: u64,
    pub memory: u64,
}

type Cell = Option<Vec<u8>>;

fn naive(job: &Job, files: &[Vec<u8>]) -> Vec<u8> {
    let mut records: Vec<(&[u8], Cell)> = Vec::new();
    for file in files {
        let mut lines: Vec<&[u8]> = file.split(|&b| b == b'\n').collect();
        // The text behind the last newline is a line only if it isn't empty.
        let last = lines.pop().unwrap();
        let lines = lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let wanted = |line: &&[u8]| {
            job.filter.is_none_or(|(needle, not)| line.windows(needle.len()).any(|w| w == needle.as_bytes()) != not)
        };
        for line in lines.chain((!last.is_empty()).then_some(last)).filter(wanted) {
            records.extend(naive_pieces(&job.piece, line).into_iter().map(|piece| (line, piece)));
        }
    }
    let mut rows = match &job.rows {
        Rows::Groups { by_line, greatest, by_count, more_than } => {
            let mut groups: BTreeMap<Vec<Cell>, (u64, &[u8])> = BTreeMap::new();
            for (line, piece) in records {
                let key = if *by_line { vec![Some(line.to_vec()), piece] } else { vec![piece] };
                let group = groups.entry(key).or_default();
                group.0 += 1;
                group.1 = line.max(group.1);
            }
            let mut groups: Vec<_> = groups.into_iter().collect();
            let line = |key: &[Cell]| key[0].clone();
            groups.retain(|(_, (count, _))| more_than.is_none_or(|least| *count > least));
            if *by_count {
                // The sort is stable, so ties stay in key order.
                groups.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
            }
            if let Some(most) = job.per_line.filter(|_| *by_line) {
                groups.sort_by_key(|(key, _)| line(key));
                keep_first(&mut groups, most, |(key, _)| line(key));
            }
            let row = |(key, (count, line)): (Vec<Cell>, (u64, &[u8]))| {
                let line = greatest.then(|| Some(line.to_vec()));
                key.into_iter().chain([Some(count.to_string().into_bytes())]).chain(line).collect::<Vec<_>>()
            };
            groups.into_iter().map(row).collect::<Vec<_>>()
        }
        Rows::Records { sorted } => {
            if *sorted {
                records.sort_by(|(_, a), (_, b)| b.cmp(a));
            }
            if let Some(most) = job.per_line {
                records.sort_by_key(|(line, _)| *line);
                keep_first(&mut records, most, |(line, _)| *line);
            }
            let row = |(line, piece): (&[u8], Cell)| match job.piece {
                None => vec![piece],
                Some(_) => vec![Some(line.to_vec()), piece],
            };
            records.into_iter().map(row).collect()
        }
    };
    rows.truncate(job.limit.unwrap_or(u64::MAX).min(1 << 30) as usize);
    let mut out = Vec::new();
    for row in rows {
        out.extend(row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(&b'\t'));
        out.push(b'\n');
    }
    out
}

/// Keeps the first of neighbouring rows that have the same group.
fn keep_first<T, G: PartialEq>(rows: &mut Vec<T>, most: u64, group: impl Fn(&T) -> G) {
    let mut last = None;
    let mut seen = 0;
    rows.retain(|row| {
        let group = Some(group(row));
        seen = if group == last { seen + 1 } else { 1 };
        last = group;
        seen <= most
    });
}

fn naive_pieces(piece: &Option<Piece>, line: &[u8]) -> Vec<Cell> {
    let runs = |is: &dyn Fn(&u8) -> bool| {
        line.split(|b| !is(b)).filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let tokens = || runs(&|&b| !(b == b' ' || (9..=13).contains(&b)));
    let some = |pieces: Vec<Vec<u8>>| pieces.into_iter().map(Some).collect();
    match piece {
        None => vec![Some(line.to_vec())],
        Some(Piece::Split(Splitter::Whitespace)) => some(tokens()),
        Some(Piece::Split(Splitter::Letters)) => {
            some(runs(&|&b| b.is_ascii_alphabetic()).into_iter().map(|piece| piece.to_ascii_lowercase()).collect())
        }
        Some(Piece::Split(Splitter::Literal(literal))) => {
            let mut pieces = vec![];
            let mut rest = line;
            while let Some(at) = rest.windows(literal.len()).position(|window| window == literal) {
                pieces.push(rest[..at].to_vec());
                rest = &rest[at + literal.len()..];
            }
            pieces.push(rest.to_vec());
            some(pieces)
        }
        Some(Piece::Split(Splitter::Chars)) => {
            let mut pieces = vec![];
            let mut rest = line;
            while !rest.is_empty() {
                let char = |len: &usize| rest.get(..*len).is_some_and(|start| std::str::from_utf8(start).is_ok());
                let len = (1..=4).find(char).unwrap_or(1);
                pieces.push(rest[..len].to_vec());
                rest = &rest[len..];
            }
            some(pieces)
        }
        Some(Piece::Split(Splitter::Words)) => unreachable!("has a reference of its own beside it"),
        Some(Piece::Ngrams(n)) => some(tokens().windows(*n).map(|run| run.join(&b' ')).collect()),
        Some(Piece::Extract { group, all }) => {
            let mut found = vec![];
            let mut rest = line;
            while let Some(&first) = rest.first() {
                let pair = matches!(rest, [b'a' | b'b', b'b', ..]);
                let len = if pair { 2 } else { 1 };
                if pair || first == b'x' {
                    found.push(match (group, pair) {
                        (0, _) => Some(rest[..len].to_vec()),
                        (_, pair) => pair.then(|| vec![first]),
                    });
                }
                rest = &rest[len..];
            }
            if *all { found } else { vec![found.into_iter().next().flatten()] }
        }
    }
}

fn steps(job: &Job) -> Vec<Box<dyn Step>> {
    let filter = job.filter.map(|(needle, not)| {
        let test = Test::Matches(Regex::new(needle).unwrap());
        let matches = Predicate::Cell { index: 0, test };
        Box::new(Filter(if not { Predicate::Not(Box::new(matches)) } else { matches })) as Box<dyn Step>
    });
    let pattern = Regex::new(PATTERN).unwrap();
    let piece = job.piece.clone().map(|piece| -> Box<dyn Step> {
        match piece {
            Piece::Split(on) => Box::new(Split { input: 0, on, adds: 1 }),
            Piece::Ngrams(n) => Box::new(Ngrams { input: 0, of: Splitter::Whitespace, n }),
            Piece::Extract { group, all: true } => Box::new(ExtractAll { input: 0, pattern, group }),
            Piece::Extract { group, all: false } => Box::new(Extract { input: 0, pattern, group }),
        }
    });
    filter.into_iter().chain(piece).collect()
}

/// Returns the rows of the plan, and the columns that it outputs.
fn rows(job: &Job) -> (plan::Rows, Vec<usize>) {
    let piece = usize::from(job.piece.is_some());
    let per_group = job.per_line.map(|limit| PerGroup { columns: 1, limit });
    match &job.rows {
        Rows::Groups { by_line, greatest, by_count, more_than } => {
            let fields = if *by_line { vec![0, piece] } else { vec![piece] };
            let keys = fields.len();
            let mut order: Vec<_> = (0..keys).map(|index| SortKey { index, descending: false }).collect();
            if *by_count {
                let behind_line = usize::from(*by_line && per_group.is_some());
                order.insert(behind_line, SortKey { index: keys, descending: true });
            }
            let order = SortKeys { keys: order, per_group: per_group.filter(|_| *by_line) };
            let mut aggregates = vec![Box::new(Count { column: None }) as Box<dyn Aggregate>];
            if *greatest {
                aggregates.push(Box::new(Greatest));
            }
            let columns = (0..keys + aggregates.len()).collect();
            let never_null = !matches!(job.piece, Some(Piece::Extract { group, all }) if !all || group > 0);
            let having = more_than
                .map(|least| Predicate::Cell { index: keys, test: Test::Decimal(Comparison::Greater, least.into()) });
            let cell = |(aggregate, name): (usize, &str)| ResultColumn { aggregate, number: 0, name: name.into() };
            let groups = Groups {
                key: KeyFields::new(fields.into_iter().map(|field| (field, Kind::Bytes)).collect(), !never_null),
                observed: if *greatest { vec![(0, Kind::Bytes)] } else { vec![] },
                results: ["count", "greatest"].into_iter().take(aggregates.len()).enumerate().map(cell).collect(),
                aggregates,
                having,
                order: Order::By(order),
            };
            (plan::Rows::Groups(groups), columns)
        }
        Rows::Records { sorted } => {
            let mut keys: Vec<_> = per_group.iter().map(|_| SortKey { index: 0, descending: false }).collect();
            if *sorted && !(piece == 0 && per_group.is_some()) {
                keys.push(SortKey { index: piece, descending: true });
            }
            let sort = Some(SortKeys { keys, per_group }).filter(|order| !order.keys.is_empty());
            (plan::Rows::Records { sort }, (0..=piece).collect())
        }
    }
}

fn run(job: &Job, how: &How, dir: &Path, files: usize) -> (Vec<u8>, Report) {
    let (rows, columns) = rows(job);
    let source = |i: usize| Source::file(&dir.join(i.to_string())).unwrap();
    let out = dir.join("out");
    let plan = Plan {
        job: serde_json::Value::Null,
        sources: (0..files).map(source).collect(),
        latencies: Vec::new(),
        max_record: 1 << 20,
        on_error: plan::OnError::Fail,
        read: plan::Read::Text { separator: b'\n' },
        fields: plan::FieldNames::default(),
        steps: steps(job),
        origins: Vec::new(),
        numbers: std::collections::BTreeSet::new(),
        rows,
        sorted_by: Vec::new(),
        limit: job.limit,
        is_ranked: false,
        left_out: Vec::new(),
        timeout: None,
        on_timeout: OnTimeout::Fail,
        columns: columns
            .into_iter()
            .map(|index| OutputColumn { index, name: format!("c{index}"), kind: Kind::Bytes })
            .collect(),
        output: Output {
            target: Target::File(out.clone(), Compression::None),
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
            attempts: 1,
            spill_dirs: vec![dir.to_path_buf()],
            spill_limit: None,
            compress: PageCompression::Auto,
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
        1 => Just("é€".as_bytes().to_vec()),
        1 => "[a-c]{15,18}".prop_map(String::into_bytes),
        1 => "[ab]{30,200}".prop_map(String::into_bytes),
        2 => "[a-z]{1,5}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..300).prop_map(|pieces| pieces.concat())
}

fn job() -> impl Strategy<Value = Job> {
    let split = prop::sample::select(vec![
        Splitter::Whitespace,
        Splitter::Letters,
        Splitter::Chars,
        Splitter::Literal(b",".to_vec()),
        Splitter::Literal(b"ab".to_vec()),
    ]);
    let piece = prop_oneof![
        1 => Just(None),
        4 => split.prop_map(|on| Some(Piece::Split(on))),
        1 => (1usize..4).prop_map(|n| Some(Piece::Ngrams(n))),
        2 => (0usize..2, any::<bool>()).prop_map(|(group, all)| Some(Piece::Extract { group, all })),
    ];
    let filter = prop_oneof![
        2 => Just(None),
        1 => (prop::sample::select(vec!["a", "ba", "word"]), any::<bool>()).prop_map(Some),
    ];
    let groups = (any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of(0u64..4));
    let rows = prop_oneof![
        3 => groups.prop_map(|(by_line, greatest, by_count, more_than)| {
            Rows::Groups { by_line, greatest, by_count, more_than }
        }),
        1 => any::<bool>().prop_map(|sorted| Rows::Records { sorted }),
    ];
    let limit = prop_oneof![3 => Just(None), 1 => (0u64..20).prop_map(Some)];
    let per_line = prop_oneof![2 => Just(None), 1 => (0u64..4).prop_map(Some)];
    (filter, piece, rows, limit, per_line).prop_map(|(filter, piece, mut rows, limit, per_line)| {
        // The line is in the key already.
        if let (Rows::Groups { by_line, .. }, None) = (&mut rows, &piece) {
            *by_line = false;
        }
        Job { filter, piece, rows, limit, per_line }
    })
}

pub fn how() -> impl Strategy<Value = How> {
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
            let input: usize = files.iter().map(Vec::len).sum();
            if let Rows::Records { .. } = job.rows {
                // Nothing is shuffled, and a limit may end the reading early.
                prop_assert_eq!((counters.map_output_bytes, counters.reduce_shuffle_bytes), (0, 0));
                prop_assert!(counters.map_input_bytes == input as u64 || job.limit.is_some());
                continue;
            }
            // Every run has the same map output. Without a combiner all of it is shuffled.
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
            prop_assert_eq!(counters.map_input_bytes, input as u64);
        }
    }
}

/// A small table is flushed many times, which the counters show.
#[test]
fn a_small_table_overflows_into_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..1000).map(|i| format!("{}\n", i % 100)).collect();
    std::fs::write(dir.path().join("0"), text).unwrap();
    let job = Job::default();
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
