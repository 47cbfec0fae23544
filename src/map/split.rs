//! `split`: the ways to cut a field into pieces.

use crate::column::{BATCH, Span};

use super::tokens::{Letters, Whitespace, Words};

/// How `split` cuts a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Splitter {
    /// Runs of Unicode letters, marks and numbers, lower-cased.
    Words,
    /// What lies between ASCII white space.
    Whitespace,
    /// Runs of ASCII letters, lower-cased.
    Letters,
    /// What lies between occurrences of these bytes. Never empty. Keeps empty pieces.
    Literal(Vec<u8>),
}

impl Splitter {
    /// Whether the end of a line always ends a piece, and leaves none of its own: then lines may be cut joined.
    pub fn may_see_lines_joined(&self) -> bool {
        match self {
            Splitter::Words | Splitter::Whitespace | Splitter::Letters => true,
            Splitter::Literal(_) => false,
        }
    }
}

/// A splitter with its scratch memory.
#[derive(Debug)]
pub enum Cutter {
    Words(Words),
    Whitespace(Whitespace),
    Letters(Letters),
    Literal(Box<memchr::memmem::Finder<'static>>),
}

impl Cutter {
    pub fn new(on: &Splitter) -> Self {
        match on {
            Splitter::Words => Cutter::Words(Words::new()),
            Splitter::Whitespace => Cutter::Whitespace(Whitespace::new()),
            Splitter::Letters => Cutter::Letters(Letters::new()),
            Splitter::Literal(literal) => Cutter::Literal(Box::new(memchr::memmem::Finder::new(literal).into_owned())),
        }
    }

    /// Calls `emit` with batches of the pieces of `text`: `data[span]` for each span.
    pub fn cut(&mut self, text: &[u8], mut emit: impl FnMut(&[u8], &[Span])) {
        match self {
            Cutter::Words(words) => words.split(text, emit),
            Cutter::Whitespace(whitespace) => whitespace.split(text, emit),
            Cutter::Letters(letters) => letters.split(text, emit),
            Cutter::Literal(finder) => {
                let mut spans = [Span::default(); BATCH];
                let (mut filled, mut start) = (0, 0);
                let len = finder.needle().len();
                for end in finder.find_iter(text).chain([text.len()]) {
                    spans[filled] = Span { start: start as u32, end: end as u32 };
                    start = end + len;
                    filled += 1;
                    if filled == BATCH {
                        emit(text, &spans);
                        filled = 0;
                    }
                }
                emit(text, &spans[..filled]);
            }
        }
    }
}
