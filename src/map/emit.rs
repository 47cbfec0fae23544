//! Where a map attempt's records go: through the combining table, or straight into the run. An [`Emitter`] takes
//! batches of mapped records, makes their keys, and either combines them in the table or sends them to the run.
//!
//! When the table is full and as large as it may be, which [`growth`](super::growth) decides, its groups go to the
//! run's partition buffers and the table starts afresh. So a task's memory is bounded however many keys the task meets.

use std::ops::Range;

use super::Field;
use super::combining::{Combiner, Combining};
use super::growth::{Full, Growth};
use crate::aggregate::TailGrowth;
use crate::data::key::{Encoder, KeyFields};
use crate::data::{BATCH, Batch, Bytes, Column, Columns, Sink};
use crate::error::Result;
use crate::report::Counters;
use crate::shuffle::row::put_inline_value;
use crate::shuffle::{Aggregation, Partitioner, RunWriter};
use crate::table::{HomeBits, KeyBatch, SlotKey, Table};

/// Which fields of a record make the key, and which the aggregates observe.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupFields {
    pub key: KeyFields,
    /// The fields that the aggregates observe. Each field is listed once.
    pub observed: Vec<Field>,
}

/// The memory of one worker's map attempts. It is reused from attempt to attempt.
#[derive(Debug)]
pub struct MapTable {
    encoder: Encoder,
    groups: GroupTable,
}

#[derive(Debug)]
struct GroupTable {
    table: Table,
    keys: Box<KeyBatch>,
    /// The slots of a batch's groups, or the partitions that its rows go to.
    slots: Box<[u32; BATCH]>,
    combining: Combining,
    growth: Growth,
    /// Records combined in the table since it was last empty.
    records: u64,
    /// Bytes that long keys and tails may take before the table is flushed, however few slots the table has.
    arena: usize,
    /// Most bytes that are copied at once: bytes of fields to make the keys of some records, or bytes of value rows that
    /// go to the table's arena before the arena's size is checked again. A single record may have more.
    copied: u64,
}

/// How an attempt's output grew: what had been made of its records at several points of the attempt.
pub type OutputCurve = Vec<CurvePoint>;

/// What had been made of a number of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurvePoint {
    pub records: u64,
    /// Rows written to the run.
    pub written: u64,
    /// Groups in the table. Each becomes a row later.
    pub held: u64,
}

/// Bytes that long keys and tails may take in a map table before the table is flushed.
const ARENA: usize = 1 << 20;
/// [`ARENA`] for aggregates with long tails, such as sketches, where there is memory. The table then keeps enough
/// groups to combine their states, instead of being flushed with a few records in each group.
const LONG_ARENA: usize = 64 << 20;
/// Bytes that long keys and tails may take for each slot of a table that has grown.
const ARENA_A_SLOT: usize = 16;

impl MapTable {
    /// `input` is the most groups that a task may meet. The table's slots may take `memory` bytes. The table's arena
    /// may take half as many bytes besides.
    pub fn new(growth: Growth, input: usize, aggregation: &Aggregation<'_>, memory: usize, combiner: Combiner) -> Self {
        let has_long_tails = aggregation.tail_growth().any(TailGrowth::is_of_long_tails);
        let groups = GroupTable {
            arena: if has_long_tails { (memory / 2).clamp(ARENA, LONG_ARENA) } else { ARENA.min(memory / 2) },
            table: Table::new(growth.first(input), HomeBits::Top, &aggregation.shape.identity),
            copied: (memory as u64 / 2).min(COPIED),
            keys: Box::default(),
            slots: Box::new([0; BATCH]),
            combining: combiner.into(),
            growth,
            records: 0,
        };
        MapTable { encoder: Encoder::default(), groups }
    }
}

/// Takes one map attempt's batches of records, and writes the attempt's run.
#[derive(Debug)]
pub struct Emitter<'a> {
    fields: &'a GroupFields,
    encoder: &'a mut Encoder,
    out: Output<'a>,
}

#[derive(Debug)]
struct Output<'a> {
    aggregation: &'a Aggregation<'a>,
    hash_mask: u64,
    table: &'a mut GroupTable,
    partitioner: &'a Partitioner,
    run: RunWriter,
    counters: Counters,
    curve: OutputCurve,
    /// The number of records after which the curve gets its next point.
    next: u64,
}

/// Most bytes that are copied at once where memory is plenty.
const COPIED: u64 = 16 << 20;

