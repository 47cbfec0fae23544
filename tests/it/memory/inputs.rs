//! Inputs of a given size whose answers are known without any engine.
//!
//! The keys of an input are the texts of the numbers from 0, which have the order of the numbers. Lines come in an order
//! of their own, which is the same every time.

use std::fs;
use std::io::Write;
use std::iter;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::Dir;

/// A prime greater than the number of lines of any input.
const STEP: usize = 7_368_787;

/// Counts from 0 to below `n`, each number once, in an order that looks drawn.
pub fn shuffled(n: usize) -> impl Iterator<Item = usize> {
    assert!(n < STEP);
    (0..n).map(move |i| (i * STEP + 4711) % n)
}

/// Appends a text of `length` letters and digits, which doesn't compress well, and of which the first 8 bytes say `i`.
pub fn text(i: usize, length: usize, out: &mut Vec<u8>) {
    static FILL: OnceLock<Vec<u8>> = OnceLock::new();
    let fill = FILL.get_or_init(|| {
        let draw = |x: &u64| Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        let digits = b"abcdefghijklmnopqrstuvwxyz234567";
        iter::successors(Some(1), draw).map(|x| digits[(x >> 59) as usize]).take(1 << 21).collect()
    });
    for at in (0..8).rev() {
        out.push(b"0123456789abcdef"[i >> (4 * at) & 15]);
    }
    let from = i * 61 % (fill.len() - length);
    out.extend(&fill[from..from + length - 8]);
}

/// Number of the text that a line begins with.
pub fn number(line: &[u8]) -> usize {
    usize::from_str_radix(str::from_utf8(&line[..8]).unwrap(), 16).unwrap()
}

/// Returns the text of `i`, a tab, and a number.
pub fn row(i: usize, length: usize, count: usize, out: &mut Vec<u8>) {
    text(i, length, out);
    write_row(out, &[count]);
}

/// Ends a row by these numbers, each behind a tab.
pub fn write_row(out: &mut Vec<u8>, numbers: &[usize]) {
    for number in numbers {
        write!(out, "\t{number}").unwrap();
    }
    out.push(b'\n');
}

/// Lines of which two thirds differ: an odd number's text is there twice, an even one's once.
pub struct Lines {
    pub texts: usize,
    pub length: usize,
}

impl Lines {
    pub fn of(bytes: usize, length: usize) -> Lines {
        Lines { texts: bytes / (length + 1) * 2 / 3, length }
    }

    pub fn count(i: usize) -> usize {
        1 + i % 2
    }

    /// The numbers of the lines, in the order of the input.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let texts = self.texts;
        shuffled(texts + texts / 2).map(move |i| if i < texts { i } else { 2 * (i - texts) + 1 })
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.written(self.numbers())
    }

    /// The lines of these numbers.
    pub fn written(&self, numbers: impl Iterator<Item = usize>) -> Vec<u8> {
        let mut out = Vec::new();
        for i in numbers {
            text(i, self.length, &mut out);
            out.push(b'\n');
        }
        out
    }

    /// What `uniq` prints of the texts of these numbers.
    pub fn counted(&self, numbers: impl Iterator<Item = usize>) -> Vec<u8> {
        let mut out = Vec::new();
        numbers.for_each(|i| row(i, self.length, Lines::count(i), &mut out));
        out
    }
}

/// A table `k,j,v,w` in which each of `keys` keys has two rows, whose values of `v` differ by 2.
pub struct Table {
    pub keys: usize,
}

impl Table {
    pub const K: usize = if cfg!(debug_assertions) { 120 } else { 24 };
    const W: usize = Self::K;
    const ROW: usize = Self::K + 1 + 8 + 1 + 3 + 1 + Self::W + 1;

    pub fn of(bytes: usize) -> Table {
        Table { keys: bytes / Self::ROW / 2 }
    }

    /// Number of the second key, by that of the first.
    pub fn j(i: usize) -> usize {
        i % 7
    }

    /// The value in the key's first row.
    pub fn v(i: usize) -> usize {
        100 + i % 890
    }

    /// Row `r` is one of those of the key `r / 2`.
    fn fields(r: usize, between: u8, out: &mut Vec<u8>) {
        let i = r / 2;
        text(i, Self::K, out);
        out.push(between);
        text(Self::j(i), 8, out);
        write!(out, "{}{}{}", between as char, Self::v(i) + r % 2 * 2, between as char).unwrap();
        text(r, Self::W, out);
        out.push(b'\n');
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"k,j,v,w\n".to_vec();
        shuffled(2 * self.keys).for_each(|r| Self::fields(r, b',', &mut out));
        out
    }

    /// The records by j, then from the greatest v, then as they come.
    pub fn sorted(&self) -> Vec<u8> {
        let mut rows: Vec<usize> = shuffled(2 * self.keys).collect();
        rows.sort_by_key(|r| (Self::j(r / 2), usize::MAX - Self::v(r / 2) - r % 2 * 2));
        let mut out = Vec::new();
        rows.into_iter().for_each(|r| Self::fields(r, b'\t', &mut out));
        out
    }
}

/// Writes a file with these bytes in the directory, packed by gzip.
pub fn write_gzip(dir: &Dir, name: &str, bytes: &[u8]) {
    // Stored blocks: deflate takes an unoptimised build longer than the job does.
    let mut packed = GzEncoder::new(fs::File::create(dir.join(name)).unwrap(), Compression::none());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap();
}

/// A zstd frame with a window of `1 << log` bytes, which doesn't say how long its content is.
pub fn zstd_of(bytes: &[u8], log: u32) -> Vec<u8> {
    let mut to = zstd::Encoder::new(Vec::new(), 1).unwrap();
    to.window_log(log).unwrap();
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}
