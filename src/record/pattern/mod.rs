//! Lines that match a pattern: the reader turns windows of records into batches of what the pattern's named groups
//! match.
//!
//! A record is a line, and its fields are the named groups. A group that took no part in the match is null. A line that
//! doesn't match, which an empty line may be too, is handed to the caller as a bad record. Groups that aren't wanted
//! cost nothing, because they are taken out of the pattern before it is compiled.

mod predictive;

use regex_automata::meta::{self, Regex};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Input, PatternID};
use regex_syntax::hir::{Capture, Hir, HirKind, Repetition};

use super::{Taken, lines};
use crate::data::{Batch, Bytes, Column, Columns, Sink, Span};
use crate::error::Result;
use predictive::Predictive;

/// A pattern, compiled for the groups that are wanted.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    wanted: Vec<String>,
    /// Matches most patterns of logs, and is faster than the regex.
    predictive: Option<Predictive>,
    regex: Regex,
    /// The number of each wanted group, in both.
    groups: Vec<usize>,
}

/// Bytes of the longest pattern that [`Predictive`] is tried for. Compiling looks at each part once for each level that it is
/// nested in.
const LONGEST: usize = 4096;

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.wanted) == (&other.text, &other.wanted)
    }
}

impl Pattern {
    /// Compiles a text that is known to be a valid pattern, for groups that it has. Returns `None` if the pattern is
    /// too large.
    pub fn new(text: &str, groups: &[&str]) -> Option<Pattern> {
        let hir = syntax::parse_with(text, &syntax::Config::new().utf8(false)).ok()?;
        let hir = with_groups(hir, groups, &mut 0);
        let config = meta::Config::new().utf8_empty(false);
        let regex = meta::Builder::new().configure(config).build_from_hir(&hir).ok()?;
        let predictive = if text.len() <= LONGEST { Predictive::new(&hir) } else { None };
        let info = regex.group_info();
        let number = |name: &&str| info.to_index(PatternID::ZERO, name);
        let wanted = groups.iter().map(|&name| name.to_owned()).collect();
        let groups = groups.iter().map(number).collect::<Option<_>>()?;
        Some(Pattern { text: text.to_owned(), wanted, predictive, regex, groups })
    }

    /// Whether lines are matched without the regex engine.
    pub fn is_predictive(&self) -> bool {
        self.predictive.is_some()
    }
}

/// Returns the pattern with no other groups than `groups`. `before` counts the groups that were kept so far, and
/// numbers the next one.
fn with_groups(hir: Hir, groups: &[&str], before: &mut u32) -> Hir {
    let all = |subs: Vec<Hir>, before: &mut u32| subs.into_iter().map(|sub| with_groups(sub, groups, before)).collect();
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Repetition(Repetition { min, max, greedy, sub }) => {
            Hir::repetition(Repetition { min, max, greedy, sub: Box::new(with_groups(*sub, groups, before)) })
        }
        HirKind::Capture(Capture { name, sub, .. }) if name.as_deref().is_some_and(|name| groups.contains(&name)) => {
            *before += 1;
            let index = *before;
            Hir::capture(Capture { index, name, sub: Box::new(with_groups(*sub, groups, before)) })
        }
        HirKind::Capture(Capture { sub, .. }) => with_groups(*sub, groups, before),
        HirKind::Concat(subs) => Hir::concat(all(subs, before)),
        HirKind::Alternation(subs) => Hir::alternation(all(subs, before)),
    }
}

/// Reads windows of lines. A reader holds scratch memory, so each worker has its own.
#[derive(Debug)]
pub struct Reader {
    pattern: Pattern,
    /// Where groups begin and end in a line: two slots for each group of the pattern, group 0 included. Empty if no group
    /// is wanted.
    slots: Vec<Option<NonMaxUsize>>,
    /// The spans that the groups match, one list per column.
    found: Vec<Vec<Span>>,
    records: Vec<Span>,
    verbatim: bool,
}

impl Reader {
    /// Makes a reader. If records are wanted `verbatim`, the batches have a last column with the whole lines.
    pub fn new(pattern: &Pattern, verbatim: bool) -> Self {
        // Each worker's clone of the regex has its own cache.
        let pattern = pattern.clone();
        let slots = if pattern.groups.is_empty() { 0 } else { pattern.regex.group_info().slot_len() };
        let slots = vec![None; slots];
        let found = pattern.groups.iter().map(|_| Vec::new()).collect();
        Reader { pattern, slots, found, records: Vec::new(), verbatim }
    }

