//! Sizes, times and counts as people read and type them. Every number in mapfold's messages is formatted here.
//!
//! Sizes of data are in decimal units, so that GB and GB/s agree with each other and with `ls -l`. Sizes of memory are
//! in binary units, as in `--memory`.
//!
//! ```text
//! measured      data 1.93 GB · binary 1.93 GiB · rate 0.58 GB/s · count 12,345,678 · percent 83.0 %
//! in a message  size 1.5 GiB                          as a user may have set it
//! to be typed   argument 1536M · short_argument 2G    a SIZE that holds at least as much
//! time          seconds 1.93 s · whole_seconds 12 s · rounded_seconds 9 min 50 s
//! to be typed   Span 500ms · 1.5s · 2m
//! ```

pub mod span;

pub use span::Span;

/// Formats bytes with three figures and a decimal unit: `1.93 GB`.
pub fn data(bytes: u64) -> String {
    scaled(bytes, 1000.0, ["B", "KB", "MB", "GB", "TB"])
}

/// Formats bytes with three figures and a binary unit: `1.93 GiB`.
pub fn binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, ["B", "KiB", "MiB", "GiB", "TiB"])
}

fn scaled(bytes: u64, base: f64, units: [&str; 5]) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    // 999.6 would print as 1000, so the next unit begins at 999.5.
    while value >= base.min(999.5) && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{} {}", three(value), units[unit]) }
}

/// Formats bytes per second, over `s` seconds, in GB/s, or in MB/s below 0.1 GB/s.
pub fn rate(bytes: u64, s: f64) -> String {
    let gb = if s > 0.0 { bytes as f64 / s / 1e9 } else { 0.0 };
    if gb < 0.0995 { format!("{} MB/s", three(gb * 1e3)) } else { format!("{} GB/s", three(gb)) }
}

/// Formats bytes for a message, as a user may have set them: `1.5 GiB`, `256 MiB`, `100 bytes`.
pub fn size(bytes: u64) -> String {
    let unit = (bytes.max(1).ilog2() / 10).min(4);
    if unit == 0 {
        return format!("{bytes} bytes");
    }
    let number = format!("{:.1}", bytes as f64 / (1u64 << (10 * unit)) as f64);
    format!("{} {}iB", number.trim_end_matches(".0"), ["K", "M", "G", "T"][unit as usize - 1])
}

/// Formats bytes as a SIZE argument, rounded up to whole MiB from 1 MiB on: `1536M`, `2G`.
pub fn argument(bytes: u64) -> String {
    let mebibytes = bytes.div_ceil(1 << 20);
    match (bytes, mebibytes) {
        (..0x10_0000, _) => bytes.to_string(),
        (_, mebibytes) if mebibytes.is_multiple_of(1024) => format!("{}G", mebibytes >> 10),
        (_, mebibytes) => format!("{mebibytes}M"),
    }
}

/// Formats bytes as a SIZE argument, rounded up to at most three figures as far as 999G: `2G`, `10K`.
pub fn short_argument(bytes: u64) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    match units.into_iter().find(|(shift, _)| bytes > 999 << (shift - 10)) {
        Some((shift, unit)) => format!("{}{unit}", bytes.div_ceil(1 << shift)),
        None => bytes.to_string(),
    }
}

/// Formats seconds: `1.93 s`, `45 ms`, `2 min 5 s`.
pub fn seconds(s: f64) -> String {
    match s {
        s if s < 0.0995 => format!("{:.0} ms", s * 1e3),
        s if s < 59.995 => format!("{} s", three(s)),
        s => {
            let whole = s.round() as u64;
            match whole / 3600 {
                0 => format!("{} min {} s", whole / 60, whole % 60),
                hours => format!("{hours} h {} min", whole / 60 % 60),
            }
        }
    }
}

/// Formats seconds that are yet to come, rounded up to whole seconds: `12 s`. Fractions of a second would claim too
/// much.
pub fn whole_seconds(s: f64) -> String {
    let s = s.ceil();
    if s < 60.0 { format!("{s} s") } else { seconds(s) }
}

