//! `trim`: a field's text without the white space at its ends. White space is that of Unicode, or that of ASCII if the
//! text is not UTF-8.

use super::{AS, rewrite};
use crate::data::{Batch, Bytes, Column, Sink, Span};
use crate::error::Result;
use crate::map::scope::Written;
use crate::map::{Field, Makes, Next, Scope, Stage, Step};
use crate::schema::{Key, Shape};

pub const KEYS: &[Key] = &[
    Key::required("trim", Shape::Name).about("The text of this field without white space at its beginning and end"),
    AS,
];

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    rewrite::resolve("trim", |input| Trim { input }, written, scope)
}

#[derive(Debug)]
struct Trim {
    input: Field,
}

impl Step for Trim {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn stage(&self) -> Box<dyn Stage> {
        Box::new(Trimming { input: self.input, spans: Vec::new() })
    }
}

#[derive(Debug)]
struct Trimming {
    input: Field,
    spans: Vec<Span>,
}

impl Stage for Trimming {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Trimming { input, spans } = self;
        let column = batch.bytes(*input);
        spans.clear();
        spans.extend((0..batch.rows).map(|i| {
            let Some(text) = column.value(i) else { return Span::NULL };
            let (before, len) = trimmed(text);
            let start = column.spans[i].start + before as u32;
            Span { start, end: start + len as u32 }
        }));
        let added = Column::Bytes(Bytes { data: column.data, spans });
        next.take(&Batch { rows: batch.rows, columns: &[batch.columns, &[added]].concat() })
    }
}

/// Returns the bytes of white space at the start of `text`, and the length of the trimmed text.
fn trimmed(text: &[u8]) -> (usize, usize) {
    let (from_start, left) = match std::str::from_utf8(text) {
        Ok(text) => (text.trim_start().len(), text.trim().len()),
        Err(_) => (text.trim_ascii_start().len(), text.trim_ascii().len()),
    };
    (text.len() - from_start, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_at_the_ends() {
        assert_eq!(trimmed(b" \t\r\na b\x0b\x0c "), (4, 3));
        assert_eq!(trimmed("\u{a0}\u{2003}ä\u{3000}".as_bytes()), (5, 2));
        assert_eq!(trimmed(b" \xff "), (1, 1));
        assert_eq!((trimmed(b"  "), trimmed(b"")), ((2, 0), (0, 0)));
    }
}
