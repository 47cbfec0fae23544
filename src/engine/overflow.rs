//! What doesn't fit the memory of an attempt: sorted runs, which are merged.

use super::job::Job;
use crate::error::Result;
use crate::run::Attempt;
use crate::shuffle::merge::{self, SORTED_PAGE, Sorting, merge_to};
use crate::shuffle::{PartitionBuffers, Run, RunPlace, RunWriter};

/// The sorted runs of an attempt.
pub struct Overflow<'a> {
    job: &'a Job<'a>,
    attempt: &'a Attempt<'a>,
    pub sorting: Sorting,
    /// Those that are yet to be merged.
    runs: Vec<Run>,
    /// How many were written so far, merged ones included.
    pub written: u64,
}

impl<'a> Overflow<'a> {
    pub fn new(job: &'a Job<'a>, attempt: &'a Attempt<'a>, sorting: Sorting) -> Self {
        Overflow { job, attempt, sorting, runs: Vec::new(), written: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds the run that `put` writes to partition 0 of what it is given.
    pub fn add(&mut self, put: impl FnOnce(&mut RunWriter) -> Result<()>) -> Result<()> {
        let mut run = RunWriter::create(&self.place(), 1, SORTED_PAGE, PartitionBuffers::default())?;
        put(&mut run)?;
        self.runs.push(merge::open(run)?);
        Ok(())
    }

    /// Returns the runs as they were added.
    pub fn into_runs(self) -> Vec<Run> {
        self.runs
    }

    /// Takes the runs out, merged to as few as can be merged at once.
    pub fn take(&mut self) -> Result<Vec<Run>> {
        let (runs, fan_in, sorting) = (std::mem::take(&mut self.runs), self.job.sizes.fan_in, self.sorting);
        let attempt = self.attempt;
        merge_to(runs, fan_in, sorting, || self.place(), || attempt.check())
    }

    fn place(&mut self) -> RunPlace {
        self.written += 1;
        self.job.attempt_run(self.attempt, &format!("sorted-{}.run", self.written))
    }
}
