//! What map tasks read, one after the other as it is there: splits of files, and blocks of streams as they come.
//!
//! ```text
//! numbering       order of work                                   dealt before anything is read
//! files first     splits, then blocks of any stream               all splits
//! input           as the sources are: splits and streams in turn  all splits, if there is no stream
//! ```
//!
//! Blocks of streams are bounded: each holds a permit until its task ends, and when none is left nobody takes more from
//! the readers, which then wait themselves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use crossbeam_channel::{Receiver, RecvError, Sender, TryRecvError, bounded, never};

use super::Counted;
use super::ahead::Ahead;
use super::edges::{self, Edges};
use super::hedging::Hedging;
use super::splits::{self, Split};
use super::stream::{self, BlockExtent, Blocks, Queue, Readers, StreamBlock};
use super::{Place, RecordEnd, Source};
use crate::error::Result;

/// What one map task reads.
#[derive(Debug)]
pub enum MapWork {
    Split(Split),
    /// The permit is held.
    Block(StreamBlock, Permit),
}

impl MapWork {
    /// How to have the same once more, if it can be read again.
    pub fn again(&self, sources: &[Source]) -> Option<Again> {
        match self {
            MapWork::Split(split) => Some(Again::Split(split.clone())),
            MapWork::Block(block, _) => {
                sources[block.place().source].is_at_hand().then(|| Again::Block(block.extent()))
            }
        }
    }

    /// Where its bytes begin, and how many they are.
    pub fn place(&self) -> (Place, u64) {
        match self {
            MapWork::Split(split) => (Place { source: split.source(), offset: split.pieces[0].offset }, split.bytes()),
            MapWork::Block(block, _) => (block.place(), block.stretch().bytes.len() as u64),
        }
    }
}

/// What a map task has read, of which nothing is kept.
#[derive(Debug)]
pub enum Again {
    Split(Split),
    /// A packed file is unpacked from its beginning to have it.
    Block(BlockExtent),
}

impl Again {
    pub fn work(&self, sources: &[Source]) -> Result<MapWork> {
        Ok(match self {
            Again::Split(split) => MapWork::Split(split.clone()),
            Again::Block(extent) => MapWork::Block(extent.read(sources)?, Permit { blocks: 0, taken: never() }),
        })
    }
}

/// What a stream block takes of a bounded number in memory: a long record counts for many. Dropped with its block,
/// mapped or not.
#[derive(Debug)]
pub struct Permit {
    blocks: usize,
    taken: Receiver<()>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.taken.try_iter().take(self.blocks).for_each(drop);
    }
}

/// In which order tasks are numbered, and wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// Files first: a slow stream keeps no worker waiting.
    FilesFirst,
    /// As the input is, and done in about that order.
    Input,
    /// Likewise, and whoever waits for the output has each record as soon as it is there.
    Streaming,
}

/// How sources become work.
#[derive(Clone, Copy, Debug)]
pub struct Cutting {
    pub numbering: Numbering,
    pub end_of: RecordEnd,
    pub edges: Edges,
    /// Whether splits are handed out as their edges are found, while others are yet to be: a deadline may come first.
    pub ahead: bool,
    /// Bytes of a split, and of a stream's block.
    pub split: u64,
    pub block: usize,
    /// Of the pool.
    pub threads: usize,
    /// Which blocks say what line they begin with.
    pub counted: Counted,
}

#[derive(Debug)]
pub struct Feed {
    splits: VecDeque<Split>,
    /// Where more splits come from.
    ahead: Option<Ahead>,
    /// The one in front is read; beside each the source whose turn it is then.
    queues: VecDeque<(usize, Queue)>,
    /// Dropped behind the queues, so that no reader waits for one.
    readers: Readers,
    /// Waits for a permit.
    held: Option<StreamBlock>,
    numbering: Numbering,
    block: usize,
    permits: Sender<()>,
    taken: Receiver<()>,
}

