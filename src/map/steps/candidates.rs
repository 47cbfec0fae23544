//! Lines that may match a pattern, found by searching a whole window at once.
//!
//! ```text
//! window      …\nno\nno\nyes\nno…
//! search             ┊   └─┴─ found: the line around it is a candidate; on from the next line
//! ```
//!
//! If few lines match a filter's pattern, the filter needn't look at each line. The window is searched for a laxer
//! pattern. In that pattern, anchors match at line ends of either kind, `\n` or `\r\n`. Unicode word boundaries, which
//! are slow in text that is not ASCII, match anywhere. So a line that matches alone also matches where it stands in the
//! window, and no line that matches is missed. The filter itself decides about the lines that are found.

use regex::bytes::Regex;
use regex_automata::util::syntax;
use regex_automata::{Input, meta};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look};

use crate::data::{BATCH, Batch, Bytes, Column, Sink, Span};
use crate::error::Result;
use crate::map::{Next, Reader, Window};
use crate::record::{self, TERMINATOR, Taken};

/// Finds the lines that may match one pattern.
#[derive(Debug)]
pub struct Candidates(meta::Regex);

impl Candidates {
    /// Returns `None` if searching is no use: the pattern may match the empty string, which is in every line, or is too
    /// large to be compiled twice.
    pub fn new(pattern: &Regex) -> Option<Self> {
        let hir = syntax::parse_with(pattern.as_str(), &syntax::Config::new().utf8(false)).ok()?;
        if hir.properties().minimum_len() == Some(0) {
            return None;
        }
        let config = meta::Config::new().utf8_empty(false).nfa_size_limit(Some(1 << 20));
        meta::Builder::new().configure(config).build_from_hir(&laxer(hir)).ok().map(Candidates)
    }

    /// Calls `each` with batches of the lines of `window` that may match, without their terminators.
    pub fn lines(&self, window: &[u8], mut each: impl FnMut(Bytes<'_>)) {
        let mut spans = [Span::default(); BATCH];
        let mut filled = 0;
        let mut from = 0;
        while from < window.len() {
            // It is enough to know where some match ends. The start of a match would take another search.
            let input = Input::new(window).range(from..).earliest(true);
            let Some(found) = self.0.search_half(&input).map(|found| found.offset()) else { break };
            let start = memchr::memrchr(TERMINATOR, &window[from..found]).map_or(from, |at| from + at + 1);
            let end = memchr::memchr(TERMINATOR, &window[found..]).map_or(window.len(), |at| found + at);
            spans[filled] = record::line(window, start, end);
            from = end + 1;
            filled += 1;
            if filled == BATCH {
                each(Bytes { data: window, spans: &spans });
                filled = 0;
            }
        }
        if filled > 0 {
            each(Bytes { data: window, spans: &spans[..filled] });
        }
    }
}

impl Reader for Candidates {
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<Taken> {
        let records = record::count(window.bytes);
        let mut result = Ok(());
        self.lines(window.bytes, |lines| {
            if result.is_ok() {
                result = next.take(&Batch { rows: lines.spans.len(), columns: &[Column::Bytes(lines)] });
            }
        });
        result.map(|()| window.taken(records))
    }
}

/// Makes the laxer pattern that the module's comment describes. No match of it goes on to another line, which bounds
/// the search.
fn laxer(hir: Hir) -> Hir {
    let all = |subs: Vec<Hir>| subs.into_iter().map(laxer).collect();
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&TERMINATOR) => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(Class::Unicode(mut class)) => {
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(mut class)) => {
            class.difference(&ClassBytes::new([ClassBytesRange::new(TERMINATOR, TERMINATOR)]));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Look(Look::Start | Look::StartLF | Look::StartCRLF) => Hir::look(Look::StartCRLF),
        HirKind::Look(Look::End | Look::EndLF | Look::EndCRLF) => Hir::look(Look::EndCRLF),
        HirKind::Look(look @ (Look::WordAscii | Look::WordStartAscii | Look::WordEndAscii)) => Hir::look(look),
        HirKind::Look(_) => Hir::empty(),
        HirKind::Repetition(mut repetition) => {
            repetition.sub = Box::new(laxer(*repetition.sub));
            Hir::repetition(repetition)
        }
        HirKind::Capture(capture) => laxer(*capture.sub),
        HirKind::Concat(subs) => Hir::concat(all(subs)),
        HirKind::Alternation(subs) => Hir::alternation(all(subs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the lines of `window` that match, found line by line and by candidates.
    fn matching(pattern: &str, window: &[u8]) -> Option<[Vec<Vec<u8>>; 2]> {
        let pattern = Regex::new(pattern).unwrap();
        let keep = |lines: Bytes<'_>, kept: &mut Vec<Vec<u8>>| {
            let lines = (0..lines.spans.len()).map(|i| lines.get(i));
            kept.extend(lines.filter(|line| pattern.is_match(line)).map(<[u8]>::to_vec));
        };
        let (mut all, mut candidates) = (vec![], vec![]);
        record::lines(window, |lines| keep(lines, &mut all));
        Candidates::new(&pattern)?.lines(window, |lines| keep(lines, &mut candidates));
        Some([all, candidates])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn no_line_that_matches_is_passed_over(
            pattern in prop::collection::vec(prop::sample::select(vec![
                "a", "b", "ab", "é", "[^a]", "[^a]+", ".", "(?s).", "(?s:.*)b", "^", "$", r"\A", r"\z", "(?m)^", "(?m)$", "(?R)$",
                r"\b", r"\B", r"(?-u)\b", r"\s", r"\S+", "(a|b)", "|", r"\n", r"\r", r"(?-u:\xff)", "a{2,3}", "x*", r"\b{end}",
            ]), 1..5),
            window in prop::collection::vec(prop::sample::select(vec![
                &b"a"[..], b"b", b"ab", b" ", b"\n", b"\n", b"\r\n", b"\r", "é".as_bytes(), b"\xff", b"x", b"\0",
            ]), 0..40),
        ) {
            if let Some([all, candidates]) = matching(&pattern.concat(), &window.concat()) {
                prop_assert_eq!(all, candidates);
            }
        }
    }

    #[test]
    fn patterns_that_every_line_may_match_have_none() {
        assert!(matching("a*", b"a\nb\n").is_none());
        assert!(matching("^$", b"a\nb\n").is_none());
        let [all, candidates] = matching("^a+$", b"ba\naa\r\nab\na").unwrap();
        assert_eq!(all, [b"aa".to_vec(), b"a".to_vec()]);
        assert_eq!(all, candidates);
    }

    /// An endless match mustn't make the search look at all the following lines again for each line.
    #[test]
    fn a_match_ends_with_its_line() {
        let window = b"a\n".repeat(1 << 19);
        let pattern = Regex::new("a[^b]*c").unwrap();
        let mut candidates = 0;
        Candidates::new(&pattern).unwrap().lines(&window, |lines| candidates += lines.spans.len());
        assert_eq!(candidates, 0);
    }
}
