//! Events: what happened in a run, in the order in which it did. Counters, tasks and workers of a report are what they
//! [add up](super::tally) to.

use std::fmt;

use super::Counters;

/// Phases in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PhaseName {
    Map,
    Reduce,
    Output,
}

impl PhaseName {
    pub fn name(self) -> &'static str {
        match self {
            PhaseName::Map => "map",
            PhaseName::Reduce => "reduce",
            PhaseName::Output => "output",
        }
    }
}

/// A task of a phase. Its number is its place in the phase's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskId {
    pub phase: PhaseName,
    pub number: usize,
}

/// `map-00003`
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:05}", self.phase.name(), self.number)
    }
}

/// One try at a task; the first is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptId {
    pub task: TaskId,
    pub attempt: u32,
}

/// `map-00003-0`
impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.task, self.attempt)
    }
}

/// What an attempt works on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extent {
    /// Index of the source, and the offset in it, at which a map task begins.
    pub from: Option<(usize, u64)>,
    /// Of input, or of runs.
    pub bytes: u64,
}

/// How the reading of a source ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEnd {
    /// It was read to its end.
    Whole,
    /// The job wanted no more of it.
    Stopped,
    TimedOut,
    Failed,
}

/// What a reader of its own had of a source when it ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceRead {
    /// Packed as they are.
    pub bytes: u64,
    /// Until its first byte came, if one did.
    pub first_byte_s: Option<f64>,
    /// In which it was read or waited for: not that in which the job had no room for more.
    pub reading_s: f64,
    pub end: SourceEnd,
}

/// What became of an attempt at reading a source.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadStep {
    /// It is made beside an earlier one, which is slow.
    Speculated,
    /// Of several attempts it was the first to come to the source's end.
    Won,
    /// Another one was.
    Lost,
    /// With its error.
    Failed(String),
}

#[derive(Clone, Debug)]
pub struct Event {
    /// Since the run began. What had begun before, as the reading of what the plan needs, began at 0.
    pub at_s: f64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// On `worker`; it had been dealt to `seeded`.
    Begun {
        attempt: AttemptId,
        worker: usize,
        seeded: usize,
        extent: Extent,
    },
    /// Of the attempts at its task this is the one that counts, with what it read.
    Won {
        attempt: AttemptId,
        records: u64,
        counters: Box<Counters>,
    },
    Failed {
        attempt: AttemptId,
        error: String,
    },
    /// Another attempt had won, or the task was wanted no more.
    Lost {
        attempt: AttemptId,
    },
    /// The attempt is made beside an earlier one at its task, which takes far longer than its peers.
    Speculated {
        attempt: AttemptId,
    },
    /// What an earlier attempt at this map task had made was damaged, and this one made it again.
    Remade {
        attempt: AttemptId,
    },
    /// What all attempts so far had made counts no more: their tasks begin anew.
    Forgotten,
    /// So many rows of the result were written.
    Written {
        rows: u64,
    },
    PhaseBegun(PhaseName),
    PhaseEnded(PhaseName),
    /// A reader of its own began to read a source, given by its index.
    SourceBegun {
        source: usize,
    },
    SourceEnded {
        source: usize,
        read: SourceRead,
    },
    /// Of an attempt at reading a source; the first is 0.
    SourceStep {
        source: usize,
        attempt: u32,
        step: ReadStep,
    },
}
