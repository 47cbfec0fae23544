//! A table for the benchmarks: `gen_groups ROWS SEED [--quoted|--json]` writes CSV with a header and ROWS rows to stdout.
//!
//! The table has the shape of the group-by task of H2O's db-benchmark, with K = 100:
//!
//! | column | is |
//! | --- | --- |
//! | id1, id2 | one of 100 texts, `id001` to `id100` |
//! | id3 | one of ROWS / 100 texts, `id0000000001` and on |
//! | id4, id5 | a whole number, 1 to 100 |
//! | id6 | a whole number, 1 to ROWS / 100 |
//! | v1 | a whole number, 1 to 5 |
//! | v2 | a whole number, 1 to 15 |
//! | v3 | a number from 0 to below 100 with 6 decimals |
//!
//! All values are drawn evenly. With `--quoted` every field of the same table is in quotes, also in the header. With
//! `--json` the table is JSON lines. Equal arguments give equal bytes on every machine.

use std::io::{self, Write};
use std::process::ExitCode;

#[path = "common/mod.rs"]
mod common;

use common::{Random, ended, write_lines};

const HEADER: [&str; 9] = ["id1", "id2", "id3", "id4", "id5", "id6", "v1", "v2", "v3"];
const K: usize = 100;
/// More bytes than the longest row has.
const ROW: usize = 320;

/// How fields are written.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Quoted,
    Json,
}

/// Writes fields into rows.
struct Rows<'a> {
    chunk: &'a mut Vec<u8>,
    form: Form,
}

impl Rows<'_> {
    fn field(&mut self, name: &str, is_text: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let (is_first, is_last) = (name == HEADER[0], name == HEADER[8]);
        if self.form == Form::Json {
            self.chunk.push(if is_first { b'{' } else { b',' });
            self.chunk.extend_from_slice(format!("\"{name}\":").as_bytes());
        } else if !is_first {
            self.chunk.push(b',');
        }
        let is_quoted = self.form == Form::Quoted || (self.form == Form::Json && is_text);
        let quote: &[u8] = if is_quoted { b"\"" } else { b"" };
        self.chunk.extend_from_slice(quote);
        write(self.chunk);
        self.chunk.extend_from_slice(quote);
        if is_last {
            self.chunk.extend_from_slice(if self.form == Form::Json { b"}\n" } else { b"\n" });
        }
    }
}

/// Writes `number`, with leading zeros up to `width` digits.
fn digits(mut number: usize, width: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut start = text.len();
    while number > 0 || start + width > text.len() {
        start -= 1;
        text[start] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text[start..]);
}

fn id(number: usize, width: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"id");
    digits(number, width, out);
}

fn generate(rows: usize, seed: u64, form: Form) -> io::Result<()> {
    if form != Form::Json {
        let mut header = Vec::new();
        let mut table = Rows { chunk: &mut header, form };
        HEADER.iter().for_each(|name| table.field(name, true, |out| out.extend_from_slice(name.as_bytes())));
        io::stdout().write_all(&header)?;
    }
    let mut random = Random(seed);
    let many = (rows / K).max(1);
    write_lines(rows as u64, ROW, |chunk| {
        let mut table = Rows { chunk, form };
        let mut from_1 = |to: usize| 1 + random.below(to);
        let (id1, id2, id3, id4, id5) = (from_1(K), from_1(K), from_1(many), from_1(K), from_1(K));
        let (id6, v1, v2, v3) = (from_1(many), from_1(5), from_1(15), from_1(100_000_000) - 1);
        for (name, text) in [("id1", id1), ("id2", id2)] {
            table.field(name, true, |out| id(text, 3, out));
        }
        table.field("id3", true, |out| id(id3, 10, out));
        for (name, number) in [("id4", id4), ("id5", id5), ("id6", id6), ("v1", v1), ("v2", v2)] {
            table.field(name, false, |out| digits(number, 1, out));
        }
        table.field("v3", false, |out| {
            digits(v3 / 1_000_000, 1, out);
            out.push(b'.');
            digits(v3 % 1_000_000, 6, out);
        });
    })
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (numbers, flags) = args.split_at(args.len().min(2));
    let parsed: Vec<u64> = numbers.iter().filter_map(|arg| arg.parse().ok()).collect();
    let form = match flags {
        [] => Some(Form::Plain),
        [flag] if flag == "--quoted" => Some(Form::Quoted),
        [flag] if flag == "--json" => Some(Form::Json),
        _ => None,
    };
    let ([rows, seed], Some(form)) = (&parsed[..], form) else {
        eprintln!("usage: gen_groups ROWS SEED [--quoted|--json]");
        return ExitCode::from(2);
    };
    ended(generate(*rows as usize, *seed, form))
}
