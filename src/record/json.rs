//! JSON lines: windows of records to batches of the fields that are wanted.
//!
//! A record is a line that holds an object (RFC 8259). What isn't wanted is passed over, and only its form is looked at. A
//! wanted field is found by its name, or by names along a path: `a.b` is `b` of the object `a`, and a dot in a name is
//! written `\.`.
//!
//! - **Null** is the value `null`, and a name that isn't there. `""` is the empty string.
//! - **A string** is its text, with escapes undone; **a number** its digits as they stand, so that nothing of it is lost;
//!   `true` and `false` are those words; an array or an object is its JSON as it stands.
//! - **Of a name that is there twice** the last value counts.
//! - **An empty line**, or one of white space, is no record.
//!
//! Fields are spans into the window. A string with an escape is rewritten, and with it the other fields of its column in that
//! batch, which then lie together. The parser is `jiter`, which bounds how deep values may be nested.

use std::ops::Range;

use jiter::{Jiter, JiterError, JiterErrorType, Peek};

use super::{TERMINATOR, Taken, unended};
use crate::data::{BATCH, Batch, Bytes, Column, Columns, Sink, Span};
use crate::error::Result;

/// What is wrong with a line: no JSON, or no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("no JSON: {what} at byte {at} of the line")]
    Json { what: String, at: usize },
    #[error("{0}, where an object is wanted")]
    NoObject(&'static str),
}

/// Where bad lines go: the span of one in the window, without its end, and what is wrong.
pub type Reject<'a> = dyn FnMut(Span, Malformed) + 'a;

/// Reads windows of lines. Holds scratch memory: one a worker.
#[derive(Debug)]
pub struct Reader {
    wanted: Node,
    order: Order,
    /// Of jiter, for escapes.
    tape: Vec<u8>,
    record: Vec<Cell>,
    cells: Vec<Texts>,
    /// Strings of the batch without their escapes.
    unescaped: Vec<u8>,
    /// The records as they stand, if they are wanted too.
    verbatim: Option<Vec<Span>>,
}

/// What is wanted of an object.
#[derive(Clone, Debug, Default)]
struct Node {
    names: Vec<(Box<[u8]>, Wanted)>,
}

#[derive(Clone, Debug, Default)]
struct Wanted {
    /// The column of the value itself.
    column: Option<usize>,
    /// What is wanted of the object that it is.
    inner: Node,
}

/// Names of an object as the last record had them: most records have the same in the same order.
#[derive(Debug, Default)]
struct Order {
    names: Vec<(Box<[u8]>, Option<usize>)>,
}

/// The value of a field in one record.
#[derive(Clone, Debug)]
enum Cell {
    Null,
    /// In the window.
    Here(Range<usize>),
    /// Among the strings without their escapes.
    Unescaped(Range<usize>),
}

/// The values of a field in a batch.
#[derive(Debug, Default)]
struct Texts {
    cells: Vec<Cell>,
    spans: Vec<Span>,
    /// All of them, where one isn't in the window.
    copied: Vec<u8>,
}

/// The names along the path that `name` is.
pub fn path(name: &str) -> Vec<String> {
    let (mut path, mut is_escaped) = (vec![String::new()], false);
    for c in name.chars() {
        let last = path.last_mut().expect("there is one");
        match (is_escaped, c) {
            (false, '\\') => is_escaped = true,
            (false, '.') => path.push(String::new()),
            // A backslash before anything but a dot is one.
            (true, c) => {
                if c != '.' {
                    last.push('\\');
                }
                if c == '\\' {
                    continue;
                }
                last.push(c);
                is_escaped = false;
            }
            (false, c) => last.push(c),
        }
    }
    if is_escaped {
        path.last_mut().expect("there is one").push('\\');
    }
    path
}

impl Node {
    fn of(names: &[Vec<String>]) -> Node {
        let mut root = Node::default();
        for (column, path) in names.iter().enumerate() {
            root.want(path, column);
        }
        root
    }

    fn want(&mut self, path: &[String], column: usize) {
        let Some((first, rest)) = path.split_first() else { return };
        let at = self.find(first.as_bytes()).unwrap_or_else(|| {
            self.names.push((first.as_bytes().into(), Wanted::default()));
            self.names.len() - 1
        });
        let wanted = &mut self.names[at].1;
        match rest {
            [] => wanted.column = Some(column),
            rest => wanted.inner.want(rest, column),
        }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().position(|(known, _)| **known == *name)
    }
}

