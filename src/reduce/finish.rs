//! Groups to rows: keys decoded, states finished, columns chosen, formatted, and keyed for sorting.

use crate::data::buffer::Buffer;
use crate::data::key::{self, KeyFields};
use crate::data::{Bytes, Span, Value};
use crate::map::emit::Aggregation;
use crate::output::format::with_rows;
use crate::output::order::Sorter;
use crate::output::sort_key::put_sort_keys;
use crate::output::{Chunk, Layout, SortKey};
use crate::predicate::Predicate;
use crate::table::hash::INLINE;
use crate::table::{Table, Tail};

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
    key: Bytes<'a>,
    states: &'a [u64],
    table: &'a Table,
    aggregation: &'a Aggregation<'a>,
}

impl<'a> Cells<'a> {
    #[inline]
    fn get(&self, index: usize) -> Value<'a> {
        let fields = self.key.spans.len();
        if index < fields {
            return self.key.value(index).map_or(Value::Null, Value::Bytes);
        }
        let (aggregate, shape) =
            (self.aggregation.aggregates[index - fields], &self.aggregation.shape.aggregates[index - fields]);
        let words = &self.states[shape.slot_word..][..shape.words];
        let tail = match shape.has_tail {
            true => self.table.arena().get(Tail(self.states[shape.slot_word + shape.words])),
            false => &[],
        };
        aggregate.finish(words, tail)
    }
}

impl Finisher<'_> {
    /// Appends a line for each group of the table that is a row, in no order.
    pub fn lines(&self, table: &Table, out: &mut Chunk) {
        with_rows!(&self.layout, rows => self.each(table, |cells| {
            self.layout.line(&mut rows, |index| cells.get(index), &mut out.bytes);
            out.ends.push(out.bytes.len());
        }));
    }

    /// Adds a line for each group that is a row to `sorter`, keyed by `order`.
    pub fn sorted(&self, table: &Table, order: &[SortKey], sorter: &mut Sorter) {
        with_rows!(&self.layout, rows => self.each(table, |cells| {
            let cell = |index| cells.get(index);
            let put_key = |out: &mut Buffer| put_sort_keys(out, order, cell);
            sorter.add(put_key, |out| self.layout.line(&mut rows, cell, out));
        }));
    }

    fn each(&self, table: &Table, mut each: impl FnMut(&Cells<'_>)) {
        let (mut data, mut spans) = (Vec::new(), Vec::new());
        for group in table.groups() {
            let mut inline = [0; INLINE];
            let bytes = group.key.bytes(&mut inline);
            let single = [Span::of(0..bytes.len())];
            let key = match self.key {
                KeyFields::One(_) => Bytes { data: bytes, spans: &single },
                KeyFields::Composite(fields) => {
                    key::decode(bytes, fields.len(), &mut data, &mut spans);
                    Bytes { data: &data, spans: &spans }
                }
            };
            let cells = Cells { key, states: group.states, table, aggregation: self.aggregation };
            if self.having.is_none_or(|having| having.holds(&|index| cells.get(index))) {
                each(&cells);
            }
        }
    }
}
