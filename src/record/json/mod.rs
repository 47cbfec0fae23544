//! JSON lines: the reader turns windows of records into batches of the fields that are wanted.
//!
//! A record is a line that holds an object (RFC 8259). Values that aren't wanted are skipped, and only their syntax is
//! checked. A wanted field is found by its name, or by names along a path: `a.b` is `b` of the object `a`, and a dot in
//! a name is written `\.`.
//!
//! - **Null** is the value `null`, or a name that is missing. `""` is the empty string.
//! - **A string** is read as its text, with escapes undone. **A number** is read as its digits as they are written, so
//!   that no digit is lost. `true` and `false` are read as those words, an array or an object as its JSON as it is
//!   written. A field that keeps its type is a cell of [`Column::Json`], in which a quote marks a string.
//! - **If a name occurs twice**, the last value counts.
//! - **An empty line**, or a line of white space, is no record.
//!
//! Fields are spans into the window. A string with an escape is rewritten. Then all fields of its column in that batch
//! are copied too, so that they lie together. The parser is `jiter`, which limits how deep values may be nested. Lines
//! that are like the line before are read by a template, which is several times as fast.

mod member;
mod template;
mod wanted;

use std::ops::Range;

use jiter::{Jiter, JiterError, JiterErrorType, Peek};

use super::{TERMINATOR, Taken, unended};
use crate::data::misses::Misses;
use crate::data::{BATCH, Batch, Bytes, Column, Columns, Sink, Span};
use crate::error::Result;
pub use member::Member;
use template::{Draft, Slot, Template};
use wanted::{Node, Target, Wanted};
pub use wanted::{WantedField, path};

/// What is wrong with a line: it isn't JSON, or it isn't an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("not JSON: {what} at byte {at} of the line")]
    Json { what: String, at: usize },
    #[error("{0} where an object is expected")]
    NoObject(&'static str),
}

/// The consumer of bad lines. It gets the span of the line in the window, without its end, and what is wrong.
pub type Reject<'a> = dyn FnMut(Span, Malformed) + 'a;

/// Reads windows of lines. A reader holds scratch memory, so each worker has its own.
#[derive(Debug)]
pub struct Reader {
    wanted: Node,
    template: Option<Template>,
    draft: Draft,
    /// Lines in a row that the template didn't read.
    misses: Misses,
    /// Memory in which jiter undoes escapes.
    tape: Vec<u8>,
    record: Vec<Cell>,
    spans: Vec<Span>,
    texts: Vec<Texts>,
    /// Strings of the batch whose escapes were undone.
    unescaped: Vec<u8>,
    /// The whole lines, if they are wanted too.
    verbatim: Option<Vec<Span>>,
}

/// The value of a field in one record.
#[derive(Clone, Debug)]
enum Cell {
    Null,
    /// A range of the window.
    Here(Range<usize>),
    /// A range of the strings whose escapes were undone.
    Unescaped(Range<usize>),
}

/// The values of one field in a batch.
#[derive(Debug, Default)]
struct Texts {
    keeps_type: bool,
    /// Values in the window, as spans into it.
    spans: Vec<Span>,
    /// Values whose escapes were undone: the record, and the range among the strings whose escapes were undone.
    unescaped: Vec<(usize, Range<usize>)>,
    /// Copies of all values, made if one of them isn't in the window, and the spans of the copies.
    copied: Vec<u8>,
    copies: Vec<Span>,
}

impl Reader {
    /// Makes a reader whose batches have a column for each wanted field. If records are wanted `verbatim`, a last
    /// column has the whole lines.
    pub fn new(fields: &[WantedField], verbatim: bool) -> Self {
        Reader {
            wanted: Node::of(fields),
            template: None,
            draft: Draft::default(),
            misses: Misses::default(),
            tape: Vec::new(),
            record: vec![Cell::Null; fields.len()],
            spans: vec![Span::NULL; fields.len()],
            texts: fields.iter().map(|field| Texts { keeps_type: field.keeps_type, ..Texts::default() }).collect(),
            unescaped: Vec::new(),
            verbatim: verbatim.then(Vec::new),
        }
    }

