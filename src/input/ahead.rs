//! Splits of files whose newlines may stand in quotes, found while those before them are mapped: where a deadline may come
//! before all are found.

use std::thread;

use crossbeam_channel::{Receiver, TryRecvError, unbounded};

use super::splits::Split;
use super::wait::Stop;
use super::{Source, edges, stream};
use crate::error::{Error, Result};
use crate::panics;
use crate::record::Framing;

/// What a thread finds.
#[derive(Debug)]
pub struct Ahead {
    splits: Receiver<Result<Split>>,
    /// A message for each split, behind it.
    ready: Receiver<()>,
    /// Sources that are cut in splits.
    files: Vec<usize>,
    /// The first source of the last split that came.
    reached: Option<usize>,
}

impl Ahead {
    /// Begins to find them. Where nothing has to be found all splits are there at once.
    pub fn begin(
        sources: &[Source],
        splits: Vec<Split>,
        framing: Framing,
        stop: &Stop,
    ) -> Result<(Vec<Split>, Option<Self>)> {
        let Some(mut finder) = edges::Finder::new(sources, &splits, framing) else { return Ok((splits, None)) };
        let ((to, splits), (say, ready)) = (unbounded(), unbounded());
        let stop = stop.clone();
        let check = move || if stop.is_asked() { Err(Error::Cancelled) } else { Ok(()) };
        let find = move || {
            // Whoever is gone wants no more.
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

    /// The next split, if one is found by now.
    pub fn take(&mut self) -> Result<Result<Split>, TryRecvError> {
        let split = self.splits.try_recv()?;
        self.reached = split.as_ref().map_or(self.reached, |split| Some(split.source()));
        Ok(split)
    }

    /// Says that there is something to take.
    pub fn ready(&self) -> Receiver<()> {
        self.ready.clone()
    }

    /// Whether splits of sources before this one may yet come.
    pub fn is_before(&self, turn: usize) -> bool {
        let last = self.files.iter().rfind(|&&file| file < turn);
        last.is_some_and(|&last| self.reached.is_none_or(|reached| reached <= last))
    }
}
