//! `limit_per_group`: the first rows of each group, of records and of groups, agree with a plain computation, whatever
//! the settings.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use mapfold::engine::{self, Control};
use mapfold::plan::{self, Invocation};
use mapfold::report::Report;
use mapfold::spec::Document;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A cell of a row. Null is the least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Null,
    Tenths(i64),
    Text(String),
}

impl Cell {
    fn csv(&self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Text(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            Cell::Tenths(_) => self.tsv(),
        }
    }

    /// As it is written in TSV. The texts of these tests need no escapes.
    fn tsv(&self) -> String {
        match self {
            Cell::Null => "\\N".into(),
            Cell::Text(text) => text.clone(),
            Cell::Tenths(tenths) if tenths % 10 == 0 => (tenths / 10).to_string(),
            Cell::Tenths(tenths) => {
                format!("{}{}.{}", if *tenths < 0 { "-" } else { "" }, tenths.abs() / 10, tenths.abs() % 10)
            }
        }
    }
}

/// The columns of the table: two texts, of which the first has one value that most rows have, a number, and the row's
/// own number.
const COLUMNS: [&str; 4] = ["hot", "text", "number", "id"];

type Row = Vec<Cell>;

fn row() -> impl Strategy<Value = [Cell; 3]> {
    let text = |text: &str| Cell::Text(text.into());
    let hot = prop_oneof![
        12 => Just(text("hot")),
        1 => Just(Cell::Null),
        3 => prop::sample::select(vec!["", "a", "ho", "hot!", "hot hot", "é"]).prop_map(text),
        2 => (0u32..40).prop_map(|i| Cell::Text(format!("group {i}"))),
    ];
    let other = prop_oneof![
        1 => Just(Cell::Null),
        6 => prop::sample::select(vec!["", "x", "xy", "y", "a, \"b\""]).prop_map(|text| Cell::Text(text.into())),
    ];
    let number = prop_oneof![1 => Just(Cell::Null), 8 => (-30i64..30).prop_map(Cell::Tenths)];
    (hot, other, number).prop_map(|(hot, other, number)| [hot, other, number])
}

fn table(rows: &[[Cell; 3]]) -> Vec<Row> {
    let numbered = rows.iter().zip(0..);
    numbered.map(|(row, i)| row.iter().cloned().chain([Cell::Tenths(10 * i)]).collect()).collect()
}

fn csv(rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| row.iter().map(Cell::csv).collect::<Vec<_>>().join(",") + "\n");
    COLUMNS.join(",") + "\n" + &lines.collect::<String>()
}

fn tsv(rows: &[Row]) -> String {
    rows.iter().map(|row| row.iter().map(Cell::tsv).collect::<Vec<_>>().join("\t") + "\n").collect()
}

/// What a test asks for.
#[derive(Clone, Debug)]
struct Asked {
    group_by: Vec<&'static str>,
    /// With an aggregate, these make the rows: the count and the sum of `number`, for each value of `group_by`.
    counts: bool,
    sort: Vec<&'static str>,
    per_group: u64,
    limit: Option<u64>,
}

impl Asked {
    fn spec(&self) -> Value {
        let mut spec = json!({
            "read": {"format": "csv", "types": {"number": "decimal", "id": "int"}},
            "group_by": self.group_by, "sort": self.sort, "limit_per_group": self.per_group,
        });
        if self.counts {
            let sum = json!({"op": "sum", "field": "number", "as": "sum"});
            spec["aggregate"] = json!([{"op": "count", "as": "n"}, sum]);
            spec["having"] = json!({"field": "n", "gt": 1});
        }
        if let Some(limit) = self.limit {
            spec["limit"] = limit.into();
        }
        spec
    }