    /// Hands the matching lines of `window` to `out` and the spans of the others to `bad`, in order. `window` must hold
    /// whole records. Returns the records and bytes that it took, bad records included. The columns of the batches are
    /// `Column::Bytes`.
    pub fn read(&mut self, window: &[u8], bad: &mut dyn FnMut(Span), out: &mut dyn Sink) -> Result<Taken> {
        let (mut records, mut result) = (0, Ok(()));
        lines(window, |lines| {
            records += lines.spans.len() as u64;
            for &line in lines.spans {
                if result.is_err() {
                    return;
                }
                if self.line(window, line) {
                    self.records.push(line);
                } else {
                    // The records before the bad one are handed on first.
                    result = self.hand_on(window, out);
                    bad(line);
                }
            }
            if result.is_ok() {
                result = self.hand_on(window, out);
            }
        });
        result.map(|()| Taken { records, bytes: window.len() })
    }

    fn line(&mut self, window: &[u8], line: Span) -> bool {
        let Reader { pattern: Pattern { predictive, regex, groups, .. }, slots, found, .. } = self;
        let text = &window[line.start as usize..line.end as usize];
        let matches = match predictive {
            Some(predictive) if predictive.covers(text) => predictive.find(text, slots),
            _ => regex.search_slots(&Input::new(text), slots).is_some(),
        };
        if matches {
            for (group, found) in groups.iter().zip(found) {
                let range = slots[2 * group].zip(slots[2 * group + 1]);
                let span = range.map(|(start, end)| Span::of(start.get()..end.get()).shifted(line.start));
                found.push(span.unwrap_or(Span::NULL));
            }
        }
        matches
    }

    fn hand_on(&mut self, window: &[u8], out: &mut dyn Sink) -> Result<()> {
        let Reader { found, records, verbatim, .. } = self;
        if !records.is_empty() {
            let column = |spans| Column::Bytes(Bytes { data: window, spans });
            let mut columns: Columns<'_> = found.iter().map(|spans| column(spans)).collect();
            if *verbatim {
                columns.push(column(records));
            }
            out.take(&Batch { rows: records.len(), columns: &columns })?;
        }
        found.iter_mut().for_each(Vec::clear);
        records.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::bytes::Regex as Naive;

    use super::*;

    type Row = Vec<Option<Vec<u8>>>;

    struct Rows(Vec<Row>);

    impl Sink for Rows {
        fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
            for row in 0..batch.rows {
                let cell = |column| batch.bytes(column).value(row).map(<[u8]>::to_vec);
                self.0.push((0..batch.columns.len()).map(cell).collect());
            }
            Ok(())
        }
    }

    /// Returns the rows, and the lines that don't match.
    fn read(pattern: &str, groups: &[&str], text: &[u8]) -> (Vec<Row>, Vec<Vec<u8>>) {
        let (mut rows, mut bad) = (Rows(Vec::new()), Vec::new());
        let mut reader = Reader::new(&Pattern::new(pattern, groups).unwrap(), true);
        let mut reject = |span: Span| bad.push(text[span.start as usize..span.end as usize].to_vec());
        let taken = reader.read(text, &mut reject, &mut rows).unwrap();
        assert_eq!((taken.records, taken.bytes), ((rows.0.len() + bad.len()) as u64, text.len()));
        (rows.0, bad)
    }

    #[test]
    fn groups_are_fields() {
        let (rows, bad) = read("^(?P<k>[a-z]+)(?:=(?P<v>[0-9]*))?$", &["v", "k"], b"a=1\r\nb\n\nc=\n=2\nd=4");
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        let expected = [
            vec![cell("1"), cell("a"), cell("a=1")],
            vec![None, cell("b"), cell("b")],
            vec![cell(""), cell("c"), cell("c=")],
            vec![cell("4"), cell("d"), cell("d=4")],
        ];
        assert_eq!(rows, expected);
        assert_eq!(bad, [b"".to_vec(), b"=2".to_vec()]);
    }

    proptest! {
        #[test]
        fn the_same_as_with_all_groups(
            pattern in prop::sample::select(vec![
                "(?P<a>x*)(?P<b>y|(?P<c>z))+", "^(?:(?P<a>.)(?P<b>.)?)*(?P<c>x)", "(?P<a>(?P<b>x|y){1,2})|(?P<c>z$)",
                "(?P<a>x*?)(?P<b>y*)(?P<c>)", "(?i)(?P<a>[^x]+) (?P<b>\\S*)(?P<c>\\b)?",
            ]),
            groups in prop::sample::subsequence(vec!["a", "b", "c"], 0..=3).prop_shuffle(),
            text in prop::collection::vec(prop::sample::select(b"xyzZ \r\n\xff".to_vec()), 0..60),
        ) {
            let naive = Naive::new(pattern).unwrap();
            let (mut rows, mut bad) = (Vec::new(), Vec::new());
            lines(&text, |lines| for i in 0..lines.spans.len() {
                let line = lines.get(i);
                match naive.captures(line) {
                    None => bad.push(line.to_vec()),
                    Some(found) => {
                        let group = |name: &&str| found.name(name).map(|group| group.as_bytes().to_vec());
                        rows.push(groups.iter().map(group).chain([Some(line.to_vec())]).collect::<Vec<_>>());
                    }
                }
            });
            prop_assert_eq!(read(pattern, &groups, &text), (rows, bad));
        }
    }
}
