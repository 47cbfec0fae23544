//! Draws jobs and files from random bytes. The byte 0, which also stands for missing bytes, makes the simplest choice,
//! so that a failing case shrinks to a small one.

use std::collections::BTreeMap;

use super::job::{Aggregate, Job, Operand, Rows, Step};
use super::predicate::{Literal, Predicate, Test};
use super::reader::Format;
use crate::oracle_tables::Shape;

/// Two columns of text, of which the second sometimes holds numbers; then whole numbers, decimals and doubles.
pub const COLUMNS: [&str; 5] = ["a", "b", "i", "d", "f"];

pub struct Tape<'a>(std::slice::Iter<'a, u8>);

impl<'a> Tape<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Tape(bytes.iter())
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % n
    }

    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    pub fn is_one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn some(&mut self, list: &[&'static str], most: usize) -> Vec<&'static str> {
        let mut left = list.to_vec();
        let n = self.below(most + 1);
        (0..n).map(|_| left.remove(self.below(left.len()))).collect()
    }
}

// Jobs.

const TEXTS: &[&str] = &["EU", "", "x", "10"];
const NUMBERS: &[&str] = &["1", "0", "-3", "1.5", "10", "1e30"];

pub fn job(tape: &mut Tape<'_>) -> Job {
    let types: &[(&str, &[&str])] = &[
        ("a", &["", "string"]),
        ("b", &["", "string", "decimal", "float"]),
        ("i", &["int", "", "decimal", "string"]),
        ("d", &["", "decimal", "float"]),
        ("f", &["float", "float", "float", ""]),
    ];
    let chosen = types.iter().map(|(field, types)| (*field, tape.pick(types)));
    let mut job = Job { types: chosen.filter(|(_, to)| !to.is_empty()).collect(), ..Job::default() };
    let mut fields = COLUMNS.to_vec();
    for name in ["x", "y"] {
        if tape.is_one_in(3) {
            let predicate = predicate(tape, &job, &fields);
            job.steps.push(Step::Filter(predicate));
        }
        if tape.is_one_in(3) {
            let numbers: Vec<_> = fields.iter().copied().filter(|field| job.is_number(field)).collect();
            let mut operand = || match tape.is_one_in(4) {
                true => Operand::Number(tape.pick(&["2", "0.1", "3", "0", "1e20"])),
                false => Operand::Field(tape.pick(&numbers)),
            };
            let (left, right) = (operand(), operand());
            job.steps.push(Step::Derive { name, left, sign: tape.pick(&['+', '-', '*', '/']), right });
            fields.push(name);
        }
    }
    job.filter = tape.is_one_in(3).then(|| predicate(tape, &job, &fields));
    job.rows = match tape.is_one_in(4) {
        true => Rows::Records { select: [vec![tape.pick(&COLUMNS[..1])], tape.some(&fields[1..], 3)].concat() },
        false => Rows::Groups {
            by: tape.some(&fields, 3),
            aggregates: (0..1 + tape.below(5)).map(|_| aggregate(tape, &job, &fields)).collect(),
            having: None,
        },
    };
    if let Rows::Groups { aggregates, having, .. } = &mut job.rows
        && tape.is_one_in(4)
    {
        let column = tape.below(aggregates.len());
        let is_text = aggregates[column].field.is_some_and(|field| match aggregates[column].op {
            "min" | "max" => job.types.get(field) == Some(&"string"),
            "first" | "last" | "argmin" | "argmax" => {
                COLUMNS.contains(&field) && matches!(job.types.get(field), None | Some(&"string"))
            }
            _ => false,
        });
        *having = Some(Predicate::Field(format!("c{column}"), test(tape, !is_text, false)));
    }
    let columns = job.columns();
    for _ in 0..tape.below(3) {
        let column = tape.pick(&columns);
        if job.sort.iter().all(|(known, _)| *known != column) {
            job.sort.push((column, tape.is_one_in(2)));
        }
    }
    job.limit = tape.is_one_in(4).then(|| tape.below(20));
    job
}

impl Job {
    /// Whether the field may hold numbers.
    fn is_number(&self, field: &str) -> bool {
        field != "a" && self.types.get(field) != Some(&"string")
    }
}

fn aggregate(tape: &mut Tape<'_>, job: &Job, fields: &[&'static str]) -> Aggregate {
    let only = tape.is_one_in(4).then(|| predicate(tape, job, fields));
    let ops = &[
        "count",
        "sum",
        "mean",
        "min",
        "max",
        "approx_distinct",
        "approx_quantile",
        "first",
        "last",
        "argmin",
        "argmax",
    ];
    let (op, field) = (tape.pick(ops), tape.pick(fields));
    let is_text = job.types.get(field) == Some(&"string");
    let (op, field) = match op {
        "count" if tape.is_one_in(2) => (op, None),
        "min" | "max" if is_text => (op, Some(field)),
        "approx_distinct" | "first" | "last" | "argmin" | "argmax" => (op, Some(field)),
        _ if !job.is_number(field) => ("count", Some(field)),
        _ => (op, Some(field)),
    };
    let q = (op == "approx_quantile").then(|| tape.pick(&[0.5, 0.0, 1.0, 0.25, 0.9]));
    let by = matches!(op, "argmin" | "argmax").then(|| tape.pick(fields));
    let by = by.map(|by| if job.is_number(by) || job.types.get(by) == Some(&"string") { by } else { "b" });
    Aggregate { op, field, only, q, by }
}

