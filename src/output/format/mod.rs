//! Output formats: each turns a row of cells into bytes, and has a file here.

mod csv;
mod jsonl;
mod special;
mod text;
mod tsv;

pub use self::csv::Csv;
pub use self::jsonl::Jsonl;
pub use self::text::Text;
pub use self::tsv::Tsv;

use crate::data::buffer::Buffer;
use crate::data::zone::Clock;
use crate::data::{Batch, Column, Columns, Kind, Value};
use crate::schema::choices;

choices! {
    /// The formats that a result can have.
    pub enum Format {
        /// Raw bytes, columns joined by TAB, null empty.
        Text = "text",
        /// As text, with `\t \n \r \\` escaped and null as `\N`.
        Tsv = "tsv",
        /// RFC 4180.
        Csv = "csv",
        /// One JSON object per line. Bytes that are not UTF-8 become U+FFFD.
        Jsonl = "jsonl",
    }
}

/// The layout of an output row: which cells it has, and how they are written.
#[derive(Clone, Debug)]
pub struct RowLayout {
    pub format: Format,
    /// Indices of the cells to write.
    pub columns: Vec<usize>,
    /// The names of the columns.
    pub names: Vec<String>,
    /// For each column that is a timestamp, the clock that writes it. Empty if no column is one.
    pub clocks: Vec<Option<Clock>>,
}

impl RowLayout {
    /// Makes a layout of columns, given by name, index of the cell, and kind.
    pub fn new<'a>(format: Format, columns: impl Iterator<Item = (&'a str, usize, Kind)>) -> Self {
        let mut layout = RowLayout { format, columns: Vec::new(), names: Vec::new(), clocks: Vec::new() };
        for (name, index, kind) in columns {
            layout.columns.push(index);
            layout.names.push(name.to_owned());
            layout.clocks.push(if let Kind::Timestamp(zone) = kind { Some(zone.clock()) } else { None });
        }
        if layout.clocks.iter().all(Option::is_none) {
            layout.clocks.clear();
        }
        layout
    }

    /// The row of column names.
    pub fn header(&self) -> Buffer {
        let mut out = Buffer::default();
        with_row_format!(self, format => format.header(&mut out, &self.names));
        out
    }

    /// Returns the columns of a batch that are written, in the order in which they are.
    pub fn written<'a>(&self, batch: &Batch<'a>) -> Columns<'a> {
        self.columns.iter().map(|&column| batch.columns[column]).collect()
    }

    /// Appends row `i` of the columns that are [`written`](Self::written).
    #[inline]
    pub fn line(&self, format: &mut impl RowFormat, written: &[Column<'_>], i: usize, out: &mut Buffer) {
        if !self.clocks.is_empty() {
            return self.line_with_timestamps(format, written, i, out);
        }
        for (number, column) in written.iter().enumerate() {
            format.cell(out, number, column.value(i));
        }
        format.end(out);
    }

    /// Out of line, so that rows without timestamps are as fast as if there were no timestamps.
    #[inline(never)]
    fn line_with_timestamps(&self, format: &mut impl RowFormat, written: &[Column<'_>], i: usize, out: &mut Buffer) {
        let mut text = Buffer::default();
        for (number, (column, clock)) in written.iter().zip(&self.clocks).enumerate() {
            match (clock, column.value(i)) {
                (Some(clock), Value::Decimal(timestamp)) => {
                    text.clear();
                    clock.write(timestamp, &mut text);
                    format.cell(out, number, Value::Bytes(text.as_slice()));
                }
                (_, value) => format.cell(out, number, value),
            }
        }
        format.end(out);
    }
}

/// Evaluates an expression with the [`RowFormat`] of a layout's format. It is compiled once for each format.
macro_rules! with_row_format {
    ($layout:expr, $format:ident => $body:expr) => {{
        use $crate::output::format::{Csv, Format, Jsonl, Text, Tsv};
        let layout: &$crate::output::format::RowLayout = $layout;
        match layout.format {
            Format::Text => {
                let mut $format = Text;
                $body
            }
            Format::Tsv => {
                let mut $format = Tsv;
                $body
            }
            Format::Csv => {
                let mut $format = Csv;
                $body
            }
            Format::Jsonl => {
                let mut $format = Jsonl::new(&layout.names);
                $body
            }
        }
    }};
}
pub(crate) use with_row_format;

/// The rules of one format. Each format has its own type, so that the loop over rows is compiled for it. A cell is always
/// inlined there: its value would go through memory otherwise.
pub trait RowFormat {
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>);
    fn end(&mut self, out: &mut Buffer);
    /// Appends a row of column names, if the format can have one.
    fn header(&mut self, out: &mut Buffer, names: &[String]) {
        for (i, name) in names.iter().enumerate() {
            self.cell(out, i, Value::Bytes(name.as_bytes()));
        }
        self.end(out);
    }
}

/// Appends the delimiter before every column but the first.
#[inline]
fn separate(out: &mut Buffer, column: usize, by: u8) {
    if column > 0 {
        out.push(by);
    }
}

#[cfg(test)]
mod tests;
