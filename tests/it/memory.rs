//! `--memory` against what the process takes: job shapes whose input is several times the budget.
//!
//! To see what was measured:
//!
//! ```sh
//! cargo nextest run --no-capture -E 'test(memory::)'
//! ```
//!
//! An unoptimised build is slow, so it has one budget and longer rows, of which there are fewer. `cargo test --release
//! memory::` has three budgets, of which the least is the least that two threads accept, and larger inputs.

mod inputs;
mod process;

use std::fs;
use std::io::Write;

use inputs::{Lines, Table, number, row, shuffled, text, write_gzip, write_row, zstd_of};
use process::{Measured, measure};

use crate::harness::Dir;

const MIB: usize = 1 << 20;

const IS_SLOW: bool = cfg!(debug_assertions);

const BUDGETS: &[usize] = if IS_SLOW { &[24 * MIB] } else { &[16 * MIB, 24 * MIB, 64 * MIB] };

/// How many times the budget an input is.
const TIMES: usize = if IS_SLOW { 2 } else { 4 };

/// Length of an ordinary line. Short lines show best what a table and an index take beside the lines.
const LENGTH: usize = if IS_SLOW { 191 } else { 47 };

enum Answer<'a> {
    /// These bytes.
    Rows(&'a [u8]),
    /// These rows, in any order.
    Unordered(&'a [u8]),
    /// These rows in which the last number may differ by 1 %.
    Nearly(&'a [u8]),
}

use Answer::{Nearly, Rows, Unordered};

impl Answer<'_> {
    fn is(&self, out: &[u8]) -> bool {
        let sorted = |rows: &[u8]| {
            let mut rows: Vec<_> = rows.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
            rows.sort_unstable();
            rows
        };
        match self {
            Rows(rows) => out == *rows,
            Unordered(rows) => out.len() == rows.len() && sorted(out) == sorted(rows),
            Nearly(rows) => {
                let parted = |rows: &str| -> (Vec<String>, Vec<f64>) {
                    let rows = rows.lines().map(|row| row.rsplit_once('\t').unwrap());
                    rows.map(|(key, number)| (key.to_owned(), number.parse::<f64>().unwrap())).unzip()
                };
                let [(keys, ours), (expected, theirs)] = [out, rows].map(|rows| parted(str::from_utf8(rows).unwrap()));
                keys == expected && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() <= b / 100.0)
            }
        }
    }
}

/// Shapes that read one input, at one budget.
struct Shapes {
    dir: Dir,
    threads: usize,
    budget: usize,
    /// How many hints in turn may be needed.
    hints: usize,
    failures: Vec<String>,
}

impl Shapes {
    /// Calls `measure` at each budget, and fails if one of its shapes failed.
    fn measure(measure: impl Fn(&mut Shapes)) {
        Shapes::measure_at(BUDGETS.iter().map(|&budget| (2, budget)), measure);
    }

