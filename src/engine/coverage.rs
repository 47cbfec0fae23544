//! How much of the input is in a result that may be partial. Attempts and readers note what they read; at the end the
//! gaps become the report's list of missing parts.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::shown;
use crate::input::Covered;
use crate::panics::lock;
use crate::plan::Plan;
use crate::report::event::SourceEnd;
use crate::report::{Coverage, Missing};

/// The parts of the input that were read, as noted by the attempts that won and by the readers of streams.
#[derive(Debug, Default)]
pub struct Covering {
    /// The byte ranges of whole records, with their sources.
    read: Mutex<Vec<(usize, Range<u64>)>>,
    /// The streams' parts that their readers handed over, in the order of the input.
    streams: Mutex<Vec<Covered>>,
    /// Whether any source exceeded its own timeout.
    is_any_late: AtomicBool,
    /// Set when the limit was reached before anything was missing.
    is_complete: AtomicBool,
}

impl Covering {
    pub fn note_read(&self, ranges: Vec<(usize, Range<u64>)>) {
        lock(&self.read).extend(ranges);
    }

    pub fn note_streams(&self, streams: Vec<Covered>) {
        *lock(&self.streams) = streams;
    }

    /// Notes that a source exceeded its own timeout when its turn had come.
    pub fn note_late(&self) {
        self.is_any_late.store(true, Ordering::Relaxed);
    }

    /// Notes that the limit is reached, in the order of the input. This counts only if nothing was cut short before.
    pub fn note_complete(&self) {
        self.is_complete.store(!self.is_any_late.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Returns the missing parts of the plan's sources, and how much was covered.
    pub fn result(&self, plan: &Plan) -> (Vec<Missing>, Coverage) {
        if plan.left_out.is_empty() && self.is_complete.load(Ordering::Relaxed) {
            return Default::default();
        }
        let Plan { sources, left_out, timeout, .. } = plan;
        let mut read = lock(&self.read).clone();
        read.sort_by_key(|(source, range)| (*source, range.start));
        let streams = lock(&self.streams);
        let why = |index: usize, is_late| match (sources[index].timeout().filter(|_| is_late), timeout) {
            (Some(own), _) => format!("timed out after {own}"),
            (None, Some(timeout)) => format!("not read within {timeout}"),
            (None, None) => "not read".into(),
        };
        let (mut missing, mut coverage) = (Vec::new(), Coverage::default());
        coverage.of_sources = sources.len() + left_out.len();
        // The length of a stream that didn't end isn't known.
        let mut of_bytes = Some(0);
        let (mut read, mut streams) = (read.into_iter().peekable(), streams.iter().peekable());
        for (index, source) in sources.iter().enumerate() {
            let stream = streams.next_if(|covered| covered.source == index);
            let is_whole = stream.is_none_or(|covered| covered.end == Some(SourceEnd::Whole));
            let is_late = stream.is_some_and(|covered| covered.end == Some(SourceEnd::TimedOut));
            let handed_over = stream.map_or(source.bytes(), |covered| covered.bytes);
            let (mut at, mut gaps) = (0, Vec::new());
            while let Some((_, range)) = read.next_if(|(of, _)| *of == index) {
                if range.start > at {
                    gaps.push((at, Some(range.start)));
                }
                coverage.bytes += range.end.saturating_sub(range.start.max(at));
                at = at.max(range.end);
            }
            match is_whole {
                true if handed_over > at => gaps.push((at, Some(handed_over))),
                true => {}
                false => gaps.push((at, None)),
            }
            of_bytes = of_bytes.filter(|_| is_whole).map(|bytes| bytes + handed_over.max(at));
            coverage.sources += usize::from(gaps.is_empty());
            let gap = |(from, to)| Missing { source: shown(source.path()), from, to, cause: why(index, is_late) };
            missing.extend(gaps.into_iter().map(gap));
        }
        missing.extend(left_out.iter().map(|(source, why)| Missing {
            source: source.clone(),
            from: 0,
            to: None,
            cause: why.clone(),
        }));
        coverage.of_bytes = of_bytes.filter(|_| left_out.is_empty());
        (missing, coverage)
    }
}
