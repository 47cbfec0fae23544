//! The engine over tables, from spec to bytes, gives the same bytes as the slow reference in `tables`, whatever the
//! settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mapfold::engine::{self, Control, Failed};
use mapfold::plan::{self, Combiner, Invocation, Scheduler};
use mapfold::report::Report;
use mapfold::spec::Document;
use proptest::prelude::*;
use serde_json::json;

use crate::oracle::{How, how};
use crate::tables::Value;
use crate::tables::draw::{COLUMNS, Tape, file, job};
use crate::tables::job::{Aggregate, Job, Overflow, Rows};
use crate::tables::reader::{self, Format};
use crate::tables::writer;

/// How the files are written and read, and how the result is written.
#[derive(Clone, Debug)]
pub struct Shape {
    pub format: Format,
    /// Whether each file begins with the names of its columns. Their order differs from file to file.
    pub has_header: bool,
    pub skips_bad: bool,
    pub output: &'static str,
    pub output_header: bool,
}

impl Shape {
    fn draw(tape: &mut Tape<'_>) -> Shape {
        let delimiters = [Some(b','), Some(b';'), Some(b'\t'), Some(b'|'), None, None];
        let format = tape.pick(&delimiters).map_or(Format::Tsv, |delimiter| Format::Csv { delimiter });
        let (has_header, skips_bad) = (!tape.is_one_in(4), !tape.is_one_in(3));
        let output = tape.pick(&["csv", "tsv", "csv", "text", "jsonl"]);
        Shape {
            format,
            has_header,
            skips_bad,
            output,
            // JSON lines have no header, and a spec that asks for a header is refused.
            output_header: tape.is_one_in(2) && output != "jsonl",
        }
    }

    fn spec(&self, job: &Job, dir: &Path, files: usize) -> serde_json::Value {
        let mut spec = job.spec();
        let mut read = json!({
            "format": if self.format == Format::Tsv { "tsv" } else { "csv" },
            "types": job.types,
            "null": ["n/a"],
            "on_error": if self.skips_bad { "skip" } else { "fail" },
        });
        if let Format::Csv { delimiter } = self.format {
            read["delimiter"] = char::from(delimiter).to_string().into();
        }
        if !self.has_header {
            read["fields"] = json!(COLUMNS);
        }
        spec.insert("read".into(), read);
        spec.insert("input".into(), (0..files).map(|i| dir.join(i.to_string()).display().to_string()).collect());
        let output = json!({"path": dir.join("out"), "format": self.output, "header": self.output_header});
        spec.insert("output".into(), output);
        spec.into()
    }
}

/// The reference's answer for the files.
struct Expected {
    /// File and line of the first bad record.
    first_bad: Option<(usize, usize)>,
    /// Records that pass the filters before the first bad record.
    before_bad: u64,
    bad: u64,
    records: u64,
    result: Result<Vec<u8>, Overflow>,
}

fn by_hand(job: &Job, shape: &Shape, files: &[Vec<u8>]) -> Expected {
    let (mut observed, mut first_bad, mut before_bad, mut bad, mut all) = (Vec::new(), None, 0, 0, 0);
    for (number, file) in files.iter().enumerate() {
        let nulls = &["n/a"];
        let names: Vec<Vec<u8>> = match shape.has_header {
            false => COLUMNS.iter().map(|name| name.as_bytes().to_vec()).collect(),
            true => match reader::read(file, shape.format, &[]).first() {
                Some(header) => header.cells.clone().unwrap().into_iter().map(Option::unwrap_or_default).collect(),
                None => continue,
            },
        };
        let records = reader::records(file, shape.format, nulls, names.len());
        for record in records.into_iter().skip(usize::from(shape.has_header)) {
            all += 1;
            let mapped = record.cells_of(names.len()).and_then(|cells| {
                let names = names.iter().map(|name| String::from_utf8_lossy(name).into_owned());
                let cells: BTreeMap<_, _> = names.zip(cells.iter().cloned()).collect();
                let mapped = job.mapped(cells).ok()?;
                mapped.map(|record| job.observed(&record)).transpose().ok()
            });
            match mapped {
                Some(found) => {
                    observed.extend(found);
                    before_bad = if first_bad.is_none() { observed.len() as u64 } else { before_bad };
                }
                None => {
                    first_bad.get_or_insert((number, record.line));
                    bad += 1;
                }
            }
        }
    }
    let write = |rows: Vec<Vec<Value>>| writer::write(shape.output, shape.output_header, &job.columns(), &rows);
    Expected { first_bad, before_bad, bad, records: all, result: job.rows(observed).map(write) }
}

