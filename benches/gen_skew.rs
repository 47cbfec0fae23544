//! Inputs whose work is hard to share out among workers: `gen_skew DIR MIB` creates DIR with four inputs of about MIB
//! mebibytes each.
//!
//! - `uniform.txt`: text that is the same throughout
//! - `uneven/`: such text in files whose sizes follow a power law, with the largest in the middle
//! - `cost.txt`: half of the bytes are few English-looking words, and then come many Cyrillic words, which take longer
//!   to map
//! - `heavy.txt`: lines, of which four in five are equal
//!
//! Equal arguments give equal bytes on every machine.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

#[path = "common/mod.rs"]
mod common;

use common::Random;

const FILES: usize = 400;
const WORDS_A_LINE: usize = 10;

/// Random words made of `letters`. Every octave of ranks is drawn equally often, and so is every word within an octave.
/// With octaves from 0 on, that is about the distribution of words in a language.
struct Words {
    octaves: Range<u32>,
    words: Vec<String>,
    random: Random,
}

impl Words {
    fn new(octaves: Range<u32>, letters: &str, seed: u64) -> Words {
        let letters: Vec<char> = letters.chars().collect();
        let mut random = Random(seed);
        let word = |rank: usize| {
            // Frequent words are short. A word may be made twice, which only means that there are a few words fewer.
            let len = 2 + (rank + 1).ilog2() as usize / 3 + random.below(4);
            (0..len).map(|_| letters[random.below(letters.len())]).collect()
        };
        let words = (0..1 << octaves.end).map(word).collect();
        Words { octaves, words, random: Random(seed + 1) }
    }

    fn line(&mut self, line: &mut String) {
        line.clear();
        for i in 0..WORDS_A_LINE {
            let octave = self.octaves.start as usize + self.random.below(self.octaves.len());
            line.push_str(&self.words[(1 << octave) + self.random.below(1 << octave)]);
            line.push(if i + 1 < WORDS_A_LINE { ' ' } else { '\n' });
        }
    }

    /// Writes lines until there are `bytes` bytes.
    fn write(&mut self, bytes: u64, out: &mut impl Write) -> io::Result<()> {
        let (mut written, mut line) = (0, String::new());
        while written < bytes {
            self.line(&mut line);
            out.write_all(line.as_bytes())?;
            written += line.len() as u64;
        }
        Ok(())
    }
}

const LATIN: &str = "etaoinshrdlucmfwypvbgkjqxz";
const CYRILLIC: &str = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъ";

fn text() -> Words {
    Words::new(0..17, LATIN, 1)
}

fn uneven(dir: &Path, bytes: u64) -> io::Result<()> {
    fs::create_dir(dir)?;
    let weight = |rank: usize| 1.0 / (rank as f64 * (rank as f64).sqrt());
    let all: f64 = (1..=FILES).map(weight).sum();
    let mut text = text();
    for file in 0..FILES {
        // The order of ranks is mixed, with the first rank in the middle: a rank is 1 + a multiple of a number that has
        // no factor in common with FILES.
        let rank = 1 + (file + FILES / 2) * 7 % FILES;
        let mut out = create(&dir.join(format!("{file:03}.txt")))?;
        text.write((bytes as f64 * weight(rank) / all) as u64, &mut out)?;
        out.flush()?;
    }
    Ok(())
}

fn cost(bytes: u64, out: &mut impl Write) -> io::Result<()> {
    Words::new(0..8, LATIN, 1).write(bytes / 2, out)?;
    Words::new(18..19, CYRILLIC, 2).write(bytes / 2, out)
}

fn heavy(bytes: u64, out: &mut impl Write) -> io::Result<()> {
    let (mut random, mut written) = (Random(1), 0);
    while written < bytes {
        let line = match random.below(5) {
            0 => format!("line {:05}\n", random.below(50_000)),
            _ => "the heavy one\n".to_owned(),
        };
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    Ok(())
}

fn create(path: &Path) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::with_capacity(1 << 20, File::create(path)?))
}

fn generate(dir: &Path, bytes: u64) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let file = |name: &str, write: &dyn Fn(&mut BufWriter<File>) -> io::Result<()>| {
        let mut out = create(&dir.join(name))?;
        write(&mut out)?;
        out.flush()
    };
    file("uniform.txt", &|out| text().write(bytes, out))?;
    uneven(&dir.join("uneven"), bytes)?;
    file("cost.txt", &|out| cost(bytes, out))?;
    file("heavy.txt", &|out| heavy(bytes, out))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, mebibytes] = &args[..] else { return usage() };
    let Ok(mebibytes) = mebibytes.parse::<u64>() else { return usage() };
    match generate(Path::new(dir), mebibytes << 20) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {dir}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: gen_skew DIR MIB");
    ExitCode::from(2)
}
