//! Groups to rows: keys decoded, states finished, columns chosen, formatted, and keyed for sorting.

use std::cell::Cell;

use crate::data::Value;
use crate::data::buffer::Buffer;
use crate::data::key::{Decoder, Fields, KeyFields};
use crate::error::{Error, Result};
use crate::output::format::with_rows;
use crate::output::order::Sorter;
use crate::output::sort_key::put_sort_keys;
use crate::output::{Chunk, Layout, SortKey};
use crate::predicate::Predicate;
use crate::shuffle::Aggregation;
use crate::table::Table;
use crate::table::hash::INLINE;

/// How groups become rows of output. Cells are those of the `group_by` fields, then those of the aggregates.
#[derive(Debug)]
pub struct Finisher<'p> {
    pub aggregation: &'p Aggregation<'p>,
    pub key: &'p KeyFields,
    /// Groups of which it doesn't hold are no rows.
    pub having: Option<&'p Predicate>,
    pub layout: Layout,
}

/// One group's cells.
struct Cells<'a> {
    key: Fields<'a>,
    states: &'a [u64],
    table: &'a Table,
    aggregation: &'a Aggregation<'a>,
    /// An aggregate whose value was asked for and is beyond what its type holds.
    overflow: Cell<Option<usize>>,
}

impl<'a> Cells<'a> {
    #[inline]
    fn get(&self, index: usize) -> Value<'a> {
        let fields = self.key.len();
        if index < fields {
            return self.key.value(index);
        }
        let number = index - fields;
        self.aggregation.cells[number].value(self.states, self.table.arena()).unwrap_or_else(|_| {
            self.overflow.set(Some(number));
            Value::Null
        })
    }
}

impl Finisher<'_> {
    /// Appends a line for each group of the table that is a row, in no order.
    pub fn lines(&self, table: &Table, out: &mut Chunk) -> Result<()> {
        with_rows!(&self.layout, rows => self.each(table, |cells| {
            self.layout.line(&mut rows, |index| cells.get(index), &mut out.bytes);
            out.ends.push(out.bytes.len());
        }))
    }

    /// Adds a line for each group that is a row to `sorter`, keyed by `order`.
    pub fn sorted(&self, table: &Table, order: &[SortKey], sorter: &mut Sorter) -> Result<()> {
        with_rows!(&self.layout, rows => self.each(table, |cells| {
            let cell = |index| cells.get(index);
            let put_key = |out: &mut Buffer| put_sort_keys(out, order, cell);
            sorter.add(put_key, |out| self.layout.line(&mut rows, cell, out));
        }))
    }

    fn each(&self, table: &Table, mut each: impl FnMut(&Cells<'_>)) -> Result<()> {
        let mut decoder = Decoder::default();
        for group in table.groups() {
            let mut inline = [0; INLINE];
            let key = decoder.decode(group.key.bytes(&mut inline), self.key);
            let (states, aggregation) = (group.states, self.aggregation);
            let cells = Cells { key, states, table, aggregation, overflow: Cell::new(None) };
            if self.having.is_none_or(|having| having.holds(&|index| cells.get(index))) {
                each(&cells);
            }
            if let Some(number) = cells.overflow.get() {
                let group = (!self.key.is_empty()).then(|| shown(&cells.key));
                return Err(Error::Overflow { column: self.aggregation.cells[number].name.to_owned(), group });
            }
        }
        Ok(())
    }
}

/// A group's key, for a message.
fn shown(key: &Fields<'_>) -> String {
    let fields = (0..key.len()).map(|i| match key.value(i) {
        Value::Null => "null".to_owned(),
        Value::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Value::Decimal(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
    });
    fields.collect::<Vec<_>>().join(", ")
}
