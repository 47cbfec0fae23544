//! CSV and TSV: windows of records to batches of the fields that are wanted.
//!
//! ```text
//! window ──────► index: where fields end ──────► spans of wanted fields ──────► batch
//!                64 bytes at a time                 │                             a column a wanted field, and one
//!                                                   └─► bad records               of the records as they stand
//! ```
//!
//! A CSV record is one of RFC 4180: fields may be quoted by `"`, in which a quote is doubled. A TSV record has quotes as
//! ordinary bytes, and `\t \n \r \\` for what can't stand in a field; a backslash before anything else is one. `\r\n` ends a
//! record as `\n` does. White space is kept.
//!
//! - **Null** is an empty CSV field without quotes, `\N` in a TSV field, and what the dialect lists, without quotes. `""` is
//!   the empty string, and so is an empty TSV field.
//! - **An empty line** is no record, and isn't counted, as DuckDB and the `csv` crate have it. Where records have one field
//!   it is a record with that field empty: what was written must come back.
//! - **A malformed record** is handed to the caller with what is wrong, and no other record is the worse for it.
//!
//! Records and malformed records come in the order of the input. Fields are spans into the window. A field in which a
//! quote is doubled or a backslash stands for something is rewritten, and with it the other fields of its column in that
//! batch, which then lie together.
//!
//! A batch in which every n-th place is a newline and no other is, n being the fields of a record, is taken column by column.
//! Any other, or one in which something is malformed, is taken record by record.
//!
//! `benches/delimited.rs` has these shapes. Nanoseconds of processor time a record, windows of 1 MiB cut and read, on one
//! of two virtual cores of an EPYC (Zen 2, AVX2) that was busy with other work too:
//!
//! ```text
//!                                               bytes    plain    quoted
//! two fields, both wanted                       13       4.7      8.5 (17 bytes)
//! the same with the record as it stands         13       5.0
//! the same as TSV                               13       3.6
//! nine fields, three wanted                     52       16.4     25.5 (70 bytes)
//! ```

mod cells;
mod index;

use super::{Taken, unended};
use crate::data::{BATCH, Sink, Span};
use crate::error::Result;
use cells::Cells;
use index::Index;

/// How fields are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// None of `"`, `\`, `\r` and `\n`.
    pub delimiter: u8,
    pub quoting: Quoting,
    /// Fields that are null where they stand without quotes, as they are written.
    pub nulls: Vec<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// CSV.
    Quoted,
    /// TSV.
    Escaped,
}

impl Dialect {
    pub fn csv() -> Self {
        Dialect { delimiter: b',', quoting: Quoting::Quoted, nulls: Vec::new() }
    }

    pub fn tsv() -> Self {
        Dialect { delimiter: b'\t', quoting: Quoting::Escaped, nulls: Vec::new() }
    }

    /// Where records end.
    pub fn framing(&self) -> super::Framing {
        match self.quoting {
            Quoting::Quoted => super::Framing::Quoted { delimiter: self.delimiter },
            Quoting::Escaped => super::Framing::Terminator(b'\n'),
        }
    }
}

/// What the records of a file have, and what of it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Fields of a record: at least one.
    pub fields: usize,
    /// For each column of the batches which field it is.
    pub wanted: Vec<usize>,
    /// Whether the batches have a last column of the records as they stand in the window, without their ends.
    pub verbatim: bool,
}

/// What is wrong with a record. Of several things the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("{has} field{} where {wants} {} wanted", plural(*has), if *wants == 1 { "is" } else { "are" })]
    Fields { has: usize, wants: usize },
    #[error("a quote in a field that doesn't begin with one")]
    StrayQuote,
    #[error("something behind the quote that closes a field")]
    BehindQuote,
    #[error("a quoted field without an end")]
    Unterminated,
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// Where malformed records go: the span of one in the window, without its end, and what is wrong.
pub type Reject<'a> = dyn FnMut(Span, Malformed) -> Result<()> + 'a;

