//! [`Lines`] formats finished rows as lines, in the order in which they come. [`HeldLines`] keeps lines in memory, or in
//! a run if they are many.

use super::RowLayout;
use super::format::with_row_format;
use super::sequence;
use super::writer::Chunk;
use crate::data::{Batch, Sink};
use crate::error::Result;
use crate::shuffle::row::put_varint;
use crate::shuffle::{PartitionBuffers, Run, RunSize, RunWriter};

/// The lines of a task.
pub struct HeldLines<'a> {
    lines: Chunk,
    /// Bytes of lines that stay in memory.
    most: usize,
    /// A run of one partition, whose rows are `varint line length · line`. It has the lines before those in memory.
    run: Option<RunWriter>,
    begin_run: &'a dyn Fn() -> Result<RunWriter>,
}

impl<'a> HeldLines<'a> {
    /// Holds up to `most` bytes in the memory of `lines`. Once there are more, all lines go to the run that `begin_run`
    /// begins.
    pub fn new(lines: Chunk, most: usize, begin_run: &'a dyn Fn() -> Result<RunWriter>) -> Self {
        HeldLines { lines, most, run: None, begin_run }
    }

    /// Holds no lines, not even few: they all go to the run.
    pub fn in_run(lines: Chunk, run: RunWriter) -> HeldLines<'static> {
        HeldLines { lines, most: 0, run: Some(run), begin_run: &|| unreachable!("the run has begun") }
    }

    pub fn push(&mut self, line: &[u8]) -> Result<()> {
        self.lines.bytes.extend(line);
        self.end_line()
    }

    #[inline]
    fn end_line(&mut self) -> Result<()> {
        self.lines.ends.push(self.lines.bytes.len());
        if self.lines.bytes.len() > self.most { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<()> {
        let run = match &mut self.run {
            Some(run) => run,
            None => self.run.insert((self.begin_run)()?),
        };
        for line in self.lines.iter() {
            run.add(0, |out| {
                put_varint(out, line.len());
                out.extend(line);
            })?;
        }
        self.lines.clear();
        Ok(())
    }

    pub fn finish(mut self) -> Result<MadeLines> {
        if self.run.is_none() {
            return Ok(MadeLines { lines: sequence::Lines::Held(self.lines), ..MadeLines::default() });
        }
        self.spill()?;
        let (run, buffers) = self.run.expect("lines went to it").finish()?;
        let size = run.size;
        let lines = sequence::Lines::Run(Run::open(run, false)?);
        Ok(MadeLines { lines, size, buffers, spare: self.lines })
    }
}

/// The lines of a task, and memory to be used again.
#[derive(Debug, Default)]
pub struct MadeLines {
    pub lines: sequence::Lines,
    /// The size of their run, if they are in one.
    pub size: RunSize,
    pub buffers: PartitionBuffers,
    pub spare: Chunk,
}

/// Formats rows as lines.
pub struct Lines<'a> {
    pub layout: &'a RowLayout,
    /// Most rows that are wanted.
    pub limit: u64,
    pub rows: u64,
    pub to: HeldLines<'a>,
}

impl Sink for Lines<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        let Lines { layout, limit, rows, to } = self;
        if let (1, Some(run)) = (batch.rows, &to.run) {
            run.check_row(batch.texts_len(0, layout.columns.iter().copied()))?;
        }
        let n = batch.rows.min(usize::try_from(*limit - *rows).unwrap_or(usize::MAX));
        *rows += n as u64;
        let written = layout.written(batch);
        with_row_format!(layout, format => {
            for i in 0..n {
                layout.line(&mut format, &written, i, &mut to.lines.bytes);
                to.end_line()?;
            }
        });
        Ok(())
    }

    fn wants_more(&self) -> bool {
        self.rows < self.limit
    }
}
