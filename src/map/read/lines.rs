//! Readers of text: [`Lines`] for lines, unless the job's first step can read them better, and [`Separated`] for
//! records that end with a byte other than a newline.

use crate::data::{BATCH, Batch, Bytes, Column, Sink, Span};
use crate::error::{Error, Result};
use crate::map::{Next, Reader, Window};
use crate::record::{self, Taken};

/// Makes records that end with the byte `by`, without that byte, as field 0.
#[derive(Debug)]
pub struct Separated {
    pub by: u8,
}

impl Reader for Separated {
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<Taken> {
        let (mut records, mut spans) = (0, Vec::with_capacity(BATCH));
        let mut hand_on = |spans: &mut Vec<Span>| {
            let column = Column::Bytes(Bytes { data: window.bytes, spans });
            next.take(&Batch { rows: spans.len(), columns: &[column] })?;
            spans.clear();
            Ok::<_, Error>(())
        };
        let mut start = 0;
        while start < window.bytes.len() {
            let end = memchr::memchr(self.by, &window.bytes[start..]).map_or(window.bytes.len(), |at| start + at);
            spans.push(Span::of(start..end));
            records += 1;
            start = end + 1;
            if spans.len() == BATCH {
                hand_on(&mut spans)?;
            }
        }
        if !spans.is_empty() {
            hand_on(&mut spans)?;
        }
        Ok(window.taken(records))
    }
}

/// Makes lines, without their line ends, as field 0.
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
