//! Finds the first row in which two outputs differ.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::error::{Error, Result, shown};

/// The first row that isn't the same in both outputs, formatted for a message.
#[derive(Debug, PartialEq)]
pub struct Difference {
    /// Number of the line, from 1. None if rows may come in any order.
    pub line: Option<u64>,
    pub expected: String,
    pub found: String,
}

impl Difference {
    /// Finds the difference of two files that differ.
    pub fn between(reference: &Path, other: &Path, unordered: bool) -> Result<Difference> {
        let error = |path: &Path, source| Error::Spill { path: path.to_owned(), source };
        let open = |path: &Path| File::open(path).map(|file| BufReader::with_capacity(1 << 20, file));
        let rows = || Ok((open(reference)?, open(other)?));
        let found = if unordered { any(rows) } else { rows().and_then(|(a, b)| first(a, b)) };
        found.map_err(|source| error(other, source))
    }
}

/// Finds the first line that differs, where the order of rows matters.
fn first(mut reference: impl BufRead, mut other: impl BufRead) -> io::Result<Difference> {
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    let mut line = 0;
    loop {
        line += 1;
        let is_more = next(&mut reference, &mut expected)? | next(&mut other, &mut found)?;
        if !is_more || expected != found {
            let from = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
            return Ok(Difference { line: Some(line), expected: quoted(&expected, from), found: quoted(&found, from) });
        }
    }
}

/// Finds, in each output, the first row that the other doesn't have or has less often. The order of rows doesn't
/// matter. Takes memory for every different row, which is little compared with the input that the rows were made from.
fn any<R: BufRead>(rows: impl Fn() -> io::Result<(R, R)>) -> io::Result<Difference> {
    let mut balance: HashMap<[u8; 32], i64> = HashMap::new();
    let mut row = Vec::new();
    let (mut reference, mut other) = rows()?;
    while next(&mut reference, &mut row)? {
        *balance.entry(*blake3::hash(&row).as_bytes()).or_default() += 1;
    }
    while next(&mut other, &mut row)? {
        *balance.entry(*blake3::hash(&row).as_bytes()).or_default() -= 1;
    }
    let find = |mut file: R, only: fn(i64) -> bool| -> io::Result<String> {
        let mut row = Vec::new();
        while next(&mut file, &mut row)? {
            if balance.get(blake3::hash(&row).as_bytes()).is_some_and(|more| only(*more)) {
                break;
            }
        }
        Ok(quoted(&row, 0))
    };
    let (reference, other) = rows()?;
    Ok(Difference { line: None, expected: find(reference, |more| more > 0)?, found: find(other, |more| more < 0)? })
}

/// Reads the next line with its newline. At the end, returns false and leaves `row` empty.
fn next(file: &mut impl BufRead, row: &mut Vec<u8>) -> io::Result<bool> {
    row.clear();
    Ok(file.read_until(b'\n', row)? > 0)
}

/// Formats a row on one line. Of a long row only the part about byte `from` is shown.
fn quoted(row: &[u8], from: usize) -> String {
    const BEFORE: usize = 20;
    const LONGEST: usize = 56;
    if row.is_empty() {
        return "(no such row)".into();
    }
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    if row.len() <= LONGEST {
        return escaped(row);
    }
    let start = from.saturating_sub(BEFORE).min(row.len() - LONGEST);
    let end = start + LONGEST;
    let dots = |cut: bool| if cut { "…" } else { "" };
    format!("{}{}{}", dots(start > 0), escaped(&row[start..end]), dots(end < row.len()))
}

fn escaped(bytes: &[u8]) -> String {
    use std::os::unix::ffi::OsStrExt;
    shown(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn differ(a: &str, b: &str, line: u64, expected: &str, found: &str) {
        let difference = first(a.as_bytes(), b.as_bytes()).unwrap();
        assert_eq!(difference, Difference { line: Some(line), expected: expected.into(), found: found.into() });
    }

    #[test]
    fn the_first_row_that_differs() {
        differ("a\t1\nb\t2\n", "a\t1\nb\t3\n", 2, "b\\t2", "b\\t3");
        differ("a\n", "b\na\n", 1, "a", "b");
        differ("a\nb\n", "a\n", 2, "b", "(no such row)");
        differ("a\n", "a\n\n", 2, "(no such row)", "");
        differ("", "a\n", 1, "(no such row)", "a");
        differ("a\n", "a", 1, "a", "a");
    }

    #[test]
    fn a_long_row_is_shown_where_it_differs() {
        let (a, b) = (format!("{}1{}\n", "x".repeat(100), "y".repeat(100)), format!("{}2\n", "x".repeat(100)));
        let difference = first(a.as_bytes(), b.as_bytes()).unwrap();
        assert_eq!(difference.expected, format!("…{}1{}…", "x".repeat(20), "y".repeat(35)));
        assert_eq!(difference.found, format!("…{}2", "x".repeat(55)));
        differ("a\0\u{1b}[2J\n", "a\n", 1, "a\\u{0}\\u{1b}[2J", "a");
    }

    #[test]
    fn rows_in_any_sequence() {
        let find = |a: &'static str, b: &'static str| any(|| Ok((a.as_bytes(), b.as_bytes()))).unwrap();
        let difference =
            |expected: &str, found: &str| Difference { line: None, expected: expected.into(), found: found.into() };
        assert_eq!(find("a\nb\nc\n", "c\nx\na\n"), difference("b", "x"));
        assert_eq!(find("a\nb\n", "b\na\na\n"), difference("(no such row)", "a"));
        assert_eq!(find("a\nb\nb\n", "b\na\n"), difference("b", "(no such row)"));
    }
}