fn run(job: &Job, shape: &Shape, how: &How, dir: &Path, files: usize) -> Result<(Vec<u8>, Report), Failed> {
    run_spec(&shape.spec(job, dir, files), how, dir, files)
}

/// Runs the spec. Returns what it writes to the file `out` in `dir`, which also holds its inputs, and the report.
pub fn run_spec(spec: &serde_json::Value, how: &How, dir: &Path, files: usize) -> Result<(Vec<u8>, Report), Failed> {
    let spec = Document::parse("drawn", spec.to_string().as_bytes()).unwrap().finish().unwrap();
    let call = Invocation { origin: "drawn".into(), force: true, ..Invocation::default() };
    let mut plan = plan::resolve(&spec, &call).unwrap();
    let settings = &mut plan.settings;
    (settings.threads, settings.memory, settings.split_size) = (how.threads, how.memory, Some(how.split_size));
    (settings.partitions, settings.combiner, settings.scheduler) = (Some(how.partitions), how.combiner, how.scheduler);
    (settings.table_slots, settings.hash_mask) = (how.table_slots, how.hash_mask);
    settings.spill_dirs = vec![dir.to_path_buf()];
    let out: PathBuf = dir.join("out");
    let _ = std::fs::remove_file(&out);
    let ran = engine::run(&plan, &Control::default());
    let left = files + usize::from(ran.is_ok());
    assert_eq!(dir.read_dir().unwrap().count(), left, "only inputs and output are left");
    ran.map(|report| (std::fs::read(&out).unwrap(), report))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn same_bytes_whatever_the_settings(
        choices in prop::collection::vec(any::<u8>(), 0..80),
        files in prop::collection::vec((prop::collection::vec(any::<u8>(), 12), prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 0..60)), 1..4),
        hows in prop::collection::vec(how(), 3),
    ) {
        let mut tape = Tape::new(&choices);
        let shape = Shape::draw(&mut tape);
        let job = job(&mut tape);
        let files: Vec<_> = files.iter().map(|(how, rows)| file(&shape, &mut Tape::new(how), rows)).collect();
        // If all files are empty, no header gives the names.
        prop_assume!(!shape.has_header || files.iter().any(|file| !file.is_empty()));
        let dir = tempfile::tempdir().unwrap();
        for (i, file) in files.iter().enumerate() {
            std::fs::write(dir.path().join(i.to_string()), file).unwrap();
        }
        let expected = by_hand(&job, &shape, &files);
        let shown: Vec<_> = files.iter().map(|file| String::from_utf8_lossy(file)).collect();
        let about = format!("{}\n{shape:?}\n{shown:?}", shape.spec(&job, dir.path(), files.len()));
        let passes_some = matches!(job.rows, Rows::Records { .. }) && job.limit.is_some() && job.sort.is_empty();
        // The rows that the limit asks for come before the first bad record.
        let is_enough = passes_some && job.limit.is_some_and(|limit| expected.before_bad >= limit as u64);
        let mut map_output = None;
        for how in hows {
            let ran = run(&job, &shape, &how, dir.path(), files.len());
            match (expected.first_bad, &expected.result, ran) {
                // A bad record behind the last wanted row doesn't matter.
                (Some(_), Ok(result), Ok((got, _))) if is_enough && !shape.skips_bad => {
                    prop_assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(result), "{:?} {}", how, about);
                }
                (Some((file, line)), _, Err(failed)) if !is_enough && !shape.skips_bad => {
                    let place = format!("{}:{line}: ", dir.path().join(file.to_string()).display());
                    prop_assert!(failed.error.to_string().starts_with(&place), "{} {} {:?} {}", place, failed.error, how, about);
                    prop_assert_eq!(failed.error.exit_code(), 1);
                }
                (_, Err(Overflow), Err(failed)) => {
                    prop_assert!(failed.error.to_string().ends_with("needs more than 38 digits"), "{}", failed.error);
                }
                (_, Ok(result), Ok((got, report))) => {
                    prop_assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(result), "{:?} {}", how, about);
                    prop_assert_eq!(&got, result);
                    let counters = report.counters;
                    if !passes_some {
                        prop_assert_eq!((counters.bad_records, counters.map_input_records), (expected.bad, expected.records));
                    }
                    prop_assert_eq!(counters.map_output_bytes, *map_output.get_or_insert(counters.map_output_bytes));
                    if how.combiner == Combiner::Off {
                        prop_assert_eq!(counters.reduce_shuffle_bytes, counters.map_output_bytes);
                    }
                }
                (bad, result, ran) => prop_assert!(false, "{:?} {}: bad {:?}, {:?}, {:?}", how, about, bad, result.as_ref().map(|_| ()), ran.map_err(|failed| failed.error)),
            }
        }
    }
}