impl Feed {
    /// Begins to read streams. `check` is asked now and then whether to go on, where finding the cuts of files takes long.
    pub fn new(
        sources: &[Source],
        cut: Cutting,
        hedging: &Arc<Hedging>,
        check: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Feed> {
        Feed::of(sources, splits::cut(sources, cut.split), cut, hedging, check)
    }

    /// The same of these splits of the files.
    pub fn of(
        sources: &[Source],
        splits: Vec<Split>,
        cut: Cutting,
        hedging: &Arc<Hedging>,
        check: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Feed> {
        let Cutting { numbering, end_of, edges, ahead, split: _, block, threads, counted } = cut;
        let eager = numbering == Numbering::Streaming;
        let blocks = Blocks { bytes: block, end_of, eager, counted, readers: threads + 1 };
        let (queues, readers) = stream::read(sources, blocks, numbering != Numbering::FilesFirst, hedging)?;
        let (permits, taken) = bounded(2 * threads);
        // Before anything can fail: its queues are dropped before its readers.
        let splits = splits.into();
        let mut feed = Feed { splits, ahead: None, queues, readers, held: None, numbering, block, permits, taken };
        if edges == Edges::Found {
            let splits = feed.splits.drain(..).collect();
            let (found, ahead) = match ahead {
                true => Ahead::begin(sources, splits, end_of.framing, feed.readers.stop())?,
                false => (edges::to_records(sources, splits, end_of.framing, threads, check)?, None),
            };
            (feed.splits, feed.ahead) = (found.into(), ahead);
        }
        Ok(feed)
    }

    /// Who reads the streams.
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// The work that may be dealt before any other is there.
    pub fn seed(&mut self) -> Vec<MapWork> {
        let is_all = self.numbering == Numbering::FilesFirst || self.queues.is_empty();
        let seed = if is_all { self.splits.len() } else { 0 };
        self.splits.drain(..seed).map(MapWork::Split).collect()
    }

    /// The next work; `None` if no more will come. Pending: a block has to [arrive](Self::arrived), or a permit to come back,
    /// before there is any. Nothing is read ahead of what is asked for.
    pub fn poll(&mut self) -> Poll<Option<Result<MapWork>>> {
        match self.ahead.as_mut().map(Ahead::take) {
            Some(Ok(split)) => self.splits.extend([split?]),
            Some(Err(TryRecvError::Disconnected)) => self.ahead = None,
            Some(Err(TryRecvError::Empty)) | None => {}
        }
        if let Some(block) = self.held.take() {
            return match self.permit(&block) {
                Some(permit) => Poll::Ready(Some(Ok(MapWork::Block(block, permit)))),
                None => {
                    self.held = Some(block);
                    Poll::Pending
                }
            };
        }
        if self.splits.front().is_some_and(|split| self.turn().is_none_or(|turn| split.source() < turn)) {
            return Poll::Ready(self.splits.pop_front().map(|split| Ok(MapWork::Split(split))));
        }
        if self.queues.is_empty() && self.ahead.is_none() { Poll::Ready(None) } else { Poll::Pending }
    }

    /// The stream whose turn it is, where files before it come first and others later.
    fn turn(&self) -> Option<usize> {
        match self.numbering {
            Numbering::FilesFirst => None,
            Numbering::Input | Numbering::Streaming => self.queues.front().map(|(source, _)| *source),
        }
    }

    /// Says that there may be more to poll, beside blocks.
    pub fn ready(&self) -> Receiver<()> {
        self.ahead.as_ref().map_or_else(never, Ahead::ready)
    }

    /// What a block takes of the permits, if so many are left.
    fn permit(&self, block: &StreamBlock) -> Option<Permit> {
        let most = self.permits.capacity().unwrap_or(usize::MAX);
        let blocks = block.stretch().bytes.len().div_ceil(self.block).min(most);
        if self.permits.len() + blocks > most {
            return None;
        }
        (0..blocks).for_each(|_| self.permits.send(()).expect("its other end is here"));
        Some(Permit { blocks, taken: self.taken.clone() })
    }

    /// Where the next block comes from; nowhere while one waits for permits.
    pub fn blocks(&self) -> Queue {
        let files_come_first =
            self.turn().is_some_and(|turn| self.ahead.as_ref().is_some_and(|ahead| ahead.is_before(turn)));
        match self.queues.front() {
            Some((_, queue)) if self.held.is_none() && !files_come_first => queue.clone(),
            _ => never(),
        }
    }

    /// Takes what came from there.
    pub fn arrived(&mut self, block: Result<Result<StreamBlock>, RecvError>) -> Result<()> {
        match block {
            Ok(block) => self.held = Some(block?),
            // All readers of this queue have ended.
            Err(RecvError) => drop(self.queues.pop_front()),
        }
        Ok(())
    }
}