fn predicate(tape: &mut Tape<'_>, job: &Job, fields: &[&'static str]) -> Predicate {
    let mut leaf = || {
        let field = tape.pick(fields);
        let is_derived = !COLUMNS.contains(&field);
        let may_be_text = !is_derived && matches!(job.types.get(field), None | Some(&"string"));
        Predicate::Field(field.into(), test(tape, job.is_number(field), may_be_text))
    };
    let (first, second) = (leaf(), leaf());
    match tape.below(8) {
        0..4 => first,
        4 => Predicate::Not(Box::new(first)),
        5 => Predicate::And(vec![first, second]),
        6 => Predicate::Or(vec![first, second]),
        _ => Predicate::Not(Box::new(Predicate::Or(vec![Predicate::Not(Box::new(first)), second]))),
    }
}

/// Draws a test of a number, of text, or of a field that may be either. A field that may be either is tested as text.
fn test(tape: &mut Tape<'_>, may_be_number: bool, may_be_text: bool) -> Test {
    let may_be_text = may_be_text || !may_be_number;
    // If the field certainly is a number, the literal may be quoted.
    let as_number = may_be_number && !tape.is_one_in(4);
    let mut literal = || match (as_number, may_be_text) {
        (true, _) => Literal::Number(tape.pick(NUMBERS)),
        (false, true) => Literal::Text(tape.pick(TEXTS)),
        (false, false) => Literal::Text(tape.pick(NUMBERS)),
    };
    let (one, other) = (literal(), literal());
    match tape.below(8) {
        key @ 0..6 => Test::Compare(["gte", "equal", "lt", "lte", "gt", "gt"][key], one),
        6 => Test::In(vec![one, other]),
        _ => Test::Valid(tape.is_one_in(2)),
    }
}

// Files.

