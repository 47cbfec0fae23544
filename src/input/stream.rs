//! Reads sources that can only be read front to back: stdin, FIFOs, devices, commands, compressed files, and files that
//! may hang. Reader threads turn them into blocks of whole records.
//!
//! These threads are outside the pool, so that no task of the pool ever waits for a source. They hand over the blocks
//! through bounded channels. When the map is behind, the readers wait, and so does whoever writes to them.
//!
//! A source that may keep its reader waiting has a reader to itself. There may be thousands of compressed files, so a
//! few readers take them one after the other. A reader decompresses and looks for the end of the last record. It does
//! nothing else, since it may be all that the workers wait for.
//!
//! [`Readers`] ends the readers when it is dropped. [`Stop`] ends them sooner, and asks for the records that are there.
//! [`Watch`] knows how each stream is read.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::buffers::Buffers;
use super::collected::{BlockBytes, BlockFiles, Collected};
use super::ending::Ending;
use super::hedging::{Hedging, Retry};
use super::read_queue::{ReadQueue, ReadTask};
use super::reading::Reading;
use super::stretch::{Place, Stretch, StretchPart};
use super::unpack::Filled;
use super::wait::Stop;
use super::watch::Watch;
use super::{RecordEnd, Source, command};
use crate::error::{Error, Result, reason};
use crate::panics;
use crate::record::Framing;
use crate::report::event::SourceEnd;

/// Whole records of one source.
#[derive(Debug)]
pub struct StreamBlock {
    bytes: BlockBytes,
    is_first: bool,
    lines_before: Option<u64>,
    stored_len: u64,
    part: StretchPart,
}

impl StreamBlock {
    pub fn stretch(&self) -> Stretch<'_> {
        let StreamBlock { bytes, is_first, lines_before, stored_len, part } = self;
        let (lines_before, stored_len) = (*lines_before, *stored_len);
        let mapping = bytes.mapping();
        Stretch { lines_before, stored_len, mapping, ..Stretch::of_one(bytes, *is_first, part) }
    }

    /// Checks that the bytes that were read were the source's. To be called after reading.
    pub fn verify(&self) -> Result<()> {
        self.bytes.verify()
    }

    /// Bytes of memory that the block takes as long as it lives.
    pub fn memory(&self) -> usize {
        if self.bytes.mapping().is_some() { 0 } else { self.bytes.len() }
    }

    /// Where the block begins.
    pub fn place(&self) -> Place {
        self.part.place
    }

    pub fn extent(&self) -> BlockExtent {
        let StreamBlock { bytes, is_first, lines_before, stored_len, part } = self;
        let (lines_before, stored_len, is_in_file) = (*lines_before, *stored_len, bytes.mapping().is_some());
        BlockExtent { place: part.place, len: bytes.len(), is_first: *is_first, lines_before, stored_len, is_in_file }
    }
}

/// A block without its bytes.
#[derive(Debug)]
pub struct BlockExtent {
    place: Place,
    len: usize,
    is_first: bool,
    lines_before: Option<u64>,
    stored_len: u64,
    is_in_file: bool,
}

impl BlockExtent {
    /// Reads the block again. It must be of a source that is a file. If it was kept in a file of its own, it is again.
    pub fn read(&self, sources: &[Source], files: Option<&BlockFiles>) -> Result<StreamBlock> {
        let BlockExtent { place, len, is_first, lines_before, stored_len, is_in_file } = *self;
        let source = &sources[place.source];
        let bytes = match files.filter(|_| is_in_file) {
            Some(files) => {
                let mut file = files.create()?;
                source.read_anew(place.offset, len, |bytes| file.append(bytes))?;
                file.finish()?
            }
            None => {
                let mut memory = Vec::with_capacity(len);
                source.read_anew(place.offset, len, |bytes| {
                    memory.extend_from_slice(bytes);
                    Ok(())
                })?;
                BlockBytes::Memory(Buffers::new(0, 0).lend(memory))
            }
        };
        Ok(StreamBlock { bytes, is_first, lines_before, stored_len, part: StretchPart { start: 0, place } })
    }
}

/// Which streams have their newlines counted while they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Nothing,
    /// Streams that can't be read again to count their newlines.
    ReadOnce,
    All,
}

/// How streams are cut into blocks.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Bytes of a block in memory, about. If there are many readers, blocks are smaller.
    pub bytes: usize,
    /// Files for larger blocks, if blocks should be larger.
    pub files: Option<BlockFiles>,
    pub end_of: RecordEnd,
    /// Whether whole records are handed over, however few, when the stream has nothing more for the moment.
    pub eager: bool,
    pub counted: Counted,
    /// Number of readers that take files at the same time.
    pub readers: usize,
}