    /// Does so with these numbers of threads and budgets.
    fn measure_at(each: impl IntoIterator<Item = (usize, usize)>, measure: impl Fn(&mut Shapes)) {
        let mut failures = Vec::new();
        for (threads, budget) in each {
            eprintln!("| shape | budget, MiB | peak, MiB | peak / budget | peak is made of | time |");
            let mut shapes = Shapes { dir: Dir::new(), threads, budget, hints: 1, failures: Vec::new() };
            measure(&mut shapes);
            failures.extend(shapes.failures);
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    /// Number of bytes that an input should have.
    fn bytes(&self) -> usize {
        TIMES * self.budget
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::create_dir_all(self.dir.join(name).parent().unwrap()).unwrap();
        fs::write(self.dir.join(name), contents).unwrap();
    }

    fn shape(&mut self, name: &str, args: &str, answer: &Answer<'_>) {
        self.from(name, args, None, answer);
    }

    fn from(&mut self, name: &str, args: &str, piped: Option<&str>, answer: &Answer<'_>) {
        let mut budget = self.budget as u64;
        let mut ran = measure(&self.dir, args, (self.threads, budget), piped);
        // What can't fit names the memory that it needs, which is then enough. To find that out takes no more than is
        // there.
        for _ in 0..self.hints {
            if let (Some(1 | 2), Some(more)) = (ran.code, ran.needs()) {
                assert!(more > budget && ran.seen <= budget + ran.unoptimised, "{name}: {} {}", ran.seen, ran.stderr);
                budget = more;
                ran = measure(&self.dir, args, (self.threads, budget), piped);
            }
        }
        self.judge(name, budget, &ran, answer);
    }

    fn judge(&mut self, name: &str, budget: u64, ran: &Measured, answer: &Answer<'_>) {
        let factor = ran.peak() as f64 / budget as f64;
        let mebibytes = |bytes: u64| bytes as f64 / MIB as f64;
        eprintln!(
            "| {name} | {:.0} | {:.1} | {factor:.2} | reported {:.1}, seen {:.1}, unoptimised {:.1} | {:.1} s |",
            mebibytes(budget),
            mebibytes(ran.peak()),
            mebibytes(ran.reported),
            mebibytes(ran.seen),
            mebibytes(ran.unoptimised),
            ran.seconds,
        );
        let mut fail = |why: String| self.failures.push(format!("{name} in {} MiB: {why}", mebibytes(budget)));
        if ran.code != Some(0) || !ran.stderr.is_empty() {
            return fail(format!("exit code {:?}: {}", ran.code, ran.stderr));
        }
        if ran.reported == 0 || ran.seen == 0 {
            fail("its memory wasn't seen".to_owned());
        }
        if !answer.is(&fs::read(self.dir.join("out")).unwrap()) {
            fail("a wrong answer".to_owned());
        }
        if factor > 1.0 {
            fail(format!("took {:.1} MiB", mebibytes(ran.peak())));
        }
    }
}

#[test]
fn groups_of_lines() {
    Shapes::measure(|shapes| {
        let lines = Lines::of(shapes.bytes(), LENGTH);
        shapes.file("lines", lines.bytes());
        let by_line = lines.counted(0..lines.texts);
        let by_count = lines.counted((0..lines.texts).skip(1).step_by(2).chain((0..lines.texts).step_by(2)));
        let top = lines.counted((0..10).map(|i| 2 * i + 1));

        shapes.shape("distinct lines", "run uniq lines", &Rows(&by_line));
        shapes.shape("unordered", "run uniq lines --unordered", &Unordered(&by_line));
        shapes.shape("--partitions 1", "run uniq lines --partitions 1", &Rows(&by_line));
        shapes.shape("--combiner off", "run uniq lines --combiner off", &Rows(&by_line));
        shapes.shape("words by count", "run wordcount lines", &Rows(&by_count));
        shapes.shape("top 10 by count", "run wordcount lines --limit 10", &Rows(&top));
    });
}

#[test]
fn lines_from_elsewhere() {
    Shapes::measure(|shapes| {
        let lines = Lines::of(shapes.bytes(), LENGTH);
        shapes.file("lines", lines.bytes());
        write_gzip(&shapes.dir, "lines.gz", &lines.bytes());
        let by_line = lines.counted(0..lines.texts);
        shapes.shape("a gzip file", "run uniq lines.gz", &Rows(&by_line));
        shapes.from("a pipe", "run uniq -", Some("lines"), &Rows(&by_line));
    });
}

/// Blocks of the little memory that one thread has would be thousands of tasks, and each task has a run that takes
/// memory, and time in every reduce task.
#[test]
fn a_long_pipe() {
    const TIMES: usize = if IS_SLOW { 200 } else { 1000 };
    Shapes::measure_at([(1, 14 * MIB)], |shapes| {
        let lines = Lines { texts: 1000, length: 1023 };
        shapes.file("lines", lines.written((0..TIMES).flat_map(|_| 0..lines.texts)));
        let mut counted = Vec::new();
        (0..lines.texts).for_each(|i| row(i, lines.length, TIMES, &mut counted));
        shapes.from("a long pipe", "run uniq -", Some("lines"), &Rows(&counted));
        let report = fs::read(shapes.dir.join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        let tasks = report["tasks"].as_array().unwrap();
        let of_map = tasks.iter().filter(|task| task["id"].as_str().unwrap().starts_with("map")).count();
        assert!(of_map <= TIMES / 10, "{of_map} map tasks");
    });
}

/// A window is as large as the data says, and is taken whole. The memory for it is known before a file is read, but for
/// later frames, and not for a pipe.
#[test]
fn windows_of_zstd() {
    Shapes::measure(|shapes| {
        let lines = Lines::of(shapes.bytes(), LENGTH);
        let bytes = lines.bytes();
        let (some, rest) = bytes.split_at(bytes.len() / 3 / (LENGTH + 1) * (LENGTH + 1));
        for log in [20, 23] {
            shapes.file(&format!("{log}.zst"), zstd_of(&bytes, log));
        }
        shapes.file("growing.zst", [zstd_of(some, 17), zstd_of(rest, 23)].concat());
        shapes.file("parts/a", zstd_of(some, 22));
        shapes.file("parts/b", zstd_of(rest, 23));
        let by_line = lines.counted(0..lines.texts);
        shapes.shape("a window of 1 MiB", "run uniq 20.zst", &Rows(&by_line));
        shapes.shape("a window of 8 MiB", "run uniq 23.zst", &Rows(&by_line));
        // The first window is known when the job is planned, the second when it is met.
        shapes.hints = 2;
        shapes.shape("a later window of 8 MiB", "run uniq growing.zst", &Rows(&by_line));
        shapes.hints = 1;
        shapes.shape("windows of 4 and 8 MiB", "run uniq parts", &Rows(&by_line));
        shapes.from("a window of 8 MiB in a pipe", "run uniq -", Some("23.zst"), &Rows(&by_line));
    });
}

#[test]
fn records() {
    Shapes::measure(|shapes| {
        let lines = Lines::of(shapes.bytes(), LENGTH);
        shapes.file("lines", lines.bytes());
        shapes.file("by-line.json", r#"{"read": {"format": "text"}, "sort": ["line"]}"#);
        let sorted = lines.written((0..lines.texts).flat_map(|i| (0..Lines::count(i)).map(move |_| i)));
        shapes.shape("sorted lines", "run by-line.json lines", &Rows(&sorted));
        let found = lines.written(lines.numbers().filter(|i| i % 16 < 8));
        shapes.shape("grep", "run grep --pattern ^.{7}[0-7] lines", &Rows(&found));

        let table = Table::of(shapes.bytes());
        shapes.file("table.csv", table.bytes());
        let spec = r#"{"read": {"types": {"v": "int"}}, "sort": ["j", "-v"], "output": {"format": "tsv"}}"#;
        shapes.file("by-columns.json", spec);
        shapes.shape("sorted rows", "run by-columns.json table.csv", &Rows(&table.sorted()));
    });
}

#[test]
fn numbers_by_key() {
    Shapes::measure(|shapes| {
        let table = Table::of(shapes.bytes());
        shapes.file("table.csv", table.bytes());
        let mut by_key = Vec::new();
        for i in 0..table.keys {
            let v = Table::v(i);
            text(i, Table::K, &mut by_key);
            writeln!(by_key, "\t{}\t{}.0\t{v}\t{}", 2 * v + 2, v + 1, v + 2).unwrap();
        }
        let aggregates = "sum(v),mean(v),min(v),max(v)";
        let by_k = format!("agg -g k {aggregates} table.csv");
        shapes.shape("numbers by key", &by_k, &Rows(&by_key));

        let mut by_both = Vec::new();
        for j in 0..7 {
            for i in (j..table.keys).step_by(7) {
                text(j, 8, &mut by_both);
                by_both.push(b'\t');
                row(i, Table::K, 2, &mut by_both);
            }
        }
        shapes.shape("a composite key", "agg -g j,k count table.csv", &Rows(&by_both));

        let sum: usize = (0..table.keys).map(|i| 2 * Table::v(i) + 2).sum();
        let one = format!("{sum}\t{}\n", 2 * table.keys);
        shapes.shape("one group", "agg sum(v),count table.csv", &Rows(one.as_bytes()));
    });
}

/// Sketches of up to 1024 values grow with their number.
#[test]
fn sketches() {
    /// Values in a group.
    const VALUES: usize = 300;
    const LENGTH: usize = 32;
    Shapes::measure(|shapes| {
        let groups = shapes.bytes() / (2 * LENGTH + 2) / VALUES;
        let mut csv = b"k,v\n".to_vec();
        for r in shuffled(groups * VALUES) {
            text(r / VALUES, LENGTH, &mut csv);
            csv.push(b',');
            text(r, LENGTH, &mut csv);
            csv.push(b'\n');
        }
        shapes.file("values.csv", &csv);
        let mut expected = Vec::new();
        (0..groups).for_each(|i| row(i, LENGTH, VALUES, &mut expected));
        let args = "agg -g k approx_distinct(v) values.csv";
        shapes.shape("approx_distinct", args, &Nearly(&expected));
    });
}

/// One key has 90 % of the rows. The other keys have one row each.
#[test]
fn skew() {
    Shapes::measure(|shapes| {
        let cold = Lines { texts: shapes.bytes() / 600, length: 511 };
        let mut input = Vec::new();
        for i in shuffled(cold.texts) {
            text(i, cold.length, &mut input);
            input.extend_from_slice(
                b"\nhot row\nhot row\nhot row\nhot row\nhot row\nhot row\nhot row\nhot row\nhot row\n",
            );
        }
        shapes.file("skewed", &input);
        let mut expected = Vec::new();
        (0..cold.texts).for_each(|i| row(i, cold.length, 1, &mut expected));
        expected.extend(format!("hot row\t{}\n", 9 * cold.texts).bytes());
        shapes.shape("skew", "run uniq skewed", &Rows(&expected));
    });
}

#[test]
fn long_rows() {
    const HUGE: usize = 20 * MIB;
    Shapes::measure(|shapes| {
        let lines = Lines::of(shapes.bytes(), 1023);
        shapes.file("keys", lines.bytes());
        let counted = lines.counted(0..lines.texts);
        shapes.shape("keys of 1 KB", "run uniq keys", &Rows(&counted));

        // A NUL is six bytes in JSON.
        let nuls = shapes.bytes() / 4 / 1024;
        let (mut input, mut expected) = (Vec::new(), Vec::new());
        for i in shuffled(nuls) {
            text(i, 8, &mut input);
            input.resize(input.len() + 1015, 0);
            input.push(b'\n');
        }
        let escaped = "\\u0000".repeat(1015);
        for i in 0..nuls {
            expected.extend(format!("{{\"line\":\"{i:08x}{escaped}\",\"count\":1}}\n").bytes());
        }
        shapes.file("nuls", &input);
        shapes.shape("NULs as jsonl", "run uniq nuls --format jsonl", &Rows(&expected));

        let lines = Lines::of(shapes.bytes() / 4, 255);
        let mut input = lines.bytes();
        let half = input.len() / 256 / 2 * 256;
        let mut huge = "z".repeat(HUGE).into_bytes();
        huge.push(b'\n');
        input.splice(half..half, huge.iter().copied());
        shapes.file("huge", &input);
        let mut expected = lines.counted(0..lines.texts);
        expected.extend(&huge[..HUGE]);
        write_row(&mut expected, &[1]);
        shapes.shape("a line of 20 MB", "run uniq huge", &Rows(&expected));

        let (mut csv, mut expected) = (b"k,v\n".to_vec(), Vec::new());
        let mut value = |line: &[u8], value: &[u8]| csv.extend([line, b",", value, b"\n"].concat());
        for line in lines.written(lines.numbers()).chunks_exact(256) {
            let text = &line[..255];
            value(text, if number(text) == 7 { &huge[..HUGE] } else { &text[8..64] });
        }
        for line in lines.written(0..lines.texts).chunks_exact(256) {
            let text = &line[..255];
            let value = if number(text) == 7 { &huge[..HUGE] } else { &text[8..64] };
            expected.extend([text, b"\t", value, b"\n"].concat());
        }
        shapes.file("huge.csv", &csv);
        let args = "agg -g k --type v=string max(v) huge.csv";
        shapes.shape("a value of 20 MB", args, &Rows(&expected));
    });
}

/// Rows of every length up to more than a thread may have. The longer they are, the more of the memory of a thread is
/// what one row takes on its way.
#[test]
fn rows_of_any_length() {
    Shapes::measure(|shapes| {
        shapes.file("by-line.json", r#"{"read": {"format": "text"}, "sort": ["line"]}"#);
        for length in [60_000, 200_000, 450_000, 1_000_000] {
            let lines = Lines::of(shapes.bytes(), length);
            shapes.file("lines", lines.bytes());
            let by_line = lines.counted(0..lines.texts);
            let by_count = lines.counted((0..lines.texts).skip(1).step_by(2).chain((0..lines.texts).step_by(2)));
            let sorted = lines.written((0..lines.texts).flat_map(|i| (0..Lines::count(i)).map(move |_| i)));
            shapes.shape(&format!("groups of {length}"), "run uniq lines", &Rows(&by_line));
            shapes.shape(&format!("by count, {length}"), "run uniq lines --sort=-count,line", &Rows(&by_count));
            shapes.shape(&format!("sorted, {length}"), "run by-line.json lines", &Rows(&sorted));
        }
    });
}

/// The least memory holds whatever the settings are that change no result.
#[test]
fn settings_in_the_least_memory() {
    Shapes::measure_at([(2, 16 * MIB), (4, 20 * MIB), (8, 28 * MIB)], |shapes| {
        let lines = Lines::of(shapes.bytes(), LENGTH);
        shapes.file("lines", lines.bytes());
        shapes.file("by-line.json", r#"{"read": {"format": "text"}, "sort": ["line"]}"#);
        let by_count = lines.counted((0..lines.texts).skip(1).step_by(2).chain((0..lines.texts).step_by(2)));
        let sorted = lines.written((0..lines.texts).flat_map(|i| (0..Lines::count(i)).map(move |_| i)));
        let threads = shapes.threads;
        shapes.shape(&format!("by count, {threads}"), "run uniq lines --sort=-count,line", &Rows(&by_count));
        shapes.shape(&format!("sorted, {threads}"), "run by-line.json lines", &Rows(&sorted));
        let partitions = "run uniq lines --sort=-count,line --partitions 65536";
        shapes.shape(&format!("partitions, {threads}"), partitions, &Rows(&by_count));
    });
}