/// Places that are indexed at once. Few enough that they stay in the first-level cache, where records have few fields.
const PLACES: usize = 1 << 12;

/// Reads windows of records. Holds scratch memory: one a worker.
#[derive(Debug)]
pub struct Reader {
    index: Index,
    cells: Cells,
}

impl Reader {
    pub fn new(dialect: &Dialect) -> Self {
        Reader { index: Index::new(dialect), cells: Cells::new(dialect) }
    }

    /// Hands the records of `window` to `out`, and the malformed ones to `bad`, in order. Returns what it took, malformed ones
    /// included. A window that is whole ends with a record's terminator, or is the last of its file. Any other ends with a
    /// newline; where that stands in quotes, the record that goes on behind it is left. The batches' columns are
    /// `Column::Bytes`, as `layout` says.
    pub fn read(
        &mut self,
        window: &[u8],
        is_whole: bool,
        layout: &Layout,
        bad: &mut Reject<'_>,
        out: &mut dyn Sink,
    ) -> Result<Taken> {
        let Reader { index, cells } = self;
        index.begin(is_whole);
        let wanted = BATCH.min(PLACES / layout.fields).max(1) * layout.fields + 1;
        let (mut target, mut records) = (wanted, 0);
        loop {
            let is_all = index.fill(window, target);
            if index.ends() == 0 {
                match is_all {
                    true => {
                        let behind_last = index.places()[0].wrapping_add(1) as usize;
                        return Ok(Taken { records, bytes: if is_whole { window.len() } else { behind_last } });
                    }
                    // A record with many more fields than there should be.
                    false => target = 2 * index.places().len(),
                }
                continue;
            }
            let (rows, places) = match regular(index, window, layout.fields) {
                0 => {
                    records += cells.take_singly(index, window, layout, bad, out)?;
                    let last = last_end(index.places(), window);
                    (index.ends(), last)
                }
                rows => {
                    cells.take(index, rows, window, layout, out)?;
                    records += rows as u64;
                    (rows, rows * layout.fields)
                }
            };
            index.drop_front(rows, places);
            target = wanted;
        }
    }
}

/// How many records there are, at most a batch, if all that are indexed have `fields` fields and nothing wrong, else 0.
fn regular(index: &Index, window: &[u8], fields: usize) -> usize {
    let places = index.places();
    let rows = (places.len() - 1) / fields;
    let is_end = |row: usize| window.get(places[row * fields] as usize) == Some(&b'\n');
    match index.faults().is_empty() && index.ends() == rows && (1..=rows).all(is_end) {
        true => rows.min(BATCH),
        false => 0,
    }
}

/// Which of the places is the last that ends a record: there is one.
fn last_end(places: &[u32], window: &[u8]) -> usize {
    let is_end = |&place: &u32| is_end(window, place);
    places.iter().rposition(is_end).expect("a record ends")
}

/// Whether a record ends at one of its places: a newline, or the window's end.
fn is_end(window: &[u8], place: u32) -> bool {
    window.get(place as usize).is_none_or(|&byte| byte == b'\n')
}

/// The fields of the one record `record`, as names: with quotes and escapes undone. The record may have its end. An empty
/// one has one empty name.
pub fn header(record: &[u8], dialect: &Dialect) -> Result<Vec<Vec<u8>>, Malformed> {
    let line = unended(record);
    if line.is_empty() {
        return Ok(vec![Vec::new()]);
    }
    let mut index = Index::new(dialect);
    index.begin(true);
    index.fill(line, line.len() + 1);
    if let Some(&(_, fault)) = index.faults().first() {
        return Err(fault);
    }
    let fields = index.places().windows(2).map(|ends| {
        let mut name = Vec::new();
        cells::put_name(&line[ends[0].wrapping_add(1) as usize..ends[1] as usize], dialect.quoting, &mut name);
        name
    });
    Ok(fields.collect())
}

#[cfg(test)]
mod tests;
