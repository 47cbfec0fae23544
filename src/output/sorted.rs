//! [`Sorted`] formats finished rows as lines and writes them to a run, partitioned by ranges of their sort keys.

use super::format::with_row_format;
use super::writer::Chunk;
use super::{RowLayout, SortKeys};
use crate::data::{BATCH, Batch, Sink};
use crate::error::Result;
use crate::shuffle::first::FirstRows;
use crate::shuffle::sort::put_row;
use crate::shuffle::{Partitioner, RunWriter};
use crate::table::{SlotKey, hash};

/// Writes rows to a run by their sort keys.
pub struct Sorted<'a> {
    pub layout: &'a RowLayout,
    pub order: &'a SortKeys,
    pub partitioner: &'a Partitioner,
    /// The rows that may be among the first, if only the first are wanted and holding rows pays; and how many bytes they
    /// may take.
    pub first: Option<(FirstRows, usize)>,
    pub rows: u64,
    /// Bytes of rows that are written although a batch isn't full: one long line may be in every row of a batch.
    pub large: usize,
    pub memory: &'a mut SortedMemory,
    pub run: RunWriter,
}

/// One worker's memory for rows that are on their way to a run.
#[derive(Debug, Default)]
pub struct SortedMemory {
    keys: Chunk,
    lines: Chunk,
}

impl SortedMemory {
    fn clear(&mut self) {
        self.keys.clear();
        self.lines.clear();
    }

    fn bytes(&self) -> usize {
        self.keys.bytes.len() + self.lines.bytes.len()
    }
}

impl Sink for Sorted<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        let Sorted { layout, order, .. } = *self;
        self.rows += batch.rows as u64;
        if batch.rows == 1 {
            let cells = order.keys.iter().map(|key| key.index).chain(layout.columns.iter().copied());
            self.run.check_row(batch.texts_len(0, cells))?;
        }
        let written = layout.written(batch);
        with_row_format!(layout, format => {
            for i in 0..batch.rows {
                let cell = |cell: usize| batch.columns[cell].value(i);
                let SortedMemory { keys, lines } = &mut *self.memory;
                let start = keys.bytes.len();
                order.put(&mut keys.bytes, cell);
                // Most rows aren't among the first, and they aren't formatted.
                if self.first.as_ref().is_some_and(|(first, _)| !first.may_take(&keys.bytes.as_slice()[start..])) {
                    keys.bytes.truncate(start);
                    continue;
                }
                keys.ends.push(keys.bytes.len());
                layout.line(&mut format, &written, i, &mut lines.bytes);
                lines.ends.push(lines.bytes.len());
                if lines.ends.len() == BATCH || self.memory.bytes() > self.large {
                    self.put()?;
                }
            }
        });
        self.put()
    }
}

impl Sorted<'_> {
    /// Puts the rows in memory where they belong.
    fn put(&mut self) -> Result<()> {
        let Sorted { partitioner, first, memory, run, .. } = self;
        let SortedMemory { keys, lines } = &**memory;
        match first {
            Some((held, most)) => {
                keys.iter().zip(lines.iter()).try_for_each(|(key, line)| held.push(key, line))?;
                if let Some((rows, paid)) = held.take_beyond(*most) {
                    put_all(run, partitioner, rows.iter())?;
                    if !paid {
                        *first = None;
                    }
                }
            }
            None => put_all(run, partitioner, keys.iter().zip(lines.iter()))?,
        }
        memory.clear();
        Ok(())
    }

    /// Writes the rows that are still in memory. The caller finishes the run.
    pub fn finish(self) -> Result<RunWriter> {
        let Sorted { partitioner, first, mut run, .. } = self;
        if let Some((mut held, _)) = first {
            put_all(&mut run, partitioner, held.take().0.iter())?;
        }
        Ok(run)
    }
}

/// Writes rows, given by key and line, to their partitions.
fn put_all<'a>(
    run: &mut RunWriter,
    partitioner: &Partitioner,
    rows: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<()> {
    let mut partitions = [0; BATCH];
    let mut rows = rows.peekable();
    let mut some: Vec<(&[u8], &[u8])> = Vec::with_capacity(BATCH);
    while rows.peek().is_some() {
        some.clear();
        some.extend(rows.by_ref().take(BATCH));
        partitioner.divide(some.len(), |i| hash::hash(some[i].0), |i| SlotKey::Long(some[i].0), &mut partitions);
        for ((key, line), partition) in some.iter().zip(&partitions) {
            run.add(*partition as usize, |out| put_row(out, key, line))?;
        }
    }
    Ok(())
}
