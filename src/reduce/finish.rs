//! Turns groups into batches of finished rows: decodes keys, finishes states, and drops the rows that `having` doesn't
//! keep.

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::aggregate::{Aggregate, Overflow};
use crate::data::buffer::Buffer;
use crate::data::columns::Growing;
use crate::data::key::{DecodedKey, Decoder, KeyFields};
use crate::data::{BATCH, Batch, Column, Columns, Kind, Sink, Span, Value};
use crate::error::{Error, Result};
use crate::predicate::Predicate;
use crate::shuffle::Aggregation;
use crate::shuffle::row::AggregateShape;
use crate::table::hash::INLINE;
use crate::table::{Arena, Group, KeyOrder, SortMemory, Table};

/// A column of the result that isn't a key: the value number `number` of the aggregate with index `aggregate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    pub aggregate: usize,
    pub number: usize,
    /// Name of the column, for messages.
    pub name: String,
}

/// Turns groups into rows. A row's cells are those of the `group_by` fields, then those of the result columns.
#[derive(Debug)]
pub struct Finisher<'p> {
    key: &'p KeyFields,
    values: Vec<Finish<'p>>,
    /// Groups for which this doesn't hold give no rows.
    having: Option<&'p Predicate>,
    /// The cells that are wanted, with their kinds.
    wanted: Vec<(usize, Kind)>,
    /// Bytes of a batch that is handed on although it isn't full, and of a text that isn't copied.
    large: usize,
}

/// The rows of a batch that is being put together, in memory that is reused from batch to batch.
#[derive(Debug)]
pub struct FinishedBatch {
    rows: usize,
    /// What the columns of bytes point into.
    data: Buffer,
    /// A column for each cell. Cells that aren't wanted have an empty one.
    columns: Vec<Growing>,
    decoder: Decoder,
    /// Slots of the groups that `having` keeps.
    kept: Vec<u32>,
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

/// The cells of one group, worked out one by one.
struct Cells<'a> {
    key: DecodedKey<'a>,
    group: &'a Group<'a>,
    arena: &'a Arena,
    values: &'a [Finish<'a>],
    /// Index of a result column whose value was read and is too large for its type.
    overflow: Cell<Option<usize>>,
}

impl<'a> Cells<'a> {
    fn get(&self, index: usize) -> Value<'a> {
        let fields = self.key.len();
        if index < fields {
            return self.key.value(index);
        }
        let column = index - fields;
        self.values[column].value(self.group.states, self.arena).unwrap_or_else(|_| {
            self.overflow.set(Some(column));
            Value::Null
        })
    }
}

