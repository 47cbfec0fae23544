//! Names in messages: escapes a name so that it can't spoil a line, and suggests the right name for a misspelt one.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// Whether a terminal does something else with `c` than show it. This holds for control characters, for separators that
/// end a line, and for marks that change the direction of text, with which a text reads differently from what it is.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        || c.is_control()
}

/// Returns `text` as one line in which every character can be seen.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unseen) { shown(text).into() } else { text.into() }
}

/// Returns a path for a message, as one line whatever the path holds. Characters that can't be seen, and bytes that are
/// not UTF-8, are escaped.
pub fn shown(path: impl AsRef<Path>) -> String {
    let mut out = String::new();
    for chunk in path.as_ref().as_os_str().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_unseen(c) { out.extend(c.escape_default()) } else { out.push(c) }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Returns the candidate that `word` is most likely a misspelling of. At most a third of the letters may be wrong, in a
/// short word one letter, and never more than half of the word. Two swapped letters count as one wrong letter.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let letters = candidate.chars().count().max(lower.chars().count());
            *distance <= (letters / 3).max(1) && distance * 2 <= letters
        })
        // Of two candidates equally near, the one that begins with `word` wins: "of" means "off" and not "on".
        .min_by_key(|(distance, candidate)| (*distance, !candidate.to_lowercase().starts_with(&lower)))
        .map(|(_, candidate)| candidate)
        .filter(|candidate| *candidate != word)
}

/// What other tools call a thing, with mapfold's name for it.
const ELSEWHERE: &[(&str, &str)] = &[
    // Aggregates
    ("cnt", "count"),
    ("avg", "mean"),
    ("average", "mean"),
    ("std", "stddev"),
    ("var", "variance"),
    ("total", "sum"),
    ("minimum", "min"),
    ("maximum", "max"),
    // Tests of a predicate
    ("eq", "equal"),
    ("=", "equal"),
    ("==", "equal"),
    ("is", "equal"),
    ("le", "lte"),
    ("<=", "lte"),
    ("<", "lt"),
    ("ge", "gte"),
    (">=", "gte"),
    (">", "gt"),
    ("ne", "not"),
    ("!=", "not"),
    ("regex", "matches"),
    ("regexp", "matches"),
    ("like", "matches"),
    ("contains", "matches"),
    ("exists", "valid"),
    // Keys and values
    ("order_by", "sort"),
    ("orderby", "sort"),
    ("top", "limit"),
    ("head", "limit"),
    ("filter", "where"),
    ("separator", "delimiter"),
    ("sep", "delimiter"),
    ("integer", "int"),
    ("double", "float"),
    ("number", "decimal"),
    ("text", "string"),
    ("str", "string"),
    ("tab", "tsv"),
    ("yes", "on"),
    ("true", "on"),
    ("no", "off"),
    ("false", "off"),
    // Jobs and commands
    ("wc", "wordcount"),
    ("list", "jobs"),
    ("ls", "jobs"),
];

/// Returns the candidate that `word` means: the one that other tools call `word`, otherwise the [`nearest`]. The
/// candidates must be names that mapfold gave.
pub fn meant<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let is_called = |candidate: &&str| ELSEWHERE.contains(&(lower.as_str(), *candidate));
    candidates.clone().into_iter().find(is_called).or_else(|| nearest(word, candidates))
}

/// Returns the hint for a misspelt name: the nearest candidate, or all of them as `label: a, b, c`. If there are more
/// than 50, only the first are listed.
pub fn suggestion(word: &str, label: &str, candidates: &[&str]) -> String {
    const MOST: usize = 50;
    let more = candidates.len().saturating_sub(MOST);
    match nearest(word, candidates.iter().copied()) {
        Some(right) => format!("did you mean {right:?}?"),
        None if more > 0 => format!("{label}: {} and {more} more", candidates[..MOST].join(", ")),
        None => format!("{label}: {}", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_shown_path_is_one_line() {
        assert_eq!(shown("a b/ü.txt"), "a b/ü.txt");
        assert_eq!(shown("a\nb\x1b[2J"), "a\\nb\\u{1b}[2J");
        // Marks that change the direction of text hide what a name ends with.
        assert_eq!(shown("a\u{202e}txt.exe"), "a\\u{202e}txt.exe");
        for mark in
            ["\u{61c}", "\u{200f}", "\u{2028}", "\u{202a}", "\u{2066}", "\u{2069}", "\u{feff}", "\u{85}", "\x7f"]
        {
            assert!(shown(mark).is_ascii() && !shown(mark).contains('\x7f'), "{mark:?}");
        }
        // Characters that join letters or stand above them are shown.
        assert_eq!(shown("u\u{308}\u{200d}न"), "u\u{308}\u{200d}न");
        assert_eq!(shown(std::ffi::OsStr::from_bytes(b"a\xff\xc3")), "a\\xff\\xc3");
        assert_eq!((one_line("ü b"), one_line("a\nb")), ("ü b".into(), "a\\nb".into()));
    }

    #[test]
    fn nearest_is_near() {
        let keys = ["split", "on", "as", "group_by"];
        assert_eq!(nearest("splitt", keys), Some("split"));
        assert_eq!(nearest("slpit", keys), Some("split"));
        assert_eq!(nearest("Group_By", keys), Some("group_by"));
        assert_eq!(nearest("no", keys), Some("on"));
        assert_eq!(nearest("frobnicate", keys), None);
        assert_eq!(nearest("split", ["split"]), None);
        assert_eq!(nearest("a", ["g", "x"]), None);
        assert_eq!(nearest("a", ["g", "A"]), Some("A"));
        assert_eq!(nearest("k", ["g", "k2"]), Some("k2"));
        assert_eq!(nearest("of", ["auto", "on", "off"]), Some("off"));
    }

    #[test]
    fn what_others_call_it() {
        assert_eq!(meant("CNT", ["sum", "count"]), Some("count"));
        assert_eq!(meant("eq", ["in", "equal"]), Some("equal"));
        assert_eq!(meant("no", ["split", "on"]), Some("on"));
        assert_eq!(meant("no", ["auto", "on", "off"]), Some("off"));
        assert_eq!(meant("frobnicate", ["count"]), None);
    }
}
