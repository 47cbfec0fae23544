//! The state that all tasks of a running job share: the plan, the sizes chosen for it, the spill directory, worker
//! memory that is reused from task to task, and the record of what happened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::bad::BadOfTask;
use super::certain::Certainty;
use super::coverage::Covering;
use super::read::WINDOW;
use super::sample::Sample;
use super::space::SpaceWatch;
use crate::data::buffer::Buffer;
use crate::data::scratch::{self, Scratch};
use crate::error::{Error, Result};
use crate::input::block::FileBuffer;
use crate::input::edges::{Edges, PieceRead};
use crate::input::{Newlines, RecordEnd, Stretch, splits};
use crate::map::Home;
use crate::output::{Order, RowLayout, Writer};
use crate::panics::{lock, unlocked};
use crate::plan::{Plan, Rows};
use crate::record;
use crate::report::event::{AttemptId, Event, PhaseName, What};
use crate::report::{CertainRanks, Counters, Coverage, Missing};
use crate::run::{Attempt, Control, Deadline, Deal, Log, Meter, Phase, Pool, Progress};
use crate::shuffle::merge::FanIn;
use crate::shuffle::{PartitionBuffers, RowLimit, Run, RunPlace, RunWriter, SpillSpace, WrittenRun};

/// Sizes that follow from the plan, its inputs and the machine. No size changes the output.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub split: u64,
    pub partitions: usize,
    /// The most partitions whose buffers fit the memory.
    pub most_partitions: usize,
    /// Bytes of a map task's table.
    pub table: usize,
    /// The most groups that a map task can meet.
    pub groups: usize,
    /// Bytes that the buffers of all partitions may take.
    buffers: usize,
    /// Bytes of a reduce task and of one fold. A reduce task takes neighbouring partitions while they hold at most
    /// `reduce` bytes. It folds as many of them at a time as hold `fold` bytes.
    pub reduce: u64,
    pub fold: u64,
    /// Bytes that the table of a fold may take.
    pub fold_memory: usize,
    /// Bytes that rows with sort keys may take while they are sorted.
    pub sort_memory: usize,
    /// How many runs may be merged at once.
    pub fan_in: FanIn,
    /// Bytes of rows that an attempt holds in memory because they may be among the first of the result.
    pub first: u64,
    /// Payload bytes of a page of lines.
    pub lines: u64,
    /// Bytes of lines that a task holds in memory.
    pub held_lines: usize,
    /// Bytes of a stream's block.
    pub block: usize,
    /// Bytes of records that a mapper gets at once.
    pub window: usize,
    /// The longest record that fits the memory of a thread.
    pub longest_record: u64,
    /// The longest row that a map task may write.
    pub longest_row: RowLimit,
}

/// Largest payload of a page in bytes. At this size the buffers of 1024 partitions take 16 MiB, which fits a
/// third-level cache. With pages of 64 KiB, mapping nearly distinct lines took a tenth longer.
const LARGEST_PAGE: usize = 16 << 10;

/// Bytes of memory that the process has besides those of its workers: the pages of the executable that are in use, the
/// system's libraries, the plan, and small things.
pub const PROCESS: u64 = 13 << 20;

impl Sizes {
    pub fn choose(plan: &Plan) -> Sizes {
        let settings = &plan.settings;
        let input: u64 = plan.sources.iter().map(|source| source.bytes()).sum();
        // Each worker's share of the budget is divided: half goes to partition buffers, an eighth to the table, and the
        // rest to the table's arena, to blocks and to the rows that are being written.
        let share = settings.memory.saturating_sub(PROCESS).max(settings.memory / 4) / settings.threads as u64;
        let has_deadline = plan.timeout.is_some() && plan.may_be_partial();
        let streams = plan.sources.iter().any(|source| source.is_stream());
        let most_partitions = (share / 2 / 4096).clamp(1, MOST_PARTITIONS) as usize;
        let partitions = settings.partitions.unwrap_or_else(|| {
            let wanted =
                if streams { 256 } else { (input / PARTITION_INPUT).next_power_of_two().clamp(64, MOST_PARTITIONS) };
            wanted.min(most_partitions as u64) as usize
        });
        Sizes {
            split: settings.split_size.unwrap_or_else(|| splits::choose_size(&plan.sources, settings.threads)).max(1),
            partitions,
            most_partitions,
            table: (share / 8) as usize,
            // A group takes at least one byte of input.
            groups: if streams { usize::MAX } else { input as usize },
            buffers: share as usize / 2,
            reduce: (share / 32).clamp(4 << 10, 8 << 20),
            fold: (share / 32).clamp(4 << 10, 1 << 20),
            fold_memory: settings.table_slots.map_or((share / 2) as usize, |slots| slots * TEST_BYTES_A_SLOT),
            sort_memory: (share / 2).min(1 << 30) as usize,
            fan_in: FanIn { memory: share as usize / 4, files: most_readers(settings.threads) },
            first: (share / 16).clamp(4 << 10, 16 << 20),
            lines: (share / 16).clamp(4 << 10, 256 << 10),
            held_lines: (share / 16).clamp(4 << 10, 64 << 20) as usize,
            block: (share as usize / 16).clamp(4 << 10, if has_deadline { SOON as usize } else { BLOCK }),
            window: (share as usize / 16).clamp(64 << 10, WINDOW),
            longest_record: share.max(WINDOW as u64),
            longest_row: RowLimit {
                bytes: (share / ROW_COPIES).max(1 << 20),
                copies: ROW_COPIES * settings.threads as u64,
                beside: PROCESS,
            },
        }
    }

