//! Steps that make several records of one: one record for each piece of a field, with all fields of the original
//! record.
//!
//! ```text
//! record   fields            pieces of c       records made
//! 0        a0 b0 c0          x y               a0 b0 c0 x · a0 b0 c0 y
//! 1        a1 b1 c1          z                 a1 b1 c1 z
//! ```
//!
//! The pieces of many records share a batch. So later stages work on full batches however short the lines are.

use std::fmt::Debug;

use super::gather::Gather;
use crate::data::buffer::Buffer;
use crate::data::{BATCH, Batch, Bytes, Column, Sink, Span};
use crate::error::Result;
use crate::map::tokenise::Tokens;
use crate::map::{Field, Next, Stage};

/// Finds the pieces of a field.
pub trait PieceFinder: Debug + Send {
    /// Whether the pieces are copies, rather than parts of the field's own bytes.
    fn copies(&self) -> bool;

    /// Calls `each` with batches of the pieces of `field`, in order.
    fn find(&mut self, field: &[u8], each: &mut dyn FnMut(Tokens<'_>));
}

/// The stage that makes a record for each piece that `finder` finds in field `input`.
#[derive(Debug)]
pub struct Pieces<F> {
    input: Field,
    finder: F,
    made: Made,
}

#[derive(Debug, Default)]
struct Made {
    /// The record that each piece belongs to.
    of: Vec<u32>,
    spans: Vec<Span>,
    /// The bytes of the pieces, if they are copies.
    copied: Buffer,
    gather: Gather,
}

/// Bytes of copied pieces after which a batch is handed on even if it isn't full.
const COPIED: usize = 1 << 20;

impl<F: PieceFinder> Pieces<F> {
    /// Makes the stage for field `input`, which must be of bytes.
    pub fn new(input: Field, finder: F) -> Self {
        Pieces { input, finder, made: Made::default() }
    }
}

impl<F: PieceFinder> Stage for Pieces<F> {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Pieces { input, finder, made } = self;
        let column = batch.bytes(*input);
        let copies = finder.copies();
        let mut result = Ok(());
        for (of, span) in column.spans.iter().enumerate().filter(|(_, span)| !span.is_null()) {
            finder.find(column.get(of), &mut |Tokens { data, begins, mut spans }| {
                while let (Some(first), true) = (spans.first(), result.is_ok()) {
                    let (now, later) = spans.split_at(spans.len().min(BATCH - made.of.len()));
                    let shift = if copies {
                        let at = made.copied.len() as u32;
                        let last = now.last().map_or(first.end, |last| last.end);
                        made.copied.extend(&data[first.start as usize..last as usize]);
                        at.wrapping_sub(first.start)
                    } else {
                        span.start + begins as u32
                    };
                    made.of.extend(std::iter::repeat_n(of as u32, now.len()));
                    made.spans.extend(now.iter().map(|span| span.shifted(shift)));
                    if made.of.len() == BATCH || made.copied.len() > COPIED {
                        result = made.hand_on(batch, column, copies, next);
                    }
                    spans = later;
                }
            });
            if result.is_err() {
                break;
            }
        }
        // Handed on now, because the spans point into bytes that the next batch doesn't have.
        if result.is_ok() && !made.of.is_empty() {
            result = made.hand_on(batch, column, copies, next);
        }
        result
    }
}

impl Made {
    fn hand_on(&mut self, batch: &Batch<'_>, column: Bytes<'_>, copies: bool, next: &mut Next<'_>) -> Result<()> {
        let Made { of, spans, copied, gather } = self;
        let mut columns = gather.gather(batch.columns, of);
        columns.push(Column::Bytes(Bytes { data: if copies { copied.as_slice() } else { column.data }, spans }));
        let result = next.take(&Batch { rows: of.len(), columns: &columns });
        of.clear();
        spans.clear();
        copied.clear();
        result
    }
}