    /// Hands the records of `window` to `out` and the bad ones to `bad`, in order. `window` must hold whole records.
    /// Returns the records and bytes that it took, bad records included.
    pub fn read(&mut self, window: &[u8], bad: &mut Reject<'_>, out: &mut dyn Sink) -> Result<Taken> {
        let (mut records, mut rows, mut at) = (0, 0, 0);
        while at < window.len() {
            let from = at;
            let kept = match self.read_by_template(window, at) {
                Some(end) => {
                    at = behind_end(window, end);
                    Some(from..end)
                }
                None => {
                    at = memchr::memchr(TERMINATOR, &window[at..]).map_or(window.len(), |end| at + end + 1);
                    let line = from..from + unended(&window[from..at]).len();
                    if window[line.clone()].trim_ascii().is_empty() {
                        continue;
                    }
                    match self.line(window, line.clone()) {
                        Ok(()) => {
                            self.move_to_columns(rows);
                            Some(line)
                        }
                        Err(malformed) => {
                            // The records before the bad one are handed on first.
                            self.hand_on(window, rows, out)?;
                            rows = 0;
                            bad(Span::of(line), malformed);
                            None
                        }
                    }
                }
            };
            records += 1;
            let Some(line) = kept else { continue };
            for (span, texts) in self.spans.iter_mut().zip(&mut self.texts) {
                texts.spans.push(std::mem::replace(span, Span::NULL));
            }
            if let Some(lines) = &mut self.verbatim {
                lines.push(Span::of(line));
            }
            rows += 1;
            if rows == BATCH {
                self.hand_on(window, rows, out)?;
                rows = 0;
            }
        }
        self.hand_on(window, rows, out)?;
        Ok(Taken { records, bytes: window.len() })
    }

    /// Reads the line at `at` into `spans` if the line is like the one before. Returns where the line ends, without its
    /// terminator.
    #[inline]
    fn read_by_template(&mut self, window: &[u8], at: usize) -> Option<usize> {
        let template = self.template.as_ref()?;
        let end = template.read(window, at, &mut self.spans).filter(|&end| {
            let rest = &window[end..];
            matches!(rest, [] | [TERMINATOR, ..] | [b'\r', TERMINATOR, ..])
        });
        match end {
            Some(_) => self.misses.note(true),
            None => self.spans.fill(Span::NULL),
        }
        end
    }

    /// Reads one line into `record` with the parser.
    fn line(&mut self, window: &[u8], line: Range<usize>) -> Result<(), Malformed> {
        let Reader { wanted, template, draft, misses, tape, record, unescaped, .. } = self;
        record.fill(Cell::Null);
        let is_drafted = misses.should_try();
        misses.note(false);
        draft.clear();
        let text = &window[line.clone()];
        let mut object = Object {
            json: Jiter::with_tape(text, std::mem::take(tape)),
            line: text,
            start: line.start,
            record,
            unescaped,
        };
        let read = object.read(wanted, is_drafted.then_some(&mut *draft));
        let told = read.and_then(|()| object.json.finish().map_err(Wrong::Json)).map_err(Malformed::from);
        *tape = object.json.into_tape();
        if told.is_ok() && is_drafted {
            *template = draft.finish(text);
        }
        told
    }

    /// Moves the values in `record` to where [`read_by_template`](Self::read_by_template) puts them. The line is record
    /// `row` of the batch.
    fn move_to_columns(&mut self, row: usize) {
        let columns = self.record.iter_mut().zip(&mut self.spans).zip(&mut self.texts);
        for ((cell, span), texts) in columns {
            match std::mem::replace(cell, Cell::Null) {
                Cell::Null => {}
                Cell::Here(range) => *span = Span::of(range),
                Cell::Unescaped(range) => texts.unescaped.push((row, range)),
            }
        }
    }

    fn hand_on(&mut self, window: &[u8], rows: usize, out: &mut dyn Sink) -> Result<()> {
        let Reader { texts, unescaped, verbatim, .. } = self;
        if rows > 0 {
            let mut columns: Columns<'_> = texts.iter_mut().map(|texts| texts.column(window, unescaped)).collect();
            if let Some(spans) = verbatim {
                columns.push(Column::Bytes(Bytes { data: window, spans }));
            }
            out.take(&Batch { rows, columns: &columns })?;
        }
        for Texts { spans, unescaped, .. } in texts {
            spans.clear();
            unescaped.clear();
        }
        unescaped.clear();
        verbatim.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

/// Returns the start of the next line, given the end of a line without its terminator.
fn behind_end(window: &[u8], end: usize) -> usize {
    match &window[end..] {
        [] => end,
        [b'\r', ..] => end + 2,
        _ => end + 1,
    }
}

impl Texts {
    fn column<'a>(&'a mut self, window: &'a [u8], strings: &'a [u8]) -> Column<'a> {
        let column = if self.keeps_type { Column::Json } else { Column::Bytes };
        column(self.bytes(window, strings))
    }

