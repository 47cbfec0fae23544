//! `explode`: makes a record for each element of a JSON array.
//!
//! Elements keep their types. Numbers keep their digits as written, and `null` is null. A field that is null makes no
//! record, and neither does an empty array. A field that is no array makes the record bad.

use jiter::{Jiter, JiterError, Peek};

use super::AS;
use super::gather::Gather;
use crate::data::value::QUOTE;
use crate::data::{BATCH, Batch, Bytes, Column, Kind, Sink, Span};
use crate::error::Result;
use crate::map::scope::Written;
use crate::map::{Field, Makes, Next, Scope, Stage, Step};
use crate::schema::{Key, Shape};

pub const KEYS: &[Key] = &[
    Key::required("explode", Shape::Name).about("Makes one record of each element of the JSON array in this field"),
    AS,
];

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    let name = written.text("explode");
    let input = scope.text(&written.at("explode"), name)?;
    let record = scope.record();
    scope.push(Explode { input, record, name: name.to_owned() });
    scope.add(&written.at("as"), written.text("as"), Kind::Json, true)?;
    Ok(())
}

#[derive(Clone, Debug)]
struct Explode {
    input: Field,
    /// The field with the record's own bytes.
    record: Field,
    name: String,
}

impl Step for Explode {
    fn reads(&self) -> Vec<Field> {
        vec![self.input, self.record]
    }

    fn may_reject(&self) -> bool {
        true
    }

    fn makes(&self) -> Makes<'_> {
        Makes::Any
    }

    fn stage(&self) -> Box<dyn Stage> {
        Box::new(Exploding { step: self.clone(), elements: Elements::default(), gather: Gather::default() })
    }
}

#[derive(Debug)]
struct Exploding {
    step: Explode,
    elements: Elements,
    gather: Gather,
}

/// The elements of the arrays of some records of a batch.
#[derive(Debug, Default)]
struct Elements {
    /// The record that each element belongs to.
    of: Vec<u32>,
    spans: Vec<Span>,
    /// The bytes of the elements, as JSON cells.
    data: Vec<u8>,
}

/// Bytes of elements that are held before they are handed on. One record may have more.
const HELD: usize = 1 << 20;

impl Stage for Exploding {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Exploding { step: Explode { input, record, name }, elements, gather } = self;
        let column = batch.bytes(*input);
        for row in 0..batch.rows {
            let Some(text) = column.value(row) else { continue };
            if elements.add(row as u32, text).is_err() {
                // The elements of earlier records go on first: one of them may be bad, and then it is the earliest.
                elements.hand_on(batch, gather, next)?;
                let mut rejects = next.rejects.borrow_mut();
                rejects.no_array(batch.bytes(*record).spans[row], name, text);
                if rejects.have_ended() {
                    return Ok(());
                }
            }
            if elements.data.len() > HELD {
                elements.hand_on(batch, gather, next)?;
                if next.rejects.borrow().have_ended() {
                    return Ok(());
                }
            }
        }
        elements.hand_on(batch, gather, next)
    }
}

impl Elements {
    fn hand_on(&mut self, batch: &Batch<'_>, gather: &mut Gather, next: &mut Next<'_>) -> Result<()> {
        let Elements { of, spans, data } = self;
        let mut result = Ok(());
        for (of, spans) in of.chunks(BATCH).zip(spans.chunks(BATCH)) {
            let mut columns = gather.gather(batch.columns, of);
            columns.push(Column::Json(Bytes { data, spans }));
            result = next.take(&Batch { rows: of.len(), columns: &columns });
            if result.is_err() {
                break;
            }
        }
        self.truncate(0);
        self.data.clear();
        result
    }

    fn truncate(&mut self, elements: usize) {
        self.of.truncate(elements);
        self.spans.truncate(elements);
    }

    /// Adds the elements of the array `text`. Adds none if `text` is no array.
    fn add(&mut self, row: u32, text: &[u8]) -> Result<(), JiterError> {
        let before = self.of.len();
        let added = self.add_each(row, text);
        if added.is_err() {
            self.truncate(before);
        }
        added
    }

    fn add_each(&mut self, row: u32, text: &[u8]) -> Result<(), JiterError> {
        let mut json = Jiter::new(text);
        let mut element = json.next_array()?;
        while let Some(peek) = element {
            let (from, begin) = (self.data.len(), json.current_index());
            match peek {
                Peek::String => {
                    self.data.push(QUOTE);
                    self.data.extend_from_slice(json.known_str()?.as_bytes());
                }
                peek => {
                    json.known_skip(peek)?;
                    self.data.extend_from_slice(json.slice_to_current(begin));
                }
            }
            self.of.push(row);
            self.spans.push(if peek == Peek::Null { Span::NULL } else { Span::of(from..self.data.len()) });
            element = json.array_step()?;
        }
        json.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Option<Vec<Option<String>>> {
        let mut all = Elements::default();
        all.add(7, b"[\"before\"]").unwrap();
        let added = all.add(8, text.as_bytes());
        assert_eq!(all.of.iter().filter(|&&of| of == 7).count(), 1);
        let text = |span: &Span| {
            let bytes = &all.data[span.start as usize..span.end as usize];
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let cell = |span: &Span| (!span.is_null()).then(|| text(span));
        added.ok().map(|()| all.spans[1..].iter().map(cell).collect())
    }

    #[test]
    fn elements_of_arrays() {
        let some = |texts: &[&str]| Some(texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>());
        assert_eq!(elements("[]"), some(&[]));
        assert_eq!(elements(" [ ] "), some(&[]));
        assert_eq!(elements(r#"["a", "", "\u00e9\n"]"#), some(&["\"a", "\"", "\"é\n"]));
        assert_eq!(
            elements(r#"[1.50, true, {"a": [1]}, [2, "x"]]"#),
            some(&["1.50", "true", r#"{"a": [1]}"#, r#"[2, "x"]"#])
        );
        assert_eq!(elements("[null, 1]"), Some(vec![None, Some("1".into())]));
        for text in ["", "x", "1", "{}", "null", "[1,]", "[1", "[1] 2", "\"[1]\"", "[\"\\ud800\"]"] {
            assert_eq!(elements(text), None, "{text}");
        }
    }
}
