//! Events: what happened in a run, in the order in which it happened. The tasks and workers of a report, and some of
//! its counters, are [added up](super::tally) from them.

use std::fmt;

/// The phases, in their order.
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

/// One attempt at a task; the first is 0.
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

/// The range of bytes that an attempt works on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extent {
    /// For a map task: the index of the source, and the offset in it, at which the task begins.
    pub from: Option<(usize, u64)>,
    /// Bytes of input, or of runs.
    pub bytes: u64,
}

/// How the reading of a source ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEnd {
    /// It was read to its end.
    Whole,
    /// The job needed no more of the source.
    Stopped,
    TimedOut,
    Failed,
}

/// Totals of a source's own reader when the reading ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceRead {
    /// Bytes as they are stored (compressed or not).
    pub bytes: u64,
    /// Seconds until the first byte came, if one came.
    pub first_byte_s: Option<f64>,
    /// Seconds in which the source was read or waited for, without the time in which the job had no room for more.
    pub reading_s: f64,
    pub end: SourceEnd,
}

/// A step in an attempt at reading a source.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadStep {
    /// It was started beside an earlier attempt, which is slow.
    Speculated,
    /// It was the first of several attempts to reach the source's end.
    Won,
    /// Another attempt was first.
    Lost,
    /// It failed with this error.
    Failed(String),
}

/// Something that happened in a run, and when it happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Seconds since the run began. Events from before, such as the reading of file headers for the plan, are at 0.
    pub at_s: f64,
    pub what: What,
}

/// What happened: to an attempt at a task, to a phase, to the result, or to a source.
#[derive(Clone, Debug)]
pub enum What {
    /// The attempt began on `worker`. Its task was dealt to `seeded`.
    Begun {
        attempt: AttemptId,
        worker: usize,
        seeded: usize,
        extent: Extent,
    },
    /// The attempt is the one at its task that counts. It read `records` records. Its counters were added up.
    Won {
        attempt: AttemptId,
        records: u64,
    },
    Failed {
        attempt: AttemptId,
        error: String,
    },
    /// Another attempt had won, or the task wasn't wanted any more.
    Lost {
        attempt: AttemptId,
    },
    /// The attempt is a second one beside an earlier attempt at its task, which takes far longer than its peers.
    Speculated {
        attempt: AttemptId,
    },
    /// The run of an earlier attempt at this map task was damaged, and this attempt made it again.
    Remade {
        attempt: AttemptId,
    },
    /// The results of all attempts so far were discarded: their tasks begin anew.
    Discarded,
    /// `rows` rows of the result were written.
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
    /// Something happened to an attempt at reading a source. The first attempt is 0.
    SourceStep {
        source: usize,
        attempt: u32,
        step: ReadStep,
    },
}
