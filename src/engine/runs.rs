//! The runs of the map phase, as reduce attempts read them. If a reduce attempt finds a run damaged, its map task is
//! attempted again and the new run takes its place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use super::job::Job;
use super::map::{MapRun, Mapping};
use crate::error::{Error, Result};
use crate::input::feed::Reread;
use crate::map::emit::OutputCurve;
use crate::panics::lock;
use crate::report::event::{AttemptId, PhaseName, TaskId, What};
use crate::run::{Attempt, Done, Meter};
use crate::shuffle::format::Page;
use crate::shuffle::{Partitioner, Run};

/// The runs of all map tasks, with what is needed to make a damaged run again.
#[derive(Debug)]
pub struct Runs<'a> {
    mapping: Mapping<'a>,
    /// Indexed by map task.
    slots: Vec<Mutex<Slot>>,
    condensed: Mutex<Condensed>,
}

/// What the rows of hot partitions were folded to. It stands for these rows, which are still in the runs of the map
/// tasks.
#[derive(Debug, Default)]
struct Condensed {
    /// By partition.
    runs: BTreeMap<usize, Vec<Arc<Run>>>,
    /// Whether some of these runs were found damaged, so that the rows themselves are read again.
    is_damaged: bool,
}

/// The runs as they are when a reduce attempt begins.
#[derive(Debug)]
pub struct Current {
    of_map: Vec<Arc<Run>>,
    condensed: BTreeMap<usize, Vec<Arc<Run>>>,
}

/// The pages of a run that an attempt reads.
#[derive(Debug)]
pub struct Source<'r> {
    pub run: &'r Arc<Run>,
    partitions: Range<usize>,
    of: Of,
}

/// What the rows of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Rows of the map task with this number.
    Map(usize),
    /// States of the groups of this partition.
    Condensed(usize),
}

impl Source<'_> {
    pub fn pages(&self) -> Result<Cow<'_, [Page]>> {
        self.run.pages(self.partitions.clone())
    }

    /// Whether the rows are those that the map phase wrote.
    pub fn is_of_map(&self) -> bool {
        matches!(self.of, Of::Map(_))
    }
}

impl Current {
    /// Returns where the rows of these partitions are.
    pub fn of(&self, partitions: &Range<usize>) -> Vec<Source<'_>> {
        let (mut sources, mut begin) = (Vec::with_capacity(self.of_map.len()), partitions.start);
        for (&partition, runs) in self.condensed.range(partitions.clone()) {
            sources.extend(self.of_map(&(begin..partition), 0..self.of_map.len()));
            // A condensed run has one partition.
            sources.extend(runs.iter().map(|run| Source { run, partitions: 0..1, of: Of::Condensed(partition) }));
            begin = partition + 1;
        }
        sources.extend(self.of_map(&(begin..partitions.end), 0..self.of_map.len()));
        sources
    }

    /// Returns where the rows of these partitions are that some map tasks wrote.
    pub fn of_map(&self, partitions: &Range<usize>, tasks: Range<usize>) -> Vec<Source<'_>> {
        let source =
            |task: usize| Source { run: &self.of_map[task], partitions: partitions.clone(), of: Of::Map(task) };
        tasks.filter(|_| !partitions.is_empty()).map(source).collect()
    }
}

#[derive(Debug)]
struct Slot {
    run: Arc<Run>,
    /// How to read the task's input again, if that is possible.
    remake_from: Option<Reread>,
    /// The number of the attempt that made the run.
    attempt: u32,
    is_damaged: bool,
    is_first: bool,
    /// How the task's output grew: rows written and groups held after so many records. Only of a sample.
    curve: OutputCurve,
}

impl<'a> Runs<'a> {
    pub fn new(mapping: Mapping<'a>, made: Vec<MapRun>) -> Self {
        let slot = |MapRun { run, remake_from, attempt, curve }| {
            Mutex::new(Slot { run, remake_from, attempt, is_damaged: false, is_first: true, curve })
        };
        Runs { mapping: mapping.begun_anew(), slots: made.into_iter().map(slot).collect(), condensed: Mutex::default() }
    }

    /// How the rows are divided among partitions.
    pub fn partitioner(&self) -> &Partitioner {
        self.mapping.partitioner()
    }

