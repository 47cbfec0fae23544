//! The reader of JSON lines: adapts [`json::Reader`] to [`Reader`].

use super::{Reader, Window};
use crate::error::Result;
use crate::map::{Next, Why};
use crate::record::{Taken, json};

/// Makes the wanted fields, as fields from 0 on. The record's own bytes follow if they are wanted.
#[derive(Debug)]
pub struct Json(pub json::Reader);

impl Reader for Json {
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<Taken> {
        let rejects = next.rejects;
        self.0.read(window.bytes, &mut |record, malformed| rejects.borrow_mut().add(record, Why::Json(malformed)), next)
    }
}
