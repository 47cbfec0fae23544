//! Tokenising: cuts a text into pieces. A [`Splitter`] says how to cut; a [`Cutter`] is a splitter with scratch memory.
//! A cutter takes a text and emits batches of spans, which point into the text or into a lower-cased copy of it.

mod scan;
pub mod tokens;
mod unicode;

use crate::data::{BATCH, Span};
use tokens::{Letters, Whitespace, Words};

/// A batch of pieces of a text.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// The bytes that the spans point into.
    pub data: &'a [u8],
    /// Where in the text `data` begins, if the pieces are bytes of the text. 0 if they are copies.
    pub begins: usize,
    pub spans: &'a [Span],
}

/// How `split` cuts a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Splitter {
    /// Runs of Unicode letters, marks and numbers, lower-cased.
    Words,
    /// Runs of bytes between ASCII white space.
    Whitespace,
    /// Runs of ASCII letters, lower-cased.
    Letters,
    /// Single code points. A byte that is not UTF-8 is a piece too.
    Chars,
    /// Pieces between occurrences of these bytes, of which there is at least one. Empty pieces are kept.
    Literal(Vec<u8>),
}

impl Splitter {
    /// Returns the splitter that a spec means by `on`: the tokeniser of that name, or else a literal.
    pub fn named(on: &str) -> Splitter {
        match on {
            "words" => Splitter::Words,
            "whitespace" => Splitter::Whitespace,
            "letters" => Splitter::Letters,
            "chars" => Splitter::Chars,
            literal => Splitter::Literal(literal.as_bytes().to_vec()),
        }
    }

    /// Returns how many bytes of a text each occurrence of `piece` takes at least, none of them shared with another
    /// piece. The end of the text counts as a byte.
    pub fn takes(&self, piece: &[u8]) -> u64 {
        let bytes = piece.len() as u64;
        match self {
            // Lower-casing makes no code point longer by more than half, and no code point of one byte longer.
            Splitter::Words if !piece.is_ascii() => (2 * bytes).div_ceil(3) + 1,
            Splitter::Words | Splitter::Letters | Splitter::Whitespace | Splitter::Literal(_) => bytes + 1,
            Splitter::Chars => bytes,
        }
    }

    /// Returns the least that [`takes`](Self::takes) returns for any piece.
    pub fn takes_least(&self) -> u64 {
        match self {
            Splitter::Words | Splitter::Letters | Splitter::Whitespace => 2,
            Splitter::Literal(_) | Splitter::Chars => 1,
        }
    }

    /// Whether every line end ends a piece and is in no piece itself. Then several lines may be cut as one text.
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

    /// Whether the pieces are lower-cased copies, rather than the text's own bytes.
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

/// Emits the pieces of `text`, which are spans of it, in batches.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(on: &Splitter, text: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        Cutter::new(on).cut(text.as_bytes(), |Tokens { data, spans, .. }| {
            let piece = |span: &Span| String::from_utf8_lossy(&data[span.start as usize..span.end as usize]).into();
            pieces.extend(spans.iter().map(piece));
        });
        pieces
    }

    /// A text has a piece at most as often as its length divided by `takes`, and some text has the piece that often.
    #[test]
    fn what_a_piece_takes() {
        for (on, between, words) in [
            (Splitter::Words, " ", &["a", "it's"][..]),
            (Splitter::Whitespace, " ", &["a", "b-c", "ö"]),
            (Splitter::Letters, "-", &["a", "bcd"]),
            (Splitter::Chars, "", &["a", "ö", "\u{2003}"]),
            (Splitter::Literal(b",".into()), ",", &["", "a", "b c"]),
        ] {
            for (word, times) in words.iter().flat_map(|word| (1..5).map(move |times| (*word, times))) {
                let text = vec![word; times].join(between);
                assert_eq!(pieces(&on, &text), vec![word; times]);
                let takes = on.takes(word.as_bytes());
                let end = if between.is_empty() { 0 } else { 1 };
                assert_eq!((text.len() as u64 + end) / takes, times as u64, "{on:?} {word:?}");
                assert!(takes >= on.takes_least());
            }
        }
    }

    #[test]
    fn lower_case_may_be_longer() {
        for c in ('\0'..=char::MAX).filter(|c| !c.to_lowercase().eq([*c])) {
            for text in [c.to_string(), format!("{c}{c}a")] {
                for word in pieces(&Splitter::Words, &text) {
                    assert!(Splitter::Words.takes(word.as_bytes()) <= text.len() as u64 + 1, "{text:?}");
                }
            }
        }
    }
}