/// Writes a file of these rows.
pub fn file(shape: &Shape, tape: &mut Tape<'_>, rows: &[Vec<u8>]) -> Vec<u8> {
    if tape.is_one_in(16) {
        return Vec::new();
    }
    let is_crlf = tape.is_one_in(3);
    let mut columns: Vec<_> = COLUMNS.to_vec();
    let mut out = if tape.is_one_in(4) { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    if shape.has_header {
        if tape.is_one_in(3) {
            columns.push("more");
        }
        columns.rotate_left(tape.below(5));
        let (at, other) = (tape.below(5), tape.below(5));
        columns.swap(at, other);
        let quotes = tape.is_one_in(2);
        put_row(
            shape.format,
            &columns.iter().map(|name| (Some(name.to_string()), quotes)).collect::<Vec<_>>(),
            &mut out,
        );
        out.extend(if is_crlf { &b"\r\n"[..] } else { b"\n" });
    }
    for row in rows {
        let tape = &mut Tape::new(row);
        match tape.below(64) {
            63 => out.extend(tape.pick(&[
                &b"x\"y,1"[..],
                b"1,2,3",
                b"\"q\" ,,,,",
                b",,,,,,,,",
                b"\"",
                b"a;b\"",
                b"\xff\t\x00",
            ])),
            62 => {}
            _ => {
                let cells: Vec<_> = columns.iter().map(|column| (cell(column, tape), tape.is_one_in(4))).collect();
                put_row(shape.format, &cells, &mut out);
            }
        }
        let ends = [if is_crlf { "\r\n" } else { "\n" }, "\n", "\n", "\n", "\r\n"];
        out.extend(tape.pick(&ends).as_bytes());
    }
    if tape.is_one_in(3) && !rows.is_empty() {
        out.pop();
    }
    out
}

/// Draws a text of the column's kind, or null.
fn cell(column: &str, tape: &mut Tape<'_>) -> Option<String> {
    const ODD: &[&str] = &["", "x", "1e400", "--1", "1,5", "1e38", "n/a", " 7\t"];
    const ZONES: &[&str] =
        &["EU", "US", "", "a,b", "a;b", "a|b\tc", "say \"x\"", "two\nlines", "cr\r\nlf", "\r", "\\N", "\\t", "é\0"];
    let number = |tape: &mut Tape<'_>, whole: bool| {
        let digits = tape.below(256) as i64 - 128;
        let long = [
            "123456789012345678901234567890",
            "-99999999999999999999999999999999999999",
            "10000000000000000000000000000000000000",
        ];
        let point = |scale: usize| {
            format!("{}{}.{:0>scale$}", if digits < 0 { "-" } else { "" }, digits.abs(), digits.unsigned_abs())
        };
        match (tape.below(32), whole) {
            (31, _) => tape.pick(&long).to_owned(),
            (30, true) => format!("+0{}", digits.abs()),
            (28, false) => format!("{digits}e{}", tape.below(40) as i64 - 20),
            (29, false) => format!("{digits}."),
            (30, false) => "0.00000000000000000000000000000000000001".to_owned(),
            (16..30, false) => point(1 + tape.below(9)),
            _ => digits.to_string(),
        }
    };
    match tape.below(40) {
        38 => return None,
        39 => return Some(tape.pick(ODD).to_owned()),
        _ => {}
    }
    Some(match column {
        "a" | "more" => tape.pick(ZONES).to_owned(),
        "b" => tape.pick(&["1", "2", "10", "1.0", "01", "EU", "x", "-0"]).to_owned(),
        "i" => number(tape, true),
        "d" => number(tape, false),
        _ => match tape.below(16) {
            15 => tape.pick(&["nan", "inf", "-Infinity", "NaN"]).to_owned(),
            14 => tape.pick(&["1.7976931348623157e308", "5e-324", "-1e300", "-0.0"]).to_owned(),
            _ => number(tape, false),
        },
    })
}

fn put_row(format: Format, cells: &[(Option<String>, bool)], out: &mut Vec<u8>) {
    let escapes = BTreeMap::from([('\t', r"\t"), ('\n', r"\n"), ('\r', r"\r"), ('\\', r"\\")]);
    for (i, (cell, quotes)) in cells.iter().enumerate() {
        match (format, cell) {
            (Format::Csv { delimiter }, cell) => {
                out.extend((i > 0).then_some(delimiter));
                let is_special = |c: char| matches!(c, '"' | '\n' | '\r') || c == char::from(delimiter);
                match cell.as_deref() {
                    None => out.extend(if *quotes { &b"n/a"[..] } else { b"" }),
                    Some(text) if *quotes || text.contains(is_special) => {
                        out.extend(format!("\"{}\"", text.replace('"', "\"\"")).as_bytes());
                    }
                    Some(text) => out.extend(text.as_bytes()),
                }
            }
            (Format::Tsv, cell) => {
                out.extend((i > 0).then_some(b'\t'));
                let text = cell.as_deref().unwrap_or("\u{fffd}");
                let escaped = |c| escapes.get(&c).map_or_else(|| String::from(c), |text| text.to_string());
                match cell {
                    None => out.extend(if *quotes { &b"n/a"[..] } else { br"\N" }),
                    Some(_) => out.extend(text.chars().map(escaped).collect::<String>().as_bytes()),
                }
            }
        }
    }
}