    /// Payload bytes at which the buffer of one of so many partitions is written as a page.
    pub fn page(&self, partitions: usize) -> usize {
        (self.buffers / partitions).clamp(256, LARGEST_PAGE)
    }
}

/// The most partitions. Rows are added to the buffers of all of them in turn, and more don't stay in the caches.
const MOST_PARTITIONS: u64 = 1024;

/// Bytes that a fold may take for each slot of a table whose slots a test has chosen.
const TEST_BYTES_A_SLOT: usize = 1 << 10;

/// Copies of one row that are live while it is sorted and written, in buffers that may be larger than the row: its key
/// and its line as they are read, as they are held, and as they are written.
const ROW_COPIES: u64 = 7;

/// Largest block of a stream in bytes. On a compressed table with 200,000 groups, blocks of half this size took 1.09
/// times the CPU time, because each block is mapped to a run of its own. Smaller blocks at the beginning and the end,
/// meant to keep all workers busy, cost more time than they saved.
const BLOCK: usize = 64 << 20;

/// Bytes of a block in a job with a deadline. A worker maps it in milliseconds.
const SOON: u64 = 4 << 20;

/// Input bytes per partition. The groups of so much input still fit the caches when the partition is reduced. Reducing
/// nearly distinct lines took 1.5 times as long with four times as much; half as much gained nothing more.
const PARTITION_INPUT: u64 = 1 << 20;

/// What all tasks of a running job share.
#[derive(Debug)]
pub struct Job<'p> {
    pub plan: &'p Plan,
    pub control: &'p Control,
    pub sizes: Sizes,
    pub pool: Pool,
    /// The buffer that small files are read into. It is reused from block to block.
    pub small_files: Kept<FileBuffer>,
    newlines: Newlines,
    /// The job's own directories in the spill directories.
    spill: Vec<Scratch>,
    /// The space for runs in them.
    runs: Arc<SpillSpace>,
    pub space: SpaceWatch,
    /// How many more runs may be kept open.
    open_runs: AtomicI64,
    /// Bytes that more indexes of runs may take in memory.
    index_memory: AtomicI64,
    log: Log,
    pub covering: Covering,
    /// Set when the time is over: attempts then end with what they have read.
    pub is_cut: AtomicBool,
    /// The part of the input to read, if not all of it.
    pub sample: Option<Sample>,
    /// The judge of which ranks are certain, if the result has ranks and may be partial.
    pub certainty: Option<Certainty<'p>>,
    bad: Mutex<Vec<BadOfTask>>,
    /// For pieces whose edges were assumed: the records found in each, by task, source and offset.
    pieces: Mutex<BTreeMap<(usize, usize, u64), PieceRead>>,
}

/// What is left of a job when it ends, for the report.
#[derive(Debug, Default)]
pub struct JobRecord {
    pub events: Vec<Event>,
    pub bad: Vec<BadOfTask>,
    /// The missing parts of the input and how much was covered, for a job whose result may be partial.
    pub covered: Option<(Vec<Missing>, Coverage)>,
    pub certain_ranks: Option<CertainRanks>,
}