impl<'a> Emitter<'a> {
    /// Begins an attempt whose output goes to `run`, divided by `partitioner`. Every hash is ANDed with `hash_mask`.
    pub fn new(
        aggregation: &'a Aggregation<'a>,
        fields: &'a GroupFields,
        hash_mask: u64,
        memory: &'a mut MapTable,
        (partitioner, run): (&'a Partitioner, RunWriter),
    ) -> Self {
        let MapTable { encoder, groups } = memory;
        groups.table.clear();
        groups.records = 0;
        groups.combining.begin();
        Emitter {
            fields,
            encoder,
            out: Output {
                aggregation,
                hash_mask,
                table: groups,
                partitioner,
                run,
                counters: Counters::default(),
                curve: OutputCurve::new(),
                next: 1,
            },
        }
    }

    /// Returns how the output grew so far, and forgets it.
    pub fn take_curve(&mut self) -> OutputCurve {
        self.out.note_curve();
        std::mem::take(&mut self.out.curve)
    }

    /// Writes the groups that the table still holds. The caller finishes the run.
    pub fn finish(mut self) -> Result<(RunWriter, Counters)> {
        self.out.flush()?;
        Ok((self.out.run, self.out.counters))
    }
}

impl Sink for Emitter<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        let values: Columns<'_> = self.fields.observed.iter().map(|&field| batch.columns[field]).collect();
        let most = self.out.table.table.capacity().min(BATCH);
        for start in (0..batch.rows).step_by(most) {
            self.take_some(batch, &values, start..(start + most).min(batch.rows))?;
        }
        Ok(())
    }
}

impl Emitter<'_> {
    /// Takes these records of the batch: no more than an empty table has room for.
    fn take_some(&mut self, batch: &Batch<'_>, values: &[Column<'_>], records: Range<usize>) -> Result<()> {
        let Emitter { fields: GroupFields { key, .. }, encoder, out } = self;
        let as_it_stands = |field: usize| match batch.columns[field].slice(records.clone()) {
            Column::Bytes(cells) | Column::Json(cells) => cells,
            Column::Decimal(_) | Column::Float(_) => unreachable!("a key of its own is no number"),
        };
        let mut keys = match key {
            KeyFields::One(field) => {
                let keys = as_it_stands(*field);
                out.hash(keys);
                Some(keys)
            }
            KeyFields::Nullable(field) => {
                let keys = as_it_stands(*field);
                out.hash_and_check_first_byte(keys).then_some(keys)
            }
            KeyFields::Json(field) => {
                let keys = as_it_stands(*field);
                let are_strings = keys.are_json_strings();
                are_strings.then(|| {
                    out.hash(keys);
                    keys
                })
            }
            KeyFields::Composite(_) => None,
        };
        let may_copy = |bytes: u64, out: &Output<'_>| match records.len() {
            1 => out.run.check_row(bytes).map(|()| true),
            _ => Ok(bytes <= out.table.copied),
        };
        if keys.is_none() && may_copy(Encoder::copies(batch, key, records.clone()), out)? {
            let encoded = encoder.encode(batch, key, records.clone())?;
            out.hash(encoded);
            keys = Some(encoded);
        }
        let of_records: Columns<'_> = values.iter().map(|column| column.slice(records.clone())).collect();
        if let Some(keys) = keys {
            let bytes = out.aggregation.shape.value_rows_len(keys, &of_records);
            if may_copy(bytes, out)? {
                return out.emit(keys, &of_records, bytes);
            }
        }
        // A long line may be in the key of each of its words, or among the values of each, and every copy goes to the
        // arena.
        records.map(|i| i..i + 1).try_for_each(|one| self.take_some(batch, values, one))
    }
}