/// Bytes of the smallest block that is made because many readers share the memory.
const SMALLEST: usize = 64 << 10;

/// Blocks of one source or of several. The queue ends when its sources do, or after a record that was cut.
pub type Queue = Receiver<Result<StreamBlock>>;

/// The threads that read the streams. When this is dropped, they are ended, and so are the commands that they run.
#[derive(Debug)]
pub struct Readers {
    stop: Stop,
    watch: Arc<Watch>,
    /// Dropped after the readers are asked to end.
    commands: Ending,
}

impl Readers {
    /// Made before any reader is started.
    fn begin(sources: &[Source]) -> io::Result<Readers> {
        Ok(Readers { stop: Stop::new()?, watch: Arc::new(Watch::of(sources)), commands: Ending::default() })
    }

    /// When this is set, the readers hand over the whole records that they hold, and end.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// How the streams are read. It may be kept for as long as the caller likes.
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop.now();
    }
}

/// Returns how the reading of a source ended. A record that was cut isn't the source's fault, nor is a disk
/// that has no room for a block.
fn end_of(read: &Result<SourceEnd, Option<Error>>) -> SourceEnd {
    match read {
        Ok(end) => *end,
        Err(None | Some(Error::Spill { .. })) => SourceEnd::Stopped,
        Err(Some(Error::TimedOut { .. })) => SourceEnd::TimedOut,
        Err(Some(_)) => SourceEnd::Failed,
    }
}

pub fn no_thread(error: io::Error) -> Error {
    let message = format!("cannot start a thread to read the inputs: {}", reason(&error));
    Error::usage_hint(message, "ask for fewer with --threads")
}

/// Starts the threads that read the streams among `sources`. Returns queues of their blocks, each beside the index of a
/// source. With `in_order`, each source has a queue of its own, in the order of the sources. Otherwise all sources
/// share one queue, which is beside the index of the first. The queues must be dropped before the readers.
///
/// Sources that are known to be slow are begun first. Files in order are not: a reader would hold a slow file until its
/// turn, and all readers might.
pub fn read(
    sources: &[Source],
    cut: Blocks,
    in_order: bool,
    hedging: &Arc<Hedging>,
) -> Result<(VecDeque<(usize, Queue)>, Readers)> {
    let readers = Readers::begin(sources).map_err(no_thread)?;
    let mut queues = VecDeque::new();
    let mut shared = None;
    // Silent sources aren't waited for. One thread reports them one after the other, in the order of the input.
    let (mut files, mut silent, mut alone) = (VecDeque::new(), VecDeque::new(), Vec::new());
    for (index, source) in sources.iter().enumerate().filter(|(_, source)| source.is_stream()) {
        let to = match &shared {
            Some(to) => Sender::clone(to),
            None => {
                let (to, queue) = bounded(1);
                queues.push_back((index, queue));
                if !in_order {
                    shared = Some(to.clone());
                }
                to
            }
        };
        let task = ReadTask { index, source: source.clone(), to };
        match source {
            Source::Silent { .. } => silent.push_back(task),
            _ if source.may_wait() => alone.push(task),
            _ => files.push_back(task),
        }
    }
    alone.sort_by_key(|task| !hedging.is_consistently_slow(task.index));
    if !in_order {
        files.make_contiguous().sort_by_key(|task| !hedging.is_consistently_slow(task.index));
    }
    command::make_room(alone.len() + hedging.most());
    let threads = alone.len() + files.len().min(cut.readers);
    // The blocks of all threads together hold about as much memory, or disk, as those of file readers alone.
    let share = |bytes: usize| if threads > cut.readers { bytes * cut.readers / threads } else { bytes };
    let bytes = share(cut.bytes).max(SMALLEST.min(cut.bytes));
    let block_files = cut.files.map(|files| BlockFiles { bytes: share(files.bytes), ..files });
    let reader = StreamReader {
        cut: Blocks { bytes, files: block_files.filter(|files| files.bytes > bytes), ..cut },
        buffers: Buffers::new(2 * threads + 2, 2 * bytes),
        stop: readers.stop.clone(),
        watch: readers.watch.clone(),
        hedging: hedging.clone(),
    };
    let shares = threads - alone.len();
    let files = Arc::new(ReadQueue::new(files));
    let alone = alone.into_iter().map(|task| {
        let is_command = matches!(task.source, Source::Command { .. });
        (Arc::new(ReadQueue::new([task].into())), is_command)
    });
    let silent = (!silent.is_empty()).then(|| (Arc::new(ReadQueue::new(silent)), false));
    for (read_queue, is_command) in alone.chain(silent).chain((0..shares).map(|_| (files.clone(), false))) {
        let (reader, runs_command) = (reader.clone(), is_command.then(|| readers.commands.runs_command()));
        let run = move || {
            read_queue.run(|task| reader.run(task));
            drop(runs_command);
        };
        thread::Builder::new().name("reader".into()).spawn(run).map_err(no_thread)?;
    }
    Ok((queues, readers))
}

