//! Where the pieces of a file begin whose newlines may stand in quotes.
//!
//! Whether a newline ends a record depends on all bytes before it. So what each stretch between two cuts does to every state
//! is found first, by several threads; then, in order, the state at each cut; then each cut moves to the next record's start.
//!
//! ```text
//! cuts     0          ┊            ┊              ┊           len
//!          ├─ T ──────┼─ T ────────┼─ T ──────────┤
//! states   start ────► s ─────────► s ───────────► s
//! pieces   [0 ·············)[···)  [ ······ none ····· ) [ ··· )
//! ```
//!
//! A piece is then what is in it, to the byte. One in which no record begins is dropped.
//!
//! That reads all bytes once before any is mapped. Where what is mapped can be thrown away, the pieces are mapped as they are
//! instead: where the first record of each begins is [`assumed`](Edges::Assumed) from what follows the cut. When all are read
//! it shows whether each piece's last record ended where the next one's first was taken to begin. As the first piece begins
//! right, so then do all of them ([`hold`]); if not, everything is done again, exactly. A record that ended the job was one if
//! this holds up to its piece.

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

/// How it is known where the records of a piece begin, where newlines may stand in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// From all that lies before; the pieces are cut there.
    Found,
    /// From what follows the cut, which is nearly always right.
    Assumed,
}

/// A piece and what was found in it.
#[derive(Clone, Debug)]
pub struct PieceRead {
    pub piece: Piece,
    pub records: Records,
}

/// The records of a piece, by offset in its file.
#[derive(Clone, Debug)]
pub enum Records {
    /// None seemed to begin in it.
    None,
    /// From where the first was taken to begin to where the last ended.
    All(Range<u64>),
    /// One of them ended the job; the first was taken to begin here.
    Failed { begin: u64 },
}

/// Whether it may be assumed where pieces begin, and any begins inside a file: only files can be read again.
pub fn may_be_assumed(sources: &[Source], split: u64, framing: Framing) -> bool {
    matches!(framing, Framing::Quoted { .. })
        && sources.iter().all(|source| !source.is_stream())
        && sources.iter().map(Source::bytes).sum::<u64>() > split
}

/// Whether all pieces, which come in the order of the input, were right to begin where they did; or all up to the first that
/// ended the job.
pub fn hold(pieces: &[PieceRead]) -> bool {
    let mut reached = 0;
    for PieceRead { piece, records } in pieces {
        let begins_right = |begin: u64| piece.offset == 0 || begin == reached;
        match records {
            Records::All(records) if begins_right(records.start) => reached = records.end,
            Records::Failed { begin } => return begins_right(*begin),
            // A byte order mark is all there is.
            Records::None if piece.offset == 0 => reached = 0,
            // The record before has to reach its end.
            Records::None if piece.offset + piece.len <= reached => {}
            _ => return false,
        }
    }
    true
}

/// Read at once: what stays in a second-level cache.
const CHUNK: usize = 512 << 10;
/// Read first: where a record begins is mostly near, and there are a few quotes in it, should there be any.
const FIRST: usize = 16 << 10;

