//! The reader of lines that match a pattern: adapts [`pattern::Reader`] to [`Reader`].

use super::{Reader, Window};
use crate::error::Result;
use crate::map::{Next, Why};
use crate::record::{Taken, pattern};

/// Makes the wanted groups, as fields from 0 on. The line follows if it is wanted.
#[derive(Debug)]
pub struct Matching(pub pattern::Reader);

impl Reader for Matching {
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<Taken> {
        let rejects = next.rejects;
        self.0.read(window.bytes, &mut |line| rejects.borrow_mut().add(line, Why::NoMatch), next)
    }
}
