//! Reads the first records of sources, if the plan has to know them before the job runs.
//!
//! The first record of a file is read when it is asked for. Sources that may keep their reader waiting are all begun at
//! once, each by a thread of its own, so that no command waits for another to print its first line. A source that isn't
//! waited for any more is ended by its own thread, beside the job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};

use super::hedging::{Hedging, Retry};
use super::wait::Stop;
use super::{RecordEnd, Source, Sources};
use crate::error::{Error, Result, reason};
use crate::panics;

/// How often a wait checks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Gives the first records of sources. Those of sources that may wait were read when this was made; the others are read
/// when they are asked for.
#[derive(Debug)]
pub struct Heads<'s> {
    sources: &'s [Source],
    end_of: RecordEnd,
    hedging: Arc<Hedging>,
    stop: Stop,
    /// The heads of sources that may wait, by index.
    waited_for: BTreeMap<usize, Head>,
}

/// What came of asking a source for its first record.
#[derive(Debug)]
pub enum Head {
    /// The first record. It is empty if the source is empty.
    Record(Vec<u8>),
    /// The source took too long, so it is to be left out. The text says why.
    Late(String),
}

impl Head {
    /// Makes a head of a first record. `None` means that the record didn't come in time.
    fn of(record: Option<Vec<u8>>) -> Self {
        record.map_or_else(|| Head::Late("its first record didn't come in time".into()), Head::Record)
    }
}

/// How long sources are waited for.
pub struct Patience<'a> {
    /// Called now and then while waiting. Its error ends the wait.
    pub check: &'a dyn Fn() -> Result<()>,
    /// Whether sources that take longer than their own timeout are left out. Otherwise they are an error.
    pub leaves_out: bool,
    /// When this time comes, sources that are still waited for are left out, too.
    pub until: Option<Instant>,
}

impl Patience<'_> {
    /// Waits as long as it takes.
    pub const ENDLESS: Patience<'static> = Patience { check: &|| Ok(()), leaves_out: false, until: None };

    /// Receives the next message of threads that each send one. `None` if none comes before `end` or `self.until`.
    pub(super) fn wait<T>(&self, from: &Receiver<T>, end: Option<Instant>) -> Result<Option<T>> {
        let end = [end, self.until].into_iter().flatten().min();
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            match from.recv_timeout(left.map_or(LOOK, |left| left.min(LOOK))) {
                Ok(sent) => return Ok(Some(sent)),
                Err(RecvTimeoutError::Timeout) if left == Some(Duration::ZERO) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => (self.check)()?,
                Err(RecvTimeoutError::Disconnected) => unreachable!("each thread sends what came of its work"),
            }
        }
    }
}

impl<'s> Heads<'s> {
    /// Waits for the first records of sources that may wait. `hedging` says how often a source may be read and when it
    /// is slow.
    pub fn new(
        sources: &'s Sources,
        end_of: RecordEnd,
        hedging: Arc<Hedging>,
        patience: &Patience<'_>,
    ) -> Result<Self> {
        let stop = Stop::new().map_err(cannot)?;
        let waited_for = wait_for(sources, end_of, &hedging, &stop, patience);
        // Readers that aren't waited for any more end. All others have ended.
        stop.now();
        let stop = Stop::new().map_err(cannot)?;
        Ok(Heads { sources, end_of, hedging, stop, waited_for: waited_for? })
    }

    /// Returns the first record of a source. It may be asked for once.
    pub fn take(&mut self, index: usize) -> Result<Head> {
        let Heads { sources, end_of, hedging, stop, waited_for } = self;
        let read = || sources[index].head(*end_of, Retry::of(hedging, index), stop).map(Head::of);
        waited_for.remove(&index).map_or_else(read, Ok)
    }
}

fn cannot(error: std::io::Error) -> Error {
    Error::usage(format!("cannot begin to read the inputs: {}", reason(&error)))
}

fn wait_for(
    sources: &Sources,
    end_of: RecordEnd,
    hedging: &Arc<Hedging>,
    stop: &Stop,
    patience: &Patience<'_>,
) -> Result<BTreeMap<usize, Head>> {
    let waiting: Vec<_> = sources.iter().enumerate().filter(|(_, source)| source.may_wait()).collect();
    super::command::make_room(waiting.len() + hedging.most());
    let (to, heads) = unbounded();
    for &(index, source) in &waiting {
        let (source, to, stop) = (source.clone(), to.clone(), stop.clone());
        let retry = Retry::of(hedging, index);
        let runs_command = matches!(source, Source::Command { .. }).then(|| sources.runs_command());
        let read = move || {
            let head = panics::caught(|| format!("reader of {}", source.name()), || source.head(end_of, retry, &stop));
            // The receiver may be gone.
            let _ = to.send((index, head));
            drop(runs_command);
        };
        thread::Builder::new().name("reader".into()).spawn(read).map_err(cannot)?;
    }
    in_order(waiting.iter().map(|(index, _)| *index), &heads, patience)
}

/// Returns what came of each source; or the error of the first source in the input that failed, as if the sources were
/// read one after the other.
fn in_order(
    indices: impl Iterator<Item = usize>,
    heads: &Receiver<(usize, Result<Option<Vec<u8>>>)>,
    patience: &Patience<'_>,
) -> Result<BTreeMap<usize, Head>> {
    let (mut early, mut done) = (BTreeMap::new(), BTreeMap::new());
    for index in indices {
        let head = loop {
            match early.remove(&index) {
                Some(Err(Error::TimedOut { after, .. })) if patience.leaves_out => {
                    break Head::Late(format!("timed out after {after}"));
                }
                Some(head) => break Head::of(head?),
                None => {}
            }
            match patience.wait(heads, None)? {
                Some((other, head)) => drop(early.insert(other, head)),
                None => break Head::of(None),
            }
        };
        done.insert(index, head);
    }
    Ok(done)
}
