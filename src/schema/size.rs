//! Parses sizes in bytes: `512M`, `1GiB`, `64KB`, `4096`.
//!
//! `K M G T` are 2^10 to 2^40, and so are `KiB … TiB`. `KB MB GB TB` are powers of ten. Units may be in upper or lower
//! case.

use serde::{Deserialize, Deserializer, de::Error};

/// A regular expression for what [`parse`] takes, except for 0 and for sizes of more than 64 bits.
pub const PATTERN: &str = r"^\s*0*[1-9][0-9]*\s*([kKmMgGtT]([iI]?[bB])?|[bB])?\s*$";

pub const HINT: &str = "a size is a whole number of bytes, or one with a unit: 512M, 1GiB, 64KB";

pub fn parse(text: &str) -> Result<u64, String> {
    let not_a_size = || format!("{text:?} is not a size");
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    if number.is_empty() {
        return Err(not_a_size());
    }
    let scale: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(not_a_size()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(scale))
        .ok_or_else(|| format!("{text:?} is more than 2^64 bytes"))
}

/// Reads a size in JSON, which is a number or a string.
pub fn option<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    Ok(match Option::<Size>::deserialize(input)? {
        None => None,
        Some(Size::Bytes(n)) => Some(n),
        Some(Size::Text(text)) => Some(parse(&text).map_err(D::Error::custom)?),
    })
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::{PATTERN, parse};

    fn looks_right(text: &str) -> bool {
        Regex::new(PATTERN).unwrap().is_match(text)
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("7B", 7),
            ("1K", 1024),
            ("512M", 512 << 20),
            ("1GiB", 1 << 30),
            ("1g", 1 << 30),
            ("64KB", 64_000),
            ("3 TB", 3_000_000_000_000),
            ("16777215T", 16_777_215 << 40),
            (" 08 kB\t", 8_000),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(looks_right(text), bytes > 0, "{text}");
        }
    }

    #[test]
    fn not_sizes() {
        for text in ["", "M", "-1", "1.5G", "1X", "1GiBs", "1ki", "1ib", "0x10", "1 0", "١K"] {
            assert_eq!(parse(text), Err(format!("{text:?} is not a size")));
            assert!(!looks_right(text), "{text}");
        }
        for text in ["16777216T", "18446744073709551616", "99999999999999999999K"] {
            assert_eq!(parse(text), Err(format!("{text:?} is more than 2^64 bytes")));
        }
    }
}
