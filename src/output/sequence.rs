//! The sequencer: takes the lines that tasks made and hands them to the writer one after the other, in the order of the
//! tasks if the order matters.
//!
//! ```text
//! map task of a job without groups   a run of lines        by number  ┐
//! reduce task, rows in any order     lines                 as it comes├─► sequencer ─► writer
//! range of keys, rows in order       lines                 by number  ┘
//! ```
//!
//! Only the winning attempt of a task places its lines here, so everything that is written is part of the result.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::writer::{Chunk, Writer};
use crate::error::{Error, Result};
use crate::panics::{lock, unlocked};
use crate::shuffle::Run;
use crate::shuffle::row::get_varint;

/// What one task made of the output.
#[derive(Debug)]
pub struct TaskPart {
    pub lines: Lines,
    /// The bad record after the lines. It ends the job if rows after the lines are wanted.
    pub bad: Option<Error>,
}

/// Lines of the result, in memory or in a run.
#[derive(Debug)]
pub enum Lines {
    /// Held in memory.
    Held(Chunk),
    /// In a run of one partition, whose rows are `varint line length · line`.
    Run(Run),
}

impl TaskPart {
    /// Returns the bytes of the lines, approximately.
    pub fn bytes(&self) -> u64 {
        match &self.lines {
            Lines::Held(chunk) => chunk.bytes.len() as u64,
            Lines::Run(run) => run.row_bytes(),
        }
    }
}

impl From<Lines> for TaskPart {
    fn from(lines: Lines) -> TaskPart {
        TaskPart { lines, bad: None }
    }
}

impl Default for Lines {
    fn default() -> Lines {
        Lines::Held(Chunk::default())
    }
}

/// Takes the parts of the output that tasks made, and writes their lines in order.
#[derive(Debug)]
pub struct Sequencer {
    state: Mutex<Pending>,
    /// The task whose part comes next. It is outside of `state`, which is locked while a thread writes.
    next: AtomicUsize,
    /// Whether the limit is reached.
    is_complete: AtomicBool,
    /// Chunks whose lines are written, to be used again.
    chunks: Mutex<Vec<Chunk>>,
}

#[derive(Debug)]
struct Pending {
    writer: Writer,
    /// Parts of later tasks, which wait.
    early: BTreeMap<usize, TaskPart>,
    /// Rows still wanted.
    rows_left: u64,
    rows: u64,
    page: Vec<u8>,
    chunk: Chunk,
}

impl Sequencer {
    /// Writes at most `limit` rows to `writer`.
    pub fn new(writer: Writer, limit: Option<u64>) -> Self {
        let rows_left = limit.unwrap_or(u64::MAX);
        let state =
            Pending { writer, early: BTreeMap::new(), rows_left, rows: 0, page: Vec::new(), chunk: Chunk::default() };
        Sequencer {
            state: Mutex::new(state),
            next: AtomicUsize::new(0),
            is_complete: AtomicBool::new(rows_left == 0),
            chunks: Mutex::default(),
        }
    }

    /// Returns an empty chunk. Its memory may have been used before, and isn't new to the process then.
    pub fn chunk(&self) -> Chunk {
        lock(&self.chunks).pop().unwrap_or_default()
    }

