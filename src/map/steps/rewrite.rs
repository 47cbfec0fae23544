//! What `lower`, `upper` and `trim` have in common: each makes a new text of a field's text.

use crate::data::{Batch, Bytes, Column, Kind, Sink, Span};
use crate::error::Result;
use crate::map::scope::Written;
use crate::map::{Field, Makes, Next, Scope, Stage, Step};

/// Appends to the buffer what the text becomes.
pub type Write = fn(&[u8], &mut Vec<u8>);

/// Resolves a step whose own key names the field. A field that is null stays null.
pub fn resolve<S: Step + 'static>(
    key: &str,
    step: impl FnOnce(Field) -> S,
    written: Written<'_>,
    scope: &mut Scope<'_>,
) -> Result<()> {
    let input = scope.text(&written.at(key), written.text(key))?;
    let may_be_null = scope.may_be_null(input);
    scope.push(step(input));
    scope.add(&written.at("as"), written.text("as"), Kind::Bytes, may_be_null)?;
    Ok(())
}

/// Appends `text` with each code point changed by `change`. Bytes that are not UTF-8 stay as they are.
pub fn each_char<C: Iterator<Item = char>>(text: &[u8], change: impl Fn(char) -> C, out: &mut Vec<u8>) {
    let mut buffer = [0; 4];
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars().flat_map(&change) {
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        }
        out.extend_from_slice(chunk.invalid());
    }
}

/// Adds a field with the text that `write` makes of the input.
#[derive(Debug)]
pub struct Rewrite {
    pub input: Field,
    pub write: Write,
}

impl Step for Rewrite {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn stage(&self) -> Box<dyn Stage> {
        Box::new(Rewriting { input: self.input, write: self.write, rewritten: Rewritten::default() })
    }
}

#[derive(Debug)]
struct Rewriting {
    input: Field,
    write: Write,
    rewritten: Rewritten,
}

impl Stage for Rewriting {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Rewriting { input, write, rewritten } = self;
        let texts = rewritten.each(batch.bytes(*input), |text, out| {
            write(text, out);
            true
        });
        next.take(&Batch { rows: batch.rows, columns: &[batch.columns, &[Column::Bytes(texts)]].concat() })
    }
}

/// The new cells of a batch's records.
#[derive(Debug, Default)]
pub struct Rewritten {
    data: Vec<u8>,
    spans: Vec<Span>,
}

impl Rewritten {
    /// Rewrites each cell of `column` that isn't null. `write` appends the new cell, or returns false if it is null. Records
    /// that were made of one record follow each other and share its cells: such a cell is rewritten once.
    pub fn each<'a>(&'a mut self, column: Bytes<'_>, mut write: impl FnMut(&[u8], &mut Vec<u8>) -> bool) -> Bytes<'a> {
        let Rewritten { data, spans } = self;
        data.clear();
        spans.clear();
        for (row, &span) in column.spans.iter().enumerate() {
            if row > 0 && span == column.spans[row - 1] {
                spans.push(spans[row - 1]);
                continue;
            }
            let from = data.len();
            let is_there = column.value(row).is_some_and(|cell| write(cell, data));
            assert!(u32::try_from(data.len()).is_ok(), "the cells of a batch have no more than 4 GiB");
            spans.push(if is_there { Span::of(from..data.len()) } else { Span::NULL });
        }
        Bytes { data, spans }
    }
}
