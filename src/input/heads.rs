//! First records, where the plan has to know them before the job runs.
//!
//! Those of files are read when they are asked for. Sources that may keep their reader waiting are all begun at once, each by
//! a thread of its own, so that no command waits for another to print its first line.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};

use super::wait::Stop;
use super::{RecordEnd, Source};
use crate::error::{Error, Result, reason};

/// How often it is looked whether the wait is to end.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Heads<'s> {
    sources: &'s [Source],
    end_of: RecordEnd,
    stop: Stop,
    /// Of those that may wait, by index.
    waited_for: BTreeMap<usize, Head>,
}

/// What came of a source.
#[derive(Debug)]
pub enum Head {
    /// Its first record: nothing if it is empty.
    Record(Vec<u8>),
    /// It took too long, which is why it is to be left out.
    Late(String),
}

/// How long sources are waited for.
pub struct Patience<'a> {
    /// Asked now and then whether to go on.
    pub check: &'a dyn Fn() -> Result<()>,
    /// Those that take longer than their own time are left out. Otherwise they are an error.
    pub leaves_out: bool,
    /// Those that take longer than this are left out, too.
    pub until: Option<Instant>,
}

impl<'s> Heads<'s> {
    /// Waits for the first records of those that may wait.
    pub fn new(sources: &'s [Source], end_of: RecordEnd, patience: &Patience<'_>) -> Result<Self> {
        let cannot = |error| Error::usage(format!("cannot begin to read the inputs: {}", reason(&error)));
        let stop = Stop::new().map_err(cannot)?;
        let waiting: Vec<_> = sources.iter().enumerate().filter(|(_, source)| source.may_wait()).collect();
        super::command::make_room(waiting.len());
        let waited_for = thread::scope(|scope| {
            let (to, heads) = unbounded();
            let begin = || {
                for &(index, source) in &waiting {
                    let (to, stop) = (to.clone(), &stop);
                    let read = move || drop(to.send((index, source.head(end_of, stop))));
                    thread::Builder::new().name("reader".into()).spawn_scoped(scope, read).map_err(cannot)?;
                }
                Ok(())
            };
            let begun = begin();
            drop(to);
            let indices = waiting.iter().map(|(index, _)| *index);
            let heads = begun.and_then(|()| in_order(indices, &heads, patience));
            // Those that are not waited for any more end. All others have ended.
            stop.now();
            heads
        })?;
        let stop = Stop::new().map_err(cannot)?;
        Ok(Heads { sources, end_of, stop, waited_for })
    }

    /// The first record of a source, to be asked for once.
    pub fn take(&mut self, index: usize) -> Result<Head> {
        let Heads { sources, end_of, stop, waited_for } = self;
        waited_for.remove(&index).map_or_else(|| sources[index].head(*end_of, stop).map(Head::Record), Ok)
    }
}

/// What comes of each source; or the error of the first in the input, as if one were read after the other.
fn in_order(
    indices: impl Iterator<Item = usize>,
    heads: &Receiver<(usize, Result<Vec<u8>>)>,
    Patience { check, leaves_out, until }: &Patience<'_>,
) -> Result<BTreeMap<usize, Head>> {
    let (mut early, mut done) = (BTreeMap::new(), BTreeMap::new());
    for index in indices {
        let head = loop {
            match early.remove(&index) {
                Some(Err(Error::TimedOut { after, .. })) if *leaves_out => {
                    break Head::Late(format!("timed out after {after}"));
                }
                Some(head) => break Head::Record(head?),
                None => {}
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match heads.recv_timeout(left.map_or(LOOK, |left| left.min(LOOK))) {
                Ok((other, head)) => drop(early.insert(other, head)),
                Err(RecvTimeoutError::Timeout) if left == Some(Duration::ZERO) => {
                    break Head::Late("its first record didn't come in time".into());
                }
                Err(RecvTimeoutError::Timeout) => check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    let task = format!("reader of input {index}");
                    return Err(Error::Panic { task, message: String::new() });
                }
            }
        };
        done.insert(index, head);
    }
    Ok(done)
}
