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
use super::sample::Sample;
use super::sizes::Sizes;
use super::space::SpaceWatch;
use crate::data::buffer::{self, Buffer};
use crate::data::scratch::{self, Scratch};
use crate::error::{Error, Result};
use crate::input::block::FileBuffer;
use crate::input::collected::BlockFiles;
use crate::input::edges::{Edges, PieceRead};
use crate::input::{Newlines, RecordEnd, Stretch};
use crate::map::Home;
use crate::output::{RowLayout, Writer};
use crate::panics::{lock, unlocked};
use crate::plan::{Plan, Rows};
use crate::record;
use crate::report::event::{AttemptId, Event, PhaseName, What};
use crate::report::{CertainRanks, Counters, Coverage, Missing};
use crate::run::{Attempt, Control, Deadline, Deal, Log, Meter, Phase, Pool, Progress};
use crate::shuffle::{PartitionBuffers, Run, RunPlace, RunWriter, SpillSpace, WrittenRun};

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
    /// The sum of the counters of the attempts that won.
    pub won: Counters,
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
        let sizes = Sizes::choose(plan);
        buffer::keep_at_most(sizes.kept);
        Ok(Job {
            plan,
            control,
            sizes,
            pool: Pool::new(plan.settings.threads, plan.settings.scheduler)?,
            small_files: Kept::default(),
            newlines: Newlines::default(),
            spill,
            runs,
            space: SpaceWatch::default(),
            open_runs: AtomicI64::new(sizes.open_runs),
            index_memory: AtomicI64::new(sizes.index_memory),
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

    /// The files for blocks of streams, if blocks are larger than the memory for a block.
    pub fn block_files(&self) -> Option<BlockFiles> {
        let Sizes { block: bytes, fill, .. } = self.sizes;
        let files = || BlockFiles { directory: self.spill[0].path().into(), bytes, resident: self.sizes.resident() };
        (bytes > fill).then(files)
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
        let place = self.runs.place(task.number + number as usize, format!("{}.{name}", attempt.id));
        place.counted(&attempt.runs_written)
    }

    /// Begins the run of an attempt whose lines don't fit the memory.
    pub fn lines_run(&self, attempt: &Attempt<'_>) -> Result<RunWriter> {
        let place = self.attempt_run(attempt, "lines.run");
        RunWriter::create(&place, 1, self.sizes.lines, PartitionBuffers::default())
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
            Rows::Groups(groups) => groups.are_sorted_later(),
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
            first: 0,
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
        self.open_runs.store(self.sizes.open_runs, Ordering::Relaxed);
        self.index_memory.store(self.sizes.index_memory, Ordering::Relaxed);
    }

    pub fn into_record(self) -> JobRecord {
        let covered = self.plan.may_be_partial().then(|| self.covering.result(self.plan));
        let certain_ranks =
            self.certainty.zip(covered.as_ref()).map(|(certainty, (missing, _))| certainty.ranks(missing));
        let (events, won) = self.log.into_events();
        JobRecord { events, won, bad: unlocked(self.bad), covered, certain_ranks }
    }
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
