//! Tokenising: the ways to cut a text into pieces.

mod scan;
pub mod tokens;
mod unicode;

use crate::data::{BATCH, Span};
use tokens::{Letters, Whitespace, Words};

/// A batch of pieces of a text.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// What the spans refer to.
    pub data: &'a [u8],
    /// Where in the text the data begins, for pieces that are bytes of the text. 0 for those that are copies.
    pub begins: usize,
    pub spans: &'a [Span],
}

/// How `split` cuts a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Splitter {
    /// Runs of Unicode letters, marks and numbers, lower-cased.
    Words,
    /// What lies between ASCII white space.
    Whitespace,
    /// Runs of ASCII letters, lower-cased.
    Letters,
    /// Code points. A byte that is not UTF-8 is a piece too.
    Chars,
    /// What lies between occurrences of these bytes. Never empty. Keeps empty pieces.
    Literal(Vec<u8>),
}

impl Splitter {
    /// What a spec calls so: the name of a tokeniser, else a literal.
    pub fn named(on: &str) -> Splitter {
        match on {
            "words" => Splitter::Words,
            "whitespace" => Splitter::Whitespace,
            "letters" => Splitter::Letters,
            "chars" => Splitter::Chars,
            literal => Splitter::Literal(literal.as_bytes().to_vec()),
        }
    }

    /// Whether the end of a line always ends a piece, and leaves none of its own: then lines may be cut joined.
    pub fn may_see_lines_joined(&self) -> bool {
        match self {
            Splitter::Words | Splitter::Whitespace | Splitter::Letters => true,
            Splitter::Chars | Splitter::Literal(_) => false,
        }
    }
}

/// A splitter with its scratch memory.
#[derive(Debug)]
pub enum Cutter {
    Words(Words),
    Whitespace(Whitespace),
    Letters(Letters),
    Chars,
    Literal(Box<memchr::memmem::Finder<'static>>),
}

impl Cutter {
    pub fn new(on: &Splitter) -> Self {
        match on {
            Splitter::Words => Cutter::Words(Words::new()),
            Splitter::Whitespace => Cutter::Whitespace(Whitespace::new()),
            Splitter::Letters => Cutter::Letters(Letters::new()),
            Splitter::Chars => Cutter::Chars,
            Splitter::Literal(literal) => Cutter::Literal(Box::new(memchr::memmem::Finder::new(literal).into_owned())),
        }
    }

    /// Calls `emit` with batches of the pieces of `text`.
    pub fn cut(&mut self, text: &[u8], mut emit: impl FnMut(Tokens<'_>)) {
        match self {
            Cutter::Words(words) => words.split(text, emit),
            Cutter::Whitespace(whitespace) => whitespace.split(text, emit),
            Cutter::Letters(letters) => letters.split(text, emit),
            Cutter::Chars => chars(text, emit),
            Cutter::Literal(finder) => {
                let len = finder.needle().len();
                let mut start = 0;
                let pieces = finder.find_iter(text).chain([text.len()]).map(|end| {
                    let piece = Span::of(start..end);
                    start = end + len;
                    piece
                });
                batches(text, pieces, &mut emit);
            }
        }
    }

    /// Whether pieces are other bytes than the text's: lower-cased.
    pub fn folds(&self) -> bool {
        match self {
            Cutter::Words(_) | Cutter::Letters(_) => true,
            Cutter::Whitespace(_) | Cutter::Chars | Cutter::Literal(_) => false,
        }
    }
}

fn chars(text: &[u8], mut emit: impl FnMut(Tokens<'_>)) {
    let mut at = 0;
    let lens = text.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(char::len_utf8);
        valid.chain(std::iter::repeat_n(1, chunk.invalid().len()))
    });
    let pieces = lens.map(|len| {
        at += len;
        Span::of(at - len..at)
    });
    batches(text, pieces, &mut emit);
}

/// Emits the pieces of `text` in batches.
fn batches(text: &[u8], pieces: impl Iterator<Item = Span>, emit: &mut impl FnMut(Tokens<'_>)) {
    let mut spans = [Span::default(); BATCH];
    let mut filled = 0;
    pieces.for_each(|piece| {
        spans[filled] = piece;
        filled += 1;
        if filled == BATCH {
            emit(Tokens { data: text, begins: 0, spans: &spans });
            filled = 0;
        }
    });
    emit(Tokens { data: text, begins: 0, spans: &spans[..filled] });
}
