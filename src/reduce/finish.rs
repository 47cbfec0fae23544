//! Groups to rows: keys decoded, states finished, columns chosen, formatted, and keyed for sorting.

use crate::aggregate::{Tail, Value};
use crate::buffer::Buffer;
use crate::column::{Column, Span};
use crate::map::emit::Aggregation;
use crate::map::key;
use crate::output::format::{Csv, Jsonl, Rows, Text, Tsv};
use crate::output::order::{Sorter, put_sort_key};
use crate::output::{Chunk, Format, SortKey};
use crate::table::Table;
use crate::table::hash::INLINE;

/// How groups become rows of output. Columns are indexes into the `group_by` fields followed by the aggregates.
#[derive(Debug)]
pub struct Finisher<'p> {
    pub aggregation: &'p Aggregation<'p>,
    /// Number of `group_by` fields.
    pub key_fields: usize,
    pub columns: Vec<usize>,
    pub names: Vec<String>,
    pub format: Format,
}

/// One group's cells.
struct Cells<'a> {
    key: Column<'a>,
    states: &'a [u64],
    table: &'a Table,
    aggregation: &'a Aggregation<'a>,
}

impl<'a> Cells<'a> {
    #[inline]
    fn get(&self, index: usize) -> Value<'a> {
        let fields = self.key.spans.len();
        if index < fields {
            return Value::Bytes(self.key.get(index));
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
    /// The row of column names.
    pub fn header(&self) -> Buffer {
        let mut out = Buffer::default();
        match self.format {
            Format::Text => Text.header(&mut out, &self.names),
            Format::Tsv => Tsv.header(&mut out, &self.names),
            Format::Csv => Csv.header(&mut out, &self.names),
            Format::Jsonl => Jsonl::new(&self.names).header(&mut out, &self.names),
        }
        out
    }

    /// Appends a line for each group of the table, in no order.
    pub fn lines(&self, table: &Table, out: &mut Chunk) {
        match self.format {
            Format::Text => self.lines_as(Text, table, out),
            Format::Tsv => self.lines_as(Tsv, table, out),
            Format::Csv => self.lines_as(Csv, table, out),
            Format::Jsonl => self.lines_as(Jsonl::new(&self.names), table, out),
        }
    }

    /// Adds a line for each group to `sorter`, keyed by `order`.
    pub fn sorted(&self, table: &Table, order: &[SortKey], sorter: &mut Sorter) {
        match self.format {
            Format::Text => self.sorted_as(Text, table, order, sorter),
            Format::Tsv => self.sorted_as(Tsv, table, order, sorter),
            Format::Csv => self.sorted_as(Csv, table, order, sorter),
            Format::Jsonl => self.sorted_as(Jsonl::new(&self.names), table, order, sorter),
        }
    }

    fn lines_as(&self, mut rows: impl Rows, table: &Table, out: &mut Chunk) {
        self.each(table, |cells| {
            self.line(&mut rows, cells, &mut out.bytes);
            out.ends.push(out.bytes.len());
        });
    }

    fn sorted_as(&self, mut rows: impl Rows, table: &Table, order: &[SortKey], sorter: &mut Sorter) {
        self.each(table, |cells| {
            let put_key = |out: &mut Buffer| {
                for (i, key) in order.iter().enumerate() {
                    put_sort_key(out, &cells.get(key.index), key.descending, i + 1 == order.len());
                }
            };
            sorter.add(put_key, |out| self.line(&mut rows, cells, out));
        });
    }

    #[inline]
    fn line(&self, rows: &mut impl Rows, cells: &Cells<'_>, out: &mut Buffer) {
        for (i, &column) in self.columns.iter().enumerate() {
            rows.cell(out, i, cells.get(column));
        }
        rows.end(out);
    }

    fn each(&self, table: &Table, mut each: impl FnMut(&Cells<'_>)) {
        let (mut data, mut spans) = (Vec::new(), Vec::new());
        for group in table.groups() {
            let mut inline = [0; INLINE];
            let bytes = group.key.bytes(&mut inline);
            let single = [Span { start: 0, end: bytes.len() as u32 }];
            let key = if self.key_fields == 1 {
                Column { data: bytes, spans: &single }
            } else {
                key::decode(bytes, self.key_fields, &mut data, &mut spans);
                Column { data: &data, spans: &spans }
            };
            each(&Cells { key, states: group.states, table, aggregation: self.aggregation });
        }
    }
}
