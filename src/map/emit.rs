//! Where map output goes: through the combining table, or straight into the run.
//!
//! The table is kept small enough for the second-level cache. When it is full its groups go to the run's partition
//! buffers and it starts afresh, so a task's memory doesn't depend on how many keys it meets.

use super::combining::{Combiner, Combining};
use super::{Field, Records};
use crate::aggregate::{Aggregate, Input};
use crate::data::key::{Encoder, KeyFields};
use crate::data::{BATCH, Bytes};
use crate::error::{Error, Result};
use crate::report::Counters;
use crate::shuffle::row::put_inline_value;
use crate::shuffle::{RunWriter, Shape};
use crate::table::keys::{LONG, code};
use crate::table::{HomeBits, KeyBatch, Table};

/// Aggregates with the shape of their rows, shared by every task.
#[derive(Debug)]
pub struct Aggregation<'p> {
    pub aggregates: Vec<&'p dyn Aggregate>,
    pub shape: Shape,
}

impl<'p> Aggregation<'p> {
    pub fn new(aggregates: Vec<&'p dyn Aggregate>) -> Self {
        let shape = Shape::new(aggregates.iter().copied());
        Aggregation { aggregates, shape }
    }
}

/// Which fields of a record go where.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields {
    pub key: KeyFields,
    /// One for each aggregate that observes a field.
    pub values: Vec<Field>,
}

/// Memory of one worker's map attempts, kept from one to the next.
#[derive(Debug)]
pub struct MapTable {
    encoder: Encoder,
    table: Table,
    keys: Box<KeyBatch>,
    slots: Box<[u32; BATCH]>,
    combining: Combining,
}

/// Bytes that long keys and tails may take in a map table before it is flushed.
const ARENA: usize = 1 << 20;

impl MapTable {
    pub fn new(slots: usize, shape: &Shape, combiner: Combiner) -> Self {
        MapTable {
            encoder: Encoder::default(),
            table: Table::new(slots, HomeBits::Top, &shape.identity),
            keys: Box::default(),
            slots: Box::new([0; BATCH]),
            combining: combiner.into(),
        }
    }

    /// Makes ready for an attempt.
    pub fn begin(&mut self) {
        self.table.clear();
        self.combining.begin();
    }
}

/// One map attempt's output.
#[derive(Debug)]
pub struct Emitter<'a> {
    pub aggregation: &'a Aggregation<'a>,
    pub fields: &'a Fields,
    pub hash_mask: u64,
    pub table: &'a mut MapTable,
    pub run: RunWriter,
    pub counters: Counters,
}

/// Bytes of fields that are copied for the composite keys of a batch, unless one record has more.
const COPIED: u64 = 16 << 20;

impl Records for Emitter<'_> {
    fn take(&mut self, records: &[Bytes<'_>]) -> Result<()> {
        let n = records[0].spans.len();
        let Fields { key, values } = self.fields;
        let bytes = |field: &Field| records[*field].spans.iter().map(|span| span.len() as u64).sum::<u64>();
        if let KeyFields::Composite(fields) = key
            && n > 1
            && fields.iter().map(bytes).sum::<u64>() > COPIED
        {
            // One long line that is in the key of each of its words.
            for half in [0..n / 2, n / 2..n] {
                let half = records.iter().map(|c| Bytes { data: c.data, spans: &c.spans[half.clone()] });
                self.take(&half.collect::<Vec<_>>())?;
            }
            return Ok(());
        }
        let values: Vec<_> = values.iter().map(|&field| records[field]).collect();
        // Taken out while the keys, which may be in it, are emitted.
        let mut encoder = std::mem::take(&mut self.table.encoder);
        let keys = encoder.encode(records, key);
        let emitted = match keys.data.len() {
            bytes if n == 1 && bytes > u32::MAX as usize => Err(Error::RowTooLong { bytes: bytes as u64 }),
            _ => self.emit(keys, &values),
        };
        self.table.encoder = encoder;
        emitted
    }
}

impl Emitter<'_> {
    /// Takes a batch of keys, and one column for each aggregate that observes a field.
    fn emit(&mut self, keys: Bytes<'_>, values: &[Bytes<'_>]) -> Result<()> {
        self.counters.map_output_records += keys.spans.len() as u64;
        self.counters.map_output_bytes += self.aggregation.shape.value_rows_len(keys, values);
        let most = self.table.table.capacity().min(BATCH);
        for start in (0..keys.spans.len()).step_by(most) {
            let part = start..(start + most).min(keys.spans.len());
            let keys = Bytes { data: keys.data, spans: &keys.spans[part.clone()] };
            self.table.keys.hash(keys, self.hash_mask);
            if self.table.combining.combines() {
                self.combine(keys, values, start)?;
            } else {
                self.pass(keys, values, start)?;
            }
            self.table.combining.note(keys.spans.len());
        }
        Ok(())
    }

    fn combine(&mut self, keys: Bytes<'_>, values: &[Bytes<'_>], start: usize) -> Result<()> {
        let n = keys.spans.len();
        let MapTable { table, .. } = self.table;
        if table.room() < n || table.arena().len() > ARENA || table.is_degenerate() {
            let groups = table.len();
            self.flush()?;
            self.table.combining.flushed(groups);
        }
        self.counters.combine_input_records += n as u64;
        let MapTable { table, keys: hashed, slots, .. } = self.table;
        table.probe(hashed, keys.data, slots);
        let mut values = values.iter();
        let Aggregation { aggregates, shape } = self.aggregation;
        for (aggregate, shape) in aggregates.iter().zip(&shape.aggregates) {
            let column = match shape.input {
                Input::Nothing => Bytes { data: &[], spans: &[] },
                Input::Bytes => {
                    let all = values.next().expect("a column for each aggregate that takes bytes");
                    Bytes { data: all.data, spans: &all.spans[start..start + n] }
                }
            };
            aggregate.observe(&mut table.states(shape.slot_word, shape.words), &slots[..n], column);
        }
        Ok(())
    }

    /// Writes records as value rows.
    fn pass(&mut self, keys: Bytes<'_>, values: &[Bytes<'_>], start: usize) -> Result<()> {
        let Emitter { aggregation: Aggregation { shape, .. }, table, run, .. } = self;
        let hashed = &table.keys;
        for i in 0..hashed.len {
            let (meta, words) = (hashed.meta[i], hashed.words[i]);
            let partition = run.partition(meta & !LONG);
            if code(meta) != LONG && values.is_empty() {
                run.add(partition, |out| put_inline_value(out, words, code(meta) as usize - 1))?;
            } else {
                run.add(partition, |out| shape.put_value(out, keys.get(i), values, start + i))?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let Emitter { aggregation: Aggregation { shape, .. }, table: MapTable { table, .. }, run, counters, .. } = self;
        counters.combine_output_records += table.len() as u64;
        for group in table.groups() {
            run.add(run.partition(group.hash), |out| {
                shape.put_group(out, &group, table.arena());
            })?;
        }
        table.clear();
        Ok(())
    }

    /// Writes what the table still holds. The run is the caller's to finish.
    pub fn finish(mut self) -> Result<(RunWriter, Counters)> {
        self.flush()?;
        Ok((self.run, self.counters))
    }
}
