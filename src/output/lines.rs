//! [`Lines`] formats finished rows as lines, in the order in which they come.

use super::RowLayout;
use super::format::with_row_format;
use super::writer::Chunk;
use crate::data::{Batch, Sink};
use crate::error::Result;
use crate::shuffle::RunWriter;
use crate::shuffle::row::put_varint;

/// Formats rows as lines.
#[derive(Debug)]
pub struct Lines<'a> {
    pub layout: &'a RowLayout,
    /// Most rows that are wanted.
    pub limit: u64,
    pub rows: u64,
    /// The lines so far, or those of the last batch if lines go to a run.
    pub lines: &'a mut Chunk,
    /// Where the lines go, if they aren't held: a run of one partition, whose rows are `varint line length · line`.
    pub run: Option<RunWriter>,
}

impl Sink for Lines<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        let Lines { layout, limit, rows, lines: Chunk { bytes, ends }, run } = self;
        let n = batch.rows.min(usize::try_from(*limit - *rows).unwrap_or(usize::MAX));
        *rows += n as u64;
        with_row_format!(layout, format => {
            for i in 0..n {
                layout.line(&mut format, |cell: usize| batch.columns[cell].value(i), bytes);
                ends.push(bytes.len());
                if let Some(run) = run {
                    run.add(0, |out| {
                        put_varint(out, bytes.len());
                        out.extend(bytes.as_slice());
                    })?;
                    bytes.clear();
                    ends.clear();
                }
            }
        });
        Ok(())
    }

    fn wants_more(&self) -> bool {
        self.rows < self.limit
    }
}
