//! Converts a JSON field to text. A string becomes its content. Any other value becomes the JSON as it is written.

use crate::data::value::QUOTE;
use crate::data::{Batch, Bytes, Column, Columns, Sink, Span};
use crate::error::Result;
use crate::map::{Field, JobPart, Makes, Next, Stage, Step};

/// Adds the JSON field `input` as bytes.
#[derive(Debug)]
pub struct Unquote {
    pub input: Field,
}

impl Step for Unquote {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn part(&self) -> JobPart<'_> {
        JobPart::Prepares
    }

    fn stage(&self) -> Box<dyn Stage> {
        Box::new(Unquoting { input: self.input, spans: Vec::new() })
    }
}

#[derive(Debug)]
struct Unquoting {
    input: Field,
    spans: Vec<Span>,
}

impl Stage for Unquoting {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let mut columns = Columns::from_slice(batch.columns);
        columns.push(Column::Bytes(text(&batch.columns[self.input], &mut self.spans)));
        next.take(&Batch { rows: batch.rows, columns: &columns })
    }
}

/// Returns the cells of a column of bytes or of JSON as text. `spans` is scratch memory for the spans of a JSON column.
///
/// # Panics
/// If the column holds numbers.
pub fn text<'a>(column: &Column<'a>, spans: &'a mut Vec<Span>) -> Bytes<'a> {
    match *column {
        Column::Bytes(text) => text,
        Column::Json(Bytes { data, spans: cells }) => {
            spans.clear();
            spans.extend(cells.iter().map(|&cell| {
                let is_string = !cell.is_null() && data[cell.start as usize] == QUOTE;
                Span { start: cell.start + u32::from(is_string), ..cell }
            }));
            Bytes { data, spans }
        }
        Column::Decimal(_) | Column::Float(_) => panic!("a number is no text"),
    }
}
