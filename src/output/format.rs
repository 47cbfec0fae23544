//! Output formats: one row of cells to bytes.

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

pub struct Text;
pub struct Tsv;
pub struct Csv;

/// Holds each column's `{"name":` or `,"name":`.
pub struct Jsonl {
    keys: Vec<Buffer>,
}

impl Jsonl {
    pub fn new(names: &[String]) -> Self {
        let key = |(i, name): (usize, &String)| {
            let mut key = Buffer::default();
            key.push(if i == 0 { b'{' } else { b',' });
            put_json_string(&mut key, name.as_bytes());
            key.push(b':');
            key
        };
        Jsonl { keys: names.iter().enumerate().map(key).collect() }
    }
}

#[inline]
fn separate(out: &mut Buffer, column: usize, by: u8) {
    if column > 0 {
        out.push(by);
    }
}

impl Rows for Text {
    #[inline]
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>) {
        separate(out, column, b'\t');
        match value {
            Value::Null => {}
            Value::Decimal(number) => number.write(out),
            Value::Float(number) => crate::data::float::write(number, out),
            Value::Bytes(bytes) => out.extend(bytes),
        }
    }

    #[inline]
    fn end(&mut self, out: &mut Buffer) {
        out.push(b'\n');
    }
}

impl Rows for Tsv {
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>) {
        separate(out, column, b'\t');
        match value {
            Value::Null => out.extend(b"\\N"),
            Value::Decimal(number) => number.write(out),
            Value::Float(number) => crate::data::float::write(number, out),
            Value::Bytes(bytes) => {
                for &byte in bytes {
                    match byte {
                        b'\t' => out.extend(b"\\t"),
                        b'\n' => out.extend(b"\\n"),
                        b'\r' => out.extend(b"\\r"),
                        b'\\' => out.extend(b"\\\\"),
                        _ => out.push(byte),
                    }
                }
            }
        }
    }

    fn end(&mut self, out: &mut Buffer) {
        out.push(b'\n');
    }
}

impl Rows for Csv {
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>) {
        separate(out, column, b',');
        match value {
            Value::Null => {}
            Value::Decimal(number) => number.write(out),
            Value::Float(number) => crate::data::float::write(number, out),
            // "" is the empty string, nothing at all is null.
            Value::Bytes(bytes) if bytes.is_empty() || bytes.iter().any(|b| b",\"\r\n".contains(b)) => {
                out.push(b'"');
                for &byte in bytes {
                    if byte == b'"' {
                        out.push(b'"');
                    }
                    out.push(byte);
                }
                out.push(b'"');
            }
            Value::Bytes(bytes) => out.extend(bytes),
        }
    }

    fn end(&mut self, out: &mut Buffer) {
        out.push(b'\n');
    }
}

impl Rows for Jsonl {
    fn cell(&mut self, out: &mut Buffer, column: usize, value: Value<'_>) {
        out.extend(self.keys[column].as_slice());
        match value {
            Value::Null => out.extend(b"null"),
            Value::Decimal(number) => number.write(out),
            Value::Float(number) => crate::data::float::write(number, out),
            Value::Bytes(bytes) => put_json_string(out, bytes),
        }
    }

    fn end(&mut self, out: &mut Buffer) {
        out.extend(b"}\n");
    }

    fn header(&mut self, _: &mut Buffer, _: &[String]) {}
}

fn put_json_string(out: &mut Buffer, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    serde_json::to_writer(&mut *out, text.as_ref()).expect("writing a string to memory can't fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(mut rows: impl Rows, cells: &[Value<'_>]) -> String {
        let mut out = Buffer::default();
        for (i, cell) in cells.iter().enumerate() {
            rows.cell(&mut out, i, cell.clone());
        }
        rows.end(&mut out);
        String::from_utf8(out.as_slice().to_vec()).unwrap()
    }

    const CELLS: [Value<'static>; 4] = [
        Value::Bytes(b"a\tb\\,\"c\""),
        Value::Null,
        Value::Decimal(crate::data::Decimal { mantissa: u64::MAX as i128, scale: 0 }),
        Value::Bytes(b""),
    ];

    #[test]
    fn rows_of_each_format() {
        assert_eq!(row(Text, &CELLS), "a\tb\\,\"c\"\t\t18446744073709551615\t\n");
        assert_eq!(row(Tsv, &CELLS), "a\\tb\\\\,\"c\"\t\\N\t18446744073709551615\t\n");
        assert_eq!(row(Csv, &CELLS), "\"a\tb\\,\"\"c\"\"\",,18446744073709551615,\"\"\n");
        let names = ["w", "x", "n", "e\""].map(String::from);
        let json = r#"{"w":"a\tb\\,\"c\"","x":null,"n":18446744073709551615,"e\"":""}"#;
        assert_eq!(row(Jsonl::new(&names), &CELLS), format!("{json}\n"));
    }

    #[test]
    fn json_replaces_what_is_not_utf8() {
        assert_eq!(row(Jsonl::new(&["w".into()]), &[Value::Bytes(b"a\xffb")]), "{\"w\":\"a\u{fffd}b\"}\n");
    }
}
