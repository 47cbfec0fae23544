//! Lines for the benchmarks: `gen_lines ROWS SEED [--distinct]` writes ROWS lines of 24 characters to stdout.
//!
//! Each line is the text of an id drawn evenly from ROWS ids, so about ROWS × (1 − 1/e) of the lines differ. With
//! `--distinct` the ids are counted up, and every line differs. Equal arguments give equal bytes on every machine.

use std::io::{self, Write};
use std::process::ExitCode;

#[path = "common/mod.rs"]
mod common;

use common::ended;

const LINE: usize = 25;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of splitmix64. It is a bijection, so different ids stay different.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Writes 24 characters of 5 bits. The first 13 hold all 64 bits of the mixed id, so no two ids have the same text.
fn text(id: u64, line: &mut [u8]) {
    let (mut high, mut low) = (mix(id.wrapping_add(STEP)), mix(!id));
    for byte in &mut line[..13] {
        *byte = BASE32[(high & 31) as usize];
        high >>= 5;
    }
    for byte in &mut line[13..24] {
        *byte = BASE32[(low & 31) as usize];
        low >>= 5;
    }
    line[24] = b'\n';
}

fn generate(rows: u64, seed: u64, distinct: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut state = mix(seed);
    let mut chunk = vec![0; LINE << 15];
    let mut row = 0;
    while row < rows {
        let mut filled = 0;
        for line in chunk.chunks_exact_mut(LINE).take((rows - row) as usize) {
            state = state.wrapping_add(STEP);
            let drawn = ((u128::from(mix(state)) * u128::from(rows)) >> 64) as u64;
            text(if distinct { row } else { drawn }, line);
            row += 1;
            filled += LINE;
        }
        out.write_all(&chunk[..filled])?;
    }
    out.flush()
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (numbers, flags) = args.split_at(args.len().min(2));
    let parsed: Vec<u64> = numbers.iter().filter_map(|arg| arg.parse().ok()).collect();
    let ([rows, seed], true) = (&parsed[..], flags.iter().all(|flag| flag == "--distinct")) else {
        eprintln!("usage: gen_lines ROWS SEED [--distinct]");
        return ExitCode::from(2);
    };
    ended(generate(*rows, *seed, !flags.is_empty()))
}
