//! The runs of the map phase, as reduce attempts read them. If a reduce attempt finds a run damaged, its map task is
//! attempted again and the new run takes its place.

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
use crate::shuffle::{Partitioner, Run};

/// The runs of all map tasks, with what is needed to make a damaged run again.
#[derive(Debug)]
pub struct Runs<'a> {
    mapping: Mapping<'a>,
    /// Indexed by map task.
    slots: Vec<Mutex<Slot>>,
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
    /// How the task's output grew: rows written and groups held after so many records.
    curve: OutputCurve,
}

impl<'a> Runs<'a> {
    pub fn new(mapping: Mapping<'a>, made: Vec<MapRun>) -> Self {
        let slot = |MapRun { run, remake_from, attempt, curve }| {
            Mutex::new(Slot { run, remake_from, attempt, is_damaged: false, is_first: true, curve })
        };
        Runs { mapping: mapping.begun_anew(), slots: made.into_iter().map(slot).collect() }
    }

    /// How the rows are divided among partitions.
    pub fn partitioner(&self) -> &Partitioner {
        self.mapping.partitioner()
    }

    /// Row bytes of each partition in all runs. A run whose index has become unreadable counts as empty, and is made
    /// again when it is read.
    pub fn bytes(&self) -> Vec<u64> {
        let mut bytes = vec![0; self.partitioner().partitions()];
        for slot in &self.slots {
            let _ = lock(slot).run.add_bytes(&mut bytes);
        }
        bytes
    }

    /// Calls `each` with every run and its curve.
    pub fn each(&self, mut each: impl FnMut(&Run, &OutputCurve) -> Result<()>) -> Result<()> {
        self.slots.iter().map(|slot| lock(slot)).try_for_each(|slot| each(&slot.run, &slot.curve))
    }

    /// The number of rows that reduce attempts read if each reads its partitions once. `None` once a run was made
    /// again: the new run may have combined more rows, or fewer.
    pub fn rows(&self) -> Option<u64> {
        self.slots.iter().map(|slot| lock(slot)).map(|slot| slot.is_first.then_some(slot.run.rows)).sum()
    }

    /// Returns the runs for a reduce attempt. Makes damaged runs again first.
    pub fn current(&self, attempt: &Attempt<'_>) -> Result<Vec<Arc<Run>>> {
        self.slots.iter().enumerate().map(|(task, slot)| self.whole(task, &mut lock(slot), attempt)).collect()
    }

    /// Gives the disk space of partitions back that no reduce task reads any more.
    pub fn release(&self, partitions: &Range<usize>) {
        for slot in &self.slots {
            // A run that is just being made again isn't waited for: it takes its space until the reduce phase is over.
            let run = slot.try_lock().map(|slot| slot.run.clone());
            run.iter().for_each(|run| run.release(partitions.clone()));
        }
    }

    /// Notes that a run of map task `task` can't be read.
    pub fn note_damage(&self, task: usize, run: &Arc<Run>) {
        let mut slot = lock(&self.slots[task]);
        // Another attempt may have found the damage before, and the run may have been made again.
        if Arc::ptr_eq(&slot.run, run) {
            slot.is_damaged = true;
        }
    }

    fn whole(&self, number: usize, slot: &mut Slot, attempt: &Attempt<'_>) -> Result<Arc<Run>> {
        let job: &Job<'_> = self.mapping.job;
        let is_left = slot.attempt + 1 < job.plan.settings.attempts;
        if let (true, Some(remake_from), true) = (slot.is_damaged, &slot.remake_from, is_left) {
            let id = AttemptId { task: TaskId { phase: PhaseName::Map, number }, attempt: slot.attempt + 1 };
            // The input was read and counted before, so this attempt gets a meter of its own.
            let meter = Meter::default();
            let work = remake_from.work(&job.plan.sources);
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