    /// Bytes of the rows that are read of each partition. A run whose index has become unreadable counts as empty, and is
    /// made again when it is read.
    pub fn bytes(&self) -> Vec<u64> {
        let mut bytes = vec![0; self.partitioner().partitions()];
        for slot in &self.slots {
            let _ = lock(slot).run.add_bytes(&mut bytes);
        }
        for (partition, runs) in &lock(&self.condensed).runs {
            bytes[*partition] = runs.iter().map(|run| run.row_bytes()).sum();
        }
        bytes
    }

    /// Has these runs read in place of the rows of a partition. They have the states of the groups that rows of the
    /// partition were folded to.
    pub fn condense(&self, partition: usize, runs: impl IntoIterator<Item = Arc<Run>>) {
        lock(&self.condensed).runs.entry(partition).or_default().extend(runs);
    }

    /// Calls `each` with every run and its curve.
    pub fn each(&self, mut each: impl FnMut(&Run, &OutputCurve) -> Result<()>) -> Result<()> {
        self.slots.iter().map(|slot| lock(slot)).try_for_each(|slot| each(&slot.run, &slot.curve))
    }

    /// The number of the map phase's rows that reduce attempts read if each row is read once. `None` once a run was made
    /// again: the new run may have combined more rows, or fewer. `None`, too, once rows are read a second time because
    /// what they were condensed to was damaged.
    pub fn rows(&self) -> Option<u64> {
        if lock(&self.condensed).is_damaged {
            return None;
        }
        self.slots.iter().map(|slot| lock(slot)).map(|slot| slot.is_first.then_some(slot.run.rows)).sum()
    }

    /// Returns the runs for a reduce attempt. Makes damaged runs again first.
    pub fn current(&self, attempt: &Attempt<'_>) -> Result<Current> {
        let whole = self.slots.iter().enumerate().map(|(task, slot)| self.whole(task, &mut lock(slot), attempt));
        Ok(Current { of_map: whole.collect::<Result<_>>()?, condensed: lock(&self.condensed).runs.clone() })
    }

    /// Gives the disk space of partitions back that no reduce task reads any more.
    pub fn release(&self, partitions: &Range<usize>) {
        for slot in &self.slots {
            // A run that is just being made again isn't waited for: it takes its space until the reduce phase is over.
            let run = slot.try_lock().map(|slot| slot.run.clone());
            run.iter().for_each(|run| run.release(partitions.clone()));
        }
        lock(&self.condensed).runs.retain(|partition, _| !partitions.contains(partition));
    }

    /// Notes that a run can't be read.
    pub fn note_damage(&self, source: &Source<'_>) {
        match source.of {
            Of::Map(task) => {
                let mut slot = lock(&self.slots[task]);
                // Another attempt may have found the damage before, and the run may have been made again.
                if Arc::ptr_eq(&slot.run, source.run) {
                    slot.is_damaged = true;
                }
            }
            Of::Condensed(partition) => {
                let mut condensed = lock(&self.condensed);
                condensed.runs.remove(&partition);
                condensed.is_damaged = true;
            }
        }
    }

    fn whole(&self, number: usize, slot: &mut Slot, attempt: &Attempt<'_>) -> Result<Arc<Run>> {
        let job: &Job<'_> = self.mapping.job;
        let is_left = slot.attempt + 1 < job.plan.settings.attempts;
        if let (true, Some(remake_from), true) = (slot.is_damaged, &slot.remake_from, is_left) {
            let id = AttemptId { task: TaskId { phase: PhaseName::Map, number }, attempt: slot.attempt + 1 };
            // The input was read and counted before, so this attempt gets a meter of its own.
            let meter = Meter::default();
            let work = remake_from.work(&job.plan.sources, job.block_files().as_ref());
            let made = work.and_then(|work| self.mapping.attempt(&attempt.aside(id, &meter), &work));
            // An attempt that was cancelled doesn't count as one of the task's attempts.
            slot.attempt += u32::from(!matches!(made, Err(Error::Cancelled)));
            let Done { made, .. } = made?;
            slot.run = made.into_made().run;
            (slot.is_damaged, slot.is_first) = (false, false);
            job.note(What::Remade { attempt: id });
        }
        Ok(slot.run.clone())
    }
}
