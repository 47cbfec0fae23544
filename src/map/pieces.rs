//! Steps that make several records of one: the pieces of a field, each a record with the fields of the one it is of.
//!
//! ```text
//! record   fields            pieces of c       records made
//! 0        a0 b0 c0          x y               a0 b0 c0 x · a0 b0 c0 y
//! 1        a1 b1 c1          z                 a1 b1 c1 z
//! ```
//!
//! Pieces of many records share a batch, so what comes behind works on full batches however short the lines are.

use regex::bytes::Regex;

use super::gather;
use super::split::Cutter;
use crate::data::buffer::Buffer;
use crate::data::{BATCH, Bytes, Span};
use crate::error::Result;

/// What finds the pieces of a field.
#[derive(Debug)]
pub enum Finder {
    Split(Cutter),
    Ngrams(Ngrams),
    Matches(Matches),
}

/// Records being made.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Which record each piece is of.
    of: Vec<u32>,
    spans: Vec<Span>,
    /// The bytes of pieces that are not in the field as it stands.
    copied: Buffer,
    /// The spans of one of the record's fields, for each piece.
    repeated: Vec<Vec<Span>>,
}

/// Copied bytes that a batch of pieces may have.
const COPIED: usize = 1 << 20;

impl Pieces {
    /// Finds the pieces of field `input` of each record and hands batches of the records made to `next`.
    pub fn find(
        &mut self,
        finder: &mut Finder,
        input: usize,
        records: &[Bytes<'_>],
        mut next: impl FnMut(&[Bytes<'_>]) -> Result<()>,
    ) -> Result<()> {
        let column = records[input];
        let copies = finder.copies();
        let mut result = Ok(());
        for of in 0..column.spans.len() {
            let Some(field) = column.value(of) else { continue };
            finder.find(field, |data, mut spans| {
                // Where a borrowed piece lies in the column's data.
                let lies_at = (data.as_ptr() as usize).wrapping_sub(column.data.as_ptr() as usize) as u32;
                while let (Some(first), true) = (spans.first(), result.is_ok()) {
                    let (now, later) = spans.split_at(spans.len().min(BATCH - self.of.len()));
                    let shift = if copies {
                        let at = self.copied.len() as u32;
                        let last = now.last().map_or(first.end, |last| last.end);
                        self.copied.extend(&data[first.start as usize..last as usize]);
                        at.wrapping_sub(first.start)
                    } else {
                        lies_at
                    };
                    self.of.extend(std::iter::repeat_n(of as u32, now.len()));
                    self.spans.extend(now.iter().map(|span| span.shifted(shift)));
                    if self.of.len() == BATCH || self.copied.len() > COPIED {
                        result = self.hand_on(records, column, copies, &mut next);
                    }
                    spans = later;
                }
            });
            if result.is_err() {
                break;
            }
        }
        // What is left points into bytes that go away.
        if result.is_ok() && !self.of.is_empty() {
            result = self.hand_on(records, column, copies, &mut next);
        }
        result
    }

    fn hand_on(
        &mut self,
        records: &[Bytes<'_>],
        column: Bytes<'_>,
        copies: bool,
        next: &mut impl FnMut(&[Bytes<'_>]) -> Result<()>,
    ) -> Result<()> {
        let mut made = gather(records, &self.of, &mut self.repeated);
        made.push(Bytes { data: if copies { self.copied.as_slice() } else { column.data }, spans: &self.spans });
        let result = next(&made);
        self.of.clear();
        self.spans.clear();
        self.copied.clear();
        result
    }
}

impl Finder {
    /// Whether the pieces are other bytes than the field's.
    fn copies(&self) -> bool {
        match self {
            Finder::Split(cutter) => cutter.folds(),
            Finder::Ngrams(_) => true,
            Finder::Matches(_) => false,
        }
    }

    /// Calls `each` with batches of the pieces of `field`, in order and, where they don't copy, as slices of it.
    fn find(&mut self, field: &[u8], each: impl FnMut(&[u8], &[Span])) {
        match self {
            Finder::Split(cutter) => cutter.cut(field, each),
            Finder::Ngrams(ngrams) => ngrams.find(field, each),
            Finder::Matches(matches) => matches.find(field, each),
        }
    }
}

/// Runs of `n` neighbouring tokens of a field, joined by a space. A field with fewer has none.
#[derive(Debug)]
pub struct Ngrams {
    cutter: Cutter,
    n: usize,
    /// Tokens of the field, a space behind each.
    joined: Buffer,
    tokens: Vec<Span>,
    found: Vec<Span>,
}

impl Ngrams {
    pub fn new(cutter: Cutter, n: usize) -> Self {
        Ngrams { cutter, n, joined: Buffer::default(), tokens: Vec::new(), found: Vec::new() }
    }

    fn find(&mut self, field: &[u8], mut each: impl FnMut(&[u8], &[Span])) {
        let Ngrams { cutter, n, joined, tokens, found } = self;
        joined.clear();
        tokens.clear();
        cutter.cut(field, |data, spans| {
            for span in spans {
                let start = joined.len() as u32;
                joined.extend(&data[span.start as usize..span.end as usize]);
                tokens.push(Span { start, end: joined.len() as u32 });
                joined.push(b' ');
            }
            found.clear();
            found.extend(tokens.windows(*n).map(|run| Span { start: run[0].start, end: run[*n - 1].end }));
            each(joined.as_slice(), found);
            // The last tokens begin n-grams that end in the next batch.
            let done = tokens.len().saturating_sub(*n - 1);
            if let Some(kept) = tokens.get(done..) {
                let from = kept.first().map_or(joined.len() as u32, |token| token.start);
                joined.drop_front(from as usize);
                tokens.drain(..done);
                tokens.iter_mut().for_each(|token| *token = token.shifted(from.wrapping_neg()));
            }
        });
    }
}

/// The matches of a pattern that are not empty, or one group of each.
#[derive(Debug)]
pub struct Matches {
    pattern: Regex,
    /// 0: the whole match.
    group: usize,
    found: Vec<Span>,
}

impl Matches {
    pub fn new(pattern: &Regex, group: usize) -> Self {
        Matches { pattern: pattern.clone(), group, found: Vec::new() }
    }

    fn find(&mut self, field: &[u8], mut each: impl FnMut(&[u8], &[Span])) {
        let Matches { pattern, group, found } = self;
        found.clear();
        let mut put = |span| {
            found.push(span);
            if found.len() == BATCH {
                each(field, found);
                found.clear();
            }
        };
        if *group == 0 {
            pattern.find_iter(field).filter(|found| !found.is_empty()).for_each(|found| put(Span::of(found.range())));
        } else {
            for captures in pattern.captures_iter(field).filter(|captures| !captures[0].is_empty()) {
                put(captures.get(*group).map_or(Span::NULL, |group| Span::of(group.range())));
            }
        }
        each(field, found);
    }
}
