//! Finds splits of files whose newlines may stand in quotes, while the splits before them are mapped. This is for jobs
//! whose deadline may come before all splits are found.

use std::thread;

use crossbeam_channel::{Receiver, TryRecvError, unbounded};

use super::splits::Split;
use super::wait::Stop;
use super::{Source, edges, stream};
use crate::error::{Error, Result};
use crate::panics;
use crate::record::Framing;

/// The splits that a thread finds.
#[derive(Debug)]
pub struct Ahead {
    splits: Receiver<Result<Split>>,
    /// One message for each split, sent after the split.
    ready: Receiver<()>,
    /// Sources that are cut into splits.
    files: Vec<usize>,
    /// The first source of the last split that was taken.
    reached: Option<usize>,
}

impl Ahead {
    /// Begins to find the splits. If nothing has to be found, all splits are returned at once.
    pub fn begin(
        sources: &[Source],
        splits: Vec<Split>,
        framing: Framing,
        stop: &Stop,
    ) -> Result<(Vec<Split>, Option<Self>)> {
        let Some(mut finder) = edges::EdgeFinder::new(sources, &splits, framing) else { return Ok((splits, None)) };
        let ((to, splits), (say, ready)) = (unbounded(), unbounded());
        let stop = stop.clone();
        let check = move || if stop.is_asked() { Err(Error::Cancelled) } else { Ok(()) };
        let find = move || {
            // If the receiver is gone, nobody wants more splits.
            let hand_over = |split| {
                let _ = to.send(split);
                let _ = say.send(());
            };
            let found = panics::caught(
                || "reading ahead".into(),
                || {
                    while finder.find(1, 1, &check)? {
                        finder.whole().for_each(|split| hand_over(Ok(split)));
                    }
                    Ok(finder.finish())
                },
            );
            match found {
                Ok(splits) => splits.into_iter().for_each(|split| hand_over(Ok(split))),
                Err(Error::Cancelled) => {}
                Err(error) => hand_over(Err(error)),
            }
        };
        thread::Builder::new().name("edges".into()).spawn(find).map_err(stream::no_thread)?;
        let files = sources.iter().enumerate().filter(|(_, source)| !source.is_stream()).map(|(index, _)| index);
        Ok((Vec::new(), Some(Ahead { splits, ready, files: files.collect(), reached: None })))
    }

    /// Takes the next split, if one has been found.
    pub fn take(&mut self) -> Result<Result<Split>, TryRecvError> {
        let split = self.splits.try_recv()?;
        self.reached = split.as_ref().map_or(self.reached, |split| Some(split.source()));
        Ok(split)
    }

    /// Receives a message when there is something to take.
    pub fn ready(&self) -> Receiver<()> {
        self.ready.clone()
    }

    /// Whether splits of sources before `turn` may still come.
    pub fn is_before(&self, turn: usize) -> bool {
        let last = self.files.iter().rfind(|&&file| file < turn);
        last.is_some_and(|&last| self.reached.is_none_or(|reached| reached <= last))
    }
}
