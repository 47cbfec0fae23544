//! The reader of lines: what text is read by when no step can do it better.

use crate::data::{Batch, Column, Sink};
use crate::error::Result;
use crate::map::{Next, Reader, Window};
use crate::record::{self, Taken};

/// Lines without their ends, as field 0.
#[derive(Debug)]
pub struct Lines;

impl Reader for Lines {
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<Taken> {
        let (mut records, mut result) = (0, Ok(()));
        record::lines(window.bytes, |lines| {
            records += lines.spans.len() as u64;
            if result.is_ok() {
                result = next.take(&Batch { rows: lines.spans.len(), columns: &[Column::Bytes(lines)] });
            }
        });
        result.map(|()| window.taken(records))
    }
}
