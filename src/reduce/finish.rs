//! Turns groups into rows of output: decodes keys, finishes states, chooses columns, formats rows, and gives them sort
//! keys.

use std::cell::Cell;

use crate::aggregate::{Aggregate, Overflow};
use crate::data::buffer::Buffer;
use crate::data::key::{DecodedKey, Decoder, KeyFields};
use crate::data::{Kind, Value};
use crate::error::{Error, Result};
use crate::output::format::with_row_format;
use crate::output::order::Sorter;
use crate::output::sort_key::put_sort_keys;
use crate::output::{Chunk, RowLayout, SortKey};
use crate::predicate::Predicate;
use crate::shuffle::Aggregation;
use crate::shuffle::row::AggregateShape;
use crate::table::hash::INLINE;
use crate::table::{Arena, Table};

/// A column of the result that isn't a key: the value number `number` of the aggregate with index `aggregate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    pub aggregate: usize,
    pub number: usize,
    /// Name of the column, for messages.
    pub name: String,
}

/// Turns groups into rows of output. A row's cells are those of the `group_by` fields, then those of the result
/// columns.
#[derive(Debug)]
pub struct Finisher<'p> {
    key: &'p KeyFields,
    values: Vec<Finish<'p>>,
    /// Groups for which this doesn't hold give no rows.
    having: Option<&'p Predicate>,
    layout: RowLayout,
}

/// A result column with all that is needed to compute its value for a group. This is looked up once, as there are many
/// groups.
#[derive(Debug)]
struct Finish<'p> {
    aggregate: &'p dyn Aggregate,
    number: usize,
    shape: AggregateShape,
    name: &'p str,
}

impl Finish<'_> {
    #[inline]
    fn value<'a>(&self, states: &[u64], arena: &'a Arena) -> Result<Value<'a>, Overflow> {
        let words = &states[self.shape.first..][..self.shape.words];
        let tail = self.shape.tail.map_or(&[][..], |place| arena.get(place.of(words)));
        self.aggregate.finish(self.number, words, tail)
    }
}

/// The cells of one group.
struct Cells<'a> {
    key: DecodedKey<'a>,
    states: &'a [u64],
    arena: &'a Arena,
    values: &'a [Finish<'a>],
    /// Index of a result column whose value was read and is too large for its type.
    overflow: Cell<Option<usize>>,
}

impl<'a> Cells<'a> {
    #[inline]
    fn get(&self, index: usize) -> Value<'a> {
        let fields = self.key.len();
        if index < fields {
            return self.key.value(index);
        }
        let column = index - fields;
        self.values[column].value(self.states, self.arena).unwrap_or_else(|_| {
            self.overflow.set(Some(column));
            Value::Null
        })
    }
}

impl<'p> Finisher<'p> {
    pub fn new(
        aggregation: &Aggregation<'p>,
        key: &'p KeyFields,
        results: &'p [ResultColumn],
        having: Option<&'p Predicate>,
        layout: RowLayout,
    ) -> Self {
        let Aggregation { aggregates, shape } = aggregation;
        let finish = |ResultColumn { aggregate, number, name }: &'p ResultColumn| Finish {
            aggregate: aggregates[*aggregate],
            number: *number,
            shape: shape.aggregates[*aggregate],
            name,
        };
        Finisher { key, values: results.iter().map(finish).collect(), having, layout }
    }

    /// Appends a line for each group that `having` keeps, in no particular order. Empties the table.
    pub fn lines(&self, table: &mut Table, out: &mut Chunk) -> Result<()> {
        with_row_format!(&self.layout, rows => self.each(table, |cells| {
            self.layout.line(&mut rows, |index| cells.get(index), &mut out.bytes);
            out.ends.push(out.bytes.len());
        }))
    }

    /// Adds a line for each group that `having` keeps to `sorter`, with a sort key by `order`. Empties the table.
    pub fn sorted(&self, table: &mut Table, order: &[SortKey], sorter: &mut Sorter) -> Result<()> {
        with_row_format!(&self.layout, rows => self.each(table, |cells| {
            let cell = |index| cells.get(index);
            let put_key = |out: &mut Buffer| put_sort_keys(out, order, cell);
            sorter.add(put_key, |out| self.layout.line(&mut rows, cell, out));
        }))
    }

    fn each(&self, table: &mut Table, mut each: impl FnMut(&Cells<'_>)) -> Result<()> {
        let mut decoder = Decoder::default();
        table.drain(|group, arena| {
            let mut inline = [0; INLINE];
            let key = decoder.decode(group.key.bytes(&mut inline), self.key);
            let cells = Cells { key, states: group.states, arena, values: &self.values, overflow: Cell::new(None) };
            if self.having.is_none_or(|having| having.holds(&|index| cells.get(index))) {
                each(&cells);
            }
            match cells.overflow.get() {
                None => Ok(()),
                Some(column) => {
                    let group = (!self.key.is_empty()).then(|| shown(&cells.key, self.key));
                    Err(Error::Overflow { column: self.values[column].name.to_owned(), group })
                }
            }
        })
    }
}

/// Returns a group's key as a message shows it.
fn shown(key: &DecodedKey<'_>, of: &KeyFields) -> String {
    let fields = (0..key.len()).map(|i| match key.value(i) {
        Value::Null => "null".to_owned(),
        Value::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Value::Json(json) => String::from_utf8_lossy(json).into_owned(),
        Value::Decimal(number) => match of.get(i) {
            Some((_, Kind::Timestamp(zone))) => zone.clock().text(number),
            _ => number.to_string(),
        },
        Value::Float(number) => number.to_string(),
    });
    fields.collect::<Vec<_>>().join(", ")
}
