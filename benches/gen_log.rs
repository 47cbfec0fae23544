//! An access log for the benchmarks: `gen_log LINES SEED` writes LINES lines in the combined format to stdout.
//!
//! A path has one to three parts. Each part is one of 60, and the first of these are far more frequent than the last,
//! so about ten thousand paths occur now and then. One line in 50 has no size (`-`). Equal arguments give equal bytes
//! on every machine.

use std::io::{self, Write};
use std::process::ExitCode;

#[path = "common/mod.rs"]
mod common;

use common::{Random, ended, write_lines};

const METHODS: [&str; 6] = ["GET", "GET", "GET", "GET", "POST", "HEAD"];
const STATUS: [u32; 8] = [200, 200, 200, 200, 304, 301, 404, 500];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// More bytes than the longest line has.
const LINE: usize = 512;

fn line(random: &mut Random, out: &mut Vec<u8>) -> io::Result<()> {
    let [a, b, c] = [0; 3].map(|_| random.below(256));
    let (day, month) = (1 + random.below(28), MONTHS[random.below(12)]);
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    write!(out, "10.{a}.{b}.{c} - - [{day:02}/{month}/2025:{hour:02}:{minute:02}:{second:02} +0000] \"")?;
    write!(out, "{} /", METHODS[random.below(METHODS.len())])?;
    for _ in 0..1 + random.below(3) {
        // The smaller of two draws makes small numbers frequent.
        write!(out, "part{}/", random.below(60).min(random.below(60)))?;
    }
    write!(out, " HTTP/1.1\" {} ", STATUS[random.below(STATUS.len())])?;
    match random.below(50) {
        0 => write!(out, "-")?,
        _ => write!(out, "{}", random.below(50_000))?,
    }
    let (referer, version) = (random.below(1000), 80 + random.below(50));
    write!(out, " \"https://example.org/from/{referer}\" ")?;
    writeln!(out, "\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0\"")
}

fn generate(lines: u64, seed: u64) -> io::Result<()> {
    let mut random = Random(seed);
    write_lines(lines, LINE, |out| line(&mut random, out).expect("a Vec takes all"))
}

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let [lines, seed] = numbers[..] else {
        eprintln!("usage: gen_log LINES SEED");
        return ExitCode::from(2);
    };
    ended(generate(lines, seed))
}
