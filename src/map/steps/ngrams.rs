//! `ngrams`: makes a record for each sequence of n neighbouring pieces of a field. The pieces are joined by a space.

use serde_json::Value;

use super::AS;
use super::pieces::{PieceFinder, Pieces};
use crate::data::buffer::Buffer;
use crate::data::{Kind, Span};
use crate::error::Result;
use crate::map::scope::Written;
use crate::map::tokenise::{Cutter, Splitter, Tokens};
use crate::map::{Field, Makes, Scope, Stage, Step};
use crate::schema::{Key, Shape};

pub const KEYS: &[Key] = &[
    Key::required("ngrams", Shape::Name)
        .about("Makes one record of each run of n neighbouring pieces of this field, joined by a space"),
    Key::required("of", Shape::Splitter).about("What the pieces are: the same values as on of split"),
    Key::required("n", Shape::Whole { least: 1, most: MOST_WORDS }).about("How many pieces a run has"),
    AS,
];

/// Most words in an n-gram. A longer one hardly ever occurs twice.
const MOST_WORDS: u64 = 1000;

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    let input = scope.text(&written.at("ngrams"), written.text("ngrams"))?;
    let n = written.get("n").and_then(Value::as_u64).expect("the schema asks for it") as usize;
    scope.push(Ngrams { input, of: Splitter::named(written.text("of")), n });
    scope.add(&written.at("as"), written.text("as"), Kind::Bytes, false)?;
    Ok(())
}

/// Makes a record for each sequence of `n` neighbouring pieces. A field with fewer pieces makes none.
#[derive(Debug)]
pub struct Ngrams {
    pub input: Field,
    pub of: Splitter,
    pub n: usize,
}

impl Step for Ngrams {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::Any
    }

    fn stage(&self) -> Box<dyn Stage> {
        let joining = Joining {
            cutter: Cutter::new(&self.of),
            n: self.n,
            joined: Buffer::default(),
            tokens: Vec::new(),
            found: Vec::new(),
        };
        Box::new(Pieces::new(self.input, joining))
    }
}

#[derive(Debug)]
struct Joining {
    cutter: Cutter,
    n: usize,
    /// The field's tokens, each followed by a space.
    joined: Buffer,
    tokens: Vec<Span>,
    found: Vec<Span>,
}

impl PieceFinder for Joining {
    fn copies(&self) -> bool {
        true
    }

    fn find(&mut self, field: &[u8], each: &mut dyn FnMut(Tokens<'_>)) {
        let Joining { cutter, n, joined, tokens, found } = self;
        joined.clear();
        tokens.clear();
        cutter.cut(field, |Tokens { data, spans, .. }| {
            for span in spans {
                let start = joined.len() as u32;
                joined.extend(&data[span.start as usize..span.end as usize]);
                tokens.push(Span { start, end: joined.len() as u32 });
                joined.push(b' ');
            }
            found.clear();
            found.extend(tokens.windows(*n).map(|run| Span { start: run[0].start, end: run[*n - 1].end }));
            each(Tokens { data: joined.as_slice(), begins: 0, spans: found });
            // The last n − 1 tokens are kept: they begin n-grams that end in the next batch of tokens.
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