impl Output<'_> {
    /// Whether the next records' keys need hashes. Records that are sent to ranges don't.
    fn needs_hashes(&self) -> bool {
        self.table.combining.combines() || self.partitioner.needs_hashes()
    }

    /// Hashes keys if they need it.
    fn hash(&mut self, keys: Bytes<'_>) {
        if self.needs_hashes() {
            self.table.keys.hash(keys, self.hash_mask);
        }
    }

    /// Does the same. Returns whether every key is nonempty and doesn't begin with a NUL.
    fn hash_and_check_first_byte(&mut self, keys: Bytes<'_>) -> bool {
        match self.needs_hashes() {
            true => self.table.keys.hash_and_check_first_byte(keys, self.hash_mask),
            false => keys.spans.iter().all(|span| !span.is_empty() && keys.data[span.start as usize] != 0),
        }
    }

    /// Takes records whose keys have been hashed if they need it. `values` are their observed columns, and `bytes` the
    /// length of their value rows.
    fn emit(&mut self, keys: Bytes<'_>, values: &[Column<'_>], bytes: u64) -> Result<()> {
        self.counters.map_output_records += keys.spans.len() as u64;
        self.counters.map_output_bytes += bytes;
        if self.table.combining.combines() {
            self.combine(keys, values)?;
        } else {
            self.send(keys, values)?;
        }
        self.table.combining.note(keys.spans.len());
        if self.counters.map_output_records >= self.next {
            self.note_curve();
        }
        Ok(())
    }

    #[cold]
    fn note_curve(&mut self) {
        let c = &self.counters;
        let sent = c.map_output_records - c.combine_input_records;
        self.curve.push(CurvePoint {
            records: c.map_output_records,
            written: sent + c.combine_output_records,
            held: self.table.table.len() as u64,
        });
        self.next = c.map_output_records + c.map_output_records / 4 + 1;
    }

    fn combine(&mut self, keys: Bytes<'_>, values: &[Column<'_>]) -> Result<()> {
        let n = keys.spans.len();
        if self.table.table.room() < n {
            self.full()?;
        }
        let table = &self.table.table;
        if table.arena().len() > self.table.arena.max(table.slots() * ARENA_A_SLOT) || table.is_degenerate() {
            self.flush_for_room()?;
        }
        self.counters.combine_input_records += n as u64;
        let GroupTable { table, keys: hashed, slots, records, .. } = self.table;
        *records += n as u64;
        table.probe(hashed, keys.data, slots);
        let Aggregation { aggregates, shape, .. } = self.aggregation;
        for (aggregate, shape) in aggregates.iter().zip(&shape.aggregates) {
            aggregate.observe(&mut table.states(shape.first, shape.words), &slots[..n], values);
        }
        Ok(())
    }

    /// Makes room for a batch in a full table: grows the table or flushes it.
    #[cold]
    fn full(&mut self) -> Result<()> {
        let GroupTable { table, growth, records, .. } = &mut *self.table;
        match growth.full(table.slots(), table.len(), *records) {
            Full::Grow(slots) => table.grow(slots),
            Full::Flush => self.flush_for_room()?,
            Full::Shrink(slots) => {
                self.flush_for_room()?;
                self.table.table.restart(slots);
            }
        }
        Ok(())
    }

    #[cold]
    fn flush_for_room(&mut self) -> Result<()> {
        let groups = self.table.table.len();
        self.flush()?;
        self.table.combining.flushed(groups);
        Ok(())
    }

    /// Sends records: writes their value rows to the run, without the table.
    fn send(&mut self, keys: Bytes<'_>, values: &[Column<'_>]) -> Result<()> {
        let Output { aggregation: Aggregation { shape, .. }, table, partitioner, run, .. } = self;
        let GroupTable { keys: hashed, slots: partitions, .. } = &mut **table;
        let n = keys.spans.len();
        partitioner.divide(n, |i| hashed.get(i, keys).0, |i| SlotKey::Long(keys.get(i)), partitions);
        if !partitioner.needs_hashes() {
            for (i, partition) in partitions[..n].iter().enumerate() {
                run.add(*partition as usize, |out| shape.put_value(out, keys.get(i), values, i))?;
            }
            return Ok(());
        }
        // Short keys were loaded when they were hashed.
        for (i, partition) in partitions[..n].iter().enumerate() {
            match hashed.get(i, keys).1 {
                SlotKey::Inline(words, len) if values.is_empty() => {
                    run.add(*partition as usize, |out| put_inline_value(out, words, len))?;
                }
                _ => run.add(*partition as usize, |out| shape.put_value(out, keys.get(i), values, i))?,
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let Output { aggregation: Aggregation { shape, .. }, table, partitioner, run, counters, .. } = self;
        let GroupTable { table, records, slots: partitions, .. } = &mut **table;
        counters.combine_output_records += table.len() as u64;
        *records = 0;
        table.drain(|table, slots| {
            let group = |i: usize| table.group(slots[i]);
            partitioner.divide(slots.len(), |i| group(i).hash, |i| group(i).key, partitions);
            for (slot, partition) in slots.iter().zip(&**partitions) {
                run.add(*partition as usize, |out| {
                    shape.put_group(out, &table.group(*slot), table.arena());
                })?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Aggregate, laws::Longest};
    use crate::data::{Kind, Span};
    use crate::shuffle::{PageCompression, PartitionBuffers, RunPlace};

    /// The arena's size is checked once a batch. That is too seldom if every record brings a long value.
    #[test]
    fn a_long_value_in_every_record_does_not_fill_the_arena() {
        const LONG: usize = 1 << 19;
        const RECORDS: u32 = 64;
        let longest = Longest { column: 0 };
        let aggregation = Aggregation::new(vec![&longest as &dyn Aggregate], &[Kind::Bytes]);
        let fields = GroupFields { key: KeyFields::One(0), observed: vec![1] };
        let mut memory = MapTable::new(Growth::fixed(1 << 10), 1 << 10, &aggregation, 1 << 30, Combiner::On);
        let spill = tempfile::tempdir().unwrap();
        let place = RunPlace::alone(&spill.path().join("run"), PageCompression::Auto);
        let run = RunWriter::create(&place, 1, 1 << 14, PartitionBuffers::default()).unwrap();
        let data: Vec<u8> = (0..LONG).map(|i| i as u8).collect();
        let keys: Vec<_> = (0..RECORDS).map(|i| Span { start: i, end: i + 2 }).collect();
        let values = vec![Span::of(0..LONG); RECORDS as usize];
        let columns = [&keys, &values].map(|spans| Column::Bytes(Bytes { data: &data, spans }));
        let partitioner = Partitioner::Hash(1);
        let mut out = Emitter::new(&aggregation, &fields, u64::MAX, &mut memory, (&partitioner, run));
        out.take(&Batch { rows: RECORDS as usize, columns: &columns }).unwrap();
        let held = out.out.table.table.arena().len();
        assert!(held <= ARENA + LONG, "{held}");
        let (_, counters) = out.finish().unwrap();
        assert_eq!(counters.combine_input_records, u64::from(RECORDS));
        assert_eq!(counters.combine_output_records, u64::from(RECORDS));
    }
}