impl<'p> Job<'p> {
    pub fn new(plan: &'p Plan, control: &'p Control) -> Result<Job<'p>> {
        let spill = scratch::spill_in(&plan.settings.spill_dirs, &control.temporaries)?;
        let directories = spill.iter().map(|spill| spill.path().to_owned()).collect();
        let runs = SpillSpace::new(directories, plan.settings.spill_limit, plan.settings.compress);
        if let Some(timeout) = plan.timeout.filter(|_| !plan.may_be_partial()) {
            control.limit(timeout);
        }
        Ok(Job {
            plan,
            control,
            sizes: Sizes::choose(plan),
            pool: Pool::new(plan.settings.threads, plan.settings.scheduler)?,
            small_files: Kept::default(),
            newlines: Newlines::default(),
            spill,
            runs,
            space: SpaceWatch::default(),
            open_runs: AtomicI64::new(most_open_runs(plan)),
            index_memory: AtomicI64::new(index_memory(plan)),
            log: Log::default(),
            covering: Covering::default(),
            is_cut: AtomicBool::new(false),
            sample: None,
            certainty: Certainty::of(plan),
            bad: Mutex::default(),
            pieces: Mutex::default(),
        })
    }

    /// Returns where in the input the window that begins at byte `begin` of `stretch` lies.
    pub fn home<'a>(&'a self, stretch: Stretch<'a>, begin: usize) -> Home<'a> {
        Home { sources: &self.plan.sources, stretch, begin, newlines: &self.newlines }
    }

    /// Opens a run. Keeps its file open and its index in memory if there is room for that.
    pub fn open(&self, run: WrittenRun) -> Result<Run> {
        let mut run = Run::open(run, self.may_keep_open())?;
        let bytes = run.index_bytes() as i64;
        if self.index_memory.fetch_sub(bytes, Ordering::Relaxed) < bytes {
            self.index_memory.fetch_add(bytes, Ordering::Relaxed);
            run.store_index();
        }
        Ok(run)
    }

    /// Returns whether one more run may be kept open, and counts that run.
    pub fn may_keep_open(&self) -> bool {
        self.open_runs.fetch_sub(1, Ordering::Relaxed) > 0
    }

    /// How attempts know where a piece's first record begins. A sample assumes it: the bytes between its pieces aren't
    /// read.
    pub fn edges(&self) -> Edges {
        if self.sample.is_some() { Edges::Assumed } else { Edges::Found }
    }

    /// How the records of the job's sources end.
    pub fn record_end(&self) -> RecordEnd {
        RecordEnd { framing: self.plan.read.framing(), longest: record::bytes_to_exceed(self.plan.max_record) }
    }

    /// A path in the first spill directory, which is removed with the job.
    pub fn spill_path(&self, name: &str) -> PathBuf {
        self.spill[0].path().join(name)
    }

    /// The path of a file that an attempt writes, other than a run.
    pub fn attempt_path(&self, attempt: &Attempt<'_>, name: &str) -> PathBuf {
        self.spill_path(&format!("{}.{name}", attempt.id))
    }

    /// The space that runs take.
    pub fn runs(&self) -> &SpillSpace {
        &self.runs
    }

    /// The directories that runs are written to.
    pub fn run_directories(&self) -> impl Iterator<Item = &Path> {
        self.spill.iter().map(Scratch::path)
    }

    /// The place of a run that belongs to no attempt.
    pub fn run_place(&self, name: &str) -> RunPlace {
        self.runs.place(0, name.to_owned())
    }

    /// The place of a run that an attempt writes.
    pub fn attempt_run(&self, attempt: &Attempt<'_>, name: &str) -> RunPlace {
        let AttemptId { task, attempt: number } = attempt.id;
        self.runs.place(task.number + number as usize, format!("{}.{name}", attempt.id))
    }

    /// Begins the run of an attempt whose lines don't fit the memory.
    pub fn lines_run(&self, attempt: &Attempt<'_>) -> Result<RunWriter> {
        let place = self.attempt_run(attempt, "lines.run");
        RunWriter::create(&place, 1, self.sizes.lines as usize, PartitionBuffers::default())
    }

    pub fn layout(&self) -> RowLayout {
        let Plan { columns, output, .. } = self.plan;
        RowLayout::new(output.format, columns.iter().map(|column| (column.name.as_str(), column.index, column.kind)))
    }

    /// The first bytes of the output: a row of column names if one is asked for, else nothing.
    pub fn header(&self) -> Buffer {
        if self.plan.output.header { self.layout().header() } else { Buffer::default() }
    }

    /// Opens the target and writes `header` to it.
    pub fn writer(&self, header: Buffer) -> Result<Writer> {
        let output = &self.plan.output;
        let Control { temporaries, aside, .. } = self.control;
        Writer::open(&output.target, header, output.force, output.part_size, temporaries, *aside)
    }

    /// Fails once a signal asked the job to end or its time is over.
    pub fn check(&self) -> Result<()> {
        self.control.check()
    }

    /// The deadline of a job that may answer from a part of its input; `None` for any other job.
    pub fn deadline(&self) -> Option<Deadline> {
        let begun = self.control.begun;
        let timeout = self.plan.timeout.filter(|_| self.plan.may_be_partial())?;
        let is_ordered = match &self.plan.rows {
            Rows::Groups(groups) => groups.order != Order::Free && groups.key_order().is_none(),
            Rows::Records { sort } => sort.is_some(),
        };
        Some(Deadline { begun, end: begun + timeout.duration(), is_ordered })
    }

    /// What the tasks of a phase have in common.
    pub fn phase(&self, name: PhaseName, deal: Deal) -> Phase<'_> {
        let Progress { map, reduce, output, .. } = &self.control.progress;
        let meter: &Meter = match name {
            PhaseName::Map => map,
            PhaseName::Reduce => reduce,
            PhaseName::Output => output,
        };
        let attempts = self.plan.settings.attempts;
        Phase {
            name,
            deal,
            attempts,
            sources: &self.plan.sources,
            // Tasks dealt in turn stay in the order of the input: slow sources don't go first.
            latencies: if let Deal::Split = deal { &self.plan.latencies } else { &[] },
            meter,
            control: self.control,
            log: &self.log,
            cut: None,
        }
    }

    /// Fails unless as many rows were read from runs as were written to them.
    pub fn check_rows(&self, read: u64, written: u64) -> Result<()> {
        if read == written {
            return Ok(());
        }
        let what = "the rows that were read are not those that were written";
        Err(Error::Corrupt { path: self.spill[0].path().to_owned(), at: None, what })
    }

    pub fn note(&self, what: What) {
        self.log.note(what);
    }

    pub fn note_all(&self, told: impl IntoIterator<Item = (Instant, What)>) {
        self.log.note_all(told);
    }

    /// Sums the counters of the attempts that won so far.
    pub fn counters(&self) -> Counters {
        self.log.counters()
    }

    pub fn note_bad(&self, bad: BadOfTask) {
        lock(&self.bad).push(bad);
    }

    /// The files with saved bad records, in the order of the tasks.
    pub fn saved_bad(&self) -> Vec<PathBuf> {
        let bad = &mut lock(&self.bad);
        bad.sort_by_key(|bad| bad.number);
        bad.iter().filter_map(|bad| Some(bad.saved.as_ref()?.to_path_buf())).collect()
    }

    /// Notes the records found in a piece of task `number`. If another attempt noted the piece before, it found the
    /// same records or failed.
    pub fn note_read(&self, number: usize, read: PieceRead) {
        lock(&self.pieces).insert((number, read.piece.source, read.piece.offset), read);
    }

    /// Takes the noted pieces, in the order of the input.
    pub fn pieces_read(&self) -> Vec<PieceRead> {
        std::mem::take(&mut *lock(&self.pieces)).into_values().collect()
    }

    /// Discards what map attempts have made so far: all tasks are mapped again.
    pub fn discard_map_results(&self) {
        self.note(What::Discarded);
        lock(&self.bad).clear();
        let Progress { map, reduce, in_runs, .. } = &self.control.progress;
        map.done.store(0, Ordering::Relaxed);
        reduce.total.store(0, Ordering::Relaxed);
        in_runs.store(0, Ordering::Relaxed);
        self.open_runs.store(most_open_runs(self.plan), Ordering::Relaxed);
        self.index_memory.store(index_memory(self.plan), Ordering::Relaxed);
    }

    pub fn into_record(self) -> JobRecord {
        let covered = self.plan.may_be_partial().then(|| self.covering.result(self.plan));
        let certain_ranks =
            self.certainty.zip(covered.as_ref()).map(|(certainty, (missing, _))| certainty.ranks(missing));
        JobRecord { events: self.log.into_events(), bad: unlocked(self.bad), covered, certain_ranks }
    }
}

/// Bytes that the indexes of all runs may take in memory.
fn index_memory(plan: &Plan) -> i64 {
    i64::try_from(plan.settings.memory / 32).unwrap_or(i64::MAX)
}

/// Half of the files that the process may open beyond those it needs for other things.
fn most_open_runs(plan: &Plan) -> i64 {
    spare_files(plan.settings.threads) / 2
}

/// The most runs that each thread may read at once, in the other half of the files.
fn most_readers(threads: usize) -> usize {
    usize::try_from(spare_files(threads) / 2 / threads as i64).unwrap_or(0).max(2)
}

fn spare_files(threads: usize) -> i64 {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    i64::try_from(files).unwrap_or(i64::MAX) - 32 - 4 * threads as i64
}

/// Worker memory that is reused from task to task: an attempt takes an item, owns it, and puts it back when it
/// succeeds.
#[derive(Debug)]
pub struct Kept<T>(Mutex<Vec<T>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(Mutex::default())
    }
}

impl<T> Kept<T> {
    pub fn take(&self, make: impl FnOnce() -> T) -> T {
        let kept = lock(&self.0).pop();
        kept.unwrap_or_else(make)
    }

    pub fn keep(&self, memory: T) {
        lock(&self.0).push(memory);
    }
}
