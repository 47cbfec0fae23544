//! Where the records of a job without groups go: [`LinesInOrder`] and [`LinesSorted`] format them as lines and write
//! the lines to a map task's run.
//!
//! In input order the lines go to a run of one partition, whose rows are `varint line length · line`. Sorted they go to
//! sorted runs. Records that `sort` doesn't tell apart stay in input order.

use std::path::PathBuf;

use crate::data::buffer::Buffer;
use crate::data::{Batch, Sink, Value};
use crate::error::Result;
use crate::output::format::with_row_format;
use crate::output::order::{SortedRun, Sorter};
use crate::output::sort_key::put_sort_key;
use crate::output::{RowLayout, SortKey};
use crate::shuffle::row::put_varint;
use crate::shuffle::{PartitionBuffers, RunWriter};

/// Writes records in input order.
#[derive(Debug)]
pub struct LinesInOrder<'a> {
    pub layout: &'a RowLayout,
    pub run: RunWriter,
    /// Most rows that are wanted.
    pub limit: u64,
    pub rows: u64,
    /// The line that is being made. It is buffered because its length is written before it.
    pub line: Buffer,
}

impl Sink for LinesInOrder<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        let LinesInOrder { layout, run, limit, rows, line } = self;
        let n = batch.rows.min(usize::try_from(*limit - *rows).unwrap_or(usize::MAX));
        *rows += n as u64;
        with_row_format!(layout, format => {
            for i in 0..n {
                line.clear();
                layout.line(&mut format, |field: usize| batch.columns[field].value(i), line);
                run.add(0, |out| {
                    put_varint(out, line.len());
                    out.extend(line.as_slice());
                })?;
            }
        });
        Ok(())
    }

    fn wants_more(&self) -> bool {
        self.rows < self.limit
    }
}

/// Writes records in sorted runs.
pub struct LinesSorted<'a> {
    pub layout: &'a RowLayout,
    pub order: &'a [SortKey],
    pub sorter: &'a mut Sorter,
    /// The number of the attempt's task. If `sort` doesn't tell two records apart, the one of the earlier task comes
    /// first.
    pub task: u64,
    pub rows: u64,
    pub limit: Option<u64>,
    /// Bytes of rows at which a sorted run is written.
    pub run_bytes: usize,
    /// Returns the path for the run of this number, and whether the run's file may stay open.
    pub name: &'a dyn Fn(usize) -> (PathBuf, bool),
    pub buffers: PartitionBuffers,
    pub runs: Vec<SortedRun>,
}

impl Sink for LinesSorted<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        let (layout, order) = (self.layout, self.order);
        with_row_format!(layout, format => {
            for i in 0..batch.rows {
                let cell = |field: usize| batch.columns[field].value(i);
                let put_key = |out: &mut Buffer| {
                    order.iter().for_each(|key| put_sort_key(out, &cell(key.index), key.descending, false));
                    put_sort_key(out, &Value::Decimal(self.task.into()), false, false);
                    put_sort_key(out, &Value::Decimal(self.rows.into()), false, true);
                };
                self.sorter.add(put_key, |out| layout.line(&mut format, cell, out));
                self.rows += 1;
                // Checked after each record: one long line may be in every record of the batch.
                if self.sorter.bytes() > self.run_bytes {
                    self.write()?;
                }
            }
        });
        Ok(())
    }
}

impl LinesSorted<'_> {
    fn write(&mut self) -> Result<()> {
        let (path, keep_open) = (self.name)(self.runs.len());
        let buffers = std::mem::take(&mut self.buffers);
        let (run, buffers) = self.sorter.write(path, self.limit, keep_open, buffers)?;
        self.buffers = buffers;
        self.runs.push(run);
        Ok(())
    }

    /// Writes the rows that the sorter still holds. Returns the runs and the buffers.
    pub fn finish(mut self) -> Result<(Vec<SortedRun>, PartitionBuffers)> {
        if self.sorter.bytes() > 0 {
            self.write()?;
        }
        Ok((self.runs, self.buffers))
    }
}
