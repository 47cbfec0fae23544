//! Finds where records begin in the pieces of files whose newlines may stand in quotes. The splits that come in are cut
//! at any byte; the pieces of those that come out are whole records.
//!
//! Whether a newline ends a record depends on all bytes before it. So several threads first find what each stretch
//! between two cuts does to every state: its transition `T`. Then the state at each cut follows, one after the other.
//! Last, each cut moves to the start of the next record.
//!
//! ```text
//! cuts     0          ┊            ┊              ┊           len
//!          ├─ T ──────┼─ T ────────┼─ T ──────────┤
//! states   start ────► s ─────────► s ───────────► s
//! pieces   [0 ·············)[···)  [ ······ none ····· ) [ ··· )
//! ```
//!
//! Each piece then is its records, to the byte. A piece in which no record begins is dropped.
//!
//! This reads all bytes once before any are mapped. If the results of the map can be thrown away, the pieces are mapped
//! as they are instead. The start of each piece's first record is then [`assumed`](Edges::Assumed) from what follows
//! the cut. After all pieces are read, it shows whether each piece's last record ended where the next piece's first
//! record was assumed to begin. The first piece begins right, so if all records meet, all pieces began right
//! ([`hold`]). Otherwise everything is done again, exactly. If a record ended the job, that counts only if the edges
//! hold up to its piece.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::splits::{Piece, Split};
use super::{Source, failed, mark_len, planned};
use crate::error::Result;
use crate::failpoint::{self, Point};
use crate::panics;
use crate::record::{Framing, QuoteState, Transition, first_record_start, likely_state};

/// How the start of a piece's first record is known, if newlines may stand in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// From all bytes before the piece. The pieces are cut there.
    Found,
    /// From the bytes after the cut, which is nearly always right.
    Assumed,
}

/// A piece and what was found in it.
#[derive(Clone, Debug)]
pub struct PieceRead {
    pub piece: Piece,
    pub records: Records,
}

/// The records of a piece, by offset in the piece's file.
#[derive(Clone, Debug)]
pub enum Records {
    /// No record seemed to begin in the piece.
    None,
    /// From the assumed start of the first record to the end of the last record.
    All(Range<u64>),
    /// A record of the piece ended the job. The first record was assumed to begin at `begin`.
    Failed { begin: u64 },
}

/// Whether the edges may be assumed, and any piece begins inside a file. All sources must be files, since only files
/// can be read again.
pub fn may_be_assumed(sources: &[Source], split: u64, framing: Framing) -> bool {
    matches!(framing, Framing::Quoted { .. })
        && sources.iter().all(|source| !source.is_stream())
        && sources.iter().map(Source::bytes).sum::<u64>() > split
}

/// Whether all pieces began where a record begins, or all pieces up to the first that ended the job. `pieces` are in
/// the order of the input.
pub fn hold(pieces: &[PieceRead]) -> bool {
    let mut reached = 0;
    for PieceRead { piece, records } in pieces {
        let begins_right = |begin: u64| piece.offset == 0 || begin == reached;
        match records {
            Records::All(records) if begins_right(records.start) => reached = records.end,
            Records::Failed { begin } => return begins_right(*begin),
            // The file may hold no more than a byte order mark.
            Records::None if piece.offset == 0 => reached = 0,
            // The record before this piece must reach the end of this piece.
            Records::None if piece.offset + piece.len <= reached => {}
            _ => return false,
        }
    }
    true
}

/// Bytes read at once: as many as stay in a second-level cache.
const CHUNK: usize = 512 << 10;
/// Bytes read first. The start of a record is mostly among them, and so are a few quotes, if the file has any.
const FIRST: usize = 16 << 10;

