//! The settings under which `mapfold verify` runs a job, to find out whether the job prints the same whatever they are.

use crate::cli::settings::{self, Setting};
use crate::units::short_argument;

/// The settings of one run, with their values.
pub type Row = Vec<(&'static Setting, String)>;

/// Returns the settings of all runs. At first one setting varies at a time, which shows where a difference comes from.
/// Then several vary at once, which shows whether they affect each other. Settings for which `is_given` holds are given
/// by the command line, and are left out. `threads` is their number where it doesn't vary, and `least_memory` returns the
/// least memory for so many.
pub fn settings(
    input_bytes: u64,
    threads: usize,
    least_memory: impl Fn(usize) -> u64,
    is_given: impl Fn(&Setting) -> bool,
) -> Vec<Row> {
    /// Each split is a task and a run. More splits take long and show nothing new.
    const MOST_SPLITS: u64 = 1000;
    const MIB: u64 = 1 << 20;
    let tiny = short_argument(input_bytes.div_ceil(MOST_SPLITS).max(1));
    let whole = short_argument(input_bytes.max(1));
    // The least memory is so small that the job spills, but not so small that a large input takes all day.
    let memories = [("least", (input_bytes / 64).min(64 * MIB) / MIB * MIB), ("64M", 64 * MIB), ("1G", 1024 * MIB)];
    let mut rows: Vec<String> = Vec::new();
    let mut vary = |what: &str, values: &[&str]| rows.extend(values.iter().map(|value| format!("{what}={value}")));
    vary("threads", &["1", "2", "3", "8"]);
    vary("split-size", &[&tiny, &whole]);
    vary("memory", &memories.map(|(name, _)| name));
    vary("partitions", &["1", "7", "1024"]);
    vary("attempts", &["1"]);
    vary("compress", &["lz4", "zstd"]);
    for what in ["combiner", "scheduler"] {
        vary(what, settings::find(what).map_or(&[], |setting| setting.choices()));
    }
    for several in [
        format!("threads=3 split-size={tiny} scheduler=static"),
        format!("threads=8 split-size={tiny} scheduler=shared"),
        format!("threads=1 split-size={whole} partitions=1 combiner=off"),
        format!("threads=1 split-size={tiny} partitions=1024 combiner=on"),
        format!("threads=3 split-size={tiny} memory=least partitions=7 combiner=off"),
        format!("threads=8 split-size={tiny} memory=least partitions=1024 combiner=on"),
        format!("threads=8 split-size={tiny} memory=least partitions=1 combiner=auto"),
        // A limit can make a job fail, so this one is beyond all need.
        format!("spill-limit=999T threads=8 split-size={tiny} compress=zstd"),
    ] {
        rows.push(several);
    }
    let mut settings: Vec<Row> = Vec::new();
    for row in rows {
        let mut row = parsed(&row, &is_given);
        let threads = value(&row, "threads").and_then(|threads| threads.parse().ok()).unwrap_or(threads);
        for (_, value) in row.iter_mut().filter(|(setting, _)| setting.flag == "memory") {
            let (_, memory) = memories.into_iter().find(|(name, _)| name == value).expect("one of them");
            *value = short_argument(memory.max(least_memory(threads)));
        }
        if !row.is_empty() && !settings.iter().any(|known| same(known, &row)) {
            settings.push(row);
        }
    }
    settings
}

/// Parses `a=b c=d`, and keeps what is a setting and isn't given.
fn parsed(row: &str, is_given: impl Fn(&Setting) -> bool) -> Row {
    let parts = row.split(' ').filter_map(|part| part.split_once('='));
    let known = parts.filter_map(|(what, value)| Some((settings::find(what)?, value.to_owned())));
    known.filter(|(setting, _)| !is_given(setting)).collect()
}

fn value<'r>(row: &'r Row, flag: &str) -> Option<&'r str> {
    row.iter().find(|(setting, _)| setting.flag == flag).map(|(_, value)| value.as_str())
}

fn same(a: &Row, b: &Row) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((a, x), (b, y))| a.flag == b.flag && x == y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trial::named;
    use crate::plan::machine::least_memory;

    fn names(input_bytes: u64, given: &[&str]) -> Vec<String> {
        let rows = settings(input_bytes, 2, least_memory, |setting| given.contains(&setting.flag));
        let name =
            |row: &Row| named(&row.iter().map(|(setting, value)| (*setting, value.as_str())).collect::<Vec<_>>());
        rows.iter().map(name).collect()
    }

    #[test]
    fn everything_that_may_vary_does() {
        let names = names(10_000, &[]);
        for setting in settings::ALL.iter().filter(|setting| setting.is_free()) {
            assert!(names.iter().any(|row| row.starts_with(&format!("{}=", setting.flag))), "{}", setting.flag);
        }
        for row in [
            "partitions=1024",
            "combiner=off",
            "threads=3",
            "split-size=10",
            "split-size=10K",
            "memory=16M",
            "memory=1G",
        ] {
            assert!(names.iter().any(|name| name == row), "{row} of {names:?}");
        }
        assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
    }

    #[test]
    fn what_is_given_holds() {
        let names = names(10_000, &["threads", "combiner"]);
        assert!(names.iter().all(|row| !row.contains("threads") && !row.contains("combiner")), "{names:?}");
        let mut once = names.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }

    #[test]
    fn sizes_follow_the_input() {
        let huge = names(1 << 40, &[]);
        for row in ["split-size=2G", "split-size=1024G", "memory=64M"] {
            assert!(huge.iter().any(|name| name == row), "{row} of {huge:?}");
        }
        assert!(names(0, &[]).iter().any(|row| row == "split-size=1"));
        assert!(huge.iter().all(|name| name.len() <= 64), "{huge:?}");
    }
}
