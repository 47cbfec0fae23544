//! Rows for the benchmarks: `gen_measurements ROWS SEED` writes ROWS lines `STATION;TEMPERATURE` to stdout.
//!
//! This is the input of the One Billion Row Challenge: a station drawn evenly from the 413 of `stations.txt`, and a
//! temperature drawn around the station's mean with a standard deviation of 10, to a tenth of a degree. Equal arguments
//! give equal bytes on every machine, since all arithmetic is in whole numbers. The normal distribution is the sum of
//! twelve even ones, so nothing is further from a mean than six standard deviations.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

#[path = "common/mod.rs"]
mod common;

use common::{Random, ended, write_lines};

const STATIONS: &str = include_str!("stations.txt");
/// Mean of the sum of twelve evenly drawn 16-bit numbers.
const MEAN: i64 = 12 * 0xffff / 2;
/// Standard deviation in hundredths of a degree. The sum of twelve evenly drawn numbers has the width of their range as
/// its standard deviation.
const DEVIATION: i64 = 1000;
/// More bytes than the longest line has.
const LINE: usize = 64;

struct Station {
    /// The station's name with the semicolon.
    name: String,
    /// Mean in hundredths of a degree.
    mean: i64,
}

fn stations() -> Vec<Station> {
    let station = |line: &str| {
        let (name, mean) = line.split_once(';').expect("name;mean");
        let (whole, part) = mean.split_once('.').expect("a mean with a point");
        let digits: i64 = format!("{whole}{part:0<2}").parse().expect("at most two decimals");
        Station { name: format!("{name};"), mean: digits }
    };
    STATIONS.lines().filter(|line| !line.starts_with('#')).map(station).collect()
}

/// Draws a distance from the mean, in hundredths of a degree.
fn deviation(random: &mut Random) -> i64 {
    let sum: u64 = (0..3)
        .map(|_| {
            let drawn = random.next();
            (drawn & 0xffff) + (drawn >> 16 & 0xffff) + (drawn >> 32 & 0xffff) + (drawn >> 48)
        })
        .sum();
    ((sum as i64 - MEAN) * DEVIATION) >> 16
}

fn generate(rows: u64, seed: u64) -> io::Result<()> {
    let stations = stations();
    // Every text that a temperature can have, from -99.9 to 99.9.
    let texts: Vec<String> = (-999..=999_i64)
        .map(|tenths| {
            let mut text = if tenths < 0 { "-".to_string() } else { String::new() };
            writeln!(text, "{}.{}", tenths.abs() / 10, tenths.abs() % 10).expect("a String takes all");
            text
        })
        .collect();
    let mut random = Random(seed);
    write_lines(rows, LINE, |out| {
        let station = &stations[random.below(stations.len())];
        // Halves go up, as in the challenge's own generator.
        let tenths = (station.mean + deviation(&mut random) + 5).div_euclid(10).clamp(-999, 999);
        out.extend_from_slice(station.name.as_bytes());
        out.extend_from_slice(texts[(tenths + 999) as usize].as_bytes());
    })
}

fn main() -> ExitCode {
    let parsed: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let [rows, seed] = parsed[..] else {
        eprintln!("usage: gen_measurements ROWS SEED");
        return ExitCode::from(2);
    };
    ended(generate(rows, seed))
}
