//! Chunks finish in any order and are written in theirs.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

use super::sink::{Chunk, Sink};
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
    sink: Sink,
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
    /// Writes at most `limit` rows to `sink`.
    pub fn new(sink: Sink, limit: Option<u64>) -> Self {
        let rows_left = limit.unwrap_or(u64::MAX);
        let state = State { sink, next: 0, early: BTreeMap::new(), rows_left, rows: 0, failed: false };
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

    /// Ends the waiting: some chunk will never come.
    pub fn fail(&self) {
        self.fail_locked(&mut self.lock());
    }

    fn fail_locked(&self, state: &mut State) {
        state.failed = true;
        self.written.notify_all();
    }

    /// The sink back, and the rows written.
    pub fn finish(self) -> (Sink, u64) {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        (state.sink, state.rows)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.sink.write(&chunk)
    }
}
