//! The map phase: turns splits and stream blocks into runs, one run for each map task. It also defines what map
//! attempts share and what an attempt that won hands to the job.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use crossbeam_channel::{Receiver, RecvError};

use super::Grouping;
use super::bad::Bad;
use super::job::{Job, Kept};
use super::panicking;
use super::ranges::{Decided, Keys};
use super::read::{AttemptRead, MapTask, Portion, mapper, read};
use super::reduce;
use super::runs::Runs;
use crate::error::{Error, Result};
use crate::input::edges::{self, Edges};
use crate::input::feed::{self, Feed, MapWork, Numbering, Reread};
use crate::input::stream::StreamBlock;
use crate::input::{Hedging, Source, Watched};
use crate::map::Mapper;
use crate::map::emit::{Emitter, MapTable, OutputCurve};
use crate::map::growth::Growth;
use crate::panics::{self, lock};
use crate::report::Counters;
use crate::report::event::{Extent, PhaseName, What};
use crate::run::{self, Attempt, Cut, Deal, Done, Inflow, Phase};
use crate::shuffle::{PartitionBuffers, Partitioner, Run, RunSize, RunWriter};
use crate::table::slot_words;

/// Attempts every split and stream block for as long as `wanted` returns true. Returns what `place` made of each task,
/// by task number.
pub fn tasks<T, U: Send>(
    job: &Job<'_>,
    numbering: Numbering,
    edges: Edges,
    wanted: impl Fn() -> bool,
    attempt: impl Fn(&Attempt<'_>, &MapWork) -> Result<Done<Mapped<T>>> + Sync,
    place: impl Fn(usize, T) -> Result<U> + Sync,
) -> Result<Vec<U>> {
    let sources = &job.plan.sources;
    let are_known = sources.iter().all(Source::is_file);
    let total: u64 = sources.iter().map(Source::bytes).sum();
    let progress = &job.control.progress;
    progress.map.begin(if are_known { total } else { 0 });
    let block_files = job.block_files();
    let cutting = feed::Cutting {
        numbering,
        end_of: job.record_end(),
        edges,
        ahead: job.plan.may_be_partial(),
        split: job.sizes.split,
        block: job.sizes.fill,
        block_files: block_files.as_ref(),
        threads: job.pool.threads(),
        counted: job.plan.counted_lines(),
    };
    let hedging = Hedging::new(job.plan.settings.attempts, &job.plan.latencies, sources);
    let mut feed = match &job.sample {
        None => Feed::new(sources, cutting, &hedging, &|| job.check())?,
        Some(sample) => Feed::of(sources, sample.splits.clone(), cutting, &hedging, &|| job.check())?,
    };
    let wanted = || wanted() && job.sample.as_ref().is_none_or(|sample| sample.wants_more(&progress.map));
    progress.reads(feed.readers().watch().clone());
    let seed = feed.seed();
    let deal = match numbering {
        Numbering::FilesFirst => Deal::Split,
        Numbering::Input | Numbering::Streaming => Deal::Round,
    };
    let place = |number, Mapped { made, bad, shuffled, stored_bytes, covered }: Mapped<T>| {
        job.covering.note_read(covered);
        progress.reduce.expect_more(shuffled);
        progress.in_runs.fetch_add(stored_bytes, Ordering::Release);
        bad.place(job, number);
        job.space.look(job);
        place(number, made)
    };
    let cut = job.deadline().map(|deadline| Cut { deadline, is_made: &job.is_cut });
    let arriving = Arriving { job, feed: &mut feed, wanted };
    let made = job.pool.run(&Phase { cut, ..job.phase(PhaseName::Map, deal) }, seed, arriving, attempt, place)?;
    job.covering.note_streams(feed.readers().watch().covered());
    Ok(made)
}

impl run::Work for MapWork {
    fn extent(&self) -> Extent {
        let (place, bytes) = self.place();
        Extent { from: Some((place.source, place.offset)), bytes }
    }
}

/// The inflow of map work: stream blocks, and the splits between them, for as long as they are wanted.
struct Arriving<'a, F> {
    job: &'a Job<'a>,
    feed: &'a mut Feed,
    wanted: F,
}

/// Notes how streams were read once no more of them is wanted, however the phase ends.
impl<F> Drop for Arriving<'_, F> {
    fn drop(&mut self) {
        let told = self.feed.readers().watch().watched().into_iter().flat_map(
            |Watched { source, begun, ended, read, steps }| {
                let steps =
                    steps.into_iter().map(move |(at, attempt, step)| (at, What::SourceStep { source, attempt, step }));
                let (begun, ended) =
                    ((begun, What::SourceBegun { source }), (ended, What::SourceEnded { source, read }));
                [begun].into_iter().chain(steps).chain([ended])
            },
        );
        self.job.note_all(told);
    }
}