impl Wanted {
    /// The object that it is has no value any more.
    fn clear(&self, record: &mut [Cell]) {
        if let Some(column) = self.column {
            record[column] = Cell::Null;
        }
        self.inner.names.iter().for_each(|(_, wanted)| wanted.clear(record));
    }
}

impl Order {
    /// Which of the wanted names the `number`th of an object is, if it is one.
    fn find(&mut self, number: usize, name: &[u8], wanted: &Node) -> Option<usize> {
        match self.names.get_mut(number) {
            Some((known, found)) if **known == *name => *found,
            Some(known) => {
                *known = (name.into(), wanted.find(name));
                known.1
            }
            // Objects with thousands of names are not remembered.
            None if number < 256 => {
                self.names.push((name.into(), wanted.find(name)));
                self.names[number].1
            }
            None => wanted.find(name),
        }
    }
}

impl Reader {
    /// `names` are the paths of the wanted fields, one a column; a last column has the records as they stand if they are
    /// wanted `verbatim`.
    pub fn new(names: &[Vec<String>], verbatim: bool) -> Self {
        Reader {
            wanted: Node::of(names),
            order: Order::default(),
            tape: Vec::new(),
            record: vec![Cell::Null; names.len()],
            cells: names.iter().map(|_| Texts::default()).collect(),
            unescaped: Vec::new(),
            verbatim: verbatim.then(Vec::new),
        }
    }

    /// Hands the records of `window`, which are whole, to `out`, and the bad ones to `bad`, in order. Returns what it took, bad
    /// ones included. The batches' columns are `Column::Bytes`.
    pub fn read(&mut self, window: &[u8], bad: &mut Reject<'_>, out: &mut dyn Sink) -> Result<Taken> {
        let (mut records, mut rows, mut at) = (0, 0, 0);
        while at < window.len() {
            let end = memchr::memchr(TERMINATOR, &window[at..]).map_or(window.len(), |end| at + end + 1);
            let line = unended(&window[at..end]);
            let from = std::mem::replace(&mut at, end);
            if line.trim_ascii().is_empty() {
                continue;
            }
            records += 1;
            let span = Span::of(from..from + line.len());
            match self.line(window, from..from + line.len()) {
                Ok(()) => {
                    self.keep(span);
                    rows += 1;
                    if rows == BATCH {
                        self.hand_on(window, rows, out)?;
                        rows = 0;
                    }
                }
                Err(malformed) => {
                    // First what came before it.
                    self.hand_on(window, rows, out)?;
                    rows = 0;
                    bad(span, malformed);
                }
            }
        }
        self.hand_on(window, rows, out)?;
        Ok(Taken { records, bytes: window.len() })
    }

    /// Reads one line into `record`.
    fn line(&mut self, window: &[u8], line: Range<usize>) -> Result<(), Malformed> {
        let Reader { wanted, order, tape, record, unescaped, .. } = self;
        record.fill(Cell::Null);
        let mut object = Object {
            json: Jiter::with_tape(&window[line.clone()], std::mem::take(tape)),
            start: line.start,
            record,
            unescaped,
        };
        let read = object.read(wanted, Some(order)).and_then(|()| object.json.finish().map_err(Wrong::Json));
        let told = read.map_err(Malformed::from);
        *tape = object.json.into_tape();
        told
    }

    /// Adds the record to the batch.
    fn keep(&mut self, span: Span) {
        for (cell, texts) in self.record.iter_mut().zip(&mut self.cells) {
            texts.cells.push(std::mem::replace(cell, Cell::Null));
        }
        if let Some(records) = &mut self.verbatim {
            records.push(span);
        }
    }

