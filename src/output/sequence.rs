//! Chunks finish in any order and are written in theirs.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

use super::writer::{Chunk, Writer};
use crate::error::{Error, Result};

/// Writes numbered chunks in order. Who comes too early leaves the chunk behind, unless `AHEAD` are waiting already:
/// then they wait themselves, so that a slow reader of the output doesn't fill memory.
#[derive(Debug)]
pub struct Sequence {
    state: Mutex<State>,
    written: Condvar,
}

#[derive(Debug)]
struct State {
    writer: Writer,
    next: usize,
    early: BTreeMap<usize, Chunk>,
    /// Rows still wanted.
    rows_left: u64,
    rows: u64,
    failed: bool,
}

/// Chunks that may wait for an earlier one.
const AHEAD: usize = 8;

impl Sequence {
    /// Writes at most `limit` rows to `writer`.
    pub fn new(writer: Writer, limit: Option<u64>) -> Self {
        let rows_left = limit.unwrap_or(u64::MAX);
        let state = State { writer, next: 0, early: BTreeMap::new(), rows_left, rows: 0, failed: false };
        Sequence { state: Mutex::new(state), written: Condvar::new() }
    }

    /// Whether nothing more is wanted.
    pub fn is_done(&self) -> bool {
        let state = self.lock();
        state.rows_left == 0 || state.failed
    }

    /// Hands over chunk `n`. Every number is handed over once, in any order, by threads that each go upwards.
    pub fn put(&self, n: usize, chunk: Chunk) -> Result<()> {
        let mut state = self.lock();
        while n > state.next + AHEAD && !state.failed {
            state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.early.insert(n, chunk);
        while let Some(chunk) = {
            let next = state.next;
            state.early.remove(&next)
        } {
            if let Err(error) = state.write(chunk) {
                self.fail_locked(&mut state);
                return Err(error);
            }
            state.next += 1;
            self.written.notify_all();
        }
        Ok(())
    }

    /// Held by who hands over chunks. Unless it is finished, dropping it ends the waiting: some chunk will never come,
    /// because of an error or a panic.
    pub fn whole(&self) -> Whole<'_> {
        Whole(self)
    }

    fn fail_locked(&self, state: &mut State) {
        state.failed = true;
        self.written.notify_all();
    }

    /// The writer back, and the rows written.
    pub fn finish(self) -> (Writer, u64) {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        (state.writer, state.rows)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub struct Whole<'s>(&'s Sequence);

impl Whole<'_> {
    /// Every chunk was handed over.
    pub fn finish(self) {
        std::mem::forget(self);
    }
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        self.0.fail_locked(&mut self.0.lock());
    }
}

impl State {
    fn write(&mut self, mut chunk: Chunk) -> Result<(), Error> {
        let rows = chunk.ends.len() as u64;
        if rows > self.rows_left {
            chunk.ends.truncate(self.rows_left as usize);
            chunk.bytes.truncate(chunk.ends.last().copied().unwrap_or(0));
        }
        self.rows_left -= chunk.ends.len() as u64;
        self.rows += chunk.ends.len() as u64;
        self.writer.write(&chunk)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use super::*;
    use crate::data::buffer::Buffer;
    use crate::output::{Compression, Target};

    fn sequence(path: &std::path::Path, limit: Option<u64>) -> Sequence {
        Sequence::new(
            Writer::open(&Target::File(path.into(), Compression::None), Buffer::default(), false, 1).unwrap(),
            limit,
        )
    }

    fn chunk(text: &str) -> Chunk {
        let mut chunk = Chunk { ends: vec![text.len()], ..Chunk::default() };
        chunk.bytes.extend(text.as_bytes());
        chunk
    }

    #[test]
    fn chunks_are_written_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let sequence = sequence(&path, Some(20));
        thread::scope(|scope| {
            for first in 0..3 {
                let sequence = &sequence;
                scope.spawn(move || {
                    (first..30).step_by(3).for_each(|n| sequence.put(n, chunk(&format!("{n}\n"))).unwrap());
                });
            }
        });
        let (writer, rows) = sequence.finish();
        let _ = writer.commit().unwrap();
        let expected: String = (0..20).map(|n| format!("{n}\n")).collect();
        assert_eq!((fs::read_to_string(path).unwrap(), rows), (expected, 20));
    }

    /// Chunk 0 never comes, and whoever waits for it must not wait for ever.
    #[test]
    fn a_panic_ends_the_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let sequence = sequence(&dir.path().join("out"), None);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| sequence.put(AHEAD + 1, chunk("late\n")));
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _whole = sequence.whole();
                panic!("as if a bug");
            }));
            assert!(panicked.is_err());
            waiting.join().unwrap().unwrap();
        });
        assert!(sequence.is_done());
        File::open(dir.path().join("out")).unwrap_err();
    }
}