impl<F: Fn() -> bool> Inflow<MapWork> for Arriving<'_, F> {
    type Message = Result<StreamBlock>;

    fn poll(&mut self) -> Poll<Option<Result<MapWork>>> {
        if (self.wanted)() { self.feed.poll() } else { Poll::Ready(None) }
    }

    fn ready(&self) -> Receiver<()> {
        self.feed.ready()
    }

    fn messages(&self) -> Receiver<Self::Message> {
        self.feed.blocks()
    }

    fn arrived(&mut self, message: Result<Self::Message, RecvError>) -> Result<()> {
        // If the result may be partial, it uses the bytes that a source delivered before its own timeout.
        let may_be_partial = self.job.plan.may_be_partial();
        self.feed.arrived(message).or_else(|error| match error {
            Error::TimedOut { .. } if may_be_partial => {
                self.job.covering.note_late();
                Ok(())
            }
            error => Err(error),
        })
    }

    fn is_wanted(&self) -> bool {
        (self.wanted)()
    }

    fn stop(&mut self) {
        self.feed.readers().stop().now();
    }
}

/// A map attempt's result, and what the job takes over if the attempt wins.
#[derive(Debug)]
pub struct Mapped<T> {
    made: T,
    bad: Bad,
    /// Row bytes for the reduce phase.
    shuffled: u64,
    /// Bytes of input, counted as they are stored (compressed or not).
    stored_bytes: u64,
    covered: Vec<(usize, Range<u64>)>,
}

impl<T> Mapped<T> {
    pub fn into_made(self) -> T {
        self.made
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Mapped<U> {
        let Mapped { made, bad, shuffled, stored_bytes, covered } = self;
        Mapped { made: change(made), bad, shuffled, stored_bytes, covered }
    }

    /// Combines an attempt's result with the counters of what it read and wrote.
    pub fn done(made: T, read: AttemptRead, written: RunSize, mut counters: Counters) -> Done<Mapped<T>> {
        counters.bad_records = read.bad.records;
        counters.map_input_bytes = read.bytes;
        counters.map_input_records = read.records;
        counters.map_output_materialized_bytes = written.file_bytes;
        let (shuffled, stored_bytes) = (counters.reduce_shuffle_bytes, read.stored_bytes);
        let made = Mapped { made, bad: read.bad, shuffled, stored_bytes, covered: read.covered };
        Done { records: read.records, counters, made }
    }
}

/// One worker's memory for map attempts.
#[derive(Debug)]
struct Workspace {
    mapper: Mapper,
    table: MapTable,
    buffers: PartitionBuffers,
}

/// The run of a map task.
#[derive(Debug)]
pub struct MapRun {
    pub run: Arc<Run>,
    /// How to read the run's input once more, if that is possible.
    pub remake_from: Option<Reread>,
    /// The number of the attempt that made the run.
    pub attempt: u32,
    /// How the task's output grew: rows written and groups held after so many records. Only of a sample.
    pub curve: OutputCurve,
}

/// Maps every source. Returns one run per task, in the order of the tasks.
pub fn map<'a>(job: &'a Job<'a>, grouping: &'a Grouping<'a>) -> Result<Runs<'a>> {
    if job.sample.is_some() {
        return Mapping::new(job, grouping, Edges::Assumed)?.run();
    }
    // In a partial result some pieces aren't read, so the assumed edges of their neighbours can't be checked.
    let may_be_assumed = !job.plan.may_be_partial();
    if may_be_assumed && edges::may_be_assumed(&job.plan.sources, job.sizes.split, job.record_end().framing) {
        let made = Mapping::new(job, grouping, Edges::Assumed)?.run();
        // A wrong edge can make a good record look bad, so an error of a record counts only if the edges hold. Of
        // several errors `made` has the earliest in the input.
        let may_be_wrong = made.as_ref().err().is_none_or(Error::is_of_a_record);
        if !may_be_wrong || edges::hold(&job.pieces_read()) {
            return made;
        }
        drop(made);
        job.discard_map_results();
    }
    Mapping::new(job, grouping, Edges::Found)?.run()
}

/// The runs made so far, for samples of the reduce phase.
#[derive(Debug, Default)]
struct Made {
    runs: Vec<Arc<Run>>,
    /// Bytes of input that were in runs when the last sample was taken.
    sampled_at: u64,
}

/// State that map attempts share.
#[derive(Debug)]
pub struct Mapping<'a> {
    pub job: &'a Job<'a>,
    grouping: &'a Grouping<'a>,
    edges: Edges,
    /// How rows are divided among partitions.
    partitioner: Decided<'a>,
    workspaces: Kept<Workspace>,
    /// Used only with a deadline, to measure how long reducing takes.
    made: Mutex<Made>,
}

impl<'a> Mapping<'a> {
    fn new(job: &'a Job<'a>, grouping: &'a Grouping<'a>, edges: Edges) -> Result<Self> {
        let partitions = job.sizes.partitions;
        let partitioner = match grouping.order(job).of_keys() {
            None => Decided::by_hash(partitions),
            Some(_) => Decided::by_keys(job, Keys::OfGroups(&grouping.groups.key), partitions)?,
        };
        Ok(Mapping { job, grouping, edges, partitioner, workspaces: Kept::default(), made: Mutex::default() })
    }