/// Some groups have enough values that their sketches are no longer sparse, and others have few. The tables are flushed
/// in between.
#[test]
fn tails_of_many_values_are_the_same_whatever_the_settings() {
    let aggregate = |op, field, q| Aggregate { op, field: Some(field), only: None, q, by: None };
    let job = Job {
        types: BTreeMap::from([("i", "int"), ("f", "float")]),
        rows: Rows::Groups {
            by: vec!["a"],
            aggregates: vec![
                aggregate("approx_distinct", "i", None),
                aggregate("approx_distinct", "b", None),
                aggregate("approx_quantile", "d", Some(0.5)),
                aggregate("approx_quantile", "f", Some(0.99)),
                aggregate("approx_quantile", "d", Some(0.01)),
                aggregate("first", "b", None),
                aggregate("last", "f", None),
                Aggregate { by: Some("f"), ..aggregate("argmax", "b", None) },
                Aggregate { by: Some("f"), ..aggregate("argmin", "d", None) },
            ],
            having: None,
        },
        ..Job::default()
    };
    let shape = Shape {
        format: Format::Csv { delimiter: b',' },
        has_header: true,
        skips_bad: false,
        output: "csv",
        output_header: true,
    };
    let row = |i: u64| {
        let mixed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        // Half of the rows are in one group, an eighth in another, and the rest in four hundred.
        let group = [0, 0, 0, 0, 1, 2 + mixed % 400, 2 + mixed % 20, 2][i as usize % 8];
        let size = 2f64.powi((mixed % 40) as i32 - 20) * if i.is_multiple_of(3) { -1.0 } else { 1.0 };
        format!("{group},text {},{mixed},{i}.{},{}\n", i / 2, mixed % 100, size * (mixed % 1000) as f64)
    };
    let files: Vec<Vec<u8>> = [0..5000, 4500..7500]
        .map(|rows| ["a,b,i,d,f\n".to_owned()].into_iter().chain(rows.map(row)).collect::<String>().into_bytes())
        .into();
    let dir = tempfile::tempdir().unwrap();
    for (i, file) in files.iter().enumerate() {
        std::fs::write(dir.path().join(i.to_string()), file).unwrap();
    }
    let expected = String::from_utf8(by_hand(&job, &shape, &files).result.unwrap()).unwrap();
    let how = How {
        threads: 2,
        split_size: 1 << 16,
        partitions: 8,
        combiner: Combiner::Auto,
        scheduler: Scheduler::Stealing,
        table_slots: None,
        hash_mask: !0,
        memory: 16 << 20,
    };
    for how in [
        how.clone(),
        How { combiner: Combiner::On, ..how.clone() },
        How { combiner: Combiner::Off, ..how.clone() },
        How { combiner: Combiner::On, table_slots: Some(64), partitions: 1, threads: 1, ..how.clone() },
        How { combiner: Combiner::On, hash_mask: 0, split_size: 1 << 20, memory: 64 << 10, ..how.clone() },
        How { combiner: Combiner::Off, partitions: 64, split_size: 5000, memory: 1 << 30, ..how.clone() },
    ] {
        let (got, _) = run(&job, &shape, &how, dir.path(), files.len()).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), expected, "{how:?}");
    }
}