    /// The result, by sorting everything.
    fn naive(&self, table: &[Row]) -> Vec<Row> {
        let at = |names: &[&str], name: &str| names.iter().position(|known| *known == name).unwrap();
        let (names, group, mut rows) = if self.counts {
            let mut groups: BTreeMap<Row, (i64, Cell)> = BTreeMap::new();
            for row in table {
                let key = self.group_by.iter().map(|name| row[at(&COLUMNS, name)].clone()).collect();
                let (n, sum) = groups.entry(key).or_insert((0, Cell::Null));
                *n += 1;
                *sum = match (&*sum, &row[2]) {
                    (Cell::Tenths(a), Cell::Tenths(b)) => Cell::Tenths(a + b),
                    (Cell::Null, number) => number.clone(),
                    (sum, _) => sum.clone(),
                };
            }
            let rows = groups.into_iter().filter(|(_, (n, _))| *n > 1);
            let rows = rows.map(|(key, (n, sum))| [key, vec![Cell::Tenths(10 * n), sum]].concat());
            let names = [&self.group_by[..], &["n", "sum"]].concat();
            (names, &self.group_by[..self.group_by.len() - 1], rows.collect::<Vec<_>>())
        } else {
            (COLUMNS.to_vec(), &self.group_by[..], table.to_vec())
        };
        let sort: Vec<_> =
            self.sort.iter().map(|key| (at(&names, key.trim_start_matches('-')), key.starts_with('-'))).collect();
        let group: Vec<_> = group.iter().map(|name| at(&names, name)).collect();
        let is_group = |(column, _): &&(usize, bool)| group.contains(column);
        let mut order: Vec<_> = sort.iter().filter(is_group).copied().collect();
        let unnamed = group.iter().filter(|column| sort.iter().all(|(named, _)| named != *column));
        order.extend(unnamed.map(|column| (*column, false)));
        order.extend(sort.iter().filter(|key| !is_group(key)));
        // The sort is stable. Groups are in the order of their keys before, records in that of the input.
        rows.sort_by(|a: &Row, b: &Row| {
            let by = |(column, descending): &(usize, bool)| match descending {
                false => a[*column].cmp(&b[*column]),
                true => b[*column].cmp(&a[*column]),
            };
            order.iter().map(by).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
        });
        let mut seen: BTreeMap<Row, u64> = BTreeMap::new();
        rows.retain(|row| {
            let seen = seen.entry(group.iter().map(|column| row[*column].clone()).collect()).or_default();
            *seen += 1;
            *seen <= self.per_group
        });
        rows.truncate(self.limit.unwrap_or(u64::MAX) as usize);
        rows
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let of_records = (
        prop::sample::select(vec![vec!["hot"], vec!["number"], vec!["hot", "text"], vec!["text", "number"]]),
        prop::sample::select(vec![
            vec![],
            vec!["number"],
            vec!["-number", "text"],
            vec!["-text", "-hot"],
            vec!["-hot", "-id"],
            vec!["-id"],
        ]),
    );
    let of_groups = (
        prop::sample::select(vec![vec!["hot", "text"], vec!["hot", "text", "number"], vec!["number", "hot"]]),
        prop::sample::select(vec![
            vec![],
            vec!["-n"],
            vec!["sum"],
            vec!["-hot", "-n"],
            vec!["-n", "-hot"],
            vec!["-sum", "n"],
        ]),
    );
    let of_either = prop_oneof![of_records.prop_map(|asked| (false, asked)), of_groups.prop_map(|asked| (true, asked))];
    let per_group = prop_oneof![8 => 1u64..6, 1 => Just(0), 1 => Just(1000), 1 => Just(u64::MAX)];
    let limit = prop_oneof![3 => Just(None), 1 => (0u64..30).prop_map(Some)];
    (of_either, per_group, limit).prop_map(|((counts, (group_by, sort)), per_group, limit)| Asked {
        group_by,
        counts,
        sort,
        per_group,
        limit,
    })
}

/// Settings, and bytes of memory, which may be fewer than a spec may ask for.
fn settings() -> impl Strategy<Value = (Value, u64)> {
    (
        prop::sample::select(vec![1, 4]),
        prop::sample::select(vec!["stealing", "static", "shared"]),
        prop::sample::select(vec![31, 1000, 1 << 20]),
        prop::sample::select(vec![64 << 10, 1 << 20, 1 << 30]),
        prop::sample::select(vec!["auto", "on", "off"]),
        prop::sample::select(vec![1, 5, 64]),
    )
        .prop_map(|(threads, scheduler, split_size, memory, combiner, partitions)| {
            let settings = json!({"threads": threads, "scheduler": scheduler, "split_size": split_size,
                "combiner": combiner, "partitions": partitions});
            (settings, memory)
        })
}

fn run(dir: &Path, mut spec: Value, settings: Value, memory: u64) -> (String, Report) {
    spec["input"] = json!([dir.join("in.csv")]);
    spec["output"] = json!({"path": dir.join("out")});
    spec["run"] = settings;
    let spec = Document::parse("spec", spec.to_string().as_bytes()).unwrap().finish().unwrap();
    let mut plan = plan::resolve(&spec, &Invocation { force: true, ..Invocation::default() }).unwrap();
    plan.settings.memory = memory;
    let report = engine::run(&plan, &Control::default()).unwrap();
    (std::fs::read_to_string(dir.join("out")).unwrap(), report)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_first_rows_of_each_group(
        rows in prop_oneof![3 => prop::collection::vec(row(), 0..60), 1 => prop::collection::vec(row(), 500..1500)],
        asked in asked(),
        settings in prop::collection::vec(settings(), 3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let table = table(&rows);
        std::fs::write(dir.path().join("in.csv"), csv(&table)).unwrap();
        let expected = tsv(&asked.naive(&table));
        for (settings, memory) in settings {
            let (got, _) = run(dir.path(), asked.spec(), settings.clone(), memory);
            prop_assert_eq!(&got, &expected, "{} {} {}", asked.spec(), settings, memory);
        }
    }
}

/// Rows of one large group and of many small ones.
fn large() -> Vec<Row> {
    let name = |i: i64| if i % 3 == 0 { format!("group {}", i % 500) } else { "hot".to_owned() };
    let row = |i: i64| {
        vec![Cell::Text(name(i)), Cell::Text("x".repeat(20)), Cell::Tenths(i * 7919 % 4001), Cell::Tenths(10 * i)]
    };
    (0..30_000).map(row).collect()
}

/// What doesn't fit the memory is written to sorted runs and merged, also if it is one group.
#[test]
fn groups_larger_than_the_memory_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let table = large();
    std::fs::write(dir.path().join("in.csv"), csv(&table)).unwrap();
    for (per_group, sort, drops) in [(3, vec!["-number", "text"], true), (15_000, vec!["number"], false)] {
        let asked = Asked { group_by: vec!["hot"], counts: false, sort, per_group, limit: None };
        let expected = tsv(&asked.naive(&table));
        for (threads, scheduler) in [(1, "stealing"), (4, "static"), (4, "shared")] {
            for split_size in [200 << 10, 1 << 30] {
                let settings = json!({"threads": threads, "scheduler": scheduler, "split_size": split_size});
                let (got, report) = run(dir.path(), asked.spec(), settings, 1 << 20);
                assert!(got == expected, "{per_group} {threads} {scheduler}");
                let counters = report.counters;
                // Each attempt drops most rows before they take space on disk, if few of each group are wanted.
                let written = counters.map_output_materialized_bytes;
                assert_eq!(written < counters.map_input_bytes, drops, "{per_group}: {counters:?}");
                assert!(drops || counters.reduce_spills > 1, "{counters:?}");
            }
        }
    }
}

/// If all rows of the groups are wanted, they are written once, as those of a sort are.
#[test]
fn groups_of_one_row_take_what_a_sort_takes() {
    let dir = tempfile::tempdir().unwrap();
    let table: Vec<_> = large().into_iter().take(5000).collect();
    std::fs::write(dir.path().join("in.csv"), csv(&table)).unwrap();
    let asked = Asked { group_by: vec!["id"], counts: false, sort: vec!["-number"], per_group: 1, limit: None };
    let (got, report) = run(dir.path(), asked.spec(), json!({"threads": 1}), 1 << 20);
    assert_eq!(got, tsv(&table));
    let sort = json!({"read": {"format": "csv", "types": {"id": "int"}}, "sort": ["id"]});
    let (_, sorted) = run(dir.path(), sort, json!({"threads": 1}), 1 << 20);
    assert_eq!(report.counters.spilled_records, sorted.counters.spilled_records);
    assert_eq!(report.counters.reduce_output_records, 5000);
}