    fn hand_on(&mut self, window: &[u8], rows: usize, out: &mut dyn Sink) -> Result<()> {
        let Reader { cells, unescaped, verbatim, .. } = self;
        if rows > 0 {
            let mut columns: Columns<'_> =
                cells.iter_mut().map(|texts| Column::Bytes(texts.column(window, unescaped))).collect();
            if let Some(spans) = verbatim {
                columns.push(Column::Bytes(Bytes { data: window, spans }));
            }
            out.take(&Batch { rows, columns: &columns })?;
        }
        cells.iter_mut().for_each(|texts| texts.cells.clear());
        unescaped.clear();
        verbatim.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

impl Texts {
    fn column<'a>(&'a mut self, window: &'a [u8], unescaped: &'a [u8]) -> Bytes<'a> {
        let Texts { cells, spans, copied } = self;
        spans.clear();
        if !cells.iter().any(|cell| matches!(cell, Cell::Unescaped(_))) {
            spans.extend(cells.iter().map(|cell| match cell {
                Cell::Here(range) => Span::of(range.clone()),
                Cell::Null | Cell::Unescaped(_) => Span::NULL,
            }));
            return Bytes { data: window, spans };
        }
        copied.clear();
        spans.extend(cells.iter().map(|cell| {
            let text = match cell {
                Cell::Null => return Span::NULL,
                Cell::Here(range) => &window[range.clone()],
                Cell::Unescaped(range) => &unescaped[range.clone()],
            };
            let from = copied.len();
            copied.extend_from_slice(text);
            Span::of(from..copied.len())
        }));
        Bytes { data: copied, spans }
    }
}

/// A line at which a parser stands.
struct Object<'a, 'w> {
    json: Jiter<'w>,
    /// Of the line, in the window.
    start: usize,
    record: &'a mut [Cell],
    unescaped: &'a mut Vec<u8>,
}

enum Wrong {
    Json(JiterError),
    NoObject(&'static str),
}

impl From<JiterError> for Wrong {
    fn from(error: JiterError) -> Self {
        Wrong::Json(error)
    }
}

impl From<Wrong> for Malformed {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::NoObject(what) => Malformed::NoObject(what),
            Wrong::Json(JiterError { error_type, index }) => {
                let what = match error_type {
                    JiterErrorType::JsonError(error) => error.to_string(),
                    JiterErrorType::WrongType { expected, actual } => format!("{actual} where {expected} is wanted"),
                };
                Malformed::Json { what, at: index }
            }
        }
    }
}

impl Object<'_, '_> {
    /// Reads the object that comes next. `order` is of the outermost.
    fn read(&mut self, wanted: &Node, mut order: Option<&mut Order>) -> Result<(), Wrong> {
        match self.json.peek()? {
            Peek::Object => {}
            peek => {
                // First: it may be no JSON at all.
                self.json.known_skip(peek)?;
                return Err(Wrong::NoObject(kind(peek)));
            }
        }
        let mut number = 0;
        let mut name = self.json.known_object()?;
        while let Some(text) = name {
            let found = match order.as_deref_mut() {
                Some(order) => order.find(number, text.as_bytes(), wanted),
                None => wanted.find(text.as_bytes()),
            };
            match found {
                Some(at) => self.value(&wanted.names[at].1)?,
                None => self.json.next_skip()?,
            }
            number += 1;
            name = self.json.next_key()?;
        }
        Ok(())
    }

    /// Reads the value that comes next, of which something is wanted.
    fn value(&mut self, wanted: &Wanted) -> Result<(), Wrong> {
        let peek = self.json.peek()?;
        let from = self.json.current_index();
        wanted.clear(self.record);
        let mut text = 0;
        match peek {
            Peek::Object if !wanted.inner.names.is_empty() => self.read(&wanted.inner, None)?,
            Peek::String if wanted.column.is_some() => {
                let begin = self.unescaped.len();
                self.unescaped.extend_from_slice(self.json.known_str()?.as_bytes());
                text = self.unescaped.len() - begin;
            }
            peek => self.json.known_skip(peek)?,
        }
        let Some(column) = wanted.column else { return Ok(()) };
        let here = self.start + from..self.start + self.json.current_index();
        self.record[column] = match peek {
            Peek::Null => Cell::Null,
            Peek::String => {
                let inside = here.start + 1..here.end - 1;
                let begin = self.unescaped.len() - text;
                // An escape is longer than what it stands for.
                match inside.len() == text {
                    true => {
                        self.unescaped.truncate(begin);
                        Cell::Here(inside)
                    }
                    false => Cell::Unescaped(begin..begin + text),
                }
            }
            _ => Cell::Here(here),
        };
        Ok(())
    }
}

fn kind(peek: Peek) -> &'static str {
    match peek {
        Peek::Array => "an array",
        Peek::String => "a string",
        Peek::Null => "null",
        Peek::True | Peek::False => "a boolean",
        _ => "a number",
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
