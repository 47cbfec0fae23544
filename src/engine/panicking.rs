//! Records that panic. If a bug in mapfold makes an attempt panic on one record, this module finds that record, reports
//! it as a bad record, and maps the others.
//!
//! ```text
//! attempt ─► panics ─► each window of its task ─┬─► passes
//!                                               └─► panics ─┬─► first half ──► passes
//!                                                           └─► second half ─► panics ─► … ─► one record
//! attempt once more, without the records found
//! ```
//!
//! A panic may leave memory in a broken state, so an attempt that panics loses its memory and its run. The search finds
//! nothing if the panic doesn't come again, or if it needs several records together. The attempt has then failed, and
//! the task is attempted again as after any other failure.

use std::collections::BTreeMap;
use std::ops::Range;

use super::job::Job;
use super::read::{MapTask, Portion, begin, check, each_block, measured};
use crate::error::{Error, Result};
use crate::input::{Place, Stretch};
use crate::map::Window;
use crate::panics;
use crate::plan::OnError;
use crate::record::delimited::Layout;
use crate::run::Attempt;

/// How often a task is searched. A panic that still comes after that isn't caused by single records.
const SEARCHES: usize = 3;

/// Records that panic on their own, by source and offset, each with its panic message.
#[derive(Debug, Default)]
pub struct Panicking(BTreeMap<(usize, u64), String>);

impl Panicking {
    /// Returns the records found in `stretch`, by where they begin in it.
    pub fn within(&self, stretch: Stretch<'_>) -> BTreeMap<usize, &str> {
        let found = self.0.iter().filter_map(|(&(source, offset), message)| {
            let at = stretch.find(Place { source, offset })?;
            Some((at, message.as_str()))
        });
        found.collect()
    }
}

/// Makes an attempt with `make`, which maps the records that it is given. If `make` panics, the records that panic are
/// searched for and the attempt is made once more without them.
pub fn attempt<T>(
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    task: MapTask<'_>,
    make: impl Fn(&Portion<'_>) -> Result<T>,
) -> Result<T> {
    let make = |records: &Portion<'_>| panics::caught(|| attempt.id.task.to_string(), || make(records));
    let mut found = Panicking::default();
    for _ in 0..SEARCHES {
        let made = make(&Portion::MapTask { task, without: &found });
        if !matches!(made, Err(Error::Panic { .. })) {
            return made;
        }
        let known = found.0.len();
        let trial = |window: Window<'_>| make(&Portion::Trial(window)).map(drop);
        let searched = Search { job, attempt, trial: &trial, found: &mut found }.search(task);
        if found.0.len() == known {
            // If the search failed too, its error more likely names the cause than the panic does.
            return searched.and(made);
        }
        attempt.take_back();
    }
    make(&Portion::MapTask { task, without: &found })
}

struct Search<'a> {
    job: &'a Job<'a>,
    attempt: &'a Attempt<'a>,
    /// Maps one window and throws the result away.
    trial: &'a dyn Fn(Window<'_>) -> Result<()>,
    found: &'a mut Panicking,
}

impl Search<'_> {
    /// Finds the panicking records of a task. Stops at the first one if a bad record ends the job.
    fn search(&mut self, task: MapTask<'_>) -> Result<()> {
        each_block(self.job, self.attempt, task, &mut |stretch| {
            let (layout, mut at) = begin(self.job, stretch);
            while at < stretch.owned && !self.is_over() {
                let end = at + measured(self.job, &stretch.bytes[at..], stretch.owned - at);
                check(self.job, stretch, at..end)?;
                self.halve(stretch, at..end, layout)?;
                at = end;
            }
            Ok(at)
        })
    }

    /// Finds the panicking records in a range of whole records, by halving it.
    fn halve(&mut self, stretch: Stretch<'_>, records: Range<usize>, layout: Option<&Layout>) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        self.attempt.check()?;
        let Range { start, end } = records;
        let bytes = &stretch.bytes[records];
        let message = match (self.trial)(Window { bytes, home: self.job.home(stretch, start), is_whole: true, layout })
        {
            Ok(()) => return Ok(()),
            Err(Error::Panic { message, .. }) => message,
            Err(error) => return Err(error),
        };
        let half = start + self.job.record_end().framing.window(bytes, bytes.len() / 2, usize::MAX);
        if half == end {
            let Place { source, offset } = stretch.place(start);
            self.found.0.insert((source, offset), message);
            return Ok(());
        }
        self.halve(stretch, start..half, layout)?;
        self.halve(stretch, half..end, layout)
    }

    fn is_over(&self) -> bool {
        let is_enough = self.job.plan.on_error == OnError::Fail && !self.found.0.is_empty();
        is_enough || self.attempt.is_cut()
    }
}
