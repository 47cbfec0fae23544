//! The steps of `map`, and how a batch of records goes through them.

use regex::bytes::Regex;

use super::pieces::{Finder, Matches, Ngrams, Pieces};
use super::{Cutter, Field, Records, Splitter, cell, gather};
use crate::data::{Bytes, Span};
use crate::error::Result;
use crate::predicate::Predicate;

/// A step, its fields resolved. All but filters add a field.
#[derive(Clone, Debug)]
pub enum Step {
    /// One record a piece of field `input`.
    Split { input: Field, on: Splitter },
    /// One record a run of `n` neighbouring pieces, joined by a space.
    Ngrams { input: Field, of: Splitter, n: usize },
    /// The first match of a pattern, or a group of it; null where there is none.
    Extract { input: Field, pattern: Regex, group: usize },
    /// One record a match that isn't empty.
    ExtractAll { input: Field, pattern: Regex, group: usize },
    /// Drops the records of which the predicate doesn't hold.
    Filter(Predicate),
}

impl Step {
    pub fn reads(&self, field: Field) -> bool {
        match self {
            Step::Split { input, .. }
            | Step::Ngrams { input, .. }
            | Step::Extract { input, .. }
            | Step::ExtractAll { input, .. } => *input == field,
            Step::Filter(predicate) => {
                let mut reads = false;
                predicate.cells(&mut |cell| reads |= cell == field);
                reads
            }
        }
    }
}

/// A step with its scratch memory.
#[derive(Debug)]
pub enum Stage {
    Pieces { input: Field, finder: Finder, pieces: Pieces },
    Extract { input: Field, pattern: Regex, group: usize, found: Vec<Span> },
    Filter { predicate: Predicate, kept: Vec<u32>, spans: Vec<Vec<Span>> },
}

impl Stage {
    /// Patterns are cloned: each worker's have a cache of their own.
    pub fn new(step: &Step) -> Self {
        let pieces = |input: Field, finder| Stage::Pieces { input, finder, pieces: Pieces::default() };
        match step {
            Step::Split { input, on } => pieces(*input, Finder::Split(Cutter::new(on))),
            Step::Ngrams { input, of, n } => pieces(*input, Finder::Ngrams(Ngrams::new(Cutter::new(of), *n))),
            Step::ExtractAll { input, pattern, group } => {
                pieces(*input, Finder::Matches(Matches::new(pattern, *group)))
            }
            Step::Extract { input, pattern, group } => {
                Stage::Extract { input: *input, pattern: pattern.clone(), group: *group, found: Vec::new() }
            }
            Step::Filter(predicate) => {
                Stage::Filter { predicate: predicate.clone(), kept: Vec::new(), spans: Vec::new() }
            }
        }
    }
}

/// Runs the stages that are left over a batch of records, one column a field.
pub fn run(stages: &mut [Stage], records: &[Bytes<'_>], out: &mut impl Records) -> Result<()> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        return out.take(records);
    };
    match stage {
        Stage::Pieces { input, finder, pieces } => pieces.find(finder, *input, records, |made| run(rest, made, out)),
        Stage::Extract { input, pattern, group, found } => {
            let column = records[*input];
            found.clear();
            found.extend((0..column.spans.len()).map(|i| extract(pattern, *group, &column, i)));
            let added = Bytes { data: column.data, spans: found };
            run(rest, &[records, &[added]].concat(), out)
        }
        Stage::Filter { predicate, kept, spans } => {
            let n = records[0].spans.len();
            kept.clear();
            kept.extend((0..n as u32).filter(|&i| predicate.holds(&|field| cell(records, field, i as usize))));
            match kept.len() {
                0 => Ok(()),
                all if all == n => run(rest, records, out),
                _ => run(rest, &gather(records, kept, spans), out),
            }
        }
    }
}

/// Where in the column's data record `i` has its first match.
fn extract(pattern: &Regex, group: usize, column: &Bytes<'_>, i: usize) -> Span {
    let found = column.value(i).and_then(|field| match group {
        0 => pattern.find(field),
        group => pattern.captures(field).and_then(|captures| captures.get(group)),
    });
    found.map_or(Span::NULL, |found| Span::of(found.range()).shifted(column.spans[i].start))
}
