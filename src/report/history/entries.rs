//! Makes a history's entries from the events of a run: one for each source that the run read.

use std::collections::{BTreeMap, HashMap};

use super::{Entry, ReadBy, SourceOutcome};
use crate::report::event::{AttemptId, Event, Extent, PhaseName, SourceEnd, What};

/// A source of a run.
#[derive(Clone, Debug)]
pub struct Known {
    /// The source's name, which is the same in every run.
    pub name: String,
    /// Bytes of a file that map tasks read; `None` for a source with a reader of its own.
    pub len: Option<u64>,
    /// Whether the run failed because of it.
    pub has_failed: bool,
}

/// What map tasks read of a file.
#[derive(Debug)]
struct Mapped {
    begun_s: f64,
    ended_s: f64,
    bytes: u64,
    reading_s: f64,
}

/// Returns the entries of a run that began at `when`, in the order of the input. An empty file has no entry, nor has a
/// source that the job didn't reach.
pub fn entries(run: &str, when: u64, events: &[Event], sources: &[Known]) -> Vec<Entry> {
    // Discarded attempts are skipped: their input was read again.
    let forgotten = events.iter().rposition(|event| matches!(event.what, What::Discarded));
    let events = &events[forgotten.map_or(0, |at| at + 1)..];
    let mut mapped = BTreeMap::new();
    let mut attempts = HashMap::new();
    let mut read = HashMap::new();
    let mut found = Vec::new();
    let entry = |source: usize, how, outcome, bytes, seconds, reading_seconds, first_byte_seconds| {
        let name = sources[source].name.clone();
        let (run, source) = (run.to_owned(), name);
        Entry { run, when, source, how, outcome, bytes, seconds, reading_seconds, first_byte_seconds }
    };
    for Event { at_s, what } in events {
        match what {
            What::Begun { attempt, extent, .. } if attempt.task.phase == PhaseName::Map => {
                attempts.insert(*attempt, (*at_s, *extent));
            }
            What::Won { attempt, .. } => end(&mut attempts, attempt, *at_s, true, sources, &mut mapped),
            What::Failed { attempt, .. } | What::Lost { attempt } => {
                end(&mut attempts, attempt, *at_s, false, sources, &mut mapped);
            }
            What::SourceBegun { source } => drop(read.insert(*source, *at_s)),
            What::SourceEnded { source, read: how } => {
                let begun_s = read.remove(source).unwrap_or(*at_s);
                let outcome = match how.end {
                    SourceEnd::Whole => SourceOutcome::Ok,
                    SourceEnd::Stopped => SourceOutcome::Stopped,
                    SourceEnd::TimedOut => SourceOutcome::TimedOut,
                    SourceEnd::Failed => SourceOutcome::Failed,
                };
                // A reading that began before the run has taken longer than the run's own events tell.
                let seconds = (at_s - begun_s).max(how.reading_s);
                let entry = entry(*source, ReadBy::Read, outcome, how.bytes, seconds, how.reading_s, how.first_byte_s);
                found.push((*source, entry));
            }
            _ => {}
        }
    }
    for (source, Mapped { begun_s, ended_s, bytes, reading_s }) in mapped {
        let Known { len, has_failed, .. } = sources[source];
        let outcome = match () {
            () if has_failed => SourceOutcome::Failed,
            () if Some(bytes) == len => SourceOutcome::Ok,
            () => SourceOutcome::Stopped,
        };
        found.push((source, entry(source, ReadBy::Mapped, outcome, bytes, ended_s - begun_s, reading_s, None)));
    }
    found.sort_by_key(|(source, _)| *source);
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// Adds an attempt that ended to the files that it read. Its time is divided among them by their bytes.
fn end(
    attempts: &mut HashMap<AttemptId, (f64, Extent)>,
    attempt: &AttemptId,
    ended_s: f64,
    has_won: bool,
    sources: &[Known],
    mapped: &mut BTreeMap<usize, Mapped>,
) {
    let Some((begun_s, extent)) = attempts.remove(attempt) else { return };
    for (source, bytes) in files(extent, sources) {
        let file = mapped.entry(source).or_insert(Mapped { begun_s, ended_s, bytes: 0, reading_s: 0.0 });
        file.begun_s = file.begun_s.min(begun_s);
        file.ended_s = file.ended_s.max(ended_s);
        if has_won {
            file.bytes += bytes;
            file.reading_s += (ended_s - begun_s) * bytes as f64 / extent.bytes as f64;
        }
    }
}

/// Returns the files that a map task reads, with the bytes of each. At the end of a file, a split goes on in the next
/// file.
fn files(extent: Extent, sources: &[Known]) -> Vec<(usize, u64)> {
    let Some((first, mut offset)) = extent.from else { return Vec::new() };
    let mut left = extent.bytes;
    let mut files = Vec::new();
    for (source, known) in sources.iter().enumerate().skip(first) {
        // A split never goes on after a stream, and the extent of a stream's task is a block.
        let Some(len) = known.len else { break };
        if left == 0 {
            break;
        }
        let bytes = left.min(len.saturating_sub(offset));
        if bytes > 0 {
            files.push((source, bytes));
        }
        left -= bytes;
        offset = 0;
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::event::{SourceRead, TaskId};

    fn id(number: usize, attempt: u32) -> AttemptId {
        AttemptId { task: TaskId { phase: PhaseName::Map, number }, attempt }
    }

    fn begun(number: usize, attempt: u32, from: (usize, u64), bytes: u64) -> What {
        What::Begun { attempt: id(number, attempt), worker: 0, seeded: 0, extent: Extent { from: Some(from), bytes } }
    }

    fn won(number: usize, attempt: u32) -> What {
        What::Won { attempt: id(number, attempt), records: 1 }
    }

    fn mapped(name: &str, len: u64) -> Known {
        Known { name: name.into(), len: Some(len), has_failed: false }
    }

    /// Returns the entries of events a second apart: source, outcome, bytes, seconds, seconds of reading.
    fn told(events: Vec<What>, sources: &[Known]) -> Vec<(String, SourceOutcome, u64, f64, f64)> {
        let events: Vec<_> = events.into_iter().enumerate().map(|(i, what)| Event { at_s: i as f64, what }).collect();
        let told = entries("r", 7, &events, sources).into_iter();
        told.map(|e| {
            assert_eq!((e.run.as_str(), e.when), ("r", 7));
            (e.source, e.outcome, e.bytes, e.seconds, e.reading_seconds)
        })
        .collect()
    }

    #[test]
    fn a_file_of_many_tasks_and_files_of_one() {
        let sources =
            [mapped("big", 30), mapped("empty", 0), mapped("small", 4), mapped("unread", 9), mapped("other", 6)];
        let events = vec![
            begun(0, 0, (0, 0), 20),
            begun(1, 0, (0, 20), 14),
            What::Failed { attempt: id(0, 0), error: "gone".into() },
            won(1, 0),
            begun(0, 1, (0, 0), 20),
            begun(2, 0, (4, 0), 6),
            won(0, 1),
            What::Lost { attempt: id(2, 0) },
        ];
        // Task 1 takes two seconds and reads 10 bytes of big and all 4 of small.
        let expected = [
            ("big".to_owned(), SourceOutcome::Ok, 30, 6.0, 2.0 + 2.0 * 10.0 / 14.0),
            ("small".to_owned(), SourceOutcome::Ok, 4, 2.0, 2.0 * 4.0 / 14.0),
            ("other".to_owned(), SourceOutcome::Stopped, 0, 2.0, 0.0),
        ];
        assert_eq!(told(events.clone(), &sources), expected);
        let mut failed = sources.clone();
        failed[4].has_failed = true;
        assert_eq!(told(events, &failed)[2].1, SourceOutcome::Failed);
    }

    #[test]
    fn what_was_forgotten_is_not_counted_twice() {
        let events = vec![begun(0, 0, (0, 0), 5), won(0, 0), What::Discarded, begun(0, 0, (0, 0), 5), won(0, 0)];
        assert_eq!(told(events, &[mapped("a", 5)]), [("a".into(), SourceOutcome::Ok, 5, 1.0, 1.0)]);
    }

    #[test]
    fn streams_beside_files() {
        let stream = |name: &str| Known { name: name.into(), len: None, has_failed: false };
        let sources = [stream("s"), mapped("f", 3), stream("t")];
        let read = |bytes, reading_s, end| SourceRead { bytes, first_byte_s: Some(0.5), reading_s, end };
        let events = vec![
            What::SourceBegun { source: 2 },
            What::SourceBegun { source: 0 },
            // A block of a stream, and the file.
            begun(0, 0, (2, 0), 8),
            begun(1, 0, (1, 0), 3),
            won(0, 0),
            won(1, 0),
            What::SourceEnded { source: 0, read: read(9, 3.0, SourceEnd::TimedOut) },
            // The reading of source 2 began three seconds before the run.
            What::SourceEnded { source: 2, read: read(8, 10.0, SourceEnd::Whole) },
        ];
        let expected = [
            ("s".to_owned(), SourceOutcome::TimedOut, 9, 5.0, 3.0),
            ("f".to_owned(), SourceOutcome::Ok, 3, 2.0, 2.0),
            ("t".to_owned(), SourceOutcome::Ok, 8, 10.0, 10.0),
        ];
        assert_eq!(told(events, &sources), expected);
    }
}
