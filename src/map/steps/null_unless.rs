//! Adds a copy of a field that is null in the records for which a predicate doesn't hold: for an aggregate's own
//! `where`, and for fields that a predicate needs only in some records, so that they aren't converted in the others.
//! Whatever reads the copy needn't know of the predicate.

use crate::data::{Batch, Bytes, Column, Decimals, Floats, Numbers, Sink, Span};
use crate::error::Result;
use crate::map::{Field, JobPart, Makes, Next, Stage, Step};
use crate::predicate::Predicate;

/// Adds a field that is null in records for which the predicate doesn't hold. In the other records it is field `input`,
/// or 1 if there is no input.
#[derive(Debug)]
pub struct NullUnless {
    pub input: Option<Field>,
    pub predicate: Predicate,
}

impl Step for NullUnless {
    fn reads(&self) -> Vec<Field> {
        let mut reads: Vec<_> = self.input.into_iter().collect();
        self.predicate.cells(&mut |cell| reads.push(cell));
        reads
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn part(&self) -> JobPart<'_> {
        JobPart::Hides
    }

    fn stage(&self) -> Box<dyn Stage> {
        Box::new(NullingUnless {
            input: self.input,
            predicate: self.predicate.clone(),
            kept: Vec::new(),
            nulls: Vec::new(),
            spans: Vec::new(),
            ones: Vec::new(),
        })
    }
}

#[derive(Debug)]
struct NullingUnless {
    input: Option<Field>,
    predicate: Predicate,
    kept: Vec<u32>,
    nulls: Vec<bool>,
    spans: Vec<Span>,
    ones: Vec<i64>,
}

impl Stage for NullingUnless {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let NullingUnless { input, predicate, kept, nulls, spans, ones } = self;
        predicate.keep(batch, kept);
        nulls.clear();
        nulls.resize(batch.rows, true);
        kept.iter().for_each(|&i| nulls[i as usize] = false);
        let mut with = |own: Option<&[bool]>| {
            own.into_iter().flatten().zip(nulls.iter_mut()).for_each(|(own, null)| *null |= own);
        };
        let added = match input.map(|input| batch.columns[input]) {
            None => {
                ones.resize(batch.rows, 1);
                let numbers = Numbers::Narrow { mantissas: &ones[..batch.rows], scale: 0 };
                Column::Decimal(Decimals { numbers, nulls: Some(nulls) })
            }
            Some(Column::Bytes(column)) => Column::Bytes(chosen(column, nulls, spans)),
            Some(Column::Json(column)) => Column::Json(chosen(column, nulls, spans)),
            Some(Column::Decimal(column)) => {
                with(column.nulls);
                Column::Decimal(Decimals { numbers: column.numbers, nulls: Some(nulls) })
            }
            Some(Column::Float(column)) => {
                with(column.nulls);
                Column::Float(Floats { values: column.values, nulls: Some(nulls) })
            }
        };
        next.take(&Batch { rows: batch.rows, columns: &[batch.columns, &[added]].concat() })
    }
}

/// Returns the column with null in the cells that `nulls` says.
fn chosen<'a>(column: Bytes<'a>, nulls: &[bool], spans: &'a mut Vec<Span>) -> Bytes<'a> {
    spans.clear();
    spans.extend(column.spans.iter().zip(nulls).map(|(span, null)| if *null { Span::NULL } else { *span }));
    Bytes { data: column.data, spans }
}
