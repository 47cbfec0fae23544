//! CSV and TSV read byte by byte.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv { delimiter: u8 },
    Tsv,
}

/// A field as text, or `None` if it is null.
pub type Cell = Option<Vec<u8>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line of the file on which the record begins.
    pub line: usize,
    /// The bytes of the record, without its line end.
    pub bytes: Vec<u8>,
    /// `None` if a quote is in a wrong place.
    pub cells: Option<Vec<Cell>>,
}

impl Record {
    /// Returns the cells if their number is right.
    pub fn cells_of(&self, fields: usize) -> Option<&[Cell]> {
        self.cells.as_deref().filter(|cells| cells.len() == fields)
    }
}

/// Returns all records with the header. An empty line is a record of one empty field.
pub fn read(file: &[u8], format: Format, nulls: &[&str]) -> Vec<Record> {
    let mut rest = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let (mut records, mut line) = (Vec::new(), 1);
    while !rest.is_empty() {
        let (len, is_terminated) = length(rest, format);
        let bytes = &rest[..len];
        let bytes = if is_terminated { bytes.strip_suffix(b"\r").unwrap_or(bytes) } else { bytes };
        let cells = match format {
            Format::Csv { delimiter } => csv(bytes, delimiter, nulls),
            Format::Tsv => Some(bytes.split(|&byte| byte == b'\t').map(|field| tsv(field, nulls)).collect()),
        };
        records.push(Record { line, bytes: bytes.to_vec(), cells });
        line += rest[..len].iter().filter(|&&byte| byte == b'\n').count() + usize::from(is_terminated);
        rest = &rest[len + usize::from(is_terminated)..];
    }
    records
}

/// Returns the records of a file with this many fields. If there are several fields, an empty line isn't a record.
pub fn records(file: &[u8], format: Format, nulls: &[&str], fields: usize) -> Vec<Record> {
    let mut records = read(file, format, nulls);
    records.retain(|record| fields == 1 || !record.bytes.is_empty());
    records
}

/// Returns the length of the first record, and whether a newline follows.
fn length(text: &[u8], format: Format) -> (usize, bool) {
    let Format::Csv { delimiter } = format else {
        return text.iter().position(|&byte| byte == b'\n').map_or((text.len(), false), |at| (at, true));
    };
    // A quote opens at the start of a field. Within quotes it closes, and opens again if the next byte is a quote too.
    let (mut may_open, mut is_inside) = (true, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'"' if is_inside => (is_inside, may_open) = (false, true),
            _ if is_inside => {}
            b'"' if may_open => is_inside = true,
            b'\n' => return (at, true),
            _ => may_open = byte == delimiter,
        }
    }
    (text.len(), false)
}

fn csv(mut record: &[u8], delimiter: u8, nulls: &[&str]) -> Option<Vec<Cell>> {
    let mut cells = Vec::new();
    loop {
        let end;
        if let [b'"', inside @ ..] = record {
            let (mut text, mut at) = (Vec::new(), 0);
            loop {
                match inside[at..] {
                    [] => return None,
                    [b'"', b'"', ..] => {
                        text.push(b'"');
                        at += 2;
                    }
                    [b'"', ..] => break,
                    [byte, ..] => {
                        text.push(byte);
                        at += 1;
                    }
                }
            }
            cells.push(Some(text));
            end = at + 2;
        } else {
            end = record.iter().position(|&byte| byte == delimiter).unwrap_or(record.len());
            let text = &record[..end];
            if text.contains(&b'"') {
                return None;
            }
            let is_null = text.is_empty() || nulls.iter().any(|null| null.as_bytes() == text);
            cells.push((!is_null).then(|| text.to_vec()));
        }
        match record.get(end) {
            None => return Some(cells),
            Some(&byte) if byte == delimiter => record = &record[end + 1..],
            Some(_) => return None,
        }
    }
}

fn tsv(field: &[u8], nulls: &[&str]) -> Cell {
    if field == br"\N" || nulls.iter().any(|null| null.as_bytes() == field) {
        return None;
    }
    let (mut text, mut at) = (Vec::new(), 0);
    while let Some(&byte) = field.get(at) {
        let escaped = match field[at..] {
            [b'\\', b't', ..] => Some(b'\t'),
            [b'\\', b'n', ..] => Some(b'\n'),
            [b'\\', b'r', ..] => Some(b'\r'),
            [b'\\', b'\\', ..] => Some(b'\\'),
            _ => None,
        };
        text.push(escaped.unwrap_or(byte));
        at += 1 + usize::from(escaped.is_some());
    }
    Some(text)
}