    /// How the rows of all runs are divided among partitions.
    pub fn partitioner(&self) -> &Partitioner {
        self.partitioner.get()
    }

    /// Drops the memory that attempts have used so far.
    pub fn begun_anew(self) -> Self {
        Mapping { workspaces: Kept::default(), made: Mutex::default(), ..self }
    }

    fn run(self) -> Result<Runs<'a>> {
        let attempt = |attempt: &Attempt<'_>, work: &MapWork| self.attempt(attempt, work);
        let place = |_, made: MapRun| {
            self.sample(&made.run);
            Ok(made)
        };
        let made = tasks(self.job, Numbering::FilesFirst, self.edges, || true, attempt, place)?;
        Ok(Runs::new(self, made))
    }

    /// With a deadline: measures how long reducing takes, on the runs made so far. Measures again whenever twice as
    /// much input is mapped as at the last measurement.
    fn sample(&self, run: &Arc<Run>) {
        let Mapping { job, grouping, made, .. } = self;
        let partitions = self.partitioner().partitions();
        if job.deadline().is_none() {
            return;
        }
        let in_runs = job.control.progress.in_runs.load(Ordering::Relaxed);
        let runs = {
            let Made { runs, sampled_at } = &mut *lock(made);
            runs.push(run.clone());
            if in_runs < 2 * *sampled_at {
                return;
            }
            *sampled_at = in_runs;
            runs.clone()
        };
        // Errors are ignored here: the reduce phase meets them again and reports them.
        let sample = || reduce::sample(job, grouping, (partitions, &runs), &format!("sample-{in_runs}"));
        if let Ok((took, bytes)) = panics::caught(|| "a sample".into(), sample) {
            job.control.progress.sample.note(took, bytes);
        }
    }

    /// Makes one attempt at one task. The attempt owns its memory and writes its own run.
    pub fn attempt(&self, attempt: &Attempt<'_>, work: &MapWork) -> Result<Done<Mapped<MapRun>>> {
        let task = MapTask { work, edges: self.edges };
        panicking::attempt(self.job, attempt, task, |records| self.map(attempt, work, records))
    }

    fn map(&self, attempt: &Attempt<'_>, work: &MapWork, records: &Portion<'_>) -> Result<Done<Mapped<MapRun>>> {
        let Mapping { job, grouping, workspaces, .. } = self;
        let mut workspace = workspaces.take(|| workspace(job, grouping));
        let (place, buffers) = (job.attempt_run(attempt, "run"), std::mem::take(&mut workspace.buffers));
        let partitioner = self.partitioner.partitioner(job, work);
        let run =
            RunWriter::create(&place, partitioner.partitions(), job.sizes.page(partitioner.partitions()), buffers)?;
        let hash_mask = job.plan.settings.hash_mask;
        let out = (partitioner, run);
        let mut out = Emitter::new(&grouping.aggregation, &grouping.fields, hash_mask, &mut workspace.table, out);
        let read = read(job, attempt, records, &mut workspace.mapper, &mut out)?;
        let curve = if job.sample.is_some() { out.take_curve() } else { OutputCurve::default() };
        let (run, mut counters) = out.finish()?;
        let (run, buffers) = run.finish()?;
        workspace.buffers = buffers;
        workspaces.keep(workspace);
        let size = run.size;
        counters.reduce_shuffle_bytes = size.row_bytes;
        let run = Arc::new(if records.is_trial() { Run::open(run, false)? } else { job.open(run)? });
        // The deadline may have cut the attempt short: mapping its input again would read more records than the attempt
        // did.
        let remake_from = if job.plan.may_be_partial() { None } else { work.again(&job.plan.sources) };
        let made = MapRun { run, remake_from, attempt: attempt.id.attempt, curve };
        Ok(Mapped::done(made, read, size, counters))
    }
}

/// Returns how the tables of map tasks grow.
pub fn growth(job: &Job<'_>, grouping: &Grouping<'_>) -> Growth {
    let words = slot_words(grouping.aggregation.shape.identity.len());
    match job.plan.settings.table_slots {
        None => Growth::new(size_of::<u64>() * words, job.sizes.table),
        Some(slots) => Growth::fixed(slots),
    }
}

fn workspace(job: &Job<'_>, grouping: &Grouping<'_>) -> Workspace {
    let read: Vec<_> = grouping.fields.key.fields().chain(grouping.fields.observed.iter().copied()).collect();
    Workspace {
        mapper: mapper(job, &read),
        table: MapTable::new(
            growth(job, grouping),
            job.sizes.groups,
            &grouping.aggregation,
            job.sizes.table,
            job.plan.settings.combiner,
        ),
        buffers: PartitionBuffers::limited(job.sizes.longest_row),
    }
}
