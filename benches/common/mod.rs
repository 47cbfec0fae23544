//! What the benches share: texts, keys, and whether they run only as a test.

#![allow(dead_code)] // each bench uses a part of this module

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mapfold::data::{BATCH, Bytes, Span};

/// Whether this is `cargo bench -- --test` or `cargo test --benches`, which run everything once, on little data.
/// Criterion distinguishes them in the same way.
pub fn is_test() -> bool {
    let is_given = |flag: &str| std::env::args().any(|arg| arg == flag);
    is_given("--test") || !is_given("--bench")
}

/// Returns `full`, or a thousandth of it in a test.
pub fn scaled(full: usize) -> usize {
    if is_test() { full / 1000 } else { full }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns an input that `benches/data.sh` makes, if the input exists.
pub fn data(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("MAPFOLD_BENCH_DATA").map_or_else(|| root().join("benches/data"), PathBuf::from);
    Some(data.join(name)).filter(|path| path.is_file())
}

/// The text of the Linux source.
pub fn linux() -> Option<PathBuf> {
    data("linux.txt")
}

/// The first bytes of [`linux`].
pub fn linux_start(bytes: usize) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    File::open(linux()?).and_then(|file| file.take(bytes as u64).read_to_end(&mut text)).ok()?;
    Some(text)
}

/// Writes `count` lines to standard output. `line` appends one line of at most `longest` bytes.
pub fn write_lines(count: u64, longest: usize, mut line: impl FnMut(&mut Vec<u8>)) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut chunk = Vec::with_capacity(1 << 20);
    for _ in 0..count {
        line(&mut chunk);
        if chunk.len() > chunk.capacity() - longest {
            out.write_all(&chunk)?;
            chunk.clear();
        }
    }
    out.write_all(&chunk)?;
    out.flush()
}

/// The exit code of a generator. Prints the error if there is one.
pub fn ended(generated: io::Result<()>) -> ExitCode {
    match generated {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The generator splitmix64 (Steele, Lea, Flood 2014). Equal seeds give equal numbers on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// A number from 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// About `bytes` bytes of text. Its words are as long as those of a page of English prose. The word of rank r is about
/// 1/r as frequent as the first. Some words have a capital, a letter beyond ASCII or punctuation.
pub fn prose(bytes: usize) -> Vec<u8> {
    const WORDS: usize = 50_000;
    let page = std::fs::read_to_string(root().join("testdata/readme/alice.txt")).expect("a page of prose");
    let lengths: Vec<_> = page.split(|c: char| !c.is_alphabetic()).map(str::len).filter(|&length| length > 0).collect();
    let mut random = Random(1);
    let words: Vec<String> = (0..WORDS)
        .map(|_| {
            let length = lengths[random.below(lengths.len())];
            let mut word: String = (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
            if random.below(50) == 0 {
                word.push('é');
            }
            word
        })
        .collect();
    let (mut text, mut column) = (String::with_capacity(bytes + 64), 0);
    while text.len() < bytes {
        let word = &words[(WORDS as f64).powf(random.unit()) as usize - 1];
        let before = text.len();
        match random.below(12) {
            0 => text.push_str(&(word[..1].to_uppercase() + &word[1..])),
            1 => text.push_str(&format!("{word},")),
            _ => text.push_str(word),
        }
        column += text.len() - before + 1;
        text.push(if column > 100 { '\n' } else { ' ' });
        column = if column > 100 { 0 } else { column };
    }
    text.into_bytes()
}

/// Keys in batches, as a map task has them.
pub struct Keys {
    data: Vec<u8>,
    spans: Vec<Span>,
}

impl Keys {
    /// Returns `records` keys, each drawn evenly from `distinct` keys of `least` to `most` bytes.
    pub fn draw(records: usize, distinct: usize, least: usize, most: usize) -> Keys {
        let (mut data, mut spans, mut random) = (Vec::new(), Vec::with_capacity(records), Random(2));
        for _ in 0..records {
            // The number of a key determines its bytes and length.
            let number = random.below(distinct) as u64;
            let mut of_key = Random(number << 20);
            let length = least + of_key.below(most - least + 1);
            let start = data.len();
            data.extend_from_slice(format!("{number:x}").as_bytes());
            // The padding has no hexadecimal digits, so that keys of different numbers differ.
            while data.len() < start + length {
                data.push(b'g' + of_key.below(20) as u8);
            }
            spans.push(Span { start: start as u32, end: data.len() as u32 });
        }
        data.extend_from_slice(&[0; 16]); // a key in a text has bytes behind it too
        Keys { data, spans }
    }

    pub fn data(&self) -> &[u8] {
        &self.data
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn batches(&self) -> impl Iterator<Item = Bytes<'_>> {
        self.spans.chunks(BATCH).map(|spans| Bytes { data: &self.data, spans })
    }
}