/// Moves the cuts of `splits`, which are in the order of the input, to where records begin. `check` is called now and
/// then, and its error ends the search.
pub fn to_records(
    sources: &[Source],
    splits: Vec<Split>,
    framing: Framing,
    threads: usize,
    check: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Vec<Split>> {
    let Some(mut finder) = EdgeFinder::new(sources, &splits, framing) else { return Ok(splits) };
    finder.find(usize::MAX, threads, check)?;
    Ok(finder.finish())
}

/// Finds where the records of pieces begin, a few pieces at a time, in the order of the input.
#[derive(Debug)]
pub struct EdgeFinder {
    sources: Vec<Source>,
    delimiter: u8,
    /// Pieces that are left, each with the number of its split.
    left: VecDeque<(usize, Piece)>,
    /// The last piece that was looked at. `state` is the state before this piece, and the next piece needs what this
    /// piece does to it.
    last: Option<(usize, Piece)>,
    state: QuoteState,
    /// The piece that has begun and whose end isn't known yet.
    open: Option<(usize, Piece)>,
    /// Splits whose pieces are found, each with its number. The last split may get more pieces.
    found: VecDeque<(usize, Split)>,
}

impl EdgeFinder {
    /// Takes splits in the order of the input. `None` if all of them already begin with records.
    pub fn new(sources: &[Source], splits: &[Split], framing: Framing) -> Option<Self> {
        let Framing::Quoted { delimiter } = framing else { return None };
        let pieces = splits.iter().enumerate();
        let left: VecDeque<_> =
            pieces.flat_map(|(number, split)| split.pieces.iter().map(move |piece| (number, *piece))).collect();
        let is_cut = |(_, piece): &(usize, Piece)| piece.len < sources[piece.source].bytes();
        let sources = sources.to_vec();
        left.iter().any(is_cut).then(|| EdgeFinder {
            sources,
            delimiter,
            left,
            last: None,
            state: QuoteState::FieldStart,
            open: None,
            found: VecDeque::new(),
        })
    }

    /// Looks at up to `pieces` more pieces. Returns whether there were any.
    pub fn find(&mut self, pieces: usize, threads: usize, check: &(dyn Fn() -> Result<()> + Sync)) -> Result<bool> {
        let (sources, delimiter) = (&self.sources, self.delimiter);
        let known = usize::from(self.last.is_some());
        let next = self.left.drain(..pieces.min(self.left.len()));
        let pieces: Vec<_> = self.last.take().into_iter().chain(next).collect();
        let Some((&last, before_last)) = pieces.split_last() else { return Ok(false) };
        let transitions = in_parallel(threads, before_last, |&(_, piece)| {
            let mut transition = Transition::IDENTITY;
            // After the last piece of a file, the next file begins in its own first state.
            if piece.offset + piece.len < sources[piece.source].bytes() {
                stretch(&sources[piece.source], piece, |bytes| {
                    transition = transition.then(Transition::of(bytes, delimiter));
                    check().map(|()| None::<u64>)
                })?;
            }
            Ok(transition)
        })?;
        let mut state = self.state;
        let mut begun = vec![(pieces[0].1, state)];
        for (&(_, piece), transition) in pieces[1..].iter().zip(transitions) {
            state = if piece.offset == 0 { QuoteState::FieldStart } else { transition.from(state) };
            begun.push((piece, state));
        }
        let starts = in_parallel(threads, &begun[known..], |&(piece, state)| {
            first_start(&sources[piece.source], piece, delimiter, state, check)
        })?;
        (self.last, self.state) = (Some(last), state);
        let are_left = pieces.len() > known;
        for ((split, piece), start) in pieces.into_iter().skip(known).zip(starts) {
            // A piece in which no record begins belongs to the pieces before it.
            if let Some(start) = start {
                self.begin(Some((split, Piece { offset: start, ..piece })));
            }
        }
        Ok(are_left)
    }

    /// Begins the piece `next`, which ends the piece before it.
    fn begin(&mut self, next: Option<(usize, Piece)>) {
        let Some((number, open)) = std::mem::replace(&mut self.open, next) else { return };
        let behind = next.filter(|(_, next)| next.source == open.source).map(|(_, next)| next.offset);
        let end = behind.unwrap_or_else(|| self.sources[open.source].bytes());
        let piece = Piece { len: end - open.offset, ..open };
        match self.found.back_mut() {
            Some((last, split)) if *last == number => split.pieces.push(piece),
            _ => self.found.push_back((number, Split { pieces: vec![piece] })),
        }
    }

    /// Takes out the splits all of whose pieces are found.
    pub fn whole(&mut self) -> impl Iterator<Item = Split> {
        let open = self.open.map_or(0, |(number, _)| number);
        let whole = self.found.iter().take_while(|(number, _)| *number < open).count();
        self.found.drain(..whole).map(|(_, split)| split)
    }

    /// Returns the splits that are left. All pieces must have been looked at.
    pub fn finish(mut self) -> Vec<Split> {
        self.begin(None);
        self.found.into_iter().map(|(_, split)| split).collect()
    }
}

/// Returns where the first record of `piece` likely begins. The state before the piece is assumed to be the one that
/// makes the best sense of the bytes that follow, which may be more than the piece.
pub fn likely_start(source: &Source, piece: Piece, delimiter: u8) -> Result<Option<u64>> {
    let len = piece.len.max(FIRST as u64).min(source.bytes() - piece.offset);
    let what_follows = Piece { len, ..piece };
    let state = stretch(source, what_follows, |bytes| Ok(Some(likely_state(bytes, delimiter))))?;
    let Some((_, state)) = state else { return Ok(None) };
    first_start(source, piece, delimiter, state, &|| Ok(()))
}

/// Returns where the first record of `piece` begins, given the state before the piece.
fn first_start(
    source: &Source,
    piece: Piece,
    delimiter: u8,
    mut state: QuoteState,
    check: &dyn Fn() -> Result<()>,
) -> Result<Option<u64>> {
    if piece.offset == 0 {
        return Ok(Some(0));
    }
    let mut at = 0;
    let found = stretch(source, piece, |bytes| {
        check()?;
        let found = first_record_start(state, bytes, delimiter);
        if found.is_none() {
            state = Transition::of(bytes, delimiter).from(state);
            at += bytes.len() as u64;
        }
        Ok(found.map(|start| at + start as u64))
    })?;
    Ok(found.map(|(from, start)| from + start))
}

/// Calls `each` with the bytes that decide which records begin in `piece`, until `each` returns something. Returns
/// that, and the offset at which these bytes begin. A record begins after a newline, so these bytes are the piece's,
/// shifted back by one. A byte order mark isn't among them.
fn stretch<T>(
    source: &Source,
    piece: Piece,
    mut each: impl FnMut(&[u8]) -> Result<Option<T>>,
) -> Result<Option<(u64, T)>> {
    let failed = failed(source);
    let file = planned::open(source, 0)?;
    let mut start = [0; 3];
    let read = full(&file, &mut start, 0).map_err(|e| failed(0, e))?;
    let mark = mark_len(&start[..read]) as u64;
    let from = piece.offset.saturating_sub(1).max(mark);
    let to = (piece.offset + piece.len - 1).max(mark);
    let (mut buffer, mut at) = (Vec::new(), from);
    while at < to {
        let most = if at == from { FIRST } else { CHUNK };
        let wanted = most.min((to - at) as usize);
        buffer.resize(wanted.max(buffer.len()), 0);
        let read = full(&file, &mut buffer[..wanted], at).map_err(|e| failed(at, e))?;
        if read < wanted {
            return Err(failed(at, planned::cut_shorter()));
        }
        if let Some(found) = each(&buffer[..wanted])? {
            return Ok(Some((from, found)));
        }
        at += wanted as u64;
    }
    Ok(None)
}

/// Reads until `bytes` are full or the file ends. Returns how many bytes were read.
pub fn full(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        failpoint::hit(Point::InputRead)?;
        match file.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Calls `make` with each item, on up to `threads` threads. Returns the results in order, or the error of the first
/// item that failed.
pub(super) fn in_parallel<I: Sync, T: Send>(
    threads: usize,
    items: &[I],
    make: impl Fn(&I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let made = Mutex::new(Vec::with_capacity(items.len()));
    let work = || {
        while let Some((number, item)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            items.get(number).map(|item| (number, item))
        } {
            let result = panics::caught(|| "reading ahead".into(), || make(item));
            if result.is_err() {
                next.fetch_max(items.len(), Ordering::Relaxed);
            }
            made.lock().expect("nothing panics while it is locked").push((number, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            // If a thread can't be started, the others do its work.
            let _ = thread::Builder::new().name("edges".into()).spawn_scoped(scope, work);
        }
        work();
    });
    let mut made = made.into_inner().expect("nothing panics while it is locked");
    made.sort_unstable_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether these records hold in pieces of 10 bytes: four pieces of each file.
    fn held(found: &[Records]) -> bool {
        let piece = |i: usize| Piece { source: i / 4, offset: 10 * (i as u64 % 4), len: 10 };
        let read = found.iter().enumerate().map(|(i, records)| PieceRead { piece: piece(i), records: records.clone() });
        hold(&read.collect::<Vec<_>>())
    }

    #[test]
    fn edges_hold_where_records_meet() {
        use Records::{All, Failed, None};
        assert!(held(&[All(0..12), All(12..38), None, All(38..40), All(3..10)]));
        assert!(!held(&[All(0..12), All(11..38), None, All(38..40)]));
        assert!(!held(&[All(0..12), All(12..29), None, All(38..40)]));
        assert!(!held(&[All(0..12), All(12..38), None, All(39..40)]));
        // A file of only a byte order mark holds. A first piece without records doesn't say where the next record
        // begins.
        assert!(held(&[None]));
        assert!(!held(&[None, All(13..20)]));
        // What follows the record that ended the job doesn't matter.
        assert!(held(&[All(0..12), Failed { begin: 12 }, All(15..38)]));
        assert!(!held(&[All(0..12), Failed { begin: 13 }]));
        assert!(!held(&[All(0..12), None, Failed { begin: 12 }]));
    }
}