/// Formats seconds that are yet to come and aren't known exactly: `12 s`, `9 min 50 s`, `11 min`. The least is one
/// second, because the work isn't over yet.
pub fn rounded_seconds(s: f64) -> String {
    match s.ceil().max(1.0) as u64 {
        s @ ..60 => format!("{s} s"),
        s @ ..600 => format!("{} min {} s", s / 60, s % 60 / 10 * 10),
        s @ ..3600 => format!("{} min", s.div_ceil(60)),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

/// Returns the unit for showing times of about `s` seconds side by side: how many of the unit make a second, and its
/// name.
pub fn time_unit(s: f64) -> (f64, &'static str) {
    if s < 0.9995 { (1e3, "ms") } else { (1.0, "s") }
}

/// Formats a number with three figures: 1.93, 19.3, 193.
pub fn three(x: f64) -> String {
    match x {
        x if x < 9.995 => format!("{x:.2}"),
        x if x < 99.95 => format!("{x:.1}"),
        x => format!("{x:.0}"),
    }
}

pub fn percent(part: u64, whole: u64) -> String {
    let percent = if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    // 100 % is shown only if `part` is all of `whole`.
    let shown = if part < whole { percent.min(99.99) } else { percent };
    if (99.0..100.0).contains(&shown) { format!("{shown:.2} %") } else { format!("{shown:.1} %") }
}

/// Formats a count with commas: `12,345,678`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats a count with its noun: `1 row`, `1,234 rows`.
pub fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_figures() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 KB"),
            (999_499, "999 KB"),
            (999_500, "1.00 MB"),
            (12_345_678, "12.3 MB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(data(bytes), text);
        }
        assert_eq!(binary(1023), "1.00 KiB");
        assert_eq!(binary(1 << 20), "1.00 MiB");
        assert_eq!(binary(812 << 20), "812 MiB");
        assert_eq!(rate(10_000, 0.002), "5.00 MB/s");
        assert_eq!(rate(10_000, 0.0), "0.00 MB/s");
    }

    #[test]
    fn sizes_in_messages() {
        let sizes = [100, 1 << 10, 3 << 19, 256 << 20, (1 << 30) + 5, 2 << 30, 3 << 40];
        assert_eq!(sizes.map(size), ["100 bytes", "1 KiB", "1.5 MiB", "256 MiB", "1 GiB", "2 GiB", "3 TiB"]);
        assert_eq!(sizes.map(argument), ["100", "1024", "2M", "256M", "1025M", "2G", "3072G"]);
        assert_eq!(sizes.map(short_argument), ["100", "1K", "2M", "256M", "2G", "2G", "3072G"]);
    }

    #[test]
    fn times() {
        for (s, text) in [
            (0.0, "0 ms"),
            (0.0123, "12 ms"),
            (0.25, "0.25 s"),
            (1.934, "1.93 s"),
            (59.96, "60.0 s"),
            (125.2, "2 min 5 s"),
            (7384.0, "2 h 3 min"),
        ] {
            assert_eq!(seconds(s), text);
        }
        assert_eq!([0.2, 12.0, 59.5, 180.0].map(whole_seconds), ["1 s", "12 s", "1 min 0 s", "3 min 0 s"]);
        assert_eq!([0.9994, 0.9995].map(|s| time_unit(s).1), ["ms", "s"]);
    }

    #[test]
    fn time_to_come_is_rounded_and_never_nothing() {
        let shown = [0.0, 0.4, 59.0, 75.0, 599.0, 601.0, 3600.0, 90_000.0].map(rounded_seconds);
        assert_eq!(shown, ["1 s", "1 s", "59 s", "1 min 10 s", "9 min 50 s", "11 min", "1 h 0 min", "25 h 0 min"]);
    }

    #[test]
    fn counts_and_percentages() {
        assert_eq!(count(0), "0");
        assert_eq!(count(123), "123");
        assert_eq!(count(1234), "1,234");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!((plural(1, "row"), plural(1234, "row")), ("1 row".into(), "1,234 rows".into()));
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(999_999, 1_000_000), "99.99 %");
        assert_eq!(percent(5, 5), "100.0 %");
        assert_eq!(percent(0, 0), "0.0 %");
    }
}