impl<'p> Finisher<'p> {
    /// `wanted` are the cells that are read after `having`. A batch of rows has about `large` bytes of texts at most.
    pub fn new(
        aggregation: &Aggregation<'p>,
        key: &'p KeyFields,
        results: &'p [ResultColumn],
        having: Option<&'p Predicate>,
        wanted: impl Iterator<Item = usize>,
        large: usize,
    ) -> Self {
        let Aggregation { aggregates, shape } = aggregation;
        let finish = |ResultColumn { aggregate, number, name }: &'p ResultColumn| Finish {
            aggregate: aggregates[*aggregate],
            number: *number,
            shape: shape.aggregates[*aggregate],
            name,
        };
        let values: Vec<_> = results.iter().map(finish).collect();
        let kind = |cell: usize| match key.get(cell) {
            Some((_, kind)) => kind,
            None => values[cell - key.len()].aggregate.kind(values[cell - key.len()].number),
        };
        let wanted: BTreeSet<usize> = wanted.collect();
        let wanted = wanted.into_iter().map(|cell| (cell, kind(cell))).collect();
        Finisher { key, values, having, wanted, large }
    }

    /// Returns memory for the rows of this finisher.
    pub fn batch(&self) -> FinishedBatch {
        let mut columns: Vec<_> = (0..self.key.len() + self.values.len()).map(|_| Growing::new(Kind::Bytes)).collect();
        self.wanted.iter().for_each(|(cell, kind)| columns[*cell] = Growing::new(*kind));
        FinishedBatch { rows: 0, data: Buffer::default(), columns, decoder: Decoder::default(), kept: Vec::new() }
    }

    /// Hands a row for each group that `having` keeps to `out`. Empties the table. The rows come in an order of the
    /// keys, which have so many first bytes in common, or in no particular order.
    pub fn finish(
        &self,
        table: &mut Table,
        order: Option<(KeyOrder, usize)>,
        sorted: &mut SortMemory,
        batch: &mut FinishedBatch,
        out: &mut dyn Sink,
    ) -> Result<()> {
        let each = |table: &Table, slots: &[u32]| self.some(table, slots, batch, out);
        match order {
            None => table.drain(each)?,
            Some((order, common)) => table.drain_in_order(order, common, sorted, each)?,
        }
        batch.hand_on(out)
    }

    /// Adds the rows of some groups to the batch, and hands it on whenever it is full.
    fn some(&self, table: &Table, slots: &[u32], batch: &mut FinishedBatch, out: &mut dyn Sink) -> Result<()> {
        let mut kept = std::mem::take(&mut batch.kept);
        let mut rest = match self.having {
            None => slots,
            Some(having) => {
                kept.clear();
                for slot in slots {
                    if self
                        .with_cells(table, *slot, &mut batch.decoder, |cells| having.holds(&|cell| cells.get(cell)))?
                    {
                        kept.push(*slot);
                    }
                }
                &kept
            }
        };
        if batch.rows + rest.len() > BATCH {
            batch.hand_on(out)?;
        }
        while !rest.is_empty() {
            let (fit, more) = rest.split_at(self.fit(table, rest, &mut batch.decoder)?);
            match fit {
                [] => {
                    batch.hand_on(out)?;
                    self.one(table, more[0], batch, out)?;
                    rest = &more[1..];
                }
                fit => {
                    self.push(table, fit, batch)?;
                    rest = more;
                }
            }
            if batch.data.len() > self.large {
                batch.hand_on(out)?;
            }
        }
        batch.kept = kept;
        Ok(())
    }

    /// Returns how many of these groups have texts of at most `large` bytes together.
    fn fit(&self, table: &Table, slots: &[u32], decoder: &mut Decoder) -> Result<usize> {
        // Texts are in the arena, but for short keys. Nearly always all of them are short.
        if table.arena().longest() * slots.len() * self.wanted.len() <= self.large {
            return Ok(slots.len());
        }
        let mut held = 0;
        for (i, slot) in slots.iter().enumerate() {
            let len = |(cell, _): &(usize, Kind), cells: &Cells<'_>| match cells.get(*cell) {
                Value::Bytes(text) | Value::Json(text) => text.len(),
                _ => 0,
            };
            held += self.with_cells(table, *slot, decoder, |cells| {
                self.wanted.iter().filter(|(_, kind)| is_text(*kind)).map(|cell| len(cell, cells)).sum::<usize>()
            })?;
            if held > self.large {
                return Ok(i);
            }
        }
        Ok(slots.len())
    }

    /// Adds the rows of these groups to the batch, column by column.
    fn push(&self, table: &Table, slots: &[u32], batch: &mut FinishedBatch) -> Result<()> {
        let FinishedBatch { rows, data, columns, decoder, .. } = batch;
        let fields = self.key.len();
        let of_key = &self.wanted[..self.wanted.partition_point(|(cell, _)| *cell < fields)];
        match (self.key, of_key) {
            (_, []) => {}
            (KeyFields::One(_), _) => {
                slots.iter().for_each(|slot| columns[0].push_text(|data| table.group(*slot).key.put(data), data));
            }
            _ => {
                for slot in slots {
                    let mut inline = [0; INLINE];
                    let key = decoder.decode(table.group(*slot).key.bytes(&mut inline), self.key);
                    of_key.iter().for_each(|(cell, _)| columns[*cell].push(key.value(*cell), data));
                }
            }
        }
        for (cell, _) in &self.wanted[of_key.len()..] {
            let Finish { aggregate, number, shape, name } = &self.values[cell - fields];
            let states = table.held(slots, shape.first, shape.words, shape.tail);
            let finished = aggregate.finish_all(*number, states, &mut columns[*cell], data);
            finished.map_err(|(i, _)| self.overflow(name, table, slots[i], decoder))?;
        }
        *rows += slots.len();
        Ok(())
    }

    /// Hands on the row of a group that has long texts, without a copy of them.
    #[cold]
    fn one(&self, table: &Table, slot: u32, batch: &mut FinishedBatch, out: &mut dyn Sink) -> Result<()> {
        let FinishedBatch { data, columns, decoder, .. } = batch;
        let handed_on = self.with_cells(table, slot, decoder, |cells| {
            for (cell, _) in &self.wanted {
                match (&mut columns[*cell], cells.get(*cell)) {
                    (Growing::Bytes(spans), Value::Bytes(text)) => spans.push(span(text)?),
                    (column, value) => column.push(value, data),
                }
            }
            let mut row: Columns<'_> = columns.iter().map(|column| column.column(data.as_slice())).collect();
            for (cell, _) in &self.wanted {
                if let (Column::Bytes(column), Value::Bytes(text)) = (&mut row[*cell], cells.get(*cell)) {
                    column.data = text;
                }
            }
            out.take(&Batch { rows: 1, columns: &row })
        })?;
        batch.clear();
        handed_on
    }

    /// Calls `get` with the cells of a group. Fails if it reads a value that is too large for its type.
    fn with_cells<T>(
        &self,
        table: &Table,
        slot: u32,
        decoder: &mut Decoder,
        get: impl FnOnce(&Cells<'_>) -> T,
    ) -> Result<T> {
        let (group, mut inline) = (table.group(slot), [0; INLINE]);
        let key = decoder.decode(group.key.bytes(&mut inline), self.key);
        let cells = Cells { key, group: &group, arena: table.arena(), values: &self.values, overflow: Cell::new(None) };
        let got = get(&cells);
        match cells.overflow.get() {
            None => Ok(got),
            Some(column) => Err(self.overflow(self.values[column].name, table, slot, decoder)),
        }
    }

    #[cold]
    fn overflow(&self, column: &str, table: &Table, slot: u32, decoder: &mut Decoder) -> Error {
        let mut inline = [0; INLINE];
        let key = decoder.decode(table.group(slot).key.bytes(&mut inline), self.key);
        let group = (!self.key.is_empty()).then(|| shown(&key, self.key));
        Error::Overflow { column: column.to_owned(), group }
    }
}

fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::Bytes | Kind::Json)
}

fn span(text: &[u8]) -> Result<Span> {
    match text.len() {
        bytes if bytes > u32::MAX as usize => Err(Error::RowTooLong { bytes: bytes as u64 }),
        bytes => Ok(Span::of(0..bytes)),
    }
}

impl FinishedBatch {
    /// Hands the rows to `out` and forgets them.
    fn hand_on(&mut self, out: &mut dyn Sink) -> Result<()> {
        let FinishedBatch { rows, data, columns, .. } = &*self;
        if data.len() > u32::MAX as usize {
            return Err(Error::RowTooLong { bytes: data.len() as u64 });
        }
        if *rows > 0 {
            let columns: Columns<'_> = columns.iter().map(|column| column.column(data.as_slice())).collect();
            out.take(&Batch { rows: *rows, columns: &columns })?;
        }
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.rows = 0;
        self.data.clear();
        self.columns.iter_mut().for_each(Growing::clear);
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
