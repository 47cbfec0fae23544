//! CSV and TSV: the reader turns windows of records into batches of the fields that are wanted.
//!
//! ```text
//! window ──────► index: where fields end ──────► spans of wanted fields ──────► batch
//!                64 bytes at a time                 │                             a column per wanted field, and one
//!                                                   └─► bad records               of the records as they are written
//! ```
//!
//! A CSV record follows RFC 4180: fields may be quoted by `"`, and a quote inside is doubled. In a TSV record quotes
//! are ordinary bytes, and `\t \n \r \\` stand for the bytes that a field can't hold. A backslash before anything else
//! is a backslash. `\r\n` ends a record as `\n` does. White space is kept.
//!
//! - **Null** is an empty CSV field without quotes, a TSV field `\N`, or a field without quotes that the dialect lists.
//!   `""` is the empty string, and so is an empty TSV field.
//! - **An empty line** is no record and isn't counted, as in DuckDB and the `csv` crate. If records have one field, an
//!   empty line is a record whose field is empty, so that a column that was written can be read back.
//! - **A malformed record** is handed to the caller with what is wrong. It doesn't affect other records.
//!
//! Records and malformed records come in the order of the input. Fields are spans into the window. A field with a
//! doubled quote or an escape is rewritten. Then all fields of its column in that batch are copied too, so that they
//! lie together.
//!
//! Let n be the number of fields of a record. A batch is taken column by column if every n-th place is a newline and no
//! other place is. Any other batch, or one with something malformed, is taken record by record.
//!
//! The table has nanoseconds of processor time per record, for windows of 1 MiB that are cut and read.
//! `benches/delimited.rs` has these shapes. The core was one of two virtual cores of an EPYC (Zen 2, AVX2) that was
//! busy with other work too:
//!
//! ```text
//!                                               bytes    plain    quoted
//! two fields, both wanted                       13       4.7      8.5 (17 bytes)
//! the same with the record as it is written     13       5.0
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

/// The form in which fields are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The byte between fields: none of `"`, `\`, `\r` and `\n`.
    pub delimiter: u8,
    pub quoting: Quoting,
    /// Fields, as they are written, that are null if they stand without quotes.
    pub nulls: Vec<Box<[u8]>>,
}

/// How a field is written that contains a delimiter or a newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Fields may be quoted, as in CSV.
    Quoted,
    /// Fields may hold escapes, as in TSV.
    Escaped,
}

impl Dialect {
    pub fn csv() -> Self {
        Dialect { delimiter: b',', quoting: Quoting::Quoted, nulls: Vec::new() }
    }

    pub fn tsv() -> Self {
        Dialect { delimiter: b'\t', quoting: Quoting::Escaped, nulls: Vec::new() }
    }

    /// Returns the rule by which records end.
    pub fn framing(&self) -> super::Framing {
        match self.quoting {
            Quoting::Quoted => super::Framing::Quoted { delimiter: self.delimiter },
            Quoting::Escaped => super::Framing::Terminator(b'\n'),
        }
    }
}

/// The number of fields of a file's records, and which of them are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Fields of a record, at least one.
    pub fields: usize,
    /// The number of the field for each column of the batches.
    pub wanted: Vec<usize>,
    /// Whether the batches have a last column of the records as they are written, without their ends.
    pub verbatim: bool,
}

/// What is wrong with a record. If several things are wrong, the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("{has} field{} where {wants} {} expected", plural(*has), if *wants == 1 { "is" } else { "are" })]
    Fields { has: usize, wants: usize },
    #[error("a quote in a field that doesn't begin with one")]
    StrayQuote,
    #[error("text after the quote that closes a field")]
    BehindQuote,
    #[error("a quoted field without an end")]
    Unterminated,
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// The consumer of malformed records. It gets the span of the record in the window, without its end, and what is wrong.
pub type Reject<'a> = dyn FnMut(Span, Malformed) -> Result<()> + 'a;

/// Places that are indexed at a time. They are few enough to stay in the first-level cache if records have few fields.
const PLACES: usize = 1 << 12;

/// Reads windows of records. A reader holds scratch memory, so each worker has its own.
#[derive(Debug)]
pub struct Reader {
    index: Index,
    cells: Cells,
}

impl Reader {
    pub fn new(dialect: &Dialect) -> Self {
        Reader { index: Index::new(dialect), cells: Cells::new(dialect) }
    }

    /// Hands the records of `window` to `out` and the malformed ones to `bad`, in order. Returns the records and bytes
    /// that it took, malformed records included. A whole window ends with a record's terminator or with its file. Any
    /// other window ends with a newline; if that newline stands in quotes, the record that goes on behind it isn't
    /// taken. The columns of the batches are `Column::Bytes`, as `layout` says.
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
                    // A record has many more fields than it should have. More places are indexed until it ends.
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

/// Returns the number of indexed records, at most a batch, if all have `fields` fields and none is malformed. Otherwise
/// returns 0.
fn regular(index: &Index, window: &[u8], fields: usize) -> usize {
    let places = index.places();
    let rows = (places.len() - 1) / fields;
    let is_end = |row: usize| window.get(places[row * fields] as usize) == Some(&b'\n');
    match index.faults().is_empty() && index.ends() == rows && (1..=rows).all(is_end) {
        true => rows.min(BATCH),
        false => 0,
    }
}

/// Returns the index of the last place that ends a record. There must be one.
fn last_end(places: &[u32], window: &[u8]) -> usize {
    let is_end = |&place: &u32| is_end(window, place);
    places.iter().rposition(is_end).expect("a record ends")
}

/// Whether a record ends at `place`, which is one of its places: at a newline or at the window's end.
fn is_end(window: &[u8], place: u32) -> bool {
    window.get(place as usize).is_none_or(|&byte| byte == b'\n')
}

/// Returns the fields of the one record `record` as names, with quotes and escapes undone. The record may include its
/// end. An empty record has one empty name.
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
