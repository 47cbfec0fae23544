//! [`Sorted`] formats finished rows as lines and writes them to sorted runs, by a sort key.

use std::path::PathBuf;

use super::format::with_row_format;
use super::sort_key::put_sort_key;
use super::{RowLayout, SortKey};
use crate::data::buffer::Buffer;
use crate::data::{Batch, Sink, Value};
use crate::error::Result;
use crate::shuffle::PartitionBuffers;
use crate::shuffle::sort::{SortedRun, Sorter};

/// Writes rows in sorted runs.
pub struct Sorted<'a> {
    pub layout: &'a RowLayout,
    pub order: &'a [SortKey],
    /// A number that decides between rows of different tasks that `order` doesn't tell apart: the lesser number comes
    /// first. Within a task such rows stay in the order in which they came. `None` if `order` tells all rows apart.
    pub tie: Option<u64>,
    pub sorter: &'a mut Sorter,
    pub rows: u64,
    /// The most rows of the result.
    pub limit: Option<u64>,
    /// Bytes of rows at which a sorted run is written.
    pub run_bytes: usize,
    /// Returns the path for the run of this number, and whether the run's file may stay open.
    pub name: &'a dyn Fn(usize) -> (PathBuf, bool),
    pub buffers: PartitionBuffers,
    pub runs: Vec<SortedRun>,
}

impl Sink for Sorted<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        let (layout, order) = (self.layout, self.order);
        with_row_format!(layout, format => {
            for i in 0..batch.rows {
                let cell = |cell: usize| batch.columns[cell].value(i);
                let put_key = |out: &mut Buffer| {
                    for (i, key) in order.iter().enumerate() {
                        let is_last = self.tie.is_none() && i + 1 == order.len();
                        put_sort_key(out, &cell(key.index), key.descending, is_last);
                    }
                    if let Some(task) = self.tie {
                        put_sort_key(out, &Value::Decimal(task.into()), false, false);
                        put_sort_key(out, &Value::Decimal(self.rows.into()), false, true);
                    }
                };
                self.sorter.add(put_key, |out| layout.line(&mut format, cell, out));
                self.rows += 1;
                // Checked after each row: one long line may be in every row of the batch.
                if self.sorter.bytes() > self.run_bytes {
                    self.write()?;
                }
            }
        });
        Ok(())
    }
}

impl Sorted<'_> {
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