    fn bytes<'a>(&'a mut self, window: &'a [u8], strings: &'a [u8]) -> Bytes<'a> {
        let Texts { spans, unescaped, copied, copies, .. } = self;
        if unescaped.is_empty() {
            return Bytes { data: window, spans };
        }
        copied.clear();
        copies.clear();
        let mut unescaped = unescaped.iter().peekable();
        copies.extend(spans.iter().enumerate().map(|(row, span)| {
            let text = match unescaped.next_if(|(of, _)| *of == row) {
                Some((_, range)) => &strings[range.clone()],
                None if span.is_null() => return Span::NULL,
                None => &window[span.start as usize..span.end as usize],
            };
            let from = copied.len();
            copied.extend_from_slice(text);
            Span::of(from..copied.len())
        }));
        Bytes { data: copied, spans: copies }
    }
}

/// A line that is being parsed.
struct Object<'a, 'w> {
    json: Jiter<'w>,
    line: &'w [u8],
    /// Where the line begins in the window.
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
                    JiterErrorType::WrongType { expected, actual } => format!("{actual} where {expected} is expected"),
                };
                Malformed::Json { what, at: index }
            }
        }
    }
}

impl Object<'_, '_> {
    /// Reads the next object. If a `draft` is given, as for the outermost object, adds the values to it.
    fn read(&mut self, wanted: &Node, mut draft: Option<&mut Draft>) -> Result<(), Wrong> {
        match self.json.peek()? {
            Peek::Object => {}
            peek => {
                // The value is skipped first, so that invalid JSON is reported as such.
                self.json.known_skip(peek)?;
                return Err(Wrong::NoObject(kind(peek)));
            }
        }
        let mut next = self.json.known_object()?;
        while let Some(name) = next {
            let found = wanted.find(name.as_bytes()).map(|at| &wanted.names[at].1);
            let name = draft.is_some().then(|| name.as_bytes().to_vec());
            self.json.peek()?;
            let from = self.json.current_index();
            match found {
                Some(wanted) => self.value(wanted)?,
                None => self.json.next_skip()?,
            }
            if let (Some(draft), Some(name)) = (draft.as_deref_mut(), name) {
                let slot = |wanted: &Wanted| Slot { target: wanted.target, has_inner: !wanted.inner.names.is_empty() };
                draft.value(self.line, &name, from..self.json.current_index(), found.map(slot));
            }
            next = self.json.next_key()?;
        }
        Ok(())
    }

    /// Reads the next value, which is wanted, or of which some field is.
    fn value(&mut self, wanted: &Wanted) -> Result<(), Wrong> {
        let peek = self.json.peek()?;
        let from = self.json.current_index();
        wanted.clear(self.record);
        let unescaped = self.unescaped.len();
        match peek {
            Peek::Object if !wanted.inner.names.is_empty() => self.read(&wanted.inner, None)?,
            Peek::String if let Some(target) = wanted.target => {
                self.unescaped.extend(target.keeps_type.then_some(b'"'));
                self.unescaped.extend_from_slice(self.json.known_str()?.as_bytes());
            }
            peek => self.json.known_skip(peek)?,
        }
        let Some(target) = wanted.target else { return Ok(()) };
        let here = self.start + from..self.start + self.json.current_index();
        self.record[target.column] = match peek {
            Peek::Null => Cell::Null,
            Peek::String => {
                let text = target.begin(here.start)..here.end - 1;
                // An escape is longer than the character it stands for. Equal lengths mean that there is none.
                match text.len() == self.unescaped.len() - unescaped {
                    true => {
                        self.unescaped.truncate(unescaped);
                        Cell::Here(text)
                    }
                    false => Cell::Unescaped(unescaped..self.unescaped.len()),
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
mod tests;
