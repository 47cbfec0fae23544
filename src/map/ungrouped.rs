//! Records that pass through: a map-only job's records become lines of output in the map attempt.
//!
//! In input order they go to a run of one partition, whose rows are `varint line length · line`. Sorted they go to sorted
//! runs; where `sort` leaves a choice the input order decides.

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

/// Records in input order.
#[derive(Debug)]
pub struct LinesInOrder<'a> {
    pub layout: &'a RowLayout,
    pub run: RunWriter,
    /// More than these are not wanted.
    pub limit: u64,
    pub rows: u64,
    /// The line that is being made: its length goes in front of it.
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

/// Records sorted.
pub struct LinesSorted<'a> {
    pub layout: &'a RowLayout,
    pub order: &'a [SortKey],
    pub sorter: &'a mut Sorter,
    /// The attempt's task: of records that `sort` doesn't tell apart, that of an earlier task comes first.
    pub task: u64,
    pub rows: u64,
    pub limit: Option<u64>,
    /// Bytes of rows at which a sorted run is written.
    pub run_bytes: usize,
    /// Names the run of a number, and says whether it may stay open.
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
                // After each: one long line may be in every record of the batch.
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

    /// Writes what is still held, and hands the runs and the buffers back.
    pub fn finish(mut self) -> Result<(Vec<SortedRun>, PartitionBuffers)> {
        if self.sorter.bytes() > 0 {
            self.write()?;
        }
        Ok((self.runs, self.buffers))
    }
}