/// What all readers share.
#[derive(Clone)]
struct StreamReader {
    cut: Blocks,
    buffers: Buffers,
    stop: Stop,
    watch: Arc<Watch>,
    hedging: Arc<Hedging>,
}

impl StreamReader {
    fn run(&self, ReadTask { index, source, to }: &ReadTask) -> Result<()> {
        let task = || format!("reader of {}", source.name());
        let read = panics::caught(task, || Ok(self.read(*index, source, to)));
        let read = read.unwrap_or_else(|panic| Err(Some(panic)));
        self.watch.end(*index, end_of(&read));
        match read {
            Err(Some(error)) => Err(error),
            Ok(_) | Err(None) => Ok(()),
        }
    }

    /// Reads one stream to its end. `Err(None)` means that nobody receives blocks any more, or that a record was cut.
    fn read(
        &self,
        index: usize,
        source: &Source,
        to: &Sender<Result<StreamBlock>>,
    ) -> Result<SourceEnd, Option<Error>> {
        let Blocks { bytes: block, ref files, end_of: RecordEnd { framing, longest }, eager, counted, .. } = self.cut;
        let longest = usize::try_from(longest).unwrap_or(usize::MAX);
        if self.stop.is_asked() {
            return Ok(SourceEnd::Stopped);
        }
        let retry = Retry::of(&self.hedging, index);
        let mut reading = Reading::go_on(source, retry, |gauge| self.watch.begin(index, gauge.clone()))?;
        let counts = match counted {
            Counted::Nothing => false,
            Counted::ReadOnce => !source.is_at_hand(),
            Counted::All => true,
        };
        // Newlines before the block, and before what is read next.
        let (mut lines_before, mut lines) = (counts.then_some(0), counts.then_some(0));
        let (mut is_first, mut handed) = (true, 0);
        let mut collected = Collected::new(&self.buffers, files.as_ref());
        // Number of first bytes that were searched and hold no record's end.
        let mut searched = 0;
        loop {
            // A record longer than the block makes the block grow, but only up to `longest`.
            let wanted = block.max((2 * searched).min(longest)).saturating_sub(reading.bytes.len());
            let from = if let Framing::Terminator(_) = framing { searched } else { 0 };
            let waits = |held: &[u8]| eager && (collected.has_some() || framing.first_end(&held[from..]).is_some());
            // Records that were whole before the source's time was over are handed over before the error.
            let (filled, late) = match reading.fill(source, wanted, waits, &self.stop) {
                Err(late @ Error::TimedOut { .. }) => (Filled::Stopped, Some(late)),
                filled => (filled?, None),
            };
            let (is_end, is_stopped) = (filled == Filled::End, filled == Filled::Stopped);
            // A byte order mark may have been searched before it was removed.
            let from = from.min(reading.bytes.len());
            let (whole, is_cut) = match framing.last_end(&reading.bytes[from..]) {
                _ if is_end => (reading.bytes.len(), false),
                Some(end) => (from + end, false),
                None if is_stopped || filled == Filled::Waits => (0, false),
                None if reading.bytes.len() >= longest => (reading.bytes.len(), true),
                None => {
                    searched = reading.bytes.len();
                    continue;
                }
            };
            let is_more = filled == Filled::Wanted && !is_cut;
            let newlines = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count() as u64;
            lines = lines.map(|lines| lines + newlines(&reading.bytes[..whole]));
            let block = collected.take(&mut reading, whole, is_more)?;
            searched = reading.bytes.len();
            if let Some((offset, bytes)) = block {
                let stored_len = if source.is_file() { reading.position() - handed } else { bytes.len() as u64 };
                handed += stored_len;
                let part = StretchPart { start: 0, place: Place { source: index, offset } };
                let block = StreamBlock { bytes, is_first, lines_before, stored_len, part };
                // Time in which the map is behind isn't the source's.
                reading.stop_waiting();
                to.send(Ok(block)).map_err(|_| None)?;
                reading.go_on_waiting();
                (is_first, lines_before) = (false, lines);
                self.watch.cover(index, reading.offset);
            }
            if let Some(late) = late {
                return Err(Some(late));
            }
            if is_end || is_stopped {
                return Ok(if is_end { SourceEnd::Whole } else { SourceEnd::Stopped });
            }
            if is_cut {
                return Err(None);
            }
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
