//! Members of JSON objects that a step made, such as `item.price` where `explode` made `item`. The reader of JSON lines
//! resolves paths in the records that it reads; this step resolves paths in fields that come later.

use crate::data::{Batch, Bytes, Column, Columns, Sink, Span};
use crate::error::Result;
use crate::map::{Field, JobPart, Makes, Next, Stage, Step};
use crate::record::json;

/// Adds the member at `path` of the JSON field `input`. The member is null in a record that has none.
#[derive(Clone, Debug)]
pub struct Member {
    pub input: Field,
    pub path: Vec<String>,
}

impl Step for Member {
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
        Box::new(Finding {
            input: self.input,
            member: json::Member::new(&self.path),
            spans: Vec::new(),
            data: Vec::new(),
        })
    }
}

#[derive(Debug)]
struct Finding {
    input: Field,
    member: json::Member,
    spans: Vec<Span>,
    /// The bytes of a batch's members, as JSON cells.
    data: Vec<u8>,
}

impl Stage for Finding {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Finding { input, member, spans, data } = self;
        let Column::Json(objects) = batch.columns[*input] else { panic!("field {input} holds no JSON") };
        spans.clear();
        data.clear();
        for row in 0..batch.rows {
            let found = objects.value(row).and_then(|object| member.find(object));
            spans.push(found.map_or(Span::NULL, |found| {
                let from = data.len();
                data.extend_from_slice(found);
                Span::of(from..data.len())
            }));
        }
        let mut columns = Columns::from_slice(batch.columns);
        columns.push(Column::Json(Bytes { data, spans }));
        next.take(&Batch { rows: batch.rows, columns: &columns })
    }
}
