//! Digests of outputs, to compare them: BLAKE3 of a file's bytes, or of its lines in any order.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// The digest of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

const BLOCK: usize = 1 << 20;

impl Digest {
    /// Computes the digest of a file. Calls `go_on` now and then, and stops with its error.
    ///
    /// If `unordered`, the digest is the sum of the lines' digests, as four numbers modulo 2^64. So it depends on how
    /// often each line occurs, and not on the order of lines.
    pub fn of(path: &Path, unordered: bool, go_on: impl Fn() -> Result<()>) -> Result<Digest> {
        let error = |source| Error::Spill { path: path.to_owned(), source };
        let file = File::open(path).map_err(error)?;
        let done = || go_on().map_err(io::Error::other);
        let digest =
            if unordered { of_lines(BufReader::with_capacity(BLOCK, file), done) } else { of_bytes(file, done) };
        go_on()?;
        digest.map_err(error)
    }
}

fn of_bytes(mut file: impl Read, go_on: impl Fn() -> io::Result<()>) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK];
    loop {
        go_on()?;
        match file.read(&mut block)? {
            0 => return Ok(Digest(*hasher.finalize().as_bytes())),
            read => hasher.update(&block[..read]),
        };
    }
}

fn of_lines(mut file: impl BufRead, go_on: impl Fn() -> io::Result<()>) -> io::Result<Digest> {
    const LOOK: usize = 1 << 12;
    let mut sums = [0u64; 4];
    let mut line = Vec::new();
    for number in 0.. {
        if number % LOOK == 0 {
            go_on()?;
        }
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let digest = blake3::hash(&line);
        for (sum, part) in sums.iter_mut().zip(digest.as_bytes().as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*part));
        }
    }
    let mut digest = [0; 32];
    for (part, sum) in digest.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
        *part = sum.to_le_bytes();
    }
    Ok(Digest(digest))
}

/// Prints the digest in hexadecimal; `{:.12}` prints its first twelve digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.pad(&hex)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(text: &str) -> Digest {
        of_bytes(text.as_bytes(), || Ok(())).unwrap()
    }

    fn unordered(text: &str) -> Digest {
        of_lines(text.as_bytes(), || Ok(())).unwrap()
    }

    #[test]
    fn a_digest_is_that_of_the_bytes() {
        // The first of the official test vectors, which is the digest of no bytes.
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(ordered("").to_string(), empty);
        assert_eq!(format!("{:.12}", ordered("")), &empty[..12]);
        assert_ne!(ordered("a\nb\n"), ordered("b\na\n"));
    }

    #[test]
    fn an_unordered_digest_is_that_of_the_lines_and_how_often_each_comes() {
        assert_eq!(unordered("a\nb\nb\n"), unordered("b\na\nb\n"));
        for other in ["a\nb\n", "a\na\nb\n", "a\nb\nb\nb\n", "ab\nb\n", "a\nb\nb", ""] {
            assert_ne!(unordered("a\nb\nb\n"), unordered(other), "{other:?}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_end_unless_a_signal_comes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "a line\n".repeat(1 << 18);
        std::fs::write(file.path(), &text).unwrap();
        assert_eq!(Digest::of(file.path(), false, || Ok(())).unwrap(), ordered(&text));
        assert_eq!(Digest::of(file.path(), true, || Ok(())).unwrap(), unordered(&text));
        let signal = || Err(Error::Interrupted { signal: 2 });
        assert_eq!(Digest::of(file.path(), true, signal).unwrap_err().exit_code(), 130);
        let gone = Digest::of(Path::new("none/such"), false, || Ok(())).unwrap_err();
        assert_eq!(gone.to_string(), "spill file none/such: no such file or directory");
    }
}
