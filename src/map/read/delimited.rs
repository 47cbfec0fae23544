//! The reader of CSV and TSV: adapts [`delimited::Reader`] to [`Reader`].

use super::{Reader, Window};
use crate::error::Result;
use crate::map::{Next, Why};
use crate::record::{Taken, delimited};

/// Makes the fields that the source's layout wants, as fields from 0 on. The record's own bytes follow if the layout
/// asks for them.
#[derive(Debug)]
pub struct Delimited(pub delimited::Reader);

impl Reader for Delimited {
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<Taken> {
        let layout = window.layout.expect("a source with fields has a layout");
        let rejects = next.rejects;
        let mut bad = |record, malformed| {
            rejects.borrow_mut().add(record, Why::Malformed(malformed));
            Ok(())
        };
        self.0.read(window.bytes, window.is_whole, layout, &mut bad, next)
    }
}
