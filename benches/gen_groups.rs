//! A table for the benchmarks: `gen_groups ROWS SEED [--quoted]` writes CSV with a header and ROWS rows to stdout.
//!
//! It has the shape of the group-by task of H2O's db-benchmark, whose K is 100 here:
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
//! All are drawn evenly. With `--quoted` the same table has quotes around every field, those of the header too.
//! Equal arguments give equal bytes anywhere.

use std::io::{self, Write};
use std::process::ExitCode;

#[path = "common/mod.rs"]
mod common;

use common::Random;

const HEADER: [&str; 9] = ["id1", "id2", "id3", "id4", "id5", "id6", "v1", "v2", "v3"];
const K: usize = 100;
/// More than the longest row.
const ROW: usize = 160;

/// Puts fields in rows.
struct Rows {
    chunk: Vec<u8>,
    is_quoted: bool,
}

impl Rows {
    fn quote(&mut self) {
        if self.is_quoted {
            self.chunk.push(b'"');
        }
    }

    fn field(&mut self, last: bool, write: impl FnOnce(&mut Vec<u8>)) {
        self.quote();
        write(&mut self.chunk);
        self.quote();
        self.chunk.push(if last { b'\n' } else { b',' });
    }
}

/// `number`, with zeros before it up to `width`.
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

fn generate(rows: usize, seed: u64, is_quoted: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut random = Random(seed);
    let mut table = Rows { chunk: Vec::with_capacity(1 << 20), is_quoted };
    for name in HEADER {
        table.field(name == "v3", |out| out.extend_from_slice(name.as_bytes()));
    }
    let many = (rows / K).max(1);
    for _ in 0..rows {
        let mut from_1 = |to: usize| 1 + random.below(to);
        let (id1, id2, id3, id4, id5) = (from_1(K), from_1(K), from_1(many), from_1(K), from_1(K));
        let (id6, v1, v2, v3) = (from_1(many), from_1(5), from_1(15), from_1(100_000_000) - 1);
        for text in [id1, id2] {
            table.field(false, |out| id(text, 3, out));
        }
        table.field(false, |out| id(id3, 10, out));
        for number in [id4, id5, id6, v1, v2] {
            table.field(false, |out| digits(number, 1, out));
        }
        table.field(true, |out| {
            digits(v3 / 1_000_000, 1, out);
            out.push(b'.');
            digits(v3 % 1_000_000, 6, out);
        });
        if table.chunk.len() > table.chunk.capacity() - ROW {
            out.write_all(&table.chunk)?;
            table.chunk.clear();
        }
    }
    out.write_all(&table.chunk)?;
    out.flush()
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (numbers, flags) = args.split_at(args.len().min(2));
    let parsed: Vec<u64> = numbers.iter().filter_map(|arg| arg.parse().ok()).collect();
    let ([rows, seed], true) = (&parsed[..], flags.iter().all(|flag| flag == "--quoted")) else {
        eprintln!("usage: gen_groups ROWS SEED [--quoted]");
        return ExitCode::from(2);
    };
    match generate(*rows as usize, *seed, !flags.is_empty()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