    /// Whether the limit is reached, so that no more lines are wanted.
    pub fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Relaxed)
    }

    /// Returns how many tasks have their parts written, if parts are placed by number.
    pub fn written(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Writes the lines next.
    pub fn append(&self, lines: Lines) -> Result<()> {
        self.write(&mut self.lock(), lines.into())
    }

    /// Writes the part of task `number` once the parts of all tasks before it are written. Each number is placed once.
    pub fn place(&self, number: usize, part: TaskPart) -> Result<()> {
        let mut state = self.lock();
        state.early.insert(number, part);
        while let Some(part) = state.early.remove(&self.written()) {
            self.write(&mut state, part)?;
            self.next.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Writes the parts that wait for parts that will never come.
    pub fn close_gaps(&self) -> Result<()> {
        let mut state = self.lock();
        while let Some((_, part)) = state.early.pop_first() {
            self.write(&mut state, part)?;
        }
        Ok(())
    }

    fn write(&self, state: &mut Pending, TaskPart { lines, bad }: TaskPart) -> Result<()> {
        match lines {
            Lines::Held(mut chunk) => {
                state.write(&mut chunk)?;
                chunk.clear();
                lock(&self.chunks).push(chunk);
            }
            Lines::Run(run) => state.copy(&run)?,
        }
        self.is_complete.store(state.rows_left == 0, Ordering::Relaxed);
        // A bad record after the last wanted row isn't an error.
        bad.filter(|_| state.rows_left > 0).map_or(Ok(()), Err)
    }

    /// Returns the writer and the number of rows written.
    pub fn finish(self) -> (Writer, u64) {
        let state = unlocked(self.state);
        (state.writer, state.rows)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        lock(&self.state)
    }
}

impl Pending {
    fn write(&mut self, chunk: &mut Chunk) -> Result<()> {
        let rows = chunk.ends.len() as u64;
        if rows > self.rows_left {
            chunk.ends.truncate(self.rows_left as usize);
            chunk.bytes.truncate(chunk.ends.last().copied().unwrap_or(0));
        }
        self.rows_left -= chunk.ends.len() as u64;
        self.rows += chunk.ends.len() as u64;
        self.writer.write(chunk)
    }

    fn copy(&mut self, run: &Run) -> Result<()> {
        let Pending { writer, rows_left, rows, page: buffer, chunk, .. } = self;
        let reader = run.reader()?;
        let mut copied = 0;
        for page in &*run.pages(0..1)? {
            if *rows_left == 0 {
                return Ok(());
            }
            chunk.clear();
            let payload = reader.read(page, buffer)?;
            let lines = read_lines(payload, *rows_left, chunk);
            let lines = lines.ok_or_else(|| reader.corrupt(page, "a page holds what is no line"))?;
            writer.write(chunk)?;
            *rows_left -= lines;
            *rows += lines;
            copied += lines;
        }
        if *rows_left > 0 { run.check_rows(copied) } else { Ok(()) }
    }
}

/// Appends at most `most` lines of a run's page. Returns how many; `None` if the page holds something else.
fn read_lines(page: &[u8], most: u64, out: &mut Chunk) -> Option<u64> {
    let (mut at, mut lines) = (0, 0);
    while at < page.len() && lines < most {
        let len = get_varint(page, &mut at)?;
        out.bytes.extend(page.get(at..at.checked_add(len)?)?);
        out.ends.push(out.bytes.len());
        at += len;
        lines += 1;
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;
    use crate::data::buffer::Buffer;
    use crate::data::temporary::Temporaries;
    use crate::output::{Compression, Target, TerminalGuard};

    fn sequencer(path: &std::path::Path, limit: Option<u64>) -> Sequencer {
        let target = Target::File(path.into(), Compression::None);
        let writer =
            Writer::open(&target, Buffer::default(), false, 1, &Temporaries::default(), TerminalGuard::default());
        Sequencer::new(writer.unwrap(), limit)
    }

    fn part(text: &str) -> TaskPart {
        let mut chunk = Chunk { ends: vec![text.len()], ..Chunk::default() };
        chunk.bytes.extend(text.as_bytes());
        Lines::Held(chunk).into()
    }

    #[test]
    fn parts_are_written_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let sequencer = sequencer(&path, Some(20));
        thread::scope(|scope| {
            for first in 0..3 {
                let sequencer = &sequencer;
                scope.spawn(move || {
                    (first..30).step_by(3).for_each(|n| sequencer.place(n, part(&format!("{n}\n"))).unwrap());
                });
            }
        });
        assert_eq!(sequencer.written(), 30);
        assert!(sequencer.is_complete());
        let (writer, rows) = sequencer.finish();
        let _ = writer.commit().unwrap();
        let expected: String = (0..20).map(|n| format!("{n}\n")).collect();
        assert_eq!((fs::read_to_string(path).unwrap(), rows), (expected, 20));
    }

    #[test]
    fn a_bad_record_ends_the_job_if_rows_behind_it_are_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let bad = |text| TaskPart { bad: Some(Error::usage("bad")), ..part(text) };
        for (limit, fails) in [(None, true), (Some(3), true), (Some(2), false)] {
            let sequencer = sequencer(&dir.path().join("out"), limit);
            sequencer.place(1, bad("b\n")).unwrap();
            assert_eq!(sequencer.place(0, part("a\n")).is_err(), fails, "{limit:?}");
        }
    }
}
