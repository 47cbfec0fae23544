//! Gives out what map tasks read, as it becomes available: splits of files, and blocks of streams as they come.
//!
//! ```text
//! numbering       order of work                                   dealt before anything is read
//! files first     splits, then blocks of any stream               all splits
//! input           input order: splits and streams in turn         all splits, if there is no stream
//! ```
//!
//! The number of stream blocks is bounded. Each block holds a permit until its task ends. When no permit is
//! left, nobody takes more blocks from the readers, and the readers wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use crossbeam_channel::{Receiver, RecvError, Sender, TryRecvError, bounded, never};

use super::Counted;
use super::ahead::Ahead;
use super::collected::BlockFiles;
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
    /// A block of a stream, and the permit that it holds.
    Block(StreamBlock, Permit),
}

impl MapWork {
    /// Returns how to get the same work once more, or `None` if it can't be read again.
    pub fn again(&self, sources: &[Source]) -> Option<Reread> {
        match self {
            MapWork::Split(split) => Some(Reread::Split(split.clone())),
            MapWork::Block(block, _) => {
                sources[block.place().source].is_at_hand().then(|| Reread::Block(block.extent()))
            }
        }
    }

    /// Where the work's bytes begin, and how many they are.
    pub fn place(&self) -> (Place, u64) {
        match self {
            MapWork::Split(split) => (Place { source: split.source(), offset: split.pieces[0].offset }, split.bytes()),
            MapWork::Block(block, _) => (block.place(), block.stretch().bytes.len() as u64),
        }
    }
}

/// How to get a map task's input a second time: what was read, without its bytes.
#[derive(Debug)]
pub enum Reread {
    Split(Split),
    /// To get the block, a compressed file is decompressed from its beginning.
    Block(BlockExtent),
}

impl Reread {
    /// `files` are for a block that was kept in a file.
    pub fn work(&self, sources: &[Source], files: Option<&BlockFiles>) -> Result<MapWork> {
        Ok(match self {
            Reread::Split(split) => MapWork::Split(split.clone()),
            Reread::Block(extent) => MapWork::Block(extent.read(sources, files)?, Permit { blocks: 0, taken: never() }),
        })
    }
}

/// Permission to hold a stream block. The block of a long record in memory counts as several blocks. The permit is
/// dropped with its block, whether or not the block was mapped.
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

/// The order in which tasks are numbered and wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// Files come first, so that a slow stream keeps no worker waiting.
    FilesFirst,
    /// The order of the input. Tasks are done in about that order.
    Input,
    /// The order of the input, too. Whoever waits for the output gets each record as soon as it is there.
    Streaming,
}

/// How sources become work.
#[derive(Clone, Copy, Debug)]
pub struct Cutting<'f> {
    pub numbering: Numbering,
    pub end_of: RecordEnd,
    pub edges: Edges,
    /// Whether splits are handed out as their edges are found, while other edges are still being searched. This is for
    /// jobs whose deadline may come before all edges are found.
    pub ahead: bool,
    /// Bytes of a split (`split`) and of a stream's block in memory (`block`).
    pub split: u64,
    pub block: usize,
    /// Files for larger blocks, if blocks should be larger.
    pub block_files: Option<&'f BlockFiles>,
    /// Threads of the pool.
    pub threads: usize,
    /// Which streams have their newlines counted, so that their blocks say with which line they begin.
    pub counted: Counted,
}

/// Gives out the work of map tasks, in the order that [`Numbering`] says.
#[derive(Debug)]
pub struct Feed {
    splits: VecDeque<Split>,
    /// Finds the other splits meanwhile.
    ahead: Option<Ahead>,
    /// Blocks are taken from the queue in front. Beside each queue is the source whose turn it is then.
    queues: VecDeque<(usize, Queue)>,
    /// Declared after the queues, so that it is dropped after them. No reader then waits for room in a queue.
    readers: Readers,
    /// A block that waits for a permit.
    held: Option<StreamBlock>,
    numbering: Numbering,
    block: usize,
    permits: Sender<()>,
    taken: Receiver<()>,
}

impl Feed {
    /// Cuts files and begins to read streams. `check` is called now and then if finding the cuts takes long, and its
    /// error ends that.
    pub fn new(
        sources: &[Source],
        cut: Cutting<'_>,
        hedging: &Arc<Hedging>,
        check: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Feed> {
        Feed::of(sources, splits::cut(sources, cut.split), cut, hedging, check)
    }

    /// Like [`Feed::new`], for these splits of the files.
    pub fn of(
        sources: &[Source],
        splits: Vec<Split>,
        cut: Cutting<'_>,
        hedging: &Arc<Hedging>,
        check: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Feed> {
        let Cutting { numbering, end_of, edges, ahead, split: _, block, block_files, threads, counted } = cut;
        let eager = numbering == Numbering::Streaming;
        let blocks = Blocks { bytes: block, files: block_files.cloned(), end_of, eager, counted, readers: threads + 1 };
        let (queues, readers) = stream::read(sources, blocks, numbering != Numbering::FilesFirst, hedging)?;
        let (permits, taken) = bounded(2 * threads);
        // Made before anything can fail, so that its queues are dropped before its readers.
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

    /// The threads that read the streams.
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Takes out the work that may be dealt before any other work is there.
    pub fn seed(&mut self) -> Vec<MapWork> {
        let is_all = self.numbering == Numbering::FilesFirst || self.queues.is_empty();
        let seed = if is_all { self.splits.len() } else { 0 };
        self.splits.drain(..seed).map(MapWork::Split).collect()
    }

    /// Returns the next work, or `None` if no more will come. Pending: a block has to [arrive](Self::arrived) or a
    /// permit has to come back before there is work. Nothing is taken from the readers ahead of what is asked for.
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

    /// The first stream that is left, if work is in the order of the input: files before the stream come first, files
    /// after it later. `None` if all files come first, or no stream is left.
    fn turn(&self) -> Option<usize> {
        match self.numbering {
            Numbering::FilesFirst => None,
            Numbering::Input | Numbering::Streaming => self.queues.front().map(|(source, _)| *source),
        }
    }

    /// Receives a message when there may be more to poll, other than blocks.
    pub fn ready(&self) -> Receiver<()> {
        self.ahead.as_ref().map_or_else(never, Ahead::ready)
    }

    /// Takes a block's permit, if enough permits are left.
    fn permit(&self, block: &StreamBlock) -> Option<Permit> {
        let most = self.permits.capacity().unwrap_or(usize::MAX);
        let blocks = block.memory().div_ceil(self.block).clamp(1, most);
        if self.permits.len() + blocks > most {
            return None;
        }
        (0..blocks).for_each(|_| self.permits.send(()).expect("its other end is here"));
        Some(Permit { blocks, taken: self.taken.clone() })
    }

    /// The queue of the next block. It gives nothing while a block waits for a permit, or while files before its stream
    /// are still to come.
    pub fn blocks(&self) -> Queue {
        let files_come_first =
            self.turn().is_some_and(|turn| self.ahead.as_ref().is_some_and(|ahead| ahead.is_before(turn)));
        match self.queues.front() {
            Some((_, queue)) if self.held.is_none() && !files_come_first => queue.clone(),
            _ => never(),
        }
    }

    /// Takes what was received from [`blocks`](Self::blocks).
    pub fn arrived(&mut self, block: Result<Result<StreamBlock>, RecvError>) -> Result<()> {
        match block {
            Ok(block) => self.held = Some(block?),
            // All readers of this queue's sources have ended.
            Err(RecvError) => drop(self.queues.pop_front()),
        }
        Ok(())
    }
}