/// Moves the cuts of `splits`, which are in the order of the input, to where records begin. `check` is asked now and then
/// whether to go on.
pub fn to_records(
    sources: &[Source],
    splits: Vec<Split>,
    framing: Framing,
    threads: usize,
    check: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Vec<Split>> {
    let Some(mut finder) = Finder::new(sources, &splits, framing) else { return Ok(splits) };
    finder.find(usize::MAX, threads, check)?;
    Ok(finder.finish())
}

/// Finds where pieces begin, some of them at a time, in the order of the input.
#[derive(Debug)]
pub struct Finder {
    sources: Vec<Source>,
    delimiter: u8,
    /// With the splits that they are of, by number.
    left: VecDeque<(usize, Piece)>,
    /// The last that was looked at, and the state before it: what it does to that is needed for the next.
    last: Option<(usize, Piece)>,
    state: QuoteState,
    /// Begun, and not known yet where it ends.
    open: Option<(usize, Piece)>,
    /// Their pieces are found, but for the last.
    found: VecDeque<(usize, Split)>,
}

impl Finder {
    /// For splits that are in the order of the input. `None` where they begin with records as they are.
    pub fn new(sources: &[Source], splits: &[Split], framing: Framing) -> Option<Self> {
        let Framing::Quoted { delimiter } = framing else { return None };
        let pieces = splits.iter().enumerate();
        let left: VecDeque<_> =
            pieces.flat_map(|(number, split)| split.pieces.iter().map(move |piece| (number, *piece))).collect();
        let is_cut = |(_, piece): &(usize, Piece)| piece.len < sources[piece.source].bytes();
        let sources = sources.to_vec();
        left.iter().any(is_cut).then(|| Finder {
            sources,
            delimiter,
            left,
            last: None,
            state: QuoteState::FieldStart,
            open: None,
            found: VecDeque::new(),
        })
    }

    /// Looks at so many pieces more, at most. Whether there were any.
    pub fn find(&mut self, pieces: usize, threads: usize, check: &(dyn Fn() -> Result<()> + Sync)) -> Result<bool> {
        let (sources, delimiter) = (&self.sources, self.delimiter);
        let known = usize::from(self.last.is_some());
        let next = self.left.drain(..pieces.min(self.left.len()));
        let pieces: Vec<_> = self.last.take().into_iter().chain(next).collect();
        let Some((&last, before_last)) = pieces.split_last() else { return Ok(false) };
        let transitions = in_parallel(threads, before_last, |&(_, piece)| {
            let mut transition = Transition::IDENTITY;
            // What follows the last piece of a file begins anew.
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
            // One in which no record begins belongs to those before it.
            if let Some(start) = start {
                self.begin(Some((split, Piece { offset: start, ..piece })));
            }
        }
        Ok(are_left)
    }

    /// Begins a piece, which ends the one before it.
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

    /// The splits all of whose pieces are found, each once.
    pub fn whole(&mut self) -> impl Iterator<Item = Split> {
        let open = self.open.map_or(0, |(number, _)| number);
        let whole = self.found.iter().take_while(|(number, _)| *number < open).count();
        self.found.drain(..whole).map(|(_, split)| split)
    }

    /// The splits that are left, when all pieces were looked at.
    pub fn finish(mut self) -> Vec<Split> {
        self.begin(None);
        self.found.into_iter().map(|(_, split)| split).collect()
    }
}

/// Where the first record of `piece` likely begins: in the state before it that makes the best sense of what follows. If
/// need be that is more than the piece.
pub fn likely_start(source: &Source, piece: Piece, delimiter: u8) -> Result<Option<u64>> {
    let len = piece.len.max(FIRST as u64).min(source.bytes() - piece.offset);
    let what_follows = Piece { len, ..piece };
    let state = stretch(source, what_follows, |bytes| Ok(Some(likely_state(bytes, delimiter))))?;
    let Some((_, state)) = state else { return Ok(None) };
    first_start(source, piece, delimiter, state, &|| Ok(()))
}

/// Where the first record of `piece` begins, given the state before it.
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

/// Hands `each` the bytes that decide what begins in `piece`, until it has found something; which comes back with where
/// they begin. A record begins behind a newline, so these are the bytes one before those of the piece. A byte order mark
/// is none of them.
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

/// Reads until `bytes` are full or the file ends.
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

/// What `make` makes of each item, on so many threads, or the error of the first that failed.
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
            // Where no thread is to be had the others do it.
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

    /// Pieces of 10 bytes of one file, then the first of another.
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
        // A file of a byte order mark, and none that says where the record before ends.
        assert!(held(&[None]));
        assert!(!held(&[None, All(13..20)]));
        // What comes behind the record that ended the job is no matter.
        assert!(held(&[All(0..12), Failed { begin: 12 }, All(15..38)]));
        assert!(!held(&[All(0..12), Failed { begin: 13 }]));
        assert!(!held(&[All(0..12), None, Failed { begin: 12 }]));
    }
}
