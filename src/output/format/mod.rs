//! Output formats: one row of cells to bytes, a file each.

mod csv;
mod jsonl;
mod special;
mod text;
mod tsv;

pub use self::csv::Csv;
pub use self::jsonl::Jsonl;
pub use self::text::Text;
pub use self::tsv::Tsv;

use crate::data::Value;
use crate::data::buffer::Buffer;
use crate::schema::choices;

choices! {
    pub enum Format {
        /// Raw bytes, columns joined by TAB, null empty.
        Text = "text",
        /// As text, with `\t \n \r \\` escaped and null as `\N`.
        Tsv = "tsv",
        /// RFC 4180.
        Csv = "csv",
        /// One JSON object a line. Bytes that are not UTF-8 become U+FFFD.
        Jsonl = "jsonl",
    }
}

/// What a row of the output is: which cells, and how they are written.
#[derive(Clone, Debug)]
pub struct Layout {
    pub format: Format,
    /// Of the cells that there are, those to write.
    pub columns: Vec<usize>,
    /// Their names.
    pub names: Vec<String>,
}

impl Layout {
    /// The row of column names.
    pub fn header(&self) -> Buffer {
        let mut out = Buffer::default();
        with_rows!(self, rows => rows.header(&mut out, &self.names));
        out
    }

    /// Appends the row whose cells `cell` gives by index.
    #[inline]
    pub fn line<'a>(&self, rows: &mut impl Rows, cell: impl Fn(usize) -> Value<'a>, out: &mut Buffer) {
        for (i, &column) in self.columns.iter().enumerate() {
            rows.cell(out, i, cell(column));
        }
        rows.end(out);
    }
}

/// An expression with a value of the [`Rows`] of a layout's format in it: compiled for each.
macro_rules! with_rows {
    ($layout:expr, $rows:ident => $body:expr) => {{
        use $crate::output::format::{Csv, Format, Jsonl, Text, Tsv};
        let layout: &$crate::output::format::Layout = $layout;
        match layout.format {
            Format::Text => {
                let mut $rows = Text;
                $body
            }
            Format::Tsv => {
                let mut $rows = Tsv;
                $body
            }
            Format::Csv => {
                let mut $rows = Csv;
                $body
            }
            Format::Jsonl => {
                let mut $rows = Jsonl::new(&layout.names);
                $body
            }
        }
    }};
}
pub(crate) use with_rows;

/// One format's rules. A type each, so that the loop over rows is compiled for its format.
pub trait Rows {
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>);
    fn end(&mut self, out: &mut Buffer);
    /// A row of column names, where the format can have one.
    fn header(&mut self, out: &mut Buffer, names: &[String]) {
        for (i, name) in names.iter().enumerate() {
            self.cell(out, i, Value::Bytes(name.as_bytes()));
        }
        self.end(out);
    }
}

/// Between columns.
#[inline]
fn separate(out: &mut Buffer, column: usize, by: u8) {
    if column > 0 {
        out.push(by);
    }
}

#[cfg(test)]
mod tests;
